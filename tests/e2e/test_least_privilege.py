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
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from inventory_updater.tables.records import JobStatus
from tests.builders import change, stocked, unreadable, with_a_sale
from tests.cloudformation import granted, properties, statements
from tests.engines import private_ministack
from tests.stacks import EndedJob, Inbox, Stack, checkout_for_iam, deploy_stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient
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

ASKED_FOR_BY_THE_ENGINE: Final[Mapping[str, tuple[str, str]]] = {
    # The engine asks for the operation's own name, on any resource.
    "dynamodb:PartiQLUpdate": ("dynamodb:BatchExecuteStatement", "*"),
    # Under the condition cloudwatch:namespace, which the engine does not know, nothing is granted.
    "cloudwatch:PutMetricData": ("cloudwatch:PutMetricData", "*"),
}
"""What only this engine wants, granted beside the role's own policies and taken away together with them."""

POLICY_OF_THE_ENGINE: Final = "WhatOnlyTheEngineAsksFor"

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
    put_policies(deployed, {POLICY_OF_THE_ENGINE: [statement(pair) for pair in ASKED_FOR_BY_THE_ENGINE.values()]})
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


def put_policies(stack: Stack, policies: Mapping[str, list[Any]]) -> None:
    """Give the function's role these inline policies; one without statements is taken away."""
    client: Any = stack.client("iam")
    role = role_name("FunctionRole")
    for name, held in policies.items():
        if held:
            document = json.dumps({"Version": "2012-10-17", "Statement": held})
            client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        else:
            client.delete_role_policy(RoleName=role, PolicyName=name)


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
    }


@contextmanager
def taken_away(stack: Stack, pair: Pair) -> Iterator[None]:
    """The function's role without an action on a resource; as it was afterwards."""
    action, resource = pair
    gone = {(action, arns(stack)[resource]), ASKED_FOR_BY_THE_ENGINE.get(action)}
    before = deployed_policies(stack, "FunctionRole")
    touched = {name: held for name, held in before.items() if gone & granted(held)}
    put_policies(
        stack,
        {
            name: [each | statement(kept) for each in held for kept in sorted(granted([each])) if kept not in gone]
            for name, held in touched.items()
        },
    )
    try:
        yield
    finally:
        put_policies(stack, before)


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


def test_every_action_of_the_functions_role_has_its_row_and_no_row_is_without_an_action(stack: Stack) -> None:
    deployed = deployed_policies(stack, "FunctionRole")
    own = [each for name, held in deployed.items() if name != POLICY_OF_THE_ENGINE for each in held]

    rows = {*WITHOUT, *OF_A_TRANSACTION, *NOT_ENFORCED}
    assert granted(statements("FunctionRole")) == rows
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


@pytest.mark.parametrize("role", ["FunctionRole", "StateMachineRole", "SchedulerRole"])
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
    }

    assert decisions(stack, role, foreign | harmful) == {"implicitDeny"}
