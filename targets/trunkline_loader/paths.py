"""A setting that names a file: what can't be one, before anything is made of it."""

from __future__ import annotations

import os
import re

from trunkline_loader.messages import is_unicode

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+._-]+):")  # of two letters or more: `C:` is a drive


def why_no_file(path: str) -> str | None:
    """Return why a text can't be the path of a file on this machine.

    Databases read more into a path than a file's name (`md:x`, `s3://…`, `:memory:`). Taken as a name it would make a
    file that nobody looks for.

    Args:
        path: The setting's value.

    Returns:
        The end of a sentence that begins with the setting's name, or None for a path. It never holds the value, which
        may be a URL with a password.
    """
    bare = path.strip()
    scheme = _SCHEME.match(bare)
    begins = scheme[0] if scheme else ""
    rules = (
        (not bare, "it is blank"),
        ("\0" in path, "it holds a NUL character, which no file's name can"),
        (not is_unicode(path), "it holds half a surrogate pair, which no file's name can"),
        (bare.lower().startswith(":memory:"), "it is `:memory:`, where nothing would be kept"),
        (scheme, f"it begins like a URL, with `{begins}`. Write a file that is really called so as `./{begins}…`"),
        (path.endswith(("/", os.sep)), "it is a folder: add the file's name"),
    )
    return next((f"must be the path of a file on this machine, but {why}" for applies, why in rules if applies), None)
