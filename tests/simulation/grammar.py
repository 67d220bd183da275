"""What DynamoDB's two languages share: words of a text, and conditions built of them.

``expressions`` and ``partiql`` say how names, values and functions are written in each.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from tests.simulation.conditions import (
    AllHold,
    At,
    BeginsWith,
    Between,
    Comparison,
    Condition,
    Contains,
    Exists,
    HasType,
    Not,
    OneHolds,
    OneOf,
    Operand,
    Size,
)
from tests.simulation.paths import Path
from tests.simulation.rejections import Rejected, invalid

T = TypeVar("T")

COMPARISONS: Final = ("=", "<>", "<=", "<", ">=", ">")


def words(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The words of a text; where there is something else it is refused."""
    place = 0
    while place < len(text):
        found = pattern.match(text, place)
        if not found:
            raise invalid(f"Syntax error; token: {text[place : place + 10]!r}")
        place = found.end()
        if found[0].strip():
            yield found[0]


class Parser:
    """Reads a text from left to right. Conditions are the same in both languages.

    OR binds less than AND, AND less than NOT, as documented under "Operator precedence".
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
    """

    pattern: re.Pattern[str]

    def __init__(self, text: str) -> None:
        self._words = list(words(text, self.pattern))
        self._place = 0
        self._functions: Mapping[str, Callable[[], Condition]] = {
            "attribute_exists": lambda: Exists(self.path(), wanted=True),
            "attribute_not_exists": lambda: Exists(self.path(), wanted=False),
            "attribute_type": lambda: HasType(*self.pair(self.path, self.operand)),
            "begins_with": lambda: BeginsWith(*self.pair(self.operand, self.operand)),
            "contains": lambda: Contains(*self.pair(self.operand, self.operand)),
        }

    # Words

    def peek(self, ahead: int = 0) -> str:
        """The word that comes, ``""`` at the end."""
        place = self._place + ahead
        return self._words[place] if place < len(self._words) else ""

    def next(self) -> str:
        word = self.peek()
        self._place += 1
        return word

    def comes(self, *wanted: str) -> bool:
        """Whether these words come, whatever their case; then they are passed."""
        for ahead, word in enumerate(wanted):
            if self.peek(ahead).upper() != word.upper():
                return False
        self._place += len(wanted)
        return True

    def expect(self, wanted: str) -> None:
        if not self.comes(wanted):
            raise self.error()

    def expect_end(self) -> None:
        if self.peek():
            raise self.error()

    def error(self) -> Rejected:
        return invalid(f"Syntax error; token: {self.peek() or '<EOF>'}")

    def list_of(self, element: Callable[[], T], separator: str = ",") -> tuple[T, ...]:
        """One element or several."""
        found = [element()]
        while self.comes(separator):
            found.append(element())
        return tuple(found)

    def pair(self, first: Callable[[], T], second: Callable[[], Operand]) -> tuple[T, Operand]:
        """Two parameters of a function."""
        one = first()
        self.expect(",")
        return one, second()

    # What the languages write differently

    def name(self) -> str:
        """The name of an attribute or of an element of a map."""
        raise NotImplementedError

    def value(self) -> Operand | None:
        """What the request brings, if it comes."""
        raise NotImplementedError

    # Paths, operands, conditions

    def path(self) -> Path:
        """A document path."""
        found: list[str | int] = [self.name()]
        while self.peek() in (".", "["):
            if self.next() == ".":
                found.append(self.name())
            else:
                found.append(self._place_in_list())
                self.expect("]")
        return tuple(found)

    def _place_in_list(self) -> int:
        if not self.peek().isdigit():
            raise self.error()
        return int(self.next())

    def operand(self) -> Operand:
        """A path, a value or a size."""
        if self.comes("size", "("):
            found = Size(self.path())
            self.expect(")")
            return found
        value = self.value()
        return At(self.path()) if value is None else value

    def condition(self) -> Condition:
        parts = self.list_of(self._conjunction, "OR")
        return parts[0] if len(parts) == 1 else OneHolds(parts)

    def _conjunction(self) -> Condition:
        parts = self.list_of(self._negation, "AND")
        return parts[0] if len(parts) == 1 else AllHold(parts)

    def _negation(self) -> Condition:
        if self.comes("NOT"):
            return Not(self._negation())
        if self.comes("("):
            found = self.condition()
            self.expect(")")
            return found
        return self._predicate()

    def _predicate(self) -> Condition:
        function = self._functions.get(self.peek().lower()) if self.peek(1) == "(" else None
        if function is not None:
            self._place += 2
            found = function()
            self.expect(")")
            return found
        return self.relation(self.operand())

    def relation(self, left: Operand) -> Condition:
        """What is said of an operand."""
        if self.comes("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            return Between(left, low, self.operand())
        if self.comes("IN"):
            return OneOf(left, self._choices())
        if self.peek() not in COMPARISONS:
            raise self.error()
        return Comparison(self.next(), left, self.operand())

    def _choices(self) -> tuple[Operand, ...]:
        self.expect("(")
        found = self.list_of(self.operand)
        self.expect(")")
        return found
