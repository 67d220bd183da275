"""Every documented use of the customer key, evaluated against the key's policy and the role's policies together.

No engine does it: the embedded one asks nobody before it encrypts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.cloudformation import PSEUDO_PARAMETERS, properties, resources_of_type, statements
from tests.policies import Request, Statement, allows, may_use_key

ACCOUNT: Final = PSEUDO_PARAMETERS["AWS::AccountId"]
NAME: Final = "inventory-updater-test"
READING: Final = ("kms:Decrypt",)
DATA_KEYS: Final = (*READING, "kms:GenerateDataKey")
TABLES: Final = (*DATA_KEYS, "kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo")
LOG_LINES: Final = (*TABLES, "kms:GenerateDataKeyWithoutPlaintext")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of the key: by a role or by a service, in a context; in the context `wrong` it must be denied."""

    what: str
    by: str
    actions: Sequence[str]
    context: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def role(self) -> str | None:
        return self.by if self.by in resources_of_type("AWS::IAM::Role") else None

    def requests(self) -> list[Request]:
        service, own = (self.by, {}) if self.role is None else (None, {"kms:CallerAccount": ACCOUNT})
        return [Request(action, service, own | dict(self.context)) for action in self.actions]


def through(service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"}


def encrypting(name: str, value: str) -> dict[str, str]:
    return {f"kms:EncryptionContext:{name}": value}


def machine(name: str) -> dict[str, str]:
    return encrypting("aws:states:stateMachineArn", f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:{name}")


def schedule(group: str) -> dict[str, str]:
    arn = f"arn:aws:scheduler:eu-west-1:{ACCOUNT}:schedule/{group}/inventory-updater-due-test"
    return encrypting("aws:scheduler:schedule:arn", arn)


def lines_of(group: str) -> dict[str, str]:
    return encrypting("aws:logs:arn", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{group}")


OWN_ACCOUNT: Final = {"aws:SourceAccount": ACCOUNT}
OTHER_ACCOUNT: Final = {"aws:SourceAccount": "999999999999"}
OWN_LOGS: Final = encrypting("SourceArn", f"arn:aws:logs:eu-west-1:{ACCOUNT}:*")
OTHER_LOGS: Final = encrypting("SourceArn", "arn:aws:logs:eu-west-1:999999999999:*")

USES: Final = (
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
    Use("the function reads and writes the tables", "FunctionRole", TABLES, through("dynamodb"), through("s3")),
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
    Use("the function's variables are decrypted", "FunctionRole", READING, through("lambda"), through("ec2")),
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    Use("the function publishes to the topic", "FunctionRole", DATA_KEYS, through("sns"), through("ses")),
    Use("the intake reads and writes the tables", "IntakeRole", TABLES, through("dynamodb"), through("ec2")),
    Use("the intake's variables are decrypted", "IntakeRole", READING, through("lambda"), through("ec2")),
    Use("the intake publishes to the topic", "IntakeRole", DATA_KEYS, through("sns"), through("ses")),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    Use("the intake reads files and writes receipts", "IntakeRole", DATA_KEYS, through("s3"), through("ec2")),
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    Use("Lambda polls the queue, the intake sends to it", "IntakeRole", DATA_KEYS, through("sqs"), through("ec2")),
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
    Use("the bucket notifies the queue", "s3.amazonaws.com", DATA_KEYS, OWN_ACCOUNT, OTHER_ACCOUNT),
    # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
    Use("an execution is encrypted", "StateMachineRole", DATA_KEYS, machine(NAME), machine(f"{NAME}-2")),
    Use("lines of its log are encrypted", "StateMachineRole", ("kms:GenerateDataKey",), OWN_LOGS, OTHER_LOGS),
    Use("the delivery of logs decrypts them", "delivery.logs.amazonaws.com", READING, OWN_LOGS, OTHER_LOGS),
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/encryption-rest.html
    Use("the scheduler decrypts a schedule", "SchedulerRole", READING, schedule(NAME), schedule("other-test")),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    Use("a start that could not be delivered is kept", "SchedulerRole", DATA_KEYS, through("sqs"), through("sns")),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    Use("an alarm publishes to the topic", "cloudwatch.amazonaws.com", DATA_KEYS, OWN_ACCOUNT, OTHER_ACCOUNT),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    *(
        Use(f"lines of {group}", "logs.eu-west-1.amazonaws.com", LOG_LINES, lines_of(group), lines_of(f"{group}-2"))
        for group in (
            *(f"/aws/lambda/{NAME}", "/aws/lambda/inventory-updater-intake-test"),
            f"/aws/vendedlogs/states/{NAME}",
        )
    ),
)

PARAMETERS: Final = {"EnvironmentSuffix": "test", "CustomerKey": "create"}
KEY_POLICY: Final[list[Statement]] = properties("Key", **PARAMETERS)["KeyPolicy"]["Statement"]


def denied(uses: Sequence[Use], policy: Sequence[Statement]) -> list[tuple[str, str]]:
    return [
        (use.what, request.action)
        for use in uses
        for request in use.requests()
        if not may_use_key(policy, statements(use.role, **PARAMETERS) if use.role else [], ACCOUNT, request)
    ]


def test_every_documented_use_of_the_key_is_allowed() -> None:
    assert denied(USES, KEY_POLICY) == []


def test_no_use_of_the_key_is_allowed_in_another_context_or_without_any() -> None:
    wrong = [replace(use, context=context) for use in USES for context in (use.wrong, {})]
    asked = [(use.what, request.action) for use in wrong for request in use.requests()]

    assert denied(wrong, KEY_POLICY) == asked


def test_a_policy_that_lets_the_account_in_only_through_services_stops_every_job() -> None:
    # For services that use the key with a role's own credentials, where `kms:ViaService` is absent.
    own_credentials = ("TheStateMachineEncrypts", "TheSchedulerReads")
    older = [statement for statement in KEY_POLICY if not statement["Sid"].startswith(own_credentials)]

    assert len(older) == len(KEY_POLICY) - 3
    assert {what for what, _ in denied(USES, older)} == {
        use.what for use in USES if use.role and "kms:ViaService" not in use.context
    }


def test_the_account_gives_grants_only_for_the_services_that_keep_one() -> None:
    statement = next(each for each in KEY_POLICY if each["Sid"] == "ServicesAreGivenGrants")
    own = {"kms:CallerAccount": ACCOUNT, "kms:GrantIsForAWSResource": "true"}

    requests = {
        service: Request("kms:CreateGrant", context=own | through(service))
        for service in ("dynamodb", "lambda", "sns", "s3")
    }

    assert [service for service, asked in requests.items() if allows(statement, asked)] == ["dynamodb", "lambda"]
