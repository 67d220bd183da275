"""Where an engine does otherwise than AWS documents: by engine and sequence, what it does, and AWS's page.

What neither the engine nor a page decides is here too, and says so: there the table in memory took the stricter side.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Difference(NamedTuple):
    """What an engine does, and the page that says otherwise."""

    does: str
    page: str


_GUIDE: Final = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide"
_REFERENCE: Final = "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference"
_UPDATES: Final = f"{_GUIDE}/Expressions.UpdateExpressions.html"
_OPERATORS: Final = f"{_GUIDE}/Expressions.OperatorsAndFunctions.html"
_NUMBERS: Final = f"{_GUIDE}/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number"
_UPDATE_ITEM: Final = f"{_REFERENCE}/API_UpdateItem.html"
_KEY_CONDITIONS: Final = f"{_GUIDE}/Query.KeyConditionExpressions.html"
_BATCH: Final = f"{_REFERENCE}/API_BatchExecuteStatement.html"
_INDEX_KEYS: Final = f"{_GUIDE}/GSI.html"
_CAPACITY: Final = f"{_GUIDE}/CapacityUnitCalculations.html"

_MINISTACK: Final[Mapping[str, Difference]] = {
    "what an update of nothing returns": Difference("answers empty Attributes instead of none", _UPDATE_ITEM),
    "refused: SET b = t + :a": Difference("takes the text for the sum", _UPDATES),
    "refused: SET b = :t + :a": Difference("takes the text for the sum", _UPDATES),
    "refused: SET b = a * :a": Difference("ignores what follows the operand", _UPDATES),
    "refused: SET t[0] = :a": Difference("ignores it", _UPDATES),
    "refused: SET b = list_append(t, :l)": Difference("takes the text for an empty list", _UPDATES),
    "refused: SET a = :a, a = :a": Difference("does both", _UPDATE_ITEM),
    "refused: REMOVE nothing.k": Difference(
        "ignores it; no page says that it is refused, DynamoDB Local does", _UPDATES
    ),
    "refused: REMOVE a.k": Difference("ignores it; no page says that it is refused, DynamoDB Local does", _UPDATES),
    "refused: ADD m.k :a": Difference("makes the map", _UPDATES),
    "refused: SET a = :a SET b = :a": Difference("does both; a clause may be there once", _UPDATES),
    "refused: SET a = :a +": Difference("ignores the sign", _UPDATES),
    "refused: a < :a {'a': None}": Difference("says that the condition failed", _OPERATORS),
    "refused: a < :a {'a': [1]}": Difference("says that the condition failed", _OPERATORS),
    "refused: a = a {}": Difference("compares; no page says that it is refused, DynamoDB Local does", _OPERATORS),
    "refused: a BETWEEN :a AND :b {'a': 1, 'b': 'x'}": Difference("says that the condition failed", _OPERATORS),
    "refused: attribute_type(a, :k) {'k': 'X'}": Difference("says that the condition failed", _OPERATORS),
    "refused: begins_with(a, :a) {'a': '5'}": Difference("refuses it where the attribute is a number", _OPERATORS),
    "REMOVE of two places in a list": Difference("counts the second place after the first is gone", _UPDATES),
    "a number that gets too long": Difference("rounds it to 38 digits", _NUMBERS),
    "a query of what is none": Difference("finds nothing instead of refusing it", _KEY_CONDITIONS),
    "a filter on the key": Difference("filters instead of refusing it", f"{_GUIDE}/Query.FilterExpression.html"),
    "a statement that appends to a list": Difference("knows no list_append", f"{_GUIDE}/ql-reference.update.html"),
    "conditions and changes of statements that are rare": Difference(
        "takes what is missing for NULL, compares an attribute with itself, takes bounds in the wrong order, does two "
        "things at one place, and knows neither if_not_exists nor a longer sum",
        f"{_GUIDE}/ql-operators.html",
    ),
    "a statement with an OR": Difference("knows no OR", f"{_GUIDE}/ql-operators.html"),
    "a statement that changes the key": Difference("moves the item", f"{_GUIDE}/ql-reference.update.html"),
    "a batch that names an item twice": Difference("does both; see docs/engines.md", _BATCH),
    "a statement that sets one place twice": Difference("does both; no page says otherwise", _UPDATE_ITEM),
    "a statement that puts a number into the key of an index": Difference("does it; see docs/engines.md", _INDEX_KEYS),
}

_DYNAMODB_LOCAL: Final[Mapping[str, Difference]] = {
    "an update that puts a number into the key of an index": Difference("does it", _INDEX_KEYS),
    "a statement that puts a number into the key of an index": Difference("does it; see docs/engines.md", _INDEX_KEYS),
    "what an update of an element returns": Difference(
        "the whole map; the page speaks of the updated attributes only", _UPDATE_ITEM
    ),
    "the capacity of a query that finds nothing": Difference("0 units; no page names the least", _CAPACITY),
    "the capacity of a batch that finds nothing": Difference("0 units; an item that is not there costs", _CAPACITY),
    "a page of 1 MB": Difference("ends it after the item that exceeds 1 MB", f"{_GUIDE}/Query.Pagination.html"),
    "a number that is written out with a zero at its end": Difference("gives it back so", _NUMBERS),
    "a batch that names an item twice": Difference("refuses it, and has done both all the same", _BATCH),
}

DIFFERENT: Final[Mapping[str, Mapping[str, Difference]]] = {
    "ministack": _MINISTACK,
    "dynamodb_local": _DYNAMODB_LOCAL,
}
"""By the engine's name in the fixtures."""
