"""Proofs of windows as rows: what each window that was shown to be complete came to, for a recount of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trunkline import instants
from trunkline.exact import encode
from trunkline.facts.window_proofs import Proofs
from trunkline.steps.feeds import Proof, WindowProven
from trunkline.steps.plan import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trunkline.facts.window_proofs import WindowProofs
    from trunkline.run.stream_run import StreamRun


class ProofWriter:
    """Writes a row of `window_proofs` for each proven window of the other streams.

    Args:
        run: The stream of proofs in this run.
        stream: The same stream.
        run_started: When the run began, in UTC.
    """

    def __init__(self, run: StreamRun, stream: WindowProofs, run_started: datetime) -> None:
        self.run, self._stream, self._run_started = run, stream, instants.to_iso(run_started)

    def window(self, run: StreamRun, context: Mapping[str, Any], item: WindowProven) -> None:
        """Write the proof of a window whose rows are written; one without a bookmark is a whole table."""
        keys = run.window_keys(context)
        if keys is None:
            return
        since, until = run.proven_span(item)
        rows, within = keys.count(since, until)
        keys.clear()
        proof = run.stream.proof_of(item.proof)
        self._write(run, context, item, since=since, until=until, rows=rows, rows_within=within, proof=proof)

    def whole(self, run: StreamRun, read_from: datetime) -> None:
        """Write the proof of a full table that has no windows: each value that it is made of had a response."""
        item = WindowProven(Window(None, read_from), read_from=read_from)
        proof, rows = Proof(0, "each_answered"), max(0, run.rows - run.repeated - run.filtered)
        self._write(run, {}, item, since=read_from, until=read_from, rows=rows, rows_within=rows, proof=proof)

    def _write(  # noqa: PLR0913 - the fields of a row
        self,
        run: StreamRun,
        context: Mapping[str, Any],
        item: WindowProven,
        *,
        since: datetime,
        until: datetime,
        rows: int,
        rows_within: int,
        proof: Proof,
    ) -> None:
        row = {
            "stream": run.stream.name,
            "partition": encode(dict(context)).decode(),
            "since": instants.to_iso(since),
            "until": instants.to_iso(until),
            "rows": rows,
            "rows_within": rows_within,
            "vendor_total": proof.vendor_total,
            "proof": proof.how,
            "read_from": instants.to_iso(item.read_from),
            "read_to": instants.to_iso(item.read_to),
            "run_started": self._run_started,
        }
        self.run.take({}, Proofs(self._stream, [row]))
