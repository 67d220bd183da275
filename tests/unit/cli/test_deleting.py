"""deploy.py --delete: what it refuses before anything is touched, and what it takes the protection from."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from moto import mock_aws

from cli import deleting
from cli.deleting import delete
from cli.deploying import commands
from cli.errors import InputError
from cli.targets import Target
from tests.fakes.cloudformation import STACK, FakeCloudFormation, stack_event

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_s3.client import S3Client

BUCKET = "inventory-intake-staging-123456789012-eu-west-1"
TABLES = ("inventory-staging", "inventory-jobs-staging")


class Session:
    """A session whose CloudFormation is the fake and whose other services are moto's."""

    region_name = "eu-west-1"

    def __init__(self, cloudformation: FakeCloudFormation, dynamodb: "DynamoDBClient") -> None:
        self._clients = {"cloudformation": cloudformation, "dynamodb": dynamodb, "s3": boto3.client("s3")}

    def client(self, service: str) -> Any:
        return self._clients[service]


@pytest.fixture
def dynamodb() -> Iterator["DynamoDBClient"]:
    with mock_aws():
        yield boto3.client("dynamodb")


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch, dynamodb: "DynamoDBClient") -> FakeCloudFormation:
    """A stack whose creation failed, with its two protected tables."""
    for table in TABLES:
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
            DeletionProtectionEnabled=True,
        )
    fake = FakeCloudFormation(
        status="ROLLBACK_FAILED",
        events=[stack_event(STACK, "CREATE_IN_PROGRESS"), stack_event(STACK, "ROLLBACK_FAILED")],
        resources={
            "InventoryTable": ("AWS::DynamoDB::Table", TABLES[0]),
            "JobsTable": ("AWS::DynamoDB::Table", TABLES[1]),
            "Key": ("AWS::KMS::Key", "1234abcd"),
            "IntakeBucket": ("AWS::S3::Bucket", BUCKET),
            "Function": ("AWS::Lambda::Function", ""),  # it never came to be
        },
    )
    target = Target("staging", STACK, cast("boto3.Session", Session(fake, dynamodb)))
    monkeypatch.setattr(deleting, "target_of", lambda _options: target)
    return fake


def options(*arguments: str) -> argparse.Namespace:
    return commands().parse(["--environment", "staging", "--delete", *arguments])


def protected(client: "DynamoDBClient") -> list[bool]:
    return [client.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"] for table in TABLES]


def test_what_a_failed_first_deployment_left_is_deleted_with_its_protection(
    cloudformation: FakeCloudFormation, dynamodb: "DynamoDBClient", capsys: pytest.CaptureFixture[str]
) -> None:
    delete(options("--yes", STACK))

    printed = capsys.readouterr()
    assert printed.out == f"the stack {STACK} is deleted\n"
    assert "goes: 4 resources, with all that is in inventory-staging, inventory-jobs-staging\n" in printed.err
    stays = (
        f"stays: the bucket inventory-updater-code-123456789012-eu-west-1; the bucket {BUCKET}, if files are in it; "
    )
    assert f"{stays}the customer key" in printed.err
    assert (cloudformation.asked_to_delete, protected(dynamodb)) == ([STACK], [False, False])


@pytest.mark.parametrize(
    ("keys", "arguments", "stays"),
    [((), (), False), (("incoming/week.csv",), (), True), (("incoming/week.csv",), ("--local",), False)],
    ids=["empty", "with files", "with files, on the engine of this checkout"],
)
def test_the_bucket_goes_with_its_stack_unless_files_are_in_it(
    keys: tuple[str, ...],
    arguments: tuple[str, ...],
    stays: bool,
    cloudformation: FakeCloudFormation,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client: S3Client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    for key in keys:
        client.put_object(Bucket=BUCKET, Key=key)
        client.put_object(Bucket=BUCKET, Key=key)
        client.delete_object(Bucket=BUCKET, Key=key)

    delete(options("--yes", STACK, *arguments))

    assert cloudformation.asked_to_delete == [STACK]
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [BUCKET] * stays
    said = f"the bucket {BUCKET} stays, since files are in it: see docs/operations.md, Deleting a stack"
    assert (said in capsys.readouterr().err) is stays


def test_protected_tables_are_refused_where_the_stack_was_in_use_or_they_hold_something(
    cloudformation: FakeCloudFormation, dynamodb: "DynamoDBClient"
) -> None:
    whole, failed = stack_event(STACK, "CREATE_COMPLETE"), cloudformation.events
    item = {"sku": {"S": "KIT-1"}}
    for status, events, items in (
        ("CREATE_COMPLETE", [whole], []),
        ("DELETE_FAILED", [whole, stack_event(STACK, "DELETE_FAILED")], []),
        ("ROLLBACK_FAILED", failed, [item]),
    ):
        cloudformation.status, cloudformation.events = status, events
        cloudformation.is_protected = status == "CREATE_COMPLETE"
        for each in items:
            dynamodb.put_item(TableName=TABLES[0], Item=each)
        with pytest.raises(InputError) as refused:
            delete(options("--yes", STACK))

        reasons = [f"--no-deletion-protection-enabled --table-name {table}" for table in TABLES]
        reasons += [f"--no-enable-termination-protection --stack-name {STACK}"] * cloudformation.is_protected
        assert [reason for reason in reasons if reason not in str(refused.value)] == []
        assert ("termination" in str(refused.value)) is cloudformation.is_protected
        assert (cloudformation.asked_to_delete, protected(dynamodb)) == ([], [True, True])


@pytest.mark.parametrize("arguments", [[], ["--yes"], ["--yes", "inventory-updater-prod"]])
def test_without_the_name_of_the_stack_nothing_is_deleted(
    arguments: list[str], cloudformation: FakeCloudFormation, dynamodb: "DynamoDBClient"
) -> None:
    with pytest.raises(InputError, match=f"nothing was deleted: confirm the stack's name, --yes {STACK}"):
        delete(options(*arguments))
    assert (cloudformation.asked_to_delete, protected(dynamodb)) == ([], [True, True])


def test_who_is_asked_has_to_type_the_name(
    cloudformation: FakeCloudFormation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["yes", STACK])
    monkeypatch.setattr("builtins.input", lambda: next(answers))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)

    with pytest.raises(InputError):
        delete(options())
    assert cloudformation.asked_to_delete == []

    delete(options())
    assert cloudformation.asked_to_delete == [STACK]
    assert f"Type {STACK} to delete it:" in capsys.readouterr().err
