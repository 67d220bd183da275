"""The jobs table: who may write now, how far a job has come, and what it leaves behind."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import read_time
from inventory_updater.tables.job_table import JobTable, LeaseLostError, SegmentTakenError
from inventory_updater.tables.records import Failure, JobStatus, Lease, Run, Segment, SettledChange, Tally
from tests.builders import moment
from tests.engines import table_definition
from tests.fakes.clock import Clock
from tests.shop import just_before
from tests.simulation.faults import RefusedInPart
from tests.simulation.table import SimulatedDynamoDB

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

JOBS = "inventory-jobs-test"
MINUTE = 60.0
RUN = Run("job-a", JobStatus.RUNNING, "due", "schedule", moment("08:00"), moment("08:00"), segments=2)


@pytest.fixture
def clock() -> Clock:
    return Clock.at("08:00")


@pytest.fixture
def client(clock: Clock) -> SimulatedDynamoDB:
    made = SimulatedDynamoDB(random.Random(1), clock.monotonic)
    made.create_table(**table_definition("JobsTable", "test"))
    return made


def table_on(client: object, clock: Clock) -> JobTable:
    return JobTable(cast("DynamoDBClient", client), JOBS, retention_days=30, clock=clock, sleep=lambda _seconds: None)


@pytest.fixture
def table(client: SimulatedDynamoDB, clock: Clock) -> JobTable:
    return table_on(client, clock)


Beaten = Callable[[str, Callable[[], object]], JobTable]


@pytest.fixture
def beaten(client: SimulatedDynamoDB, clock: Clock) -> Beaten:
    """The table for somebody before whose next operation of this name something else happens."""
    return lambda operation, happens: table_on(just_before(client, operation, happens), clock)


@pytest.fixture
def expired(table: JobTable, clock: Clock) -> None:
    """Two minutes ago job-a took the lease for a minute."""
    table.take_lease("job-a", MINUTE)
    clock.goes_on(2 * MINUTE)


# The lease


def test_a_free_lease_is_taken_for_a_while_in_one_request(table: JobTable, client: SimulatedDynamoDB) -> None:
    assert table.take_lease("job-a", 5 * MINUTE) == Lease("job-a", moment("08:05"))
    assert client.calls == {"update_item": 1}

    table.free_lease("job-a")
    table.take_lease("job-b", 5 * MINUTE)
    assert client.calls == {"update_item": 3}
    assert table.lease() == Lease("job-b", moment("08:05"))


def test_a_lease_that_another_job_holds_stays_with_it(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(4 * MINUTE)

    assert table.take_lease("job-b", 5 * MINUTE) == table.lease() == Lease("job-a", moment("08:05"))


def test_a_job_takes_its_own_lease_again_and_displaces_nobody(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(MINUTE)

    assert table.take_lease("job-a", 5 * MINUTE) == Lease("job-a", moment("08:06"))


@pytest.mark.usefixtures("expired")
def test_an_expired_lease_is_taken_over_and_the_displaced_job_is_remembered(table: JobTable) -> None:
    taken = table.take_lease("job-b", 5 * MINUTE)

    assert taken == table.lease() == Lease("job-b", moment("08:07"), frozenset({"job-a"}))


def test_a_displaced_job_is_remembered_until_it_is_settled(table: JobTable, clock: Clock) -> None:
    for job_id in ("job-a", "job-b", "job-c"):
        table.take_lease(job_id, MINUTE)
        clock.goes_on(MINUTE + 1)
    table.forget_displaced("job-a")
    table.free_lease("job-c")

    assert table.take_lease("job-d", MINUTE).displaced == {"job-b"}
    table.forget_displaced("job-b")
    assert table.lease().displaced == frozenset()


def test_of_two_jobs_that_take_a_lease_at_once_one_holds_it(table: JobTable, beaten: Beaten) -> None:
    late = beaten("update_item", lambda: table.take_lease("job-a", MINUTE))

    assert late.take_lease("job-b", MINUTE).holder == "job-a"
    assert table.lease().holder == "job-a"


@pytest.mark.usefixtures("expired")
def test_of_two_jobs_that_take_over_an_expired_lease_at_once_one_holds_it(table: JobTable, beaten: Beaten) -> None:
    late = beaten("update_item", lambda: table.take_lease("job-b", MINUTE))

    assert late.take_lease("job-c", MINUTE).holder == "job-b"
    assert table.lease().displaced == {"job-a"}


@pytest.mark.usefixtures("expired")
def test_a_lease_renewed_while_it_is_being_taken_over_stays_where_it_is(table: JobTable, beaten: Beaten) -> None:
    late = beaten("update_item", lambda: table.renew_lease("job-a", MINUTE))

    assert late.take_lease("job-b", MINUTE).holder == "job-a"


def test_renewing_moves_the_end_of_the_lease(table: JobTable, clock: Clock) -> None:
    table.take_lease("job-a", 5 * MINUTE)
    clock.goes_on(3 * MINUTE)

    table.renew_lease("job-a", 5 * MINUTE)
    assert table.lease().held_until == moment("08:08")


@pytest.mark.usefixtures("expired")
def test_a_job_that_lost_its_lease_cannot_renew_it(table: JobTable) -> None:
    table.take_lease("job-b", MINUTE)

    with pytest.raises(LeaseLostError, match="job-b"):
        table.renew_lease("job-a", MINUTE)
    assert table.lease().holder == "job-b"

    table.free_lease("job-b")
    with pytest.raises(LeaseLostError):
        table.renew_lease("job-b", MINUTE)


def test_only_its_holder_frees_a_lease_and_then_it_displaces_nobody(table: JobTable) -> None:
    table.take_lease("job-a", MINUTE)

    table.free_lease("job-b")
    assert table.lease().holder == "job-a"
    table.free_lease("job-a")
    table.free_lease("job-a")
    assert table.lease().holder is None
    assert table.take_lease("job-b", MINUTE).displaced == frozenset()


# The RUN record


def test_a_run_is_read_as_it_was_written_and_not_started_again(table: JobTable) -> None:
    table.start_run(RUN)

    assert table.start_run(replace(RUN, as_of=moment("09:00"))) == RUN
    assert table.run("job-a") == RUN
    assert table.run("job-b") is None


def test_a_run_is_settled_once_with_all_its_figures(table: JobTable) -> None:
    table.start_run(RUN)
    tally = Tally(items_scanned=7, changes_applied=3, read_units=4.5, memory_used=81.5, oldest_overdue=moment("07:00"))
    settled = replace(
        RUN,
        status=JobStatus.COMPLETED_WITH_FAILURES,
        finished_at=moment("08:01"),
        duration_seconds=60.25,
        tally=tally,
        tally_is_exact=False,
        failure_rate=12.5,
        error="segment 1: never finished",
    )

    assert table.settle_run(settled) == settled
    assert table.settle_run(replace(RUN, status=JobStatus.SUCCEEDED)) == settled
    assert table.run("job-a") == settled


def test_a_step_of_closing_is_marked_on_the_run(table: JobTable) -> None:
    marked = table.mark_run(table.start_run(RUN), metrics_published_at=moment("08:02"))

    assert marked == table.run("job-a") == replace(RUN, metrics_published_at=moment("08:02"))


def test_a_job_may_go_on_until_it_is_stopped_or_has_ended(table: JobTable) -> None:
    for job_id, ends in {"job-a": JobStatus.SUCCEEDED, "job-b": None}.items():
        run = table.start_run(replace(RUN, job_id=job_id))
        assert table.may_go_on(job_id)
        if ends is None:
            table.request_stop(job_id, "the wrong prices")
        else:
            table.settle_run(replace(run, status=ends))
        assert not table.may_go_on(job_id)

    assert not table.may_go_on("job-c")
    # A run that is stopped is settled like any other, and keeps the reason; one that has ended is not stopped any more.
    table.settle_run(replace(RUN, job_id="job-b", status=JobStatus.ABANDONED))
    for job_id in ("job-a", "job-c"):
        table.request_stop(job_id, "too late")
    runs = {job_id: table.run(job_id) for job_id in ("job-a", "job-b", "job-c")}
    assert {job_id: run and (run.status.value, run.stop_reason) for job_id, run in runs.items()} == {
        "job-a": ("SUCCEEDED", None),
        "job-b": ("ABANDONED", "the wrong prices"),
        "job-c": None,
    }


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


def test_a_segment_is_fresh_until_a_call_begins_and_is_counted(table: JobTable) -> None:
    assert table.segment("job-a", 1) == Segment("job-a", 1)

    begun = table.begin_call("job-a", 0)

    assert (begun.call, begun.tally, begun.lanes_begun, begun.is_done) == (1, Tally(calls=1), 0, False)
    assert table.segments("job-a", 2) == [begun, Segment("job-a", 1)]


def test_the_next_call_goes_on_from_the_saved_cursors_and_tally(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)
    due_at = {"item": "mug#DC1", "change_id": "c1", "due_shard": "07", "due_at": moment("07:00")}
    cursors = {2: due_at, 11: {"sku": "mug", "location_id": "DC1"}, 12: {}}
    tally = begun.tally + Tally(items_scanned=5)
    saved = replace(begun, lanes_begun=13, cursors=cursors, tally=tally, slowest_page_seconds=0.5)
    table.save_segment(replace(saved, call_is_open=False))

    following = table.begin_call("job-a", 0)

    assert (following.lanes_begun, following.cursors, following.slowest_page_seconds) == (13, cursors, 0.5)
    assert (following.call, following.tally, following.tally_is_exact) == (2, Tally(items_scanned=5, calls=2), True)


def test_the_tally_is_no_longer_exact_after_a_call_that_did_not_end(table: JobTable) -> None:
    calls = [table.begin_call("job-a", 0) for _ in range(3)]

    assert [call.tally_is_exact for call in calls] == [True, False, False]


def test_a_call_saves_its_segment_page_after_page(table: JobTable) -> None:
    segment = table.begin_call("job-a", 0)
    for page in range(1, 4):
        segment = table.save_segment(replace(segment, tally=segment.tally + Tally(items_scanned=10)))
        assert table.segment("job-a", 0).tally.items_scanned == 10 * page


def test_a_call_that_was_overtaken_can_neither_save_nor_leave_a_reason(table: JobTable) -> None:
    overtaken, holder = table.begin_call("job-a", 0), table.begin_call("job-a", 0)

    with pytest.raises(SegmentTakenError):
        table.save_segment(replace(overtaken, tally=Tally(items_scanned=99)))
    table.note_segment_error(overtaken, "too slow")

    assert table.segment("job-a", 0) == holder


def test_of_two_saves_of_one_call_the_one_that_knows_less_loses(table: JobTable) -> None:
    begun = table.begin_call("job-a", 0)
    table.save_segment(replace(begun, tally=Tally(items_scanned=1)))
    table.save_segment(replace(begun, saves=1, tally=Tally(items_scanned=2)))

    with pytest.raises(SegmentTakenError):
        table.save_segment(replace(begun, tally=Tally(items_scanned=1)))
    assert table.segment("job-a", 0).tally.items_scanned == 2


def test_of_two_calls_that_begin_at_once_one_has_the_segment(table: JobTable, beaten: Beaten) -> None:
    late = beaten("put_item", lambda: table.begin_call("job-a", 0))

    with pytest.raises(SegmentTakenError):
        late.begin_call("job-a", 0)
    assert table.segment("job-a", 0).call == 1


def test_a_save_whose_answer_was_lost_counts_when_it_is_sent_again(table: JobTable, beaten: Beaten) -> None:
    begun = table.begin_call("job-a", 0)
    saving = replace(begun, tally=begun.tally + Tally(items_scanned=3))
    retried = beaten("put_item", lambda: table.save_segment(saving))

    assert retried.save_segment(saving).saves == 1
    assert table.segment("job-a", 0).tally.items_scanned == 3


def test_a_segment_that_is_done_is_not_begun_again(table: JobTable) -> None:
    done = table.save_segment(replace(table.begin_call("job-a", 0), is_done=True, call_is_open=False))

    assert table.begin_call("job-a", 0) == table.segment("job-a", 0) == done


def test_a_call_that_failed_leaves_its_reason_until_the_next_one_begins(table: JobTable) -> None:
    table.note_segment_error(table.begin_call("job-a", 0), "the table is on fire")

    assert table.segment("job-a", 0).error == "the table is on fire"
    assert table.begin_call("job-a", 0).error is None


def test_the_segments_of_forty_workers_are_read_in_their_order(table: JobTable) -> None:
    for number in reversed(range(40)):
        table.begin_call("job-a", number)
    table.begin_call("job-b", 0)

    assert [segment.number for segment in table.segments("job-a", 40)] == list(range(40))


# Settled changes


def test_what_a_job_settled_is_read_as_it_was_recorded_a_record_for_every_500(
    table: JobTable, client: SimulatedDynamoDB
) -> None:
    segment = table.begin_call("job-a", 0)
    first = [SettledChange(ItemKey("mug", "DC1"), f"c{number:03}", "APPLIED") for number in range(501)]
    odd = [SettledChange(ItemKey("a#%b", "DC 1"), "c#1#2", "OPEN"), SettledChange(ItemKey("é", "#"), "ü", "REJECTED")]
    table.record_settled(segment, first)
    table.record_settled(segment, first)  # a save that is repeated
    table.record_settled(table.save_segment(segment), odd)
    table.record_settled(table.begin_call("job-b", 0), first)
    table.record_settled(segment, [])

    assert list(table.settled("job-a")) == [*first, *odd]
    pages = [item for item in client.items(JOBS) if item["job_id"] == {"S": "job-a"} and "settled" in item]
    assert len(pages) == 3


# Failures


def failure(number: int = 1, change_id: str | None = "c1") -> Failure:
    return Failure(f"sku-{number}", "DC1", change_id, "INSUFFICIENT_STOCK", "there were only 3")


def test_a_failure_is_read_as_it_was_recorded(table: JobTable) -> None:
    recorded = [failure(1, "c1"), failure(1, "c2"), failure(1, None), Failure("x" * 64, "é" * 32, "c#1", "C", "m")]
    table.record_failures("job-a", 0, recorded)

    assert sorted(table.failures("job-a"), key=repr) == sorted(recorded, key=repr)
    assert list(table.failures("job-b")) == []


def test_a_failure_is_recorded_once_named_twice_in_a_page_or_in_a_repeated_one(table: JobTable) -> None:
    page = [failure(number) for number in (7, *range(60))]
    table.record_failures("job-a", 0, page)
    table.record_failures("job-a", 0, page)

    assert len(list(table.failures("job-a"))) == 60


def test_what_the_table_left_unprocessed_is_sent_again(table: JobTable, client: SimulatedDynamoDB) -> None:
    def all_but_the_first(_operation: str, request: Any) -> RefusedInPart | None:
        left = range(1, len(request["RequestItems"][JOBS])) if "RequestItems" in request else ()
        return RefusedInPart(frozenset(left)) if left else None

    client.decide = all_but_the_first
    table.record_failures("job-a", 0, [failure(number) for number in range(8)])

    assert len(list(table.failures("job-a"))) == 8


def test_an_item_is_stuck_where_it_failed_with_the_same_code_within_two_days(table: JobTable, clock: Clock) -> None:
    cup = Failure("cup", "DC1", None, "WRONG_TYPE", "on_hand is text")
    assert table.note_stuck([cup, failure(1, "c1")]) == set()

    other_code = replace(cup, code="MISSING_QUANTITY")
    assert [table.note_stuck([each]) for each in (cup, other_code, cup)] == [{cup.key}, set(), {cup.key}]
    clock.goes_on(2 * 86400)
    assert table.note_stuck([cup]) == set()


# What the table holds


def test_the_records_of_a_job_have_the_keys_and_the_expiry_of_the_design(
    table: JobTable, client: SimulatedDynamoDB
) -> None:
    table.take_lease("job-a", MINUTE)
    table.settle_run(replace(table.start_run(RUN), status=JobStatus.SUCCEEDED))
    table.record_settled(table.begin_call("job-a", 7), [SettledChange(ItemKey("mug", "DC1"), "c1", "APPLIED")])
    table.record_failures("job-a", 7, [failure()])

    records = list(map(from_attribute_values, client.scan(TableName=JOBS)["Items"]))

    expires_at = (read_time(moment("08:00")) + timedelta(days=30)).timestamp()
    assert {(each["job_id"], each["record"]): each.get("expires_at") for each in records} == {
        ("LEASE", "LEASE"): None,
        ("job-a", "RUN"): expires_at,
        ("job-a", "SEGMENT#007"): expires_at,
        ("job-a", "PAGE#007#00001#00000#00"): expires_at,
        ("job-a", f"FAILURE#007#{failure().digest}"): expires_at,
    }
    in_the_index = [each for each in records if "record_type" in each and "started_at" in each]
    assert [(each["record"], each["status"]) for each in in_the_index] == [("RUN", "SUCCEEDED")]
