"""How a job ended, for other systems: one message to a topic or to an event bus. docs/contract.md tells of it.

It names the records that say what was settled and does not carry them: so it is small whatever a job did, and writing
it reads nothing. A job that is closed again after a call died publishes the very same again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from inventory_updater.tables.job_table import FAILURE, PAGE
from inventory_updater.tables.records import Run

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

SCHEMA: Final = 1
"""The version of a result; another one where a field goes or means something else."""

SOURCE: Final = "inventory-updater"
DETAIL_TYPE: Final = "Inventory job ended"

COUNTS: Final = (
    *("items_scanned", "items_updated", "items_failed", "items_repaired", "items_negative"),
    *("changes_applied", "changes_opened", "changes_rejected", "changes_superseded"),
)

Result = Mapping[str, Any]


class ResultError(Exception):
    """The event bus did not take a result."""


class Results(Protocol):
    """Where results are published."""

    def publish(self, result: Result) -> None: ...


def result_of(run: Run, environment: str, jobs_table: str) -> Result:
    """How a settled run ended; equal for equal runs, whoever publishes it and when.

    ``id`` names the run: one that was heard of is heard of again. Of the records of ``jobs_table`` it has what a Query
    needs: the job's id is their partition, and the names of those that belong together begin alike.
    """

    def records(prefix: str) -> dict[str, str]:
        return {"table": jobs_table, "job_id": run.job_id, "record_begins_with": prefix}

    said: dict[str, object] = {
        "schema": SCHEMA,
        "id": f"{environment}/{run.job_id}/{run.started_at}",
        "job_id": run.job_id,
        "environment": environment,
        "scope": run.scope,
        "trigger": run.trigger,
        "status": run.status.value,
        "as_of": run.as_of,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_seconds": run.duration_seconds,
        "counts": {name: getattr(run.tally, name) for name in COUNTS},
        "counts_are_exact": run.tally_is_exact,
        "settled": records(PAGE),
        "failures": records(FAILURE),
        "error": run.error,
    }
    return {name: value for name, value in said.items() if value is not None}


def attributes_of(result: Result) -> dict[str, str]:
    """What a subscription to the topic may filter by."""
    return {
        **{name: str(result[name]) for name in ("environment", "scope", "status")},
        "has_rejected": "true" if result["counts"]["changes_rejected"] else "false",
    }


@dataclass(frozen=True, slots=True)
class ResultsTopic:
    """The stack's own topic. https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html"""

    client: "SNSClient"
    arn: str

    def publish(self, result: Result) -> None:
        self.client.publish(
            TopicArn=self.arn,
            Message=json.dumps(result),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes_of(result).items()
            },
        )


@dataclass(frozen=True, slots=True)
class ResultsBus:
    """An event bus that the stack was given the name of; rules may match whatever a result says.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """

    client: Any  # the types of this client are not among the development requirements
    arn: str

    def publish(self, result: Result) -> None:
        """
        Raises:
            ResultError: the request succeeds though the entry in it did not.
        """
        entry = {
            "EventBusName": self.arn,
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps(result),
        }
        answer = self.client.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            [failed] = answer["Entries"]
            raise ResultError(f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")
