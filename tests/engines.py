"""The engines that the tests run on, and the tables on them."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.engine import CHECKOUT, HOST, REGION, Engine, start_engine, stop_engine
from tests.cloudformation import load_template, parameter_values, resolve

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

DYNAMODB_LOCAL: Final = CHECKOUT / ".local" / "dynamodb-local"
LOOPBACK_SERVER: Final = CHECKOUT / "tests" / "dynamodb-local" / "LoopbackServer.java"

PLACE: Final = ("stack", "account", "region")
"""What each answer says of where it is."""

TABLES: Final = ("InventoryTable", "ChangesTable", "JobsTable")
"""Their names in template.yaml."""

_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of the tables of one test."""

    inventory: str
    changes: str
    jobs: str


@cache
def session() -> boto3.Session:
    """One for all clients: what it reads of a service takes most of a second."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


def make_client(service: str, endpoint_url: str, key: str = "test", secret: str = "test", **settings: Any) -> Any:
    """A boto3 client that talks to an engine on this machine, whatever the environment says.

    `Any`, since the type depends on the service's name: annotate the variable that takes it.
    """
    config = Config(retries={"mode": "standard", "total_max_attempts": 2}, max_pool_connections=32)
    return session().client(  # type: ignore[call-overload]  # any service
        service,
        endpoint_url=endpoint_url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config.merge(Config(**settings)),
    )


@contextlib.contextmanager
def private_ministack(directory: Path, overrides: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """A ministack of one's own in `directory`; ended, with all it holds, when the context is left."""
    engine = start_engine(directory, overrides)
    try:
        yield engine
    finally:
        stop_engine(directory)


def reason_without_dynamodb_local() -> str | None:
    """Why DynamoDB Local cannot run here, or None if it can."""
    if not (DYNAMODB_LOCAL / ".ready").exists():
        return "DynamoDB Local is not here: `make dynamodb-local` fetches it where there are Java 17 and Maven"
    if shutil.which("javac") is None:
        return "DynamoDB Local needs a JDK of Java 17 or later, and there is no javac here"
    return None


@contextlib.contextmanager
def private_dynamodb_local(directory: Path) -> Iterator[str]:
    """The endpoint of a DynamoDB Local of one's own that keeps its tables in memory; ended when the context is left."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port = int(listener.getsockname()[1])
    options = [f"-Djava.library.path={DYNAMODB_LOCAL}", "-cp", f"{DYNAMODB_LOCAL}/*"]
    command = ["java", *options, str(LOOPBACK_SERVER), "-inMemory", "-disableTelemetry", "-port", str(port)]
    log = directory / "dynamodb-local.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        endpoint_url = f"http://{HOST}:{port}"
        _wait_for_dynamodb(endpoint_url, lambda: process.poll() is None, log)
        yield endpoint_url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for_dynamodb(endpoint_url: str, is_alive: Callable[[], bool], log: Path) -> None:
    client: DynamoDBClient = make_client("dynamodb", endpoint_url, connect_timeout=1, read_timeout=5)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.list_tables()
            return
        except (BotoCoreError, ClientError) as problem:
            if not is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"no answer from {endpoint_url}:\n{log.read_text(encoding='utf-8')}") from problem
            time.sleep(0.1)


def table_definition(logical_id: str, suffix: str) -> dict[str, Any]:
    """What CreateTable takes for a table of template.yaml: its name, keys, indexes and billing.

    Only that: backups, encryption, protection and tags are for CloudFormation, and TTL is a call of its own.
    """
    properties = resolve(
        load_template()["Resources"][logical_id]["Properties"], parameter_values(EnvironmentSuffix=suffix)
    )
    wanted = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    return {name: properties[name] for name in wanted if name in properties}


def create_tables(client: "DynamoDBClient", suffix: str) -> Tables:
    """Create the tables as template.yaml defines them, with `suffix` as EnvironmentSuffix."""
    definitions = [table_definition(name, suffix) for name in TABLES]
    for definition in definitions:
        client.create_table(**definition)
    names = [definition["TableName"] for definition in definitions]
    for name in names:
        while client.describe_table(TableName=name)["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.05)
    return Tables(*names)


def delete_tables(client: "DynamoDBClient", tables: Tables) -> None:
    """Delete all of them."""
    for name in (tables.inventory, tables.changes, tables.jobs):
        client.delete_table(TableName=name)


@dataclass(frozen=True, slots=True)
class Script:
    """How a script ended and what it said."""

    status: int
    output: str
    errors: str

    @property
    def answer(self) -> Any:
        """Standard output as the one JSON document that `--json` promises, without its `place`."""
        return {name: value for name, value in json.loads(self.output).items() if name not in PLACE}

    @property
    def place(self) -> dict[str, str]:
        """Which stack in which account and region the answer is about."""
        return {name: value for name, value in json.loads(self.output).items() if name in PLACE}


def run_script(
    engine: Engine,
    name: str,
    *arguments: str,
    timeout_seconds: float = 300,
    checkout: Path = CHECKOUT,
    environment: Mapping[str, str] | None = None,
) -> Script:
    """Run scripts/NAME.py of a checkout in an environment in which AWS is that engine, but for what is given."""
    result = subprocess.run(
        [sys.executable, str(checkout / "scripts" / f"{name}.py"), *arguments],
        env=engine.environment() | dict(environment or {}),
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    return Script(status=result.returncode, output=result.stdout, errors=result.stderr)
