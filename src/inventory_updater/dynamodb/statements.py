"""Writes as PartiQL statements, pure: the text never holds data, every value is a parameter.

So there is only a handful of texts, far below the limit of 8,192 characters, and nothing in an item can break out
of one. The texts name only attributes of this package.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from inventory_updater.dynamodb.values import to_attribute_list
from inventory_updater.stock.writes import Creation, Update

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef


def statement(table_name: str, write: Update | Creation) -> "BatchStatementRequestTypeDef":
    """One write of a batch; where its condition fails the answer brings the item back, unless it makes a new one.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementRequest.html
    """
    if isinstance(write, Creation):
        attributes = write.key._asdict() | dict(write.attributes)
        text = _insert_text(table_name, tuple(attributes))
        return {"Statement": text, "Parameters": to_attribute_list(attributes.values())}
    return guarded_update(table_name, write.key._asdict(), write.sets, write.removes, write.guard)


def guarded_update(
    table_name: str,
    key: Mapping[str, str],
    sets: Mapping[str, object],
    removes: tuple[str, ...],
    guard: Mapping[str, object],
) -> "BatchStatementRequestTypeDef":
    """An update that holds only while every attribute of ``guard`` has its value, None standing for "is missing"."""
    present = {name: value for name, value in guard.items() if value is not None}
    absent = tuple([name for name, value in guard.items() if value is None])
    text = _update_text(table_name, tuple(key), tuple(sets), removes, tuple(present), absent)
    parameters = to_attribute_list((*sets.values(), *key.values(), *present.values()))
    return {"Statement": text, "Parameters": parameters, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@lru_cache(maxsize=1024)
def _update_text(
    table_name: str,
    key: tuple[str, ...],
    sets: tuple[str, ...],
    removes: tuple[str, ...],
    present: tuple[str, ...],
    absent: tuple[str, ...],
) -> str:
    conditions = [f'"{name}"=?' for name in (*key, *present)]
    conditions += [f'"{name}" IS MISSING' for name in absent]
    clauses = [f'SET "{name}"=?' for name in sets] + [f'REMOVE "{name}"' for name in removes]
    return f'UPDATE "{table_name}" {" ".join(clauses)} WHERE {" AND ".join(conditions)}'


@lru_cache(maxsize=128)
def _insert_text(table_name: str, names: tuple[str, ...]) -> str:
    fields = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table_name}" VALUE {{{fields}}}'
