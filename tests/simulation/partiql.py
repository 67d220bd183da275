"""The PartiQL statements that write: UPDATE, INSERT, DELETE.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tests.simulation.conditions import (
    AllHold,
    At,
    Comparison,
    Condition,
    Exists,
    Given,
    HasType,
    Not,
    Operand,
    Values,
    conjuncts,
)
from tests.simulation.grammar import Parser
from tests.simulation.rejections import Rejected, invalid
from tests.simulation.schema import clean_item
from tests.simulation.updates import Action, IfNotExists, ListAppend, Sum
from tests.simulation.values import InvalidValue, Item, Value, clean, kind_of

_WORDS: Final = re.compile(
    r"""\s+|"(?:[^"]|"")+"|'(?:[^']|'')*'|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\w+|<>|!=|<=|>=|<<|>>|[=<>()\[\]{},.:?+-]"""
)
_NUMBER: Final = re.compile(r"-?\d.*")
_CONSTANTS: Final[Mapping[str, Value]] = {"TRUE": {"BOOL": True}, "FALSE": {"BOOL": False}, "NULL": {"NULL": True}}


@dataclass(frozen=True, slots=True)
class Update:
    """``UPDATE "table" SET ... REMOVE ... WHERE ...``: of one item, which has to be there."""

    table: str
    actions: tuple[Action, ...]
    where: Condition


@dataclass(frozen=True, slots=True)
class Delete:
    """``DELETE FROM "table" WHERE ...``: of one item; where it is not there nothing happens.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.delete.html
    """

    table: str
    where: Condition


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO "table" VALUE {...}``: of an item that is not there yet."""

    table: str
    attributes: tuple[tuple[str, Operand], ...]


Statement = Update | Delete | Insert


class Bound(NamedTuple):
    """A statement with the values of its parameters."""

    statement: Statement
    values: Values

    def inserted(self) -> Item:
        """What an INSERT puts into the table."""
        assert isinstance(self.statement, Insert)
        found = {name: operand.of({}, self.values) for name, operand in self.statement.attributes}
        return clean_item({name: value for name, value in found.items() if value is not None})

    def key_and_condition(self, key_names: tuple[str, ...]) -> tuple[Item, Condition]:
        """The item that WHERE names, by equality of each part of its key, and what else it asks of it.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.update.html
        """
        assert not isinstance(self.statement, Insert)
        key: dict[str, Value] = {}
        rest: list[Condition] = []
        for part in conjuncts(self.statement.where):
            match part:
                case Comparison("=", At((str(name),)), Given(placeholder)) if name in key_names and name not in key:
                    key[name] = self.values[placeholder]
                case _:
                    rest.append(part)
        if key.keys() != set(key_names):
            raise invalid("Where clause does not contain a mandatory equality on all key attributes")
        return key, AllHold(tuple(rest))


class _Statement(Parser):
    pattern = _WORDS

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.parameters = 0
        self.constants: dict[str, Value] = {}

    def name(self) -> str:
        word = self.peek()
        if word.startswith('"'):
            return self.next()[1:-1].replace('""', '"')
        if not re.fullmatch(r"[A-Za-z_]\w*", word):
            raise self.error()
        return self.next()

    def value(self) -> Operand | None:
        if self.comes("?"):
            self.parameters += 1
            return Given(f"?{self.parameters - 1}")
        constant = self._constant()
        if constant is None:
            return None
        name = f"constant {len(self.constants)}"
        self.constants[name] = constant
        return Given(name)

    def _constant(self) -> Value | None:
        word = self.peek()
        if word.startswith("'"):
            return {"S": self.next()[1:-1].replace("''", "'")}
        if _NUMBER.fullmatch(word):
            return {"N": self.next()}
        if word.upper() in _CONSTANTS:
            return _CONSTANTS[self.next().upper()]
        return self._collection()

    def _collection(self) -> Value | None:
        """A map, a list or a set that is written out.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.data-types.html
        """
        if self.comes("{"):
            pairs = () if self.peek() == "}" else self.list_of(self._pair)
            self.expect("}")
            return {"M": dict(pairs)}
        if self.comes("["):
            elements = () if self.peek() == "]" else self.list_of(self._element)
            self.expect("]")
            return {"L": list(elements)}
        if self.comes("<<"):
            elements = self.list_of(self._element)
            self.expect(">>")
            kind = kind_of(elements[0])
            return {f"{kind}S": [element[kind] for element in elements]}
        return None

    def _pair(self) -> tuple[str, Value]:
        name = self._element()
        if "S" not in name:
            raise self.error()
        self.expect(":")
        return name["S"], self._element()

    def _element(self) -> Value:
        found = self._constant()
        if found is None:
            raise self.error()
        return found

    def relation(self, left: Operand) -> Condition:
        if self.comes("!="):
            return Comparison("<>", left, self.operand())
        if not self.comes("IS"):
            return super().relation(left)
        if not isinstance(left, At):
            raise self.error()
        negated = self.comes("NOT")
        if self.comes("MISSING"):
            return Exists(left.path, wanted=negated)
        if self.comes("NULL"):
            self.constants["the type of NULL"] = {"S": "NULL"}
            is_null = HasType(left.path, Given("the type of NULL"))
            return Not(is_null) if negated else is_null
        raise self.error()

    def statement(self) -> Statement:
        readers: Mapping[str, Callable[[], Statement]] = {
            "UPDATE": self._update,
            "DELETE": self._delete,
            "INSERT": self._insert,
        }
        verb = self.next().upper()
        if verb == "SELECT":
            raise NotImplementedError("the simulated table has no SELECT")
        if verb not in readers:
            raise self.error()
        found = readers[verb]()
        self.expect_end()
        return found

    def _update(self) -> Update:
        table = self.name()
        actions: list[Action] = []
        while not self.comes("WHERE"):
            if self.comes("SET"):
                actions += self.list_of(self._set)
            elif self.comes("REMOVE"):
                actions.append(Action("REMOVE", self.path()))
            else:
                raise self.error()
        if not actions:
            raise self.error()
        return Update(table, tuple(actions), self.condition())

    def _set(self) -> Action:
        path = self.path()
        self.expect("=")
        for function, verb in (("set_add", "ADD"), ("set_delete", "DELETE")):
            if self.comes(function, "("):
                if self.path() != path:
                    raise self.error()
                self.expect(",")
                action = Action(verb, path, self.operand())
                self.expect(")")
                return action
        return Action("SET", path, self._sum())

    def _sum(self) -> Operand:
        if self.comes("list_append", "("):
            found = ListAppend(*self.pair(self.operand, self.operand))
            self.expect(")")
            return found
        if self.comes("if_not_exists", "("):
            chosen = IfNotExists(*self.pair(self.path, self.operand))
            self.expect(")")
            return chosen
        left = self.operand()
        while self.peek() in ("+", "-"):
            left = Sum(self.next(), left, self.operand())
        return left

    def _delete(self) -> Delete:
        self.expect("FROM")
        table = self.name()
        self.expect("WHERE")
        return Delete(table, self.condition())

    def _insert(self) -> Insert:
        self.expect("INTO")
        table = self.name()
        self.expect("VALUE")
        self.expect("{")
        attributes = self.list_of(self._attribute)
        self.expect("}")
        return Insert(table, attributes)

    def _attribute(self) -> tuple[str, Operand]:
        word = self.next()
        if not word.startswith("'"):
            raise self.error()
        self.expect(":")
        value = self.value()
        if value is None:
            raise self.error()
        return word[1:-1].replace("''", "'"), value


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Statement, int, tuple[tuple[str, Value], ...]]:
    try:
        parser = _Statement(text)
        statement = parser.statement()
    except Rejected as error:
        raise invalid(f"Statement wasn't well formed, can't be processed: {error.message}") from None
    return statement, parser.parameters, tuple(parser.constants.items())


def read_statement(request: Mapping[str, Any]) -> Bound:
    """One statement of a batch, with as many parameters as it has question marks.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementRequest.html
    """
    statement, count, constants = _read(request["Statement"])
    given = request.get("Parameters", [])
    if len(given) != count:
        raise invalid("Number of parameters in request and statement don't match.")
    try:
        values = {f"?{place}": clean(value) for place, value in enumerate(given)}
    except InvalidValue as error:
        raise invalid(f"One or more parameter values were invalid: {error}") from None
    values.update({name: clean(value) for name, value in constants})
    if not isinstance(statement, Insert):
        statement.where.check(values)
    return Bound(statement, values)
