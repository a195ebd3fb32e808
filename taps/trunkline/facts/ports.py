"""The tap and the run, as the parts of a vendor see them: its streams, its signing, its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from trunkline.sdk import Records
    from trunkline.steps.bookmark import Bookmark
    from trunkline.steps.feeds import WindowProven, WindowUnsettled
    from trunkline.steps.fetch.client import Client
    from trunkline.steps.plan import Start
    from trunkline.steps.shape.shape import Shape


class OwningTap(Protocol):
    """The tap of a stream."""

    vendor: ClassVar[str]
    settings: ClassVar[Any]
    common: ClassVar[Any]
    required_to_start: ClassVar[Sequence[str]]
    filter_hint: ClassVar[str]
    denials: int
    run_start: datetime
    keep_settings: Callable[[Mapping[str, str]], None] | None

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings, checked and with their defaults."""

    @property
    def client(self) -> Client:
        """The client that sends all requests of the tap."""

    @property
    def bookmarks(self) -> dict[str, Any]:
        """The tap's state as it will be written."""

    @property
    def account(self) -> Mapping[str, str]:
        """The settings that identify the account, for the state."""

    @property
    def logger(self) -> logging.Logger:
        """The tap's logger."""

    def is_set(self, setting: str) -> bool:
        """Return whether the user has set a setting, be it to its default."""

    def hint(self, status: int) -> str:
        """Return the remedy for a response with this status."""

    def read_records(self, stream: Any, context: Mapping[str, Any] | None) -> Records:
        """Read a stream without writing messages or moving its bookmark."""

    def sync_records(self, stream: Any, context: Mapping[str, Any] | None, *, writes: bool) -> Records:
        """Read a stream as its `sync` does: each record is written before it is handed out."""


class StreamState(Protocol):
    """A stream in the run that reads it: what makes its records, how far it has come, and how it failed."""

    shape: Shape
    rows: int
    missing: int
    keyless: int
    repeated: int
    notes: list[str]
    failures: list[str]
    failure: Exception | None

    def label(self, context: Mapping[str, Any]) -> str:
        """Return the stream's name, and its partition's if there is one, for log lines."""

    def bookmark(self, context: Mapping[str, Any]) -> Bookmark:
        """Return the bookmark of the stream, or of one of its partitions."""

    def begin_partition(self, context: Mapping[str, Any], source: Any, others: Sequence[Any] = ()) -> Start | None:
        """Log where reading starts and why; None when there is nothing to do."""

    def take(self, context: Mapping[str, Any], batch: Any, stopped: Callable[[], None] = ..., /) -> None:
        """Write what a feed handed out."""

    def proven(self, context: Mapping[str, Any], item: WindowProven) -> bool:
        """Move the bookmark past a window that adds up and was written."""

    def unsettled(self, context: Mapping[str, Any], item: WindowUnsettled) -> None:
        """Leave the newest part of the run to the next one."""

    def hold_bookmark(self, context: Mapping[str, Any], instant: datetime) -> None:
        """Let no bookmark of the partition pass an instant in this run."""

    def fail(self, context: Mapping[str, Any], error: Exception) -> None:
        """Note a failure; without a partition it is the whole stream's."""
