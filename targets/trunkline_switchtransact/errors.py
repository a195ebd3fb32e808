"""Errors beside those of the taps: each names failure, cause and remedy."""

from __future__ import annotations

from trunkline.errors import TrunklineError


class LedgerError(TrunklineError):
    """The ledger can't be opened, read or written: nothing is sent that could not be noted."""

    code = "ledger"


class InDoubt(TrunklineError):  # noqa: N818 - the name is the state of the records, as everywhere in the tree of errors
    """Records may be written or not, and only somebody who looks at the vendor can find out.

    Args:
        count: How many.
    """

    code = "in-doubt"

    def __init__(self, count: int) -> None:
        records = "1 record is" if count == 1 else f"{count} records are"
        super().__init__(
            f"{records} in doubt",
            "SwitchTransact may have written what it did not confirm, and a write can't be undone",
            "Look there, then run once with in_doubt set to skip (none is written again) or resend (all are); the page "
            "docs/switchtransact-target.md describes how to decide about each",
        )


class VendorDown(TrunklineError):  # noqa: N818 - same
    """So many records ended in doubt one after the other that the next would too."""

    code = "unavailable"

    def __init__(self) -> None:
        super().__init__(
            "nothing more was sent",
            "too many records in a row ended in doubt: the vendor seems down",
            "Run again later",
        )
