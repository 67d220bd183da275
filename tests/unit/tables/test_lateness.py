"""How late changes took effect: a histogram that is right to within a bucket."""

import math

from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.tables.lateness import LAST_BUCKET, SHORTEST_SECONDS, Lateness, seconds_of

A_BUCKET = 2 ** (1 / 4) + 0.001
"""How much longer than the shortest of a bucket its longest is."""

# Nearly three years: longer ones share the last bucket.
lists = st.lists(st.integers(0, 9 * 10**9).map(lambda hundredths: hundredths / 100), min_size=1, max_size=30)


@given(lists, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_that_of_the_sorted_list_to_within_a_bucket(seconds: list[float], share: float) -> None:
    exact = sorted(seconds)[max(1, math.ceil(share * len(seconds))) - 1]

    found = Lateness.of(seconds).quantile(share)

    # The bounds of buckets are rounded.
    assert exact * (1 - 1e-6) - 0.001 <= found <= max(SHORTEST_SECONDS, exact * A_BUCKET) + 0.001


@given(lists, lists)
def test_histograms_add_up_to_that_of_all_changes(first: list[float], second: list[float]) -> None:
    assert Lateness.of(first) + Lateness.of(second) == Lateness.of(second + first)
    assert Lateness.of(first) + Lateness() == Lateness.of(first)


@given(lists)
def test_a_histogram_comes_back_from_the_table_as_it_went(seconds: list[float]) -> None:
    late = Lateness.of(seconds)
    assert Lateness.from_map(from_attribute_values(to_attribute_values(late.to_map()))) == late


def test_nothing_is_earlier_than_now_or_later_than_the_last_bucket() -> None:
    assert (Lateness().quantile(0.5), Lateness.of([]).longest) == (0.0, 0.0)
    assert Lateness.of([-5.0, 0.0, 0.1]) == Lateness({0: 3}, 0.1)
    assert Lateness.of([1e12]) == Lateness({LAST_BUCKET: 1}, 1e12)
    assert seconds_of(LAST_BUCKET) > 2 * 365 * 86400
