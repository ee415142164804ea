"""Draws how time and memory go with the rows: series as JSON from standard input, to an SVG.

    python -m benchmarks.growth_picture PICTURE.svg

A series is a list of `[rows, µs a row, peak MB]`, under its name.
"""

from __future__ import annotations

import json
import sys

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

COLOURS = ("#1f5fa8", "#c2571a")
GREY = "#555555"


def in_words(rows: float, _place: object = None) -> str:
    """Write a number of rows as one says it."""
    return f"{rows / 1e6:g}M" if rows >= 1e6 else f"{rows / 1e3:g}k"


def main(path: str) -> None:
    """Draw two panels over the rows: microseconds a row, and peak memory."""
    series: dict[str, list[tuple[int, float, float]]] = json.load(sys.stdin)
    mpl.use("agg")  # needs no screen
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "growth", "font.size": 10, "axes.titlesize": 11})
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    counts = sorted({rows for points in series.values() for rows, _, _ in points})
    for place, (panel, title) in enumerate(
        zip(panels, ("Time: µs a row", "Memory of the client: peak MB"), strict=True), 1
    ):
        for colour, (name, points) in zip(COLOURS, series.items(), strict=False):
            rows = [point[0] for point in points]
            values = [point[place] for point in points]
            panel.plot(rows, values, color=colour, marker="o", markersize=4)
            panel.annotate(
                name,
                (rows[-1], values[-1]),
                (0, 8),
                textcoords="offset points",
                ha="right",
                color=colour,
            )
        panel.set(title=title, xlabel="rows", xscale="log", ylim=(0, None))
        panel.margins(x=0.08)
        panel.set_ylim(0, panel.get_ylim()[1] * 1.15)
        panel.set_xticks(counts)
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(in_words))
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(colors=GREY)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else {})


if __name__ == "__main__":
    main(sys.argv[1])
