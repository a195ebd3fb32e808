"""The threads that send requests."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.steps.fetch.client import Client
    from trunkline.steps.fetch.context import PendingReply


class Workers:
    """The threads that send requests; begun when first needed, shared by everything a tap reads.

    Args:
        client: Sends the requests.
        concurrency: Requests in flight at most, and so threads at most.
    """

    def __init__(self, client: Client, concurrency: int) -> None:
        self.client, self.concurrency = client, concurrency
        self.outstanding = 0
        self._finished: SimpleQueue[PendingReply | BaseException] = SimpleQueue()
        self._queue: SimpleQueue[PendingReply | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._begun: set[str] = set()  # streams and partitions of which a request was sent
        self._known: set[str] = set()  # and of which one has ended

    @property
    def capacity(self) -> int:
        """Requests that may be out: beside those in flight as many wait, so that no thread has to wait for us.

        One, until a request of the run has succeeded: wrong credentials must not be sent eight times.
        """
        return 1 if self.concurrency == 1 or not self.client.succeeded.is_set() else 2 * self.concurrency

    def may_send(self, pending: PendingReply) -> bool:
        """Return whether a pending's stream (or partition) is known to respond, or nothing of it is under way.

        What the account may not read costs one request, and not as many as there are workers.
        """
        return pending.request.stream in self._known or pending.request.stream not in self._begun

    def send(self, pending: PendingReply) -> None:
        """Let a worker send the pending's request."""
        pending.sent = True
        self._begun.add(pending.request.stream)
        self.outstanding += 1
        if len(self._threads) < min(self.concurrency, self.outstanding):
            # Daemons: a request that hangs must not keep a stopped process alive until it times out.
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._queue.put(pending)

    def interrupt(self, reason: BaseException) -> None:
        """Wake the thread that waits for a response with an exception; safe to call from a signal handler."""
        self._finished.put(reason)

    def wait(self) -> PendingReply:
        """Return the next finished pending.

        Raises:
            BaseException: What `interrupt` was called with.
        """
        finished = self._finished.get()
        if isinstance(finished, BaseException):
            raise finished
        self.outstanding -= 1
        self._known.add(finished.request.stream)
        return finished

    def close(self, seconds: float = 1.0) -> None:
        """End the threads; those whose requests hang longer than `seconds` are left to die with the process."""
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (pending := self._queue.get()) is not None:
            try:
                pending.reply = self.client.fetch(pending.request, pending.open_body, pending.cancelled)
            except BaseException as exc:  # noqa: BLE001 - whatever it is, it belongs to the thread that waits
                pending.error = exc
            pending.done = True
            self._finished.put(pending)
