"""Writes as PartiQL statements, pure: the text never holds data, every value is a parameter.

So there is only a handful of texts, far below the limit of 8,192 characters, and nothing in an item can break out
of one. The texts name only attributes of this package.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from inventory_updater.dynamodb.values import to_attribute_value
from inventory_updater.stock.planning import Update
from inventory_updater.stock.scheduling import Creation

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import BatchExecuteStatementInputTypeDef, BatchStatementRequestTypeDef


@dataclass(frozen=True, slots=True)
class Statement:
    """One write; where its condition fails the answer brings the item back, unless the write makes a new one.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementRequest.html
    """

    text: str
    parameters: Sequence[object]
    returns_item: bool

    def to_request(self) -> "BatchStatementRequestTypeDef":
        """The statement as botocore takes it."""
        request: BatchStatementRequestTypeDef = {
            "Statement": self.text,
            "Parameters": [to_attribute_value(parameter) for parameter in self.parameters],
        }
        if self.returns_item:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return request


def batch_request(statements: Iterable[Statement]) -> "BatchExecuteStatementInputTypeDef":
    """The request for a batch of statements, as botocore takes it."""
    return {"Statements": [one.to_request() for one in statements], "ReturnConsumedCapacity": "TOTAL"}


def statement(table_name: str, write: Update | Creation) -> Statement:
    """One write as a statement."""
    if isinstance(write, Creation):
        attributes = write.key._asdict() | dict(write.attributes)
        return Statement(_insert_text(table_name, tuple(attributes)), list(attributes.values()), returns_item=False)
    present = {name: value for name, value in write.guard.items() if value is not None}
    absent = tuple([name for name, value in write.guard.items() if value is None])
    text = _update_text(table_name, tuple(write.sets), write.removes, tuple(present), absent)
    return Statement(text, [*write.sets.values(), *write.key, *present.values()], returns_item=True)


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
