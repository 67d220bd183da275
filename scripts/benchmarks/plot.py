"""The results as one picture in SVG: what an item costs each peer, and how ours grows."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.figures import Entry
from benchmarks.peers import LOOP, PRODUCT

WIDTH: Final = 900
HEIGHT: Final = 320

_OURS: Final = "#0b6e4f"
_THEIRS: Final = "#9aa5b1"
_GROWTH: Final[Mapping[str, tuple[str, str]]] = {
    "growth_items": ("all items due, instant server", "#0b6e4f"),
    "growth_due": ("1,000 items due, instant server", "#c2571a"),
}
# Left, top, right and bottom of the two charts.
_BARS: Final = (200, 40, 400, 280)
_LINES: Final = (540, 40, 880, 280)


def picture(entries: Sequence[Entry]) -> str:
    """Processor time of every peer on the left, how ours grows on the right, both axes by powers of ten."""
    costs = {
        entry.name: entry.value
        for entry in entries
        if (entry.comparison, entry.unit) == ("end_to_end", "cpu_us_per_item")
    }
    growth = {
        name: sorted(
            (int(entry.case.split()[0].replace(",", "")), entry.value)
            for entry in entries
            if (entry.comparison, entry.unit) == (name, "wall_seconds")
        )
        for name in _GROWTH
    }
    parts = [*_bars(costs), *_lines({name: points for name, points in growth.items() if points})]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _bars(costs: Mapping[str, float]) -> Iterator[str]:
    left, top, right, bottom = _BARS
    yield _text((left + right) / 2, 20, "CPU microseconds an item (times better than the loop)", "middle")
    step = (bottom - top) / max(1, len(costs))
    for number, name in enumerate(sorted(costs, key=lambda name: costs[name])):
        y, cost = top + number * step, costs[name]
        width = (right - left) * cost / max(costs.values())
        colour = _OURS if name == PRODUCT else _THEIRS
        ratio = f" ({costs[LOOP] / cost:.1f}x)" if LOOP in costs else ""
        yield f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="{step * 0.7:.1f}" fill="{colour}"/>'
        yield _text(left - 6, y + step * 0.45, name, "end")
        yield _text(left + width + 4, y + step * 0.45, f"{cost:,.0f}{ratio}")


def _lines(growth: Mapping[str, Sequence[tuple[int, float]]]) -> Iterator[str]:
    left, top, right, bottom = _LINES
    yield _text((left + right) / 2, 20, "Seconds as the table grows (items stored)", "middle")
    yield f'<path d="M{left},{top} V{bottom} H{right}" fill="none" stroke="black"/>'
    points = [point for line in growth.values() for point in line]
    if not points:
        return
    xs, ys = _decades(size for size, _ in points), _decades(seconds for _, seconds in points)

    def place(size: float, seconds: float) -> tuple[float, float]:
        return (
            left + (right - left) * (math.log10(size) - xs[0]) / (xs[-1] - xs[0]),
            bottom - (bottom - top) * (math.log10(seconds) - ys[0]) / (ys[-1] - ys[0]),
        )

    for power in xs:
        yield _text(place(10**power, 10 ** ys[0])[0], bottom + 16, f"{10**power:,}", "middle")
    for power in ys:
        yield _text(left - 6, place(10 ** xs[0], 10**power)[1] + 4, f"{10.0**power:g}", "end")
    for number, (comparison, line) in enumerate(growth.items()):
        label, colour = _GROWTH[comparison]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield _text(left + 8, top + 12 + 14 * number, label, colour=colour)


def _decades(values: Iterable[float]) -> list[int]:
    """The powers of ten around the values, at least two."""
    logarithms = [math.log10(value) for value in values]
    first = math.floor(min(logarithms))
    return list(range(first, max(first + 1, math.ceil(max(logarithms))) + 1))


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
