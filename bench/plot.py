"""Draws the plot, in the one environment that has matplotlib: its data comes by standard input as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]

mpl.use("svg")
from matplotlib import pyplot as plt

_COLOURS = {
    "Trunkline": "#1b6ca8",
    "vanilla SDK tap": "#b0b7bd",
    "dlt rest_api": "#d9a441",
    "Airbyte CDK": "#b5679a",
    "limit": "#5c6670",
}
_ROOM = 1.28  # of the longest bar, for the figure behind it


def draw(panels: list[dict[str, Any]], to: str) -> None:
    """Draw a grid: vendors down, latencies across."""
    mpl.rcParams.update({"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "bench", "axes.titlesize": 9})
    rows = list(dict.fromkeys(panel["row"] for panel in panels))
    columns = max(sum(panel["row"] == row for panel in panels) for row in rows)
    figure, axes = plt.subplots(len(rows), columns, figsize=(3.3 * columns, 1.65 * len(rows)), squeeze=False)
    for row, name in enumerate(rows):
        of = [panel for panel in panels if panel["row"] == name]
        for column in range(columns):
            if column < len(of):
                _panel(axes[row][column], of[column], names=column == 0)
            else:
                axes[row][column].axis("off")
    figure.tight_layout(pad=0.8)
    figure.savefig(to, metadata={"Date": None})


def _panel(axes: Any, panel: dict[str, Any], *, names: bool) -> None:
    bars = panel["bars"][::-1]
    places = range(len(bars))
    medians = [bar["median"] for bar in bars]
    whiskers = [
        [bar["median"] - bar["least"] for bar in bars],
        [bar["most"] - bar["median"] for bar in bars],
    ]
    axes.barh(
        places,
        medians,
        xerr=whiskers,
        color=[_COLOURS[bar["peer"]] for bar in bars],
        height=0.72,
        error_kw={"lw": 0.8, "ecolor": "#333333"},
    )
    for place, bar in zip(places, bars, strict=True):
        axes.text(bar["most"], place, f" {bar['median']:.1f} s", va="center", ha="left")
    axes.set_title(panel["title"], loc="left")
    axes.set_yticks(places, [bar["peer"] for bar in bars] if names else [""] * len(bars))
    axes.set_xlim(0, _ROOM * max(bar["most"] for bar in bars))
    axes.tick_params(length=0)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    order = json.load(sys.stdin)
    draw(order["panels"], order["to"])
