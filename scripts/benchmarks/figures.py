"""Figures and how they compare, pure: a measured run becomes figures, figures of several rounds become entries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from benchmarks.one_run import Measurement
from benchmarks.peers import LOOP

MEGABYTE: Final = 1_000_000

MORE_IS_BETTER: Final = frozenset({"items_per_second", "items_per_second_per_core"})
"""Of every other unit less is better."""

WITHOUT_A_BETTER: Final = frozenset({"engine_busy_percent"})
"""Units that describe a run and are nobody's merit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of `build/bench.json`.

    ``times_better`` is how many times better than the loop's figure of the same run: above 1 is better, whatever the
    unit; ``None`` where the loop did not run or neither is better. ``engine`` names where it ran, ``case`` which
    point of a growth, ``machine`` the processor, its cores, Python and botocore.
    """

    comparison: str
    engine: str
    name: str
    unit: str
    value: float
    times_better: float | None
    case: str = ""
    machine: str = ""

    def to_map(self) -> dict[str, object]:
        return asdict(self)


def figures_of(measurement: Measurement) -> dict[str, float]:
    """The figures of one run by unit."""
    updated = measurement.updated
    figures: dict[str, float] = {
        "cpu_us_per_item": measurement.cpu_seconds / updated * 1e6,
        "wall_us_per_item": measurement.wall_seconds / updated * 1e6,
        "wall_seconds": measurement.wall_seconds,
        "items_per_second": updated / measurement.wall_seconds,
        "items_per_second_per_core": updated / measurement.cpu_seconds,
        "peak_megabytes": measurement.peak_bytes / MEGABYTE,
    }
    if measurement.requests is not None:
        figures["requests_per_item"] = measurement.requests / updated
    if measurement.write_units:  # DynamoDB Local reports 0 for a batch
        figures["write_units_per_item"] = measurement.write_units / updated
    if measurement.read_units is not None:
        figures["read_units"] = measurement.read_units
    if measurement.engine_cpu_seconds is not None:
        figures["engine_busy_percent"] = 100 * measurement.engine_cpu_seconds / measurement.wall_seconds
    return figures


def times_better(unit: str, value: float, loops: float | None) -> float | None:
    """How many times better ``value`` is than the loop's; ``None`` where that makes no sense."""
    if loops is None or unit in WITHOUT_A_BETTER:
        return None
    better, worse = (value, loops) if unit in MORE_IS_BETTER else (loops, value)
    return better / worse if worse else None


def entries(
    comparison: str,
    engine: str,
    rounds: Mapping[str, Sequence[Measurement]],
    *,
    case: str = "",
    units: Iterable[str] | None = None,
) -> list[Entry]:
    """The medians of what was measured, by name, and how they compare with the loop's.

    Args:
        comparison: what was compared; ``engine``: where.
        rounds: the measurements of each name, one a round.
        case: which point of a growth.
        units: which figures are wanted; ``None`` is all.
    """
    medians = {name: _medians(measurements) for name, measurements in rounds.items()}
    loops = medians.get(LOOP, {})
    wanted = None if units is None else set(units)
    return [
        Entry(comparison, engine, name, unit, value, times_better(unit, value, loops.get(unit)), case)
        for name, figures in medians.items()
        for unit, value in figures.items()
        if wanted is None or unit in wanted
    ]


def _medians(measurements: Sequence[Measurement]) -> dict[str, float]:
    rounds = [figures_of(measurement) for measurement in measurements]
    return {unit: median(figures[unit] for figures in rounds) for unit in rounds[0]}
