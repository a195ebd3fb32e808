"""What goes wrong in a backfill: each says what failed, why, and what to do."""

# ruff: noqa: N818 - the names say what happened, as in trunkline.errors

from __future__ import annotations

from trunkline.errors import TrunklineError


class SettingsInvalid(TrunklineError):
    """The settings file, or what it asks for, can't be."""

    code = "backfill-settings"


class UnitFailed(TrunklineError):
    """A unit, or a plain run, did not come to its end."""

    code = "backfill-unit"


class Busy(TrunklineError):
    """Somebody else is at it, perhaps what an earlier attempt has left running."""

    code = "backfill-busy"


class Gap(TrunklineError):
    """A bookmark would leave something behind it that nobody has read."""

    code = "backfill-gap"
