"""Errors of a backfill: each names failure, cause and remedy."""

# ruff: noqa: N818 - the names describe what happened, as in trunkline.errors

from __future__ import annotations

from trunkline.errors import TrunklineError


class SettingsInvalid(TrunklineError):
    """The settings file, or something that it requires, is not possible."""

    code = "backfill-settings"


class UnitFailed(TrunklineError):
    """A unit, or a plain run, did not come to its end."""

    code = "backfill-unit"


class Busy(TrunklineError):
    """Another process is at it, perhaps one that an earlier attempt has left running."""

    code = "backfill-busy"


class Gap(TrunklineError):
    """A bookmark would leave something behind it that nobody has read."""

    code = "backfill-gap"
