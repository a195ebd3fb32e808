"""Changes at a vendor during the soak."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tools.soak import BEGIN, DAYS, LOOKBACKS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tools.soak.box import Box


class Growth:
    """Lets time pass at a vendor: rows arrive, some late but within the lookback, and some change.

    Args:
        vendor: Its name.
        box: Where its rows are.
        dice: Decides everything.
    """

    def __init__(self, vendor: str, box: Box, dice: random.Random) -> None:
        self.vendor, self._box, self._dice = vendor, box, dice
        self.present = BEGIN + timedelta(days=DAYS)
        self.mine: list[tuple[datetime, dict[str, Any]]] = []
        self._number = 900_000
        self._reach = timedelta(hours=LOOKBACKS.get(vendor, 24)) * 0.7
        self._open: list[dict[str, Any]] = []
        self._more: Callable[[], None] = getattr(self, f"_{vendor}")

    def step(self) -> None:
        """Let a little time pass."""
        before = self.present
        self.present += timedelta(minutes=self._dice.randint(10, 40))
        self._since = before
        self._more()

    def _fresh(self) -> datetime:
        """Return an instant since the last step."""
        return self._since + (self.present - self._since) * self._dice.random()

    def _late(self) -> datetime:
        """Return an instant within the lookback of every run to come, as no bookmark is later than the present."""
        return self.present - self._reach * self._dice.random()

    def _arrivals(self, most: int) -> Iterator[tuple[int, datetime]]:
        """Yield numbers and times of new rows, the last one late."""
        for moment in [self._fresh() for _ in range(self._dice.randint(1, most))] + [self._late()]:
            self._number += 1
            yield self._number, moment

    def _edited(self) -> Iterator[dict[str, Any]]:
        """Yield a row that may change, as it is within the lookback of every run to come."""
        self.mine = [(moment, row) for moment, row in self.mine if moment >= self.present - self._reach]
        if self.mine:
            yield self._dice.choice(self.mine)[1]

    def _bspk(self) -> None:
        rows = []
        for number, moment in self._arrivals(8):
            created = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
            key = {"sales_associate_id": f"SA_{number % 7}", "client_id": f"CLI_{number}", "created_at": created}
            rows.append({**key, "client_name": f"Zoë {number}", "to": f"+2772{number:07d}"})
            self.mine.append((moment, key))
        rows += [{**key, "client_name": f"Łukasz {self._number}"} for key in self._edited()]
        self._box.upsert("bspk", "calls", *rows)

    def _hostedsuite(self) -> None:
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(8):
            key = {"Id": f"{number:024x}", "StartTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
            rows.append({**key, "Notes": f"☎ {number}", "TalkTimeInSeconds": number / 4, "Type": "Incoming"})
            self.mine.append((moment, key))
        rows += [{**key, "Notes": f"changed {self._number}", "Flagged": True} for key in self._edited()]
        self._box.upsert("hostedsuite", "calls", *rows)

    def _conpeek(self) -> None:
        """Close and open requests: an open one is read with every run, however old; a closed one has a new date."""
        stream, now = "voice_campaign_requests", f"{self.present:%Y-%m-%d %H:%M:%S}"
        campaigns = self._box.config("conpeek")["voice_campaign_ids"]
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(6):
            key = {"id": f"{number:024x}", "voice_campaign_id": self._dice.choice(campaigns)}
            key["created_date"] = f"{moment:%Y-%m-%d %H:%M:%S}"
            rows.append({**key, "state": "OPEN", "custom": {"umowa": number}, "priority": number % 10})
            self._open.append(key)
        self._dice.shuffle(self._open)
        rows += [{**key, "case_state": f"W toku {self._number}"} for key in self._open[:2]]
        closing, self._open = self._open[2:6], [*self._open[:2], *self._open[6:]]
        rows += [{**key, "state": "CLOSED", "closed_date": now, "close_reason": "CALL_ENDED"} for key in closing]
        self._box.upsert("conpeek", stream, *rows)

    def _evolux(self) -> None:
        """Add fewer rows than elsewhere: each costs a request of its own."""
        if self._dice.random() >= 0.25:  # noqa: PLR2004 - one in four
            return
        rows: list[dict[str, Any]] = []
        for number, moment in self._arrivals(1):
            key = {"id": number, "start_time": f"{moment:%Y-%m-%dT%H:%M:%S}+00:00"}
            flow = {"id": number % 3, "name": "Recepção"}
            rows.append({**key, "uuid": f"soak-{number}", "duration": number % 600, "call_flow": flow, "caller": "600"})
            self.mine.append((moment, key))
        rows += [{**key, "exit_reason": f"changed {self._number}", "duration": 7} for key in self._edited()]
        self._box.upsert("evolux", "studio_calls", *rows)

    def _switchtransact(self) -> None:
        """Add a contact that a configured term finds; change another in what no lookup looks at."""
        self._number += 1
        term = self._box.config("switchtransact")["terms"][0]
        new = {"id": f"soak-{self._number}", "firstname": "Zoë", "lastname": f"No. {self._number}", "company": term}
        rows = [new] if self._dice.random() < 0.2 else []  # noqa: PLR2004 - one in five
        self.mine.extend((self.present, {"id": row["id"]}) for row in rows)
        rows += [{**key, "customer_number": f"C-{self._number}"} for key in self._edited()]
        if rows:
            self._box.upsert("switchtransact", "contacts", *rows)
