"""How jobs ended, from what publishes it through an event bus to a queue; tests/e2e has the way through the topic."""

import json
import uuid
from typing import TYPE_CHECKING, Any

from cli.engine import Engine
from inventory_updater.reports.results import DETAIL_TYPE, SOURCE, ResultsBus, result_of
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import moment
from tests.engines import make_client
from tests.schemas import not_said

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


def result(job_id: str, *, rejected: int) -> Any:
    run = Run(
        *(job_id, JobStatus.SUCCEEDED, "due", "schedule", moment("08:00"), moment("08:00"), 4, moment("08:01"), 60.0),
        tally=Tally(changes_applied=1, changes_rejected=rejected),
    )
    return result_of(run, "test", "inventory-jobs-test")


def test_a_rule_of_an_event_bus_matches_what_a_result_says(ministack: Engine) -> None:
    events = make_client("events", ministack.endpoint_url)
    queues: SQSClient = make_client("sqs", ministack.endpoint_url)
    name = f"results-{uuid.uuid4()}"
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    queue = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = {
        "source": [SOURCE],
        "detail-type": [DETAIL_TYPE],
        "detail": {"counts": {"changes_rejected": [{"numeric": [">", 0]}]}},
    }
    events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "1", "Arn": queue}])

    for job_id, rejected in (("clean", 0), ("unclean", 2)):
        ResultsBus(events, bus).publish(result(job_id, rejected=rejected))

    received = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    details = [json.loads(each["Body"])["detail"] for each in received]
    assert [each["job_id"] for each in details] == ["unclean"]
    assert not_said("job-result", details[0]) == []
