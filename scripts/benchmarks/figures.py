"""Figures and how they compare: a measured run becomes figures, figures of several rounds become entries, in a file."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.measuring import Case
from benchmarks.one_run import Measurement
from benchmarks.peers import LOOP

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


def figures_of(measurement: Measurement) -> dict[str, float]:
    """The figures of one run by unit."""
    updated, cpu, wall = measurement.updated, measurement.cpu_seconds, measurement.wall_seconds
    figures = {
        "cpu_us_per_item": cpu / updated * 1e6,
        "wall_us_per_item": wall / updated * 1e6,
        "wall_seconds": wall,
        "items_per_second": updated / wall,
        "items_per_second_per_core": updated / cpu,
        "peak_megabytes": measurement.peak_bytes / 1e6,
        "requests_per_item": measurement.requests / updated,
        "write_units_per_item": measurement.write_units / updated,
        "engine_busy_percent": 100 * measurement.engine_cpu_seconds / wall,
    }
    return figures if measurement.read_units is None else figures | {"read_units": measurement.read_units}


def times_better(unit: str, value: float, loops: float | None) -> float | None:
    """How many times better ``value`` is than the loop's; ``None`` where that makes no sense."""
    if loops is None or unit in WITHOUT_A_BETTER:
        return None
    better, worse = (value, loops) if unit in MORE_IS_BETTER else (loops, value)
    return better / worse if worse else None


def entries(comparison: str, engine: str, machine: str, measured: Mapping[Case, Sequence[Measurement]]) -> list[Entry]:
    """The medians of what was measured, and how they compare with the loop's."""
    medians = {case: _medians(rounds) for case, rounds in measured.items()}
    loops = medians.get((LOOP, ""), {})
    return [
        Entry(comparison, engine, name, unit, value, times_better(unit, value, loops.get(unit)), point, machine)
        for (name, point), figures in medians.items()
        for unit, value in figures.items()
    ]


def _medians(measurements: Sequence[Measurement]) -> dict[str, float]:
    rounds = [figures_of(measurement) for measurement in measurements]
    return {unit: median(figures[unit] for figures in rounds) for unit in rounds[0]}


def this_machine() -> str:
    """The processor, its cores, Python and botocore: what figures depend on."""
    cores = os.cpu_count() or 1
    return (
        f"{_processor()}, {cores} core{'s' if cores > 1 else ''}, "
        f"Python {platform.python_version()}, botocore {version('botocore')}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def write_results(path: Path, results: Iterable[Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(asdict(entry)) for entry in results)
    path.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def read_results(path: Path) -> list[Entry]:
    """What an earlier run has written, nothing where there was none; ValueError where the file holds something else."""
    if not path.exists():
        return []
    try:
        return [Entry(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]
    except TypeError as error:
        raise ValueError(f"{path} holds something else than results: {error}") from error


def renewed(before: Iterable[Entry], found: Sequence[Entry]) -> list[Entry]:
    """Earlier entries, but for those whose comparison was made again on the same engine."""
    made_again = {(entry.comparison, entry.engine) for entry in found}
    return [*(entry for entry in before if (entry.comparison, entry.engine) not in made_again), *found]
