"""How a job ended, for other systems: what is said, of which jobs, where, and that it is said at least once."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.jobs.closing import AlertError, abandon_job, close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.worker import update_segment
from inventory_updater.reports.results import ResultError, ResultsBus, ResultsTopic, attributes_of, result_of
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import change, moment
from tests.fakes.warehouse import Warehouse, items_with_work, mug
from tests.simulation.faults import Dies, ProcessDied, Request

TALLY = Tally(
    *(1000, 70, 4, 76, 10, 2, 1),
    changes_applied=150,
    changes_opened=8,
    changes_rejected=6,
    changes_superseded=3,
)
RUN = Run(
    *("job-1", JobStatus.COMPLETED_WITH_FAILURES, "due", "schedule"),
    as_of=moment("18:00"),
    started_at=moment("18:00:01"),
    segments=4,
    finished_at=moment("18:01"),
    duration_seconds=59.0,
    tally=TALLY,
)
RESULT = result_of(RUN, "prod", "inventory-jobs-prod")
MOST_BYTES = 256 * 1024
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, and as much for an event."""


# What is said


def test_a_result_says_how_the_job_ended_what_it_did_and_where_the_rest_is() -> None:
    assert RESULT == {
        "schema": 1,
        "id": f"prod/job-1/{moment('18:00:01')}",
        "job_id": "job-1",
        "environment": "prod",
        "scope": "due",
        "trigger": "schedule",
        "status": "COMPLETED_WITH_FAILURES",
        "as_of": moment("18:00"),
        "started_at": moment("18:00:01"),
        "finished_at": moment("18:01"),
        "duration_seconds": 59.0,
        "counts": {
            "items_scanned": 1000,
            "items_updated": 70,
            "items_failed": 4,
            "items_repaired": 2,
            "items_negative": 1,
            "changes_applied": 150,
            "changes_opened": 8,
            "changes_rejected": 6,
            "changes_superseded": 3,
        },
        "counts_are_exact": True,
        "settled": {"table": "inventory-jobs-prod", "job_id": "job-1", "record_begins_with": "PAGE#"},
        "failures": {"table": "inventory-jobs-prod", "job_id": "job-1", "record_begins_with": "FAILURE#"},
    }
    said = result_of(replace(RUN, error="why", tally_is_exact=False), "prod", "inventory-jobs-prod")
    assert said == {**RESULT, "error": "why", "counts_are_exact": False}


def test_a_subscription_can_tell_whether_anything_was_rejected() -> None:
    clean = result_of(replace(RUN, tally=replace(TALLY, changes_rejected=0)), "prod", "jobs")

    assert attributes_of(RESULT) == {
        "environment": "prod",
        "scope": "due",
        "status": "COMPLETED_WITH_FAILURES",
        "has_rejected": "true",
    }
    assert attributes_of(clean)["has_rejected"] == "false"


def test_a_result_fits_into_a_message_whatever_went_wrong() -> None:
    worst = replace(RUN, job_id="🏬" * 128, error="🏬" * 4000, stop_reason="🏬" * 4000)

    assert len(json.dumps(result_of(worst, "x" * 20, "x" * 255))) < MOST_BYTES / 2


def test_jobs_that_settled_something_or_did_not_end_clean_have_a_result_and_idle_ones_have_none() -> None:
    idle = replace(RUN, status=JobStatus.SUCCEEDED, tally=Tally(items_scanned=9, calls=1, items_repaired=2))
    settled = [
        *(Tally(changes_applied=1), Tally(changes_opened=1), Tally(changes_rejected=1), Tally(changes_superseded=1)),
    ]

    assert {status.value for status in JobStatus if replace(idle, status=status).has_result} == {
        *("COMPLETED_WITH_FAILURES", "FAILED", "ABANDONED")
    }
    assert [tally for tally in settled if not replace(idle, tally=tally).has_result] == []
    assert replace(idle, tally_is_exact=False).has_result


def test_the_records_that_a_result_names_hold_what_was_settled_and_what_failed(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5), mug(change("oversold", value=-99)))

    warehouse.run_job()

    [result] = warehouse.results.published
    found: dict[str, list[Any]] = {}
    for which in ("settled", "failures"):
        where = result[which]
        answer = warehouse.dynamodb.query(
            TableName=where["table"],
            KeyConditionExpression="job_id = :job AND begins_with(#record, :begins)",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues={":job": {"S": where["job_id"]}, ":begins": {"S": where["record_begins_with"]}},
        )
        found[which] = [from_attribute_values(each) for each in answer["Items"]]
    settled = [text.split("#") for page in found["settled"] for text in page["settled"]]
    assert sorted(settled) == [
        *(["APPLIED", f"sku-{number:03}", "DC1", f"c{number}"] for number in range(5)),
        ["REJECTED", "mug", "DC1", "oversold"],
    ]
    assert [each["change_id"] for each in found["failures"]] == ["oversold"]
    counts = result["counts"]
    assert (counts["changes_applied"], counts["changes_rejected"]) == (5, 1)


# Where it is said


def test_a_topic_gets_the_result_as_json_with_what_subscriptions_filter_by() -> None:
    client = boto3.client("sns")
    arn = "arn:aws:sns:eu-west-1:123456789012:results"
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in attributes_of(RESULT).items()}
    with Stubber(client) as stub:
        expected = {"TopicArn": arn, "Message": json.dumps(RESULT), "MessageAttributes": attributes}
        stub.add_response("publish", {"MessageId": "1"}, expected)

        ResultsTopic(client, arn).publish(RESULT)

        stub.assert_no_pending_responses()


def test_a_bus_gets_the_result_as_an_event_and_one_that_it_does_not_take_is_an_error() -> None:
    client = boto3.client("events")
    arn = "arn:aws:events:eu-west-1:123456789012:event-bus/shop"
    bus = ResultsBus(client, arn)
    entry = {
        "EventBusName": arn,
        "Source": "inventory-updater",
        "DetailType": "Inventory job ended",
        "Detail": json.dumps(RESULT),
    }
    with Stubber(client) as stub:
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]})
        refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}
        stub.add_response("put_events", {"FailedEntryCount": 1, "Entries": [refused]}, {"Entries": [entry]})

        bus.publish(RESULT)
        with pytest.raises(ResultError, match="InternalFailure: try again"):
            bus.publish(RESULT)


# When it is said


def test_a_job_publishes_its_result_once_however_often_it_is_closed_and_an_idle_one_none(warehouse: Warehouse) -> None:
    warehouse.run_job("idle")
    warehouse.run_job("all", "all")
    assert warehouse.results.published == []

    warehouse.open_with(*items_with_work(3))
    warehouse.update()
    for _ in range(2):
        warehouse.close()

    assert [result["job_id"] for result in warehouse.results.published] == ["job-1"]
    assert warehouse.run().result_published_at == moment("12:00")


def test_without_anybody_to_hear_of_it_nothing_is_marked(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.update()
    reports: Any = replace(warehouse.services.reports, results=None)  # type: ignore[type-var]  # the real one

    close_job(replace(warehouse.services, reports=reports), warehouse.request())

    run = warehouse.run()
    assert (run.status, run.result_published_at, run.result_error) == (JobStatus.SUCCEEDED, None, None)


def test_a_result_that_cannot_be_published_fails_no_job_and_is_tried_once_more_by_the_next_one(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        warehouse.put(*items_with_work(1))
        warehouse.results.error = ConnectionError("no route")
        run = warehouse.run_job(f"lost-{number}")
        warehouse.clock.goes_on(60)

        assert (run.status, run.result_error) == (JobStatus.SUCCEEDED, "ConnectionError: no route")
        # However long it lasts, no more than the last one is owed.
        assert warehouse.jobs.lease().displaced == {f"lost-{number}"}
    assert "publishing result failed" in caplog.text

    warehouse.results.error = None
    warehouse.run_job("next")

    assert [result["job_id"] for result in warehouse.results.published] == ["lost-2"]
    assert warehouse.run("lost-2").result_published_at is not None
    assert warehouse.jobs.lease().displaced == frozenset()


def test_a_job_that_nobody_at_all_could_be_told_of_does_not_stay_on_the_lease_either(warehouse: Warehouse) -> None:
    warehouse.topic.error = warehouse.results.error = ConnectionError("no route")
    warehouse.put(mug(change("oversold", value=-99)))
    with pytest.raises(AlertError):
        warehouse.run_job("lost")
    assert warehouse.jobs.lease().displaced == {"lost"}

    warehouse.run_job("next")

    assert warehouse.jobs.lease().displaced == frozenset()


def test_a_job_that_was_stopped_is_heard_of_by_systems_from_the_next_one_and_by_nobody_else(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.update()
    warehouse.jobs.request_stop("job-1", "the wrong prices")
    abandoned = abandon_job(warehouse.services, "job-1", "the wrong prices")
    assert abandoned is not None
    warehouse.jobs.free_lease("job-1", is_owed=abandoned.was_stopped)

    warehouse.run_job("next")

    assert [(each["job_id"], each["status"]) for each in warehouse.results.published] == [("job-1", "ABANDONED")]
    assert (warehouse.topic.sent, len(warehouse.metrics.published)) == ([], 1)
    assert (warehouse.jobs.lease().displaced, warehouse.run().alerted_at) == (frozenset(), None)


# At least once


class Mortal:
    """A process of which one request is the last: to a table, or to whoever hears results.

    It does not die while it looks for what is due: 64 times the same, and nothing has happened yet.
    """

    def __init__(self, warehouse: Warehouse, last: int, *, is_done: bool) -> None:
        self.left = last
        self._is_done = is_done
        warehouse.happens = self._before_a_table
        warehouse.results.around = self._around

    def _is_last(self) -> bool:
        self.left -= 1
        return self.left == 0

    def _before_a_table(self, _operation: str, request: Request) -> Dies | None:
        return Dies(self._is_done) if "IndexName" not in request and self._is_last() else None

    def _around(self, publish: Callable[[], None]) -> None:
        is_last = self._is_last()
        if self._is_done or not is_last:
            publish()
        if is_last:
            raise ProcessDied


def again(step: Callable[[], Any]) -> Any:
    """What the state machine does with a call that died: it calls again."""
    try:
        return step()
    except ProcessDied:
        return step()


def run_execution(warehouse: Warehouse) -> None:
    request = warehouse.request()
    opened = again(lambda: open_job(warehouse.services, request))
    if opened["outcome"] == "OPENED":
        for number in opened["segments"]:
            while not again(partial(update_segment, warehouse.services, "job-1", number)):
                pass
        again(lambda: close_job(warehouse.services, request))


@pytest.mark.parametrize("items", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_whichever_request_a_call_dies_at_its_job_is_heard_of_and_a_repeat_says_the_same(items: int) -> None:
    heard: Counter[int] = Counter()
    for is_done in (True, False):
        for last in range(1, 1000):
            warehouse = Warehouse()
            warehouse.put(*items_with_work(items))
            process = Mortal(warehouse, last, is_done=is_done)

            run_execution(warehouse)

            published = warehouse.results.published
            assert published, f"nothing was heard of a job that died at request {last}"
            assert published == [published[0]] * len(published)
            assert published[0]["id"] == f"test/job-1/{moment('12:00')}"
            heard[len(published)] += 1
            if process.left > 0:
                break
    assert set(heard) == {1, 2}
