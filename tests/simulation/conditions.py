"""Conditions as values: what they are made of, and whether they hold for an item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.simulation.paths import Path, value_at
from tests.simulation.rejections import invalid
from tests.simulation.values import SETS, TYPES, Value, kind_of, sortable

Values = Mapping[str, Value]
"""What the placeholders of an expression stand for."""

ORDERED: Final = frozenset({"S", "N", "B"})
"""The types that ``<`` and its like compare."""

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Operand(Protocol):
    """Something that has a value, or none, for an item."""

    def of(self, item: Values, values: Values) -> Value | None: ...


class Condition(Protocol):
    """Something that holds for an item or does not."""

    def holds(self, item: Values, values: Values) -> bool: ...

    def check(self, values: Values) -> None:
        """Refuse what no item could make sense of, whatever the item is."""


@dataclass(frozen=True, slots=True)
class At:
    """What is at a path."""

    path: Path

    def of(self, item: Values, values: Values) -> Value | None:  # noqa: ARG002  # as every operand
        return value_at(item, self.path)


@dataclass(frozen=True, slots=True)
class Given:
    """What a placeholder stands for."""

    name: str

    def of(self, item: Values, values: Values) -> Value | None:  # noqa: ARG002  # as every operand
        return values[self.name]


@dataclass(frozen=True, slots=True)
class Size:
    """How long a text or a binary is, or how many elements there are; other types have none."""

    path: Path

    def of(self, item: Values, values: Values) -> Value | None:  # noqa: ARG002  # as every operand
        found = value_at(item, self.path)
        if found is None or kind_of(found) in ("N", "BOOL", "NULL"):
            return None
        content = found[kind_of(found)]
        return {"N": str(len(content))}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``=``, ``<>`` and the orders. What is missing equals nothing, and only one type has an order."""

    sign: str
    left: Operand
    right: Operand

    def holds(self, item: Values, values: Values) -> bool:
        left, right = self.left.of(item, values), self.right.of(item, values)
        if self.sign in ("=", "<>"):
            return (left is not None and left == right) == (self.sign == "=")
        return in_order(self.sign, left, right)

    def check(self, values: Values) -> None:
        if self.left == self.right:
            raise invalid("The first operand must be distinct from the remaining operands for this operator")
        if self.sign not in ("=", "<>"):
            check_ordered(self.sign, values, self.left, self.right)


@dataclass(frozen=True, slots=True)
class Between:
    """From one bound to the other, both included."""

    operand: Operand
    low: Operand
    high: Operand

    def holds(self, item: Values, values: Values) -> bool:
        found = self.operand.of(item, values)
        low, high = self.low.of(item, values), self.high.of(item, values)
        return in_order(">=", found, low) and in_order("<=", found, high)

    def check(self, values: Values) -> None:
        check_ordered("BETWEEN", values, self.operand, self.low, self.high)
        if isinstance(self.low, Given) and isinstance(self.high, Given):
            low, high = values[self.low.name], values[self.high.name]
            if kind_of(low) != kind_of(high):
                raise invalid("The BETWEEN operator requires same data type for lower and upper bounds")
            if not in_order("<=", low, high):
                raise invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")


@dataclass(frozen=True, slots=True)
class OneOf:
    """``IN``: equal to one of at most 100."""

    operand: Operand
    choices: tuple[Operand, ...]

    def holds(self, item: Values, values: Values) -> bool:
        found = self.operand.of(item, values)
        return found is not None and any(found == choice.of(item, values) for choice in self.choices)

    def check(self, values: Values) -> None:  # noqa: ARG002  # as every condition
        if len(self.choices) > 100:
            raise invalid("Too many operands of IN; 100 are allowed")


@dataclass(frozen=True, slots=True)
class Exists:
    """``attribute_exists``, ``attribute_not_exists``, ``IS MISSING``."""

    path: Path
    wanted: bool

    def holds(self, item: Values, values: Values) -> bool:  # noqa: ARG002  # as every condition
        return (value_at(item, self.path) is not None) == self.wanted

    def check(self, values: Values) -> None:
        """There is nothing to refuse."""


@dataclass(frozen=True, slots=True)
class HasType:
    """``attribute_type``."""

    path: Path
    kind: Operand

    def holds(self, item: Values, values: Values) -> bool:
        found, wanted = value_at(item, self.path), self.kind.of(item, values)
        return found is not None and wanted is not None and kind_of(found) == wanted.get("S")

    def check(self, values: Values) -> None:
        if not isinstance(self.kind, Given) or values[self.kind.name].get("S") not in TYPES:
            raise invalid("Invalid attribute type name found; valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")


@dataclass(frozen=True, slots=True)
class BeginsWith:
    """``begins_with``, for texts and binaries."""

    operand: Operand
    prefix: Operand

    def holds(self, item: Values, values: Values) -> bool:
        found, prefix = self.operand.of(item, values), self.prefix.of(item, values)
        if found is None or prefix is None or kind_of(found) != kind_of(prefix) or kind_of(found) not in ("S", "B"):
            return False
        return bool(found[kind_of(found)].startswith(prefix[kind_of(found)]))

    def check(self, values: Values) -> None:
        for kind in given_kinds(values, self.operand, self.prefix):
            if kind not in ("S", "B"):
                raise invalid(f"Incorrect operand type for operator or function; begins_with, operand type: {kind}")


@dataclass(frozen=True, slots=True)
class Contains:
    """``contains``: part of a text or binary, or an element of a set or list."""

    operand: Operand
    part: Operand

    def holds(self, item: Values, values: Values) -> bool:
        found, part = self.operand.of(item, values), self.part.of(item, values)
        if found is None or part is None:
            return False
        kind = kind_of(found)
        if kind == "L":
            return part in found["L"]
        if kind_of(part) != SETS.get(kind, kind) or kind not in ("S", "B", *SETS):
            return False
        return part[kind_of(part)] in found[kind]

    def check(self, values: Values) -> None:
        """There is nothing to refuse."""


@dataclass(frozen=True, slots=True)
class AllHold:
    """``AND``."""

    parts: tuple[Condition, ...]

    def holds(self, item: Values, values: Values) -> bool:
        for part in self.parts:  # noqa: SIM110  # twice as fast as all(), and most of what is asked
            if not part.holds(item, values):
                return False
        return True

    def check(self, values: Values) -> None:
        for part in self.parts:
            part.check(values)


@dataclass(frozen=True, slots=True)
class OneHolds:
    """``OR``."""

    parts: tuple[Condition, ...]

    def holds(self, item: Values, values: Values) -> bool:
        return any(part.holds(item, values) for part in self.parts)

    def check(self, values: Values) -> None:
        for part in self.parts:
            part.check(values)


@dataclass(frozen=True, slots=True)
class Not:
    """``NOT``."""

    part: Condition

    def holds(self, item: Values, values: Values) -> bool:
        return not self.part.holds(item, values)

    def check(self, values: Values) -> None:
        self.part.check(values)


def in_order(sign: str, left: Value | None, right: Value | None) -> bool:
    """Whether two values of one type that has an order stand in this one."""
    if left is None or right is None or kind_of(left) != kind_of(right) or kind_of(left) not in ORDERED:
        return False
    return _ORDERS[sign](sortable(left), sortable(right))


def given_kinds(values: Values, *operands: Operand) -> Iterator[str]:
    """The types of those operands that the request brings itself."""
    for operand in operands:
        if isinstance(operand, Given):
            yield kind_of(values[operand.name])


def check_ordered(sign: str, values: Values, *operands: Operand) -> None:
    """Refuse to compare by order what has none."""
    for kind in given_kinds(values, *operands):
        if kind not in ORDERED:
            raise invalid(f"Incorrect operand type for operator or function; {sign}, operand type: {kind}")


def conjuncts(condition: Condition) -> tuple[Condition, ...]:
    """The parts of which all have to hold."""
    if not isinstance(condition, AllHold):
        return (condition,)
    if AllHold not in map(type, condition.parts):
        return condition.parts
    return tuple(part for each in condition.parts for part in conjuncts(each))


def paths_of(condition: Condition) -> set[Path]:
    """Every path that a condition looks at."""
    found: set[Path] = set()
    _collect(condition, found)
    return found


def _collect(node: object, found: set[Path]) -> None:
    if isinstance(node, tuple):
        for part in node:
            _collect(part, found)
    elif isinstance(node, (At, Size)):
        found.add(node.path)
    else:
        if isinstance(node, (Exists, HasType)):
            found.add(node.path)
        for name in getattr(node, "__dataclass_fields__", ()):
            if name != "path":
                _collect(getattr(node, name), found)
