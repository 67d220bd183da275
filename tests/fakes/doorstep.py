"""Everything that the intake works with, in memory: the tables, the bucket, and the queue of both sorts of messages."""

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from inventory_updater.intake.bucket import Bucket, FileVersion
from inventory_updater.intake.bucket_files import LINES_A_PART, FileDoor
from inventory_updater.intake.queue import Intake
from inventory_updater.intake.stores import Stores
from inventory_updater.stock.guards import Guards
from tests.builders import USUAL_GUARDS
from tests.fakes.s3 import FakeBucket
from tests.fakes.warehouse import Warehouse
from tests.schemas import not_said
from tests.simulation.faults import Dies, ProcessDied

BUCKET = "inventory-intake-test"
QUEUE_URL = "https://sqs.example/inventory-updater-intake-test"
MOST_RECEIVES = 5


class Doorstep:
    """A warehouse with a bucket and a queue before it. What is put into the bucket is in the queue."""

    def __init__(self, warehouse: Warehouse, lines_a_part: int = LINES_A_PART, guards: Guards = USUAL_GUARDS) -> None:
        self.warehouse = warehouse
        self.lines_a_part = lines_a_part
        self.guards = guards
        self.bucket = FakeBucket(BUCKET, warehouse.clock)
        self.queue: dict[str, str] = {}
        """The messages by id."""
        self.told: list[Mapping[str, Any]] = []
        self.call_seconds = 300
        self.seconds_between_looks = 0
        """How much later it is each time that somebody asks for the time that is left."""
        self._ids = itertools.count(1)
        self._requests = itertools.count(1)
        self._dies_at = 0
        self._is_done = False
        self.is_dead = False
        self.client: Any = self  # as the client of SQS

    def intake(self) -> Intake:
        """The function in a new process."""
        services = self.warehouse.services
        stores = Stores(services.dynamodb, services.inventory, services.changes, self.guards, services.now)
        bucket = Bucket(self.bucket.client, BUCKET)
        door = FileDoor(bucket, stores, self.lines_a_part)
        return Intake(bucket, stores, door, self.client, QUEUE_URL, lambda receipt, _key: self.told.append(receipt))

    # What others do

    def put(self, name: str, content: bytes | str, folder: str = "incoming/", **metadata: str) -> FileVersion:
        """Put a file; the queue has a notification then. The names of metadata have hyphens."""
        encoded = content.encode() if isinstance(content, str) else content
        said = {each.replace("_", "-"): value for each, value in metadata.items()}
        version = FileVersion(folder + name, self.bucket.store(folder + name, encoded, said))
        self.send(notification(version))
        return version

    def approve(self, held: FileVersion) -> FileVersion:
        stored = self.bucket.objects[held.key][held.version]
        version = FileVersion(
            f"approved/{held.name}", self.bucket.store(f"approved/{held.name}", stored.content, stored.metadata)
        )
        self.send(notification(version))
        return version

    def send(self, said: object) -> str:
        """Send a message, and return its id."""
        message_id = f"message-{next(self._ids)}"
        self.queue[message_id] = said if isinstance(said, str) else json.dumps(said)
        return message_id

    # What the queue does

    def deliver(self) -> list[str]:
        """Hand over what is in the queue, and return what has to come again."""
        batch = [
            {"messageId": message_id, "body": body, "attributes": {"SenderId": "AROAEXAMPLE:shop"}}
            for message_id, body in list(self.queue.items())[:10]
        ]
        left = itertools.count(self.call_seconds, -self.seconds_between_looks)
        answer: Any = self.intake().take(batch, lambda: float(next(left)))
        failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        for each in batch:
            if each["messageId"] not in failed:
                del self.queue[str(each["messageId"])]
        return failed

    def deliver_all(self) -> int:
        """Hand over until the queue is empty; how many calls that took."""
        for calls in itertools.count(1):
            failed = self.deliver()
            assert not failed
            if not self.queue:
                return calls
            assert calls < 100
        raise AssertionError

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803  # AWS's names
        assert QueueUrl == QUEUE_URL
        self._request(lambda: self.send(MessageBody))

    # What goes wrong

    def dies_at(self, request: int, *, is_done: bool) -> None:
        """Let the process die at this request, from 1, to whomever: once it is done, or before; it says no more."""
        self._requests, self._dies_at, self._is_done, self.is_dead = itertools.count(1), request, is_done, False
        self.bucket.happens = lambda _operation, do: self._request(do)
        self.warehouse.happens = lambda _operation, _request: self._fate()

    def all_is_well(self) -> None:
        self._dies_at, self.is_dead = 0, False
        self.warehouse.all_is_well()

    def _fate(self) -> Dies | None:
        if self.is_dead:
            return Dies(is_done=False)
        self.is_dead = next(self._requests) == self._dies_at
        return Dies(self._is_done) if self.is_dead else None

    def _request(self, do: Callable[[], Any]) -> Any:
        fate = self._fate()
        if fate is None:
            return do()
        if fate.is_done:
            do()
        raise ProcessDied

    # What is there afterwards

    def receipt(self, version: FileVersion) -> Any:
        return self._receipt(version.receipt_key, "receipt.file")

    def message_receipt(self, message_id: str) -> Any:
        return self._receipt(f"receipts/messages/{message_id}.json", "receipt.call")

    def _receipt(self, key: str, schema: str) -> Any:
        receipt = json.loads(self.bucket.content(key))
        assert not_said(schema, receipt) == []
        return receipt


def notification(*versions: FileVersion, principal: str = "AWS:AIDAEXAMPLE", size: int = 1) -> dict[str, object]:
    """What S3 sends. https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    return {"Records": [_record(version, principal, size) for version in versions]}


def _record(version: FileVersion, principal: str, size: int) -> dict[str, object]:
    return {
        "eventVersion": "2.5",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": principal},
        "s3": {
            "bucket": {"name": BUCKET},
            "object": {"key": quote_plus(version.key), "versionId": version.version, "size": size},
        },
    }
