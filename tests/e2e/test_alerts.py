"""What people are notified of, from the state machine to a queue that is subscribed to the topic."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.times import format_time
from inventory_updater.tables.job_table import ALERT, JobTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import change, item_attributes, unreadable
from tests.stacks import EndedJob, Inbox, Message, Stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


@pytest.fixture
def inbox(stack: Stack) -> Inbox:
    """A fresh queue, no items, and no memory of earlier notifications."""
    client: DynamoDBClient = stack.client("dynamodb")
    inventory, jobs = stack.outputs["InventoryTableName"], stack.outputs["JobsTableName"]
    for item in client.scan(TableName=inventory)["Items"]:
        client.delete_item(TableName=inventory, Key={"sku": item["sku"], "location_id": item["location_id"]})
    for scope in ("due", "all"):
        client.delete_item(TableName=jobs, Key=to_attribute_values({"job_id": ALERT, "record": scope}))
    return Inbox(stack)


def statuses(*jobs: EndedJob) -> list[JobStatus | None]:
    return [None if job.run is None else job.run.status for job in jobs]


def about(messages: list[Message]) -> list[str]:
    """The jobs that messages are about: the second word of each."""
    return [message.text.split()[1] for message in messages]


def test_one_message_names_the_counts_the_first_failures_and_how_to_look_further(stack: Stack, inbox: Inbox) -> None:
    stack.put(
        item_attributes(10, sku="mug", pending=[change("sold", "adjustment", -3)]),
        item_attributes(1, sku="cup", pending=[change("oversold", "adjustment", -3)]),
        unreadable("pot", change("c1", at="08:00")),
    )

    job = stack.run_job()

    [message] = inbox.take_messages()
    lines = message.text.splitlines()
    assert message.subject == "[local] inventory job COMPLETED_WITH_FAILURES: 1 item failed, 1 change rejected"
    assert {
        "Items updated:      2",
        "Items failed:       1",
        "Changes applied:    1",
        "Changes rejected:   1",
        f"  .venv/bin/python scripts/job.py show {job.job_id} --stack {stack.name}",
    } <= set(lines)
    named = lines[lines.index("First failures:") + 1 :]
    assert any(line.startswith("  cup at DC1, change oversold: INSUFFICIENT_STOCK: ") for line in named)
    assert any(line.startswith("  pot at DC1: ") and "on_hand" in line for line in named)
    assert job.run is not None
    assert job.run.alerted_at is not None


def test_what_the_message_says_to_run_shows_the_failures(stack: Stack, inbox: Inbox) -> None:
    stack.put(item_attributes(1, sku="cup", pending=[change("oversold", "adjustment", -3)]))
    stack.run_job()
    [message] = inbox.take_messages()
    [command] = [line for line in message.text.splitlines() if "job.py show" in line]
    [_, _, *arguments] = command.split()

    shown = stack.script("job", *arguments, "--json").answer

    assert [failure["code"] for failure in shown["failures"]] == ["INSUFFICIENT_STOCK"]


def test_the_same_failures_are_not_sent_again_and_other_ones_are(stack: Stack, inbox: Inbox) -> None:
    stack.put(unreadable("pot", change("c1", at="08:00")))
    first, again = stack.run_job(), stack.run_job()
    stack.put(unreadable("cup", change("c1", at="08:00")))
    other, other_again = stack.run_job(), stack.run_job()

    assert statuses(first, again, other, other_again) == [JobStatus.COMPLETED_WITH_FAILURES] * 4
    assert about(inbox.take_messages()) == [first.job_id, other.job_id]


def test_people_are_notified_of_a_lost_job_by_the_next_one(stack: Stack, inbox: Inbox) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    lost = f"lost-{began.timestamp():.0f}"
    jobs = JobTable(stack.client("dynamodb"), stack.outputs["JobsTableName"], retention_days=30, clock=lambda: began)
    jobs.take_lease(lost, seconds=60)
    started = format_time(began)
    jobs.start_run(Run(lost, JobStatus.RUNNING, "due", "schedule", False, started, started, segments=4))

    finder = stack.run_job()

    [message] = inbox.take_messages()
    abandoned = stack.jobs.run(lost)
    assert abandoned is not None
    assert statuses(finder) == [JobStatus.SUCCEEDED]
    assert (abandoned.status, abandoned.alerted_at is None) == (JobStatus.ABANDONED, False)
    assert message.subject == "[local] inventory job ABANDONED: 0 items failed, 0 changes rejected"
    assert f"Error: found without a live lease by {finder.job_id}" in message.text.splitlines()
