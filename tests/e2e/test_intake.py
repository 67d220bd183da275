"""The bucket and the queue of a deployed stack: files by the AWS CLI, messages, and what people do with `intake.py`."""

import csv
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.intake.text_rows import CHANGE_COLUMNS
from inventory_updater.stock.times import format_time
from tests.builders import item_attributes
from tests.e2e.test_trade import DATA, levels
from tests.engines import private_ministack
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

YESTERDAY: Final = format_time(datetime.now(UTC) - timedelta(days=1))

WITHOUT_GUARDS: Final = {
    **dict.fromkeys(("MaxPriceChangePercent", "MaxCountDifferencePercent", "MaxItemsOutOfStock"), "0"),
    **dict.fromkeys(("MaxItemsOfOnePrice", "MaxDaysAhead"), "0"),
}

Row = Mapping[str, str]
Receipt = Mapping[str, Any]


def sales(count: int, sku: str) -> list[Row]:
    """So many sales of one piece each."""
    place = {"sku": sku, "location_id": "DC1", "kind": "adjustment", "value": "-1", "effective_at": YESTERDAY}
    return [{"change_id": f"{sku}-{number}", **place} for number in range(count)]


def written(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CHANGE_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def copied(stack: Stack, path: Path, name: str, *options: str) -> Receipt:
    """Put a file into the bucket with the real AWS CLI, and return its receipt once it is there."""
    bucket = stack.outputs["IntakeBucketName"]
    subprocess.run(
        [sys.executable, "-P", "-m", "awscli", "s3", "cp", str(path), f"s3://{bucket}/incoming/{name}", *options],
        env=stack.engine.environment(),
        check=True,
        capture_output=True,
    )
    s3: S3Client = stack.client("s3")
    version = s3.head_object(Bucket=bucket, Key=f"incoming/{name}")["VersionId"]
    return read(stack, f"receipts/{name}.{version}.json")


def read(stack: Stack, key: str) -> Receipt:
    """A receipt, once it is there."""
    s3: S3Client = stack.client("s3")
    bucket = stack.outputs["IntakeBucketName"]
    wait_until(
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"], f"there is no {key}", pause_seconds=0.1
    )
    receipt: Receipt = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return receipt


def sent(stack: Stack, messages: Sequence[object]) -> list[Receipt]:
    """Send messages to the queue, and return their receipts once all of them are there."""
    sqs: SQSClient = stack.client("sqs")
    ids = []
    for numbered in batched(enumerate(messages), 10):
        answer = sqs.send_message_batch(
            QueueUrl=stack.outputs["IntakeQueueUrl"],
            Entries=[
                {"Id": str(number), "MessageBody": message if isinstance(message, str) else json.dumps(message)}
                for number, message in numbered
            ],
        )
        ids += [each["MessageId"] for each in answer["Successful"]]
    return [read(stack, f"receipts/messages/{message_id}.json") for message_id in ids]


def by_tens(rows: Sequence[Row], seed: int) -> list[object]:
    """Messages of ten changes each, every one twice, in random order."""
    messages = [{"changes": [dict(row) for row in ten]} for ten in batched(rows, 10)] * 2
    random.Random(seed).shuffle(messages)
    return list(messages)


# Real trade


def moved_to_now(path: Path) -> list[Row]:
    """The rows of a file of long ago, moved by whole days, so that the last of them took effect yesterday.

    What is older than `ChangeRetentionDays` the queue does not take, and the bucket only once it is approved.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    last = max(datetime.fromisoformat(row["effective_at"]) for row in rows)
    days = (datetime.now(UTC) - last).days
    return [
        row | {"effective_at": format_time(datetime.fromisoformat(row["effective_at"]) + timedelta(days=days))}
        for row in rows
    ]


@pytest.fixture
def fresh_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with private_ministack(tmp_path_factory.mktemp("server")) as server:
        yield deploy_stack(server, "inventory-updater-test", **WITHOUT_GUARDS)


def closing_stock(stack: Stack, trade: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """What a job comes to, and what it should."""
    stack.script("job", "run", "--json")
    expected = (trade / "closing_stock.csv").read_text(encoding="utf-8")
    only_exported = ("reserved", "safety_stock", "reorder_point", "currency", "description")
    return (
        levels(stack.script("stock", "export").output, without=only_exported),
        levels(expected, without=("applied", "rejected")),
    )


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the Online Retail files are not beside this checkout")
def test_real_trade_in_the_bucket_leads_to_its_closing_stock_once(fresh_stack: Stack) -> None:
    trade = DATA / "week-2011-09-19"
    file = trade / "changes.csv"
    rows = len(file.read_text(encoding="utf-8").splitlines()) - 1
    assert fresh_stack.script("stock", "load", str(trade / "opening_stock.csv")).status == 0

    held = copied(fresh_stack, file, "changes.csv")
    first = fresh_stack.script("intake", "held", "approve", "changes.csv", "--wait", "--json").answer

    assert (held["status"], held["rows"], held["held"]) == ("HELD", rows, rows)
    assert {each["code"] for each in held["problems"]} == {"TOO_OLD"}
    assert (first["status"], first["rows"], first["added"]) == ("ACCEPTED", rows, rows)
    closing, expected = closing_stock(fresh_stack, trade)
    assert closing == expected

    again = copied(fresh_stack, file, "changes.csv")

    assert (again["status"], again["added"], again["known"]) == ("ACCEPTED", 0, rows)
    assert closing_stock(fresh_stack, trade)[0] == expected


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 3,504 messages, and as many receipts
@pytest.mark.skipif(not DATA.is_dir(), reason="the Online Retail files are not beside this checkout")
def test_real_trade_by_the_queue_leads_to_its_closing_stock_in_whatever_order_and_how_often_it_comes(
    fresh_stack: Stack,
) -> None:
    trade = DATA / "week-2011-09-19"
    rows = moved_to_now(trade / "changes.csv")
    assert fresh_stack.script("stock", "load", str(trade / "opening_stock.csv")).status == 0

    receipts = sent(fresh_stack, by_tens(rows, seed=1))

    assert Counter(each["status"] for each in receipts) == {"ACCEPTED": len(receipts)}
    assert sum(each["added"] for each in receipts) == len(rows)
    assert sum(each["known"] for each in receipts) == len(rows)
    closing, expected = closing_stock(fresh_stack, trade)
    assert closing == expected


# Files


def test_a_file_is_scheduled_as_it_arrives_and_applied_once(stack: Stack, tmp_path: Path) -> None:
    stack.put(item_attributes(100, sku="MUG"))
    file = written(tmp_path / "a.csv", [{**row, "value": "-1,5"} for row in sales(3, "MUG")])

    first = copied(stack, file, "acme/night 1+ü.csv", "--metadata", "decimal-comma=true")
    stack.run_job()
    again = copied(stack, file, "acme/night 1+ü.csv", "--metadata", "decimal-comma=true")
    stack.run_job()

    assert (first["status"], first["added"], first["known"]) == ("ACCEPTED", 3, 0)
    assert (again["status"], again["added"], again["known_by_status"]) == ("ACCEPTED", 0, {"APPLIED": 3})
    assert str(stack.items()["MUG"]["on_hand"]) == "95.5"
    record = stack.records()["MUG", "MUG-0"]
    assert str(record["source"]).endswith(f"acme/night 1+ü.csv@{first['version']}")
    assert str(record["actor"]).startswith("principal:")


def test_of_a_bad_file_nothing_is_taken_unless_what_is_good_is_wanted(stack: Stack, tmp_path: Path) -> None:
    stack.put(item_attributes(100, sku="CUP"))
    file = written(tmp_path / "a.csv", [*sales(3, "CUP"), *sales(1, "UNKNOWN")])

    refused = stack.script("intake", "put", str(file), "--wait", "--json")
    partly = stack.script("intake", "put", str(file), "--wait", "--json", "--accept-good")

    assert (refused.status, refused.answer["status"], refused.answer["added"]) == (2, "REFUSED", 0)
    assert [(each["line"], each["code"]) for each in refused.answer["problems"]] == [(5, "UNKNOWN_ITEM")]
    assert (partly.status, partly.answer["status"], partly.answer["added"]) == (4, "PARTLY_ACCEPTED", 3)
    s3: S3Client = stack.client("s3")
    rejects = s3.get_object(Bucket=stack.outputs["IntakeBucketName"], Key=partly.answer["rejects_key"])["Body"].read()
    assert [row["change_id"] for row in csv.DictReader(rejects.decode().splitlines())] == ["UNKNOWN-0"]


def test_a_file_that_is_held_is_taken_once_it_is_approved(stack: Stack, tmp_path: Path) -> None:
    stack.put(item_attributes(100, sku="POT", unit_price="17.03"))
    price = {"change_id": "POT-1", "sku": "POT", "location_id": "DC1", "kind": "price", "value": "1703"}
    file = written(tmp_path / "prices.csv", [price | {"effective_at": YESTERDAY}])

    held = stack.script("intake", "put", str(file), "--wait", "--json")
    listed = stack.script("intake", "held", "list", "--json").answer["held"]
    shown = stack.script("intake", "held", "show", "prices.csv").output
    approved = stack.script("intake", "held", "approve", "prices.csv", "--wait", "--json")

    assert (held.status, held.answer["status"], held.answer["held"]) == (5, "HELD", 1)
    assert [(each["key"], each["version"]) for each in listed] == [("incoming/prices.csv", held.answer["version"])]
    assert "1703" in shown
    assert (approved.status, approved.answer["key"], approved.answer["added"]) == (0, "approved/prices.csv", 1)
    wait_until(lambda: stack.script("intake", "held", "list", "--json").answer["held"] == [], "the file is still held")


# Messages


def test_messages_in_any_order_and_twice_each_are_scheduled_once(stack: Stack) -> None:
    stack.put(item_attributes(100, sku="BOWL"))

    receipts = sent(stack, by_tens(sales(40, "BOWL"), seed=2))
    stack.run_job()

    assert Counter(each["status"] for each in receipts) == {"ACCEPTED": 8}
    assert (sum(each["added"] for each in receipts), sum(each["known"] for each in receipts)) == (40, 40)
    assert stack.items()["BOWL"]["on_hand"] == 60


def test_a_message_that_cannot_be_read_has_a_receipt(stack: Stack) -> None:
    receipts = sent(stack, ["{", {"changes": 3}, {"changes": [{"sku": "BOWL"}]}])

    assert [each["status"] for each in receipts] == ["REFUSED"] * 3
    said = stack.script("intake", "status", "--message", receipts[2]["message_id"]).output
    assert "MISSING" in said or "change_id" in said


@pytest.mark.slow
def test_a_message_that_fails_again_and_again_is_dead_until_it_is_redriven(stack: Stack) -> None:
    stack.put(item_attributes(100, sku="LAMP"))
    function: LambdaClient = stack.client("lambda")
    sqs: SQSClient = stack.client("sqs")
    name, queue = stack.outputs["IntakeFunctionName"], stack.outputs["IntakeQueueUrl"]
    environment = function.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})

    function.update_function_configuration(
        FunctionName=name, Environment={"Variables": environment | {"CHANGES_TABLE": "nowhere"}}
    )
    message = sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"changes": sales(1, "LAMP")}))["MessageId"]
    wait_until(lambda: _waiting_in(sqs, stack.outputs["IntakeDeadLetterQueueUrl"]), "nothing is dead")
    function.update_function_configuration(FunctionName=name, Environment={"Variables": environment})

    listed = stack.script("intake", "dead", "list", "--json").answer["messages"]
    shown = stack.script("intake", "dead", "show", message).output
    (redriven,) = stack.script("intake", "dead", "redrive", message, "--json").answer["redriven"]
    receipt = read(stack, f"receipts/messages/{redriven['sent_as']}.json")

    assert [(each["message_id"], each["about"]) for each in listed] == [(message, "1 change")]
    assert "LAMP-0" in shown
    assert (receipt["status"], receipt["added"]) == ("ACCEPTED", 1)
    assert stack.script("intake", "dead", "list", "--json").answer["messages"] == []


def _waiting_in(sqs: "SQSClient", url: str) -> bool:
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return answer["Attributes"]["ApproximateNumberOfMessages"] != "0"
