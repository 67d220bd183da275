"""Every documented use of the customer key, evaluated against the key's policy and the role's policies together.

No engine does it: the embedded one asks nobody before it encrypts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.cloudformation import PSEUDO_PARAMETERS, load_template, parameter_values, resolve
from tests.policies import Request, Statement, allows, may_use_key

ACCOUNT: Final = PSEUDO_PARAMETERS["AWS::AccountId"]
MACHINE: Final = f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:inventory-updater-test"
SCHEDULE: Final = f"arn:aws:scheduler:eu-west-1:{ACCOUNT}:schedule/inventory-updater-test/inventory-updater-due-test"
LOGS: Final = f"arn:aws:logs:eu-west-1:{ACCOUNT}"
DATA_KEYS: Final = ("kms:Decrypt", "kms:GenerateDataKey")
TABLES: Final = (*DATA_KEYS, "kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of the key: by a role or by a service, through a service or not, in an encryption context.

    ``page`` is the page of AWS's documentation that says so; ``wrong`` are contexts in which it must be denied.
    """

    what: str
    page: str
    actions: Sequence[str]
    role: str | None = None
    service: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)

    def requests(self) -> list[Request]:
        own = {} if self.role is None else {"kms:CallerAccount": ACCOUNT}
        return [Request(action, self.service, own | dict(self.context)) for action in self.actions]


def through(service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"}


def encrypting(name: str, value: str) -> dict[str, str]:
    return {f"kms:EncryptionContext:{name}": value}


USES: Final = (
    Use(
        "the function reads and writes the tables",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html",
        TABLES,
        role="FunctionRole",
        context=through("dynamodb"),
        wrong=through("s3"),
    ),
    Use(
        "the function's variables are decrypted when it starts",
        "https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html",
        ("kms:Decrypt",),
        role="FunctionRole",
        context=through("lambda"),
        wrong=through("ec2"),
    ),
    Use(
        "the function publishes to the topic",
        "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
        DATA_KEYS,
        role="FunctionRole",
        context=through("sns"),
        wrong=through("ses"),
    ),
    Use(
        "the state machine encrypts its executions, with its role's own credentials",
        "https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html",
        DATA_KEYS,
        role="StateMachineRole",
        context=encrypting("aws:states:stateMachineArn", MACHINE),
        wrong=encrypting("aws:states:stateMachineArn", MACHINE + "-2"),
    ),
    Use(
        "the state machine encrypts what is delivered to its log, with its role's own credentials",
        "https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html",
        ("kms:GenerateDataKey",),
        role="StateMachineRole",
        context=encrypting("SourceArn", f"{LOGS}:*"),
        wrong=encrypting("SourceArn", "arn:aws:logs:eu-west-1:999999999999:*"),
    ),
    Use(
        "the delivery of logs decrypts it",
        "https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html",
        ("kms:Decrypt",),
        service="delivery.logs.amazonaws.com",
        context=encrypting("SourceArn", f"{LOGS}:*"),
        wrong=encrypting("SourceArn", "arn:aws:logs:eu-west-1:999999999999:*"),
    ),
    Use(
        "the scheduler decrypts a schedule, with its role's own credentials",
        "https://docs.aws.amazon.com/scheduler/latest/UserGuide/encryption-rest.html",
        ("kms:Decrypt",),
        role="SchedulerRole",
        context=encrypting("aws:scheduler:schedule:arn", SCHEDULE),
        wrong=encrypting("aws:scheduler:schedule:arn", SCHEDULE.replace("schedule/inventory", "schedule/other")),
    ),
    Use(
        "the scheduler sends a start that it could not deliver to the queue",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
        DATA_KEYS,
        role="SchedulerRole",
        context=through("sqs"),
        wrong=through("sns"),
    ),
    Use(
        "an alarm publishes to the topic",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
        DATA_KEYS,
        service="cloudwatch.amazonaws.com",
        context={"aws:SourceAccount": ACCOUNT},
        wrong={"aws:SourceAccount": "999999999999"},
    ),
    *(
        Use(
            f"log lines of {group} are encrypted",
            "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
            (*TABLES, "kms:GenerateDataKeyWithoutPlaintext"),
            service="logs.eu-west-1.amazonaws.com",
            context=encrypting("aws:logs:arn", f"{LOGS}:log-group:{group}"),
            wrong=encrypting("aws:logs:arn", f"{LOGS}:log-group:{group}-2"),
        )
        for group in ("/aws/lambda/inventory-updater-test", "/aws/vendedlogs/states/inventory-updater-test")
    ),
)

OWN_CREDENTIALS: Final = {
    "TheStateMachineEncryptsItsExecutions",
    "TheStateMachineEncryptsItsLog",
    "TheSchedulerReadsItsSchedules",
}
"""The statements for services that use the key with a role's own credentials, where ``kms:ViaService`` is absent."""


def resource(logical_id: str) -> Any:
    parameters = parameter_values(EnvironmentSuffix="test", CustomerKey="create")
    return resolve(load_template()["Resources"][logical_id]["Properties"], parameters)


def key_policy() -> list[Statement]:
    statements: list[Statement] = resource("Key")["KeyPolicy"]["Statement"]
    return statements


def policies_of(role: str | None) -> list[Statement]:
    """The statements of a role that are about the key."""
    if role is None:
        return []
    return [
        statement
        for policy in resource(role)["Policies"]
        if policy["PolicyName"] == "UseTheCustomerKey"
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def denied(uses: Sequence[Use], policy: Sequence[Statement]) -> list[tuple[str, str]]:
    return [
        (use.what, request.action)
        for use in uses
        for request in use.requests()
        if not may_use_key(policy, policies_of(use.role), ACCOUNT, request)
    ]


def test_every_documented_use_of_the_key_is_allowed() -> None:
    assert denied(USES, key_policy()) == []


def test_no_use_of_the_key_is_allowed_in_another_context_or_without_any() -> None:
    wrong = [replace(use, context=context) for use in USES for context in (use.wrong, {})]
    asked = [(use.what, request.action) for use in wrong for request in use.requests()]

    assert denied(wrong, key_policy()) == asked


def test_a_policy_that_lets_the_account_in_only_through_services_stops_every_job() -> None:
    older = [statement for statement in key_policy() if statement["Sid"] not in OWN_CREDENTIALS]
    stopped = [use for use in USES if "own credentials" in use.what]

    assert len(older) == len(key_policy()) - len(OWN_CREDENTIALS)
    assert {what for what, _ in denied(USES, older)} == {use.what for use in stopped}


def test_the_account_gives_grants_only_for_the_services_that_keep_one() -> None:
    statement = next(each for each in key_policy() if each["Sid"] == "ServicesAreGivenGrants")
    own = {"kms:CallerAccount": ACCOUNT, "kms:GrantIsForAWSResource": "true"}

    found = {
        service: allows(statement, Request("kms:CreateGrant", context=own | through(service)))
        for service in ("dynamodb", "lambda", "sns", "s3")
    }

    assert found == {"dynamodb": True, "lambda": True, "sns": False, "s3": False}
