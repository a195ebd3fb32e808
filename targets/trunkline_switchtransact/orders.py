"""Which record is sent when: in order per contact, many contacts at once, each noted before and after.

Only the calling thread decides and notes; threads do nothing but send. What is ready at one moment is noted together,
so that the disk is waited for once.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from trunkline_switchtransact.calls import CALLS, CREATE, gist, is_e164
from trunkline_switchtransact.errors import LedgerError
from trunkline_switchtransact.ledger import REJECTED, SKIPPED, WRITTEN, Entry
from trunkline_switchtransact.sender import End, Order, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trunkline_switchtransact.ledger import Ledger
    from trunkline_switchtransact.sender import Sender

DOWN_AFTER = 5
"""Records in doubt one after the other after which `skip` goes no further: the vendor is down, not a record odd."""


class Orders:
    """Sends records through a sender.

    Args:
        ledger: Where intents and outcomes are noted.
        sender: Brings one record to its end.
        concurrency: Records in flight at most; one until the run's first response.
    """

    dry = False

    def __init__(self, ledger: Ledger, sender: Sender, concurrency: int) -> None:
        self._ledger, self._sender, self._concurrency = ledger, sender, concurrency
        self.wake: Callable[[], None] = lambda: None
        """Called by a thread that has finished; must be safe to call from any thread."""
        self._lanes: dict[str, deque[Order]] = {}  # the first of a lane is in flight, or ready
        self._ready: deque[Order] = deque()
        self._lane_of: dict[bytes, str] = {}
        self._held: Counter[bytes] = Counter()  # by identity: a record may come again while it is on its way
        self._flying: set[bytes] = set()
        self._results: SimpleQueue[Result | None] = SimpleQueue()
        self._jobs: SimpleQueue[Order | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._doubts = 0  # one after the other
        self.count = 0
        """Records taken and not yet ended."""
        self.stopping: Exception | Result | None = None
        """Why nothing more is sent: an error, or a record in doubt that somebody must decide about."""

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._flying

    def earlier(self) -> Iterator[Order]:
        """Yield the records that earlier runs left in doubt, as orders."""
        for entry in self._ledger.doubtful():
            call = CALLS[entry.stream]
            yield Order(
                call,
                entry.body,
                entry.identity,
                entry.content,
                f"{entry.place} of an earlier run",
                call.lane(entry.body),
                doubt="an earlier run ended before its outcome was known",
                sent_at=entry.sent_at,
            )

    def take(self, order: Order) -> None:
        """Put a record behind those of its lane; `advance` sends it."""
        # The same record again waits for the first to end, even if it names another number now.
        order.lane = self._lane_of.setdefault(order.identity, order.lane)
        self._held[order.identity] += 1
        self.count += 1
        lane = self._lanes.setdefault(order.lane, deque())
        lane.append(order)
        if len(lane) == 1:
            self._ready.append(order)

    def advance(self, *, wait: bool = False) -> list[Result]:
        """Note what has ended, and send what can be sent now.

        Args:
            wait: Wait until something has ended, if anything is in flight. A word by `interrupt` ends the wait.

        Returns:
            What has ended. A record whose outcome could not be noted is in doubt. See `stopping` for what ends the run.
        """
        ended = self._ended(wait=wait and not self.idle)
        for result in ended:
            self._watch(result)
            self._leave(result.order)
        if not ended and not self._can_start:
            return []
        starting: list[Order] = []
        at_once: list[Result] = []
        try:
            with self._ledger.together():
                for result in ended:
                    self._note(result)
                for order in self._next(at_once):
                    starting.append(order)
                    self._intend(order)
        except LedgerError as exc:
            self.stopping = self.stopping or exc
            self._flying.difference_update(order.identity for order in starting)
            return [*at_once, *(_unnoted(result, exc) for result in ended)]
        for order in starting:
            self._send(order)
        return [*ended, *at_once]

    def interrupt(self) -> None:
        """End a wait in `advance`; safe to call from a signal handler."""
        self._results.put(None)

    def halt(self) -> list[Result]:
        """Send nothing more.

        Returns:
            The records that were not sent. Those in flight still end, in `advance`.
        """
        self._sender.cancelled.set()
        waiting = [order for lane in self._lanes.values() for order in lane if order.identity not in self._flying]
        self._lanes = {name: deque([lane[0]]) for name, lane in self._lanes.items() if lane[0].identity in self._flying}
        self._ready.clear()
        for order in waiting:
            self._forget(order)
        return [Result(order, End.DOUBT if order.doubt else End.UNSENT, order.doubt) for order in waiting]

    def give_up(self) -> list[Result]:
        """Wait no longer for what is in flight, once nothing more is sent: its intent is noted, and no outcome is."""
        why = "a signal ended the run before the vendor responded"
        return [Result(lane[0], End.DOUBT, why) for lane in self._lanes.values()]

    def close(self) -> None:
        """Let the threads end."""
        for _ in self._threads:
            self._jobs.put(None)

    # -- what ended ----------------------------------------------------------------------------------------------------

    def _ended(self, *, wait: bool) -> list[Result]:
        found: list[Result] = []
        try:
            result = self._results.get(block=wait)
            while True:
                if result is not None:
                    found.append(result)
                result = self._results.get_nowait()
        except Empty:
            return found

    def _note(self, result: Result) -> None:
        identity = result.order.identity
        if result.end is End.WRITTEN:
            self._ledger.settle(identity, WRITTEN)
        elif result.end is End.REJECTED:
            self._ledger.settle(identity, REJECTED)
        elif result.end is End.UNSENT:
            self._ledger.withdraw(identity)
        elif result.end is End.SKIPPED:
            self._ledger.settle(identity, SKIPPED)

    def _watch(self, result: Result) -> None:
        """Decide whether the run can go on."""
        ours = result.order.turn > 0  # what an earlier run left is looked at as a whole before anything is read
        if result.end in {End.WRITTEN, End.REJECTED}:
            self._doubts = 0
        elif result.end is End.SKIPPED and ours:
            self._doubts += 1
        if result.error is not None:
            self.stopping = self.stopping or result.error
        elif ours and (result.end is End.DOUBT or self._doubts >= DOWN_AFTER):
            self.stopping = self.stopping or result

    def _leave(self, order: Order) -> None:
        """Let the next of the lane have its turn."""
        self._flying.discard(order.identity)
        self._forget(order)
        lane = self._lanes[order.lane]
        lane.popleft()
        if lane:
            self._ready.append(lane[0])
        else:
            del self._lanes[order.lane]

    def _forget(self, order: Order) -> None:
        self.count -= 1
        self._held[order.identity] -= 1
        if not self._held[order.identity]:
            del self._held[order.identity], self._lane_of[order.identity]

    # -- what is sent --------------------------------------------------------------------------------------------------

    @property
    def _can_start(self) -> bool:
        most = self._concurrency if self._sender.client.responded.is_set() else 1
        return bool(self._ready) and self.stopping is None and len(self._flying) < most

    def _next(self, at_once: list[Result]) -> Iterator[Order]:
        """Yield the records that can be sent now; those that need not be sent go to `at_once`."""
        while self._can_start:
            order = self._ready.popleft()
            known = None if order.doubt else self._ledger.find(order.identity)
            if known is None or known.outcome == REJECTED:
                self._flying.add(order.identity)
                yield order
                continue
            if known.outcome == WRITTEN:
                at_once.append(Result(order, End.ALREADY, "" if known.content == order.content else "changed"))
            else:
                end = End.SKIPPED if known.outcome == SKIPPED else End.DOUBT
                at_once.append(Result(order, end, "it has been since an earlier try"))
            self._leave(order)

    def _intend(self, order: Order) -> None:
        about = self._ledger.keyed(gist(order.body)) if order.call is CREATE else None
        entry = Entry(order.identity, order.call.stream, order.content, order.place, order.body, gist=about)
        # Where a twin was sent, what is found may be the twin.
        order.provable = (
            order.call is CREATE and is_e164(order.body[CREATE.number]) and not self._ledger.has_twin(entry)
        )
        if not order.doubt:
            self._ledger.intend(entry)

    def _send(self, order: Order) -> None:
        if len(self._threads) < min(self._concurrency, len(self._flying)):
            # Daemons: a request that hangs must not keep a stopped process alive until it times out.
            thread = threading.Thread(target=self._work, name=f"sender-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put(order)

    def _work(self) -> None:
        while (order := self._jobs.get()) is not None:
            try:
                result = self._sender.deliver(order)
            except Exception as exc:  # noqa: BLE001 - a fault of ours: whether it was sent nobody knows
                why = f"unexpected {type(exc).__name__}"
                result = Result(order, End.DOUBT, why, exc)
            self._results.put(result)
            self.wake()


class Preview:
    """In the place of `Orders` for `dry_run`: nothing is sent, and nothing is noted.

    Args:
        ledger: Knows what is written already.
    """

    dry = True

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._results: list[Result] = []
        self.wake: Callable[[], None] = lambda: None
        self.idle, self.stopping = True, None
        self.count = 0

    def earlier(self) -> Iterator[Order]:
        """Return no order: nothing is looked up."""
        return iter(())

    def take(self, order: Order) -> None:
        """Note how a record would end."""
        known = self._ledger.find(order.identity)
        if known is None or known.outcome == REJECTED:
            end = End.PLANNED
        else:
            end = {WRITTEN: End.ALREADY, SKIPPED: End.SKIPPED}.get(known.outcome or "", End.DOUBT)
        why = "it has been since an earlier run"
        if end is End.ALREADY:
            why = "changed" if known and known.content != order.content else ""
        self._results.append(Result(order, end, why))

    def advance(self, *, wait: bool = False) -> list[Result]:
        """Return how the records taken would end."""
        del wait
        results, self._results = self._results, []
        return results

    def interrupt(self) -> None:
        """Do nothing: nothing waits."""

    def halt(self) -> list[Result]:
        """Return the results that are left."""
        return self.advance()

    def give_up(self) -> list[Result]:
        """Return no result: nothing is in flight."""
        return []

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _unnoted(result: Result, error: LedgerError) -> Result:
    """Return a record whose outcome is on no disk: the next run will find its intent."""
    why = f"it ended as {result.end.value}, but that could not be noted"
    return Result(result.order, End.DOUBT, why, error)
