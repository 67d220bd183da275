"""DynamoDB's expressions: conditions, filters, key conditions, updates and projections.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tests.simulation.conditions import Condition, Given, Operand, Values
from tests.simulation.grammar import Parser
from tests.simulation.paths import Path
from tests.simulation.rejections import Rejected, invalid
from tests.simulation.updates import Action, IfNotExists, ListAppend, Sum
from tests.simulation.values import InvalidValue, clean_all

_WORDS: Final = re.compile(r"\s+|[#:]?[A-Za-z0-9_]+|<>|<=|>=|[=<>()\[\],.+-]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VERBS: Final = ("SET", "REMOVE", "ADD", "DELETE")

_SYNTAX: Final = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
_RESERVED: Final = _SYNTAX | frozenset(
    # Of the 573 those that this product has for attributes, or might.
    {
        "CALL",
        "CURSOR",
        "DATA",
        "DATE",
        "ERROR",
        "ITEMS",
        "KEY",
        "KEYS",
        "LOCATION",
        "NAME",
        "NUMBER",
        "RECORD",
        "SCOPE",
        "SEGMENT",
        "SEGMENTS",
        "STATE",
        "STATUS",
        "TIME",
        "TIMESTAMP",
        "TOKEN",
        "TOTAL",
        "TRIGGER",
        "TTL",
        "TYPE",
        "VALUE",
        "VALUES",
    }
)
"""Words that stand for no attribute; an alias such as ``#status`` does.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
"""


class _Expression(Parser):
    pattern = _WORDS

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        super().__init__(text)
        self._names = names
        self.aliases: set[str] = set()
        self.placeholders: set[str] = set()

    def name(self) -> str:
        word = self.peek()
        if word.startswith("#"):
            if word not in self._names:
                raise invalid(f"An expression attribute name used in the document path is not defined; name: {word}")
            self.aliases.add(word)
            return self._names[self.next()]
        if not _NAME.fullmatch(word):
            raise self.error()
        if word.upper() in _RESERVED:
            raise invalid(f"Attribute name is a reserved keyword; reserved keyword: {word}")
        return self.next()

    def value(self) -> Operand | None:
        if not self.peek().startswith(":"):
            return None
        self.placeholders.add(self.peek())
        return Given(self.next())

    def actions(self) -> tuple[Action, ...]:
        """The clauses of an update, each of them once."""
        found: list[Action] = []
        verbs: list[str] = []
        while self.peek():
            verb = self.next().upper()
            if verb not in _VERBS:
                raise self.error()
            if verb in verbs:
                raise invalid(f'The "{verb}" section can only be used once in an update expression')
            verbs.append(verb)
            found += self.list_of(lambda verb=verb: self._action(verb))  # type: ignore[misc]  # mypy cannot infer it
        if not found:
            raise invalid("Invalid UpdateExpression: The expression can not be empty")
        return tuple(found)

    def _action(self, verb: str) -> Action:
        path = self.path()
        if verb == "REMOVE":
            return Action(verb, path)
        if verb == "SET":
            self.expect("=")
            return Action(verb, path, self._sum())
        operand = self.value()
        if operand is None:
            raise self.error()
        return Action(verb, path, operand)

    def _sum(self) -> Operand:
        left = self._term()
        if self.peek() in ("+", "-"):
            return Sum(self.next(), left, self._term())
        return left

    def _term(self) -> Operand:
        makers: Mapping[str, Callable[[], Operand]] = {
            "if_not_exists": lambda: IfNotExists(*self.pair(self.path, self._term)),
            "list_append": lambda: ListAppend(*self.pair(self._term, self._term)),
        }
        make = makers.get(self.peek()) if self.peek(1) == "(" else None
        if make is None:
            return self.operand()
        self.next()
        self.expect("(")
        found = make()
        self.expect(")")
        return found


class _Read(NamedTuple):
    """What an expression says, and the placeholders that it takes."""

    meaning: Any
    aliases: frozenset[str]
    placeholders: frozenset[str]


def _read(kind: str, text: str, names: tuple[tuple[str, str], ...]) -> _Read:
    try:
        parser = _Expression(text, dict(names))
        readers: Mapping[str, Callable[[], object]] = {
            "UpdateExpression": parser.actions,
            "ProjectionExpression": lambda: parser.list_of(parser.path),
        }
        meaning = readers.get(kind, parser.condition)()
        parser.expect_end()
    except Rejected as error:
        raise invalid(f"Invalid {kind}: {error.message}") from None
    return _Read(meaning, frozenset(parser.aliases), frozenset(parser.placeholders))


_KINDS: Final = (
    "KeyConditionExpression",
    "ConditionExpression",
    "FilterExpression",
    "UpdateExpression",
    "ProjectionExpression",
)


class Expressions(NamedTuple):
    """What the expressions of one request say, and the values that they take."""

    values: Values
    key_condition: Condition | None
    condition: Condition | None
    filter: Condition | None
    actions: tuple[Action, ...]
    projection: tuple[Path, ...]


def read_expressions(request: Mapping[str, Any]) -> Expressions:
    """The expressions of a request, which have to use every name and value that comes with them.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeValues.html
    """
    names: Mapping[str, str] = request.get("ExpressionAttributeNames", {})
    values = _clean_values(request.get("ExpressionAttributeValues"))
    read = _read_all(tuple([request.get(kind) for kind in _KINDS]), tuple(names.items()))
    used, aliases = read.placeholders, read.aliases
    if used - values.keys():
        raise invalid(
            f"An expression attribute value used in expression is not defined: {sorted(used - values.keys())}"
        )
    if values.keys() != used or names.keys() != aliases:
        unused = sorted((values.keys() - used) | (names.keys() - aliases))
        raise invalid(f"Value provided in ExpressionAttribute... unused in expressions: {unused}")
    key_condition, condition, filtering, actions, projection = read.meaning
    for each in (key_condition, condition, filtering):
        if each is not None:
            each.check(values)
    return Expressions(values, key_condition, condition, filtering, actions or (), projection or ())


@lru_cache(maxsize=4096)
def _read_all(texts: tuple[str | None, ...], names: tuple[tuple[str, str], ...]) -> _Read:
    """The expressions of one request, in the order of their kinds."""
    read = [None if text is None else _read(kind, text, names) for kind, text in zip(_KINDS, texts, strict=True)]
    return _Read(
        tuple(each and each.meaning for each in read),
        frozenset().union(*(each.aliases for each in read if each)),
        frozenset().union(*(each.placeholders for each in read if each)),
    )


def _clean_values(given: Mapping[str, Any] | None) -> Values:
    if given is None:
        return {}
    if not given:
        raise invalid("ExpressionAttributeValues must not be empty")
    try:
        return clean_all(given)
    except InvalidValue as error:
        raise invalid(f"ExpressionAttributeValues contains invalid value: {error}") from None
