"""Pages of Query and Scan: which rows, in which order, from where, and how many.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
"""

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tests.simulation.conditions import At, BeginsWith, Between, Comparison, Condition, Given, conjuncts, paths_of
from tests.simulation.expressions import Expressions
from tests.simulation.rejections import invalid
from tests.simulation.schema import Keys, KeyValues, Schema
from tests.simulation.sizes import PAGE_LIMIT, item_size
from tests.simulation.values import Item, kind_of

_HASHES: Final = 2**32


class Page(NamedTuple):
    """The rows that one request read, and whether there may be more."""

    rows: tuple[Item, ...]
    size: int
    may_go_on: bool


class Source(NamedTuple):
    """A table, or one of its indexes, whose rows are read."""

    schema: Schema
    keys: Keys
    rows: Mapping[KeyValues, Item]

    @property
    def key_names(self) -> tuple[str, ...]:
        """What says where a row is: of an index, also the table's key."""
        return tuple(dict.fromkeys((*self.keys.names, *self.schema.keys.names)))

    def place(self, row: Item) -> tuple[Any, ...]:
        """By what rows are sorted: partitions by a hash, within them the sort key, then the table's key.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.Partitions.html
        """
        return (self._hash(row), *self.keys.values_of(row), *self.schema.keys.values_of(row))

    def _hash(self, row: Item) -> int:
        return _hash(*row[self.keys.partition].items())

    def is_in_segment(self, row: Item, segment: int, segments: int) -> bool:
        """Parallel scans share out the partitions.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html#Scan.ParallelScan
        """
        return self._hash(row) * segments // _HASHES == segment


@lru_cache(maxsize=4096)
def _hash(value: tuple[str, Any]) -> int:
    return zlib.crc32(repr(dict([value])).encode())


def read_page(source: Source, wanted: Callable[[Item], bool], request: Mapping[str, Any]) -> Page:
    """The rows from ExclusiveStartKey on: at most Limit, at most 1 MB, before any filter.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
    """
    limit = request.get("Limit")
    if limit is not None and limit < 1:
        raise invalid(
            "Value at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
        )
    forward = request.get("ScanIndexForward", True)
    rows = sorted(filter(wanted, source.rows.values()), key=source.place, reverse=not forward)
    if "ExclusiveStartKey" in request:
        start = source.place(source.schema.key_of(request["ExclusiveStartKey"], source.keys))
        rows = [row for row in rows if (source.place(row) > start if forward else source.place(row) < start)]
    return _first_page(rows, limit)


def _first_page(rows: list[Item], limit: int | None) -> Page:
    taken: list[Item] = []
    size = 0
    for row in rows:
        row_size = item_size(row)
        if len(taken) == limit or (taken and size + row_size > PAGE_LIMIT):
            break
        taken.append(row)
        size += row_size
    # Where Limit is reached DynamoDB does not look whether there is more.
    return Page(tuple(taken), size, len(taken) == limit or len(taken) < len(rows))


def check_query(expressions: Expressions, keys: Keys, types: Mapping[str, str]) -> Condition:
    """The key condition: equality of the partition key and, at most, one condition on the sort key.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
    """
    condition = expressions.key_condition
    if condition is None:
        raise invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    found = [_named(part) for part in conjuncts(condition)]
    names = [name for name, _ in found]
    if names.count(keys.partition) != 1 or len(names) != len(set(names)) or not set(names) <= set(keys.names):
        raise invalid("Query condition missed key schema element, or has others")
    if any(name == keys.partition and getattr(part, "sign", "") != "=" for name, part in found):
        raise invalid("Query key condition not supported")
    for name, part in found:
        _check_types(part, types[name], expressions)
    _check_filter(expressions, keys)
    return condition


def _named(part: Condition) -> tuple[str, Condition]:
    match part:
        case Comparison(sign, At((str(name),)), Given(_)) if sign != "<>":
            return name, part
        case Between(At((str(name),)), Given(_), Given(_)):
            return name, part
        case BeginsWith(At((str(name),)), Given(_)):
            return name, part
        case _:
            raise invalid("Invalid operator used in KeyConditionExpression")


def _check_types(part: Condition, kind: str, expressions: Expressions) -> None:
    operands = (getattr(part, name, None) for name in ("right", "low", "high", "prefix"))
    for operand in operands:
        if isinstance(operand, Given) and kind_of(expressions.values[operand.name]) != kind:
            raise invalid(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )


def _check_filter(expressions: Expressions, keys: Keys) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.FilterExpression.html"""
    if expressions.filter is None:
        return
    for path in paths_of(expressions.filter):
        if path[0] in keys.names:
            raise invalid(f"Filter Expression can only contain non-primary key attributes: {path[0]}")
