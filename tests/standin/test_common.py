"""What every tap owes: interrupted runs, any concurrency, config errors, secrets, and the SDK's own abilities."""

from __future__ import annotations

import json
import random
import signal
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests import starts
from tests.night import NIGHT
from tests.standin.servers import UTC, Bspk, Conpeek, Evolux, HostedSuite, SwitchTransact, instant
from tests.standin.wire import BIN, Case, Run, StandIn, Taps, reply, upserted

if TYPE_CHECKING:
    from tests.standin.conftest import Serve

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
VENDORS = ("bspk", "switchtransact", "hostedsuite", "conpeek", "evolux")
DATED = ("bspk", "hostedsuite", "conpeek", "evolux")
STREAMS = {
    "bspk": {"calls": ["call_key"]},
    "switchtransact": {"contacts": ["id"], "contact_lookups": ["kind", "value"]},
    "hostedsuite": {"calls": ["Id"]},
    "conpeek": {"voice_campaign_requests": ["id"]},
    "evolux": {
        "studio_calls": ["id"],
        "studio_cdr": ["call_id"],
        "dialer_calls": ["id"],
        "agent_pauses": ["agent_id", "time_start"],
        "agents": ["id"],
        "queues": ["id"],
        "queue_calls": ["call_id"],
    },
}
OTHERS: dict[str, dict[str, list[str]]] = {
    "bspk": {
        "messages": ["message_key"],
        "emails": ["email_key"],
        "notes": ["note_key"],
        "appointments": ["appointment_key"],
        "reminders": ["reminder_key"],
        "slices": ["slice_key"],
        "sales_associates": ["sales_associate_key"],
        "clients": ["client_id"],
    },
    "conpeek": {"cdr_dialogs": ["dialog_uuid"]},
    "hostedsuite": {name: ["Id"] for name in ("clients", "centers", "contacts", "charges", "reservations")},
    "switchtransact": {
        "agents": ["id"],
        "branches": ["id"],
        "lookups": ["type", "category", "title"],
        "transactions": ["transaction_number"],
    },
}
"""Streams that the vendors of these tests have no rows of."""
COUNTS = (1, 8, 32) if NIGHT else (1, 8)
UNSELECTED = {("bspk", "clients"), ("hostedsuite", "contacts"), ("switchtransact", "transactions")}
"""Sensitive streams, which are read only when a catalog selects them."""


def build(serve: Serve, tap: str, days: int = 12, per_day: int = 12) -> tuple[StandIn, dict[str, Any]]:
    """A vendor with some history from 2024-03-01, and a configuration that reads it."""
    times = [MARCH + timedelta(minutes=n * 1440 // per_day) for n in range(days * per_day)]
    span = {"start_date": "2024-03-01", "end_date": (MARCH + days * DAY).isoformat()}
    if tap == "bspk":
        bspk = serve(Bspk([Bspk.call(n, at) for n, at in enumerate(times)]))
        return bspk, bspk.config(page_size=10, window="P2D", **span)
    if tap == "hostedsuite":
        hosted = serve(HostedSuite([HostedSuite.call(n, at) for n, at in enumerate(times)]))
        return hosted, hosted.config(page_size=5, **span | {"start_date": "2024-03-01"})
    if tap == "conpeek":
        rows = [
            Conpeek.request(n, at, None if n % 5 == 0 else at + timedelta(hours=n % 50), voice_campaign_id=f"c{n % 3}")
            for n, at in enumerate(times)
        ]
        conpeek = serve(Conpeek(rows))
        conpeek.campaigns = {"c0", "c1", "c2"}
        return conpeek, conpeek.config(page_size=20, window="P3D", **span)
    if tap == "evolux":
        evolux = serve(Evolux([Evolux.call(n, at) for n, at in enumerate(times)]))
        return evolux, evolux.config(page_size=7, **span)
    switch = serve(SwitchTransact([SwitchTransact.contact(n) for n in range(10)]))
    return switch, switch.config(phones=[f"+2772123456{n}" for n in range(10)], terms=["may", "none"])


def wholly(vendor: StandIn, tap: str, runs: list[Run]) -> None:
    """Assert that what the runs leave in a warehouse is what the vendor has."""
    for stream in STREAMS[tap]:
        if tap == "evolux" and not stream.startswith("studio_"):
            continue  # lists of their own
        table = upserted(runs, stream)
        if isinstance(vendor, (Bspk, HostedSuite, Conpeek, Evolux)):
            column = {"calls": "created_at" if tap == "bspk" else "Id", "studio_cdr": "call_id"}.get(stream, "id")
            own = {"call_id": "id"}.get(column, column)
            assert {row[column] for row in table.values()} == {row[own] for row in vendor.rows}, (tap, stream)


@pytest.mark.parametrize("tap", DATED)
def test_g1_killed_and_resumed_runs_leave_the_vendors_set(serve: Serve, run: Taps, tap: str) -> None:
    """Signals at any line, then a run from the last STATE that was read, leave exactly the vendor's rows."""
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)  # noqa: S311 - no secret
    vendor, config = build(serve, tap)
    vendor.delay = 0.004
    runs: list[Run] = []
    state = None
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        one = run.interrupted(tap, config, number, chance.randrange(2, 90), state)
        assert "Traceback" not in one.stderr, one.stderr[-2000:]
        # Not ended by the signal: it had already written everything.
        assert one.code in ({-9, 0} if number == signal.SIGKILL else {-number, 0}), one.stderr[-2000:]
        runs.append(one)
        state = one.state or state
    runs.append(run(tap, config, state=state))
    wholly(vendor, tap, runs)


@pytest.mark.parametrize("tap", VENDORS)
def test_g4_any_concurrency_writes_the_same_bytes(serve: Serve, run: Taps, tap: str) -> None:
    """Concurrency 1 and 8 (at night 32) write the same bytes, within the limit, and wait for the first answer."""
    runs = {}
    vendor, config = build(serve, tap, days=6)
    vendor.jitter = 0.03
    for concurrency in COUNTS:
        vendor.seen.clear()
        vendor.most_in_flight = 0
        vendor.delay = 0.02
        runs[concurrency] = run(tap, config | {"concurrency": concurrency})
        assert len(runs[concurrency].messages) == runs[concurrency].stdout.count("\n")
        assert vendor.most_in_flight <= concurrency
        assert concurrency == 1 or vendor.most_in_flight > 1
        assert vendor.seen[1].at - vendor.seen[0].at >= 0.02
        wholly(vendor, tap, [runs[concurrency]])
    assert len({tuple(run.canonical()) for run in runs.values()}) == 1


def test_g6_wrong_credentials_knock_once(serve: Serve, run: Taps) -> None:
    """A refused credential is sent once, or once to each of two campaigns; the message names the setting."""
    names = {
        "bspk": "auth_token",
        "switchtransact": "api_key",
        "hostedsuite": "password",
        "conpeek": "api_key",
        "evolux": "api_token",
    }
    cases, vendors = {}, {}
    for tap, secret in names.items():
        for more in ((), ("--test",)):
            vendor, config = build(serve, tap)
            vendors[tap, more] = vendor
            vendor.delay = 0.05
            cases[f"{tap} {more}"] = Case(tap, config | {secret: "wr0ng-v4lue-of-a-secret", "concurrency": 32}, more)
    runs = run.many(cases)
    for (tap, more), vendor in vendors.items():
        one = runs[f"{tap} {more}"]
        assert one.code == 1, (tap, more, one.stderr)
        # A 403 may concern one campaign: only that of a second one shows that it is the key.
        assert len(vendor.seen) <= (2 if tap == "conpeek" else 1), (tap, more)
        # SwitchTransact's own sentence speaks of the key's permissions.
        assert names[tap] in one.stderr or (tap == "switchtransact" and "API key" in one.stderr), (
            tap,
            more,
            one.stderr,
        )


def test_g9_every_wrong_setting_is_named_at_once(serve: Serve, run: Taps) -> None:
    """One run names each wrong setting and the nearest name of an unknown one, no secret, and sends no request."""
    bad: dict[str, Any] = {
        "lookback": "1 day",
        "window": "P0D",
        "page_size": 0,
        "concurrency": 65,
        "requests_per_minute": -1,
        "request_timeout": "soon",
        "max_attempts": 0,
        "unknown_fields": "maybe",
        "pii": "scramble",
        "phone_region": "Poland",
        "ca_bundle": "/no/such/file.pem",
        "user_agent": "a\nb",
        "start_date": "01/02/2024",
        "end_date": "2024-13-01",
    }
    own: dict[str, dict[str, Any]] = {
        "bspk": {"client_ids": "not a list", "page_size": 101},
        "switchtransact": {"phones": [1], "emails": {}},
        "hostedsuite": {
            "min_call_duration": "x",
            "call_type": "Both",
            "timezone": "Mars/Base",
            "filter_date_format": "uk",
            "first_page": 2,
            "sort": "maybe",
        },
        "conpeek": {"voice_campaign_ids": [], "exclude": ["x"], "skip_missing_campaigns": 3, "page_size": 10_001},
        "evolux": {"cdr_call_id": "number", "redact_task_params": "x", "page_size": 51},
    }
    cases, wanted, vendors = {}, {}, []
    for tap in VENDORS:
        vendor, config = build(serve, tap)
        vendors.append(vendor)
        undated = (
            {}
            if tap != "switchtransact"
            else dict.fromkeys(("lookback", "window", "page_size", "start_date", "end_date"))
        )
        wrong = {name: value for name, value in bad.items() if name not in undated} | own[tap]
        cases[tap] = Case(tap, config | wrong)
        wanted[tap] = set(wrong)
        secret = {"bspk": "auth_token", "hostedsuite": "password", "evolux": "api_token"}.get(tap, "api_key")
        near = {"max_attempt": 3, secret[:-1]: "typed-under-the-wr0ng-name", "api_url": "http://vendor.example.org/x"}
        cases[f"{tap} names"] = Case(tap, {k: v for k, v in config.items() if k != secret} | near)
        wanted[f"{tap} names"] = {"max_attempts", "max_attempt", secret, "api_url", "https"}
    runs = run.many(cases)
    missed = {}
    for name, one in runs.items():
        assert "typed-under-the-wr0ng-name" not in one.stderr + one.stdout, name
        gaps = [word for word in wanted[name] if not any(word in line for line in one.stderr.splitlines())]
        if gaps or one.code != 1 or one.stdout:
            missed[name] = (one.code, gaps, one.stderr[-1500:])
    assert not missed, missed
    assert not any(vendor.seen for vendor in vendors)


def test_g9_broken_files_and_missing_settings_are_one_line(serve: Serve, run: Taps) -> None:
    """Broken files, a bookmark that is no time and a missing start_date are errors without a traceback."""
    vendor, config = build(serve, "evolux")
    (run.folder / "broken.json").write_text('{"api_token": "s3cret-in-a-broken-file", ')
    (run.folder / "list.json").write_text('["s3cret-in-a-broken-file"]')
    tap = str(BIN / "tap-evolux")
    for arguments in (
        ["--config", "broken.json"],
        ["--config", "list.json"],
        ["--config", "nowhere.json"],
        ["--config", run.file(config), "--state", "broken.json"],
    ):
        done = starts.run([tap, *arguments], cwd=run.folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode != 0, arguments
        assert "Traceback" not in done.stderr, arguments
        assert "s3cret" not in done.stderr + done.stdout, arguments
        assert done.stderr.strip(), arguments
    old = {"bookmarks": {"studio_calls": {"replication_key": "start_time", "replication_key_value": "yesterday"}}}
    runs = run.many(
        {
            "bookmark": Case("evolux", config, state=old),
            "no start": Case("evolux", {k: v for k, v in config.items() if k != "start_date"}),
            "hosted no start": Case(
                "hostedsuite", {k: v for k, v in build(serve, "hostedsuite")[1].items() if k != "start_date"}
            ),
            "empty state": Case("evolux", config, state={}),
            "other state": Case("evolux", config, state={"bookmarks": {"other_stream": {}, "studio_calls": {}}}),
        }
    )
    assert runs["bookmark"].code == 1
    assert "studio_calls" in runs["bookmark"].stderr
    for name in ("no start", "hosted no start"):
        assert runs[name].code == 1
        assert "start_date" in runs[name].stderr
    for name in ("empty state", "other state"):
        assert runs[name].code == 0, runs[name].stderr
        wholly(vendor, "evolux", [runs[name]])


def test_g9_settings_come_from_the_environment(serve: Serve, run: Taps) -> None:
    """Every setting is an environment variable too, and becomes the type that the setting has."""
    bspk, config = build(serve, "bspk")
    env = {f"TAP_BSPK_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    env |= {
        "TAP_BSPK_CLIENT_IDS": '["CLIENT_1","CLIENT_2"]',
        "TAP_BSPK_PAGE_SIZE": "3",
        "TAP_BSPK_REQUEST_TIMEOUT": "7.5",
    }
    hosted, more = build(serve, "hostedsuite")
    hosted_env = {f"TAP_HOSTEDSUITE_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in more.items()}
    hosted_env |= {
        "TAP_HOSTEDSUITE_SORT": "false",
        "TAP_HOSTEDSUITE_MIN_CALL_DURATION": "12",
        "TAP_HOSTEDSUITE_FIRST_PAGE": "0",
    }
    runs = run.many(
        {
            "bspk": Case("bspk", None, env=env),
            "hosted": Case("hostedsuite", None, env=hosted_env),
            "wrong": Case("bspk", None, env=env | {"TAP_BSPK_PAGE_SIZE": "many", "TAP_BSPK_CLIENT_IDS": "a,b"}),
        }
    )
    assert runs["bspk"].code == 0, runs["bspk"].stderr
    assert {row["client_id"] for row in runs["bspk"].rows("calls")} == {"CLIENT_1", "CLIENT_2"}
    assert {s.query["per_page"] for s in bspk.seen} == {"3"}
    assert runs["hosted"].code == 0, runs["hosted"].stderr
    sent = hosted.seen[0].json()
    assert "SortField" not in sent
    assert sent["MinCallDuration"] == 12
    assert runs["wrong"].code == 1
    assert "page_size" in runs["wrong"].stderr
    for secret in (config["auth_token"], more["password"]):
        assert all(secret not in one.stdout + one.stderr for one in runs.values())


@pytest.mark.parametrize("tap", VENDORS)
def test_the_commands_options(serve: Serve, run: Taps, tap: str) -> None:
    """--discover, --test, --about and --version work; streams are selected as the contract says, with its keys."""
    vendor, config = build(serve, tap)
    runs = run.many(
        {
            "discover": Case(tap, config, ("--discover",)),
            "test": Case(tap, config, ("--test",)),
            "json": Case(tap, config, ("--about", "--format", "json")),
        }
        | (
            {
                "markdown": Case(tap, config, ("--about", "--format", "markdown")),
                "version": Case(tap, config, ("--version",)),
            }
            if tap == "bspk"
            else {}
        )
    )
    assert {name: one.code for name, one in runs.items()} == dict.fromkeys(runs, 0), runs["test"].stderr
    streams = json.loads(runs["discover"].stdout)["streams"]
    assert 1 <= len(vendor.seen) <= max(4, 2 * len(streams))
    assert not runs["test"].rows(next(iter(STREAMS[tap])))
    catalog = json.loads(runs["discover"].stdout)
    assert {s["tap_stream_id"]: s["key_properties"] for s in catalog["streams"]} == {
        **STREAMS[tap],
        **OTHERS.get(tap, {}),
        "window_proofs": ["stream", "partition", "since", "until"],
    }
    for stream in catalog["streams"]:
        root = next(entry["metadata"] for entry in stream["metadata"] if entry["breadcrumb"] == [])
        by_default = (tap, stream["tap_stream_id"]) not in UNSELECTED
        assert root.get("selected", root.get("selected-by-default")) is by_default
        assert "_extra" in stream["schema"]["properties"]
        assert all(spec.get("description") for spec in stream["schema"]["properties"].values())
    about = json.loads(runs["json"].stdout)
    assert set(config) <= set(about["settings"]["properties"])
    if "markdown" in runs:
        assert "api_url" in runs["markdown"].stdout


def test_the_sdks_maps_flattening_selection_and_batches(serve: Serve, run: Taps) -> None:
    """Maps, flattening and selection act on every record, and batches are honoured or refused."""
    vendor, config = build(serve, "evolux", days=2)
    found = run("evolux", config, "--discover")
    catalog = json.loads(found.stdout)

    def choose(off: str, fields: tuple[str, ...] = ()) -> dict[str, Any]:
        chosen = json.loads(json.dumps(catalog))
        for stream in chosen["streams"]:
            for entry in stream["metadata"]:
                if entry["breadcrumb"] == []:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] in {"studio_calls", "studio_cdr"} - {off}
                elif entry["breadcrumb"][-1] in fields:
                    entry["metadata"]["selected"] = False
        return dict(chosen)

    mapped = config | {
        "stream_maps": {
            "studio_calls": {"caller": "md5(caller)", "minutes": "duration / 60", "who_hangup": "__NULL__"},
            "studio_cdr": {"__alias__": "details", "__filter__": "call_id > 5"},
        },
        "stream_map_config": {},
    }
    flat = config | {"flattening_enabled": True, "flattening_max_depth": 2}
    batch = config | {
        "batch_config": {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": f"file://{run.folder}"},
        }
    }
    runs = run.many({"mapped": Case("evolux", mapped), "flat": Case("evolux", flat), "batch": Case("evolux", batch)})
    for name in ("mapped", "flat"):
        assert runs[name].code == 0, (name, runs[name].stderr)
    row = runs["mapped"].rows("studio_calls")[0]
    assert len(row["caller"]) == 32
    assert row["minutes"] == 1
    assert "who_hangup" not in row
    assert {row["call_id"] for row in runs["mapped"].rows("details")} == set(range(6, 24))
    assert not runs["mapped"].rows("studio_cdr")
    row = runs["flat"].rows("studio_calls")[0]
    assert (row["call_flow__id"], row["project__name"]) == (2, "Test")
    assert "call_flow" not in row
    assert "call_flow__id" in runs["flat"].schema("studio_calls")
    if runs["batch"].code:
        assert "batch_config" in runs["batch"].stderr
    else:
        assert any(message["type"] == "BATCH" for message in runs["batch"].messages)
    vendor.seen.clear()
    only_calls = run("evolux", config, catalog=choose("studio_cdr", ("caller", "project")))
    assert all(s.path.endswith("/calls") for s in vendor.seen)
    assert not only_calls.rows("studio_cdr")
    assert len(only_calls.rows("studio_calls")) == 24
    assert all({"caller", "project"}.isdisjoint(row) for row in only_calls.rows("studio_calls"))
    only_details = run("evolux", config, catalog=choose("studio_calls"))
    assert not only_details.rows("studio_calls")
    assert len(only_details.rows("studio_cdr")) == 24
    assert only_details.bookmark("studio_cdr")
    assert only_details.bookmark("studio_calls") is None


@pytest.mark.parametrize("tap", DATED)
def test_g3_years_without_data_stay_cheap(serve: Serve, run: Taps, tap: str) -> None:
    """Twenty empty years cost few requests, and the bookmark is the one row's, not the end of the span."""
    vendor, config = build(serve, tap, days=1, per_day=3)
    one = run(tap, config | {"start_date": "2006-01-01", "end_date": "2026-01-01", "window": "P1D"})
    wholly(vendor, tap, [one])
    assert len(vendor.seen) < 400
    marks = json.dumps(one.state)
    assert "2024-03-" in marks
    assert "2026" not in marks


@pytest.mark.parametrize("tap", DATED)
def test_g3_start_and_end_keep_their_instant(serve: Serve, run: Taps, tap: str) -> None:
    """start_date includes, end_date excludes, both keep their zone, and a second run re-reads the lookback alone."""
    vendor, config = build(serve, tap)
    low, high = MARCH + 2 * DAY + timedelta(hours=2), MARCH + 4 * DAY + timedelta(hours=4)
    west = {"start_date": "2024-03-03T00:00:00-02:00", "end_date": "2024-03-05T06:00:00+02:00"}
    stream = next(iter(STREAMS[tap]))
    column = {"bspk": "created_at", "hostedsuite": "StartTime", "conpeek": "created_date", "evolux": "start_time"}[tap]
    first = run(tap, config | west)
    times = sorted({instant(row[column]) for row in first.rows(stream)})
    inside = [at for at in times if low <= at < high]
    assert inside[0] == low
    assert inside[-1] == high - timedelta(hours=2)
    if tap != "conpeek":  # there, closed_date counts too
        assert inside == times
    mark = len(vendor.seen)
    second = run(tap, config | {"lookback": "PT6H", "end_date": "2024-03-06T00:00:00Z"}, state=first.state)
    later = sorted({instant(row[column]) for row in second.rows(stream)})
    if tap != "conpeek":
        assert later[0] == inside[-1] - timedelta(hours=6)
        assert later[-1] == datetime(2024, 3, 5, 22, tzinfo=UTC)
    assert len(vendor.seen) > mark


def test_g2_a_vendor_that_is_down_ends_soon_and_says_so(serve: Serve, run: Taps) -> None:
    """A vendor that is down ends the run with exit code 1, an error line and no bookmark."""
    cases, vendors = {}, {}
    for tap in VENDORS:
        vendor, config = build(serve, tap)
        vendor.faults.append(lambda _n, _request: reply({}, 503))
        vendors[tap] = vendor
        cases[tap] = Case(tap, config | {"max_attempts": 2})
    _vendor, config = build(serve, "evolux")
    cases["nobody"] = Case("evolux", config | {"api_url": "http://127.0.0.1:9", "max_attempts": 2})
    for name, one in run.many(cases).items():
        assert one.code == 1, name
        assert not one.state or not any("replication_key_value" in json.dumps(value) for value in one.state.values()), (
            name
        )
        assert "ERROR" in one.stderr, name


def test_g1_a_reader_that_goes_away_is_no_success(serve: Serve, run: Taps) -> None:
    """When the target closes the pipe the tap ends, not with 0 and not with a traceback."""
    _vendor, config = build(serve, "evolux", days=60, per_day=40)
    process = run.start("evolux", config)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(300) != 0
    assert "Traceback" not in stderr, stderr[-2000:]


def test_g6_bspk_documented_limit_is_kept_as_the_server_counts(serve: Serve, run: Taps) -> None:
    """With no setting of its own the tap sends no more than 30 requests in any 10 seconds."""
    vendor, config = build(serve, "bspk", days=2, per_day=36)
    del config["requests_per_minute"]
    run("bspk", config | {"page_size": 2, "concurrency": 16})
    times = [seen.at for seen in vendor.seen]
    assert len(times) >= 36
    assert all(times[n + 30] - times[n] >= 10 for n in range(len(times) - 30))


def test_g7_personal_data_is_hashed_or_dropped_or_the_setting_is_refused(serve: Serve, run: Taps) -> None:
    """No personal field goes out in clear when `pii` says otherwise, and a hash without a key is a config error."""
    _vendor, config = build(serve, "bspk", days=1)
    runs = run.many(
        {
            "hash": Case("bspk", config | {"pii": "hash", "pii_key": "k3y-of-the-hash"}),
            "drop": Case("bspk", config | {"pii": "drop"}),
            "no key": Case("bspk", config | {"pii": "hash"}),
        }
    )
    for name in ("hash", "drop"):
        assert "Curly" not in runs[name].stdout, name
        assert runs[name].code == 0 or "pii" in runs[name].stderr
    assert runs["no key"].code == 1
    assert "pii_key" in runs["no key"].stderr


@pytest.mark.parametrize("tap", DATED)
def test_g1_a_state_of_another_account_is_refused_before_any_request(serve: Serve, run: Taps, tap: str) -> None:
    """Its bookmark would hide this account's history: an error that names both and the ways on, each of which works."""
    (one, theirs), (two, ours) = build(serve, tap, days=3), build(serve, tap, days=3)
    first = run(tap, theirs)
    assert one.url in json.dumps(first.state)
    refused = run(tap, ours, state=first.state, code=1)
    told = refused.stderr.splitlines()[-1]
    assert "another account" in told
    assert one.url in told
    assert two.url in told
    assert "new_account" in told
    assert not two.seen
    assert not refused.stdout
    moved = run(tap, ours | {"new_account": True}, state=first.state)
    assert one.url in moved.stderr
    assert one.url not in json.dumps(moved.state)
    again = run(tap, ours, state=moved.state)
    wholly(two, tap, [first, moved, again])
    assert "new_account" not in again.stderr


@pytest.mark.parametrize("tap", DATED)
def test_g1_what_makes_no_other_account_is_no_other_account(serve: Serve, run: Taps, tap: str) -> None:
    """A slash at the end and capitals of the host; a state by hand or of an older release, which gets the account."""
    vendor, config = build(serve, tap, days=2)
    first = run(tap, config)
    second = run(tap, config | {"api_url": vendor.url.replace("http://", "HTTP://") + "/"}, state=first.state)
    by_hand = json.loads(json.dumps(second.state))
    for entry in by_hand["bookmarks"].values():
        del entry["account"]
    third = run(tap, config, state={"singer_state": by_hand})
    assert third.state == second.state == first.state


def test_g1_hostedsuite_customers_are_accounts_of_one_address(serve: Serve, run: Taps) -> None:
    """Two customers of a server share its address: the name tells them apart, and is shown."""
    vendor, config = build(serve, "hostedsuite", days=2)
    first = run("hostedsuite", config)
    seen = len(vendor.seen)
    refused = run("hostedsuite", config | {"customer_name": "Another Customer"}, state=first.state, code=1)
    told = refused.stderr.splitlines()[-1]
    assert "Another Customer" in told
    assert config["customer_name"] in told
    assert len(vendor.seen) == seen


def test_g1_a_state_of_another_tap_is_refused(serve: Serve, run: Taps) -> None:
    """None of its streams is this tap's; one of an older release, with a stream that is gone, goes on with a line."""
    vendor, config = build(serve, "evolux", days=2)
    mark = {"replication_key": "StartTime", "replication_key_value": "2024-03-02T00:00:00+00:00"}
    refused = run("evolux", config, state={"bookmarks": {"calls": mark}}, code=1)
    told = refused.stderr.splitlines()[-1]
    assert "another tap" in told
    assert "calls" in told
    assert "studio_calls" in told
    assert not vendor.seen
    first = run("evolux", config)
    old = {"bookmarks": {**first.state["bookmarks"], "gone": mark}}  # type: ignore[index]
    assert "bookmarks of gone" in run("evolux", config, state=old).stderr


def test_g3_a_bookmark_in_the_future_is_told(serve: Serve, run: Taps) -> None:
    """It counts as the run's start, and a line says so: else nothing would ever be read again."""
    vendor, config = build(serve, "conpeek", days=2)
    del config["end_date"]
    key = "changed_at"
    parts = [
        {"context": {"voice_campaign_id": name}, "replication_key": key, "replication_key_value": at}
        for name, at in (("c0", "2999-01-01T00:00:00Z"), ("c1", "2024-03-02T00:00:00Z"))
    ]
    one = run("conpeek", config, state={"bookmarks": {"voice_campaign_requests": {"partitions": parts}}})
    (line,) = [line for line in one.stderr.splitlines() if "is in the future" in line]
    assert "voice_campaign_requests of c0" in line
    assert vendor.seen
