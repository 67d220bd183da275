"""Files that come through the bucket and the queue, and the intake that takes them: each call is a process of its own.

The bucket and the queue fail as the tables do, except that nothing that was sent to them lands later. A message comes
again until it is done, or is a dead letter, which an operator sends again when all is quiet.
"""

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.intake.bucket import Bucket, FileVersion
from inventory_updater.intake.bucket_files import FileDoor
from inventory_updater.intake.queue import Intake, read_body
from inventory_updater.intake.stores import Stores
from inventory_updater.stock.items import item_id
from tests.builders import USUAL_GUARDS, change_file
from tests.fakes.doorstep import BUCKET, QUEUE_URL, notification
from tests.fakes.s3 import FakeBucket
from tests.simulation.content import Row
from tests.simulation.faults import AnswerLost, Dies, DoneTwice, Fault, ProcessDied, Refused
from tests.simulation.rejections import client_error
from tests.simulation.turns import Actor

if TYPE_CHECKING:
    from tests.simulation.history import History

OPERATIONS: Final = frozenset({"get_object", "put_object", "delete_object", "list_objects_v2", "send_message"})
"""What the bucket and the queue are asked for."""

FAULTS: Final[tuple[Fault, ...]] = (
    Refused("ServiceUnavailable"),
    AnswerLost(),
    AnswerLost(is_done=False),
    Dies(is_done=True),
    Dies(is_done=False),
    DoneTwice(),
)

_WRITING: Final = frozenset({"batch_execute_statement", "put_object", "delete_object", "send_message"})
_APPROVED: Final = 0.8
_LINES_A_PART: Final = (3, 1_000)
_SECONDS: Final = (300.0, 300.0, 300.0, 1.0)
"""How long calls last: most have time for a file, some only for a piece of it."""
_RECEIVES: Final = 3
_KILLED: Final = 0.5
_WRITES: Final = 6
"""A call that is killed makes so many writes at most: to die at a read is to die before the write that follows."""


class Deliveries:
    """What suppliers have put, and what is in the queue."""

    def __init__(self, history: "History") -> None:
        self._history = history
        self._chance = random.Random(f"files {history.plot.seed} {history.plot.schedule}")
        self._lines_a_part = self._chance.choice(_LINES_A_PART)
        self._receives: Counter[str] = Counter()
        self._queue: dict[str, str] = {}
        self._held: set[FileVersion] = set()
        self.bucket = FakeBucket(BUCKET)
        self.bucket.happens = self._request
        self.files: dict[FileVersion, Sequence[Row]] = {}
        """The rows of each version that was put."""

    # What people do

    def supply(self, name: str, rows: Sequence[Row]) -> None:
        """Put a file, which may say that its good rows do not wait for the others."""
        metadata = {"accept-good": self._chance.choice(("true", "false"))}
        self._put(f"incoming/{name}.csv", change_file(rows).encode(), metadata, rows)

    def _approve(self, held: FileVersion) -> None:
        self._history.reached["a file that was held is approved"] += 1
        self._put(f"approved/{held.name}", *self.bucket.objects[held.key][held.version], self.files[held])

    def _put(self, key: str, content: bytes, metadata: Mapping[str, str], rows: Sequence[Row]) -> None:
        version = FileVersion(key, self.bucket.store(key, content, metadata))
        self.files[version] = rows
        self._send(json.dumps(notification(version)))

    # The queue

    def _send(self, body: str) -> None:
        message_id = f"message-{len(self._receives) + 1}"
        self._receives[message_id] = 0
        self._queue[message_id] = body
        self._history.later(lambda: self._deliver(message_id))

    def _deliver(self, message_id: str) -> None:
        """Hand a message over, now and then to two calls at once."""
        if message_id not in self._queue or self._receives[message_id] == _RECEIVES:
            return
        self._receives[message_id] += 1
        history = self._history
        is_killed = history.happens(f"{message_id} killed", _KILLED)
        take = self._taking(message_id, self._chance.randint(0, _WRITES) if is_killed else math.inf)

        def then(call: Actor) -> None:
            if call.is_dead:
                history.reached["the intake died with half a file written"] += self._has_written_half(message_id, call)
            if call.is_dead or call.problem or call.result["batchItemFailures"]:
                history.later(lambda: self._deliver(message_id))
            else:
                self._queue.pop(message_id, None)

        history.spawn(message_id, take, then)
        if history.happens(f"{message_id} doubled", 0.2):
            history.reached["a message was delivered twice"] += 1
            history.spawn(f"{message_id} doubled", self._taking(message_id))

    def redrive(self, client: Any) -> None:
        """Send dead letters again, until the queue is empty."""
        while self._queue:
            message_id = next(iter(self._queue))
            self._history.reached["a dead letter was sent again"] += 1
            self._taking(message_id)(client)
            del self._queue[message_id]

    # The intake

    def _taking(self, message_id: str, writes: float = math.inf) -> Callable[[Any], Any]:
        """What a call of the function does, until it has made so many writes."""
        history = self._history
        message = {"messageId": message_id, "body": self._queue[message_id]}
        seconds = self._chance.choice(_SECONDS)

        def take(client: Any) -> Any:
            process = _Process(client, writes).client
            services, bucket = history.services(process), Bucket(process, BUCKET)
            stores = Stores(process, services.inventory, services.changes, USUAL_GUARDS, history.now)
            door = FileDoor(bucket, stores, self._lines_a_part)
            intake = Intake(bucket, stores, door, process, QUEUE_URL, self._told)
            return intake.take([message], history.clock.countdown(seconds))

        return take

    def _told(self, receipt: Mapping[str, Any], _receipt_key: str) -> None:
        self._history.reached[f"a file was {receipt['status']}"] += 1
        version = FileVersion(receipt["key"], receipt["version"])
        if receipt["status"] == "HELD" and version not in self._held:
            self._held.add(version)
            if self._chance.random() < _APPROVED:
                self._history.later(lambda: self._approve(version))

    def _has_written_half(self, message_id: str, call: Actor) -> bool:
        history = self._history
        if message_id not in self._queue or not any(turn.landed for turn in history.turns if turn.who == call.name):
            return False
        notices = read_body(self._queue[message_id], BUCKET)
        assert isinstance(notices, list)
        there = {(each["item"], each["change_id"]) for each in history.stored(history.tables.changes)}
        return any((item_id(row.key), row.change.change_id) not in there for row in self.files[notices[0].version])

    def receipt(self, version: FileVersion) -> Any:
        """What became of a file; None where nobody has said so."""
        return json.loads(self.bucket.content(version.receipt_key)) if self.bucket.keys(version.receipt_key) else None

    # Requests

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        """Do what the bucket or the queue is asked for, unless something happens to it."""
        if operation == "send_message":
            self._history.reached["a file goes on in another call"] += 1
            return self._request(operation, lambda: self._send(request["MessageBody"]))
        return getattr(self.bucket, operation)(**request)

    def _request(self, operation: str, do: Callable[[], Any]) -> Any:
        fate = self._history.fate_of(operation, {})
        if isinstance(fate, Refused):
            raise client_error(operation, fate.code, "it is busy")
        if isinstance(fate, DoneTwice) or (isinstance(fate, Dies | AnswerLost) and fate.is_done):
            do()
        if isinstance(fate, Dies):
            raise ProcessDied
        if isinstance(fate, AnswerLost):
            raise fate.error()
        return do()


class _Process:
    """The clients of a call, all in one: for tables, bucket and queue. It is killed when it has made so many writes."""

    def __init__(self, client: Any, writes: float) -> None:
        self._client = client
        self._writes_left = writes
        self.exceptions = client.exceptions
        self.client: Any = self  # as what it stands in for

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def request(**parameters: Any) -> Any:
            self._writes_left -= operation in _WRITING
            if self._writes_left < 0:
                self._client.is_dead = True
            return getattr(self._client, operation)(**parameters)

        return request

    def get_paginator(self, operation: str) -> "_Pages":
        return _Pages(getattr(self, operation))


class _Pages:
    """One page, which is all of them."""

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def paginate(self, **request: Any) -> Iterator[Any]:
        yield self._ask(**request)
