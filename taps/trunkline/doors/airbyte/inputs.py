"""Inputs of a source from Airbyte: settings, a configured catalog and states, each a JSON file by its path."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from trunkline.errors import StateInvalid, TrunklineError


@dataclass(frozen=True)
class ConfiguredStream:
    """A stream of the configured catalog.

    Args:
        name: Its name there.
        incremental: Whether it continues from its state.
        fields: The fields selected; None when the catalog does not name them.
    """

    name: str
    incremental: bool
    fields: frozenset[str] | None


def _read_json(what: str, path: str, *, missing_ok: bool = False) -> Any:
    """Return the content of a file; None for one that is empty or, where that is all right, missing."""
    try:
        content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)  # which Windows' editors write
        return msgspec.json.decode(content) if content.strip() else None
    except FileNotFoundError:
        if missing_ok:
            return None
        reason = "there is no such file"
    except OSError as exc:
        reason = exc.strerror or "it is no file"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = "it holds no JSON"
    raise TrunklineError(
        f"the {what} could not be read", reason, f"Give --{what} the path of a JSON file", code="input-file"
    )


def read_config(path: str) -> dict[str, Any]:
    """Return the settings; names with an underscore before them are Airbyte's own and no settings.

    Raises:
        TrunklineError: The file can't be read or holds no JSON object.
    """
    config = _read_json("config", path)
    if not isinstance(config, dict):
        raise TrunklineError(
            "the config could not be read", "it is no JSON object", "Give the settings as an object", code="input-file"
        )
    return {name: value for name, value in config.items() if not name.startswith("_")}


class _Stream(msgspec.Struct):
    name: str
    json_schema: dict[str, Any] = {}


class _Chosen(msgspec.Struct):
    stream: _Stream
    sync_mode: str


class _Catalog(msgspec.Struct):
    streams: list[_Chosen]


def read_catalog(path: str) -> list[ConfiguredStream]:
    """Return the streams of a configured catalog.

    Raises:
        TrunklineError: The file can't be read or is no configured catalog.
    """
    try:
        catalog = msgspec.convert(_read_json("catalog", path), _Catalog)
    except msgspec.ValidationError as exc:
        why, remedy = (
            str(exc).replace("`", ""),
            'Give a configured catalog: {"streams": [{"stream": …, "sync_mode": …}]}',
        )
        raise TrunklineError("the catalog could not be read", why, remedy, code="input-file") from None
    found = []
    for chosen in catalog.streams:
        if chosen.sync_mode not in {"incremental", "full_refresh"}:
            why = f"sync_mode of {chosen.stream.name} is neither incremental nor full_refresh"
            raise TrunklineError("the catalog could not be read", why, "Choose one of the two", code="input-file")
        fields = chosen.stream.json_schema.get("properties")
        found.append(
            ConfiguredStream(
                chosen.stream.name, chosen.sync_mode == "incremental", frozenset(fields) if fields else None
            )
        )
    return found


def read_states(path: str | None) -> dict[str, dict[str, Any]]:
    """Return the states of the streams by name, as `read` wrote them; none for a file that is missing or empty.

    Raises:
        StateInvalid: It is not what `read` writes.
    """
    content = _read_json("state", path, missing_ok=True) if path else None
    messages = content if isinstance(content, list) else [content] if content else []
    found = {}
    for message in messages:
        state = message.get("state", message) if isinstance(message, dict) else message
        if isinstance(state, dict) and state.get("type") == "LEGACY" and not state.get("data"):
            continue  # an older Airbyte's form of no state
        stream = state.get("stream") if isinstance(state, dict) else None
        if not isinstance(stream, dict):
            raise _bad_state("it is not made of states of streams (type STREAM)")
        name = (stream.get("stream_descriptor") or {}).get("name")
        kept = stream.get("stream_state") or {}
        if not isinstance(name, str) or not isinstance(kept, dict):
            raise _bad_state("a stream's state has no stream_descriptor with a name, or is no object")
        kept = {key: value for key, value in kept.items() if not key.startswith("__ab_")}
        if kept and not {"replication_key_value", "partitions"} & kept.keys():
            raise _bad_state(f"the state of {name} is not one that this source has written")
        found[name] = kept
    return found


def _bad_state(why: str) -> StateInvalid:
    return StateInvalid("the state can't be read", why, "Clear the state in Airbyte to start again from start_date")
