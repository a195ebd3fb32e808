"""The command `trunkline`: tasks beside running a tap. One module for each of its commands."""

from __future__ import annotations
