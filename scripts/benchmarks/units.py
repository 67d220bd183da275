"""How large DynamoDB counts an item, and what reading and writing it is charged as; pure.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from collections.abc import Mapping
from typing import Any, Final

Item = Mapping[str, Any]
"""Attributes as they come in a request's JSON."""

READ_UNIT: Final = 4096
WRITE_UNIT: Final = 1024
PAGE_BYTES: Final = 1_048_576
"""What Query and Scan read at most in one request."""

_SETS: Final = {"SS": "S", "NS": "N", "BS": "B"}


def item_size(item: Item) -> int:
    """Bytes of the names and the values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    """A number has a byte for two significant digits and one more; a map or a list 3 and 1 for each element."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return (len(content.replace("-", "").replace(".", "").strip("0")) + 1) // 2 + 1
    if kind == "M":
        return 3 + len(content) + item_size(content)
    if kind == "L":
        return 3 + sum(1 + _value_size(element) for element in content)
    if kind in _SETS:
        return sum(_value_size({_SETS[kind]: element}) for element in content)
    return 1 if kind in ("BOOL", "NULL") else len(content)


def write_units(*sizes: int) -> int:
    """A unit for each KB that has begun of the larger of an item before and after."""
    return max(1, -(-max(sizes) // WRITE_UNIT))


def read_units(size: int, *, is_consistent: bool) -> float:
    """A unit for each 4 KB that have begun, half of that where the read is eventually consistent."""
    units = max(1, -(-size // READ_UNIT))
    return float(units) if is_consistent else units / 2


def index_write_units(before: Item | None, after: Item | None, keys: tuple[str, str]) -> int:
    """What a write costs in an index, by the entries of an item before and after; None where it has none.

    One write where an entry is made, changed or deleted, two where its key changes, nothing where it stays.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
    """
    if before == after:
        return 0
    if before is not None and after is not None and all(before[name] == after[name] for name in keys):
        return write_units(item_size(before), item_size(after))
    return sum(write_units(item_size(entry)) for entry in (before, after) if entry is not None)
