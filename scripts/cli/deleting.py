"""Delete a stack, unless it holds what is protected."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.buckets import remove_bucket
from cli.deployments import say_where
from cli.errors import CommandFailed, InputError
from cli.output import counted, note, print_answer
from cli.packaging import code_bucket
from cli.progress import progress
from cli.stacks import ONLY_TO_BE_DELETED, Operation, Stack, was_ever_complete
from cli.targets import Target, agreed, target_of

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


def delete(options: argparse.Namespace) -> None:
    """Delete a stack and wait until it is gone, unless it holds what is protected."""
    target = target_of(options)
    stack = target.found()
    if stack is None:
        if not options.if_exists:
            target.existing()
        _say_deleted(target, options, deleted=False)
        return
    say_where(options, target.name, stack.account, stack.region)
    dynamodb = target.session.client("dynamodb")
    pages = target.client.get_paginator("list_stack_resources").paginate(StackName=stack.arn)
    resources = [
        resource
        for page in pages
        for resource in page["StackResourceSummaries"]
        # What could not be created is somebody else's, or nothing.
        if resource.get("PhysicalResourceId") and resource["ResourceStatus"] not in ("DELETE_COMPLETE", "CREATE_FAILED")
    ]
    tables = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::DynamoDB::Table"]
    protected = [table for table in tables if _is_protected(dynamodb, table)]
    is_remainder = stack.status in ONLY_TO_BE_DELETED and not was_ever_complete(target.client, stack)
    if not (is_remainder and all(_is_empty(dynamodb, table) for table in protected)):
        _refuse_protected(target, stack, protected)
    buckets = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::S3::Bucket"]
    has_key = any(each["ResourceType"] == "AWS::KMS::Key" for each in resources)
    note(f"goes: {counted(len(resources), 'resource')}, with all that is in {', '.join(tables) or 'them'}")
    note(f"stays: {'; '.join(_what_stays(stack, () if options.local else buckets, has_key=has_key))}")
    if not options.local:
        _ask_for_name(target, options)
    for table in protected:
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=table)
    operation = Operation(target.client, target.name)
    if stack.status != "DELETE_IN_PROGRESS":
        target.client.delete_stack(StackName=target.name, ClientRequestToken=operation.token)
    with progress() as tell:
        status = operation.wait(tell)
    if status != "DELETE_COMPLETE":
        raise CommandFailed("\n  ".join([f"the stack {target.name} is in {status}", *operation.failures()]))
    # CloudFormation leaves it: no next stack of that name could be made.
    for bucket in buckets:
        if not remove_bucket(target.session.client("s3"), bucket, with_files=options.local):
            note(f"the bucket {bucket} stays, since files are in it: see docs/operations.md, Deleting a stack")
    _say_deleted(target, options, deleted=True)


def _say_deleted(target: Target, options: argparse.Namespace, *, deleted: bool) -> None:
    sentence = f"the stack {target.name} is deleted" if deleted else f"there is no stack {target.name}"
    print_answer({"stack": target.name, "deleted": deleted}, sentence, options)


def _is_protected(dynamodb: "DynamoDBClient", table: str) -> bool:
    try:
        return dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled", False)
    except dynamodb.exceptions.ResourceNotFoundException:
        return False  # somebody deleted it by hand


def _is_empty(dynamodb: "DynamoDBClient", table: str) -> bool:
    return not dynamodb.scan(TableName=table, Limit=1, ConsistentRead=True)["Items"]


def _refuse_protected(target: Target, stack: Stack, protected: Sequence[str]) -> None:
    reasons = [
        f"table {table} is protected (aws dynamodb update-table --no-deletion-protection-enabled --table-name {table})"
        for table in protected
    ]
    if stack.has_termination_protection:
        reasons.append(
            "the stack has termination protection (aws cloudformation update-termination-protection "
            f"--no-enable-termination-protection --stack-name {target.name})"
        )
    if reasons:
        raise InputError(f"nothing was deleted: {'; '.join(reasons)}. See docs/operations.md, Deleting a stack")


def _what_stays(stack: Stack, buckets: Sequence[str], *, has_key: bool) -> list[str]:
    stays = [f"the bucket {code_bucket(stack.account, stack.region)}"]
    stays += [f"the bucket {bucket}, if files are in it" for bucket in buckets]
    if has_key:
        stays.append("the customer key, which older logs and backups need")
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html
    return [*stays, "backups of the tables, and the one that DynamoDB makes of each now and keeps for 35 days"]


def _ask_for_name(target: Target, options: argparse.Namespace) -> None:
    if options.yes is None and sys.stdin.isatty() and not options.json:
        named = target.name if agreed(f"Type {target.name} to delete it:", (target.name,)) else ""
    else:
        named = options.yes
    if named != target.name:
        raise InputError(f"nothing was deleted: confirm the stack's name, --yes {target.name}")
