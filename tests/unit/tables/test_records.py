"""What a job is and did: tallies add up, and survive being stored."""

from dataclasses import fields, replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.records import (
    Failure,
    JobStatus,
    Lease,
    Run,
    Segment,
    Tally,
    read_run,
    read_segment,
    run_attributes,
    segment_attributes,
)
from tests.builders import moment

COUNTS: Final = [
    *("items_scanned", "items_updated", "items_failed", "items_with_work", "items_troubled"),
    *("items_repaired", "items_negative"),
    *("changes_applied", "changes_opened", "changes_rejected", "changes_superseded"),
    *("conflicts", "throttles", "failures_recorded", "calls"),
]
counts = st.integers(0, 10**9)
units = st.integers(0, 10**9).map(lambda halves: halves / 2)
tallies: st.SearchStrategy[Tally] = st.builds(
    Tally,
    **dict.fromkeys(COUNTS, counts),
    read_units=units,
    write_units=units,
    memory_used=st.floats(0, 10_240),
    oldest_overdue=st.none() | st.sampled_from([moment("08:00"), moment("09:00"), moment("10:00")]),
    failure_sum=st.integers(0, 2**126 - 1),
    lateness=st.lists(st.integers(0, 10**6).map(lambda halves: halves / 2), max_size=5).map(Lateness.of),
)
times = st.none() | st.just(moment("09:00"))
remarks = st.none() | st.text(min_size=1, max_size=5)
runs = st.builds(
    Run,
    job_id=st.just("job-a"),
    status=st.sampled_from(JobStatus),
    scope=st.sampled_from(["due", "all"]),
    trigger=st.just("manual"),
    as_of=st.just(moment("08:00")),
    started_at=st.just(moment("08:00")),
    segments=st.integers(1, 40),
    finished_at=times,
    duration_seconds=st.none() | units,
    tally=tallies,
    tally_is_exact=st.booleans(),
    failure_rate=st.integers(0, 200).map(lambda halves: halves / 2),
    **dict.fromkeys(("error", "stop_reason", "metrics_error", "alert_error", "result_error"), remarks),
    **dict.fromkeys(("metrics_published_at", "alerted_at", "result_published_at"), times),
)
cursors = st.dictionaries(
    st.integers(0, 127), st.just({}) | st.just({"item": "mug#DC1", "due_at": moment("09:00")}), max_size=3
)
segments = st.builds(
    Segment,
    job_id=st.just("job-a"),
    number=st.integers(0, 39),
    lanes_begun=st.integers(0, 128),
    cursors=cursors,
    tally=tallies,
    slowest_page_seconds=units,
    **dict.fromkeys(("is_done", "tally_is_exact", "call_is_open", "was_cut_short"), st.booleans()),
    **dict.fromkeys(("call", "saves"), counts),
    **dict.fromkeys(("call_token", "updated_at"), st.text(max_size=5)),
    **dict.fromkeys(("error", "recording_error"), remarks),
)


def through_the_table(attributes: dict[str, object]) -> dict[str, object]:
    return from_attribute_values(to_attribute_values(attributes))


def test_counts_and_units_add_up() -> None:
    figures: dict[str, Any] = {name: number for number, name in enumerate((*COUNTS, "read_units", "write_units"), 1)}

    total = Tally(**figures) + Tally(**figures) + Tally(calls=1)

    assert total == Tally(**{name: 2 * number + (name == "calls") for name, number in figures.items()})


def test_the_peak_of_memory_is_the_highest_of_the_workers() -> None:
    assert (Tally(memory_used=80.5) + Tally(memory_used=120.25) + Tally()).memory_used == 120.25


def test_the_oldest_overdue_change_is_the_earliest_of_those_known() -> None:
    late, early = Tally(oldest_overdue=moment("09:00")), Tally(oldest_overdue=moment("08:00"))

    assert [(late + Tally() + early).oldest_overdue, (Tally() + Tally()).oldest_overdue] == [moment("08:00"), None]


def test_every_figure_of_a_tally_is_added_or_compared() -> None:
    every = {each.name: getattr(Tally(), each.name) for each in fields(Tally)}

    compared = {"memory_used", "oldest_overdue", "failure_sum", "lateness"}
    assert set(every) == {*COUNTS, "read_units", "write_units", *compared}


@given(tallies, tallies, tallies)
def test_the_order_in_which_pages_are_added_does_not_matter(one: Tally, two: Tally, three: Tally) -> None:
    assert one + two + three == three + (two + one)


@given(tallies)
def test_nothing_added_changes_nothing(tally: Tally) -> None:
    assert Tally() + tally == tally


@given(tallies, runs, segments)
def test_a_tally_a_run_and_a_segment_come_back_from_the_table_as_they_went(
    tally: Tally, run: Run, segment: Segment
) -> None:
    assert Tally.from_map(through_the_table(tally.to_map())) == tally
    assert read_run(through_the_table(run_attributes(run))) == run
    assert read_segment(through_the_table(segment_attributes(segment))) == segment


def test_figures_that_were_not_stored_are_0() -> None:
    assert Tally.from_map({}) == Tally()


def test_the_failure_rate_is_the_troubled_share_of_the_items_with_work() -> None:
    rates = {(0, 0): 0.0, (10, 0): 0.0, (10, 1): 10.0, (3, 3): 100.0, (8, 1): 12.5}

    assert {(work, bad): Tally(items_with_work=work, items_troubled=bad).failure_rate for work, bad in rates} == rates


def test_a_lease_is_open_to_its_holder_and_when_it_is_free_or_expired() -> None:
    held = Lease("job-a", moment("09:00"))

    assert Lease().is_open_to("job-b", moment("08:00"))
    assert held.is_open_to("job-a", moment("08:00"))
    to_another = [held.is_open_to("job-b", moment(time)) for time in ("08:00", "09:00", "09:00:00.000001")]
    assert to_another == [False, False, True]


def test_only_a_running_job_is_not_settled() -> None:
    runs = [Run("job-a", status, "due", "manual", moment("08:00"), moment("08:00"), 2) for status in JobStatus]

    assert [run.status for run in runs if not run.is_settled] == [JobStatus.RUNNING]


FAILURE = Failure("mug", "DC1", "c1", "INSUFFICIENT_STOCK", "on hand is 3, the adjustment -4")


def test_a_failure_is_named_by_its_item_and_change_alone() -> None:
    names = [
        *(("mug", "DC1", "c1"), ("cup", "DC1", "c1"), ("mug", "DC2", "c1")),
        *(("mug", "DC1", "c2"), ("mug", "DC1", None), ("mug", "DC1", "")),
        *(("mugD", "C1", "c1"), ('mug", "DC1', "", "c1")),
    ]

    assert replace(FAILURE, code="TOO_PRECISE", message="other").digest == FAILURE.digest
    assert len({Failure(*name, "CODE", "message").digest for name in names}) == len(names)


def test_the_name_of_a_failure_has_one_length_however_long_its_ids_are() -> None:
    assert len(FAILURE.digest) == len(replace(FAILURE, sku="x" * 2048, change_id="é" * 500).digest) == 32
