"""Bookmark: past what is proven and written, compared as instants, one small state per stream or partition.

State is the SDK's own form, so that Meltano's state commands read, set and merge it:

    {"bookmarks": {"calls": {"replication_key": "created_at", "replication_key_value": "2026-01-31T08:00:00+00:00"}}}

and for a stream with partitions `{"partitions": [{"context": {…}, "replication_key": …, "replication_key_value": …}]}`.
Beside its bookmark a stream keeps the `account` it was read from, so that a state of another account is never gone on
from; it stands there, and not once for all, because Airbyte keeps and Meltano merges the state of each stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trunkline import instants
from trunkline.errors import StateInvalid, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

_KEY, _VALUE, _PARTS = "replication_key", "replication_key_value", "partitions"
_ACCOUNT = "account"
_PORTS = {"https": 443, "http": 80}


def check(state: Any) -> dict[str, Any]:
    """Return the state as given, or raise an error that names what is wrong with it.

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


# -- whose state it is -------------------------------------------------------------------------------------------------


def account(config: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """Return the settings that a state keeps of its account: those that are no secret, in clear.

    Args:
        config: The settings.
        names: Those that distinguish accounts.
    """
    return {name: _address(str(config[name])) if name == "api_url" else str(config[name]).strip() for name in names}


def _address(url: str) -> str:
    """Return an address as it is compared: without what makes no other server of it."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").rstrip(".")
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"


def claim(state: dict[str, Any], ours: Mapping[str, str], streams: Collection[str], *, moved: bool) -> list[str]:
    """Check that a state belongs to this tap and account; one without an account is marked with this one from now on.

    Args:
        state: The tap's state, changed in place.
        ours: The account, from `account`.
        streams: The tap's streams.
        moved: Whether the bookmarks of another account are to be gone on from.

    Returns:
        What the user is to know, in lines.

    Raises:
        StateInvalid: It is another tap's, or another account's.
    """
    kept = {name: entry for name, entry in state.get("bookmarks", {}).items() if entry.get(_VALUE) or entry.get(_PARTS)}
    strange = sorted(set(kept) - set(streams))
    if strange and len(strange) == len(kept):
        raise StateInvalid(
            "the state belongs to another tap",
            f"it has bookmarks of {_listed(strange)}, and the streams of this tap are {', '.join(streams)}",
            "Give the state that this tap has written, or none, to start again from start_date",
        )
    lines = [f"the state has bookmarks of {_listed(strange)}, no stream of this tap: they are left alone"] * bool(
        strange
    )
    for name in streams:
        if name not in kept:
            continue
        theirs = _read_account(kept[name])
        if any(_plain(theirs[part]) != _plain(ours[part]) for part in theirs.keys() & ours.keys()):
            if not moved:
                raise StateInvalid(
                    "the state belongs to another account",
                    f"{name} was read from {_described(theirs)}, the config has {_described(ours)}",
                    "Use the state of this account; or none, to start again from start_date; or, if it is the same "
                    "account at another address, set new_account to true for one run",
                    code="state-of-another-account",
                )
            lines.append(
                f"{name}: the bookmark of {_described(theirs)} is kept for {_described(ours)}, as new_account is set"
            )
        kept[name][_ACCOUNT] = dict(ours)
    return lines


def _read_account(entry: Mapping[str, Any]) -> dict[str, str]:
    account = entry.get(_ACCOUNT)
    if not isinstance(account, dict):
        return {}
    return {name: value for name, value in account.items() if isinstance(value, str)}


def _plain(value: str) -> str:
    """Return a value of an account as it is compared: an address or a name is the same in capitals."""
    return value.strip().rstrip("/").casefold()


def _described(of: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {printable(value)}" for name, value in of.items())


def _listed(names: list[str]) -> str:
    return ", ".join(printable(name) for name in names[:_MOST_NAMES]) + " and others" * (len(names) > _MOST_NAMES)


_MOST_NAMES = 10


def ahead(state: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield the bookmarks of a state that lie in the future, in lines: set by hand, or by a wrong clock."""
    for name, entry in state.get("bookmarks", {}).items():
        parts = entry.get(_PARTS)
        for part in (entry, *(parts if isinstance(parts, list) else ())):
            try:
                at = instants.from_iso(part[_VALUE])
            except (KeyError, ValueError, TypeError, OverflowError):  # none, or reported when it is used
                continue
            if at > now:
                context = part.get("context")
                where = ", ".join(map(str, context.values())) if isinstance(context, dict) else ""
                label = printable(f"{name} of {where}" if where else name)
                yield (
                    f"{label}: the bookmark {instants.to_iso(at)} is in the future; it counts as the run's start, "
                    f"{instants.to_iso(now)}"
                )


class Bookmark:
    """The bookmark of one stream, or of one of its partitions, inside the tap's state.

    Args:
        state: The tap's state, changed in place.
        stream: The stream's name.
        key: The stream's replication key.
        context: What names the partition, if there is one.
        run_start: No bookmark is later than this.
        account: What is remembered of the account.
    """

    def __init__(  # noqa: PLR0913 - what makes one bookmark of a state
        self,
        state: dict[str, Any],
        stream: str,
        key: str,
        *,
        context: Mapping[str, Any] | None = None,
        run_start: datetime,
        account: Mapping[str, str] | None = None,
    ) -> None:
        self.stream, self.key, self.context, self.run_start = stream, key, dict(context or {}), run_start
        self._state, self._account = state, account
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
        if self._account:
            entry[_ACCOUNT] = dict(self._account)
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


def drop_markers(state: dict[str, Any]) -> None:
    """Remove what an interrupted run of the SDK's own machinery leaves: half a bookmark is none."""
    for entry in state.get("bookmarks", {}).values():
        partitions = entry.get("partitions")
        for part in (entry, *(partitions if isinstance(partitions, list) else ())):
            for name in ("progress_markers", "starting_replication_value", "replication_key_signpost"):
                if isinstance(part, dict):
                    part.pop(name, None)
