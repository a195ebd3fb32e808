"""The cases: which peers do what, on which data, behind which latency."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench import counting, environments, measure, warehouses
from bench.faulty import Faulty
from bench.jobs import READERS, Job, installed
from bench.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.measure import Sample
    from bench.server import Server

ALL = ("trunkline", "vanilla", "dlt", "airbyte", "limit")


class Case(Protocol):
    """Something to measure."""

    @property
    def name(self) -> str:
        """The name that `--only` has for it."""

    @property
    def title(self) -> str:
        """One line for the reader of the results."""

    @property
    def repeats(self) -> int:
        """Rounds, unless the command line sets them."""

    def smaller(self) -> Case:
        """Return the same for `--quick`."""

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Return the samples of each peer; one run of each peer a round, in turn."""


@dataclass(frozen=True)
class Reading:
    """Readers that write to a file.

    Attributes:
        name: What `--only` calls it.
        vendor: Which one.
        size: Rows that the vendor holds.
        latency: Seconds before each response.
        workers: Requests in flight at most.
        page_size: Records requested at once.
        window: For our taps.
        peers: Who takes part, in this order.
        repeats: Rounds.
        small_window: For our taps, on a tenth of the data.
    """

    name: str
    vendor: str
    size: int
    latency: float
    workers: int = 8
    page_size: int = 100
    window: str = "P30D"
    peers: tuple[str, ...] = ALL
    repeats: int = 5
    small_window: str = "P30D"

    @property
    def title(self) -> str:
        """One line."""
        wait = f"{self.latency * 1000:.0f} ms"
        return f"{self.vendor}, {self.size:,} rows, page {self.page_size}, {wait}, {self.workers} workers"

    def smaller(self) -> Reading:
        """Return a tenth, and no wait above 20 ms."""
        return replace(self, size=max(60, self.size // 10), latency=min(self.latency, 0.02), window=self.small_window)

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each peer once a round, in turn, on one server that a run nobody counts has warmed."""
        samples: dict[str, list[Sample]] = {peer: [] for peer in self.peers}
        with folder() as at, serving(self.size, self.latency) as server:
            job = Job(self.vendor, server.url, self.workers, self.page_size, self.window)
            job.write(at)
            if not self.latency:
                self._run("limit", server, at, keys=False)
            for turn in range(rounds):
                for peer in self.peers:
                    # Who misses rows must be known, and once is enough: that takes longer than some of the runs.
                    sample = self._run(peer, server, at, keys=turn == 0 and self.size <= _COMPARED)
                    samples[peer].append(sample)
                    log(
                        f"{peer:<10} {sample.wall:7.2f} s  cpu {sample.cpu:6.2f} s  {sample.peak / 1e6:5.0f} MB  "
                        f"{sample.rows} rows  {sample.requests} requests, {sample.in_flight} at once"
                    )
        return samples

    def _run(self, peer: str, server: Server, at: Path, *, keys: bool) -> Sample:
        server.forget_requests()
        sample = measure.run([READERS[peer](self.vendor)], at)
        output = counting.read(at / "out", keys=keys)
        requests, in_flight = server.requests(self.vendor)
        return replace(
            sample,
            rows=output.rows,
            distinct=output.distinct if keys else -1,
            requests=requests,
            in_flight=in_flight,
            facts={
                "largest_state": output.largest_state,
                "state_bytes": output.state_bytes,
                "schemas": output.messages["SCHEMA"],
                "states": output.messages["STATE"],
            },
        )


_COMPARED = 60_000


@dataclass(frozen=True)
class StartUp:
    """Commands that read nothing: what a family of programs costs before it does its work."""

    name: str = "start-up"
    repeats: int = 9

    @property
    def title(self) -> str:
        """One line."""
        return "programs that read nothing"

    def smaller(self) -> StartUp:
        """Return the same: there is nothing smaller."""
        return self

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each command once a round, in turn; a first one that nobody counts writes the bytecode."""
        commands = self._commands()
        samples: dict[str, list[Sample]] = {name: [] for name in commands}
        with folder() as at:
            for vendor in ("bspk", "conpeek", "evolux"):
                (at / vendor).mkdir()
                Job(vendor, "http://127.0.0.1:9", 8, 50, "P1D").write(at / vendor)
            for turn in range(rounds + 1):
                for name, (vendor, command) in commands.items():
                    sample = measure.run([command], at / vendor)
                    if turn:
                        samples[name].append(sample)
        for name, of in samples.items():
            log(f"{name:<32} {measure.Spread.of(one.wall for one in of).text('{:.3f}')} s")
        return samples

    def _commands(self) -> Mapping[str, tuple[str, list[str]]]:
        commands: dict[str, tuple[str, list[str]]] = {
            "python": ("bspk", [sys.executable, "-c", "pass"]),
            "import singer_sdk": ("bspk", [sys.executable, "-c", "import singer_sdk"]),
        }
        for vendor in ("bspk", "conpeek", "evolux"):
            tap = installed(f"tap-{vendor}")
            commands[f"tap-{vendor} --version"] = (vendor, [tap, "--version"])
            commands[f"tap-{vendor} --discover"] = (vendor, [tap, "--config", "ours.json", "--discover"])
            commands[f"vanilla {vendor} --discover"] = (vendor, [*READERS["vanilla"](vendor), "--discover"])
        limit, dlt, airbyte = (environments.program(name) for name in ("limit", "dlt", "airbyte"))
        commands["limit, imports"] = ("bspk", [limit, "-c", "import requests, orjson, concurrent.futures"])
        commands["dlt, imports"] = ("bspk", [dlt, "-c", "import dlt, dlt.sources.rest_api"])
        discover = [airbyte, READERS["airbyte"]("bspk")[1], "bspk.yaml", "discover", "--config", "job.json"]
        commands["airbyte, discover"] = ("bspk", discover)
        return commands


@dataclass(frozen=True)
class Loading:
    """BSPK's calls through a pipe into a database.

    Attributes:
        name: What `--only` calls it.
        size: Rows.
        pipes: Which of `warehouses.PIPES`.
        repeats: Rounds.
    """

    name: str
    size: int
    pipes: tuple[str, ...]
    repeats: int = 5

    @property
    def title(self) -> str:
        """One line."""
        return f"bspk, {self.size:,} rows, 0 ms, into a database"

    def smaller(self) -> Loading:
        """Return a tenth."""
        return replace(self, size=self.size // 10)

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each pipe once a round, in turn, each into a database of its own."""
        samples: dict[str, list[Sample]] = {}
        with folder() as at, serving(self.size, 0.0) as server, warehouses.postgres() as postgres:
            Job("bspk", server.url, 8, 100, "P30D").write(at)
            measure.run([READERS["limit"]("bspk")], at)
            for turn in range(rounds):
                for name in self.pipes:
                    commands, count = warehouses.PIPES[name](at, postgres, turn)
                    server.forget_requests()
                    sample = measure.run(commands, at)
                    sample = replace(sample, rows=count(), requests=server.requests("bspk")[0])
                    samples.setdefault(name, []).append(sample)
                    log(
                        f"{name:<34} {sample.wall:7.2f} s  cpu {sample.cpu:6.2f} s  "
                        f"{sample.peak / 1e6:5.0f} MB  {sample.rows} rows"
                    )
        return samples


@dataclass(frozen=True)
class LoaderAlone:
    """Loaders that read the same Singer file, which our tap has written; their start is measured and taken off.

    Attributes:
        name: What `--only` calls it.
        vendor: Whose records.
        size: Rows that the vendor holds.
        window: For the tap.
        page_size: For the tap.
        repeats: Rounds.
        drivers: Whether they are programs that differ in the driver alone.
    """

    name: str
    vendor: str
    size: int
    window: str = "P30D"
    page_size: int = 100
    repeats: int = 5
    drivers: bool = False

    @property
    def title(self) -> str:
        """One line."""
        what = "one driver or the other" if self.drivers else "the loader alone"
        return f"{self.vendor}, {self.size:,} rows from a file, {what}, net of its start"

    def smaller(self) -> LoaderAlone:
        """Return a tenth."""
        return replace(self, size=self.size // 10)

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each loader once a round, in turn, each into a schema of its own."""
        samples: dict[str, list[Sample]] = {}
        loaders = warehouses.DRIVERS if self.drivers else warehouses.LOADERS
        more = {name: {"weight": warehouses.weight(name)} for name in loaders} if self.drivers else {}
        with folder() as at, serving(self.size, 0.0) as server, warehouses.postgres() as postgres:
            Job(self.vendor, server.url, 8, self.page_size, self.window).write(at)
            rows = _recorded(at, self.vendor)
            (at / "nothing").touch()
            for turn in range(rounds):
                for name, loader in loaders.items():
                    command = loader(at, postgres, _schema(name, turn))
                    start = measure.run([[*command, "--input", "nothing"]], at)
                    whole = measure.run([[*command, "--input", "records"]], at)
                    facts = {"start_cpu": start.cpu, "start_wall": start.wall, **more.get(name, {})}
                    cpu, wall = whole.cpu - start.cpu, whole.wall - start.wall
                    samples.setdefault(name, []).append(replace(whole, cpu=cpu, wall=wall, rows=rows, facts=facts))
                    log(
                        f"{name:<34} {cpu / rows * 1e6:6.1f} µs of CPU a record, {rows / wall:8,.0f} rows/s  "
                        f"{whole.peak / 1e6:5.0f} MB  start {start.wall:.2f} s"
                    )
        return samples


@dataclass(frozen=True)
class Growth:
    """A few new rows of BSPK into a small table and into a large one.

    Attributes:
        name: What `--only` calls it.
        size: Rows of the small table.
        times: How many times as many the large one has.
        new: New rows of a run.
        repeats: Rounds.
    """

    name: str = "incremental"
    size: int = 5000
    times: int = 1000
    new: int = 100
    repeats: int = 5

    @property
    def title(self) -> str:
        """One line."""
        return f"{self.new} new rows of bspk into tables of {self.size:,} and {self.size * self.times:,} rows"

    def smaller(self) -> Growth:
        """Return a tenth."""
        return replace(self, times=self.times // 10)

    def measure(self, rounds: int, log: Callable[[str], None]) -> dict[str, list[Sample]]:
        """Run each loader into each table once a round, in turn."""
        samples: dict[str, list[Sample]] = {}
        with folder() as at, serving(self.size, 0.0) as server, warehouses.postgres() as postgres:
            Job("bspk", server.url, 8, 100, "P30D").write(at)
            _recorded(at, "bspk")
            commands = {}
            for name in _UPSERTING:
                loader = warehouses.LOADERS[name]
                for times in (1, self.times):
                    schema = _schema(name, times)
                    command = commands[f"{name}, {self.size * times:,} rows"] = loader(at, postgres, schema)
                    measure.run([[*command, "--input", "records"]], at)
                    if times > 1:
                        warehouses.multiply(name, at, postgres, schema, times)
            for turn in range(rounds + 1):  # the first one, which nobody counts, reads the tables into memory
                self._write_new(at, turn)
                for name, command in commands.items():
                    sample = replace(measure.run([[*command, "--input", "new"]], at), rows=self.new)
                    if turn:
                        samples.setdefault(name, []).append(sample)
                        log(f"{name:<44} {sample.wall:7.2f} s  cpu {sample.cpu:6.2f} s")
        return samples

    def _write_new(self, at: Path, turn: int) -> None:
        """Write Singer messages of the rows that are new in a round."""
        lines = (at / "records").read_text(encoding="utf-8").splitlines()
        messages = [json.loads(line) for line in lines]
        records = [message for message in messages if message["type"] == "RECORD"][: self.new]
        for record in records:
            record["record"]["call_key"] += f"+{turn}"
        chosen = [*(one for one in messages if one["type"] == "SCHEMA"), *records, messages[-1]]
        (at / "new").write_text("".join(f"{json.dumps(one)}\n" for one in chosen), encoding="utf-8")


_UPSERTING = ("target-postgres", "published target-postgres", "target-duckdb")


def _recorded(at: Path, vendor: str) -> int:
    """Write what our tap reads into the file `records`, and return the number of its records."""
    measure.run([READERS["trunkline"](vendor)], at)
    (at / "out").rename(at / "records")
    return counting.read(at / "records").rows


def _schema(name: str, turn: int) -> str:
    return f"{name.split(',', maxsplit=1)[0].replace(' ', '_').replace('-', '_')}_{turn}".lower()


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder for one case, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _every_latency(vendor: str, **values: object) -> Sequence[Reading]:
    made = []
    for milliseconds in (0, 20, 100):
        name = f"{'details' if vendor == 'evolux' else vendor}-{milliseconds}ms-8"
        made.append(Reading(name, vendor, latency=milliseconds / 1000, **values))  # type: ignore[arg-type]
    return made


FEW = ("trunkline", "limit")
CASES: tuple[Case, ...] = (
    StartUp(),
    *_every_latency("evolux", size=400, page_size=50),
    Reading("details-100ms-32", "evolux", 400, 0.1, 32, 50, peers=("trunkline", "dlt", "airbyte", "limit")),
    *_every_latency("bspk", size=10_000),
    # About a hundred pages in the three lists of two campaigns; a window of ours holds a little less than a page.
    *_every_latency("conpeek", size=5000, window="PT12H", small_window="P5D"),
    Reading("cpu-bspk", "bspk", 50_000, 0.0),
    Reading("cpu-conpeek", "conpeek", 20_000, 0.0, page_size=1000, window="P1D", small_window="P10D"),
    Reading("details-n", "evolux", 1000, 0.0, page_size=50, peers=FEW),
    Reading("details-2n", "evolux", 2000, 0.0, page_size=50, peers=FEW),
    Reading("memory-bspk-100k", "bspk", 100_000, 0.0, peers=FEW),
    Reading("memory-bspk-1m", "bspk", 1_000_000, 0.0, peers=FEW),
    Reading("memory-conpeek", "conpeek", 50_000, 0.0, page_size=1000, window="PT12H", small_window="P5D", peers=FEW),
    Faulty(),
    # So many that the second that starting two processes takes is a small part of it.
    Loading("load", 200_000, tuple(warehouses.PIPES)[:4]),
    LoaderAlone("loader-bspk", "bspk", 50_000),
    LoaderAlone("loader-hostedsuite", "hostedsuite", 50_000),
    LoaderAlone("loader-conpeek", "conpeek", 20_000, "P1D", 1000),
    LoaderAlone("driver-bspk", "bspk", 50_000, drivers=True),
    LoaderAlone("driver-hostedsuite", "hostedsuite", 50_000, drivers=True),
    LoaderAlone("driver-conpeek", "conpeek", 20_000, "P1D", 1000, drivers=True),
    Growth(),
    Loading("load-all", 50_000, tuple(warehouses.PIPES)),
)
