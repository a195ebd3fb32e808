"""What moves, caps and rounds while it is read: nothing that was there is missing, or the run does not say complete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.standin.servers import UTC, Bspk, Conpeek, Evolux, HostedSuite, Paged, instant
from tests.standin.wire import Case, Run, Taps

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
REQUESTS = "voice_campaign_requests"

ROUNDING: dict[str, Callable[[datetime], datetime]] = {
    "down": lambda bound: bound.replace(second=0, microsecond=0),
    "up": lambda bound: -((-(bound - MARCH)) // MINUTE) * MINUTE + MARCH,
    "nearest": lambda bound: round((bound - MARCH) / MINUTE) * MINUTE + MARCH,
}


def identity(vendor: Paged, row: dict[str, Any]) -> Any:
    """What tells a row from the others, in the vendor's list and in the records."""
    if isinstance(vendor, Bspk):
        return row["client_id"], row["created_at"]
    return row["Id"] if isinstance(vendor, HostedSuite) else row["id"]


def emitted(vendor: Paged, one: Run) -> set[Any]:
    """What a run emitted of the vendor's list."""
    return {identity(vendor, row) for name in ("calls", REQUESTS, "studio_calls") for row in one.rows(name)}


def whole(vendor: Paged, one: Run, rows: list[dict[str, Any]]) -> str:
    """Nothing if a run ended well with all of these rows; else what is wrong."""
    lost = {identity(vendor, row) for row in rows} - emitted(vendor, one)
    return f"exit {one.code}, {len(lost)} lost: {sorted(lost)[:3]}; {one.stderr[-6000:]}" if one.code or lost else ""


def sinking(asked: int) -> int:
    """A cap that sinks with every answer."""
    return max(11, 60 - 7 * asked)


@pytest.mark.parametrize("order", ["newest", "oldest", "random"])
def test_g1_g2_g4_conpeek_caps_that_change_lose_nothing_and_the_output_is_the_same(
    serve: Serve, run: Taps, order: str
) -> None:
    """Nothing learned from one answer decides about another one: not by bytes, not by load, in no order of arrival."""
    rows = [
        Conpeek.request(n, MARCH + timedelta(minutes=11 * n), MARCH + timedelta(minutes=13 * n, seconds=n % 60))
        for n in range(1, 401)
    ]
    caps: dict[str, Any] = {"by bytes": lambda asked: 20 + asked * 37 % 41, "sinking": sinking, "one": 29}
    cases, vendors = {}, {}
    for name, cap in caps.items():
        for concurrency in (1, 16):
            case = f"{name}, {concurrency}"
            vendor = vendors[case] = serve(Conpeek(list(rows)))
            vendor.order, vendor.cap = order, cap
            config = vendor.config(
                start_date="2024-03-01", end_date="2024-03-06", window="P2D", page_size=100, concurrency=concurrency
            )
            cases[case] = Case("conpeek", config)
    runs = run.many(cases)
    assert not [wrong for case, one in runs.items() if (wrong := whole(vendors[case], one, rows))]
    assert runs["one, 1"].canonical() == runs["one, 16"].canonical()


@pytest.mark.parametrize("size", [50, 60])
@pytest.mark.parametrize("vendor_of", [Bspk, HostedSuite])
def test_g1_pages_numbered_by_the_requested_size_lose_nothing_without_a_total(
    serve: Serve, run: Taps, vendor_of: type[Bspk | HostedSuite], size: int
) -> None:
    """A server that numbers its pages by 100 and sends fewer is asked for pages of the size that it sends."""
    rows: list[Any] = [vendor_of.call(n, MARCH + timedelta(minutes=5 * n)) for n in range(1, 241)]
    cases, vendors = {}, {}
    for links in ("single", "none"):
        vendor: Any = serve(vendor_of(list(rows)))
        vendor.total, vendor.by_size, vendor.cap, vendor.links = (lambda _: None), True, size, links
        config = {"end_date": "2024-03-10", "window": "P30D"}
        more = {"start_date": "2024-03-01"} if vendor_of is HostedSuite else {}
        vendors[links], cases[links] = vendor, Case(
            "bspk" if vendor_of is Bspk else "hostedsuite", vendor.config(**config, **more)
        )  # fmt: skip
    runs = run.many(cases)
    assert not [wrong for case, one in runs.items() if (wrong := whole(vendors[case], one, rows))]


@pytest.mark.parametrize("vendor_of", [Bspk, HostedSuite])
def test_g1_without_a_total_a_row_that_leaves_hides_no_other_one(
    serve: Serve, run: Taps, vendor_of: type[Bspk | HostedSuite]
) -> None:
    """A row that is deleted between two pages moves another one to a page already read: a second reading finds it."""
    rows: list[Any] = [vendor_of.call(n, MARCH + timedelta(minutes=5 * n)) for n in range(1, 241)]
    cases, vendors = {}, {}
    for leaving in (1, 2, 4):
        vendor: Any = serve(vendor_of(list(rows)))
        vendor.total, vendor.order = (lambda _: None), "oldest"

        def leave(asked: int, vendor: Any = vendor, leaving: int = leaving) -> None:
            if asked == leaving:
                del vendor.rows[10]

        vendor.before_page = leave
        more = {"start_date": "2024-03-01"} if vendor_of is HostedSuite else {}
        config = vendor.config(end_date="2024-03-10", window="P30D", concurrency=1, **more)
        vendors[str(leaving)], cases[str(leaving)] = (
            vendor,
            Case("bspk" if vendor_of is Bspk else "hostedsuite", config),
        )
    runs = run.many(cases)
    assert not [wrong for case, one in runs.items() if (wrong := whole(vendors[case], one, vendors[case].rows))]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("rounding", ROUNDING)
def test_g1_bounds_that_are_rounded_to_the_minute_lose_no_row_at_a_seam(
    serve: Serve,
    run: Taps,
    rounding: str,
    exclusive: bool,  # noqa: FBT001 - a table
) -> None:
    """Windows meet on whole minutes and overlap by one: what a server makes of a bound changes nothing there."""
    times = [MARCH + timedelta(seconds=181 * n) for n in range(1, 200)]
    end = MARCH + timedelta(seconds=181 * 200 + 17)
    vendors: dict[str, Paged] = {
        "bspk": Bspk([Bspk.call(n, at) for n, at in enumerate(times)]),
        "evolux": Evolux([Evolux.call(n, at) for n, at in enumerate(times)]),
        "hostedsuite": HostedSuite([HostedSuite.call(n, at) for n, at in enumerate(times)]),
        "conpeek": Conpeek([Conpeek.request(n, at) for n, at in enumerate(times)]),
    }
    cases = {}
    for name, vendor in vendors.items():
        serve(vendor)
        vendor.rounding = ROUNDING[rounding]
        vendor.exclusive = exclusive
        made: Any = vendor
        config = made.config(start_date=MARCH.isoformat(), end_date=end.isoformat(), window="PT1H47M13S")
        cases[name] = Case(name, config)
    runs = run.many(cases)
    assert not [wrong for name, one in runs.items() if (wrong := whole(vendors[name], one, vendors[name].rows))]


@pytest.mark.parametrize("zone", ["Antarctica/Troll", "Australia/Lord_Howe", "Europe/Warsaw"])
@pytest.mark.parametrize("turn", [datetime(2024, 10, 27, 1, tzinfo=UTC), datetime(2024, 4, 6, 15, tzinfo=UTC)])
def test_g1_clocks_that_change_by_any_width_lose_no_call(serve: Serve, run: Taps, zone: str, turn: datetime) -> None:
    """By two hours in one zone, by half an hour in another one: the width comes from the zone."""
    vendor = serve(HostedSuite([HostedSuite.call(n, turn - 12 * HOUR + 2 * n * MINUTE) for n in range(720)]))
    vendor.zone = zone
    config = vendor.config(
        (turn - 12 * HOUR).isoformat(), end_date=(turn + 12 * HOUR).isoformat(), timezone=zone, window="PT3H"
    )
    assert not whole(vendor, run("hostedsuite", config), vendor.rows)


def busy(vendor: Paged, make: Callable[[int, datetime], dict[str, Any]], now: datetime) -> None:
    """Let a row of the last hour arrive with every fifth request: at full speed, one in some 0.05 s."""

    def arrive(asked: int) -> None:
        if asked % 5 == 0:
            vendor.rows.append(make(100_000 + asked, now - HOUR + timedelta(seconds=asked * 997 % 3600)))

    vendor.before_page = arrive


def test_g1_g3_a_vendor_whose_newest_window_never_holds_still_is_read_to_the_end(serve: Serve, run: Taps) -> None:
    """Its older part is proven and the bookmark follows; what moves is written, and the next run reads it again."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(seconds=120 * n) for n in range(1, 500)]
    start = (now - DAY).isoformat()
    vendors: dict[str, tuple[Paged, Callable[..., dict[str, Any]]]] = {
        "bspk": (Bspk(), Bspk.call),
        "evolux": (Evolux(), Evolux.call),
        "hostedsuite": (HostedSuite(), HostedSuite.call),
        "conpeek": (Conpeek(), Conpeek.request),
    }
    cases = {}
    for name, (vendor, make) in vendors.items():
        vendor.rows = [make(n, at) for n, at in enumerate(times)]
        vendor.cap = 20
        serve(vendor)
        busy(vendor, make, now)
        made: Any = vendor
        cases[name] = Case(name, made.config(start_date=start))
    before = {name: list(vendor.rows) for name, (vendor, _) in vendors.items()}
    runs = run.many(cases)
    assert not [wrong for name, one in runs.items() if (wrong := whole(vendors[name][0], one, before[name]))]
    for name, one in runs.items():
        marks = [instant(mark) for mark in _bookmarks(one.state)]
        assert marks, name
        assert all(mark > now - 2 * HOUR for mark in marks), (name, marks)


def test_g2_g3_what_moves_in_the_newest_minute_is_written_and_said_not_to_be_proven(serve: Serve, run: Taps) -> None:
    """The run ends with 0 and `complete up to`; no bookmark passes what is proven."""
    now = datetime.now(UTC).replace(microsecond=0)
    vendor = serve(Bspk([Bspk.call(n, now - timedelta(minutes=n)) for n in range(40)]))

    def arrive(asked: int) -> None:
        last = instant(vendor.seen[0].query["to"]) - SECOND  # just before the run began, whenever that was
        vendor.rows.append(Bspk.call(1000 + asked, last))

    vendor.before_page = arrive
    one = run("bspk", vendor.config(start_date=(now - HOUR).isoformat(), page_size=5), code=0)
    assert "calls: complete up to " in one.stderr
    assert "the next run reads it again" in one.stderr
    assert instant(one.bookmark("calls")) < datetime.now(UTC)


def _bookmarks(state: dict[str, Any] | None) -> list[str]:
    """Every bookmark of a state."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            found.extend(value for name, value in part.items() if name == "replication_key_value")
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk((state or {}).get("bookmarks", {}))
    return found
