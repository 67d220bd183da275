"""The deployment that a command is about: a stack, on AWS or on the embedded engine."""

import argparse
import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import ClientError, NoRegionError

from cli.engine import running_engine
from cli.errors import InputError
from cli.output import note
from cli.stacks import find_stack
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.stock.guards import Guards
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.protocol import Protocol

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_stepfunctions import SFNClient

LOCAL_STACK: Final = "inventory-updater-local"
USUAL_STACK: Final = "inventory-updater-dev"
STACK_VARIABLE: Final = "INVENTORY_UPDATER_STACK"

WRITERS: Final = 8


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack, the session that reaches it, its outputs and its parameters."""

    stack: str
    session: boto3.Session
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    def output(self, name: str) -> str:
        """An output of the stack, or the InputError that says that it has none of this name."""
        try:
            return self.outputs[name]
        except KeyError:
            raise InputError(
                f"the stack {self.stack} has no output {name}: is it this product, and deployed?"
            ) from None

    def inventory(self) -> InventoryTable:
        return InventoryTable(self.dynamodb(), self.output("InventoryTableName"))

    def changes(self) -> ChangeTable:
        return ChangeTable(
            self.dynamodb(),
            self.output("ChangesTableName"),
            retention_days=int(self.parameters["ChangeRetentionDays"]),
        )

    def jobs(self) -> JobTable:
        return JobTable(
            self.dynamodb(),
            self.output("JobsTableName"),
            retention_days=int(self.parameters["JobRetentionDays"]),
            clock=lambda: datetime.now(UTC),
        )

    def guards(self) -> Guards:
        """What a file may do without a second word."""
        return Guards.read(json.loads(self.output("Guards")))

    def protocol(self) -> Protocol:
        """What cancels for whoever asks."""
        return Protocol(self.dynamodb(), self.inventory(), self.changes(), {"cancelled_by": self.caller()})

    def caller(self) -> str:
        """Who asks: the ARN of these credentials, or the user of this machine where AWS does not tell."""
        try:
            return self.session.client("sts").get_caller_identity()["Arn"]
        except ClientError:
            return getpass.getuser()

    def step_functions(self) -> "SFNClient":
        return self.session.client("stepfunctions")

    def dynamodb(self) -> "DynamoDBClient":
        return dynamodb_client(self.session, WRITERS)


def find_deployment(options: argparse.Namespace) -> Deployment:
    """Return the deployment that the shared options name, and say where it is.

    Raises:
        InputError: when there is no such stack.
        EngineNotRunning: when `--local` is given and no engine runs.
    """
    name = stack_named(options, LOCAL_STACK if options.local else USUAL_STACK)
    session = session_of(options)
    stack = find_stack(session.client("cloudformation"), name)
    if stack is None:
        raise InputError(f"there is no stack {name} in {session.region_name}: deploy it, or name another with --stack")
    say_where(options, name, stack.account, stack.region)
    return Deployment(name, session, stack.outputs, stack.parameters)


def stack_named(options: argparse.Namespace, usual: str) -> str:
    """The stack of `--stack`, else that of the environment, which does not count with `--local`, else the usual one."""
    named: str | None = options.stack
    return named or (None if options.local else os.environ.get(STACK_VARIABLE)) or usual


def session_of(options: argparse.Namespace) -> boto3.Session:
    """A session with the engine, or where the AWS CLI would go, which reads one variable that boto3 does not.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """
    if options.local:
        use_embedded_engine()
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    if session.region_name is None:
        raise NoRegionError
    return session


def say_where(options: argparse.Namespace, stack: str, account: str, region: str) -> None:
    """Say which stack in which account and region it is about; with --json as part of the answer."""
    options.where = {"stack": stack, "account": account, "region": region}
    if not options.json:
        note(f"stack {stack}, account {account}, region {region}")


def use_embedded_engine() -> None:
    """Turn this process to the running engine, whatever its environment said."""
    environment = running_engine().environment()
    os.environ.clear()
    os.environ.update(environment)


def now() -> str:
    """The time by the clock, as it is stored."""
    return format_time(datetime.now(UTC))
