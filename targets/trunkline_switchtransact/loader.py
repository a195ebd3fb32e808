"""From Singer lines to settled records: which STATE may go out, and what a run reports.

A STATE goes to standard output as it came, once every record before it has ended: written, already written, rejected,
or in doubt and skipped. After a record that is in doubt, none does.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.mapper import RemoveRecordTransform

from trunkline.errors import Stopped, TrunklineError
from trunkline.signals import Signals
from trunkline.steps.shape import mapped, maps
from trunkline_loader.errors import InputError, shown
from trunkline_loader.messages import InputLines, Message, MessageHandler, write_state
from trunkline_switchtransact.calls import CALLS, Call, content_identity, digest, key_identity, numbered
from trunkline_switchtransact.errors import InDoubt, VendorDown
from trunkline_switchtransact.sender import End, Order, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from singer_sdk.mapper import PluginMapper, StreamMap

    from trunkline_switchtransact.ledger import Ledger
    from trunkline_switchtransact.orders import Orders, Preview

ROOM = 512
"""Records read and not yet settled, at most: what bounds the memory."""

LOOK_AROUND = 5.0
"""Seconds between two looks at what happened when no line comes."""

_STATES_HELD = 16
_SETTLED = {End.WRITTEN, End.ALREADY, End.REJECTED, End.SKIPPED}
_WELL = {End.WRITTEN, End.ALREADY, End.PLANNED}


class States:
    """The STATEs that came, and the one to pass on: the last one before the first record that has not ended."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}  # turns, in order
        self._held: list[tuple[int, bytes]] = []
        self._turn = 0

    def begin(self) -> int:
        """Note that a record came, and return its turn."""
        self._turn += 1
        self._open[self._turn] = None
        return self._turn

    def end(self, turn: int) -> None:
        """Note that a record has ended."""
        self._open.pop(turn, None)

    def hold(self, state: bytes) -> None:
        """Note that a state came."""
        if self._held and self._held[-1][0] == self._turn:
            del self._held[-1]
        self._held.append((self._turn, state))
        if len(self._held) > _STATES_HELD:
            del self._held[1::2]  # a state is a whole one: some of those in between can be spared

    def due(self) -> bytes | None:
        """Return the state to pass on now, if there is a new one."""
        first = next(iter(self._open), self._turn + 1)
        found = None
        while self._held and self._held[0][0] < first:
            found = self._held.pop(0)[1]
        return found


class Loader(MessageHandler):
    """Reads Singer messages and has their records written.

    Args:
        ledger: Open.
        orders: What becomes of the records.
        mapper: The SDK's stream maps.
        zone: Whose clocks the vendor's times are on.
        logger: For the lines a user sees.
    """

    place = "the input, line {}"
    before = ""

    def __init__(
        self, ledger: Ledger, orders: Orders | Preview, *, mapper: PluginMapper, zone: ZoneInfo, logger: logging.Logger
    ) -> None:
        super().__init__()
        self._ledger, self._orders, self._mapper, self._zone, self._logger = ledger, orders, mapper, zone, logger
        self._signals: Signals
        self._states = States()
        self._records: Counter[str] = Counter()
        self._looked_at: set[bytes] = set()  # what an earlier run left and this one has reported
        self._ignored: set[str] = set()
        self._changed = 0
        self.ends: Counter[End] = Counter()
        """How many records ended in each way."""

    # -- a run ---------------------------------------------------------------------------------------------------------

    def run(self, source: IO[str] | None) -> int:
        """Write the whole input.

        Args:
            source: Where Singer messages come from; None is standard input.

        Returns:
            The exit code: 0 when every record is written, 128 and the number after a signal, else 1.
        """
        lines = InputLines(source, timeout=LOOK_AROUND)
        self._orders.wake = lines.wake

        def noticed(_signum: int) -> None:
            lines.wake()
            self._orders.interrupt()

        error: Exception | None = None
        with Signals(noticed) as self._signals:
            try:
                error = self._work(lines)
            except Stopped:  # what is in flight has hung
                for result in [*self._orders.halt(), *self._orders.give_up()]:
                    self._ended(result)
            self._orders.close()
            return self._report(error, self._signals.number)

    def _work(self, lines: InputLines) -> Exception | None:
        """Write the records that earlier runs left and those that come; return the error that ended it early."""
        error: Exception | None = None
        try:
            self._settle_earlier()
            self._read(lines)
        except TrunklineError as exc:
            error = exc
        try:
            self._settle_rest(send=error is None or isinstance(error, InputError))
        except TrunklineError as exc:
            error = error or exc
        return error

    @property
    def _halting(self) -> bool:
        return self._signals.number is not None or self._orders.stopping is not None

    def _settle_earlier(self) -> None:
        """Find out about what earlier runs left in doubt, before anything is read.

        Raises:
            InDoubt: Something is still in doubt, and somebody must decide about it.
        """
        for order in self._orders.earlier():
            self._orders.take(order)
            self._looked_at.add(order.identity)
        while self._orders.count and not self._halting:
            self._advance(wait=True)
        if self.ends[End.DOUBT] and not self._halting:
            raise InDoubt(self.ends[End.DOUBT])

    def _read(self, lines: InputLines) -> None:
        for line in lines:
            if line is not None:
                self.take(line, cut=lines.unfinished)
            self._advance()
            while self._orders.count >= ROOM and not self._halting:
                self._advance(wait=True)
            if self._halting:
                return

    def _settle_rest(self, *, send: bool) -> None:
        """Bring what was read to an end; without `send`, or when the run can't go on, only what is in flight."""
        while send and self._orders.count and not self._halting:
            self._advance(wait=True)
        for result in self._orders.halt():
            self._ended(result)
        while not self._orders.idle:
            self._advance(wait=True)

    def _advance(self, *, wait: bool = False) -> None:
        for result in self._orders.advance(wait=wait):
            self._ended(result)
        # In a dry run nothing was written, and must come again.
        if not self._orders.dry and not self._all_rejected and (state := self._states.due()):
            write_state(state, "What was written is in the ledger.")

    @property
    def _all_rejected(self) -> bool:
        """Whether every record was rejected: then the map is wrong, and with a state passed on they would be lost."""
        return bool(self.ends[End.REJECTED]) and not self.ends.keys() - {End.REJECTED}

    def _ended(self, result: Result) -> None:
        """Count and log how a record ended."""
        order, end = result.order, result.end
        if end in _SETTLED or self._orders.dry:
            self._states.end(order.turn)
        if order.turn and order.identity in self._looked_at:
            self._looked_at.discard(order.identity)
            if end in {End.ALREADY, End.SKIPPED}:
                return  # reported when this run began
        self.ends[end] += 1
        if end is End.ALREADY and result.why:
            self._changed += 1
        elif end is End.PLANNED:
            self._logger.info("%s: would be sent: POST %s %s", order.about, order.call.path, order.shown)
        elif end is End.REJECTED:
            self._logger.error("%s: rejected: %s [rejected]", order.about, result.why)
        elif end in {End.DOUBT, End.SKIPPED}:
            label = self._ledger.label(order.identity)
            self._logger.error("%s [%s]: %s: %s", order.about, label, end.value, result.why)

    # -- messages ------------------------------------------------------------------------------------------------------

    def schema(self, message: Message) -> None:
        """Map a stream to the calls that take it."""
        name, schema, _ = self.properties(message)
        try:
            self._mapper.register_raw_stream_schema(name, schema, message.key_properties)
        except Exception as exc:  # noqa: BLE001 - the SDK raises many kinds for a map that is wrong
            found = "; ".join(maps.errors(self._mapper.stream_maps_dict)) or maps.describe_error(exc)
            raise self.fault(f"stream_maps don't fit stream {shown(name)}: {found}", "Correct stream_maps") from None
        for stream_map in self._mapper.stream_maps[name]:
            if stream_map.stream_alias not in CALLS and not isinstance(stream_map, RemoveRecordTransform):
                raise self.fault(
                    f"stream {shown(stream_map.stream_alias)} is none that SwitchTransact takes: contacts, call_logs",
                    "Map it to one of them (stream_maps with __alias__), or leave it out in the tap's catalog or with "
                    "a map that is null",
                )

    def record(self, message: Message) -> None:
        """Put the records that the stream maps make of one in line."""
        name = message.stream
        if name is None:
            raise self.fault("a RECORD without a stream")
        chosen = self._mapper.stream_maps.get(name)
        if chosen is None:
            raise self.fault(f"a RECORD of stream {shown(name)} came before its SCHEMA")
        try:
            record = msgspec.json.decode(message.record) if len(message.record) else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self.fault(f"the RECORD of stream {shown(name)} is no JSON that can be read") from None
        if not isinstance(record, dict):
            raise self.fault(f"the RECORD of stream {shown(name)} is no object")
        for stream_map in chosen:
            made = self._mapped(stream_map, record)
            if made is not None:
                self._order(CALLS[stream_map.stream_alias], made, stream_map.transformed_key_properties or ())

    def _mapped(self, stream_map: StreamMap, record: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return stream_map.transform(dict(record))
        except Exception as exc:  # noqa: BLE001 - an expression of the user's can raise anything
            raise self.fault(
                f"stream_maps of stream {shown(stream_map.stream_alias)} can't be applied to the record: "
                f"{mapped.describe_error(exc, record)}",
                "Correct the expression, for example for a value that is null",
            ) from None

    def _order(self, call: Call, record: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Check a record and put it in line."""
        self._records[call.stream] += 1
        place = f"record {self._records[call.stream]} (line {self._line})"
        if keys:
            known_by = key_identity(call.stream, record, keys)
        else:
            alike = content_identity(call.stream, record)
            known_by = numbered(alike, self._ledger.ordinal(alike))
        body, problems = call.body(record, keys, self._zone)
        if problems:
            self.ends[End.REJECTED] += 1
            self._logger.error("%s, %s: rejected, nothing was sent: %s", call.stream, place, "; ".join(problems))
            return
        turn = self._states.begin()
        identity, content = self._ledger.keyed(known_by), self._ledger.keyed(digest(body))
        self._orders.take(Order(call, body, identity, content, place, call.lane(body), turn))

    def state(self, message: Message) -> None:
        """Hold a state until the records before it have ended."""
        self._states.hold(self.state_value(message))

    def activate_version(self, message: Message) -> None:
        """Ignore a version: what was written can't be undone."""
        name = message.stream or ""
        if name not in self._ignored:
            self._ignored.add(name)
            self._logger.info("Stream %s: ACTIVATE_VERSION is ignored; nothing is ever deleted", shown(name))

    # -- the end -------------------------------------------------------------------------------------------------------

    def _report(self, error: Exception | None, signum: int | None) -> int:
        """Log what ended the run and, at the very end, how many records ended how.

        Returns:
            The exit code.
        """
        if self._changed:
            self._logger.warning(
                "%d records came again with other values: the vendor has no call that changes what was written",
                self._changed,
            )
        if signum is not None:
            self._logger.warning("stopped by signal %d: what was in flight was waited for, but not for long", signum)
        if self._all_rejected:
            self._logger.error(
                "every record was rejected, so no state was passed on. Correct the stream map or tap, then run again "
                "[rejected]"
            )
        stopping = self._orders.stopping
        if isinstance(stopping, Result):
            stopping = VendorDown() if stopping.end is End.SKIPPED else InDoubt(self.ends[End.DOUBT])
        for sentence in dict.fromkeys(map(_sentence, filter(None, (error, stopping)))):
            self._logger.error(sentence)
        # The counts are a promise, at any log level.
        self._logger.log(max(logging.INFO, self._logger.getEffectiveLevel()), self.counts)
        if signum is not None:
            return 128 + signum
        return 1 if error or stopping or self.ends.keys() - _WELL else 0

    @property
    def counts(self) -> str:
        """Describe how many records ended in each way."""
        ends = self.ends
        parts = [
            f"{ends[End.WRITTEN]} written",
            f"{ends[End.ALREADY]} already written",
            f"{ends[End.REJECTED]} rejected",
            f"{ends[End.DOUBT] + ends[End.SKIPPED]} in doubt",
            *[f"{ends[end]} {end.value}" for end in (End.UNSENT, End.PLANNED) if ends[end]],
        ]
        return ", ".join(parts)


def _sentence(error: Exception) -> str:
    if not isinstance(error, TrunklineError):
        advice = (
            "This is a fault of the target: look at the vendor whether the records in doubt are there, and report it"
        )
        error = TrunklineError(f"unexpected {type(error).__name__}", str(error), advice, code="unexpected")
    return str(error)
