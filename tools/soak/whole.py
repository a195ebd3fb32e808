"""The whole soak, its verdict and its report."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from tools.soak import RELOADS_FROM, VENDORS
from tools.soak.faults import kinds, rules
from tools.soak.vendor import Vendor

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tools.soak.box import Box, Children
    from tools.soak.growth import Growth
    from tools.soak.one_run import Ended

MANY = 2000
"""Requests from which on every kind of fault must have happened."""

GROWTH_SHARE, GROWTH_MIB = 1.10, 4
"""Peaks of the last third may be this much above those of the first third: allocators and the moment differ."""

STEP = 2.0
"""Seconds between two changes of a vendor's rows; some ten to forty minutes pass there."""


def thirds(ended: Sequence[Ended], seconds: float, which: int) -> tuple[int, int]:
    """Return the largest peaks (MiB) of the first and the last third; 0 where no run has one.

    Args:
        ended: All runs.
        seconds: Length of the soak; what was run after it belongs to the last third.
        which: 0 for the tap, 1 for the target.
    """
    first = [one.peaks[which] for one in ended if one.began < seconds / 3]
    last = [one.peaks[which] for one in ended if one.began >= seconds * 2 / 3]
    return round(max(first, default=0) / 1024), round(max(last, default=0) / 1024)


def grown(first: int, last: int) -> bool:
    """Return whether memory (MiB) has grown by more than moments differ."""
    return bool(first and last) and last > first * GROWTH_SHARE + GROWTH_MIB


class Soak:
    """The whole of it.

    Args:
        box: The sandbox.
        folder: For everything that is written.
        children: Where processes are started.
        options: Of the command line.
    """

    def __init__(self, box: Box, folder: Path, children: Children, options: argparse.Namespace) -> None:
        self.box, self.children, self.options = box, children, options
        self.up, self.ended = threading.Event(), threading.Event()  # the time for disturbances is up; all is over
        self.vendors = [Vendor(name, folder / name, box, children, options) for name in VENDORS]
        self.fired: Counter[str] = Counter()
        self.requested: dict[str, int] = {}

    def play(self) -> None:
        """Let it happen.

        Raises:
            Stopped: A signal came.
        """
        started = time.monotonic()
        for vendor in self.vendors:
            self.box.send("POST", "faults", list(rules(vendor.name, vendor.credentials, self.options.rate)))
        with ThreadPoolExecutor(2 * len(self.vendors)) as pool:
            try:
                self._soak(pool, started)
                self._all(pool, lambda vendor: vendor.finish(started, self.ended))
                self.fired = self.box.fired()
                self.requested = {vendor.name: self.box.requests(vendor.name) for vendor in self.vendors}
                self.box.send("DELETE", "faults")
                self._all(pool, lambda vendor: vendor.last(started, self.ended))
                self._all(pool, Vendor.compare)
            except BaseException:
                self.children.close()  # the threads wait for their processes
                raise
            finally:
                self.up.set()
                self.ended.set()

    def _all(self, pool: ThreadPoolExecutor, what: Callable[[Vendor], None]) -> None:
        for done in [pool.submit(what, vendor) for vendor in self.vendors]:
            done.result()

    def _soak(self, pool: ThreadPoolExecutor, started: float) -> None:
        growing = [pool.submit(self._grow, vendor.growth) for vendor in self.vendors]
        loading = [pool.submit(vendor.soak, started, self.up) for vendor in self.vendors]
        printed = 0
        while (lasted := time.monotonic() - started) < self.options.seconds:
            if lasted >= printed + 30:
                printed += 30
                self._print(lasted)
            broken = [one for one in (*growing, *loading) if one.done()]
            if broken:
                broken[0].result()
            time.sleep(min(0.2, max(0.0, self.options.seconds - lasted)))
        self.up.set()
        for done in (*growing, *loading):
            done.result()
        for vendor in self.vendors:
            vendor.growth.present += timedelta(days=1)  # the last rows lie before the end of the last runs
            if vendor.name == "evolux":  # two details that are not there yet when they are first requested
                newest = {str(row["id"]): 1 for _, row in vendor.growth.mine[-2:]}
                self.box.send("POST", "knobs/evolux", {"cdr_pending": newest})

    def _grow(self, growth: Growth) -> None:
        while not self.up.wait(STEP):
            growth.step()

    def _print(self, lasted: float) -> None:
        ended = [one for vendor in self.vendors for one in vendor.ended]
        killed = sum(one.kill is not None for one in ended)
        print(f"{lasted:5.0f} s  {len(ended)} runs, {killed} of them killed", flush=True)

    def judge(self) -> list[str]:
        """Return the problems found; empty when there is none."""
        found = [f"{vendor.name}: {problem}" for vendor in self.vendors for problem in vendor.problems]
        for vendor in self.vendors:
            for which, who in enumerate(("tap", "target")):
                first, last = thirds(vendor.ended, self.options.seconds, which)
                if self.options.seconds >= RELOADS_FROM and grown(first, last):
                    found.append(f"{vendor.name}: memory of the {who} grew from {first} to {last} MiB")
        total, fired = sum(self.requested.values()), sum(self.fired.values())
        if total >= MANY:
            never = [kind.label for kind in kinds() if not self._of(kind.label)]
            found += [f"no request met this fault: {label}" for label in never]
            if not 0.75 <= fired / total / self.options.rate <= 1.25:  # noqa: PLR2004 - about as many as set
                found.append(f"{fired} faults on {total} requests: not the share that was set")
        return found

    def _of(self, label: str) -> int:
        return sum(self.fired[f"{vendor.name}: {label}"] for vendor in self.vendors)

    # -- the report --------------------------------------------------------------------------------

    def report(self) -> Iterator[str]:
        """Write the two tables of the report."""
        yield from table([_HEAD, *(self._line(vendor) for vendor in self.vendors)])
        yield ""
        names = [vendor.name for vendor in self.vendors]
        rows = [[str(self.fired[f"{name}: {kind.label}"]) for name in names] for kind in kinds()]
        body = [(kind.label, *row, str(self._of(kind.label))) for kind, row in zip(kinds(), rows, strict=True)]
        yield from table([("fault", *names, "all"), *body])
        total, fired = sum(self.requested.values()), sum(self.fired.values())
        yield ""
        yield f"{fired:,} faults on {total:,} requests ({fired / max(total, 1):.0%})"
        yield (
            f"memory is flat when the largest peak of the last third is not more than {GROWTH_SHARE - 1:.0%} and "
            f"{GROWTH_MIB} MiB above that of the first; every third begins with a load of everything there is by then"
        )

    def _line(self, vendor: Vendor) -> tuple[str, ...]:
        ended = vendor.ended
        kills = Counter(str(one.kill) for one in ended if one.kill)
        nines = "/".join(str(kills[f"kill -9 {who}"]) for who in ("tap", "target", "both"))
        codes = [sorted(Counter(one.codes[which] for one in ended).items()) for which in (0, 1)]
        gave_up = sum(one.kill is None and one.codes[0] == 1 for one in ended)
        peaks = [" / ".join(map(str, thirds(ended, self.options.seconds, which))) for which in (0, 1)]
        rows = sum(vendor.rows[stream] for stream in VENDORS[vendor.name])
        return (
            vendor.name,
            str(len(ended)),
            nines,
            str(kills["SIGTERM tap"] + kills["SIGTERM target"]),
            str(gave_up),
            *(", ".join(f"{code}: {count}" for code, count in counts) for counts in codes),
            f"{self.requested.get(vendor.name, 0):,}",
            f"{sum(n for label, n in self.fired.items() if label.startswith(vendor.name + ':')):,}",
            f"{rows:,}",
            *peaks,
            "FAILED" if vendor.problems else "well",
        )


_HEAD = (
    "vendor", "runs", "kill -9 of tap/target/both", "SIGTERM", "gave up", "exit codes of the tap",
    "of target-duckdb", "requests", "faults", "rows", "tap MiB, first/last third", "target MiB", "verdict",
)  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows as a table that a terminal and a page of docs can show."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if at == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"
