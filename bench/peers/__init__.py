"""The programs that are measured. Each runs in an environment of its own; nothing here imports Trunkline."""

from __future__ import annotations
