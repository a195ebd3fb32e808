"""`trunkline docs`: the page of a vendor, from its tap and the notes written by hand."""

from __future__ import annotations

import click

from trunkline.doors import docs


@click.command("docs")
@click.argument("vendor")
@click.argument("notes", type=click.Path(exists=True, dir_okay=False))
def command(vendor: str, notes: str) -> int:
    """Print the page of a VENDOR: its settings, streams and fields, woven with NOTES written by hand."""
    return docs.main([vendor, notes])
