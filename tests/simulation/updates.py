"""What an update does to an item: actions as values, and what becomes of the item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from tests.simulation.conditions import Operand, Values
from tests.simulation.paths import Path, overlap, put_at, remove_at, value_at
from tests.simulation.rejections import invalid
from tests.simulation.values import EXACT, SETS, InvalidValue, Item, Value, copied, format_number, kind_of
from tests.simulation.values import clean as cleaned

WRONG_TYPE = "An operand in the update expression has an incorrect data type"


@dataclass(frozen=True, slots=True)
class Sum:
    """``+`` and ``-`` of two numbers."""

    sign: str
    left: Operand
    right: Operand

    def of(self, item: Values, values: Values) -> Value | None:
        left, right = present(self.left, item, values), present(self.right, item, values)
        if "N" not in left or "N" not in right:
            raise invalid(WRONG_TYPE)
        return added(left, right) if self.sign == "+" else added(left, {"N": str(-Decimal(right["N"]))})


@dataclass(frozen=True, slots=True)
class IfNotExists:
    """What is at a path, or something else where nothing is."""

    path: Path
    otherwise: Operand

    def of(self, item: Values, values: Values) -> Value | None:
        found = value_at(item, self.path)
        return self.otherwise.of(item, values) if found is None else found


@dataclass(frozen=True, slots=True)
class ListAppend:
    """One list after the other."""

    first: Operand
    second: Operand

    def of(self, item: Values, values: Values) -> Value | None:
        first, second = present(self.first, item, values), present(self.second, item, values)
        if "L" not in first or "L" not in second:
            raise invalid(WRONG_TYPE)
        return {"L": first["L"] + second["L"]}


@dataclass(frozen=True, slots=True)
class Action:
    """One of SET, ADD, DELETE and REMOVE, at a path."""

    verb: str
    path: Path
    operand: Operand | None = None


def present(operand: Operand, item: Values, values: Values) -> Value:
    """The value of an operand that has to have one."""
    found = operand.of(item, values)
    if found is None:
        raise invalid("The provided expression refers to an attribute that does not exist in the item")
    return found


def added(left: Value, right: Value) -> Value:
    """A sum, refused where it has more digits or another magnitude than DynamoDB holds."""
    try:
        return {"N": format_number(EXACT.add(Decimal(left["N"]), Decimal(right["N"])))}
    except InvalidValue as error:
        raise invalid(str(error)) from None


def check_actions(actions: Sequence[Action], key_names: Iterable[str]) -> None:
    """Refuse two actions on one place, and any on the key.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
    """
    heads = {action.path[0] for action in actions}
    if len(heads) < len(actions) and any(overlap(one.path, other.path) for one, other in combinations(actions, 2)):
        raise invalid("Invalid UpdateExpression: Two document paths overlap with each other")
    for name in heads.intersection(key_names):
        raise invalid(f"Cannot update attribute {name}. This attribute is part of the key")


def updated(before: Item, actions: Sequence[Action], values: Values) -> Item:
    """The item after all actions; each of them sees it as it was before.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
    """
    after = dict(before)
    for head in before.keys() & {action.path[0] for action in actions if len(action.path) > 1}:
        after[head] = copied(before[head])  # it is changed in place, and what was before stays as it was
    outcomes = [(action.path, _outcome(action, before, values)) for action in actions]
    settable = [(path, value) for path, value in outcomes if value is not None]
    for path, value in sorted(settable, key=lambda each: _places(each[0])):
        put_at(after, path, value)
    removable = [path for path, value in outcomes if value is None]
    for path in sorted(removable, key=_places, reverse=True):  # so that no list shifts under a later one
        remove_at(after, path)
    return after


def _places(path: Path) -> list[int]:
    return [part for part in path if isinstance(part, int)]


def _outcome(action: Action, before: Item, values: Values) -> Value | None:
    """What is at the action's path afterwards; nothing where it is removed."""
    if action.operand is None:
        return None
    given = present(action.operand, before, values)
    if action.verb == "SET":
        return given
    change = {"ADD": _added_to, "DELETE": _taken_from}[action.verb]
    return change(value_at(before, action.path), given)


def _added_to(found: Value | None, given: Value) -> Value:
    """ADD: to a number, or to a set.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html#Expressions.UpdateExpressions.ADD
    """
    kind = kind_of(given)
    if kind not in ("N", *SETS):
        raise invalid(f"Incorrect operand type for operator or function; operator: ADD, operand type: {kind}")
    if found is None:
        return given
    if kind_of(found) != kind:
        raise invalid(WRONG_TYPE)
    if kind == "N":
        return added(found, given)
    return _set_of(kind, found, lambda old: [*old, *(one for one in given[kind] if one not in old)])


def _taken_from(found: Value | None, given: Value) -> Value | None:
    """DELETE: from a set, which is gone when it is empty.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html#Expressions.UpdateExpressions.DELETE
    """
    kind = kind_of(given)
    if kind not in SETS:
        raise invalid(f"Incorrect operand type for operator or function; operator: DELETE, operand type: {kind}")
    if found is None:
        return None
    if kind_of(found) != kind:
        raise invalid(WRONG_TYPE)
    if set(found[kind]) <= set(given[kind]):
        return None
    return _set_of(kind, found, lambda old: [one for one in old if one not in given[kind]])


def _set_of(kind: str, found: Value, change: Callable[[list[object]], list[object]]) -> Value:
    return cleaned({kind: change(found[kind])})
