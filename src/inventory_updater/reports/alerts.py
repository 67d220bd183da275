"""A finished run as a message to people; decides nothing.

Other systems name items and changes, and people paste what a message tells them to.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inventory_updater.dynamodb.client import TABLE_IS_GONE
from inventory_updater.stock.numbers import counted
from inventory_updater.tables.records import Failure, JobStatus, Run

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

FAILURES_AN_ALERT: Final = 10
"""How many failures an alert names."""

_SUBJECT_LIMIT: Final = 100
_SECTIONS: Final = {JobStatus.FAILED: "job-failed", JobStatus.ABANDONED: "job-failed"}
_LOWER_BOUNDS: Final = "A worker died or an answer was lost: these counts are lower bounds. The stock itself is right."


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people; the subject is one line of ASCII, as SNS wants it."""

    subject: str
    message: str


def alert_of(run: Run, failures: Iterable[Failure], environment: str, stack: str) -> Alert:
    """The message about a run that did not end clean: what happened, the failures to name, what to do.

    ``environment`` is the stack's suffix, ``stack`` its name, for the commands in the message.
    """
    tally = run.tally
    subject = (
        f"[{environment}] inventory job {run.status.value}: {counted(tally.items_failed, 'item')} failed, "
        f"{counted(tally.changes_rejected, 'change')} rejected"
    )
    lines = [
        f"Job {run.job_id} (scope {run.scope}, as of {run.as_of}) in environment {environment} is {run.status.value}.",
        *([f"Error: {run.error}"] if run.error else []),
        "",
        f"Items scanned:      {tally.items_scanned}",
        f"Items updated:      {tally.items_updated}",
        f"Items failed:       {tally.items_failed}",
        f"Changes applied:    {tally.changes_applied}",
        f"Windows opened:     {tally.changes_opened}",
        f"Changes rejected:   {tally.changes_rejected}",
        f"Changes superseded: {tally.changes_superseded}",
        *([] if run.tally_is_exact else [_LOWER_BOUNDS]),
        "",
    ]
    named = [f"  {on_one_line(_failure_text(failure))}" for failure in failures]
    if named:
        lines += ["First failures:", *named, ""]
    where = f"--stack {stack}"
    lines += ["What to do, in a checkout:", f"  .venv/bin/python scripts/job.py show {run.job_id} {where}"]
    if tally.changes_rejected:
        lines.append(f"  .venv/bin/python scripts/changes.py retry {run.job_id} {where}    # once the cause is fixed")
    if run.status is JobStatus.FAILED:
        lines.append(f"  .venv/bin/python scripts/job.py run --scope {run.scope} {where}    # once the cause is fixed")
    section = TABLE_IS_GONE if TABLE_IS_GONE in (run.error or "") else _SECTIONS.get(run.status, "failure-rate")
    lines.append(f"What it means: docs/operations.md#{section}")
    return Alert(subject[:_SUBJECT_LIMIT], "\n".join(lines))


def _failure_text(failure: Failure) -> str:
    change = "" if failure.change_id is None else f", change {failure.change_id}"
    return f"{failure.sku} at {failure.location_id}{change}: {failure.code}: {failure.message}"


def on_one_line(text: str) -> str:
    """What somebody else wrote, so that it cannot be taken for another line of the message."""
    return text if text.isprintable() else json.dumps(text)


def send_alert(client: "SNSClient", topic_arn: str, alert: Alert) -> None:
    """Send an alert to everyone who subscribed to the topic."""
    client.publish(TopicArn=topic_arn, Subject=alert.subject, Message=alert.message)
