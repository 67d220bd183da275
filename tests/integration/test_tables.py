"""The tables as template.yaml defines them, on every engine."""

from typing import TYPE_CHECKING

from tests.engines import Tables

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


def test_the_index_of_due_items_holds_only_items_with_pending_changes(
    dynamodb_client: "DynamoDBClient", tables: Tables
) -> None:
    waiting = {"sku": {"S": "A"}, "location_id": {"S": "1"}, "next_change_at": {"S": "2026-01-01T00:00:00.000000Z"}}
    for item in (waiting, {"sku": {"S": "B"}, "location_id": {"S": "1"}}):
        dynamodb_client.put_item(TableName=tables.inventory, Item=item)

    found = dynamodb_client.scan(TableName=tables.inventory, IndexName="due")["Items"]

    assert [waiting] == found


def test_only_records_of_runs_are_in_the_index_of_jobs(dynamodb_client: "DynamoDBClient", tables: Tables) -> None:
    run = {"job_id": {"S": "job-1"}, "record": {"S": "RUN"}, "record_type": {"S": "RUN"}}
    run |= {"started_at": {"S": "2026-01-01T00:00:00.000000Z"}}
    for record in (run, {"job_id": {"S": "job-1"}, "record": {"S": "SEGMENT#000"}}):
        dynamodb_client.put_item(TableName=tables.jobs, Item=record)

    found = dynamodb_client.scan(TableName=tables.jobs, IndexName="jobs-by-start")["Items"]

    assert [run] == found
