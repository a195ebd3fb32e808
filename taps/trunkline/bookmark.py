"""Bookmark: past what is proven and written, compared as instants, one small state per stream or partition.

State is the SDK's own form, so that Meltano's state commands read, set and merge it:

    {"bookmarks": {"calls": {"replication_key": "created_at", "replication_key_value": "2026-01-31T08:00:00+00:00"}}}

and for a stream with partitions `{"partitions": [{"context": {…}, "replication_key": …, "replication_key_value": …}]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.errors import StateInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_KEY, _VALUE = "replication_key", "replication_key_value"


def check(state: Any) -> dict[str, Any]:
    """The state as given, or an error that says what is wrong with it.

    Args:
        state: The content of the file given with `--state`.

    Returns:
        The state, ready for `Tap.load_state`.

    Raises:
        StateInvalid: It is no state of a Singer tap on this SDK.
    """
    if state is None:
        return {}
    if isinstance(state, dict) and state.get("type") == "STATE":
        state = state.get("value")  # a whole STATE line, as a pipe keeps it
    if isinstance(state, dict) and isinstance(state.get("singer_state"), dict):
        state = state["singer_state"]  # as Meltano prints it
    if not isinstance(state, dict):
        raise _invalid("it is no JSON object")
    bookmarks = state.get("bookmarks", {})
    if state and "bookmarks" not in state:
        raise _invalid("it has no 'bookmarks'")
    if not isinstance(bookmarks, dict) or not all(isinstance(entry, dict) for entry in bookmarks.values()):
        raise _invalid("'bookmarks' is not an object of objects")
    return state


def _invalid(why: str) -> StateInvalid:
    return StateInvalid(
        "the state can't be read",
        why,
        'Give the value of a STATE line of this tap: {"bookmarks": {…}}; or none, to start again from start_date',
    )


class Bookmark:
    """The bookmark of one stream, or of one of its partitions, inside the tap's state.

    Args:
        state: The tap's state, changed in place.
        stream: The stream's name.
        key: The stream's replication key.
        context: What names the partition, if there is one.
        run_start: No bookmark is later than this.
    """

    def __init__(
        self,
        state: dict[str, Any],
        stream: str,
        key: str,
        *,
        context: Mapping[str, Any] | None = None,
        run_start: datetime,
    ) -> None:
        self.stream, self.key, self.context, self.run_start = stream, key, dict(context or {}), run_start
        self._state = state
        self.value = self._load()

    def _load(self) -> datetime | None:
        entry = self._find()
        if entry is None or entry.get(_VALUE) is None:
            return None
        if entry.get(_KEY, self.key) != self.key:
            raise StateInvalid(
                f"the bookmark of {self.stream} can't be continued",
                f"it counts by {entry[_KEY]}, this release by {self.key}",
                f"Remove bookmarks.{self.stream} from the state to start again from start_date",
            )
        try:
            value = instants.from_iso(entry[_VALUE])
        except (ValueError, TypeError, OverflowError):
            raise StateInvalid(
                f"the bookmark of {self.stream} can't be read",
                f"{_VALUE} is no ISO 8601 date-time",
                f"Correct bookmarks.{self.stream} in the state, or remove it to start again from start_date",
            ) from None
        if value > self.run_start:  # a phone with a wrong clock; left as it is, it would outrun every later run
            self.value = self.run_start
            self._store()
        return min(value, self.run_start)

    def _find(self) -> dict[str, Any] | None:
        entry: dict[str, Any] | None = self._state.get("bookmarks", {}).get(self.stream)
        if not self.context or entry is None:
            return entry
        partitions = entry.get("partitions", [])
        if not isinstance(partitions, list) or not all(isinstance(partition, dict) for partition in partitions):
            raise _invalid(f"bookmarks.{self.stream}.partitions is not a list of objects")
        return next((partition for partition in partitions if partition.get("context") == self.context), None)

    def advance(self, instant: datetime | None) -> bool:
        """Move to an instant that was emitted and proven.

        Returns:
            Whether the state has changed: never back, never past the run's start.
        """
        if instant is None:
            return False
        instant = min(instant, self.run_start)
        if self.value is not None and instant <= self.value:
            return False
        self.value = instant
        self._store()
        return True

    def _store(self) -> None:
        assert self.value is not None  # noqa: S101 - only called after it was set
        entry = self._state.setdefault("bookmarks", {}).setdefault(self.stream, {})
        if self.context:
            # What an unpartitioned release left here would contradict the partitions.
            entry.pop(_KEY, None), entry.pop(_VALUE, None)
            partitions = entry.setdefault("partitions", [])
            entry = next((part for part in partitions if part.get("context") == self.context), None)
            if entry is None:
                entry = {"context": dict(self.context)}
                partitions.append(entry)
        else:
            entry.pop("partitions", None)
        entry[_KEY], entry[_VALUE] = self.key, instants.to_iso(self.value)


def clean(state: dict[str, Any]) -> None:
    """Remove what an interrupted run of the SDK's own machinery leaves: half a bookmark is none."""
    for entry in state.get("bookmarks", {}).values():
        partitions = entry.get("partitions")
        for part in (entry, *(partitions if isinstance(partitions, list) else ())):
            for name in ("progress_markers", "starting_replication_value", "replication_key_signpost"):
                if isinstance(part, dict):
                    part.pop(name, None)
