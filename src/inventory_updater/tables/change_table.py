"""The changes table: what is to happen to each item, and what has. The only place that knows the table.

Keys ``item`` and ``change_id``; the sparse index ``due`` has what waits to happen, by shard and time, so that reading
what is due costs nothing for what is not.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Literal

from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import batched, begun
from inventory_updater.dynamodb.reading import READ_LIMIT, query, read_keys, scan
from inventory_updater.dynamodb.statements import guarded_update, statement
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status, read_record
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey, item_id, key_of
from inventory_updater.stock.scheduling import content
from inventory_updater.stock.settling import Mark
from inventory_updater.stock.times import LAST_MOMENT, format_time, parse_time, read_time
from inventory_updater.stock.writes import Creation

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import (
        BatchStatementRequestTypeDef,
        ConditionCheckTypeDef,
        QueryInputTypeDef,
        QueryOutputTypeDef,
        ScanInputTypeDef,
        UpdateTypeDef,
    )

DUE_INDEX: Final = "due"
SHARDS: Final = tuple([f"{number:02}" for number in range(64)])
REJECTED_SHARD: Final = "REJECTED"
"""Where the index has what needs a person."""

GRACE: Final = timedelta(days=1)
"""How much longer a record is kept than a door takes changes of its age: a door looks at the clock when it begins, and
may write hours later; and a count that is as old as that still has to find the adjustments after it."""

_PAGES_OF_A_MOMENT: Final = 10
"""How many pages are read on at once at most, where all that they hold is due in one moment."""

_INDEX_PAGE: Final = 500
"""How many names of each shard are in memory where all shards are read side by side."""

_SETTLED_ATTRIBUTES: Final = (
    *("settled_at", "job_id", "code", "message", "before", "after", "expires_at", "dismissed_at", "dismissed_by"),
)
"""What a record says of how its attempt ended."""

Name = tuple[ItemKey, str]
"""What names a change: its item and its id."""


@dataclass(frozen=True, slots=True)
class DuePage:
    """What is due in a part of a shard, by item.

    Attributes:
        changes: the ids.
        earliest: since when the first of them has been due, as a stored time; not of an item where that is no time.
        misnamed: what another system put under an ``item`` that names none: that text, and the change's id.
        cursor: where the shard goes on; None after the last page.
    """

    changes: Mapping[ItemKey, Sequence[str]]
    earliest: Mapping[ItemKey, str]
    misnamed: Sequence[tuple[str, str]]
    cursor: Attributes | None
    read_units: float

    def __len__(self) -> int:
        return sum(map(len, self.changes.values())) + len(self.misnamed)


def shard_of(item: str) -> str:
    """The shard of the index in which an item's changes wait."""
    return SHARDS[int.from_bytes(sha256(item.encode()).digest()[:4], "big") % len(SHARDS)]


@lru_cache(maxsize=1024)
def _expiry(ended_at: str, retention: timedelta) -> Decimal:
    # In seconds: added to a moment of the year 9999 it would be none that there is.
    return Decimal(int(read_time(ended_at).timestamp()) + retention // timedelta(seconds=1))


class ChangeTable:
    """The changes table of one environment."""

    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int) -> None:
        self._client = client
        self.name = name
        self._retention = timedelta(days=retention_days)

    def put(self, key: ItemKey, attributes: Attributes) -> None:
        """Put a record that waits to happen, as another system may do by itself."""
        item = item_id(key)
        stored = {**key._asdict(), "item": item, **self._waits(item, attributes["effective_at"], 1), **attributes}
        self._client.put_item(TableName=self.name, Item=to_attribute_values(stored))

    def due_page(self, shard: str, as_of: str, *, limit: int, cursor: Attributes | None = None) -> DuePage:
        """A page of what is due in a shard, the longest due first.

        It ends between two moments: in which order the index has what is due in one is not said, and an item's changes
        of one moment have an order. Where more than a few pages are due in one moment, it ends in its midst.
        """
        entries: list[Attributes] = []
        units = 0.0
        for _ in range(_PAGES_OF_A_MOMENT):
            answer = self._query_due(shard, as_of, limit, cursor)
            entries += map(from_attribute_values, answer["Items"])
            units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
            last = answer.get("LastEvaluatedKey")
            cursor = from_attribute_values(last) if last else None
            whole = entries if cursor is None else [each for each in entries if each["due_at"] != entries[-1]["due_at"]]
            if whole or cursor is None:
                break
        if cursor is not None and whole:
            entries = whole
            cursor = {name: whole[-1][name] for name in ("item", "change_id", "due_shard", "due_at")}
        changes: dict[ItemKey, list[str]] = {}
        earliest: dict[ItemKey, str] = {}
        misnamed: list[tuple[str, str]] = []
        for entry in entries:
            item, change_id = str(entry["item"]), str(entry["change_id"])
            key = key_of(item)
            if not all(key) or item_id(key) != item:
                misnamed.append((item, change_id))
                key = ItemKey(item, "")
            else:
                changes.setdefault(key, []).append(change_id)
            with suppress(ValueError):
                earliest.setdefault(key, parse_time(str(entry["due_at"])))
        return DuePage(changes, earliest, misnamed, cursor, units)

    def _query_due(self, shard: str, as_of: str, limit: int, cursor: Attributes | None) -> "QueryOutputTypeDef":
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "IndexName": DUE_INDEX,
            "KeyConditionExpression": "due_shard = :shard AND due_at <= :as_of",
            "ExpressionAttributeValues": to_attribute_values({":shard": shard, ":as_of": as_of}),
            "Limit": limit,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if cursor:
            request["ExclusiveStartKey"] = to_attribute_values(cursor)
        return self._client.query(**request)

    def read(
        self, names: Iterable[tuple[ItemKey, str]], spend: Callable[[float], None] = lambda _read_units: None
    ) -> dict[ItemKey, list[ChangeRecord]]:
        """The records of these names as they are now, by item; ``spend`` is told the read units."""
        found: dict[ItemKey, list[ChangeRecord]] = {}
        for batch in batched(names, READ_LIMIT):
            keys = [{"item": item_id(key), "change_id": change_id} for key, change_id in batch]
            for attributes in read_keys(self._client, self.name, keys, is_consistent=True, spend=spend):
                found.setdefault(key_of(str(attributes["item"])), []).append(read_record(attributes))
        return found

    def all_of(self, key: ItemKey, spend: Callable[[float], None] = lambda _read_units: None) -> Iterator[ChangeRecord]:
        """Every record of an item as it is now; ``spend`` is told the read units."""
        return map(read_record, self.stored_of(key, spend))

    def all_that_count(
        self, key: ItemKey, spend: Callable[[float], None] = lambda _read_units: None, *, since: str = LAST_MOMENT
    ) -> list[ChangeRecord]:
        """Of all records of an item those that may decide something: a hot item has a million that do not.

        They are those that wait, and the bookings that were applied after the earliest count that waits; ``since`` is
        the moment of a count that has no record yet.
        """
        while True:
            found = [
                each
                for each in self.all_of(key, spend)
                if not each.status.is_final or (each.is_booking and each.effective_at > since)
            ]
            earliest = min((each.effective_at for each in found if each.is_waiting_count), default=LAST_MOMENT)
            if earliest >= since:
                return found
            since = earliest

    def stored_of(
        self, key: ItemKey, spend: Callable[[float], None] = lambda _read_units: None
    ) -> Iterator[Attributes]:
        """Every record of an item with all its attributes; ``spend`` is told the read units."""
        return query(
            self._client,
            {
                "TableName": self.name,
                "KeyConditionExpression": "#item = :item",
                "ExpressionAttributeNames": {"#item": "item"},
                "ExpressionAttributeValues": to_attribute_values({":item": item_id(key)}),
                "ConsistentRead": True,
            },
            spend,
        )

    def stored(self, names: Iterable[Name], *, is_consistent: bool = True) -> dict[Name, Attributes]:
        """The records of these names with all their attributes, in this order; what is not there is left out.

        A read that is not consistent costs half, and may not see what was written a moment ago.
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
        """
        found: dict[Name, Attributes] = {}
        for batch in batched(dict.fromkeys(names), READ_LIMIT):
            name_of = {(item_id(key), change_id): (key, change_id) for key, change_id in batch}
            keys = [{"item": item, "change_id": change_id} for item, change_id in name_of]
            read = {
                name_of[str(each["item"]), str(each["change_id"])]: each
                for each in read_keys(self._client, self.name, keys, is_consistent=is_consistent)
            }
            found |= {name: read[name] for name in batch if name in read}
        return found

    def waiting(self, until: str | None = None, shards: Iterable[str] = SHARDS) -> Iterator[Name]:
        """What waits to happen, the earliest first, up to the stored time ``until``; read as it is taken.

        It comes from the index, which may not show yet what was written a moment ago. ``shards`` are all, unless only
        some items matter.
        """
        entries = side_by_side(lambda shard: begun(self._index(shard, "<=", until)), shards)
        for entry in heapq.merge(*entries, key=itemgetter("due_at", "item", "change_id")):
            yield key_of(str(entry["item"])), str(entry["change_id"])

    def rejected(self, since: str | None = None) -> Iterator[Name]:
        """What was rejected at or after ``since`` and needs a person, the latest first; from the index as well."""
        for entry in self._index(REJECTED_SHARD, ">=", since, is_forward=False):
            yield key_of(str(entry["item"])), str(entry["change_id"])

    def _index(
        self, shard: str, comparison: Literal["<=", ">="], moment: str | None, *, is_forward: bool = True
    ) -> Iterator[Attributes]:
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "IndexName": DUE_INDEX,
            "KeyConditionExpression": "due_shard = :shard" + (f" AND due_at {comparison} :moment" if moment else ""),
            "ExpressionAttributeValues": to_attribute_values(
                {":shard": shard} | ({":moment": moment} if moment else {})
            ),
            "ScanIndexForward": is_forward,
            "Limit": _INDEX_PAGE,
        }
        return query(self._client, request, is_patient=True)

    def sources(self) -> Iterator[tuple[Name, object]]:
        """Every change, settled or not, and the source that it came from; None of one that does not say.

        No index knows what is settled, so the whole table is scanned: that costs as much as it is large. It may not
        see what was written a moment ago.
        """
        request: ScanInputTypeDef = {
            "TableName": self.name,
            "ProjectionExpression": "#item, change_id, #source",
            "ExpressionAttributeNames": {"#item": "item", "#source": "source"},
        }
        for found in scan(self._client, request):
            key = key_of(str(found["item"]))
            if all(key):  # another system may have put one under what names no item
                yield (key, str(found["change_id"])), found.get("source")

    def forgotten_until(self, now: str) -> str:
        """The latest ``effective_at`` of a change whose record may have expired by ``now``: it would not be known."""
        return format_time(read_time(now) - self._retention)

    def insertion(self, key: ItemKey, change: Change, given: Mapping[str, str]) -> "BatchStatementRequestTypeDef":
        """The statement that puts a new record, and fails where there is one of this name.

        Args:
            key: the item.
            change: the change that somebody asks for.
            given: who asks for it and when, as attributes of the record: ``actor``, ``source``, ``scheduled_at``.
        """
        item = item_id(key)
        named: dict[str, object] = {"item": item, "change_id": change.change_id}
        waits = self._waits(item, change.effective_at, 1)
        return statement(self.name, Creation(key, {**named, **content(change), **given, **waits}))

    def requeue(self, key: ItemKey, attributes: Attributes, now: str) -> "BatchStatementRequestTypeDef":
        """The statement that lets a rejected record wait again under its next attempt, while it is as it was read."""
        record = read_record(attributes)
        # Where the record has no time that can be read, the next job says so again.
        sets = self._waits(item_id(key), record.effective_at or now, record.attempt + 1)
        removes = tuple([name for name in _SETTLED_ATTRIBUTES if name in attributes])
        return self._guarded(key, record, sets, removes)

    def dismissal(
        self, key: ItemKey, attributes: Attributes, said: Mapping[str, str]
    ) -> "BatchStatementRequestTypeDef":
        """The statement that takes a rejected record from what needs a person, while it is as it was read.

        Args:
            key: the item.
            attributes: the record.
            said: ``dismissed_at``, ``dismissed_by``.
        """
        waits = tuple([name for name in ("due_shard", "due_at") if name in attributes])
        return self._guarded(key, read_record(attributes), said, waits)

    def _guarded(
        self, key: ItemKey, record: ChangeRecord, sets: Mapping[str, object], removes: tuple[str, ...]
    ) -> "BatchStatementRequestTypeDef":
        status, attempt = record.stored
        named = {"item": item_id(key), "change_id": record.change_id}
        return guarded_update(self.name, named, sets, removes, {"status": status, "attempt": attempt})

    @staticmethod
    def _waits(item: str, due_at: object, attempt: int) -> dict[str, object]:
        return {
            "status": Status.PENDING.value,
            "attempt": Decimal(attempt),
            "due_shard": shard_of(item),
            "due_at": due_at,
        }

    def mark_without_item(self, inventory_name: str, key: ItemKey, mark: Mark, by: Mapping[str, str]) -> bool:
        """Let a record say what its item, which is gone, can no longer decide; False where that does not hold any more.

        One transaction: the item is not there, and the record still has the status and the attempt that were read. No
        other writer meets a transaction on an item that does not exist, but for one that makes it in that moment, and
        that one is refused only until the transaction has ended.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        """
        guard = dict(zip(("status", "attempt"), mark.record.stored, strict=True))
        said, removes = self._said(mark)
        sets = {**said, **by}
        names = {f"#{name}": name for name in (*sets, *removes, *guard)}
        held = {f":was_{name}": value for name, value in guard.items() if value is not None}
        values = {f":{name}": value for name, value in sets.items()} | held
        clauses = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
        if removes:
            clauses += " REMOVE " + ", ".join(f"#{name}" for name in removes)
        update: UpdateTypeDef = {
            "TableName": self.name,
            "Key": to_attribute_values({"item": item_id(key), "change_id": mark.record.change_id}),
            "UpdateExpression": clauses,
            "ConditionExpression": " AND ".join(
                f"attribute_not_exists(#{name})" if value is None else f"#{name} = :was_{name}"
                for name, value in guard.items()
            ),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_attribute_values(values),
        }
        is_gone: ConditionCheckTypeDef = {
            "TableName": inventory_name,
            "Key": to_attribute_values(key._asdict()),
            "ConditionExpression": "attribute_not_exists(sku)",
        }
        try:
            self._client.transact_write_items(TransactItems=[{"ConditionCheck": is_gone}, {"Update": update}])
        except self._client.exceptions.TransactionCanceledException:
            return False
        return True

    def mark(self, key: ItemKey, mark: Mark, by: Mapping[str, str]) -> "BatchStatementRequestTypeDef":
        """The statement that lets a record say what its item has decided, while it is as it was read.

        Args:
            key: the item.
            mark: the record and the decision.
            by: who lets it say so, as attributes of the record: ``{"job_id": ...}``, or ``{"cancelled_by": ...}`` of a
                person, who says so of a cancellation only.
        """
        if mark.decision.outcome is not Status.CANCELLED and "job_id" not in by:
            by = {}
        sets, removes = self._said(mark)
        return self._guarded(key, mark.record, {**sets, **by}, removes)

    def _said(self, mark: Mark) -> tuple[dict[str, object], tuple[str, ...]]:
        decision = mark.decision
        told = {"code": decision.code, "message": decision.message, "before": decision.before, "after": decision.after}
        sets: dict[str, object] = {"status": decision.outcome.value}
        sets |= {name: value for name, value in told.items() if value is not None}
        if decision.outcome is Status.OPEN:
            # The end of the window will say what is before and after that.
            opened = {"at": decision.settled_at, "before": decision.before, "after": decision.after}
            sets |= {f"opened_{name}": value for name, value in opened.items() if value is not None}
            return sets | {"attempt": Decimal(decision.attempt + 1), "due_at": mark.record.until}, ()
        # A record outlives the moment at which its change was to take effect: sent again, it is known.
        ended_at = max(decision.settled_at, mark.record.effective_at)
        sets |= {"settled_at": decision.settled_at, "expires_at": _expiry(ended_at, self._retention + GRACE)}
        if decision.outcome is Status.REJECTED:
            return sets | {"due_shard": REJECTED_SHARD, "due_at": decision.settled_at}, ()
        # What a window showed is no longer so where nothing stands behind it.
        is_bare = mark.record.status is Status.OPEN and decision.after is None
        return sets, ("due_shard", "due_at", *(("after",) if is_bare else ()))
