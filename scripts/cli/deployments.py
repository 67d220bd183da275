"""The deployment that a command is about: a stack, on AWS or on the embedded engine."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import ClientError

from cli.engine import running_engine
from cli.errors import InputError
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.stock.times import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_stepfunctions import SFNClient

LOCAL_STACK: Final = "inventory-updater-local"
USUAL_STACK: Final = "inventory-updater-dev"
STACK_VARIABLE: Final = "INVENTORY_UPDATER_STACK"

WRITERS: Final = 8
# The scripts write no record that expires, so this only has to be something.
RETENTION_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack, the session that reaches it, and its outputs."""

    stack: str
    session: boto3.Session
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
        """An output of the stack, or the InputError that says that it has none of this name."""
        try:
            return self.outputs[name]
        except KeyError:
            raise InputError(
                f"the stack {self.stack} has no output {name}: is it this product, and deployed?"
            ) from None

    def inventory(self) -> InventoryTable:
        return InventoryTable(self._dynamodb(), self.output("InventoryTableName"))

    def jobs(self) -> JobTable:
        return JobTable(
            self._dynamodb(),
            self.output("JobsTableName"),
            retention_days=RETENTION_DAYS,
            clock=lambda: datetime.now(UTC),
        )

    def step_functions(self) -> "SFNClient":
        return self.session.client("stepfunctions")

    def _dynamodb(self) -> "DynamoDBClient":
        return dynamodb_client(self.session, WRITERS)


def find_deployment(options: argparse.Namespace) -> Deployment:
    """Return the deployment that the shared options name.

    Raises:
        InputError: when there is no such stack.
        EngineNotRunning: when `--local` is given and no engine runs.
    """
    stack = stack_named(options, LOCAL_STACK if options.local else USUAL_STACK)
    if options.local:
        use_embedded_engine()
    session = boto3.Session()
    return Deployment(stack, session, stack_outputs(session.client("cloudformation"), stack))


def stack_named(options: argparse.Namespace, usual: str) -> str:
    """The stack of `--stack`, else that of the environment, which does not count with `--local`, else the usual one."""
    named: str | None = options.stack
    return named or (None if options.local else os.environ.get(STACK_VARIABLE)) or usual


def use_embedded_engine() -> None:
    """Turn this process to the running engine, whatever its environment said."""
    environment = running_engine().environment()
    os.environ.clear()
    os.environ.update(environment)


def stack_outputs(cloudformation: "CloudFormationClient", stack: str) -> dict[str, str]:
    """The outputs of a stack by name, or the InputError that says that there is no such stack."""
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        answer = error.response["Error"]
        if answer["Code"] == "ValidationError" and "does not exist" in answer["Message"]:
            where = cloudformation.meta.region_name
            raise InputError(
                f"there is no stack {stack} in {where}: deploy it, or name another one with --stack"
            ) from None
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def now() -> str:
    """The time by the clock, as it is stored."""
    return format_time(datetime.now(UTC))
