"""The roles hold what they need, and nothing else: the function's one action after the other is taken away.

The engine enforces the function's role (`AUTH=true`; root stays root), and not those of the state machine and the
schedules: what these hold is compared with what the deployed definition and schedules call. What they are granted on
`*` and on a customer's key is listed in the unit tests of the template. What else the engine does
differently from AWS is in docs/engines.md, "With IAM enforced".
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.tables.job_table import ALERT, LEASE
from inventory_updater.tables.records import JobStatus
from tests.builders import change, item_attributes
from tests.cloudformation import as_list, load_template, parameter_values, resolve
from tests.engines import private_ministack
from tests.stacks import EndedJob, Inbox, Stack, deploy_stack

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_scheduler.client import EventBridgeSchedulerClient
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
        texts = {"cause": job.cause} | {name: str(getattr(run, name, "")) for name in self.said_in if name != "cause"}
        return (job.execution_status, run and run.status) == (self.execution, self.run) and all(
            self._names_the_operation(texts[name]) for name in self.said_in
        )

    def _names_the_operation(self, text: str) -> bool:
        denied = ("AccessDeniedException", "AuthorizationError")
        return any(f"({code}) when calling the {self.operation} operation" in text for code in denied)


def segment_fails(operation: str, scope: str = "due") -> Missed:
    return Missed(operation, "FAILED", JobStatus.FAILED, ("error",), scope)


def cannot_keep_its_records(operation: str) -> Missed:
    return Missed(operation, "FAILED", None, ("cause",))


def does_its_work(operation: str, *said_in: str, execution: str = "SUCCEEDED") -> Missed:
    return Missed(operation, execution, JobStatus.COMPLETED_WITH_FAILURES, said_in)


@dataclass(frozen=True, slots=True)
class NotEnforced:
    """This engine does without the action; AWS documents what needs it."""

    page: str


DOCS: Final = "https://docs.aws.amazon.com"
LAMBDA_LOGS: Final = NotEnforced(f"{DOCS}/lambda/latest/dg/monitoring-cloudwatchlogs.html")
LAMBDA_TRACES: Final = NotEnforced(f"{DOCS}/lambda/latest/dg/services-xray.html")

WITHOUT: Final[Mapping[Pair, Missed | NotEnforced]] = {
    ("dynamodb:Scan", "InventoryTable.Arn"): segment_fails("Scan", scope="all"),
    ("dynamodb:Scan", "InventoryTable.Arn/index/due"): segment_fails("Scan", scope="due"),
    # The operation is BatchExecuteStatement; AWS authorises what its statements do.
    ("dynamodb:PartiQLUpdate", "InventoryTable.Arn"): segment_fails("BatchExecuteStatement"),
    ("dynamodb:BatchGetItem", "JobsTable.Arn"): does_its_work("BatchGetItem", "error"),
    ("dynamodb:BatchWriteItem", "JobsTable.Arn"): does_its_work("BatchWriteItem", "error"),
    ("dynamodb:GetItem", "JobsTable.Arn"): cannot_keep_its_records("GetItem"),
    ("dynamodb:PutItem", "JobsTable.Arn"): cannot_keep_its_records("PutItem"),
    ("dynamodb:Query", "JobsTable.Arn"): cannot_keep_its_records("Query"),
    ("dynamodb:UpdateItem", "JobsTable.Arn"): cannot_keep_its_records("UpdateItem"),
    ("cloudwatch:PutMetricData", "*"): does_its_work("PutMetricData", "metrics_error"),
    ("sns:Publish", "AlertTopic"): does_its_work("Publish", "alert_error", "cause", execution="FAILED"),
    ("logs:CreateLogStream", "FunctionLogGroup.Arn"): LAMBDA_LOGS,
    ("logs:PutLogEvents", "FunctionLogGroup.Arn"): LAMBDA_LOGS,
    ("xray:PutTelemetryRecords", "*"): LAMBDA_TRACES,
    ("xray:PutTraceSegments", "*"): LAMBDA_TRACES,
}
"""What each action of the function's role is for: the visible effect of its absence."""

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
def stack(server: Engine) -> Stack:
    """The template, deployed by root with one segment, so that one call that fails is a job that fails."""
    deployed = deploy_stack(server, "inventory-updater-test", Segments="1")
    put_policies(deployed, {POLICY_OF_THE_ENGINE: [statement(pair) for pair in ASKED_FOR_BY_THE_ENGINE.values()]})
    return deployed


@pytest.fixture(scope="module")
def inbox(stack: Stack) -> Inbox:
    return Inbox(stack)


# Roles in the template and on the engine

LOCAL: Final = {"EnvironmentSuffix": "local"}
ROLES: Final = ("FunctionRole", "StateMachineRole", "SchedulerRole")


def role_name(role: str) -> str:
    return str(resolve(load_template()["Resources"][role]["Properties"]["RoleName"], parameter_values(**LOCAL)))


def template_statements(role: str) -> list[Any]:
    properties = resolve(load_template()["Resources"][role]["Properties"], parameter_values(**LOCAL))
    return [found for policy in properties["Policies"] for found in policy["PolicyDocument"]["Statement"]]


def pairs(statements: list[Any]) -> set[Pair]:
    """Every action with a resource that it is granted on."""
    return {
        (action, resource)
        for each in statements
        for action in as_list(each["Action"])
        for resource in as_list(each["Resource"])
    }


# The client of IAM is `Any` below: its types are not among the development requirements.


def deployed_policies(stack: Stack, role: str) -> dict[str, list[Any]]:
    """The statements of each inline policy of a deployed role."""
    client: Any = stack.client("iam")
    names = client.list_role_policies(RoleName=role_name(role))["PolicyNames"]
    documents: dict[str, Any] = {
        name: client.get_role_policy(RoleName=role_name(role), PolicyName=name)["PolicyDocument"] for name in names
    }
    return {name: document["Statement"] for name, document in documents.items()}


def put_policies(stack: Stack, policies: Mapping[str, list[Any]]) -> None:
    """Give the function's role these inline policies; one without statements is taken away."""
    client: Any = stack.client("iam")
    for name, statements in policies.items():
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            client.put_role_policy(RoleName=role_name("FunctionRole"), PolicyName=name, PolicyDocument=document)
        else:
            client.delete_role_policy(RoleName=role_name("FunctionRole"), PolicyName=name)


def statement(pair: Pair) -> dict[str, str]:
    action, resource = pair
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def arns(stack: Stack) -> dict[str, str]:
    """What AWS puts in for the references that the tests know by name."""
    tables: DynamoDBClient = stack.client("dynamodb")
    inventory, jobs = (
        tables.describe_table(TableName=stack.outputs[output])["Table"]["TableArn"]
        for output in ("InventoryTableName", "JobsTableName")
    )
    account = inventory.split(":")[4]
    logs = f"arn:aws:logs:{stack.engine.region}:{account}:log-group:{stack.outputs['FunctionLogGroupName']}:*"
    return {
        "*": "*",
        "InventoryTable.Arn": inventory,
        "InventoryTable.Arn/index/due": f"{inventory}/index/due",
        "JobsTable.Arn": jobs,
        "AlertTopic": stack.outputs["AlertTopicArn"],
        "FunctionLogGroup.Arn": logs,
    }


@contextmanager
def taken_away(stack: Stack, pair: Pair) -> Iterator[None]:
    """The function's role without an action on a resource; as it was afterwards."""
    action, resource = pair
    gone = {(action, arns(stack)[resource]), ASKED_FOR_BY_THE_ENGINE.get(action)}
    before = deployed_policies(stack, "FunctionRole")
    put_policies(
        stack,
        {
            name: [each | statement(kept) for each in statements for kept in sorted(pairs([each])) if kept not in gone]
            for name, statements in before.items()
            if gone & pairs(statements)
        },
    )
    try:
        yield
    finally:
        put_policies(stack, before)


# A job that needs every action: one change to apply, one to reject, one item that cannot be read


def run_a_job_with_failures(stack: Stack, scope: str) -> EndedJob:
    """A job on three items of its own, with nothing left of the one before: neither items nor lease nor last alert."""
    forget_everything(stack)
    number = next(_rounds)
    stack.put(
        item_attributes(10, sku=f"mug-{number}", pending=[change("sold", "adjustment", -3)]),
        item_attributes(1, sku=f"cup-{number}", pending=[change("oversold", "adjustment", -3)]),
        item_attributes(sku=f"pot-{number}", pending=[change("sold", "adjustment", -3)]) | {"on_hand": "many"},
    )
    return stack.run_job(scope)


def forget_everything(stack: Stack) -> None:
    client: DynamoDBClient = stack.client("dynamodb")
    inventory, jobs = stack.outputs["InventoryTableName"], stack.outputs["JobsTableName"]
    for item in client.scan(TableName=inventory)["Items"]:
        client.delete_item(TableName=inventory, Key={"sku": item["sku"], "location_id": item["location_id"]})
    for key in ({"job_id": LEASE, "record": LEASE}, *({"job_id": ALERT, "record": scope} for scope in ("due", "all"))):
        client.delete_item(TableName=jobs, Key=to_attribute_values(key))


def published(stack: Stack, metric: str, scope: str) -> float:
    """The sum of a metric of this stack over the last minutes."""
    client: CloudWatchClient = stack.client("cloudwatch")
    now = datetime.now(UTC)
    points = client.get_metric_statistics(
        Namespace="InventoryUpdater",
        MetricName=metric,
        Dimensions=[{"Name": "Environment", "Value": "local"}, {"Name": "Scope", "Value": scope}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(point["Sum"] for point in points)


# The function


def test_every_action_of_the_functions_role_has_its_row_and_no_row_is_without_an_action(stack: Stack) -> None:
    in_template = pairs(template_statements("FunctionRole"))
    deployed = deployed_policies(stack, "FunctionRole")
    own = [each for name, statements in deployed.items() if name != POLICY_OF_THE_ENGINE for each in statements]

    assert in_template == set(WITHOUT)
    assert pairs(own) == {(action, arns(stack)[resource]) for action, resource in WITHOUT}


@pytest.mark.parametrize("scope", ["due", "all"])
def test_with_its_own_policies_the_function_does_everything(stack: Stack, inbox: Inbox, scope: str) -> None:
    inbox.take()
    finished = published(stack, "JobsFinished", scope)

    job = run_a_job_with_failures(stack, scope)

    assert job.execution_status == "SUCCEEDED", job.cause
    assert job.run is not None
    assert (job.run.status, job.run.error) == (JobStatus.COMPLETED_WITH_FAILURES, None)
    assert (job.run.tally.changes_applied, job.run.tally.changes_rejected) == (1, 1)
    assert {failure.change_id for failure in stack.jobs.failures(job.job_id)} == {"oversold", None}
    assert published(stack, "JobsFinished", scope) == finished + 1
    assert [job.job_id in message.text for message in inbox.take_messages()] == [True]
    assert stack.jobs.lease().holder is None


@pytest.mark.parametrize(
    ("pair", "missed"),
    [
        pytest.param(pair, missed, id=" on ".join(pair))
        for pair, missed in WITHOUT.items()
        if isinstance(missed, Missed)
    ],
)
def test_without_an_action_people_see_what_is_missing(stack: Stack, pair: Pair, missed: Missed) -> None:
    with taken_away(stack, pair):
        job = run_a_job_with_failures(stack, missed.scope)

    assert missed.is_seen_in(job), job


# The state machine and the schedules: nothing enforces their roles here


def decisions(stack: Stack, role: str, wanted: set[Pair]) -> set[str]:
    client: Any = stack.client("iam")
    arn = client.get_role(RoleName=role_name(role))["Role"]["Arn"]
    return {
        result["EvalDecision"]
        for action, resource in wanted
        for result in client.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource]
        )["EvaluationResults"]
    }


def called_by_the_definition(stack: Stack) -> set[Pair]:
    """What the tasks of the deployed definition call, inside the Map too."""
    client: SFNClient = stack.client("stepfunctions")
    definition = client.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])["definition"]

    def tasks(machine: Any) -> Iterator[Any]:
        for state in machine["States"].values():
            if state["Type"] == "Task":
                yield state
            if "ItemProcessor" in state:
                yield from tasks(state["ItemProcessor"])

    actions = {"arn:aws:states:::lambda:invoke": "lambda:InvokeFunction"}
    return {(actions[task["Resource"]], task["Parameters"]["FunctionName"]) for task in tasks(json.loads(definition))}


def called_by_the_schedules(stack: Stack) -> set[Pair]:
    """What the deployed schedules start, and where they leave what they could not start."""
    client: EventBridgeSchedulerClient = stack.client("scheduler")
    group = stack.outputs["ScheduleGroupName"]
    targets = [
        client.get_schedule(GroupName=group, Name=schedule["Name"])["Target"]
        for schedule in client.list_schedules(GroupName=group)["Schedules"]
    ]
    assert len(targets) == 2
    return {("states:StartExecution", target["Arn"]) for target in targets} | {
        ("sqs:SendMessage", target["DeadLetterConfig"]["Arn"]) for target in targets
    }


def test_the_state_machines_role_holds_what_its_definition_calls_and_its_log_and_traces_need(stack: Stack) -> None:
    held = pairs([each for statements in deployed_policies(stack, "StateMachineRole").values() for each in statements])
    called = called_by_the_definition(stack)

    assert held == called | {pair for pair in pairs(template_statements("StateMachineRole")) if pair[1] == "*"}
    assert decisions(stack, "StateMachineRole", called) == {"allowed"}


def test_the_schedulers_role_holds_what_the_schedules_call(stack: Stack) -> None:
    held = pairs([each for statements in deployed_policies(stack, "SchedulerRole").values() for each in statements])
    called = called_by_the_schedules(stack)

    assert held == called
    assert decisions(stack, "SchedulerRole", called) == {"allowed"}


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_do_what_only_another_one_needs_or_what_nobody_does(stack: Stack, role: str) -> None:
    needed = {
        "StateMachineRole": called_by_the_definition(stack),
        "SchedulerRole": called_by_the_schedules(stack),
        "FunctionRole": {("dynamodb:Scan", arns(stack)["InventoryTable.Arn"])},
    }
    other_table = arns(stack)["InventoryTable.Arn"].replace("inventory-local", "inventory-prod")
    foreign = set().union(*(found for owner, found in needed.items() if owner != role))
    harmful = {
        ("dynamodb:Scan", other_table),
        ("dynamodb:DeleteTable", arns(stack)["InventoryTable.Arn"]),
        ("dynamodb:DeleteItem", arns(stack)["JobsTable.Arn"]),
        ("dynamodb:PutItem", arns(stack)["InventoryTable.Arn"]),
        ("iam:PassRole", "*"),
        ("lambda:InvokeFunction", "*"),
        ("sns:Publish", "*"),
    }

    assert decisions(stack, role, foreign | harmful) == {"implicitDeny"}


def test_every_row_that_is_not_enforced_names_its_page() -> None:
    assert all(row.page.startswith(DOCS) for row in WITHOUT.values() if isinstance(row, NotEnforced))
