"""The inventory table: pages, items and batches of conditional writes. The only place that knows the table.

The timeline of one write, with the places where it can break::

    read ──▶ decide ──▶ send ──▶ condition ──▶ landed ──▶ answer
               ▲          │         │                        │
               │          │         └ false: the item comes back, decide again
               │          └ refused (throttled, 5xx): send again, later
               └───────────────────────────────── lost: sent again, the condition is false, the item that comes
                                                  back carries this call's write id: it had landed

HTTP 200 does not mean success: every statement of a batch has its own answer.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeVar, get_args

from botocore.exceptions import ClientError

from inventory_updater.dynamodb.client import BROKEN_CONNECTIONS
from inventory_updater.dynamodb.pacing import (
    PATIENCE_SECONDS,
    RETRIED_CODES,
    ROUND_LIMIT,
    UNANSWERED_CODES,
    Limits,
    OutOfTimeError,
    backoff,
    batched,
    patiently,
    request_code,
    was_sent_before,
)
from inventory_updater.dynamodb.reading import query, read_keys
from inventory_updater.dynamodb.statements import statement
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.stock.planning import Update
from inventory_updater.stock.scheduling import Creation
from inventory_updater.stock.times import LAST_MOMENT

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import (
        BatchStatementErrorTypeDef,
        QueryInputTypeDef,
        ScanInputTypeDef,
    )

DUE_INDEX: Final = "due"
BATCH_LIMIT: Final = 25
"""How many statements AWS takes in one ``BatchExecuteStatement``."""

Scope = Literal["due", "all"]
SCOPES: Final[tuple[str, ...]] = get_args(Scope)
Cursor = Mapping[str, object]
"""Where a scan goes on, in Python values; the key of the last item read."""
_ROUNDS_WITHOUT_BACKOFF: Final = 3


class Decision(Protocol):
    """What was decided for an item; there is nothing to write where ``write`` is ``None``."""

    @property
    def write(self) -> Update | Creation | None: ...


D = TypeVar("D", bound=Decision)
Decide = Callable[[ItemKey, Attributes | None], D]
"""Decides for an item from its attributes as they are now, ``None`` where there is no such item."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan. ``cursor`` is ``None`` after the last one; a page may be empty and still have one."""

    items: tuple[Attributes, ...]
    cursor: Cursor | None
    scanned: int
    read_units: float


@dataclass(frozen=True, slots=True)
class WriteResult(Generic[D]):
    """What became of one item: written, not needing a write any more, or failed with a code and a message."""

    key: ItemKey
    decision: D
    written: bool
    code: str | None = None
    message: str = ""


@dataclass(slots=True)
class BatchReport(Generic[D]):
    """What became of the items of a batch, and what it took."""

    results: list[WriteResult[D]] = field(default_factory=list)
    conflicts: int = 0
    throttles: int = 0
    write_units: float = 0.0
    unanswered: set[ItemKey] = field(default_factory=set)
    """Items of which a write was sent and its answer never came: it may have landed, or land yet."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether an item that is not reported as written may have been written all the same."""
        return any(not result.written and result.key in self.unanswered for result in self.results)


def _never_landed(_decision: object, _attributes: Attributes) -> bool:
    return False


class InventoryTable:
    """The inventory table of one environment."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self.name = name

    def scan_page(
        self,
        scope: Scope,
        as_of: str,
        *,
        segment: int,
        segments: int,
        limit: int,
        cursor: Cursor | None,
        limits: Limits,
    ) -> Page:
        """One page of a segment: of the sparse index (scope ``due``) or of the whole table, consistently (``all``).

        Args:
            scope: ``due`` reads the items with a change due at ``as_of``; ``all`` every item.
            as_of: stored time.
            segment: which slice, from 0; ``segments``: how many slices there are.
            limit: how many items the page reads at most, before the filter.
            cursor: where to go on; ``None`` for the first page.
            limits: how long to go on while the table throttles.
        """
        request = scan_request(self.name, scope, as_of, segment=segment, segments=segments, limit=limit, cursor=cursor)
        answer = patiently(lambda: self._client.scan(**request), limits)
        last_key = answer.get("LastEvaluatedKey")
        return Page(
            tuple(from_attribute_values(item) for item in answer["Items"]),
            from_attribute_values(last_key) if last_key else None,
            answer["ScannedCount"],
            answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0),
        )

    def scan(self, scope: Scope, as_of: str = LAST_MOMENT, *, limits: Limits | None = None) -> Iterator[Attributes]:
        """Every item of a scope, page by page; without ``limits`` each page may take a minute."""
        cursor: Cursor | None = None
        while True:
            bounds = limits or Limits.for_seconds(PATIENCE_SECONDS)
            page = self.scan_page(scope, as_of, segment=0, segments=1, limit=1000, cursor=cursor, limits=bounds)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def items_of_sku(self, sku: str) -> Iterator[Attributes]:
        """The items of one sku, at whatever location, as they are now."""
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "KeyConditionExpression": "sku = :sku",
            "ExpressionAttributeValues": {":sku": to_attribute_value(sku)},
            "ConsistentRead": True,
        }
        return query(self._client, request)

    def read(self, key: ItemKey) -> Attributes | None:
        """One item as it is now; ``None`` where there is none."""
        answer = self._client.get_item(TableName=self.name, Key=to_attribute_values(key._asdict()), ConsistentRead=True)
        return from_attribute_values(answer["Item"]) if "Item" in answer else None

    def read_many(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Attributes]:
        """The items with these keys (at most 100) as they are now; those that are not there are left out."""
        # AWS refuses a request that names a key twice.
        named = [key._asdict() for key in dict.fromkeys(keys)]
        return {read_key(item): item for item in read_keys(self._client, self.name, named, is_consistent=True)}

    def decide_and_write(
        self,
        keys: Iterable[ItemKey],
        decide: Decide[D],
        *,
        writers: int = 8,
        landed: Callable[[D, Attributes], bool] = _never_landed,
    ) -> Iterator[BatchReport[D]]:
        """Read the items with these keys, decide for each and write what was decided, batch by batch."""

        def one_batch(batch: tuple[ItemKey, ...]) -> BatchReport[D]:
            items = self.read_many(batch)
            limits = Limits.for_seconds(PATIENCE_SECONDS)
            return self.write_batch({key: decide(key, items.get(key)) for key in batch}, decide, limits, landed)

        with ThreadPoolExecutor(writers) as executor:
            for wave in batched(batched(keys, BATCH_LIMIT), writers * 4):
                yield from executor.map(one_batch, wave)

    def write_batch(
        self,
        batch: Mapping[ItemKey, D],
        decide: Decide[D],
        limits: Limits,
        landed: Callable[[D, Attributes], bool] = _never_landed,
    ) -> BatchReport[D]:
        """Write what was decided for at most 25 items, each under its own condition.

        A write whose condition fails is decided again from the item that came back, never sent again as it was. What
        the table refuses for a while is sent again with full jitter until the time is up and then counted as failed.

        Args:
            batch: the decision for each item; those without a write are reported as they are.
            decide: decides again after a conflict.
            limits: time, pace and permission to write.
            landed: whether a decision's write is the one that made the item what it is now.

        Raises:
            OutOfTimeError: where the first request could not be sent in time; nothing was written then.
            botocore.exceptions.ClientError: where AWS refuses the request for good (access denied, no such table).
        """
        report = BatchReport[D]()
        waiting: dict[ItemKey, D] = {}

        def settle(key: ItemKey, decision: D) -> None:
            if decision.write is None:
                report.results.append(WriteResult(key, decision, written=False))
            else:
                waiting[key] = decision

        for key, decision in batch.items():
            settle(key, decision)
        for round_number in range(ROUND_LIMIT):
            if not waiting:
                return report
            if limits.seconds_left() <= 0 and round_number == 0:
                raise OutOfTimeError("no time is left for this batch")
            limits.check()
            try:
                limits.pace.wait(len(waiting), limits.seconds_left())
            except OutOfTimeError:
                if round_number == 0:
                    raise
                break
            sent, waiting = waiting, {}
            refused: dict[ItemKey, tuple[str, str]] = {}
            for key, error in self._send(sent, report):
                decision = sent[key]
                code = error.get("Code", "")
                if not error:
                    report.results.append(WriteResult(key, decision, written=True))
                elif code in ("ConditionalCheckFailed", "DuplicateItem"):
                    report.conflicts += 1
                    attributes = self.read(key) if code == "DuplicateItem" else _item_of(error)
                    if attributes is not None and landed(decision, attributes):
                        report.results.append(WriteResult(key, decision, written=True))
                    else:
                        refused[key] = (code, "other writers changed the item every time")
                        settle(key, decide(key, attributes))
                elif code in RETRIED_CODES:
                    report.throttles += 1
                    refused[key] = (code, error.get("Message", ""))
                    waiting[key] = decision
                else:
                    report.results.append(WriteResult(key, decision, False, code, error.get("Message", "")))
            only_conflicts = all(refused[key][0] not in RETRIED_CODES for key in waiting)
            delay = 0.0 if only_conflicts and round_number < _ROUNDS_WITHOUT_BACKOFF else backoff(round_number)
            if waiting and not limits.may_retry_after(delay):
                break
            if waiting and delay:
                limits.sleep(delay)
        for key, decision in waiting.items():
            report.results.append(WriteResult(key, decision, False, *refused[key]))
        return report

    def _send(
        self, batch: Mapping[ItemKey, D], report: BatchReport[D]
    ) -> "list[tuple[ItemKey, BatchStatementErrorTypeDef]]":
        """Each item of ``batch`` with its error, ``{}`` for success."""
        writes = {key: decision.write for key, decision in batch.items()}
        try:
            statements = [statement(self.name, write) for write in writes.values() if write is not None]
            answer = self._client.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
        except (ClientError, *BROKEN_CONNECTIONS) as error:
            code = request_code(error)
            if code in UNANSWERED_CODES or was_sent_before(getattr(error, "response", {})):
                report.unanswered.update(batch)
            if code in RETRIED_CODES:
                # Whether anything landed is unknown; a write that did fails its condition when it is sent again.
                return [(key, {"Code": "ThrottlingError", "Message": str(error)}) for key in batch]
            if code != "ValidationException":
                raise
            if len(batch) == 1:
                return [(key, {"Code": "ValidationError", "Message": str(error)}) for key in batch]
            # One item that AWS cannot take must not touch the others.
            return [pair for key, decision in batch.items() for pair in self._send({key: decision}, report)]
        report.write_units += sum(used.get("CapacityUnits", 0.0) for used in answer.get("ConsumedCapacity", []))
        errors = [(key, response.get("Error") or {}) for key, response in zip(batch, answer["Responses"], strict=True)]
        if was_sent_before(answer):
            report.unanswered.update(batch)
        report.unanswered.update(key for key, error in errors if error.get("Code") in UNANSWERED_CODES)
        return errors


def scan_request(
    table_name: str, scope: Scope, as_of: str, *, segment: int, segments: int, limit: int, cursor: Cursor | None
) -> "ScanInputTypeDef":
    """The request for one page of a scan, as a value.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
    """
    request: ScanInputTypeDef = {
        "TableName": table_name,
        "Segment": segment,
        "TotalSegments": segments,
        "Limit": limit,
        "ReturnConsumedCapacity": "TOTAL",
    }
    if scope == "due":
        request["IndexName"] = DUE_INDEX
        request["FilterExpression"] = "next_change_at <= :as_of"
        request["ExpressionAttributeValues"] = {":as_of": to_attribute_value(as_of)}
    else:
        request["ConsistentRead"] = True
    if cursor:
        request["ExclusiveStartKey"] = to_attribute_values(cursor)
    return request


def _item_of(error: "BatchStatementErrorTypeDef") -> Attributes | None:
    """The item that a failed condition brought back; ``None`` where it was deleted."""
    item = error.get("Item")
    return from_attribute_values(item) if item else None
