"""The tables as template.yaml defines them, on every engine."""

from typing import TYPE_CHECKING

from tests.engines import Tables

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


def test_the_index_of_due_changes_holds_the_names_of_those_that_wait_and_nothing_else(
    dynamodb_client: "DynamoDBClient", tables: Tables
) -> None:
    waits = {"due_shard": {"S": "07"}, "due_at": {"S": "2026-01-01T00:00:00.000000Z"}}
    waiting, settled = ({"item": {"S": "A#1"}, "change_id": {"S": name}} for name in ("waiting", "settled"))
    for record in (waiting | waits | {"status": {"S": "PENDING"}}, settled | {"status": {"S": "APPLIED"}}):
        dynamodb_client.put_item(TableName=tables.changes, Item=record)

    found = dynamodb_client.scan(TableName=tables.changes, IndexName="due")["Items"]

    assert found == [waiting | waits]


def test_only_records_of_runs_are_in_the_index_of_jobs(dynamodb_client: "DynamoDBClient", tables: Tables) -> None:
    run = {"job_id": {"S": "job-1"}, "record": {"S": "RUN"}, "record_type": {"S": "RUN"}}
    run |= {"started_at": {"S": "2026-01-01T00:00:00.000000Z"}}
    for record in (run, {"job_id": {"S": "job-1"}, "record": {"S": "SEGMENT#000"}}):
        dynamodb_client.put_item(TableName=tables.jobs, Item=record)

    found = dynamodb_client.scan(TableName=tables.jobs, IndexName="jobs-by-start")["Items"]

    assert [run] == found
