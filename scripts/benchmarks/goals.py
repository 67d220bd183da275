"""What the benchmarks have to show, and whether a run has shown it; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import WITHOUT_A_BETTER, Entry
from benchmarks.peers import PRODUCT

TIMES_LESS_CPU: Final = 10.0
GROWTH_OF_DUE: Final = 1.5
GROWTH_OF_MEMORY: Final = 1.2


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be shown, what was found, and whether that is enough."""

    wanted: str
    found: str
    is_met: bool


def goals(entries: Iterable[Entry]) -> list[Goal]:
    """The goals that ``entries`` can speak of."""
    entries = list(entries)
    found = [*_on_the_instant_server(entries)]
    for engine in dict.fromkeys(entry.engine for entry in entries if entry.comparison == "growth_due"):
        due = [entry for entry in entries if (entry.comparison, entry.engine) == ("growth_due", engine)]
        found += _growth(due, "read_units", f"scope due, read units ({engine})", GROWTH_OF_DUE)
        found += _growth(due, "wall_seconds", f"scope due, wall time ({engine})", GROWTH_OF_DUE)
    items = [entry for entry in entries if entry.comparison == "growth_items"]
    # The first size is too small to need all that a job needs at most.
    found += _growth(
        [entry for entry in items if _items_of(entry) >= 10_000], "peak_megabytes", "peak memory", GROWTH_OF_MEMORY
    )
    return found


def _on_the_instant_server(entries: Sequence[Entry]) -> Iterator[Goal]:
    here = [entry for entry in entries if (entry.comparison, entry.engine) == ("end_to_end", "instant")]
    ours = _times_better(here, PRODUCT)
    if "cpu_us_per_item" in ours:
        better = ours["cpu_us_per_item"]
        wanted = f"{TIMES_LESS_CPU:.0f} times less processor time an item than the loop (instant)"
        yield Goal(wanted, f"{better:.1f}", better >= TIMES_LESS_CPU)
    if "write_units_per_item" in ours:
        better = ours["write_units_per_item"]
        yield Goal("as many write units an item as the loop (instant)", f"{better:.2f}", better == 1.0)


def _growth(entries: Sequence[Entry], unit: str, what: str, limit: float) -> Iterator[Goal]:
    points = sorted((entry for entry in entries if entry.unit == unit), key=_items_of)
    if len(points) > 1 and points[0].value:
        ratio = points[-1].value / points[0].value
        wanted = f"{what} at {points[-1].case} at most {limit} times that at {points[0].case}"
        yield Goal(wanted, f"{ratio:.2f}", ratio <= limit)


def _times_better(entries: Sequence[Entry], name: str) -> dict[str, float]:
    return {
        entry.unit: entry.times_better
        for entry in entries
        if entry.comparison == "end_to_end"
        and entry.name == name
        and entry.times_better is not None
        and entry.unit not in WITHOUT_A_BETTER
    }


def _items_of(entry: Entry) -> int:
    return int(entry.case.split()[0].replace(",", ""))
