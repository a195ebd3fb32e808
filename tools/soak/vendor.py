"""One vendor: its runs, and what they showed."""

from __future__ import annotations

import random
import signal
import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import duckdb
from tools.soak import BEGIN, LOOKBACKS, RELOADS_FROM, TIMEOUT, VENDORS
from tools.soak.growth import Growth
from tools.soak.held import acknowledged, differences, tracebacks
from tools.soak.leaks import forms, leaks
from tools.soak.one_run import Ended, Kill, Run, forbidden

from trunkline_contract import warehouse
from trunkline_sandbox.vendors.evolux import SECRET_IN_TASKS

if TYPE_CHECKING:
    import argparse
    import threading
    from pathlib import Path

    from tools.soak.box import Box, Children

    from trunkline_sandbox import Sandbox

PAGES = {"bspk": (50, 100), "conpeek": (50, 1000), "evolux": (20, 50), "hostedsuite": (30, 100)}
"""Sizes of a page; small ones make more requests for faults to fall on."""

SECRETS = ("auth_token", "api_key", "api_token", "customer_name", "user_name", "password")

KILL_SHARE = 0.5
"""Share of the runs that are to be killed; some end before."""

FINAL_TRIES = 10


class Vendor:
    """One vendor's runs, and what they showed.

    Args:
        name: Its name.
        folder: For everything that is written of it.
        box: The sandbox.
        children: Where processes are started.
        options: Of the command line.
    """

    def __init__(self, name: str, folder: Path, box: Box, children: Children, options: argparse.Namespace) -> None:
        self.name, self.folder, self.box, self.children, self.options = name, folder, box, children, options
        self.dice = random.Random(f"{options.seed}/{name}")  # noqa: S311 - no secret
        self.growth = Growth(name, box, random.Random(f"{options.seed}/{name}/growth"))  # noqa: S311 - same
        self.file, self.state = folder / f"{name}.duckdb", folder / "state.json"
        self.ended: list[Ended] = []
        self.problems: list[str] = []
        self.rows: Counter[str] = Counter()
        self.reloads = 0
        folder.mkdir(parents=True)

    @property
    def credentials(self) -> list[str]:
        """The credentials that the tap signs with."""
        config = self.box.config(self.name)
        return [config[name] for name in SECRETS if name in config]

    @property
    def secrets(self) -> list[str]:
        """Texts that nothing may show: the credentials, and those that Evolux's customers put into their tasks.

        A customer's name is signed with, but a state names it: it shows whose bookmarks these are.
        """
        customer = self.box.config(self.name).get("customer_name")
        signed = [secret for secret in self.credentials if secret != customer]
        return [*signed, *([SECRET_IN_TASKS] * (self.name == "evolux"))]

    def soak(self, started: float, stop: threading.Event) -> None:
        """Load until it is time to stop."""
        while not stop.is_set():
            self._perhaps_reload(started)
            self.load(started, stop, kill=self._plan_kill())

    def finish(self, started: float, stop: threading.Event) -> None:
        """Load until a run ends well."""
        for _ in range(FINAL_TRIES):
            if self.load(started, stop).codes == (0, 0) or stop.is_set():
                return
        self.problems.append(f"{FINAL_TRIES} undisturbed runs under faults, and none ended well")

    def last(self, started: float, stop: threading.Event) -> None:
        """Load once with a vendor that is well."""
        codes = self.load(started, stop).codes
        if codes != (0, 0):
            self.problems.append(f"run {len(self.ended)}, undisturbed and without faults, ended with {codes}")

    def load(self, started: float, stop: threading.Event, kill: Kill | None = None) -> Ended:
        """Load once."""
        number, began = len(self.ended) + 1, time.monotonic() - started
        folder = self.folder / f"{number:04d}"
        tap = {**self.box.config(self.name), **self._drawn(patient=kill is None)}
        target = {"path": str(self.file), "default_target_schema": f"tap_{self.name}"}
        debug = self.dice.random() < 0.2  # noqa: PLR2004 - one in five
        ended = Run(self.children, self.name, folder, self.state, (tap, target), debug=debug).watch(kill, stop)
        ended.began = began
        self.ended.append(ended)
        found = [*forbidden(ended), *leaks(folder, self.secrets), *self._check_file(folder)]
        if not debug:  # that level's tracebacks are meant
            found += tracebacks(folder)
        for problem in found:
            self.problems.append(f"run {number} ({ended.kill or 'undisturbed'}): {problem}")
            print(f"{began:5.0f} s  {self.name}: {self.problems[-1]}", flush=True)
        if not found:
            (folder / "tap.jsonl").unlink()
        return ended

    def _drawn(self, *, patient: bool) -> dict[str, Any]:
        """Return settings that must not matter. A run that may end early is a disturbance too: it tries less often."""
        dice = self.dice
        made: dict[str, Any] = {"concurrency": dice.choice((2, 4, 8)), "request_timeout": TIMEOUT}
        made["max_attempts"] = 8 if patient else dice.choice((3, 5, 8))
        if self.name == "switchtransact":
            return made
        made |= {"start_date": BEGIN.isoformat(), "end_date": self.growth.present.isoformat()}
        return {**made, "lookback": f"PT{LOOKBACKS[self.name]}H", "page_size": dice.choice(PAGES[self.name])}

    def _plan_kill(self) -> Kill | None:
        dice = self.dice
        if dice.random() >= KILL_SHARE:
            return None
        usual = statistics.median([one.lasted for one in self.ended if one.kill is None][-9:] or [3.0])
        who = dice.choice(("tap", "target", "both"))
        number = signal.SIGTERM if who != "both" and dice.random() < 0.2 else signal.SIGKILL  # noqa: PLR2004 - one in five
        return Kill(who, number, dice.uniform(0.1, usual))

    def _perhaps_reload(self, started: float) -> None:
        """Begin anew where a third begins: what has grown is then read as a whole, and memory must not follow.

        The file goes too: in a full one nobody would see what a run cut off in the middle of a long load has lost.
        """
        third = int(3 * (time.monotonic() - started) / self.options.seconds)
        if self.options.seconds >= RELOADS_FROM and third > self.reloads:
            self.reloads = third
            self.rows.clear()
            for path in (self.state, self.file, self.file.with_name(f"{self.file.name}.wal")):
                path.unlink(missing_ok=True)

    def _check_file(self, folder: Path) -> list[str]:
        """Check that the file opens, no key is there twice and no acknowledged row is missing, after any end."""
        promised = acknowledged(folder, self.name)
        if promised is None:
            return ["the target passed a state on that the tap never wrote"]
        if not self.file.exists():
            return ["the file is gone"] if self.rows or promised else []
        found = []
        with duckdb.connect(str(self.file), read_only=True) as connection:
            schema = f"tap_{self.name}"
            tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [schema])
            streams = [stream for (stream,) in tables.fetchall() if stream in VENDORS[self.name]]  # not the proofs
            held = {stream: self._keys(connection, stream) for stream in streams}
        for stream, keys in held.items():
            count, distinct, before = len(keys), len(set(keys)), self.rows[stream]
            found += [f"{stream}: {count} rows with {distinct} keys"] * (count != distinct)
            found += [f"{stream}: {before} rows became {count}"] * (count < before)
            self.rows[stream] = count
        for stream, expected in promised.items():
            missing = expected - set(held.get(stream, ()))
            found += [f"{stream}: {len(missing)} rows were acknowledged and are not in the file"] * bool(missing)
        return found

    def _keys(self, connection: duckdb.DuckDBPyConnection, stream: str) -> list[tuple[Any, ...]]:
        keys = [f'"{key}"' for key in warehouse.KEYS[self.name, stream]]
        table = f'"tap_{self.name}"."{stream}"'
        kinds = connection.sql(f"SELECT {', '.join(keys)} FROM {table}").types  # noqa: S608 - own names
        # The Python client would need pytz for the zone: as epoch microseconds an instant needs nothing.
        columns = [
            f"epoch_us({key})" if str(kind).startswith("TIMESTAMP") else key
            for key, kind in zip(keys, kinds, strict=True)
        ]
        return connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608 - same

    def truth(self, stream: str) -> warehouse.Rows:
        """Return the rows that the file must hold of a stream: the vendor's from the taps' start_date on."""
        return warehouse.expected(cast("Sandbox", self.box), self.name, stream, BEGIN)

    def compare(self) -> None:
        """Compare the file with the vendor, field by field, and look for credentials in all that was written."""
        for stream in VENDORS[self.name]:
            held = warehouse.duckdb_rows(self.file, self.name, stream) if stream in self.rows else {}
            self.problems += [f"{stream}: {line}" for line in differences(self.truth(stream), held)]
            self.rows[stream] = len(held)
            seen = repr(held).encode()  # values may be packed in the file
            if any(form in seen for secret in self.secrets for form in forms(secret)):
                self.problems.append(f"a credential is in the rows of {stream}")
        self.problems += leaks(self.folder, self.secrets)
