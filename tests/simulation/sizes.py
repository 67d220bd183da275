"""How large DynamoDB counts an item, and what reading and writing it costs.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from collections.abc import Mapping
from typing import Final

from tests.simulation.values import SETS, Value

ITEM_LIMIT: Final = 400 * 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items"""

PAGE_LIMIT: Final = 1024 * 1024
"""What Query and Scan read at most in one request.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
"""

BATCH_READ_LIMIT: Final = 16 * 1024 * 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_WRITE_UNIT: Final = 1024
_READ_UNIT: Final = 4096


def item_size(item: Mapping[str, Value] | None) -> int:
    """The sum of the sizes of names and values; nothing is 0."""
    return sum(len(name.encode()) + value_size(value) for name, value in (item or {}).items())


def value_size(value: Value) -> int:
    """The size of one value; a list or a map takes 3 bytes, and 1 for each element."""
    ((kind, content),) = value.items()
    if kind in SETS:
        return sum(value_size({SETS[kind]: element}) for element in content)
    if kind == "M":
        return 3 + len(content) + item_size(content)
    if kind == "L":
        return 3 + sum(1 + value_size(element) for element in content)
    if kind == "N":
        return number_size(content)
    if kind in ("NULL", "BOOL"):
        return 1
    return len(content.encode() if kind == "S" else content)


def number_size(text: str) -> int:
    """One byte for two significant digits, and one more ("approximately", says the page)."""
    digits = text.replace("-", "").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1


def write_units(size: int) -> float:
    """1 for each KB that has begun."""
    return float(max(1, -(-size // _WRITE_UNIT)))


def read_units(size: int, *, consistent: bool) -> float:
    """1 for each 4 KB that have begun, half of it where the read is eventually consistent; also where nothing is."""
    units = float(max(1, -(-size // _READ_UNIT)))
    return units if consistent else units / 2


def index_write_units(
    before: Mapping[str, Value] | None, after: Mapping[str, Value] | None, *, same_key: bool
) -> float:
    """What a write costs in an index, by the entry that was there and the one that is there now.

    Nothing where the entry stays as it is, one write where it is made, changed or deleted, two where its key changes.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
    """
    if before == after:
        return 0.0
    if before is not None and after is not None and same_key:
        return write_units(max(item_size(before), item_size(after)))
    return sum(write_units(item_size(entry)) for entry in (before, after) if entry is not None)
