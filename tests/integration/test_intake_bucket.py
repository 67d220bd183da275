"""The intake on the embedded engine's bucket, queue and tables: what the fake bucket of the unit tests leaves out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from inventory_updater.intake.bucket import FileVersion
from inventory_updater.intake.queue import Intake
from inventory_updater.intake_handler import IntakeSettings, make_intake
from tests.builders import NEXT_YEAR, USUAL_GUARDS, item_attributes
from tests.engines import make_client, session
from tests.fakes.doorstep import notification
from tests.shop import Shop

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

pytestmark = pytest.mark.parametrize("dynamodb_client", ["ministack"], indirect=True, scope="session")

BUCKET = "inventory-intake-of-a-test"
HEADER = "change_id,sku,location_id,kind,value,effective_at\n"
DEAR = f"{HEADER}c1,mug,DC1,price,5000,{NEXT_YEAR}\n"


class Door:
    """An intake with a bucket of its own before a shop."""

    def __init__(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        endpoint_url = shop.client.meta.endpoint_url
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        self.s3: S3Client = make_client("s3", endpoint_url)
        self.sqs: SQSClient = make_client("sqs", endpoint_url)
        region: Any = self.s3.meta.region_name
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.queue_url = self.sqs.create_queue(QueueName="intake-of-a-test")["QueueUrl"]
        names = (shop.tables.inventory, shop.tables.changes, 30, USUAL_GUARDS)
        settings = IntakeSettings("test", *names, "arn:aws:sns:x", BUCKET, self.queue_url, "stack")
        made = make_intake(settings, session())
        self.intake: Intake = replace(made, tell=lambda _receipt, _key: None)

    def put(self, name: str, content: str, **metadata: str) -> FileVersion:
        answer = self.s3.put_object(Bucket=BUCKET, Key=f"incoming/{name}", Body=content.encode(), Metadata=metadata)
        return FileVersion(f"incoming/{name}", answer["VersionId"])

    def take(self, *versions: FileVersion, seconds: float = 300.0) -> None:
        said = notification(*versions)
        records: Any = said["Records"]
        for record in records:
            record["s3"]["bucket"]["name"] = BUCKET
        message = {"messageId": "m1", "body": json.dumps(said), "attributes": {}}
        assert self.intake.take([message], lambda: seconds) == {"batchItemFailures": []}

    def receipt(self, version: FileVersion) -> Any:
        return json.loads(self.s3.get_object(Bucket=BUCKET, Key=version.receipt_key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def close(self) -> None:
        for version in self.s3.list_object_versions(Bucket=BUCKET).get("Versions", []):
            self.s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
        for marker in self.s3.list_object_versions(Bucket=BUCKET).get("DeleteMarkers", []):
            self.s3.delete_object(Bucket=BUCKET, Key=marker["Key"], VersionId=marker["VersionId"])
        self.s3.delete_bucket(Bucket=BUCKET)
        self.sqs.delete_queue(QueueUrl=self.queue_url)


@pytest.fixture
def door(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    shop.put(item_attributes(on_hand=40, unit_price=10))
    door = Door(shop, monkeypatch)
    yield door
    door.close()


def test_a_file_has_a_receipt_that_stays_and_one_that_is_gone_has_none(door: Door) -> None:
    content = f"{HEADER}c1,mug,DC1,adjustment,-1,{NEXT_YEAR}\nc2,mug,DC1,adjustment,x,{NEXT_YEAR}\n"
    refused, gone = door.put("ü x+y.csv", content), door.put("gone.csv", content)
    door.s3.delete_object(Bucket=BUCKET, Key=gone.key, VersionId=gone.version)

    door.take(refused, gone, FileVersion("incoming/never.csv", refused.version))
    first = door.receipt(refused)
    door.take(refused)

    assert (first["status"], first["rows"], first["refused"], first["not_written"]) == ("REFUSED", 2, 1, 1)
    assert door.receipt(refused) == first
    assert sorted(door.keys("receipts/")) == sorted([refused.receipt_key, refused.problems_key])


def test_what_is_held_is_taken_once_it_is_approved_and_only_its_marker_goes(door: Door, shop: Shop) -> None:
    held, other = door.put("day.csv", DEAR), door.put("day.csv.old", DEAR)
    door.take(held, other)
    assert (door.receipt(held)["status"], door.receipt(held)["preview"]["prices"]["up"]) == ("HELD", 1)
    assert sorted(door.keys("held/")) == sorted([held.held_key, other.held_key])
    source: Any = {"Bucket": BUCKET, "Key": held.key, "VersionId": held.version}
    answer = door.s3.copy_object(Bucket=BUCKET, Key="approved/day.csv", CopySource=source)
    approved = FileVersion("approved/day.csv", answer["VersionId"])

    door.take(approved)

    assert (door.receipt(approved)["status"], door.receipt(approved)["added"]) == ("ACCEPTED", 1)
    assert door.keys("held/") == [other.held_key]
    assert shop.records()["c1"]["source"] == f"approved/day.csv@{approved.version}"[-64:]


def test_a_file_in_parts_goes_on_from_what_is_kept(door: Door) -> None:
    lines = "".join(f"c{number},mug{number % 3 or ''},DC1,adjustment,-1,{NEXT_YEAR}\n" for number in range(30))
    version = door.put("day.csv", HEADER + lines, **{"accept-good": "true"})
    door.intake = replace(door.intake, files=replace(door.intake.files, lines_a_part=10))

    door.take(version, seconds=1.0)
    assert door.keys("working/")
    calls = 1
    while sent := door.sqs.receive_message(QueueUrl=door.queue_url).get("Messages"):
        door.sqs.delete_message(QueueUrl=door.queue_url, ReceiptHandle=sent[0]["ReceiptHandle"])
        message = {"messageId": "m2", "body": sent[0]["Body"], "attributes": {}}
        assert door.intake.take([message], lambda: 1.0) == {"batchItemFailures": []}
        calls += 1

    receipt = door.receipt(version)
    assert calls > 1
    assert (receipt["status"], receipt["rows"], receipt["added"], receipt["refused"]) == ("PARTLY_ACCEPTED", 30, 10, 20)
    assert not door.keys("working/")
