"""Figures of benchmark runs, how they compare, and where they are kept."""

from pathlib import Path

import pytest

from benchmarks.figures import Entry, entries, figures_of, times_better
from benchmarks.one_run import Measurement
from benchmarks.peers import LOOP, PRODUCT
from benchmarks.results import read_results, renewed, write_results


def measured(cpu_seconds: float, *, updated: int = 100, **rest: float) -> Measurement:
    return Measurement(updated, updated, cpu_seconds, 2 * cpu_seconds, 50_000_000, **rest)  # type: ignore[arg-type]  # any figure


def test_figures_are_by_updated_item() -> None:
    figures = figures_of(measured(0.02, requests=8, write_units=100.0, read_units=12.0, engine_cpu_seconds=0.03))

    assert figures == {
        "cpu_us_per_item": pytest.approx(200),
        "wall_us_per_item": pytest.approx(400),
        "wall_seconds": 0.04,
        "items_per_second": pytest.approx(2_500),
        "items_per_second_per_core": pytest.approx(5_000),
        "peak_megabytes": 50,
        "requests_per_item": 0.08,
        "write_units_per_item": 1.0,
        "read_units": 12.0,
        "engine_busy_percent": pytest.approx(75),
    }


def test_what_nobody_measured_is_no_figure() -> None:
    assert (
        not {"requests_per_item", "write_units_per_item", "read_units", "engine_busy_percent"}
        & figures_of(measured(0.02)).keys()
    )


@pytest.mark.parametrize(
    ("unit", "value", "loops", "better"),
    [
        ("cpu_us_per_item", 50.0, 1000.0, 20.0),
        ("cpu_us_per_item", 2000.0, 1000.0, 0.5),
        ("items_per_second", 3000.0, 1000.0, 3.0),
        ("items_per_second_per_core", 500.0, 1000.0, 0.5),
        ("cpu_us_per_item", 50.0, None, None),
        ("engine_busy_percent", 90.0, 45.0, None),
        ("cpu_us_per_item", 0.0, 1000.0, None),
    ],
)
def test_more_than_one_is_better_whatever_the_unit(
    unit: str, value: float, loops: float | None, better: float | None
) -> None:
    assert better == times_better(unit, value, loops)


def test_entries_are_medians_beside_the_loop() -> None:
    rounds = {
        PRODUCT: [measured(cpu) for cpu in (0.005, 0.004, 0.9)],
        LOOP: [measured(cpu) for cpu in (0.1, 0.3, 0.2)],
    }

    found = entries("end_to_end", "instant", rounds, units=("cpu_us_per_item",))

    assert [entry.name for entry in found] == [PRODUCT, LOOP]
    assert [entry.value for entry in found] == pytest.approx([50, 2000])
    assert [entry.times_better for entry in found] == pytest.approx([40, 1])


def test_without_the_loop_nothing_is_better() -> None:
    found = entries("growth_items", "instant", {PRODUCT: [measured(0.1)]}, case="1,000 items")

    assert {(entry.case, entry.times_better) for entry in found} == {("1,000 items", None)}


def entry(comparison: str, engine: str = "instant", value: float = 1.0) -> Entry:
    return Entry(comparison, engine, PRODUCT, "cpu_us_per_item", value, 20.0, machine="some processor")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = [entry("end_to_end"), entry("growth_due")]

    write_results(tmp_path / "build" / "bench.json", results)

    assert results == read_results(tmp_path / "build" / "bench.json")


def test_where_nothing_was_measured_there_are_no_results(tmp_path: Path) -> None:
    assert [] == read_results(tmp_path / "bench.json")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('[{"colour": "red"}]')

    with pytest.raises(ValueError, match="something else than results"):
        read_results(tmp_path / "bench.json")


def test_a_comparison_made_again_takes_the_place_of_the_earlier_one_on_its_engine() -> None:
    before = [entry("end_to_end"), entry("end_to_end", "ministack"), entry("growth_due")]

    after = renewed(before, [entry("end_to_end", value=2.0)])

    assert after == [entry("end_to_end", "ministack"), entry("growth_due"), entry("end_to_end", value=2.0)]
