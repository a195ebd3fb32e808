"""Random histories: a vendor's rows come and change, runs are disturbed and cut off, and nothing promised may be lost.

A history is made from its name alone (`bspk/17`). With one request in flight the same name is the same history to the
last byte; with more, the requests may reach the vendor in another order, and so may what changes while it is read.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.model import harness
from tests.model.harness import Output, Result, Target, bookmark
from tests.model.vendors import MODELS, Fact, Facts, Model

from trunkline_contract.runs import PROOFS, instant
from trunkline_sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model.harness import Key

BY_VENDOR: dict[str, type[Model]] = {model.vendor: model for model in MODELS}
Id = tuple[str, "Key"]

TRANSIENT = (
    Fault("status", rate=0.15, status=503),
    Fault("status", rate=0.15, status=429, headers={"Retry-After": "0"}),
    Fault("cut", rate=0.15),
    Fault("html200", rate=0.15),
    Fault("reset", rate=0.15),
    Fault("broken_json", rate=0.15),
    Fault("other_envelope", rate=0.15),
    Fault("empty200", rate=0.15),
)
"""What a try more makes good."""

NOES = frozenset({"html200", "broken_json", "other_envelope", "empty200"})
"""Two of them before any success may lock a user of HostedSuite out, and end the run: there they begin later."""


class LostError(AssertionError):
    """A promise was broken."""


@dataclass
class Trouble:
    """What happens to one run.

    Attributes:
        kind: `none`, `disk` (the target is gone), `kill`, `signal` (while writing), `asked` (a signal while a request
            is answered) or `down` (the vendor is, from some request on).
        after: Bytes or requests until then.
        drift: Changes while the vendor is read, by the number of the request.
        faults: What a try more makes good.
    """

    kind: str = "none"
    after: int = 0
    drift: dict[int, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def calm(self) -> bool:
        """Whether the run must succeed."""
        return self.kind == "none" and not self.drift


class History:
    """One history.

    Args:
        name: `<vendor>/<number>`.
    """

    def __init__(self, name: str) -> None:
        vendor = name.partition("/")[0]
        self.name, self.dice = name, random.Random(name)  # noqa: S311 - a test's dice
        self.box = Sandbox(seed=self.dice.getrandbits(30), size=0, vendors=[vendor])
        self.model = BY_VENDOR[vendor](self.dice, self.box)
        self.target = Target()
        self.state: dict[str, Any] | None = None
        self.before: Facts = {}  # what the vendor had when the last run started
        self.waiting: dict[Id, str] = {}  # what is new or changed since, and whether it is new
        self.lost: set[Id] = set()  # came later than the lookback reaches: not promised
        self.stale: set[Id] = set()  # changed later than that: its newest values are not promised
        self.now = self.model.begin
        self.story: list[str] = [f"config {self.model.config}", f"knobs {self.box.knobs(vendor)}"]

    # -- the play ----------------------------------------------------------------------------------

    def play(self) -> None:
        """Let it happen.

        Raises:
            LostError: A promise was broken.
        """
        try:
            self._play()
        except Exception as exc:
            told = "\n  ".join(self.story)
            raise LostError(
                f"{exc}\nhistory {self.name}; run it alone: TRUNKLINE_MODEL_SEED={self.name} python -m pytest "
                f"tests/model\n  {told}"
            ) from exc

    def _play(self) -> None:
        model, dice = self.model, self.dice
        for _ in range(dice.choice(model.sizes)):
            model.arrive(model.moment(model.begin, model.begin + model.span), model.begin + model.span)
        self.now = model.begin + model.span
        disturbed = self._disturbances()
        for number in range(disturbed):
            self._pass_time(number)
            self._run(self._trouble())
        self._pass_time(disturbed)
        self._run(Trouble(faults=self._faults()))
        self._check_end()

    def _disturbances(self) -> int:
        """Runs before the last one, which nothing disturbs."""
        return self.dice.choice((1, 1, 2, 2, 3, 4))

    def _pass_time(self, number: int) -> None:
        """Time goes by between two runs, and the vendor's rows change."""
        model, dice = self.model, self.dice
        before = self.now
        if number:
            self.now += dice.choice((timedelta(seconds=1), timedelta(minutes=7), model.span / 5, model.span))
        self.now += timedelta(milliseconds=dice.choice((0, 0, 1, 400, 999)))
        marks = [mark for mark in self._marks() if mark]
        model.seams = [model.floor(self.now), *marks, *(mark - model.lookback for mark in marks)]
        model.seams += [model.begin + n * model.window for n in range(1, 10)]
        late = min([self.now, *marks]) - model.lookback * dice.choice((0.5, 1, 1, 1.3))
        for _ in range(dice.choice((0, 1, 3, 8)) if number else 0):
            model.change(before, self.now, max(late, model.begin - timedelta(hours=1)))

    def _marks(self) -> list[datetime | None]:
        places = {(stream, fact.partition) for (stream, _), fact in self.before.items()}
        return [bookmark(self.state, *place) for place in sorted(places)]

    def _trouble(self) -> Trouble:
        dice = self.dice
        kind = dice.choice(("none", "none", "disk", "kill", "signal", "asked", "down"))
        most = 40 if kind in {"asked", "down"} else 600 * (len(self.before) + 12)
        drift = {dice.randrange(1, 30): dice.randrange(1, 4) for _ in range(dice.choice((0, 0, 1, 3, 6)))}
        return Trouble(kind, dice.randrange(1, most), drift, self._faults())

    def _faults(self) -> tuple[Fault, ...]:
        faults = self.dice.sample(TRANSIENT, self.dice.choice((0, 0, 0, 1, 2)))
        locks_out = self.model.vendor == "hostedsuite"
        return tuple(replace(fault, after=8) if locks_out and fault.kind in NOES else fault for fault in faults)

    # -- one run -----------------------------------------------------------------------------------

    def _run(self, trouble: Trouble) -> None:
        self.story.append(f"run at {self.now.isoformat()} with {trouble}; state {self.state}")
        held = self.model.facts()
        covered = self._plan(held)
        self._begin(trouble)
        result = self._execute(trouble)
        self.box.on_request = None
        self.box.faults.clear()
        after = self.model.facts()
        steady = {key for key in covered if after.get(key) == held[key]}
        self.story.append(f"  ended with {result.code}, {len(result.of('RECORD'))} records; {result.log[-3:]}")
        self._check_states(result, held, steady)
        self._check_proofs(result, calm=trouble.calm)
        if trouble.calm and result.code != 0:
            raise LostError(f"an undisturbed run ended with {result.code}: {result.log[-6:]}")
        if result.code == 0:
            self._deliver(result, len(result.messages))
            self._check_rows(covered & steady, held, "the run ended well")
            self._check_newest(result, trouble)
            self.state = result.state or self.state
        else:
            self._acknowledge(result)

    def _execute(self, trouble: Trouble) -> Result:
        """Run the tap."""
        return harness.run(
            self.box,
            self.model.vendor,
            self.model.config,
            at=self.now,
            state=self.state,
            output=self._output(trouble),
        )

    def _begin(self, trouble: Trouble) -> None:
        """Set up what happens while the vendor is read."""
        box, model, dice = self.box, self.model, random.Random(self.dice.random())  # noqa: S311 - a test's dice
        box.requests.clear()
        box.faults.add(*trouble.faults)
        if trouble.kind == "down":
            box.faults.add(Fault("reset", after=trouble.after))
        began = self.now
        late = max(began - max(model.lookback, timedelta(seconds=5)), model.begin)

        def on_request(_box: Sandbox, _vendor: str, _request: Any, n: int) -> None:
            if trouble.kind in {"asked", "kill -9"} and n == trouble.after:
                self._interrupt(trouble.kind)
            for _ in range(trouble.drift.get(n, 0)):
                self.now += timedelta(milliseconds=37)
                model.change(late, self.now, late)

        if trouble.drift or trouble.kind in {"asked", "kill -9"}:
            model.dice, box.on_request = dice, on_request

    def _interrupt(self, kind: str) -> None:
        """Send the run a signal while it is asking; only the main thread has handlers to meet it."""
        del kind
        if threading.current_thread() is not threading.main_thread():
            os.kill(os.getpid(), signal.SIGTERM)

    def _output(self, trouble: Trouble) -> Output:
        then: Callable[[], None] | None = {
            "disk": harness.disk_full,
            "kill": harness.killed,
            "signal": _signal,
        }.get(trouble.kind)
        return Output(trouble.after, then)

    # -- what was promised -------------------------------------------------------------------------

    def _plan(self, held: Facts) -> set[Id]:
        """What this run has to read; and of what came or changed, what came too late for every run."""
        for key, fact in held.items():
            known = self.before.get(key)
            if known is None:
                self.waiting[key] = "new"
            elif known != fact:
                self.waiting.setdefault(key, "changed")
        covered = set()
        until = self.model.until(self.now)
        for key, fact in held.items():
            if self._covers(key[0], fact, until):
                covered.add(key)
                self.waiting.pop(key, None)
                self.lost.discard(key)
                self.stale.discard(key)
            elif key in self.waiting and max(fact.instants, default=until) < until:
                (self.lost if self.waiting.pop(key) == "new" else self.stale).add(key)
        self.before = held
        return covered

    def _reads_from(self, stream: str, partition: str) -> datetime | None:
        """Where this run starts to read: the bookmark less the lookback, never before the start date."""
        start, mark = self.model.start, bookmark(self.state, stream, partition)
        if mark is None:
            return start
        if start and start > mark:
            return start
        since = mark - self.model.lookback
        return max(since, start) if start else since

    def _covers(self, stream: str, fact: Fact, until: datetime) -> bool:
        mark = bookmark(self.state, stream, fact.partition)
        if self.model.end and mark and self.model.end <= mark:
            return False
        since = self._reads_from(stream, fact.partition)
        if since and since >= until:
            return False
        if fact.open_since and fact.open_since < until:
            start = self.model.start
            if start is None or start <= fact.open_since:
                return True
        return any(when < until and (since is None or since <= when) for when in fact.instants)

    # -- what a target makes of it -----------------------------------------------------------------

    def _deliver(self, result: Result, count: int) -> None:
        for message in result.messages[:count]:
            self.target.apply(message)

    def _acknowledge(self, result: Result) -> None:
        """A target that was cut off: it has written up to a STATE, and some of what came behind it."""
        states = [place for place, message in enumerate(result.messages) if message["type"] == "STATE"]
        chosen = None
        if states and self.dice.random() < 0.95:
            chosen = states[-1] if self.dice.random() < 0.7 else self.dice.choice(states)
        if chosen is not None:
            self.state = result.messages[chosen]["value"]
        first = 0 if chosen is None else chosen + 1
        self._deliver(result, self.dice.randint(first, len(result.messages)))
        self.story.append(f"  the target acknowledged {self.state}")

    # -- checks ------------------------------------------------------------------------------------

    def _check_rows(self, keys: set[Id], facts: Facts, when: str) -> None:
        for stream, key in sorted(keys, key=str):
            record = self.target.tables.get(stream, {}).get(key)
            if record is None:
                raise LostError(f"{when}, but {stream} {key} is missing: {facts[stream, key]}")
            if (stream, key) in self.stale:
                continue
            value = self.model.read(stream, record)
            if value not in facts[stream, key].values:
                raise LostError(f"{when}, but {stream} {key} is\n  {value} and not\n  {facts[stream, key].values}")

    def _check_states(self, result: Result, held: Facts, steady: set[Id]) -> None:
        """No bookmark moves back, past the run's start, past what was emitted, or over a row that was not."""
        emitted: set[Id] = set()
        latest: dict[tuple[str, str], datetime] = {}
        marks = {
            place: bookmark(self.state, *place)
            for place in {(stream, fact.partition) for (stream, _), fact in held.items()}
        }
        keys: dict[str, list[str]] = {}
        for message in result.messages:
            if message["type"] == "SCHEMA":
                keys[message["stream"]] = message["key_properties"]
            elif message["type"] == "RECORD" and message["stream"] != PROOFS:
                stream, record = message["stream"], message["record"]
                emitted.add((stream, tuple(record[name] for name in keys[stream])))
                place = (stream, self.model.partition(record))
                for mark in self.model.marks(stream, record):
                    latest[place] = max(latest.get(place, mark), mark)
            elif message["type"] == "STATE":
                for place, old in marks.items():
                    new = bookmark(message["value"], *place)
                    if new != old:
                        self._check_move(place, old, new, latest.get(place), emitted, held, steady)
                    marks[place] = new

    def _check_move(  # noqa: PLR0917 - a bookmark's move, before and after
        self,
        place: tuple[str, str],
        old: datetime | None,
        new: datetime | None,
        latest: datetime | None,
        emitted: set[Id],
        held: Facts,
        steady: set[Id],
    ) -> None:
        if new is None or (old and new < old):
            raise LostError(f"the bookmark of {place} moved back from {old} to {new}")
        if new > self.now:
            raise LostError(f"the bookmark of {place}, {new}, is later than the run's start")
        if latest is None or new > latest:
            raise LostError(f"the bookmark of {place}, {new}, is later than all that was emitted, {latest}")
        since = self._reads_from(*place)
        for key in steady - emitted:
            fact = held[key]
            if (key[0], fact.partition) == place and any(
                when < new and (since is None or since <= when) for when in fact.instants
            ):
                raise LostError(f"the bookmark of {place}, {new}, has passed {key}, which was not emitted: {fact}")

    def _check_proofs(self, result: Result, *, calm: bool) -> None:
        """The spans that are proven adjoin, and each counts the rows of its own that were written until then."""
        written: dict[tuple[str, str], dict[Any, tuple[datetime, ...]]] = {}
        keys = {message["stream"]: message["key_properties"] for message in result.of("SCHEMA")}
        ends: dict[tuple[str, str], datetime] = {}
        for message in result.messages:
            if message["type"] != "RECORD":
                continue
            stream, record = message["stream"], message["record"]
            if stream != PROOFS:
                rows = written.setdefault((stream, self.model.partition(record)), {})
                rows[tuple(record[name] for name in keys[stream])] = self.model.marks(stream, record)
                continue
            place = record["stream"], next(iter(json.loads(record["partition"]).values()), "")
            since, until = instant(record["since"]), instant(record["until"])
            if since == until:
                continue  # a full table
            if ends.setdefault(place, since) != since:
                raise LostError(f"a span of {place} begins at {since}, and the one before ends at {ends[place]}")
            ends[place] = until
            there = sum(1 for marks in written.get(place, {}).values() if since <= max(marks) < until)
            if record["rows_within"] > there or (calm and self.model.exact_bookmark and record["rows_within"] < there):
                raise LostError(f"{there} rows of {place} were written from {since} to {until}: {record}")

    def _check_newest(self, result: Result, trouble: Trouble) -> None:
        """After a run that ended well the bookmark stands at the newest row: not before it."""
        if not (trouble.calm and self.model.exact_bookmark):
            return
        until = self.model.until(self.now)
        state = result.state or self.state
        newest: dict[tuple[str, str], datetime] = {}
        for message in result.of("RECORD"):
            place = (message["stream"], self.model.partition(message["record"]))
            for mark in self.model.marks(message["stream"], message["record"]):
                if mark < until:
                    newest[place] = max(newest.get(place, mark), mark)
        for place, mark in newest.items():
            since, stands = self._reads_from(*place), bookmark(state, *place)
            proven = min(mark, self.now)  # a wrong clock, or an end_date that is still to come
            if (since is None or mark >= since) and (stands is None or stands < proven):
                raise LostError(
                    f"the bookmark of {place} stands at {stands}, but a row of {mark} was emitted and proven"
                )

    def _check_end(self) -> None:
        """All that was ever promised is there, with its newest values; and nothing that the vendor never had."""
        facts = self.model.facts()
        until = self.model.until(self.now)
        start = self.model.start
        promised = {
            key
            for key, fact in facts.items()
            if key not in self.lost
            and self.waiting.get(key) != "new"
            and any(when < until and (start is None or start <= when) for when in fact.instants)
        }
        # What changed in the tick that the run's start lies in is the next run's.
        self.stale |= self.waiting.keys()
        self._check_rows(promised, facts, "all runs are over")
        for stream, table in self.target.tables.items():
            for key in table:
                if stream != PROOFS and not self.model.known(stream, key, facts):
                    raise LostError(f"{stream} {key} was never the vendor's: {table[key]}")


def _signal() -> None:
    """SIGTERM while a block is written."""
    signal.raise_signal(signal.SIGTERM)


def play(name: str) -> None:
    """Play one history, with the sizes of blocks and the time between states made as small as the history wants."""
    dice = random.Random(f"{name}/sizes")  # noqa: S311 - a test's dice
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trunkline.steps.write.BLOCK", dice.choice((1, 400, 64 * 1024)))
        patch.setattr("trunkline.run.run.STATE_EVERY", dice.choice((0.0, 0.0, 1.0)))
        patch.setattr("trunkline.run.run.STATE_SHARE", dice.choice((0, 50)))
        History(name).play()
