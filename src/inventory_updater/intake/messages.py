"""What systems send: changes as JSON objects, with the fields of a change file.

A number may be a JSON number or text; text is exact whatever it goes through. What is ``null`` is absent. A field that
nobody knows is refused, since a system that sends it means something by it.
https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from inventory_updater.intake.text_rows import (
    AS_IT_STANDS,
    CHANGE_COLUMNS,
    ChangeRow,
    Problem,
    TextRow,
    change_row,
    cut_short,
    nearest,
    shown,
)
from inventory_updater.stock.numbers import ZERO, parse_number
from inventory_updater.stock.times import parse_time

NAMES: Final = ("change_id", "sku", "location_id")
NUMBERS: Final = ("value", "expected")

_EXACT_DIGITS: Final = 15
"""What a binary floating-point number surely keeps (IEEE 754, DBL_DIG)."""

_LONGEST_WHOLE_NUMBER: Final = 10**126
HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Object(TextRow):
    """A change as an object: its fields as text. Systems write numbers and times in one form."""

    id_hint: ClassVar[str] = ""

    def told(self) -> Iterable[Problem]:
        """The first of each field: of one that is no text nothing more is to be said."""
        first = dict[str | None, Problem]()
        for problem in self.problems:
            first.setdefault(problem.column, problem)
        return first.values()

    def number(self, column: str) -> Decimal:
        try:
            return parse_number(self.cells[column])
        except ValueError as error:
            self.refuse(column, "NOT_A_NUMBER", f"{self.found(column)} {error}; it wants a number such as -12 or 3.50")
            return ZERO

    def time(self, column: str) -> str:
        try:
            return parse_time(self.cells[column])
        except ValueError as error:
            self.refuse(column, "NO_TIME", f"{self.found(column)} {error}")
            return ""


def read_changes(objects: Sequence[object]) -> Iterator[ChangeRow | Problem]:
    """Read changes one by one: each, or everything that is wrong with it.

    The ``line`` of a row and of a problem is its place in ``objects``, from 0; a problem's ``column`` is its field.
    """
    for place, said in enumerate(objects):
        if not isinstance(said, Mapping):
            yield Problem(place, None, "NOT_AN_OBJECT", f"is {_kind_of(said)}; a change is an object with its fields")
            continue
        row = object_row(place, said)
        read = change_row(row)
        if row.problems:
            yield from row.told()
        else:
            yield read


def names_in(said: object) -> dict[str, str]:
    """What a change names as its id and its item, as far as that is text, whatever else is wrong with it."""
    if not isinstance(said, Mapping):
        return {}
    return {name: said[name].strip() for name in NAMES if isinstance(said.get(name), str)}


def object_row(place: int, said: Mapping[object, object]) -> TextRow:
    """An object as a row: the ``line`` of the row is ``place``, and what is wrong with its fields is noted there."""
    row = _Object(place, dict.fromkeys(CHANGE_COLUMNS, ""), list(CHANGE_COLUMNS), (), AS_IT_STANDS)
    for name, value in said.items():
        if name not in CHANGE_COLUMNS:
            message = f"there is no field {shown(str(name))}{nearest(str(name), CHANGE_COLUMNS)}"
            row.problems.append(Problem(place, printable(str(name)), "UNKNOWN_FIELD", message))
            continue
        try:
            row.cells[str(name)] = _text_of(str(name), value)
        except _NoText as error:
            # Something stands in for it, so that it is not told to be missing as well.
            row.cells[str(name)] = "0"
            row.problems.append(Problem(place, str(name), error.code, str(error), error.value))
    row.came = [_as_it_came(said.get(column)) for column in CHANGE_COLUMNS]
    return row


def _as_it_came(value: object) -> str:
    """A field as the cell of a file in which it can be corrected."""
    if value is None:
        return ""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return ""  # what could just be read may be nested too deep to be written
    return text.encode(errors="backslashreplace").decode()


class _NoText(ValueError):
    """A value that cannot be taken for the text of its field."""

    def __init__(self, code: str, message: str, value: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.value = value


def _text_of(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if HALF_A_CHARACTER.search(value):
            raise _NoText("NOT_TEXT", f"{shown(value)} holds half of a character", printable(value))
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or name not in NUMBERS:
        wanted = "a number, or text that is one" if name in NUMBERS else "text"
        raise _NoText("WRONG_TYPE", f"is {_kind_of(value)}; it wants {wanted}")
    return _number_as_text(value)


def _number_as_text(value: float) -> str:
    if isinstance(value, int):
        if abs(value) >= _LONGEST_WHOLE_NUMBER:
            raise _NoText("NOT_A_NUMBER", "is too large for DynamoDB")
        return str(value)
    if not math.isfinite(value):
        raise _NoText("NOT_A_NUMBER", f"{value} is not a number that can be stored", str(value))
    number = Decimal(repr(value))
    if len(number.as_tuple().digits) > _EXACT_DIGITS:
        message = f"{value!r} has more than {_EXACT_DIGITS} digits, which not every JSON library keeps; send it as text"
        raise _NoText("NOT_EXACT", message, repr(value))
    return format(number, "f")


def printable(text: str) -> str:
    """Text as it can be sent back: cut short where it is long, halves of characters escaped."""
    return cut_short(text).encode(errors="backslashreplace").decode()


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case _:
            return "a list"
