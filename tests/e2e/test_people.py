"""The documents in policies/: every verb of a script works under the one that is for it, and not under the one below.

The engine enforces the users' policies. What it asks for otherwise than AWS is granted to all of them, and listed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from cli.engine import CHECKOUT, REGION, Engine
from inventory_updater.stock.items import ItemKey
from tests.builders import NEXT_YEAR, change, record_attributes, stocked
from tests.engines import Script, make_client, private_ministack, run_script
from tests.shop import put_items
from tests.stacks import Stack, checkout_for_iam, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import CopySourceTypeDef
    from types_boto3_sqs.client import SQSClient
    from types_boto3_stepfunctions.client import SFNClient

NAME: Final = "inventory-updater-local"

PEOPLE: Final[Mapping[str, tuple[str, ...]]] = {
    "nobody": (),
    "supplier": ("supplier",),
    "approver": ("approver",),
    "calling-service": ("calling-service",),
    "viewer": ("viewer",),
    "stock-controller": ("viewer", "stock-controller"),
    "operator": ("viewer", "operator"),
    "deployer": ("deployer", "deployer-intake"),
    "buyer": ("viewer", "supplier"),
    "decider": ("viewer", "approver"),
}
"""Who has which documents, each below the next."""

ASKED_FOR_BY_THE_ENGINE: Final[Mapping[str, tuple[str, ...]]] = {
    # The engine asks for the operation's own name: docs/engines.md, "With IAM enforced".
    "dynamodb:PartiQLUpdate": ("dynamodb:BatchExecuteStatement",),
    # Under the condition cloudwatch:namespace, which the engine does not know, nothing is granted.
    "cloudwatch:PutMetricData": ("cloudwatch:PutMetricData",),
    # It takes every schedule for one of the group `default`.
    "scheduler:GetSchedule": ("scheduler:GetSchedule",),
    "scheduler:UpdateSchedule": ("scheduler:UpdateSchedule",),
    # On AWS a batch needs what one of it needs.
    "sqs:ChangeMessageVisibility": ("sqs:ChangeMessageVisibilityBatch",),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that enforces IAM."""
    with private_ministack(tmp_path_factory.mktemp("server"), {"AUTH": "true"}) as engine:
        yield engine


def what_only_the_engine_asks_for(text: str) -> str:
    """A policy beside one that grants what AWS documents; what it grants may be nothing that anybody uses."""
    more = [each for action, asked in ASKED_FOR_BY_THE_ENGINE.items() if action in text for each in asked]
    statement = {"Effect": "Allow", "Action": more or ["sts:GetCallerIdentity"], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout_for_iam(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def stack(server: Engine, checkout: Path) -> Stack:
    # Rare enough not to fire while a test looks.
    on = {"DueScheduleState": "ENABLED", "DueScheduleExpression": "rate(12 hours)", "DueSilenceMinutes": "1440"}
    deployed = deploy_stack(server, NAME, checkout, **on)
    iam: Any = deployed.client("iam")
    document = what_only_the_engine_asks_for(" ".join(ASKED_FOR_BY_THE_ENGINE))
    for role in (f"inventory-updater-function-local-{REGION}", f"inventory-updater-intake-local-{REGION}"):
        iam.put_role_policy(RoleName=role, PolicyName="OnThisEngine", PolicyDocument=document)
    return deployed


@pytest.fixture(scope="module")
def keys(stack: Stack) -> Mapping[str, Mapping[str, str]]:
    """The environment in which a script is run by each of the people."""
    iam: Any = stack.client("iam")
    account = stack.outputs["StateMachineArn"].split(":")[4]
    environments = {}
    for person, documents in PEOPLE.items():
        iam.create_user(UserName=person)
        for document in documents:
            text = (CHECKOUT / "policies" / f"{document}.json").read_text(encoding="utf-8")
            for word, value in {"SUFFIX": "local", "REGION": REGION, "ACCOUNT": account}.items():
                text = text.replace(word, value)
            for name, policy in ((document, text), (f"{document}-here", what_only_the_engine_asks_for(text))):
                iam.put_user_policy(UserName=person, PolicyName=name, PolicyDocument=policy)
        key = iam.create_access_key(UserName=person)["AccessKey"]
        environments[person] = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
    return environments


Run = Callable[[str, str], Script]
"""A command by one of the people."""


@pytest.fixture
def by(stack: Stack, keys: Mapping[str, Mapping[str, str]], checkout: Path, tmp_path: Path) -> Run:
    (tmp_path / "changes.csv").write_text(
        f"change_id,sku,location_id,kind,value,effective_at,reason,reference\nc2,MUG,DC1,adjustment,2,{NEXT_YEAR},,\n",
        encoding="utf-8",
    )
    (tmp_path / "stock.csv").write_text(
        "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description\n"
        "CUP,DC1,4,,,,,,\n",
        encoding="utf-8",
    )

    def run(person: str, command: str) -> Script:
        words = command.replace("changes.csv", str(tmp_path / "changes.csv")).replace(
            "stock.csv", str(tmp_path / "stock.csv")
        )
        script, *arguments = words.split()
        given = keys[person]
        return run_script(stack.engine, script, "--stack", NAME, *arguments, checkout=checkout, environment=given)

    return run


def put_a_job_that_rejected(stack: Stack) -> str:
    """A job that rejected two changes, with one left for later."""
    stack.put(
        stocked(change("c1", "adjustment", -3, "2099-01-01T00:00:00.000000Z"), sku="MUG"),
        stocked(change("oversold", "adjustment", -3), on_hand=1, sku="POT"),
        stocked(change("junk", "adjustment", -3), on_hand=1, sku="PAN"),
        stocked(sku="JUG", unit_price=17),
    )
    sold = record_attributes(ItemKey("JUG", "DC1"), change("sold"), source="till")
    put_items(stack.client("dynamodb"), stack.tables.changes, [sold])
    return stack.run_job().job_id


def put_held_files_and_a_dead_letter(stack: Stack) -> None:
    price = {"change_id": "p1", "sku": "JUG", "location_id": "DC1", "kind": "price", "value": 1700}
    bucket, s3 = stack.outputs["IntakeBucketName"], stack.client("s3")
    for name in ("held.csv", "typo.csv"):
        s3.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=json.dumps({**price, "effective_at": NEXT_YEAR}))
    held = {"Bucket": bucket, "Prefix": "held/"}
    wait_until(lambda: s3.list_objects_v2(**held)["KeyCount"] == 2, "the files are not held")
    url = stack.outputs["IntakeDeadLetterQueueUrl"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"changes": []}))


@pytest.mark.slow
def test_every_verb_works_under_its_document_and_is_denied_under_the_one_below(stack: Stack, by: Run) -> None:
    job = put_a_job_that_rejected(stack)
    put_held_files_and_a_dead_letter(stack)
    verbs = {
        "viewer": (
            "stock show MUG",
            "stock show MUG DC1",
            "stock export -",
            "stock totals --low",
            "stock history MUG",
            "changes status changes.csv",
            "changes list",
            "changes list --due",
            "changes list --rejected",
            "changes list --sku MUG",
            "changes show c1 MUG DC1",
            "job list",
            f"job show {job}",
            "deploy show --environment local",
            "intake status",
            "intake show held.csv",
            "intake held list",
        ),
        "stock-controller": (
            "changes schedule changes.csv",
            "changes cancel c1",
            "changes cancel --file changes.csv",
            "changes undo --source till",
            "changes dismiss junk",
            f"changes retry {job}",
            "stock variance stock.csv",
            "stock load stock.csv",
            "stock load --replace stock.csv",
        ),
        "operator": (
            *("job run", "job run --scope all", "job pause", "job resume"),
            *("intake dead list", "intake dead redrive --all"),
        ),
        "deployer": (
            "deploy --environment local --preview",
            "deploy --environment local --yes",
        ),
        "buyer": ("intake put changes.csv --wait",),
        "decider": ("intake held approve held.csv --wait", "intake held drop typo.csv"),
    }
    people = list(PEOPLE)
    denied: dict[str, str] = {}
    failed: dict[str, str] = {}
    for person, commands in verbs.items():
        below = people[people.index(person) - 1]
        for command in commands:
            before = stack.items()
            refused = by(below, command)
            if (refused.status, stack.items()) != (2, before) or "these credentials may not" not in refused.errors:
                denied[f"{below}: {command}"] = refused.errors or refused.output
            done = by(person, command)
            if done.status not in (0, 4):
                failed[f"{person}: {command}"] = done.errors
    assert (denied, failed) == ({}, {})


def test_a_job_is_stopped_by_an_operator_and_not_by_a_stock_controller(stack: Stack, by: Run) -> None:
    stack.jobs.take_lease("somebody-else", 600)
    client: SFNClient = stack.client("stepfunctions")
    machine = stack.outputs["StateMachineArn"]
    client.start_execution(stateMachineArn=machine, name="waiting", input=json.dumps({"scope": "all"}))
    try:
        refused = by("stock-controller", "job stop waiting")
        running = client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        stopped = by("operator", "job stop waiting")
    finally:
        stack.jobs.free_lease("somebody-else")

    assert (2, True) == (refused.status, "may not do UpdateItem" in refused.errors)
    assert [each["name"] for each in running] == ["waiting"]
    assert (0, "job waiting was stopped before it began\n") == (stopped.status, stopped.output)


def test_bucket_and_queues_are_open_to_each_as_far_as_the_documents_say(
    stack: Stack, keys: Mapping[str, Mapping[str, str]]
) -> None:
    root: S3Client = stack.client("s3")
    bucket, key = stack.outputs["IntakeBucketName"], "incoming/acme/week.csv"
    version = root.put_object(Bucket=bucket, Key=key, Body=b"")["VersionId"]
    for name in ("receipts/acme/week.csv.1.json", "receipts/messages/1.json", "held/acme/week.csv.1.json"):
        root.put_object(Bucket=bucket, Key=name, Body=b"{}")
    dead = stack.outputs["IntakeDeadLetterQueueUrl"]
    source: CopySourceTypeDef = {"Bucket": bucket, "Key": key, "VersionId": version}
    deeds: dict[str, Callable[[S3Client, SQSClient], object]] = {
        "put a file": lambda s3, _: s3.put_object(Bucket=bucket, Key="incoming/acme/next.csv", Body=b""),
        "approve": lambda s3, _: s3.copy_object(Bucket=bucket, Key="approved/acme/week.csv", CopySource=source),
        "turn down": lambda s3, _: s3.delete_object(Bucket=bucket, Key="held/acme/typo.csv.1.json"),
        "read a file": lambda s3, _: s3.get_object(Bucket=bucket, Key=key),
        "delete a file": lambda s3, _: s3.delete_object(Bucket=bucket, Key=key),
        "delete a receipt": lambda s3, _: s3.delete_object(Bucket=bucket, Key="receipts/acme/gone.csv.1.json"),
        "forge what is held": lambda s3, _: s3.put_object(Bucket=bucket, Key="held/acme/forged.json", Body=b""),
        "forge a receipt": lambda s3, _: s3.put_object(Bucket=bucket, Key="receipts/acme/forged.json", Body=b""),
        "read a receipt": lambda s3, _: s3.get_object(Bucket=bucket, Key="receipts/acme/week.csv.1.json"),
        "read a message's receipt": lambda s3, _: s3.get_object(Bucket=bucket, Key="receipts/messages/1.json"),
        "find receipts": lambda s3, _: s3.list_objects_v2(Bucket=bucket, Prefix="receipts/acme/"),
        "read why one is held": lambda s3, _: s3.get_object(Bucket=bucket, Key="held/acme/week.csv.1.json"),
        "find what is held": lambda s3, _: s3.list_objects_v2(Bucket=bucket, Prefix="held/"),
        "find versions of a file": lambda s3, _: s3.list_object_versions(Bucket=bucket, Prefix=key),
        "list the bucket": lambda s3, _: s3.list_objects_v2(Bucket=bucket),
        "find all versions": lambda s3, _: s3.list_object_versions(Bucket=bucket),
        "send": lambda _, sqs: sqs.send_message(
            QueueUrl=stack.outputs["IntakeQueueUrl"], MessageBody='{"changes": []}'
        ),
        "receive": lambda _, sqs: sqs.receive_message(QueueUrl=stack.outputs["IntakeQueueUrl"]),
        "count dead letters": lambda _, sqs: sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"]),
        "take dead letters": lambda _, sqs: sqs.receive_message(QueueUrl=dead),
    }
    receipts = {"read a receipt", "read a message's receipt", "find receipts"}
    held = {"read why one is held", "find what is held", "find versions of a file"}

    def may(person: str) -> set[str]:
        key, secret = keys[person].values()
        s3: S3Client = make_client("s3", stack.engine.endpoint_url, key, secret)
        sqs: SQSClient = make_client("sqs", stack.engine.endpoint_url, key, secret)
        return {name for name, deed in deeds.items() if is_allowed(partial(deed, s3, sqs))}

    allowed = {
        "nobody": set(),
        "supplier": {"put a file", *receipts},
        "approver": {"read a file", "approve", "turn down", *receipts, *held},
        "calling-service": {"send", "read a message's receipt"},
        "viewer": {*receipts, *held, "count dead letters"},
        "stock-controller": {*receipts, *held, "count dead letters"},
        "operator": {*receipts, *held, "count dead letters", "take dead letters", "send"},
    }
    assert {person: may(person) for person in allowed} == allowed


def is_allowed(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return False
    return True


def test_a_service_calls_the_function_under_its_document_and_nobody_without_one(
    stack: Stack, keys: Mapping[str, Mapping[str, str]]
) -> None:
    def call(person: str, **event: object) -> Any:
        key, secret = keys[person].values()
        functions: LambdaClient = make_client("lambda", stack.engine.endpoint_url, key, secret)
        answer = functions.invoke(FunctionName=stack.outputs["FunctionName"], Payload=json.dumps(event))
        said = answer["Payload"].read().decode()
        assert not answer.get("FunctionError"), said
        return json.loads(said)

    stack.put(stocked(sku="JUG", on_hand=40))
    name = {"change_id": "called", "sku": "JUG", "location_id": "DC1"}
    wanted = {**name, "kind": "adjustment", "value": -3, "effective_at": NEXT_YEAR}
    with pytest.raises(ClientError, match="AccessDenied"):
        call("nobody", action="schedule", changes=[wanted])

    lost = {**wanted, "sku": "JUGG"}
    assert call("calling-service", action="schedule", changes=[lost])["problems"][0]["code"] == "UNKNOWN_ITEM"
    assert call("calling-service", action="schedule", changes=[wanted])["status"] == "ACCEPTED"
    [told] = call("calling-service", action="status", changes=[name])["changes"]
    assert told["status"] == "PENDING"
    assert told["actor"] == f"function:{stack.outputs['FunctionName']}"
    assert call("calling-service", action="show", sku="JUG", location_id="DC1")["item"]["on_hand"] == "40"
    stack.client("dynamodb").delete_item(
        TableName=stack.outputs["InventoryTableName"], Key={"sku": {"S": "JUG"}, "location_id": {"S": "DC1"}}
    )
    assert call("calling-service", action="cancel", changes=[name])["cancelled"] == 1
