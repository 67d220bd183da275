"""What people and systems are notified of, from the state machine to a queue that is subscribed to the topic."""

from datetime import UTC, datetime, timedelta

import pytest

from inventory_updater.stock.times import format_time
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import change, stocked, unreadable, with_a_sale
from tests.stacks import Inbox, Stack


@pytest.fixture
def inbox(stack: Stack) -> Inbox:
    stack.forget()
    return Inbox(stack)


def test_one_message_names_the_counts_the_first_failures_and_how_to_look_further(stack: Stack, inbox: Inbox) -> None:
    stack.put(
        with_a_sale("mug"),
        stocked(change("oversold", "adjustment", -3), on_hand=1, sku="cup"),
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
    assert job.run
    assert job.run.alerted_at


def test_what_the_message_says_to_run_shows_the_failures(stack: Stack, inbox: Inbox) -> None:
    stack.put(stocked(change("oversold", "adjustment", -3), on_hand=1, sku="cup"))
    stack.run_job()
    [message] = inbox.take_messages()
    [command] = [line for line in message.text.splitlines() if "job.py show" in line]
    [_, _, *arguments] = command.split()

    shown = stack.script("job", *arguments, "--json").answer

    assert [failure["code"] for failure in shown["failures"]] == ["INSUFFICIENT_STOCK"]


@pytest.mark.slow
def test_the_same_failures_are_not_sent_again_and_other_ones_are(stack: Stack, inbox: Inbox) -> None:
    stack.put(unreadable("pot", change("c1", at="08:00")))
    first, again = stack.run_job(), stack.run_job()
    stack.put(unreadable("cup", change("c1", at="08:00")))
    other, other_again = stack.run_job(), stack.run_job()

    runs = [job.run for job in (first, again, other, other_again)]
    assert [run and run.status for run in runs] == [JobStatus.COMPLETED_WITH_FAILURES] * 4
    # The second word of a message is the job that it is about.
    assert [message.text.split()[1] for message in inbox.take_messages()] == [first.job_id, other.job_id]


def test_people_are_notified_of_a_lost_job_by_the_next_one(stack: Stack, inbox: Inbox) -> None:
    began = datetime.now(UTC) - timedelta(hours=1)
    lost = f"lost-{began.timestamp():.0f}"
    jobs = JobTable(stack.client("dynamodb"), stack.outputs["JobsTableName"], retention_days=30, clock=lambda: began)
    jobs.take_lease(lost, seconds=60)
    started = format_time(began)
    jobs.start_run(Run(lost, JobStatus.RUNNING, "due", "schedule", started, started, segments=4))

    finder = stack.run_job()

    [message] = inbox.take_messages()
    abandoned = stack.jobs.run(lost)
    assert finder.run
    assert finder.run.status == JobStatus.SUCCEEDED
    assert abandoned
    assert (abandoned.status, abandoned.alerted_at is None) == (JobStatus.ABANDONED, False)
    assert message.subject == "[local] inventory job ABANDONED: 0 items failed, 0 changes rejected"
    assert f"Error: found without a live lease by {finder.job_id}" in message.text.splitlines()


def test_systems_hear_of_the_jobs_that_settled_something_and_by_a_filter_of_some_of_them(stack: Stack) -> None:
    stack.forget()
    everything, rejections = (Inbox(stack, "ResultsTopicArn", only) for only in (None, {"has_rejected": ["true"]}))
    stack.put(with_a_sale("mug"))
    sold, _idle = stack.run_job(), stack.run_job()
    stack.put(stocked(change("oversold", "adjustment", -3), on_hand=1, sku="cup"))

    oversold = stack.run_job()

    heard = everything.take_results()
    assert {(each["job_id"], each["status"], each["counts"]["changes_applied"]) for each in heard} == {
        (sold.job_id, "SUCCEEDED", 1),
        (oversold.job_id, "COMPLETED_WITH_FAILURES", 0),
    }
    assert [each["job_id"] for each in rejections.take_results()] == [oversold.job_id]
    assert sold.run
    assert (sold.run.result_published_at is None, sold.run.result_error) == (False, None)
    assert {each["settled"]["table"] for each in heard} == {stack.outputs["JobsTableName"]}
