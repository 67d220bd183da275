"""The roles hold what they need, and nothing else: the function's one action after the other is taken away.

The engine enforces the function's role (`AUTH=true`; root stays root), and not those of the state machine and the
schedules: what these hold is compared with what the deployed definition and schedules call. What they are granted on
`*` and on a customer's key is listed in the unit tests of the template. What else the engine does
differently from AWS is in docs/engines.md, "With IAM enforced".
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from inventory_updater.tables.records import JobStatus
from tests.builders import NEXT_YEAR, change, stocked, unreadable, with_a_sale
from tests.cloudformation import granted, properties, statements
from tests.engines import private_ministack
from tests.stacks import EndedJob, Inbox, Stack, checkout_for_iam, deploy_stack

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_s3.client import S3Client
    from types_boto3_scheduler.client import EventBridgeSchedulerClient
    from types_boto3_sns.client import SNSClient
    from types_boto3_stepfunctions.client import SFNClient

Pair = tuple[str, str]
"""An action and the resource that it is granted on."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What people see when the action behind an operation is not granted: how the job ends, and where it is said why.

    A run that is `None` is one that was never settled.
    """

    operation: str
    execution: str
    run: JobStatus | None
    said_in: tuple[str, ...]
    scope: str = "due"

    def is_seen_in(self, job: EndedJob) -> bool:
        run = job.run if job.run is not None and job.run.is_settled else None
        texts = [job.cause if name == "cause" else str(getattr(run, name, "")) for name in self.said_in]
        denied = rf"\((AccessDeniedException|AuthorizationError)\) when calling the {self.operation} operation"
        ended_so = (job.execution_status, run and run.status) == (self.execution, self.run)
        return ended_so and all(re.search(denied, text) for text in texts)


def segment_fails(operation: str, scope: str = "due") -> Missed:
    return Missed(operation, "FAILED", JobStatus.FAILED, ("error",), scope)


def cannot_keep_its_records(operation: str) -> Missed:
    return Missed(operation, "FAILED", None, ("cause",))


def does_its_work(operation: str, *said_in: str, execution: str = "SUCCEEDED") -> Missed:
    return Missed(operation, execution, JobStatus.COMPLETED_WITH_FAILURES, said_in)


WITHOUT: Final[Mapping[Pair, Missed]] = {
    ("dynamodb:Scan", "InventoryTable.Arn"): segment_fails("Scan", scope="all"),
    ("dynamodb:BatchGetItem", "InventoryTable.Arn"): segment_fails("BatchGetItem"),
    ("dynamodb:Query", "ChangesTable.Arn/index/due"): segment_fails("Query"),
    ("dynamodb:BatchGetItem", "ChangesTable.Arn"): segment_fails("BatchGetItem"),
    # A late count asks for all records of its item.
    ("dynamodb:Query", "ChangesTable.Arn"): segment_fails("Query"),
    # The operation is BatchExecuteStatement; AWS authorises what its statements do.
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html
    ("dynamodb:PartiQLUpdate", "InventoryTable.Arn"): segment_fails("BatchExecuteStatement"),
    ("dynamodb:PartiQLUpdate", "ChangesTable.Arn"): segment_fails("BatchExecuteStatement"),
    ("dynamodb:BatchGetItem", "JobsTable.Arn"): does_its_work("BatchGetItem", "error"),
    ("dynamodb:BatchWriteItem", "JobsTable.Arn"): does_its_work("BatchWriteItem", "error"),
    ("dynamodb:GetItem", "JobsTable.Arn"): does_its_work("GetItem", "cause", execution="FAILED"),
    ("dynamodb:PutItem", "JobsTable.Arn"): cannot_keep_its_records("PutItem"),
    ("dynamodb:Query", "JobsTable.Arn"): does_its_work("Query", "alert_error", "cause", execution="FAILED"),
    ("dynamodb:UpdateItem", "JobsTable.Arn"): cannot_keep_its_records("UpdateItem"),
    ("cloudwatch:PutMetricData", "*"): does_its_work("PutMetricData", "metrics_error"),
    ("sns:Publish", "ResultsTopic"): does_its_work("Publish", "result_error"),
    ("sns:Publish", "AlertTopic"): does_its_work("Publish", "alert_error", "cause", execution="FAILED"),
}
"""What each action of the function's role is for: the visible effect of its absence."""

CANCEL: Final = {
    "action": "cancel",
    "changes": [{"change_id": "called", "sku": "lost", "location_id": "DC1"}],
}

OF_A_TRANSACTION: Final = {
    ("dynamodb:ConditionCheckItem", "InventoryTable.Arn"),
    ("dynamodb:UpdateItem", "ChangesTable.Arn"),
}
"""What only a call needs that cancels the change of an item that is gone: one transaction of two actions."""

NOT_ENFORCED: Final = {
    # The engine asks for the operation's own name, which updates need as well.
    ("dynamodb:PartiQLInsert", "ChangesTable.Arn"),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    ("logs:CreateLogStream", "FunctionLogGroup.Arn"),
    ("logs:PutLogEvents", "FunctionLogGroup.Arn"),
    # https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    ("xray:PutTelemetryRecords", "*"),
    ("xray:PutTraceSegments", "*"),
}
"""What this engine does without; AWS documents what needs it."""

# Under the condition cloudwatch:namespace, which the engine does not know, nothing is granted.
_METRICS: Final = {"cloudwatch:PutMetricData": ("cloudwatch:PutMetricData", "*")}
# The engine asks for the operation's own name, on any resource.
_STATEMENTS: Final = ("dynamodb:BatchExecuteStatement", "*")

ASKED_FOR_BY_THE_ENGINE: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "FunctionRole": {"dynamodb:PartiQLUpdate": _STATEMENTS} | _METRICS,
    "IntakeRole": {"dynamodb:PartiQLInsert": _STATEMENTS} | _METRICS,
}
"""What only this engine wants, granted beside the role's own policies and taken away together with them."""

POLICY_OF_THE_ENGINE: Final = "WhatOnlyTheEngineAsksFor"

INTAKE_WITHOUT: Final[Mapping[Pair, tuple[str, str]]] = {
    ("s3:GetObjectVersion", "IntakeBucket.Arn/incoming/*"): ("good", "failed"),
    ("dynamodb:BatchGetItem", "InventoryTable.Arn"): ("good", "failed"),
    ("dynamodb:BatchGetItem", "ChangesTable.Arn"): ("good", "failed"),
    ("dynamodb:PartiQLInsert", "ChangesTable.Arn"): ("good", "failed"),
    ("s3:GetObject", "IntakeBucket.Arn/receipts/*"): ("good", "failed"),
    ("s3:PutObject", "IntakeBucket.Arn/receipts/*"): ("good", "failed"),
    ("cloudwatch:PutMetricData", "*"): ("good", "uncounted"),
    ("sns:Publish", "AlertTopic"): ("bad", "untold, and so uncounted"),
    # The preview of what is held looks for what waits, and for all records of an item that lacks stock.
    ("dynamodb:Query", "ChangesTable.Arn/index/due"): ("unusual", "failed"),
    ("dynamodb:Query", "ChangesTable.Arn"): ("unusual", "failed"),
    ("s3:PutObject", "IntakeBucket.Arn/held/*"): ("unusual", "failed"),
    ("s3:GetObjectVersion", "IntakeBucket.Arn/approved/*"): ("approved", "failed"),
    ("s3:ListBucket", "IntakeBucket.Arn"): ("approved", "failed"),
    ("s3:GetObject", "IntakeBucket.Arn/held/*"): ("approved", "failed"),
    ("s3:DeleteObject", "IntakeBucket.Arn/held/*"): ("approved", "failed"),
    # Of a file of several parts, each is kept until all are done.
    ("s3:GetObject", "IntakeBucket.Arn/working/*"): ("long", "failed"),
    ("s3:PutObject", "IntakeBucket.Arn/working/*"): ("long", "failed"),
    ("s3:DeleteObject", "IntakeBucket.Arn/working/*"): ("long", "failed"),
    # Of two files in a call that is short of time, the second goes back to the queue.
    ("sqs:SendMessage", "IntakeQueue.Arn"): ("two", "failed"),
}
"""What each action of the intake's role is for: with which file its absence is seen, and how."""

INTAKE_NOT_ENFORCED: Final = {
    # Of Lambda's pollers: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    *((f"sqs:{action}", "IntakeQueue.Arn") for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    *((f"logs:{action}", "IntakeFunctionLogGroup.Arn") for action in ("CreateLogStream", "PutLogEvents")),
    # https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    *((f"xray:{action}", "*") for action in ("PutTelemetryRecords", "PutTraceSegments")),
}

_rounds = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that enforces IAM, and does not really wait between two attempts."""
    overrides = {"AUTH": "true", "SFN_WAIT_SCALE": "0"}
    with private_ministack(tmp_path_factory.mktemp("server"), overrides) as engine:
        yield engine


@pytest.fixture(scope="module")
def stack(server: Engine, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The template, deployed by root with one segment, so that one call that fails is a job that fails."""
    checkout = checkout_for_iam(tmp_path_factory.mktemp("checkout"))
    deployed = deploy_stack(server, "inventory-updater-test", checkout, Segments="1")
    for role, asked in ASKED_FOR_BY_THE_ENGINE.items():
        put_policies(deployed, role, {POLICY_OF_THE_ENGINE: [statement(pair) for pair in asked.values()]})
    let_results_through(deployed)
    return deployed


@pytest.fixture(scope="module")
def inbox(stack: Stack) -> Inbox:
    return Inbox(stack)


# Roles in the template and on the engine


def role_name(role: str) -> str:
    return str(properties(role, EnvironmentSuffix="local")["RoleName"])


# The client of IAM is `Any` below: its types are not among the development requirements.


def deployed_policies(stack: Stack, role: str) -> dict[str, list[Any]]:
    """The statements of each inline policy of a deployed role."""
    client: Any = stack.client("iam")
    return {
        name: client.get_role_policy(RoleName=role_name(role), PolicyName=name)["PolicyDocument"]["Statement"]
        for name in client.list_role_policies(RoleName=role_name(role))["PolicyNames"]
    }


def put_policies(stack: Stack, role: str, policies: Mapping[str, list[Any]]) -> None:
    """Give a role these inline policies; one without statements is taken away."""
    client: Any = stack.client("iam")
    for name, held in policies.items():
        if held:
            document = json.dumps({"Version": "2012-10-17", "Statement": held})
            client.put_role_policy(RoleName=role_name(role), PolicyName=name, PolicyDocument=document)
        else:
            client.delete_role_policy(RoleName=role_name(role), PolicyName=name)


def let_results_through(stack: Stack) -> None:
    """Replace the policy of the results topic, whose denials this engine reads otherwise: docs/engines.md says how."""
    client: SNSClient = stack.client("sns")
    topic = stack.outputs["ResultsTopicArn"]
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "sns:Subscribe", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    client.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)


def statement(pair: Pair) -> dict[str, str]:
    action, resource = pair
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def arns(stack: Stack) -> dict[str, str]:
    """What AWS puts in for the references that the tests know by name."""
    tables: DynamoDBClient = stack.client("dynamodb")
    inventory, changes, jobs = (
        tables.describe_table(TableName=name)["Table"]["TableArn"] for name in astuple(stack.tables)
    )
    account = inventory.split(":")[4]
    logs = f"arn:aws:logs:{stack.engine.region}:{account}:log-group:{stack.outputs['FunctionLogGroupName']}:*"
    return {
        "*": "*",
        "InventoryTable.Arn": inventory,
        "ChangesTable.Arn": changes,
        "ChangesTable.Arn/index/due": f"{changes}/index/due",
        "JobsTable.Arn": jobs,
        "AlertTopic": stack.outputs["AlertTopicArn"],
        "ResultsTopic": stack.outputs["ResultsTopicArn"],
        "FunctionLogGroup.Arn": logs,
        "IntakeFunctionLogGroup.Arn": f"{logs.removesuffix('-local:*').replace('updater', 'updater-intake')}-local:*",
        "IntakeQueue.Arn": f"arn:aws:sqs:{stack.engine.region}:{account}:inventory-updater-intake-local",
    } | {
        f"IntakeBucket.Arn{place}": f"arn:aws:s3:::{stack.outputs['IntakeBucketName']}{place}"
        for place in ("", *(f"/{prefix}/*" for prefix in ("incoming", "approved", "receipts", "held", "working")))
    }


@contextmanager
def taken_away(stack: Stack, pair: Pair, role: str = "FunctionRole") -> Iterator[None]:
    """A function's role without an action on a resource; as it was afterwards."""
    action, resource = pair
    gone = {(action, arns(stack)[resource]), ASKED_FOR_BY_THE_ENGINE[role].get(action)}
    before = deployed_policies(stack, role)
    touched = {name: held for name, held in before.items() if gone & granted(held)}
    put_policies(
        stack,
        role,
        {
            name: [each | statement(kept) for each in held for kept in sorted(granted([each])) if kept not in gone]
            for name, held in touched.items()
        },
    )
    try:
        yield
    finally:
        put_policies(stack, role, before)


# A job that needs every action: one change to apply, one to reject, one item that cannot be read


def run_a_job_with_failures(stack: Stack, scope: str) -> EndedJob:
    """A job on three items of its own, with nothing left of the one before: neither items nor lease nor last alert."""
    stack.forget()
    number = next(_rounds)
    stack.put(
        with_a_sale(f"mug-{number}"),
        stocked(change("oversold", value=-3), on_hand=1, sku=f"cup-{number}"),
        unreadable(f"pot-{number}", change("sold", value=-3)),
    )
    return stack.run_job(scope)


@pytest.mark.parametrize(
    ("role", "rows"),
    [
        ("FunctionRole", {*WITHOUT, *OF_A_TRANSACTION, *NOT_ENFORCED}),
        ("IntakeRole", {*INTAKE_WITHOUT, *INTAKE_NOT_ENFORCED}),
    ],
)
def test_every_action_of_a_functions_role_has_its_row_and_no_row_is_without_an_action(
    stack: Stack, role: str, rows: set[Pair]
) -> None:
    deployed = deployed_policies(stack, role)
    own = [each for name, held in deployed.items() if name != POLICY_OF_THE_ENGINE for each in held]

    assert granted(statements(role)) == rows
    assert granted(own) == {(action, arns(stack)[resource]) for action, resource in rows}


@pytest.mark.parametrize("scope", ["due", "all"])
def test_with_its_own_policies_the_function_does_everything(stack: Stack, inbox: Inbox, scope: str) -> None:
    inbox.take()

    job = run_a_job_with_failures(stack, scope)

    assert job.execution_status == "SUCCEEDED", job.cause
    assert job.run is not None
    assert job.run.status == JobStatus.COMPLETED_WITH_FAILURES
    assert (job.run.error, job.run.metrics_error, job.run.alert_error, job.run.result_error) == (None,) * 4
    assert (job.run.tally.changes_applied, job.run.tally.changes_rejected) == (1, 1)
    assert {failure.change_id for failure in stack.jobs.failures(job.job_id)} == {"oversold", None}
    assert [job.job_id in message.text for message in inbox.take_messages()] == [True]
    assert stack.jobs.lease().holder is None


@pytest.mark.parametrize(
    ("pair", "missed"),
    [
        pytest.param(*entry, id=" on ".join(entry[0]), marks=[pytest.mark.slow] if number else [])
        for number, entry in enumerate(WITHOUT.items())
    ],
)
def test_without_an_action_people_see_what_is_missing(stack: Stack, pair: Pair, missed: Missed) -> None:
    with taken_away(stack, pair):
        job = run_a_job_with_failures(stack, missed.scope)

    assert missed.is_seen_in(job), job


def test_without_an_action_a_call_says_what_is_missing(stack: Stack) -> None:
    functions: LambdaClient = stack.client("lambda")
    stack.forget()
    stack.put(stocked(change("called"), sku="lost"))
    stack.client("dynamodb").delete_item(
        TableName=stack.outputs["InventoryTableName"], Key={"sku": {"S": "lost"}, "location_id": {"S": "DC1"}}
    )
    said = {}
    for pair in OF_A_TRANSACTION:
        with taken_away(stack, pair):
            answer = functions.invoke(FunctionName=stack.outputs["FunctionName"], Payload=json.dumps(CANCEL))
            said[pair] = answer["Payload"].read().decode()

    assert {pair: text for pair, text in said.items() if "when calling the TransactWriteItems" not in text} == {}


# The intake, called with notifications as the queue would


LINES_OF_TWO_PARTS: Final = 250_001


@dataclass(frozen=True, slots=True)
class Door:
    """The function of the intake, called directly: its queue hands over nothing while this is tried."""

    stack: Stack

    def put(self, folder: str, name: str, *rows: str, blank_lines: int = 0) -> Any:
        """Put a file of changes, and return the notification that S3 would send."""
        client: S3Client = self.stack.client("s3")
        bucket, key = self.stack.outputs["IntakeBucketName"], f"{folder}/{name}.csv"
        header = "change_id,sku,location_id,kind,value,effective_at"
        body = "\n".join([header, *(f"{name}-{row},{NEXT_YEAR}" for row in rows), *("" for _ in range(blank_lines))])
        version = client.put_object(Bucket=bucket, Key=key, Body=body.encode())["VersionId"]
        return {
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AIDA"},
            "s3": {"bucket": {"name": bucket}, "object": {"key": key, "versionId": version}},
        }

    def take(self, *notices: Any) -> bool:
        """Call the function with one message of these notifications; whether it says that it is done."""
        functions: LambdaClient = self.stack.client("lambda")
        message = {"messageId": "m1", "body": json.dumps({"Records": notices}), "attributes": {"SenderId": "AIDA"}}
        answer = functions.invoke(
            FunctionName=self.stack.outputs["IntakeFunctionName"], Payload=json.dumps({"Records": [message]})
        )
        said = answer["Payload"].read().decode()
        assert not answer.get("FunctionError"), said
        failed = json.loads(said)["batchItemFailures"]
        assert failed in ([], [{"itemIdentifier": "m1"}])
        return not failed

    @contextmanager
    def short_of_time(self) -> Iterator[None]:
        """With so little time in a call that it takes one file only."""
        functions: LambdaClient = self.stack.client("lambda")
        name = self.stack.outputs["IntakeFunctionName"]
        functions.update_function_configuration(FunctionName=name, Timeout=100)
        try:
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Timeout=300)

    def counted(self) -> float:
        """How many files the metrics have counted."""
        client: CloudWatchClient = self.stack.client("cloudwatch")
        now = datetime.now(UTC)
        answers = [
            client.get_metric_statistics(
                Namespace="InventoryUpdater",
                MetricName=name,
                Dimensions=[{"Name": "Environment", "Value": "local"}],
                StartTime=now - timedelta(hours=2),
                EndTime=now + timedelta(minutes=2),
                Period=60,
                Statistics=["Sum"],
            )
            for name in ("FilesAccepted", "FilesHeld", "FilesRefused")
        ]
        return sum(point["Sum"] for answer in answers for point in answer["Datapoints"])


@pytest.fixture(scope="module")
def door(stack: Stack) -> Door:
    """The intake, with the mapping of its queue off."""
    functions: LambdaClient = stack.client("lambda")
    name = stack.outputs["IntakeFunctionName"]
    [mapping] = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    return Door(stack)


def take_a_file(door: Door, inbox: Inbox, what: str) -> str:
    """Let the intake take a file of a kind; what is amiss, if anything is."""
    number = next(_rounds)
    name, item = f"file-{number}", f"bowl-{number}"
    door.stack.put(stocked(sku=item, on_hand=1, unit_price=Decimal(10)))
    good, lost = f"1,{item},DC1,adjustment,2", f"1,lost-{number},DC1,adjustment,2"
    unusual = (f"1,{item},DC1,price,1000", f"2,{item},DC1,adjustment,-3")
    inbox.take_messages()
    before = door.counted()
    match what:
        case "good":
            notices = [door.put("incoming", name, good)]
        case "bad":
            notices = [door.put("incoming", name, lost)]
        case "unusual":
            notices = [door.put("incoming", name, *unusual)]
        case "approved":
            assert door.take(door.put("incoming", name, *unusual))
            inbox.take_messages()
            notices = [door.put("approved", name, *unusual)]
        case "long":
            notices = [door.put("incoming", name, good, blank_lines=LINES_OF_TWO_PARTS)]
        case _:
            notices = [door.put("incoming", name, good), door.put("incoming", f"{name}-2", good)]
    with door.short_of_time() if what == "two" else nullcontext():
        is_done = door.take(*notices)
    if not is_done:
        return "failed"
    told = any(f"/{name}.csv" in message.text for message in inbox.take_messages())
    is_told = told is (what in ("bad", "unusual"))
    is_counted = door.counted() > before
    return ", and so ".join(["untold"] * (not is_told) + ["uncounted"] * (not is_counted))


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted({what for what, _ in INTAKE_WITHOUT.values()}))
def test_with_its_own_policies_the_intake_takes_every_file(door: Door, inbox: Inbox, what: str) -> None:
    assert take_a_file(door, inbox, what) == ""


@pytest.mark.parametrize(
    ("pair", "what", "amiss"),
    [
        pytest.param(pair, *missed, id=" on ".join(pair), marks=[pytest.mark.slow] if number else [])
        for number, (pair, missed) in enumerate(INTAKE_WITHOUT.items())
    ],
)
def test_without_an_action_a_file_is_not_taken_not_counted_or_nobody_is_told(
    door: Door, inbox: Inbox, pair: Pair, what: str, amiss: str
) -> None:
    with taken_away(door.stack, pair, "IntakeRole"):
        assert take_a_file(door, inbox, what) == amiss


# The state machine and the schedules: nothing enforces their roles here


def called(stack: Stack) -> dict[str, set[Pair]]:
    """What the deployed definition calls and the deployed schedules start or leave undelivered, by the role."""
    machines: SFNClient = stack.client("stepfunctions")
    definition = machines.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])["definition"]
    functions = re.findall(r'"FunctionName": *"([^"]+)"', definition)
    schedules: EventBridgeSchedulerClient = stack.client("scheduler")
    group = stack.outputs["ScheduleGroupName"]
    names = [schedule["Name"] for schedule in schedules.list_schedules(GroupName=group)["Schedules"]]
    targets = [schedules.get_schedule(GroupName=group, Name=name)["Target"] for name in names]
    assert (len(functions), len(targets)) == (3, 2)
    return {
        "StateMachineRole": {("lambda:InvokeFunction", function) for function in functions},
        "SchedulerRole": {("states:StartExecution", target["Arn"]) for target in targets}
        | {("sqs:SendMessage", target["DeadLetterConfig"]["Arn"]) for target in targets},
        "FunctionRole": {("dynamodb:Scan", arns(stack)["InventoryTable.Arn"])},
    }


def decisions(stack: Stack, role: str, wanted: set[Pair]) -> set[str]:
    client: Any = stack.client("iam")
    arn = client.get_role(RoleName=role_name(role))["Role"]["Arn"]
    answers = [
        client.simulate_principal_policy(PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource])
        for action, resource in wanted
    ]
    return {result["EvalDecision"] for answer in answers for result in answer["EvaluationResults"]}


@pytest.mark.parametrize("role", ["StateMachineRole", "SchedulerRole"])
def test_a_role_that_is_not_enforced_holds_what_is_called_in_it(stack: Stack, role: str) -> None:
    held = granted(itertools.chain(*deployed_policies(stack, role).values()))
    needed = called(stack)[role]

    # What is granted on `*` is listed in the unit tests of the template.
    assert {pair for pair in held if pair[1] != "*"} == needed
    assert decisions(stack, role, needed) == {"allowed"}


def test_the_pollers_of_the_queue_may_do_with_it_what_lambda_does(stack: Stack) -> None:
    needed = {(action, arns(stack)[where]) for action, where in INTAKE_NOT_ENFORCED if where == "IntakeQueue.Arn"}

    assert decisions(stack, "IntakeRole", needed) == {"allowed"}
    assert decisions(stack, "FunctionRole", needed) == {"implicitDeny"}


@pytest.mark.parametrize("role", ["FunctionRole", "IntakeRole", "StateMachineRole", "SchedulerRole"])
def test_no_role_may_do_what_only_another_one_needs_or_what_nobody_does(stack: Stack, role: str) -> None:
    inventory, jobs = arns(stack)["InventoryTable.Arn"], arns(stack)["JobsTable.Arn"]
    foreign = set().union(*(needed for owner, needed in called(stack).items() if owner != role))
    harmful = {
        ("dynamodb:Scan", inventory.replace("inventory-local", "inventory-prod")),
        ("dynamodb:DeleteTable", inventory),
        ("dynamodb:DeleteItem", jobs),
        ("dynamodb:PutItem", inventory),
        ("iam:PassRole", "*"),
        ("lambda:InvokeFunction", "*"),
        ("sns:Publish", "*"),
        ("s3:PutObject", f"{arns(stack)['IntakeBucket.Arn']}/incoming/own.csv"),
        ("s3:DeleteObject", f"{arns(stack)['IntakeBucket.Arn']}/receipts/own.csv.json"),
    }

    assert decisions(stack, role, foreign | harmful) == {"implicitDeny"}
