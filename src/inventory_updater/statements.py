"""Writes as PartiQL statements, pure: the text never holds data, every value is a parameter.

So there is only a handful of texts, far below the limit of 8,192 characters, and nothing in an item can break out
of one. The texts name only attributes of this package.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from inventory_updater.attribute_values import to_attribute_value
from inventory_updater.planning import Update
from inventory_updater.scheduling import Creation

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef


def statement(table_name: str, write: Update | Creation) -> "BatchStatementRequestTypeDef":
    """One write as an element of ``BatchExecuteStatement``; a failed condition brings the item back."""
    if isinstance(write, Creation):
        attributes = write.key._asdict() | dict(write.attributes)
        return {
            "Statement": _insert_text(table_name, tuple(attributes)),
            "Parameters": [to_attribute_value(value) for value in attributes.values()],
        }
    present = {name: value for name, value in write.guard.items() if value is not None}
    absent = tuple(name for name in write.guard if name not in present)
    text = _update_text(table_name, tuple(write.sets), write.removes, tuple(present), absent)
    values = [*write.sets.values(), *write.key, *present.values()]
    return {
        "Statement": text,
        "Parameters": [to_attribute_value(value) for value in values],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


@lru_cache(maxsize=1024)
def _update_text(
    table_name: str, sets: tuple[str, ...], removes: tuple[str, ...], present: tuple[str, ...], absent: tuple[str, ...]
) -> str:
    conditions = [f'"{name}"=?' for name in ("sku", "location_id", *present)]
    conditions += [f'"{name}" IS MISSING' for name in absent]
    clauses = [f'SET "{name}"=?' for name in sets] + [f'REMOVE "{name}"' for name in removes]
    return f'UPDATE "{table_name}" {" ".join(clauses)} WHERE {" AND ".join(conditions)}'


@lru_cache(maxsize=128)
def _insert_text(table_name: str, names: tuple[str, ...]) -> str:
    fields = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table_name}" VALUE {{{fields}}}'
