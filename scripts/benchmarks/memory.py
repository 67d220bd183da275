"""DynamoDB in memory, as much of it as the product asks for: it counts requests and units by AWS's rules.

Its methods take and return what those of a boto3 client do. What a statement is conditional on is looked at; the other
conditions guard against other workers, and there is none. ``tests/unit/benchmarks/test_memory.py`` holds it to the
tests' simulation of DynamoDB, which knows far more and takes far longer.
"""

import json
import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from benchmarks.units import Item, index_write_units, item_size, read_units, write_units

_SET: Final = re.compile(r"([#\w]+) = (:\w+)")
_ADD_OR_DELETE: Final = re.compile(r"(ADD|DELETE) (\w+) (:\w+)")
_REMOVE: Final = re.compile(r"REMOVE ([#\w, ]+)")
_STATEMENT: Final = re.compile(r'(UPDATE|INSERT INTO) "([^"]+)"')
_CLAUSE: Final = re.compile(r'(SET|REMOVE) "(\w+)"')
_CONDITION: Final = re.compile(r'"(\w+)"(=\?| IS MISSING)')
_FIELD: Final = re.compile(r"'(\w+)': \?")


@dataclass(frozen=True, slots=True)
class Schema:
    """The keys of a table, and of its one index, which is sparse.

    Attributes:
        keys: hash and range.
        index: hash and range of the index; None where there is none.
        holds_all: whether the index holds whole items, or their keys alone.
    """

    keys: tuple[str, str]
    index: tuple[str, str] | None = None
    holds_all: bool = False

    def entry(self, item: Item | None) -> Item | None:
        """What the index holds of an item."""
        if self.index is None or item is None or not all(name in item for name in self.index):
            return None
        return item if self.holds_all else {name: item[name] for name in (*self.keys, *self.index)}


INVENTORY: Final = Schema(("sku", "location_id"))
CHANGES: Final = Schema(("item", "change_id"), ("due_shard", "due_at"))
JOBS: Final = Schema(("job_id", "record"), ("record_type", "started_at"), holds_all=True)

WRITING: Final = ("write", "write index")
READING: Final = ("read", "read index")
"""What units are for."""

_AFTER_ALL: Final = "\U0010ffff"

_Key = tuple[str, str]


@dataclass(slots=True)
class _Table:
    """Items as JSON, by hash and range: a tenth of the memory, and nobody changes one by accident."""

    schema: Schema
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    entries: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    """Of the index: its range and the two keys of the table, in order, by its hash."""

    def key(self, attributes: Item) -> _Key:
        hash_key, range_key = self.schema.keys
        return attributes[hash_key]["S"], attributes[range_key]["S"]

    def get(self, key: _Key) -> dict[str, Any] | None:
        text = self.items.get(key[0], {}).get(key[1])
        return None if text is None else json.loads(text)

    def put(self, key: _Key, before: Item | None, after: Item | None) -> tuple[int, int]:
        """Write an item, or delete it; the units of the table and of the index."""
        if after is None:
            del self.items[key[0]][key[1]]
        else:
            self.items.setdefault(key[0], {})[key[1]] = json.dumps(after)
        units = write_units(*(item_size(item) for item in (before, after) if item is not None))
        if self.schema.index is None:
            return units, 0
        old, new = self.schema.entry(before), self.schema.entry(after)
        if old != new:
            for entry, is_new in ((old, False), (new, True)):
                if entry is not None:
                    hash_value, range_value = (entry[name]["S"] for name in self.schema.index)
                    shard, place = self.entries.setdefault(hash_value, []), (range_value, *key)
                    if is_new:
                        insort(shard, place)
                    else:
                        del shard[bisect_right(shard, place) - 1]
        return units, index_write_units(old, new, self.schema.index)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked for: units by table and by what they were for, requests by operation."""

    units: Counter[tuple[str, str]]
    requests: Counter[str]

    def __sub__(self, before: "Spent") -> "Spent":
        return Spent(self.units - before.units, self.requests - before.requests)


class Memory:
    """Tables in memory.

    Args:
        schemas: the tables by name.
    """

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._tables = {name: _Table(schema) for name, schema in schemas.items()}
        self._units: Counter[tuple[str, str]] = Counter()  # halves of read units too, whatever the type says
        self._requests: Counter[str] = Counter()
        self._one_at_a_time = threading.RLock()

    def spent(self) -> Spent:
        """What was asked for so far."""
        return Spent(self._units.copy(), self._requests.copy())

    def sizes(self, table: str) -> list[int]:
        """The sizes of a table's items, in bytes; no request."""
        return [item_size(json.loads(text)) for items in self._tables[table].items.values() for text in items.values()]

    def expire(self, now: float) -> None:
        """Delete what TTL would have deleted by this moment, in seconds since 1970; that costs nothing."""
        for table in self._tables.values():
            for hash_key, items in list(table.items.items()):
                for range_key, text in list(items.items()):
                    item = json.loads(text)
                    if "expires_at" in item and float(item["expires_at"]["N"]) <= now:
                        table.put((hash_key, range_key), item, None)

    # Requests; the names of their parameters are AWS's.

    def get_item(self, **request: Any) -> dict[str, Any]:
        table = self._asked("GetItem", request["TableName"])
        item = table.get(table.key(request["Key"]))
        self._read(request["TableName"], [item or {}], is_consistent=request.get("ConsistentRead", False))
        return {} if item is None else {"Item": item}

    def batch_get_item(self, RequestItems: Mapping[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803  # AWS's
        answers: dict[str, list[Item]] = {}
        units = 0.0
        for name, wanted in RequestItems.items():
            table = self._asked("BatchGetItem", name)
            found = [table.get(table.key(key)) for key in wanted["Keys"]]
            is_consistent = wanted.get("ConsistentRead", False)
            # Each item is charged by itself, also one that is not there.
            units += sum(self._read(name, [item or {}], is_consistent=is_consistent) for item in found)
            answers[name] = [item for item in found if item is not None]
        return {"Responses": answers, "ConsumedCapacity": [{"CapacityUnits": units}]}

    def query(self, **request: Any) -> dict[str, Any]:
        name, limit = request["TableName"], request.get("Limit")
        table = self._asked("Query index" if "IndexName" in request else "Query", name)
        keys = table.schema.index or () if "IndexName" in request else ()
        order = (*keys[1:], *table.schema.keys)
        places = self._places(table, request)
        if "ExclusiveStartKey" in request:
            start = tuple(request["ExclusiveStartKey"][each]["S"] for each in order)
            if request.get("ScanIndexForward", True):
                places = places[bisect_right(places, start) :]
            else:
                places = places[: bisect_left(places, start)]
        if not request.get("ScanIndexForward", True):
            places = places[::-1]
        chosen = [(place[-2], place[-1]) for place in places[:limit]]
        rows = [item for key in chosen if (item := table.get(key)) is not None]
        if "IndexName" in request:
            rows = [dict(entry) for item in rows if (entry := table.schema.entry(item)) is not None]
        kind = "read index" if "IndexName" in request else "read"
        units = self._read(name, rows, is_consistent=request.get("ConsistentRead", False), kind=kind)
        answer = {"Items": rows, "Count": len(rows), "ConsumedCapacity": {"CapacityUnits": units}}
        # Like DynamoDB, which does not look whether anything comes after a full page.
        if limit and len(chosen) == limit:
            answer["LastEvaluatedKey"] = {each: rows[-1][each] for each in (*keys, *table.schema.keys)}
        return answer

    def put_item(self, **request: Any) -> dict[str, Any]:
        self._put(request["TableName"], "PutItem", request["Item"])
        return {}

    def batch_write_item(self, RequestItems: Mapping[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803  # AWS's
        with self._one_at_a_time:
            for name, wanted in RequestItems.items():
                self._requests["BatchWriteItem"] += 1
                for each in wanted:
                    self._put(name, None, each["PutRequest"]["Item"])
        return {}

    def update_item(self, **request: Any) -> dict[str, Any]:
        with self._one_at_a_time:
            table = self._asked("UpdateItem", request["TableName"])
            key = table.key(request["Key"])
            before = table.get(key)
            after = _updated(before or dict(request["Key"]), request)
            self._write(request["TableName"], key, before, after)
        return {"Attributes": after}

    def batch_execute_statement(self, Statements: Sequence[Any], **_: object) -> dict[str, Any]:  # noqa: N803  # AWS's
        with self._one_at_a_time:
            self._requests["BatchExecuteStatement"] += 1
            done = [self._execute(each["Statement"], each["Parameters"]) for each in Statements]
        units = float(sum(units for _, units in done))
        return {"Responses": [answer for answer, _ in done], "ConsumedCapacity": [{"CapacityUnits": units}]}

    def _execute(self, text: str, parameters: Sequence[Any]) -> tuple[dict[str, Any], int]:
        read = _read_statement(text)
        table, values = self._tables[read.table], iter(parameters)
        sets = {name: next(values) for name in read.sets}
        where = {name: next(values) for name in read.present}
        key = table.key(where if read.is_update else sets)
        before = table.get(key)
        if not read.is_update:
            if before is not None:
                return {"Error": {"Code": "DuplicateItem", "Message": "it is there"}}, 1
            return {"TableName": read.table}, self._write(read.table, key, None, sets)
        holds = before is not None and all(before.get(name) == value for name, value in where.items())
        if before is None or not holds or any(name in before for name in read.absent):
            # A condition that fails is charged by the size of the item.
            units = write_units(item_size(before or {}))
            self._units[read.table, "write"] += units
            return {"Error": {"Code": "ConditionalCheckFailed", "Message": "no", "Item": before or {}}}, units
        after = {name: value for name, value in before.items() if name not in read.removes} | sets
        return {"TableName": read.table}, self._write(read.table, key, before, after)

    def _put(self, name: str, operation: str | None, item: Item) -> None:
        with self._one_at_a_time:
            table = self._asked(operation, name)
            key = table.key(item)
            self._write(name, key, table.get(key), item)

    def _asked(self, operation: str | None, table: str) -> _Table:
        if operation:
            self._requests[operation] += 1
        return self._tables[table]

    def _read(self, table: str, items: Iterable[Item], *, is_consistent: bool, kind: str = "read") -> float:
        units = read_units(sum(map(item_size, items)), is_consistent=is_consistent)
        self._units[table, kind] += units  # type: ignore[assignment]  # halves
        return units

    def _write(self, name: str, key: _Key, before: Item | None, after: Item) -> int:
        units, of_index = self._tables[name].put(key, before, after)
        self._units[name, "write"] += units
        self._units[name, "write index"] += of_index
        return units + of_index

    @staticmethod
    def _places(table: _Table, request: Any) -> list[tuple[str, ...]]:
        """What a query finds, in order: of an index the range and the keys of the table, of a table its keys."""
        values = [value["S"] for value in request["ExpressionAttributeValues"].values()]
        hash_value, bound = values[0], values[1] if len(values) > 1 else None
        if "IndexName" not in request:
            found = sorted(table.items.get(hash_value, ()))
            return [(hash_value, each) for each in found if bound is None or each.startswith(bound)]
        entries: list[tuple[str, ...]] = table.entries.get(hash_value, [])  # type: ignore[assignment]  # it is only read
        return entries if bound is None else entries[: bisect_right(entries, (bound, _AFTER_ALL))]


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement that was read: its names, in the order of their parameters."""

    is_update: bool
    table: str
    sets: tuple[str, ...]
    removes: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def _read_statement(text: str) -> _Read:
    match = _STATEMENT.match(text)
    if match is None:
        raise ValueError(f"no statement of the product: {text}")
    verb, table = match.groups()
    if verb != "UPDATE":
        return _Read(is_update=False, table=table, sets=tuple(_FIELD.findall(text)))
    clauses, _, where = text.partition(" WHERE ")
    named, conditions = _CLAUSE.findall(clauses), _CONDITION.findall(where)
    return _Read(
        is_update=True,
        table=table,
        sets=tuple([name for verb, name in named if verb == "SET"]),
        removes=tuple([name for verb, name in named if verb == "REMOVE"]),
        present=tuple([name for name, condition in conditions if condition == "=?"]),
        absent=tuple([name for name, condition in conditions if condition != "=?"]),
    )


def _updated(item: dict[str, Any], request: Any) -> dict[str, Any]:
    """An item after an update expression; its conditions are not looked at."""
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    expression, after = request["UpdateExpression"], dict(item)
    for name, value in _SET.findall(expression):
        after[names.get(name, name)] = values[value]
    for verb, name, value in _ADD_OR_DELETE.findall(expression):
        before, named = set(after.pop(name, {}).get("SS", [])), set(values[value]["SS"])
        if left := before | named if verb == "ADD" else before - named:
            after[name] = {"SS": sorted(left)}
    for removed in _REMOVE.findall(expression):
        for name in _names_in(removed):
            after.pop(names.get(name, name), None)
    return after


def _names_in(text: str) -> Iterator[str]:
    yield from (name.strip() for name in text.split(","))
