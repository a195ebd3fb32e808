"""Partitions and chunks: a stream is read once for each value of a list in the config, or chunk of a long one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class PerSetting:
    """A stream that is read once for each value of a list in the config, each with a bookmark of its own.

    Args:
        setting: The list.
        field: Name of a value in path (`{field}`), record and state.
        skip_setting: Setting by which a value that the vendor does not know (404) is skipped.
        noun: What a value stands for, in messages.
    """

    setting: str
    field: str
    skip_setting: str = ""
    noun: str = "partition"

    def contexts(self, config: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the context of each value, each once."""
        return [{self.field: value} for value in dict.fromkeys(config.get(self.setting, ()))]


class InChunks:
    """Lists of ids in the config that go into one parameter, cut where a URL would get too long.

    All chunks of a window are read together, and the window is proven when all of them are.

    Args:
        settings: Settings that hold a list, each named like its parameter; the first one that is set is used.
        longest: Characters of ids in one request: longer URLs are refused by servers on the way.
        separator: What stands between two ids.
    """

    def __init__(self, *settings: str, longest: int = 1500, separator: str = ",") -> None:
        self.settings, self.longest, self.separator = settings, longest, separator

    def cut(self, config: Mapping[str, Any]) -> list[tuple[tuple[str, str], ...]]:
        """Return the parameters of each chunk; without ids one that has none."""
        for name in self.settings:
            ids = list(dict.fromkeys(value.strip() for value in config.get(name, ())))
            if ids:
                return [((name, self.separator.join(chunk)),) for chunk in self._cut(ids)]
        return [()]

    def _cut(self, ids: list[str]) -> list[list[str]]:
        chunks: list[list[str]] = [[]]
        for one in ids:
            # A separator takes three characters once it is percent-encoded.
            if chunks[-1] and sum(len(other) + 3 for other in chunks[-1]) + len(one) > self.longest:
                chunks.append([])
            chunks[-1].append(one)
        return chunks
