"""What the benchmarks have to show, and whether a run has shown it; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import WITHOUT_A_BETTER, Entry
from benchmarks.peers import LOOP, PRODUCT, PRODUCT_ON_BOTOCORE

TIMES_LESS_CPU: Final = 10.0
TIMES_THE_LOOP: Final = 3.0
PEER_AHEAD: Final = 1.1
GROWTH_OF_DUE: Final = 1.5
GROWTH_OF_MEMORY: Final = 1.2

_REQUESTS: Final = "requests_per_item"
"""A transaction holds four times as many items as a batch may: there AWS is ahead, not a peer."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be shown, what was found, and whether that is enough."""

    wanted: str
    found: str
    is_met: bool


def goals(entries: Iterable[Entry]) -> list[Goal]:
    """The goals that ``entries`` can speak of."""
    entries = list(entries)
    engines = list(dict.fromkeys(entry.engine for entry in entries if entry.comparison == "end_to_end"))
    found = [*_on_the_instant_server(entries)]
    for engine in engines:
        if engine != "instant":
            found += _on_a_real_engine(engine, [entry for entry in entries if entry.engine == engine])
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
    ahead = [
        f"{name}: {unit}"
        for name in _peers(here)
        for unit, better in _times_better(here, name).items()
        if unit in ours and unit != _REQUESTS and better > ours[unit]
    ]
    if _peers(here):
        yield Goal("no peer ahead in any figure but requests (instant)", "; ".join(ahead) or "none is", not ahead)


def _on_a_real_engine(engine: str, here: Sequence[Entry]) -> Iterator[Goal]:
    ours = _times_better(here, PRODUCT).get("items_per_second")
    if ours is None:
        return
    yield Goal(
        f"{TIMES_THE_LOOP:.0f} times the loop's items a second ({engine})", f"{ours:.2f}", ours >= TIMES_THE_LOOP
    )
    speeds = {name: _times_better(here, name).get("items_per_second", 0.0) / ours for name in _peers(here)}
    if speeds:
        fastest = max(speeds, key=lambda name: speeds[name])
        wanted = f"no peer more than {PEER_AHEAD - 1:.0%} ahead in items a second ({engine})"
        yield Goal(wanted, f"{fastest}: {speeds[fastest]:.2f} of ours", speeds[fastest] <= PEER_AHEAD)


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


def _peers(entries: Sequence[Entry]) -> list[str]:
    names = dict.fromkeys(entry.name for entry in entries if entry.comparison == "end_to_end")
    return [name for name in names if name not in (PRODUCT, PRODUCT_ON_BOTOCORE, LOOP)]


def _items_of(entry: Entry) -> int:
    return int(entry.case.split()[0].replace(",", ""))
