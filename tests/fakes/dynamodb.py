"""Two stand-ins for DynamoDB's client: one that answers from a script, one that keeps items in memory."""

import re
import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partialmethod
from typing import Any, Final
from unittest.mock import Mock

from botocore.exceptions import ClientError, ReadTimeoutError

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, read_key

WRITE: Final = "batch_execute_statement"
"""The operation that writes to the inventory."""

Request = Mapping[str, Any]
"""What an operation was called with."""

Answer = Mapping[str, Any] | Exception | Callable[[Request], Mapping[str, Any]]
"""What an operation answers, or the exception that it raises, or a function of the request."""


class ScriptedClient:
    """Answers each operation from its own script, in order, and records what it was asked."""

    def __init__(self, **scripts: Sequence[Answer]) -> None:
        self._scripts = {operation: deque(script) for operation, script in scripts.items()}
        self.requests: list[tuple[str, Request]] = []
        self.client: Any = self  # as what it stands in for

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        def call(**request: object) -> Mapping[str, Any]:
            self.requests.append((operation, request))
            script = self._scripts.get(operation)
            assert script, f"nobody expected this {operation}: {request}"
            answer = script.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer(request) if callable(answer) else answer

        return call

    def asked(self, operation: str) -> list[Request]:
        """The requests of one operation."""
        return [request for name, request in self.requests if name == operation]

    @property
    def is_exhausted(self) -> bool:
        """Whether every answer of every script was asked for."""
        return not any(self._scripts.values())


def failed_request(code: str, status: int = 400, message: str = "said no") -> ClientError:
    """A request that failed as a whole."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest does not matter
        "Operation",
    )


def lost_answer() -> ReadTimeoutError:
    """A request whose answer did not come in time."""
    return ReadTimeoutError(endpoint_url="https://dynamodb.example")


def statement_error(code: str, item: Attributes | None = None, message: str = "said no") -> dict[str, Any]:
    """The answer to one statement that failed, with the item that it brings back."""
    brought_back = {} if item is None else {"Item": to_attribute_values(item)}
    return {"TableName": "inventory", "Error": {"Code": code, "Message": message} | brought_back}


WRITTEN: dict[str, Any] = {"TableName": "inventory"}
"""The answer to one statement that succeeded."""


def batch_answer(*responses: Mapping[str, Any], write_units: float = 0.0) -> dict[str, Any]:
    """The answer to a batch, one response for each statement."""
    used = {"TableName": "inventory", "CapacityUnits": write_units}
    return {"Responses": list(responses), "ConsumedCapacity": [used] if write_units else []}


class InMemoryInventory:
    """An inventory table in memory: scans with segments, pages, index and filter; statements with their conditions.

    Only what the package asks for, as the documentation says DynamoDB does it. ``before`` and ``after`` are called
    with an operation's name and request around each request: they may change the items, move a clock, or raise what
    the client would raise (raised by ``after``, the request has had its effect and only its answer is lost).
    """

    def __init__(self, items: Iterable[Attributes] = ()) -> None:
        self.items: dict[ItemKey, dict[str, object]] = {read_key(item): dict(item) for item in items}
        self.calls: Counter[str] = Counter()
        self.writes: Counter[ItemKey] = Counter()
        self.before: Callable[[str, Request], None] = lambda _operation, _request: None
        self.after: Callable[[str, Request], None] = lambda _operation, _request: None
        self._lock = threading.Lock()
        self.client: Any = self  # as what it stands in for

    def before_write(self, *hooks: Callable[[], object]) -> None:
        """Let these happen just before the first, the second, ... batch."""
        self.before = _at_each_write(hooks)

    def lose_next_answer(self, loss: BaseException | None = None) -> None:
        """Let the next batch be written, and its answer be lost or this be raised."""
        self.after = _at_each_write([Mock(side_effect=loss or lost_answer())])

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        self.before(operation, request)
        with self._lock:
            self.calls[operation] += 1
            answer: dict[str, Any] = getattr(self, f"_{operation}")(request)
        self.after(operation, request)
        return answer

    scan = partialmethod(_call, "scan")
    get_item = partialmethod(_call, "get_item")
    batch_get_item = partialmethod(_call, "batch_get_item")
    batch_execute_statement = partialmethod(_call, "batch_execute_statement")

    def _scan(self, request: Request) -> dict[str, Any]:
        is_due = request.get("IndexName") == "due"
        segment, segments = request["Segment"], request["TotalSegments"]
        stored = sorted(
            key
            for key, item in self.items.items()
            if zlib.crc32(key.sku.encode()) % segments == segment and (not is_due or "next_change_at" in item)
        )
        if "ExclusiveStartKey" in request:
            start = read_key(from_attribute_values(request["ExclusiveStartKey"]))
            stored = [key for key in stored if key > start]
        page = [self.items[key] for key in stored[: request["Limit"]]]
        as_of = from_attribute_values(request["ExpressionAttributeValues"])[":as_of"] if is_due else None
        found = [item for item in page if as_of is None or str(item["next_change_at"]) <= str(as_of)]
        answer = {
            "Items": [to_attribute_values(item) for item in found],
            "ScannedCount": len(page),
            "ConsumedCapacity": {"CapacityUnits": 0.5 * len(page)},
        }
        if len(stored) > request["Limit"]:
            named = ("sku", "location_id", "next_change_at") if is_due else ("sku", "location_id")
            answer["LastEvaluatedKey"] = to_attribute_values({name: page[-1][name] for name in named})
        return answer

    def _get_item(self, request: Request) -> dict[str, Any]:
        item = self.items.get(read_key(from_attribute_values(request["Key"])))
        return {} if item is None else {"Item": to_attribute_values(item)}

    def _batch_get_item(self, request: Request) -> dict[str, Any]:
        ((table, wanted),) = request["RequestItems"].items()
        keys = [read_key(from_attribute_values(key)) for key in wanted["Keys"]]
        assert len(keys) == len(set(keys)) <= 100, "AWS refuses more than 100 keys, and a key that is named twice"
        return {"Responses": {table: [to_attribute_values(self.items[key]) for key in keys if key in self.items]}}

    def _batch_execute_statement(self, request: Request) -> dict[str, Any]:
        statements = request["Statements"]
        assert 1 <= len(statements) <= 25, "AWS takes 1 to 25 statements"
        responses = [self._execute(each["Statement"], each["Parameters"]) for each in statements]
        return {"Responses": responses, "ConsumedCapacity": [{"CapacityUnits": float(len(statements))}]}

    def _execute(self, text: str, parameters: Sequence[Any]) -> dict[str, Any]:
        values = iter([from_attribute_values({"value": value})["value"] for value in parameters])
        if text.startswith("INSERT"):
            attributes = {name: next(values) for name in re.findall(r"'(\w+)': \?", text)}
            key = read_key(attributes)
            if key in self.items:
                return statement_error("DuplicateItem")
            self.items[key] = attributes
        else:
            clauses, conditions = text.split(" WHERE ")
            sets = {name: next(values) for name in re.findall(r'SET "(\w+)"=\?', clauses)}
            wanted = {name: next(values) for name in re.findall(r'"(\w+)"=\?', conditions)}
            key = read_key(wanted)
            stored = self.items.get(key)
            missing = re.findall(r'"(\w+)" IS MISSING', conditions)
            holds = stored is not None and all(_equal(stored.get(name), value) for name, value in wanted.items())
            if stored is None or not holds or any(name in stored for name in missing):
                return statement_error("ConditionalCheckFailed", stored)
            stored.update(sets)
            for name in re.findall(r'REMOVE "(\w+)"', clauses):
                stored.pop(name, None)
        self.writes[key] += 1
        return dict(WRITTEN)


def _at_each_write(hooks: Iterable[Callable[[], object]]) -> Callable[[str, Request], None]:
    waiting = iter(hooks)

    def happens(operation: str, _request: Request) -> None:
        if operation == WRITE and (hook := next(waiting, None)):
            hook()

    return happens


def _equal(stored: object, wanted: object) -> bool:
    if isinstance(stored, Decimal) or isinstance(wanted, Decimal):
        return stored == wanted
    return stored is not None and to_attribute_value(stored) == to_attribute_value(wanted)
