"""A vendor that refuses and fails now and then: what our tap makes of it, beside the same run without faults."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import counting, measure
from bench.jobs import READERS, Job
from bench.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.measure import Sample
    from bench.server import Server

REFUSAL = {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}
LIMIT, PERIOD = 30, 10.0
"""Requests in any so many seconds that the silent server takes."""

MIXED = (
    {**REFUSAL, "rate": 0.04},
    {"kind": "status", "status": 500, "rate": 0.04},
    {"kind": "status", "status": 503, "rate": 0.04},
    {"kind": "reset", "rate": 0.04},
    {"kind": "stall", "seconds": 30, "rate": 0.04},
)
SETS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "without": (),
    "429 on 3 %": ({**REFUSAL, "rate": 0.03},),
    "mixed on 20 %": MIXED,
    "silent limit": ({"kind": "limit", "by": LIMIT, "seconds": PERIOD},),
}
"""Sets of faults, by the name that each has in the results."""


@dataclass(frozen=True)
class Faulty:
    """Conpeek's requests, some 500 of ours, once for each set of faults.

    Attributes:
        name: What `--only` calls it.
        size: Rows that the vendor holds.
        window: For our tap.
        repeats: Rounds.
    """

    name: str = "faults"
    size: int = 5000
    window: str = "PT6H"
    repeats: int = 2

    @property
    def title(self) -> str:
        """One line."""
        return f"conpeek, {self.size:,} rows, windows of {self.window}, 30 ms, 8 workers, with faults"

    def smaller(self) -> Faulty:
        """Return the same with fewer windows."""
        return replace(self, window="P5D")

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each set once a round, in turn."""
        samples: dict[str, list[Sample]] = {name: [] for name in SETS}
        at = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            with serving(self.size, 0.03) as server:
                job = Job("conpeek", server.url, 8, 1000, self.window)
                config = {**job.ours(), "request_timeout": 1}
                del config["requests_per_minute"]
                (at / "ours.json").write_text(json.dumps(config), encoding="utf-8")
                for _ in range(rounds):
                    for name, faults in SETS.items():
                        sample = self._run(server, at, faults)
                        samples[name].append(sample)
                        facts = sample.facts or {}
                        log(f"{name:<14} {sample.wall:7.2f} s  {sample.rows} rows  {sample.requests} requests  {facts}")
        finally:
            shutil.rmtree(at, ignore_errors=True)
        return samples

    @staticmethod
    def _run(server: Server, at: Path, faults: Sequence[Mapping[str, Any]]) -> Sample:
        server.forget_requests()
        server.play(faults)
        sample = measure.run([READERS["trunkline"]("conpeek")], at)
        refused = server.refused("conpeek")
        return replace(
            sample,
            rows=counting.read(at / "out").rows,
            requests=server.requests("conpeek")[0],
            facts={"refused": len(refused), "named": named(refused, 1.0 if faults and "headers" in faults[0] else 0.0)},
        )


def named(moments: Sequence[float], seconds: float) -> float:
    """Return the seconds of wait that refusals request, those that overlap counted once."""
    total, until = 0.0, 0.0
    for moment in sorted(moments):
        total += max(0.0, moment + seconds - max(moment, until))
        until = max(until, moment + seconds)
    return total
