"""The jobs table: who may write now, how far a job has come, and what it leaves behind."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.times import read_time
from inventory_updater.tables.job_table import JobTable, LeaseLostError, SegmentTakenError
from inventory_updater.tables.records import Failure, JobStatus, Run, Segment, Tally
from tests.builders import moment
from tests.fakes.clock import Clock
from tests.shop import just_before

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

JOBS = "inventory-jobs-test"
MINUTE = 60.0
RUN = Run(
    job_id="job-a",
    status=JobStatus.RUNNING,
    scope="due",
    trigger="schedule",
    dry_run=False,
    as_of=moment("08:00"),
    started_at=moment("08:00"),
    segments=2,
)


@pytest.fixture
def clock() -> Clock:
    return Clock.at("08:00")


@pytest.fixture
def client(moto_client: "DynamoDBClient", jobs_table: str) -> "DynamoDBClient":
    assert jobs_table == JOBS
    return moto_client


def table_on(client: object, clock: Clock) -> JobTable:
    return JobTable(cast("DynamoDBClient", client), JOBS, retention_days=30, clock=clock, sleep=lambda _seconds: None)


@pytest.fixture
def table(client: "DynamoDBClient", clock: Clock) -> JobTable:
    return table_on(client, clock)


def records(client: "DynamoDBClient") -> list[dict[str, object]]:
    return [dict(from_attribute_values(item)) for item in client.scan(TableName=JOBS)["Items"]]


# The lease


def test_a_free_lease_is_taken_for_a_while(table: JobTable) -> None:
    taken = table.take_lease("job-a", 5 * MINUTE)

    assert (taken.holder, taken.held_until, taken.displaced) == ("job-a", moment("08:05"), frozenset())
    assert table.lease() == taken


def test_a_lease_that_another_job_holds_stays_with_it(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(4 * MINUTE)

    assert table.take_lease("job-b", 5 * MINUTE).holder == "job-a"
    assert (table.lease().holder, table.lease().held_until) == ("job-a", moment("08:05"))


def test_a_job_takes_its_own_lease_again_and_displaces_nobody(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(MINUTE)

    again = table.take_lease("job-a", 5 * MINUTE)

    assert (again.holder, again.held_until, again.displaced) == ("job-a", moment("08:06"), frozenset())


def test_an_expired_lease_is_taken_over_and_the_displaced_job_is_remembered(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(5 * MINUTE + 1)

    taken = table.take_lease("job-b", 5 * MINUTE)

    assert (taken.holder, taken.displaced) == ("job-b", frozenset({"job-a"}))
    assert table.lease() == taken


def test_a_displaced_job_is_remembered_until_it_is_settled(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", MINUTE)
    clock.goes_on(MINUTE + 1)
    table.take_lease("job-b", MINUTE)
    clock.goes_on(MINUTE + 1)
    table.take_lease("job-c", MINUTE)
    table.forget_displaced("job-a")
    table.free_lease("job-c")

    assert table.take_lease("job-d", MINUTE).displaced == {"job-b"}
    table.forget_displaced("job-b")
    assert table.lease().displaced == frozenset()


def test_of_two_jobs_that_take_a_lease_at_once_one_holds_it(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    late = table_on(just_before(client, "update_item", lambda: table.take_lease("job-a", MINUTE)), clock)

    assert late.take_lease("job-b", MINUTE).holder == "job-a"
    assert table.lease().holder == "job-a"


def test_of_two_jobs_that_take_over_an_expired_lease_at_once_one_holds_it(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    table.take_lease("job-0", MINUTE)
    clock.goes_on(2 * MINUTE)
    late = table_on(just_before(client, "update_item", lambda: table.take_lease("job-a", MINUTE)), clock)

    assert late.take_lease("job-b", MINUTE).holder == "job-a"
    assert table.lease().displaced == {"job-0"}


def test_a_lease_renewed_while_it_is_being_taken_over_stays_where_it_is(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    table.take_lease("job-a", MINUTE)
    clock.goes_on(2 * MINUTE)
    late = table_on(just_before(client, "update_item", lambda: table.renew_lease("job-a", MINUTE)), clock)

    assert late.take_lease("job-b", MINUTE).holder == "job-a"


def test_renewing_moves_the_end_of_the_lease(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(3 * MINUTE)

    assert table.renew_lease("job-a", 5 * MINUTE) == read_time(moment("08:08"))
    assert table.lease().held_until == moment("08:08")


def test_a_job_that_lost_its_lease_cannot_renew_it(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", MINUTE)
    clock.goes_on(2 * MINUTE)
    table.take_lease("job-b", MINUTE)

    with pytest.raises(LeaseLostError, match="job-b"):
        table.renew_lease("job-a", MINUTE)
    assert table.lease().holder == "job-b"


def test_a_lease_that_nobody_holds_cannot_be_renewed(table: JobTable) -> None:
    with pytest.raises(LeaseLostError):
        table.renew_lease("job-a", MINUTE)


def test_only_its_holder_frees_a_lease(table: JobTable) -> None:
    table.take_lease("job-a", MINUTE)

    table.free_lease("job-b")
    assert table.lease().holder == "job-a"
    table.free_lease("job-a")
    table.free_lease("job-a")
    assert table.lease().holder is None


def test_a_freed_lease_displaces_nobody(table: JobTable) -> None:
    table.take_lease("job-a", MINUTE)
    table.free_lease("job-a")

    taken = table.take_lease("job-b", MINUTE)

    assert (taken.holder, taken.displaced) == ("job-b", frozenset())


# The RUN record


def test_a_run_is_read_as_it_was_written(table: JobTable) -> None:
    table.start_run(RUN)

    assert table.run("job-a") == RUN
    assert table.run("job-b") is None


def test_starting_a_run_again_leaves_the_first_one_as_it_is(table: JobTable) -> None:
    table.start_run(RUN)

    assert table.start_run(replace(RUN, as_of=moment("09:00"))) == RUN
    assert table.run("job-a") == RUN


def test_a_settled_run_is_read_with_all_its_figures(table: JobTable) -> None:
    table.start_run(RUN)
    settled = replace(
        RUN,
        status=JobStatus.COMPLETED_WITH_FAILURES,
        finished_at=moment("08:01"),
        duration_seconds=60.25,
        tally=Tally(
            items_scanned=7, changes_applied=3, read_units=4.5, memory_used=81.5, oldest_overdue=moment("07:00")
        ),
        tally_is_exact=False,
        failure_rate=12.5,
        error="segment 1: never finished",
        samples=({"sku": "mug", "before": {"on_hand": Decimal(1)}, "applied": ["c1"]},),
    )

    assert table.settle_run(settled) == settled
    assert table.run("job-a") == settled


def test_a_run_is_settled_once(table: JobTable) -> None:
    table.start_run(RUN)
    first = table.settle_run(replace(RUN, status=JobStatus.ABANDONED, error="no live lease"))

    assert table.settle_run(replace(RUN, status=JobStatus.SUCCEEDED)) == first
    assert table.run("job-a") == first


def test_a_step_of_closing_is_marked_on_the_run(table: JobTable) -> None:
    run = table.start_run(RUN)

    marked = table.mark_run(run, metrics_published_at=moment("08:02"))

    assert marked.metrics_published_at == moment("08:02")
    assert table.run("job-a") == marked


def test_an_expired_run_is_no_longer_there_for_its_readers(table: JobTable, clock: Clock) -> None:
    table.start_run(RUN)
    clock.goes_on(30 * 86400 - 1)
    assert table.run("job-a") is not None
    clock.goes_on(1)

    assert table.run("job-a") is None
    assert list(table.runs()) == []


def test_runs_are_listed_from_the_newest_on(table: JobTable) -> None:
    for number, started_at in enumerate(["08:00", "10:00", "09:00"]):
        table.start_run(replace(RUN, job_id=f"job-{number}", started_at=moment(started_at)))

    assert [run.job_id for run in table.runs()] == ["job-1", "job-2", "job-0"]
    assert [run.job_id for run in table.runs(limit=2)] == ["job-1", "job-2"]


# Progress


def test_a_segment_that_no_call_has_begun_is_fresh(table: JobTable) -> None:
    assert table.segment("job-a", 1) == Segment("job-a", 1)
    assert table.segments("job-a", 2) == [Segment("job-a", 0), Segment("job-a", 1)]


def test_a_call_is_counted_when_it_begins(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)

    assert (begun.call, begun.tally, begun.cursor, begun.is_done) == (1, Tally(calls=1), None, False)
    assert table.segment("job-a", 0) == begun


def test_the_next_call_goes_on_from_the_saved_cursor_and_tally(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)
    cursor = {"sku": "mug", "location_id": "DC1", "next_change_at": moment("07:00")}
    saved = replace(begun, cursor=cursor, tally=begun.tally + Tally(items_scanned=5), slowest_page_seconds=0.5)
    table.save_segment(replace(saved, call_is_open=False))

    following = table.begin_call("job-a", 0)

    assert (following.cursor, following.slowest_page_seconds) == (cursor, 0.5)
    assert (following.call, following.tally, following.tally_is_exact) == (2, Tally(items_scanned=5, calls=2), True)


def test_the_tally_is_no_longer_exact_after_a_call_that_did_not_end(table: JobTable) -> None:
    table.begin_call("job-a", 0)

    assert not table.begin_call("job-a", 0).tally_is_exact
    assert not table.begin_call("job-a", 0).tally_is_exact


def test_a_call_saves_its_segment_page_after_page(table: JobTable) -> None:
    segment = table.begin_call("job-a", 0)
    for page in range(1, 4):
        segment = table.save_segment(replace(segment, tally=segment.tally + Tally(items_scanned=10)))
        assert table.segment("job-a", 0).tally.items_scanned == 10 * page


def test_a_call_that_was_overtaken_cannot_save(table: JobTable) -> None:
    first = table.begin_call("job-a", 0)
    second = table.begin_call("job-a", 0)

    with pytest.raises(SegmentTakenError):
        table.save_segment(replace(first, tally=Tally(items_scanned=99)))
    assert table.segment("job-a", 0) == second


def test_of_two_saves_of_one_call_the_one_that_knows_less_loses(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)
    table.save_segment(replace(begun, tally=Tally(items_scanned=1)))
    table.save_segment(replace(begun, saves=1, tally=Tally(items_scanned=2)))

    with pytest.raises(SegmentTakenError):
        table.save_segment(replace(begun, tally=Tally(items_scanned=1)))
    assert table.segment("job-a", 0).tally.items_scanned == 2


def test_of_two_calls_that_begin_at_once_one_has_the_segment(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    late = table_on(just_before(client, "put_item", lambda: table.begin_call("job-a", 0)), clock)

    with pytest.raises(SegmentTakenError):
        late.begin_call("job-a", 0)
    assert table.segment("job-a", 0).call == 1


def test_a_save_whose_answer_was_lost_counts_when_it_is_sent_again(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    begun = table.begin_call("job-a", 0)
    saving = replace(begun, tally=begun.tally + Tally(items_scanned=3))
    retried = table_on(just_before(client, "put_item", lambda: table.save_segment(saving)), clock)

    assert retried.save_segment(saving).saves == 1
    assert table.segment("job-a", 0).tally.items_scanned == 3


def test_a_segment_that_is_done_is_not_begun_again(table: JobTable) -> None:
    done = table.save_segment(replace(table.begin_call("job-a", 0), is_done=True, call_is_open=False))

    assert table.begin_call("job-a", 0) == done
    assert table.segment("job-a", 0) == done


def test_a_call_that_failed_leaves_its_reason(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)

    table.note_segment_error(begun, "the table is on fire")
    assert table.segment("job-a", 0).error == "the table is on fire"
    assert table.begin_call("job-a", 0).error is None


def test_a_call_that_was_overtaken_leaves_no_reason(table: JobTable) -> None:
    overtaken = table.begin_call("job-a", 0)
    table.begin_call("job-a", 0)

    table.note_segment_error(overtaken, "too slow")

    assert table.segment("job-a", 0).error is None


def test_the_segments_of_forty_workers_are_read_in_their_order(table: JobTable) -> None:
    for number in reversed(range(40)):
        table.begin_call("job-a", number)
    table.begin_call("job-b", 0)

    assert [segment.number for segment in table.segments("job-a", 40)] == list(range(40))


# Failures


def failure(number: int = 1, change_id: str | None = "c1") -> Failure:
    return Failure(f"sku-{number}", "DC1", change_id, "INSUFFICIENT_STOCK", "there were only 3")


def test_a_failure_is_read_as_it_was_recorded(table: JobTable) -> None:
    recorded = [failure(1, "c1"), failure(1, "c2"), failure(1, None), Failure("x" * 64, "é" * 32, "c#1", "C", "m")]
    table.record_failures("job-a", 0, recorded)

    assert sorted(table.failures("job-a"), key=repr) == sorted(recorded, key=repr)
    assert list(table.failures("job-b")) == []


def test_a_repeated_page_records_its_failures_once(table: JobTable) -> None:
    page = [failure(number) for number in range(60)]
    table.record_failures("job-a", 0, page)
    table.record_failures("job-a", 0, page)

    assert len(list(table.failures("job-a"))) == 60


def test_one_failure_named_twice_in_a_page_is_one_record(table: JobTable) -> None:
    table.record_failures("job-a", 0, [failure(), failure()])

    assert len(list(table.failures("job-a"))) == 1


def test_what_the_table_left_unprocessed_is_sent_again(client: "DynamoDBClient", clock: Clock) -> None:
    class HalfHearted:
        """A client that takes only one record of each batch."""

        def __getattr__(self, name: str) -> Any:  # stands for any operation
            return getattr(client, name)

        def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, object]:  # noqa: N803  # AWS's name
            (name, requests), *_ = RequestItems.items()
            client.batch_write_item(RequestItems={name: requests[:1]})
            return {"UnprocessedItems": {name: requests[1:]} if requests[1:] else {}}

    table = table_on(HalfHearted(), clock)
    table.record_failures("job-a", 0, [failure(number) for number in range(8)])

    assert len(list(table.failures("job-a"))) == 8


# What the table holds


def test_the_records_of_a_job_have_the_keys_and_the_expiry_of_the_design(
    table: JobTable, client: "DynamoDBClient"
) -> None:
    table.take_lease("job-a", MINUTE)
    table.start_run(RUN)
    table.begin_call("job-a", 7)
    table.record_failures("job-a", 7, [failure()])

    stored = {(str(record["job_id"]), str(record["record"])): record for record in records(client)}
    expires_at = int((read_time(moment("08:00")) + timedelta(days=30)).timestamp())
    digest = failure().digest

    assert set(stored) == {
        ("LEASE", "LEASE"),
        ("job-a", "RUN"),
        ("job-a", "SEGMENT#007"),
        ("job-a", f"FAILURE#007#{digest}"),
    }
    assert {key[1]: record.get("expires_at") for key, record in stored.items()} == {
        "LEASE": None,
        "RUN": expires_at,
        "SEGMENT#007": expires_at,
        f"FAILURE#007#{digest}": expires_at,
    }
    in_the_index = [key for key, record in stored.items() if "record_type" in record and "started_at" in record]
    assert in_the_index == [("job-a", "RUN")]


def test_what_a_settled_run_says_stays_until_it_expires(
    table: JobTable, client: "DynamoDBClient", clock: Clock
) -> None:
    table.start_run(RUN)
    clock.goes_on(MINUTE)
    table.settle_run(replace(RUN, status=JobStatus.SUCCEEDED))

    (stored,) = records(client)
    assert stored["expires_at"] == int((read_time(moment("08:00")) + timedelta(days=30)).timestamp())
    assert (stored["record_type"], stored["status"]) == ("RUN", "SUCCEEDED")
