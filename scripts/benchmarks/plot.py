"""The results as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

from benchmarks.figures import Entry
from benchmarks.peers import LOOP, PRODUCT

mpl.use("svg")  # before pyplot looks for a screen
import matplotlib.pyplot as plt

_OURS: Final = "#0b6e4f"
_THEIRS: Final = "#9aa5b1"
_GROWTH: Final = (
    ("growth_items", "instant", "all items due, instant server"),
    ("growth_due", "instant", "1,000 items due, instant server"),
    ("growth_due", "dynamodb-local", "1,000 items due, DynamoDB Local"),
)


def draw(entries: Sequence[Entry], path: Path) -> None:
    """Processor time of every peer on the left, how ours grows on the right."""
    mpl.rcParams["svg.hashsalt"] = "inventory-updater"  # the same results give the same file
    figure, (peers, growth) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    costs = {
        entry.name: entry.value
        for entry in entries
        if (entry.comparison, entry.engine, entry.unit) == ("end_to_end", "instant", "cpu_us_per_item")
    }
    names = sorted(costs, key=lambda name: costs[name], reverse=True)
    colours = [_OURS if name == PRODUCT else _THEIRS for name in names]
    bars = peers.barh(names, [costs[name] for name in names], color=colours)
    peers.bar_label(bars, labels=[_label(costs, name) for name in names], padding=3, fontsize=8)
    peers.set(
        xlabel="CPU microseconds an item (times better than the loop), instant server",
        title="Scan, plan, conditional write",
    )
    peers.margins(x=0.25)
    peers.spines[["top", "right"]].set_visible(False)
    for comparison, engine, label in _GROWTH:
        points = sorted(
            (int(entry.case.split()[0].replace(",", "")), entry.value)
            for entry in entries
            if (entry.comparison, entry.engine, entry.unit) == (comparison, engine, "wall_seconds")
        )
        if points:
            growth.plot([size for size, _ in points], [seconds for _, seconds in points], marker="o", label=label)
    growth.set(xscale="log", yscale="log", xlabel="items stored", ylabel="seconds", title="As the table grows")
    growth.grid(visible=True, alpha=0.3)
    growth.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _label(costs: dict[str, float], name: str) -> str:
    ratio = f" ({costs[LOOP] / costs[name]:.1f}x)" if LOOP in costs else ""
    return f"{costs[name]:,.0f}{ratio}"
