"""DynamoDB's values as its JSON has them: checked, brought to one form, copied and compared.

In that form equal values are equal dictionaries: numbers are written in one way, and sets are sorted.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

Value = Mapping[str, Any]
"""One value, such as ``{"S": "x"}``."""

Item = dict[str, Value]

EXACT: Final = Context(prec=300, Emin=-999, Emax=999)
"""More than any sum of two numbers needs."""

TYPES: Final = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
SETS: Final = {"SS": "S", "NS": "N", "BS": "B"}

_PYTHON_TYPES: Final[Mapping[str, type]] = {"S": str, "BOOL": bool, "NULL": bool}
_DIGITS: Final = 38
_LARGEST_EXPONENT: Final = 125
_SMALLEST_EXPONENT: Final = -130
_DEPTH: Final = 32


class InvalidValue(ValueError):
    """A value that DynamoDB does not take."""


def normal_number(text: object) -> str:
    """A number as DynamoDB gives it back: without zeros at its ends, exponent and needless sign.

    At most 38 digits, from 1E-130 to 9.99E+125.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number
    """
    if not isinstance(text, str):
        raise InvalidValue("a number is sent as text")
    return _normal_number(text)


@lru_cache(maxsize=4096)
def _normal_number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise InvalidValue(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not number.is_finite():
        raise InvalidValue(f"The parameter cannot be converted to a numeric value: {text}")
    if not number:
        return "0"
    return format_number(number)


def format_number(number: Decimal) -> str:
    """A finite number in its one form, or refused because it is too long, too large or too small."""
    if not number:
        return "0"
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > _DIGITS:
        raise InvalidValue("Attempting to store more than 38 significant digits in a Number")
    if number.adjusted() > _LARGEST_EXPONENT:
        raise InvalidValue("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if number.adjusted() < _SMALLEST_EXPONENT:
        raise InvalidValue("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    return f"{number.normalize(EXACT):f}"


def clean(value: Value, depth: int = 0) -> Value:
    """A value in its one form: a text or number that has it already itself, anything else as a copy.

    Raises:
        InvalidValue: where DynamoDB would not take it.
    """
    try:
        ((kind, content),) = value.items()
    except ValueError:
        raise InvalidValue("Supplied AttributeValue must contain exactly one of the supported datatypes") from None
    if depth > _DEPTH:
        raise InvalidValue("Nesting Levels have exceeded supported limits")
    if type(content) is str and (kind == "S" or (kind == "N" and _normal_number(content) == content)):
        return value
    if kind not in TYPES:
        raise InvalidValue(f"there is no type {kind}")
    if kind in SETS:
        return {kind: _clean_set(kind, content)}
    if kind == "M":
        return {kind: clean_all(content, depth + 1)}
    if kind == "L":
        return {kind: [clean(element, depth + 1) for element in content]}
    return {kind: _clean_scalar(kind, content)}


def clean_all(values: Mapping[str, Value], depth: int = 0) -> Item:
    """Values by name, each in its one form; most are texts, which are told apart here at less than half the cost."""
    are_too_deep = depth > _DEPTH
    return {
        name: value if type(value.get("S")) is str and len(value) == 1 and not are_too_deep else clean(value, depth)
        for name, value in values.items()
    }


def _clean_scalar(kind: str, content: Any) -> object:
    if kind == "N":
        return normal_number(content)
    if kind == "B":
        return bytes(content)
    if not isinstance(content, _PYTHON_TYPES[kind]):
        raise InvalidValue(f"{content!r} is no {kind}")
    if kind == "NULL" and content is not True:
        raise InvalidValue("Null attribute value types must have the value of true")
    return content


def _clean_set(kind: str, content: Any) -> list[Any]:
    """Sets are neither empty nor hold anything twice.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.SetTypes
    """
    elements = [_clean_scalar(SETS[kind], element) for element in content]
    if not elements:
        raise InvalidValue("An set may not be empty")
    if len(set(elements)) != len(elements):
        raise InvalidValue("Input collection contains duplicates")
    return sorted(elements, key=Decimal if kind == "NS" else None)


def kind_of(value: Value) -> str:
    """The type of a value."""
    return next(iter(value))


def sortable(value: Value) -> Any:
    """What a text, number or binary is sorted and compared by.

    Texts by their UTF-8 bytes, which is the order of their code points and so Python's; numbers by value.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes
    """
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


def copied(value: Value) -> Value:
    """A value whose maps, lists and sets its receiver may change without changing the table's.

    Texts and numbers, which are nearly all, are shared: one is replaced as a whole, never changed in its dictionary.
    """
    if "S" in value or "N" in value:
        return value
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: copied_item(content)}
    if kind == "L":
        return {kind: [copied(element) for element in content]}
    return {kind: list(content) if kind in SETS else content}


def copied_item(item: Mapping[str, Value]) -> Item:
    """A copy of an item down to its last element."""
    return {name: value if "S" in value or "N" in value else copied(value) for name, value in item.items()}
