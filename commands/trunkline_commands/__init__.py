"""The command `trunkline`: what people do beside running a tap. One module for each of its commands."""

from __future__ import annotations
