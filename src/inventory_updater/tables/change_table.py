"""The changes table: what is to happen to each item, and what has. The only place that knows the table.

Keys ``item`` and ``change_id``; the sparse index ``due`` has what waits to happen, by shard and time, so that reading
what is due costs nothing for what is not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from inventory_updater.dynamodb.reading import query, read_keys
from inventory_updater.dynamodb.statements import guarded_update
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status, read_record
from inventory_updater.stock.items import ItemKey, item_id, key_of
from inventory_updater.stock.settling import Mark
from inventory_updater.stock.times import parse_time, read_time

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef, QueryInputTypeDef

DUE_INDEX: Final = "due"
SHARDS: Final = tuple([f"{number:02}" for number in range(64)])
REJECTED_SHARD: Final = "REJECTED"
"""Where the index has what needs a person."""


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


class ChangeTable:
    """The changes table of one environment."""

    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int) -> None:
        self._client = client
        self.name = name
        self._retention = timedelta(days=retention_days)

    def put(self, key: ItemKey, attributes: Attributes) -> None:
        """Put a record that waits to happen, as another system may do by itself."""
        item = item_id(key)
        given = {"status": Status.PENDING.value, "attempt": Decimal(1), "due_at": attributes["effective_at"]}
        stored = {**key._asdict(), "item": item, "due_shard": shard_of(item), **given, **attributes}
        self._client.put_item(TableName=self.name, Item=to_attribute_values(stored))

    def due_page(self, shard: str, as_of: str, *, limit: int, cursor: Attributes | None = None) -> DuePage:
        """A page of what is due in a shard, the longest due first."""
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
        answer = self._client.query(**request)
        changes: dict[ItemKey, list[str]] = {}
        earliest: dict[ItemKey, str] = {}
        misnamed: list[tuple[str, str]] = []
        for entry in map(from_attribute_values, answer["Items"]):
            item, change_id = str(entry["item"]), str(entry["change_id"])
            key = key_of(item)
            if not all(key) or item_id(key) != item:
                misnamed.append((item, change_id))
                key = ItemKey(item, "")
            else:
                changes.setdefault(key, []).append(change_id)
            with suppress(ValueError):
                earliest.setdefault(key, parse_time(str(entry["due_at"])))
        last = answer.get("LastEvaluatedKey")
        units = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        return DuePage(changes, earliest, misnamed, from_attribute_values(last) if last else None, units)

    def read(
        self, names: Iterable[tuple[ItemKey, str]], spend: Callable[[float], None] = lambda _read_units: None
    ) -> dict[ItemKey, list[ChangeRecord]]:
        """The records of these names (at most 100) as they are now, by item; ``spend`` is told the read units."""
        keys = [{"item": item_id(key), "change_id": change_id} for key, change_id in names]
        found: dict[ItemKey, list[ChangeRecord]] = {}
        for attributes in read_keys(self._client, self.name, keys, is_consistent=True, spend=spend):
            found.setdefault(key_of(str(attributes["item"])), []).append(read_record(attributes))
        return found

    def all_of(self, key: ItemKey) -> Iterator[ChangeRecord]:
        """Every record of an item as it is now."""
        return map(read_record, self.stored_of(key))

    def stored_of(self, key: ItemKey) -> Iterator[Attributes]:
        """Every record of an item with all its attributes."""
        return query(
            self._client,
            {
                "TableName": self.name,
                "KeyConditionExpression": "#item = :item",
                "ExpressionAttributeNames": {"#item": "item"},
                "ExpressionAttributeValues": to_attribute_values({":item": item_id(key)}),
                "ConsistentRead": True,
            },
        )

    def mark(self, key: ItemKey, mark: Mark, by: Mapping[str, str]) -> "BatchStatementRequestTypeDef":
        """The statement that lets a record say what its item has decided, while it is as it was read.

        Args:
            key: the item.
            mark: the record and the decision.
            by: who lets it say so, as attributes of the record: ``{"job_id": ...}``.
        """
        status, attempt = mark.record.stored
        sets, removes = self._said(mark)
        named = {"item": item_id(key), "change_id": mark.record.change_id}
        return guarded_update(self.name, named, {**sets, **by}, removes, {"status": status, "attempt": attempt})

    def _said(self, mark: Mark) -> tuple[dict[str, object], tuple[str, ...]]:
        decision = mark.decision
        told = {"code": decision.code, "message": decision.message, "before": decision.before, "after": decision.after}
        sets: dict[str, object] = {"status": decision.outcome.value}
        sets |= {name: value for name, value in told.items() if value is not None}
        if decision.outcome is Status.OPEN:
            return sets | {"attempt": Decimal(decision.attempt + 1), "due_at": mark.record.until}, ()
        # A record outlives the moment at which its change was to take effect: sent again, it is known.
        ended_at = max(decision.settled_at, mark.record.effective_at)
        expires = int((read_time(ended_at) + self._retention).timestamp())
        sets |= {"settled_at": decision.settled_at, "expires_at": Decimal(expires)}
        if decision.outcome is Status.REJECTED:
            return sets | {"due_shard": REJECTED_SHARD, "due_at": decision.settled_at}, ()
        return sets, ("due_shard", "due_at")
