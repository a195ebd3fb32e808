"""What each vendor holds, how it changes, and what of it a tap has promised: written from the vendors' pages alone.

A fact is one row of a stream as it must arrive, with the instants by which the vendor's filter finds it. Nothing here
imports the engine: the promise must not be worked out by what is under test.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from tests.model.harness import UTC, Key, instant

from trunkline_sandbox.store import Selection
from trunkline_sandbox.vendors.conpeek import CAMPAIGNS

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from trunkline_sandbox import Sandbox

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Fact:
    """One row that the vendor holds.

    Attributes:
        partition: The campaign; empty where a stream has no partitions.
        instants: The vendor's filter finds the row by each of them.
        values: What may arrive, without nulls: several where the vendor has several rows with this key.
        open_since: A Conpeek request that is not closed is found by its state, if it was created in the whole span.
    """

    partition: str
    instants: tuple[datetime, ...]
    values: list[dict[str, Any]]
    open_since: datetime | None = None


Facts = dict[tuple[str, Key], Fact]


def iso(moment: datetime, *, digits: int = 0, tail: str = "Z") -> str:
    """An instant as the vendors write it."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{moment.microsecond:06d}"[: digits + 1] if digits else "") + tail


def seconds(span: timedelta) -> str:
    """A duration as a setting."""
    return f"PT{int(span.total_seconds())}S"


def plain(row: Mapping[str, Any], times: frozenset[str]) -> dict[str, Any]:
    """A row or a record without nulls, its times as instants: in this form both can be compared."""
    return {name: instant(value) if name in times else value for name, value in row.items() if value is not None}


class Model:
    """A vendor in one history: its settings and knobs are drawn, then its rows come and change.

    Args:
        dice: Decides everything.
        box: Holds the rows.
    """

    vendor: ClassVar[str]
    stream: ClassVar[str]
    times: ClassVar[Mapping[str, frozenset[str]]]
    needs_start: ClassVar[bool] = True
    sizes: ClassVar[tuple[int, ...]] = (0, 3, 12, 25)
    grain: timedelta = SECOND
    tick: timedelta = SECOND
    dated: ClassVar[bool] = True
    """Whether there are dates to ask for."""
    exact_bookmark = True
    """Whether the bookmark is the latest instant of all rows, as far as this model can tell."""

    def __init__(self, dice: random.Random, box: Sandbox) -> None:
        self.dice, self.box = dice, box
        self.serial = 0
        # Long ago, so that no machine's clock matters; in March and in autumn clocks change.
        day = datetime(2021, *dice.choice(((1, 10), (3, 27), (10, 30))), tzinfo=UTC)
        self.begin = day + timedelta(seconds=dice.randrange(86_400), milliseconds=dice.choice((0, 0, 1, 500, 999)))
        self.span = timedelta(seconds=dice.choice((1800, 7200, 86_400, 3 * 86_400, 9 * 86_400)))
        self.window = max(self.span / dice.choice((0.5, 1, 3, 5, 9)), 60 * SECOND)
        self.lookback = self.span * dice.choice((0, 0, 0.1, 0.5, 1))
        self.lookback -= self.lookback % SECOND
        self.start: datetime | None = self.begin
        if not self.needs_start and dice.random() < 0.1:
            self.start = None
        self.end: datetime | None = None
        if dice.random() < 0.1:
            self.end = self.begin + self.span * dice.choice((0.7, 1.5))
        self.page_size = dice.choice((1, 2, 3, 5, 7, 50))
        self.config: dict[str, Any] = {
            "start_date": self.start.isoformat() if self.start else None,
            "end_date": self.end.isoformat() if self.end else None,
            "window": seconds(self.window),
            "lookback": seconds(self.lookback),
            "page_size": self.page_size,
            "concurrency": dice.choice((1, 2, 8)),
            "max_attempts": 20,
        }
        self.seams: list[datetime] = []
        self.turn()

    def turn(self) -> None:
        """Draw what the vendor's page leaves open."""

    def shuffle(self) -> None:
        """Let the rows come in an order of no meaning, the same each time."""
        salt = self.dice.getrandbits(32)
        table = self.box.vendors[self.vendor].tables[self.stream]
        select = table.select

        def shuffled(*args: Any, **kwargs: Any) -> Selection:
            found = select(*args, **kwargs)
            ids = sorted(found.ids[found.first : found.behind], key=lambda n: hash((salt, n, n * 2654435761 % 997)))
            return Selection(ids, 0, len(ids))

        table.select = shuffled  # type: ignore[method-assign]

    # -- time --------------------------------------------------------------------------------------

    def moment(self, low: datetime, high: datetime) -> datetime:
        """An instant from `low` on and before `high`, often on a seam or a hair beside it, in the vendor's grain."""
        seams = [seam for seam in self.seams if low <= seam < high]
        if seams and self.dice.random() < 0.3:
            near = self.dice.choice(seams) + self.dice.choice((-1, 0, 0, 1)) * self.grain
        else:
            near = low + (high - low) * self.dice.random()
        near -= (near - _EPOCH) % self.grain
        return near if near >= low else near + self.grain

    def floor(self, moment: datetime) -> datetime:
        """The vendor's tick that an instant lies in."""
        return moment - (moment - _EPOCH) % self.tick

    def until(self, at: datetime) -> datetime:
        """Where a run that starts at this moment stops reading."""
        return self.end or self.floor(at)

    # -- rows --------------------------------------------------------------------------------------

    def number(self) -> int:
        """Counts the rows and changes."""
        self.serial += 1
        return self.serial

    def rows(self) -> list[dict[str, Any]]:
        """What the vendor holds."""
        return self.box.truth(self.vendor, self.stream, hidden=True)

    def put(self, *rows: dict[str, Any]) -> None:
        """Add or change rows."""
        self.box.upsert(self.vendor, self.stream, rows)

    def arrive(self, moment: datetime, now: datetime) -> None:
        """A row with this time arrives."""
        raise NotImplementedError

    def edit(self, now: datetime) -> None:
        """A row changes."""
        raise NotImplementedError

    def burst(self, moment: datetime, now: datetime) -> None:
        """Several rows of one second arrive."""
        for _ in range(self.dice.randrange(2, 9)):
            self.arrive(moment, now)

    def change(self, low: datetime, now: datetime, late: datetime) -> None:
        """Something happens at the vendor.

        Args:
            low: What is new is not older than this.
            now: And not newer, unless a clock is wrong.
            late: What comes late is not older than this.
        """
        kind = self.dice.random()
        if kind < 0.35:
            self.arrive(self.moment(low, max(now, low + SECOND)), now)
        elif kind < 0.6:
            self.arrive(self.moment(late, max(now, late + SECOND)), now)
        elif kind < 0.67:
            self.burst(self.moment(min(low, now), max(now, low + SECOND)), now)
        elif kind < 0.7:
            self.arrive(self.moment(now, now + self.span), now)
        else:
            self.edit(now)

    def one(self) -> dict[str, Any] | None:
        """Any row."""
        rows = self.rows()
        return self.dice.choice(rows) if rows else None

    # -- the promise -------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """All rows as they must arrive."""
        raise NotImplementedError

    def known(self, stream: str, key: Key, facts: Facts) -> bool:
        """Whether the vendor ever had such a row."""
        return (stream, key) in facts

    def read(self, stream: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """A record in the form that facts have."""
        return plain(record, self.times[stream])

    def partition(self, record: Mapping[str, Any]) -> str:
        """The partition that a record belongs to."""
        del record
        return ""

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        """The instants of a record that a bookmark may take."""
        raise NotImplementedError


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bspk(Model):
    """No id, equal calls in one millisecond, and a filter that may mean created or updated."""

    vendor, stream = "bspk", "calls"
    times: ClassVar = {"calls": frozenset({"created_at"})}
    needs_start = False
    grain = MILLISECOND

    def turn(self) -> None:
        dice = self.dice
        self.by_update = dice.random() < 0.4
        self.exact_bookmark = not self.by_update
        cap = dice.choice((100, 100, 1, 3))
        self.box.knobs(
            "bspk",
            filter_on="updated" if self.by_update else "created",
            order=dice.choice(("oldest", "newest")),
            per_page_cap=cap,
            link_headers=dice.random() < 0.8,
        )
        shuffled = dice.random() < 0.3
        if shuffled:
            self.shuffle()
        # Two pages of several rows that are alike can't be told from one that comes twice.
        self.twins = not shuffled

    def arrive(self, moment: datetime, now: datetime) -> None:
        n = self.number()
        row = {
            "store_id": None if n % 4 == 0 else f"S{n % 3}",
            "store_name": "Żabka",
            "sales_associate_id": f"SA_{self.dice.randrange(2)}",
            "sales_associate_name": "Zoë",
            "client_id": None if n % 9 == 0 else f"CLI_{self.dice.randrange(4)}",
            "client_name": f"version {n}",
            "to": None,
            "created_at": iso(moment, digits=3),
        }
        if self.by_update:
            row["updated_at"] = iso(max(now, moment), digits=3)
        table = self.box.vendors["bspk"].tables["calls"]
        if self.twins and self.dice.random() < 0.1 and table.find(table.key_of(row)) is None:
            table.add({**row, "client_name": f"version {n}, the other one"})
            table.add(row)  # two different calls whose key is the same
        else:
            self.put(row)

    def edit(self, now: datetime) -> None:
        row = self.one()
        if row is not None:
            changed = {**row, "client_name": f"version {self.number()}"}
            if self.by_update:
                changed["updated_at"] = iso(now, digits=3)
            self.put(changed)

    def facts(self) -> Facts:
        facts: Facts = {}
        for row in self.rows():
            updated = row.pop("updated_at", None)
            parts = [row["sales_associate_id"], row["client_id"], row["created_at"]]
            text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
            row["call_key"] = hashlib.sha256(text.encode()).hexdigest()
            created = instant(row["created_at"])
            if self.end and created >= self.end:
                continue
            by = instant(updated) if updated and self.by_update else created
            fact = facts.setdefault(("calls", (row["call_key"],)), Fact("", (), []))
            fact.instants = tuple({*fact.instants, by})
            fact.values.append(plain(row, self.times["calls"]))
        return facts

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        del stream
        return (instant(record["created_at"]),)


class HostedSuite(Model):
    """Pages from 0 or 1, times in several forms, and a filter that knows no zone."""

    vendor, stream = "hostedsuite", "calls"
    times: ClassVar = {"calls": frozenset({"StartTime"})}

    def turn(self) -> None:
        dice = self.dice
        self.form = dice.choice(("iso", "iso_z", "msdate", "us", "us24", "us24_minutes"))
        self.zone = ZoneInfo(dice.choice(("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe")))
        whole = {"us": SECOND, "us24": SECOND, "us24_minutes": MINUTE}
        self.grain = whole.get(self.form) or dice.choice((SECOND, MILLISECOND))
        if self.zone.key != "UTC":
            # In the hour that is there twice the first pass is meant: what comes in the second one comes an hour late.
            self.lookback = max(self.lookback, timedelta(hours=1))
            self.config["lookback"] = seconds(self.lookback)
        self.config["timezone"] = self.zone.key
        self.config["filter_date_format"] = dice.choice(("iso", "us", "us24"))
        if self.config["filter_date_format"] != "iso":
            self.tick = MINUTE
        base = dice.choice((0, 1))
        self.config["first_page"] = dice.choice(("auto", "auto", base))
        self.config["sort"] = dice.random() < 0.8
        self.box.knobs(
            "hostedsuite",
            page_base=base,
            page_zero=dice.choice(("first", "refuse")),
            items_cap=dice.choice((1000, 1000, 1, 3)),
            start_time=self.form,
            zone=self.zone.key,
            order=dice.choice(("oldest", "newest")),
            obeys_sort=dice.random() < 0.8,
        )
        if dice.random() < 0.2:
            self.shuffle()

    def arrive(self, moment: datetime, now: datetime) -> None:
        del now
        n = self.number()
        self.put(
            {
                "Id": f"{n:024x}",
                "StartTime": iso(moment, digits=3),
                "Notes": f"version {n}",
                "TalkTimeInSeconds": n / 4,
                "Interactions": [],
                "HoldCount": n,
                "Flagged": n % 3 == 0,
            }
        )

    def edit(self, now: datetime) -> None:
        del now
        row = self.one()
        if row is not None:
            self.put({**row, "Notes": f"version {self.number()}", "Flagged": True})

    def seen(self, moment: datetime) -> datetime:
        """The instant that can be read from what the vendor writes: without a zone, the first pass."""
        if self.form in {"iso_z", "msdate"}:
            return moment
        return moment.astimezone(self.zone).replace(fold=0).astimezone(UTC)

    def facts(self) -> Facts:
        facts: Facts = {}
        for row in self.rows():
            value = plain(row, self.times["calls"])
            value["StartTime"] = self.seen(value["StartTime"])
            facts["calls", (row["Id"],)] = Fact("", (value["StartTime"],), [value])
        return facts

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        del stream
        return (instant(record["StartTime"]),)


class Conpeek(Model):
    """No totals: requests are found by created_date, closed_date and state, in each campaign."""

    vendor, stream = "conpeek", "voice_campaign_requests"
    times: ClassVar = {
        stream: frozenset(
            ("created_date", "closed_date", "changed_at", "process_not_before", "process_from_date", "process_to_date")
        )
    }
    needs_start = False
    sizes = (0, 3, 6, 12)

    def turn(self) -> None:
        dice = self.dice
        self.keeps_closed = dice.random() < 0.5
        self.config["exclude"] = dice.choice((None, ["history", "call_history", "dialogs"]))
        self.box.knobs(
            "conpeek", order=dice.choice(("oldest", "newest")), limit_cap=dice.choice((10_000, 10_000, 10_000, 2, 3, 5))
        )
        if self.page_size <= 2 or not self.start:
            self.config["page_size"] = self.page_size = 4

    def arrive(self, moment: datetime, now: datetime) -> None:
        n = self.number()
        row = {
            "id": f"{n:024x}",
            "voice_campaign_id": self.dice.choice(CAMPAIGNS),
            "name": f"version {n}",
            "created_date": _written(moment),
            "state": self.dice.choice(("OPEN", "PROCESSING")),
            "custom": self.dice.choice((None, '{"kwota":1}', {"kwota": 2})),
        }
        if self.dice.random() < 0.4 and moment < now:
            row |= {"state": "CLOSED", "closed_date": _written(self.moment(moment, now))}
        self.put(row)

    def edit(self, now: datetime) -> None:
        row = self.one()
        if row is None:
            return
        row["name"] = f"version {self.number()}"
        kind = self.dice.random()
        if row["state"] != "CLOSED" and kind < 0.6:
            row |= {"state": "CLOSED", "closed_date": _written(now)}
        elif row["state"] == "CLOSED" and kind < 0.6:
            row |= {"state": "OPEN", "closed_date": row["closed_date"] if self.keeps_closed else None}
        self.put(row)

    def facts(self) -> Facts:
        facts: Facts = {}
        for row in self.rows():
            for name in self.config["exclude"] or ():
                del row[name]
            dates = [row[name] for name in ("created_date", "closed_date") if row[name]]
            row["changed_at"] = max(dates)
            instants = tuple(map(instant, dates))
            is_open = row["state"] != "CLOSED"
            facts[self.stream, (row["id"],)] = Fact(
                row["voice_campaign_id"], instants, [self.read(self.stream, row)], instants[0] if is_open else None
            )
        return facts

    def read(self, stream: str, record: Mapping[str, Any]) -> dict[str, Any]:
        value = super().read(stream, record)
        if isinstance(value.get("custom"), str):
            value["custom"] = json.loads(value["custom"])
        return value

    def partition(self, record: Mapping[str, Any]) -> str:
        return str(record["voice_campaign_id"])

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        del stream
        return tuple(instant(record[name]) for name in ("created_date", "closed_date") if record[name])


class Evolux(Model):
    """Calls in pages, and a detail of each call that may come days after it."""

    vendor, stream = "evolux", "studio_calls"
    sizes = (0, 3, 6, 14)
    times: ClassVar = {
        "studio_calls": frozenset({"start_time", "end_time"}),
        "studio_cdr": frozenset({"call_start_time"}),
    }

    def turn(self) -> None:
        dice = self.dice
        self.grain = dice.choice((SECOND, MILLISECOND))
        self.config["cdr_call_id"] = dice.choice(("id", "uuid"))
        self.page_size = self.config["page_size"] = min(self.page_size, 50)
        self.box.knobs(
            "evolux",
            order=dice.choice(("oldest", "newest")),
            cdr_key=self.config["cdr_call_id"],
            limit_cap=dice.choice((50, 50, 1, 3)),
        )
        if dice.random() < 0.2:
            self.shuffle()

    @property
    def pending(self) -> dict[str, int | None]:
        """The calls whose details are not there yet."""
        return dict(self.box.knobs("evolux")["cdr_pending"])

    def arrive(self, moment: datetime, now: datetime) -> None:
        del now
        n = self.number()
        row = {
            "id": 1000 + n,
            "uuid": f"0e4bccbe-{n:04x}",
            "start_time": iso(moment, digits=3 if self.grain < SECOND else 0, tail="+00:00"),
            "duration": n,
            "exit_reason": f"version {n}",
            "call_flow": {"id": n % 3, "name": "URA"},
        }
        waiting = self.pending
        # Five of them alone in a window would look like the wrong kind of id.
        if len(waiting) < 4 and self.dice.random() < 0.2:
            self.box.knobs("evolux", cdr_pending={**waiting, str(row["id"]): None})
        self.put(row)

    def edit(self, now: datetime) -> None:
        del now
        waiting = self.pending
        if waiting and self.dice.random() < 0.5:
            waiting.pop(self.dice.choice(sorted(waiting)))
            self.box.knobs("evolux", cdr_pending=waiting)
            return
        row = self.one()
        if row is not None:
            n = self.number()
            self.put({**row, "exit_reason": f"version {n}", "duration": n, "end_time": row["start_time"]})

    def facts(self) -> Facts:
        facts: Facts = {}
        starts: dict[int, datetime] = {}
        for row in self.rows():
            value = plain(row, self.times["studio_calls"])
            starts[row["id"]] = value["start_time"]
            facts["studio_calls", (row["id"],)] = Fact("", (value["start_time"],), [value])
        waiting = self.pending
        for row in self.box.truth("evolux", "studio_cdr"):
            if str(row["call_id"]) not in waiting:
                start = starts[row["call_id"]]
                value = {**self.read("studio_cdr", row), "call_start_time": start}
                facts["studio_cdr", (row["call_id"],)] = Fact("", (start,), [value])
        return facts

    def read(self, stream: str, record: Mapping[str, Any]) -> dict[str, Any]:
        value = super().read(stream, record)
        if "executed_tasks" in value:  # the parameters of tasks lose their secrets
            value["executed_tasks"] = [task["task_id"] for task in value["executed_tasks"]]
        return value

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        return (instant(record["start_time" if stream == "studio_calls" else "call_start_time"]),)


class SwitchTransact(Model):
    """No dates at all: what is configured is looked up in every run, and every run reads everything."""

    vendor, stream = "switchtransact", "contacts"
    times: ClassVar = {"contacts": frozenset(), "contact_lookups": frozenset()}
    sizes = (0, 3, 6)
    dated = False

    def turn(self) -> None:
        dice = self.dice
        self.start = self.end = None
        self.searched = dice.choice(("object", "list", "contacts"))
        self.box.knobs("switchtransact", autocomplete=self.searched, not_found_status=200)
        self.wanted = {
            "phone": dice.sample(_PHONES, 3),
            "email": dice.sample(_EMAILS, 2),
            "term": dice.sample(("anna", "lab", "+4", "nobody"), 2),
        }
        self.config = {
            "concurrency": self.config["concurrency"],
            "max_attempts": 20,
            "phones": [f" {value} " for value in self.wanted["phone"]] + self.wanted["phone"][:1],
            "emails": [value.upper() for value in self.wanted["email"]],
            "terms": self.wanted["term"],
        }

    def arrive(self, moment: datetime, now: datetime) -> None:
        del moment, now
        self.put({"id": f"contact-{self.number()}", **self.person()})

    def edit(self, now: datetime) -> None:
        del now
        row = self.one()
        if row is not None:
            self.put({**row, **self.person()})

    def person(self) -> dict[str, Any]:
        """What may change about a contact."""
        dice = self.dice
        return {
            "firstname": dice.choice(("Anna", "Zoë")),
            "company": dice.choice(("Lab 9", None)),
            "mobilephone": dice.choice((*_PHONES, None)),
            "businessphone": dice.choice((*_PHONES, None)),
            "email": dice.choice((*_EMAILS, None)),
            "customer_number": f"version {self.number()}",
        }

    def found(self, kind: str, value: str) -> list[dict[str, Any]]:
        """What the vendor finds; only a search finds several, and not in each of the forms an answer may have."""
        columns = {"phone": ("businessphone", "businessphone2", "mobilephone"), "email": ("email",)}.get(kind)
        rows = self.rows()
        if columns:
            return [row for row in rows if value in {row[name] for name in columns}][:1]
        names = [name for name in rows[0] if name not in {"id", "entity_type"}] if rows else []
        rows = [row for row in rows if any(value in (row[name] or "").lower() for name in names)]
        return rows[:1] if self.searched == "object" else rows

    def facts(self) -> Facts:
        facts: Facts = {}
        for kind, values in self.wanted.items():
            for value in values:
                found = self.found(kind, value)
                ids = [row["id"] for row in found]
                record = {
                    "kind": kind,
                    "value": value,
                    "matched": bool(ids),
                    "contact_ids": ids,
                    "contact_id": ids[0] if len(ids) == 1 else None,
                }
                facts["contact_lookups", (kind, value)] = Fact("", (), [plain(record, frozenset())], _EPOCH)
                for row in found:
                    facts["contacts", (row["id"],)] = Fact("", (), [plain(row, frozenset())], _EPOCH)
        return facts

    def known(self, stream: str, key: Key, facts: Facts) -> bool:
        # A contact that no lookup finds any more stays: a full table does not say what is gone.
        return super().known(stream, key, facts) or any(row["id"] == key[0] for row in self.rows())

    def marks(self, stream: str, record: Mapping[str, Any]) -> tuple[datetime, ...]:
        del stream, record
        return ()


_PHONES = ("+48221", "+48222", "+48223", "+48224")
_EMAILS = ("anna@lab.example", "zoe@lab.example", "nobody@lab.example")


def _written(moment: datetime) -> str:
    return iso(moment, tail="").replace("T", " ")


MODELS: Sequence[type[Model]] = (Bspk, HostedSuite, Conpeek, Evolux, SwitchTransact)
