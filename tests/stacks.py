"""Deployed stacks: deploy one, put items into it, run its state machine, hear what its topic says."""

import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.engine import CHECKOUT, Engine
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.tables.job_table import ALERT, LEASE, JobTable
from inventory_updater.tables.records import Run
from tests.builders import Stocked
from tests.cloudformation import load_template
from tests.engines import TABLES, Script, Tables, make_client, run_script
from tests.shop import put_stock

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_sns.client import SNSClient
    from types_boto3_sqs.client import SQSClient
    from types_boto3_stepfunctions.client import SFNClient

_EXECUTION_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class EndedJob:
    """How an execution of the state machine ended, and the RUN record of its job, where there is one."""

    job_id: str
    execution_status: str
    error: str
    cause: str
    run: Run | None


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack and the engine that it lives on."""

    engine: Engine
    name: str
    outputs: Mapping[str, str]

    def script(self, name: str, *arguments: str, timeout_seconds: float = 300) -> Script:
        """Run scripts/NAME.py on this stack."""
        return run_script(self.engine, name, "--stack", self.name, *arguments, timeout_seconds=timeout_seconds)

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's engine; annotate the variable that takes it."""
        return make_client(service, self.engine.endpoint_url)

    @property
    def jobs(self) -> JobTable:
        """The stack's jobs table."""
        name = self.outputs["JobsTableName"]
        return JobTable(self.client("dynamodb"), name, retention_days=30, clock=lambda: datetime.now(UTC))

    def items(self) -> dict[object, Mapping[str, Any]]:
        """What the inventory table holds, by SKU."""
        client: DynamoDBClient = self.client("dynamodb")
        stored = client.scan(TableName=self.outputs["InventoryTableName"], ConsistentRead=True)["Items"]
        return {item["sku"]: item for item in map(from_attribute_values, stored)}

    @property
    def tables(self) -> Tables:
        """The names of its tables."""
        return Tables(*(self.outputs[f"{name}Name"] for name in TABLES))

    def put(self, *stock: Attributes | Stocked) -> None:
        """Put items as they are, and the changes that wait for them, whoever could have written them."""
        put_stock(self.client("dynamodb"), self.tables, *stock)

    def records(self) -> dict[tuple[object, object], Mapping[str, Any]]:
        """What the changes table holds, by SKU and change id."""
        client: DynamoDBClient = self.client("dynamodb")
        pages = client.get_paginator("scan").paginate(TableName=self.tables.changes, ConsistentRead=True)
        stored = [record for page in pages for record in page["Items"]]
        return {(record["sku"], record["change_id"]): record for record in map(from_attribute_values, stored)}

    def forget(self) -> None:
        """Delete all items and changes, the lease, and what people were notified of; the records of jobs are left."""
        client: DynamoDBClient = self.client("dynamodb")
        inventory, changes, jobs = astuple(self.tables)
        for table, keys in ((inventory, ("sku", "location_id")), (changes, ("item", "change_id"))):
            for item in client.scan(TableName=table)["Items"]:
                client.delete_item(TableName=table, Key={name: item[name] for name in keys})
        for job_id, record in ((LEASE, LEASE), (ALERT, "due"), (ALERT, "all")):
            client.delete_item(TableName=jobs, Key=to_attribute_values({"job_id": job_id, "record": record}))

    def run_job(self, scope: str = "due", **more: object) -> EndedJob:
        """Run one execution of the state machine to its end; `more` goes into its input."""
        client: SFNClient = self.client("stepfunctions")
        job_id = f"job-{uuid.uuid4()}"
        arn = client.start_execution(
            stateMachineArn=self.outputs["StateMachineArn"], name=job_id, input=json.dumps({"scope": scope, **more})
        )["executionArn"]
        deadline = time.monotonic() + _EXECUTION_SECONDS
        while (execution := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, "the execution does not end"
            time.sleep(0.05)
        error, cause = execution.get("error", ""), execution.get("cause", "")
        return EndedJob(job_id, execution["status"], error, cause, self.jobs.run(job_id))


def deploy(
    engine: Engine, name: str, parameters: Mapping[str, str], *options: str, checkout: Path = CHECKOUT
) -> Script:
    """Deploy a checkout with parameters/local.json and `parameters`, as `make run` does."""
    overrides = [f"--parameter={parameter}={value}" for parameter, value in parameters.items()]
    arguments = ("--environment", "local", "--stack", name, "--yes", "--json", *options, *overrides)
    return run_script(engine, "deploy", *arguments, checkout=checkout)


DENIALS_THAT_DO_NOT_HOLD: Final = {
    # It is reached by plain HTTP.
    "RefuseUnencryptedTransport",
    # It takes the ARN of a session for aws:PrincipalArn, which is that of its role.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    "OnlyTheFunctionWritesReceipts",
}
"""What denies on an engine that enforces IAM whatever it should let in."""


def checkout_for_iam(directory: Path) -> Path:
    """A checkout whose template an engine that enforces IAM can do with: without these denials."""
    for name in ("scripts", "src", "parameters"):
        shutil.copytree(CHECKOUT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    template = json.loads(json.dumps(load_template()))
    for name, found in list(template["Resources"].items()):
        if document := found["Properties"].get("PolicyDocument"):
            left = [each for each in document["Statement"] if each["Sid"] not in DENIALS_THAT_DO_NOT_HOLD]
            document["Statement"] = left
            if not left:
                del template["Resources"][name]
    (directory / "template.yaml").write_text(json.dumps(template), encoding="utf-8")
    return directory


def deploy_stack(engine: Engine, name: str, checkout: Path = CHECKOUT, /, **parameters: str) -> Stack:
    """Deploy the template, or fail the test. No first job: a test starts its own."""
    deployed = deploy(engine, name, parameters, "--no-first-job", checkout=checkout)
    assert deployed.status == 0, deployed.errors
    return Stack(engine=engine, name=name, outputs=deployed.answer["outputs"])


@dataclass(frozen=True, slots=True)
class Message:
    """What people would read in their mail."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class AlarmNews:
    """An alarm that changed its state."""

    name: str
    state: str


class Inbox:
    """A queue that is subscribed to a topic of the stack, where a test reads what people or systems are told.

    The engine delivers within the call that publishes: what has not arrived when that has ended never will.
    """

    def __init__(
        self, stack: Stack, topic: str = "AlertTopicArn", only: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Subscribe to the topic of this output, with a filter policy that lets ``only`` some messages through."""
        self._queues: SQSClient = stack.client("sqs")
        self._url = self._queues.create_queue(QueueName=f"inbox-{uuid.uuid4()}")["QueueUrl"]
        attributes = self._queues.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        topic_arn, queue = stack.outputs[topic], attributes["QueueArn"]
        # https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._queues.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        topics: SNSClient = stack.client("sns")
        filters = {} if only is None else {"FilterPolicy": json.dumps(only)}
        topics.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue, Attributes=filters)

    def take(self) -> tuple[list[Message], list[AlarmNews]]:
        """What has come since the last time, oldest first: what jobs say, and what alarms say."""
        messages: list[Message] = []
        news: list[AlarmNews] = []
        for body in self._received():
            text = str(body["Message"])
            # An alarm speaks JSON, a job does not.
            if text.startswith("{"):
                alarm = json.loads(text)
                news.append(AlarmNews(alarm["AlarmName"], alarm["NewStateValue"]))
            else:
                messages.append(Message(body.get("Subject", ""), text))
        return messages, news

    def take_messages(self) -> list[Message]:
        """What jobs have said since the last time; what alarms have said is dropped."""
        return self.take()[0]

    def take_results(self) -> list[Mapping[str, Any]]:
        """How jobs have ended since the last time, as systems are told."""
        return [json.loads(body["Message"]) for body in self._received()]

    def _received(self) -> Iterator[Mapping[str, Any]]:
        while answer := self._queues.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for received in answer:
                yield json.loads(received["Body"])
                self._queues.delete_message(QueueUrl=self._url, ReceiptHandle=received["ReceiptHandle"])
