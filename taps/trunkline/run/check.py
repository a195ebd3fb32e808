"""`--test` and the check of the Airbyte source: whether each stream can be read, with as few requests as possible."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from trunkline.errors import AccessDenied, TrunklineError
from trunkline.run.stream_run import StreamRun
from trunkline.steps.fetch.client import Cancelled
from trunkline.steps.fetch.context import ReadContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trunkline.facts.stream import Batch, VendorStream
    from trunkline.facts.tap import TapFacts


def test(tap: TapFacts) -> int:
    """Request as little as possible of each stream, and log for each whether it can be read.

    Returns:
        The process's exit code.
    """
    failed = [stream for stream, error in verdicts(tap) if error]
    return 1 if failed else 0


def verdicts(tap: TapFacts) -> Iterator[tuple[VendorStream, TrunklineError | None]]:
    """Yield each selected stream, and why it can't be read if so, until the credentials are refused; log it too."""
    streams = [stream for stream in tap.ordered_streams() if stream.selected and stream is not tap.proofs]
    tap.client.only = sum(stream.parts or 1 for stream in streams) == 1
    for stream in streams:
        count = 0
        stream.run = StreamRun(stream, lambda _: None)
        try:
            for batch in _drive(tap, stream):
                count += sum(1 for _ in stream.records(batch))
        except TrunklineError as exc:
            tap.logger.error("%s: FAILED. %s", stream.name, exc)  # noqa: TRY400 - a traceback only at level DEBUG
            yield stream, exc
            if isinstance(exc, AccessDenied):
                return
        else:
            tap.logger.info("%s: ok, the vendor responds (rows read: %d)", stream.name, count)
            yield stream, None


def _drive(tap: TapFacts, stream: VendorStream) -> list[Batch]:
    """Run a probe, one request after the other."""
    ctx, never = ReadContext(), threading.Event()
    steps = stream.probe(ctx)
    try:
        pending = next(steps)
        while True:
            pending.done = True
            try:
                pending.reply = tap.client.fetch(pending.request, pending.open_body, never)
            except (TrunklineError, Cancelled) as exc:
                pending.error = exc
                pending = steps.throw(exc)
            else:
                pending = steps.send(pending.reply)
    except StopIteration as end:
        batches: list[Batch] = end.value
        return batches
