"""What the benchmarks have to show."""

import pytest

from benchmarks.figures import Entry
from benchmarks.goals import Goal, goals
from benchmarks.peers import LOOP, POOL, PRODUCT, PYNAMODB


def compared(unit: str, engine: str = "instant", **times_better: float) -> list[Entry]:
    names = {"ours": PRODUCT, "loop": LOOP, "pool": POOL, "pynamodb": PYNAMODB}
    return [Entry("end_to_end", engine, names[name], unit, 1.0, better) for name, better in times_better.items()]


def grown(comparison: str, unit: str, **values: float) -> list[Entry]:
    cases = {"small": "10,000 items", "large": "1,000,000 items", "tiny": "1,000 items"}
    return [Entry(comparison, "instant", PRODUCT, unit, value, None, cases[size]) for size, value in values.items()]


@pytest.mark.parametrize(("better", "is_met"), [(10.0, True), (9.9, False)])
def test_an_item_costs_a_tenth_of_the_loops_processor_time(better: float, is_met: bool) -> None:
    (goal,) = goals(compared("cpu_us_per_item", ours=better, loop=1.0))

    assert goal == Goal("10 times less processor time an item than the loop (instant)", f"{better}", is_met)


def test_a_peer_that_is_ahead_in_any_figure_is_named() -> None:
    entries = [
        *compared("wall_us_per_item", ours=20.0, loop=1.0, pool=21.0, pynamodb=1.0),
        *compared("peak_megabytes", ours=1.2, loop=1.0, pool=1.1, pynamodb=1.3),
        *compared("requests_per_item", ours=16.0, loop=1.0, pool=90.0),
    ]

    (goal,) = goals(entries)

    assert not goal.is_met
    assert goal.found == f"{POOL}: wall_us_per_item; {PYNAMODB}: peak_megabytes"


def test_on_a_real_engine_no_peer_is_more_than_a_tenth_ahead() -> None:
    found = goals(compared("items_per_second", "ministack", ours=3.0, loop=1.0, pool=3.6, pynamodb=0.5))

    assert [(goal.found, goal.is_met) for goal in found] == [("3.00", True), (f"{POOL}: 1.20 of ours", False)]


def test_what_is_due_costs_the_same_in_a_large_table() -> None:
    entries = [
        *grown("growth_due", "read_units", small=50.0, large=50.0),
        *grown("growth_due", "wall_seconds", large=1.6, small=1.0),
    ]

    assert [(goal.found, goal.is_met) for goal in goals(entries)] == [("1.00", True), ("1.60", False)]


def test_memory_is_compared_from_ten_thousand_items_on() -> None:
    (goal,) = goals(grown("growth_items", "peak_megabytes", tiny=40.0, small=60.0, large=72.0))

    assert goal == Goal("peak memory at 1,000,000 items at most 1.2 times that at 10,000 items", "1.20", True)


def test_what_was_not_measured_is_no_goal() -> None:
    assert [] == goals([Entry("floor", "instant", PRODUCT, "cpu_us_per_item", 1.0, 20.0)])
