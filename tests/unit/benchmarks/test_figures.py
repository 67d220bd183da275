"""Figures of benchmark runs, how they compare, and where they are kept."""

from pathlib import Path

import pytest

from benchmarks.figures import Entry, entries, figures_of, read_results, renewed, times_better, write_results
from benchmarks.one_run import Measurement
from benchmarks.peers import LOOP, PRODUCT


def measured(cpu_seconds: float, read_units: float | None = None) -> Measurement:
    return Measurement(100, cpu_seconds, 2 * cpu_seconds, 50_000_000, read_units, 100.0, 8, 0.03)


def test_figures_are_by_updated_item() -> None:
    assert figures_of(measured(0.02, read_units=12.0)) == {
        "cpu_us_per_item": pytest.approx(200),
        "wall_us_per_item": pytest.approx(400),
        "wall_seconds": 0.04,
        "items_per_second": pytest.approx(2_500),
        "items_per_second_per_core": pytest.approx(5_000),
        "peak_megabytes": 50,
        "requests_per_item": 0.08,
        "write_units_per_item": 1.0,
        "engine_busy_percent": pytest.approx(75),
        "read_units": 12.0,
    }
    assert "read_units" not in figures_of(measured(0.02))


def test_more_than_one_is_better_whatever_the_unit() -> None:
    expected = {
        ("cpu_us_per_item", 50.0, 1000.0): 20.0,
        ("cpu_us_per_item", 2000.0, 1000.0): 0.5,
        ("items_per_second", 3000.0, 1000.0): 3.0,
        ("items_per_second_per_core", 500.0, 1000.0): 0.5,
        ("cpu_us_per_item", 50.0, None): None,
        ("engine_busy_percent", 90.0, 45.0): None,
        ("cpu_us_per_item", 0.0, 1000.0): None,
    }

    assert {case: times_better(*case) for case in expected} == expected


def test_entries_are_medians_beside_the_loop() -> None:
    seconds = {PRODUCT: (0.005, 0.004, 0.9), LOOP: (0.1, 0.3, 0.2)}
    rounds = {(name, ""): [measured(cpu) for cpu in each] for name, each in seconds.items()}

    found = entries("end_to_end", "instant", "some processor", rounds)

    told = {one.name: (one.value, one.times_better) for one in found if one.unit == "cpu_us_per_item"}
    assert told == {PRODUCT: pytest.approx((50, 40)), LOOP: pytest.approx((2000, 1))}


def test_without_the_loop_nothing_is_better() -> None:
    found = entries("growth_items", "instant", "some processor", {(PRODUCT, "1,000 items"): [measured(0.1)]})

    assert {(one.case, one.machine, one.times_better) for one in found} == {("1,000 items", "some processor", None)}


def entry(comparison: str, engine: str = "instant", value: float = 1.0) -> Entry:
    return Entry(comparison, engine, PRODUCT, "cpu_us_per_item", value, 20.0, machine="some processor")


def test_results_are_read_as_they_were_written_and_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file, results = tmp_path / "build" / "bench.json", [entry("end_to_end"), entry("growth_due")]

    assert read_results(file) == []
    write_results(file, results)
    assert read_results(file) == results
    file.write_text('[{"colour": "red"}]')
    with pytest.raises(ValueError, match="something else than results"):
        read_results(file)


def test_a_comparison_made_again_takes_the_place_of_the_earlier_one_on_its_engine() -> None:
    before = [entry("end_to_end"), entry("end_to_end", "ministack"), entry("growth_due")]

    after = renewed(before, [entry("end_to_end", value=2.0)])

    assert after == [entry("end_to_end", "ministack"), entry("growth_due"), entry("end_to_end", value=2.0)]
