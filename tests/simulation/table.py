"""DynamoDB in memory: a client whose methods take and return what those of a boto3 client do.

No thread, no clock and no chance of its own: these are given to it. Each request is done in one piece, whichever thread
it comes from. What may go wrong with a request is decided by whoever made the table (``decide``), and what landed is in
a log.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html
"""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from tests.simulation.conditions import Condition, Exists, Values, conjuncts
from tests.simulation.expressions import Expressions, read_expressions
from tests.simulation.faults import (
    AnswerLost,
    Decide,
    Dies,
    DoneTwice,
    LandsLater,
    ProcessDied,
    Refused,
    RefusedInPart,
    Request,
    Stale,
    nothing,
)
from tests.simulation.partiql import Bound, Delete, Insert, read_statement
from tests.simulation.paths import projected
from tests.simulation.reads import Page, Source, check_query, read_page
from tests.simulation.rejections import (
    CONDITION_FAILED,
    INVALID,
    CancelledError,
    Exceptions,
    Rejected,
    client_error,
    error_of,
    invalid,
)
from tests.simulation.schema import Schema, clean_item
from tests.simulation.sizes import BATCH_READ_LIMIT, ITEM_LIMIT, item_size, read_units, write_units
from tests.simulation.storage import Cost, Landed, Table
from tests.simulation.updates import check_actions, updated
from tests.simulation.values import Item, copied_item

_EXPRESSIONS: Final = frozenset({"ExpressionAttributeNames", "ExpressionAttributeValues"})
_CONDITIONAL: Final = _EXPRESSIONS | {
    "TableName",
    "ConditionExpression",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
    "ReturnConsumedCapacity",
}
_PAGED: Final = _EXPRESSIONS | {
    "TableName",
    "IndexName",
    "Limit",
    "ExclusiveStartKey",
    "FilterExpression",
    "ProjectionExpression",
    "ConsistentRead",
    "Select",
    "ReturnConsumedCapacity",
}
_PARAMETERS: Final[Mapping[str, frozenset[str]]] = {
    "get_item": frozenset({"TableName", "Key", "ConsistentRead", "ProjectionExpression", "ReturnConsumedCapacity"})
    | {"ExpressionAttributeNames"},
    "put_item": _CONDITIONAL | {"Item"},
    "update_item": _CONDITIONAL | {"Key", "UpdateExpression"},
    "delete_item": _CONDITIONAL | {"Key"},
    "query": _PAGED | {"KeyConditionExpression", "ScanIndexForward"},
    "scan": _PAGED | {"Segment", "TotalSegments"},
    "batch_get_item": frozenset({"RequestItems", "ReturnConsumedCapacity"}),
    "batch_write_item": frozenset({"RequestItems", "ReturnConsumedCapacity"}),
    "batch_execute_statement": frozenset({"Statements", "ReturnConsumedCapacity"}),
    "transact_write_items": frozenset({"TransactItems"}),
}
"""What is understood; anything else would be ignored silently, so it is an error of the test's."""

_RETURNED: Final = {
    "put_item": ("NONE", "ALL_OLD"),
    "delete_item": ("NONE", "ALL_OLD"),
    "update_item": ("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"),
}

_STATEMENT_CODES: Final = {
    CONDITION_FAILED: "ConditionalCheckFailed",
    INVALID: "ValidationError",
    "ResourceNotFoundException": "ResourceNotFound",
    "DuplicateItem": "DuplicateItem",
}
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html"""


class _Way(NamedTuple):
    """How a request is done: without the parts at these places, and how old what it reads is."""

    left_out: frozenset[int] = frozenset()
    code: str = "ThrottlingError"
    is_done_all_the_same: bool = False
    stale: int = 0


_AS_ASKED: Final = _Way()

Change = Callable[[Item | None], Item | None]
"""What a write makes of an item."""


class SimulatedDynamoDB:
    """Tables in memory.

    Args:
        chance: what DynamoDB leaves open, such as the order of a batch's answers.
        clock: when a write landed, for the log.
        decide: what happens to a request.
    """

    def __init__(self, chance: random.Random, clock: Callable[[], float], decide: Decide = nothing) -> None:
        self.decide = decide
        self.lag = 0
        """How many of a table's latest writes its indexes do not show yet."""
        self.landed: list[Landed] = []
        """Every write that was made, in order."""
        self.on_their_way: list[tuple[str, Request]] = []
        """Requests that ``LandsLater`` holds back."""
        self.calls: Counter[str] = Counter()
        self.client: Any = self  # as what it stands in for
        self.exceptions = Exceptions
        self._tables: dict[str, Table] = {}
        self._chance = chance
        self._clock = clock
        self._one_at_a_time = threading.RLock()

    def create_table(self, **definition: Any) -> None:
        """Make a table as CreateTable is asked for it; it is there at once."""
        self._tables[definition["TableName"]] = Table(Schema.from_definition(definition))

    def items(self, table: str) -> list[Item]:
        """What a table holds, for audits: no request, no fault."""
        return [copied_item(item) for _, item in sorted(self._tables[table].items.items())]

    # Requests

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a client's method of this name does."""
        known = _PARAMETERS[operation]
        assert request.keys() <= known, f"the simulated table knows no {request.keys() - known} of {operation}"
        self.calls[operation] += 1
        fault = self.decide(operation, request)
        if fault is None:
            return self._perform(operation, request)
        match fault:
            case Refused(code, is_done):
                if is_done:
                    self._attempt(operation, request)
                raise client_error(operation, code, "the request was refused")
            case RefusedInPart(places, code, is_done):
                return self._perform(operation, request, _Way(left_out=places, code=code, is_done_all_the_same=is_done))
            case AnswerLost(is_done, places, error):
                if is_done:
                    self._attempt(operation, request, places)
                raise error()
            case LandsLater(error):
                self.on_their_way.append((operation, request))
                raise error()
            case DoneTwice(places, retry_attempts):
                return self._twice(operation, request, places, retry_attempts)
            case Dies(is_done):
                if is_done:
                    self._attempt(operation, request)
                raise ProcessDied(operation)
            case Stale(writes):
                return self._perform(operation, request, _Way(stale=writes))

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        if operation not in _PARAMETERS:
            raise AttributeError(operation)
        return lambda **request: self.call(operation, request)

    def get_paginator(self, operation: str) -> "Paginator":
        """https://boto3.amazonaws.com/v1/documentation/api/latest/guide/paginators.html"""
        return Paginator(getattr(self, operation))

    def _perform(self, operation: str, request: Request, way: _Way = _AS_ASKED) -> dict[str, Any]:
        perform: Callable[[Request, _Way], dict[str, Any]] = getattr(self, f"_{operation}")
        try:
            with self._one_at_a_time:
                answer = perform(request, way)
        except Rejected as error:
            raise error_of(operation, error) from None
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "RetryAttempts": 0}
        return answer

    def _attempt(self, operation: str, request: Request, places: frozenset[int] | None = None) -> None:
        """Do it, or what is at these places of a batch, and let nobody know whether it was refused."""
        left_out = frozenset() if places is None else frozenset(range(_parts(request))) - places
        with contextlib.suppress(ClientError):
            self._perform(operation, request, _Way(left_out=left_out))

    def deliver(self, place: int = 0) -> None:
        """Let one of the requests that are on their way arrive at last."""
        self._attempt(*self.on_their_way.pop(place))

    def _twice(
        self, operation: str, request: Request, places: frozenset[int] | None, retry_attempts: int
    ) -> dict[str, Any]:
        self._attempt(operation, request, places)
        answer = self._perform(operation, request)
        answer["ResponseMetadata"]["RetryAttempts"] = retry_attempts
        return answer

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise Rejected("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    # Writes

    def _write(
        self, table: Table, operation: str, key: Item, holds: Callable[[Item], bool], change: Change
    ) -> "_Wrote":
        """Let one write land under its condition; a failed condition costs as if it had.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
        """
        before = table.items.get(table.schema.keys.values_of(key))
        if not holds(before or {}):
            failure = Rejected(CONDITION_FAILED, "The conditional request failed", before)
            failure.units = write_units(item_size(before))
            raise failure
        after = change(before)
        if after is not None:
            self._check_item(table, after)
        landed = Landed(self._clock(), table.schema.table, operation, key, before, after)
        self.landed.append(landed)
        return _Wrote(before, after, table.write(landed))

    @staticmethod
    def _check_item(table: Table, item: Item) -> None:
        """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items"""
        table.schema.check_key(item)
        table.schema.check_index_keys(item)
        if item_size(item) > ITEM_LIMIT:
            raise invalid("Item size to update has exceeded the maximum allowed size")

    def _write_one(
        self, operation: str, request: Request, key: Item, change: Change, expressions: Expressions | None = None
    ) -> "_Wrote":
        table, expressions = self._table(request["TableName"]), expressions or read_expressions(request)
        if request.get("ReturnValues", "NONE") not in _RETURNED[operation]:
            raise invalid("Return values set to invalid value")
        try:
            return self._write(table, operation, key, _test(expressions.condition, expressions.values), change)
        except Rejected as error:
            if request.get("ReturnValuesOnConditionCheckFailure") != "ALL_OLD" or error.item is None:
                error.item = None
            else:
                error.item = copied_item(error.item)
            raise

    def _put_item(self, request: Request, _way: _Way) -> dict[str, Any]:
        schema = self._table(request["TableName"]).schema
        item = clean_item(request["Item"])
        schema.check_key(item)
        key = {name: item[name] for name in schema.keys.names}
        wrote = self._write_one("put_item", request, key, lambda _before: item)
        return self._returned(request, wrote) | self._consumed(request, wrote.cost)

    def _delete_item(self, request: Request, _way: _Way) -> dict[str, Any]:
        key = self._table(request["TableName"]).schema.key_of(request["Key"])
        wrote = self._write_one("delete_item", request, key, lambda _before: None)
        return self._returned(request, wrote) | self._consumed(request, wrote.cost)

    def _update_item(self, request: Request, _way: _Way) -> dict[str, Any]:
        """An item that is not there is made.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
        """
        schema = self._table(request["TableName"]).schema
        key = schema.key_of(request["Key"])
        expressions = read_expressions(request)
        check_actions(expressions.actions, schema.keys.names)

        def change(before: Item | None) -> Item:
            return updated(before or key, expressions.actions, expressions.values)

        wrote = self._write_one("update_item", request, key, change, expressions)
        return self._returned(request, wrote, expressions) | self._consumed(request, wrote.cost)

    @staticmethod
    def _returned(request: Request, wrote: "_Wrote", expressions: Expressions | None = None) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html#DDB-UpdateItem-request-ReturnValues"""
        wanted = request.get("ReturnValues", "NONE")
        item = wrote.before if wanted.endswith("OLD") else wrote.after
        if wanted == "NONE" or item is None:
            return {}
        if expressions is not None and wanted.startswith("UPDATED"):
            item = projected(item, [action.path for action in expressions.actions])
        return {"Attributes": copied_item(item)} if item else {}

    def _transact_write_items(self, request: Request, _way: _Way) -> dict[str, Any]:
        """Updates and checks of conditions, of 1 to 100 items, none twice: all of them or none.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        actions = [(kind, each) for action in request["TransactItems"] for kind, each in action.items()]
        if not 1 <= len(actions) <= 100:
            raise invalid("Member must have length less than or equal to 100, and not be empty")
        parts = [self._part_of_transaction(kind, each) for kind, each in actions]
        _refuse_duplicates([(table.schema.table, table.schema.keys.values_of(key)) for table, key, _, _ in parts])
        reasons = [self._reason_against(*part) for part in parts]
        if any(reasons):
            raise CancelledError(reasons)
        for table, key, _, change in parts:
            if change is not None:
                self._write(table, "transact_write_items", key, _always, change)
        return {}

    def _part_of_transaction(
        self, kind: str, request: Request
    ) -> tuple[Table, Item, Callable[[Item], bool], Change | None]:
        table, expressions = self._table(request["TableName"]), read_expressions(request)
        key = table.schema.key_of(request["Key"])
        holds = _test(expressions.condition, expressions.values)
        if kind == "ConditionCheck":
            return table, key, holds, None
        assert kind == "Update", f"the simulated table knows no {kind} in a transaction"
        check_actions(expressions.actions, table.schema.keys.names)
        return table, key, holds, lambda before: updated(before or key, expressions.actions, expressions.values)

    def _reason_against(
        self, table: Table, key: Item, holds: Callable[[Item], bool], change: Change | None
    ) -> Rejected | None:
        before = table.items.get(table.schema.keys.values_of(key))
        if not holds(before or {}):
            return Rejected(CONDITION_FAILED, "The conditional request failed")
        try:
            if change is not None and (after := change(before)) is not None:
                self._check_item(table, after)
        except Rejected as error:
            return Rejected("ValidationError", error.message)
        return None

    def _batch_write_item(self, request: Request, way: _Way) -> dict[str, Any]:
        """At most 25 puts and deletes, no item twice, without conditions.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
        """
        asked = [(name, each) for name, requests in request["RequestItems"].items() for each in requests]
        if not 1 <= len(asked) <= 25:
            raise invalid("Too many items requested for the BatchWriteItem call, or none")
        writes = [self._unconditional(name, each) for name, each in asked]
        _refuse_duplicates([(name, table.schema.keys.values_of(key)) for name, table, key, _ in writes])
        unprocessed: dict[str, list[Any]] = {}
        costs: dict[str, Cost] = {}
        for place, (name, table, key, item) in enumerate(writes):
            if place in way.left_out:
                unprocessed.setdefault(name, []).append(asked[place][1])
                if not way.is_done_all_the_same:
                    continue
            wrote = self._write(table, "batch_write_item", key, _always, lambda _before, item=item: item)  # type: ignore[misc]  # mypy cannot infer it
            costs[name] = costs.get(name, Cost()) + wrote.cost
        return {"UnprocessedItems": unprocessed} | _consumed_by_tables(request, costs)

    def _unconditional(self, name: str, request: Mapping[str, Any]) -> tuple[str, Table, Item, Item | None]:
        table = self._table(name)
        if "DeleteRequest" in request:
            return name, table, table.schema.key_of(request["DeleteRequest"]["Key"]), None
        item = clean_item(request["PutRequest"]["Item"])
        self._check_item(table, item)
        return name, table, {key: item[key] for key in table.schema.keys.names}, item

    # Statements

    def _batch_execute_statement(self, request: Request, way: _Way) -> dict[str, Any]:
        """1 to 25 statements, each with an answer of its own, no item twice.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
        """
        statements = request["Statements"]
        if not 1 <= len(statements) <= 25:
            raise invalid("Member must have length between 1 and 25: statements")
        read = [self._prepared(each) for each in statements]
        _refuse_duplicates([each.identity for each in read if isinstance(each, _Prepared)])
        costs: dict[str, Cost] = {}
        responses = []
        for place, prepared in enumerate(read):
            answer: dict[str, Any] = {}
            if place not in way.left_out or way.is_done_all_the_same:
                answer = self._execute(prepared, statements[place], costs)
            if place in way.left_out:
                answer = _statement_error(Rejected(way.code, "this statement was refused"), None)
            responses.append(answer)
        return {"Responses": responses} | _consumed_by_tables(request, costs)

    def _prepared(self, request: Mapping[str, Any]) -> "_Prepared | Rejected":
        try:
            bound = read_statement(request)
            table = self._table(bound.statement.table)
            keys = table.schema.keys.names
            if isinstance(bound.statement, Insert):
                item = bound.inserted()
                self._check_item(table, item)
                key = {name: item[name] for name in keys}
                return _Prepared(bound, table, key, tuple(Exists((name,), wanted=False) for name in keys), item)
            named, condition = bound.key_and_condition(keys)
            key = table.schema.key_of(named)
            if not isinstance(bound.statement, Delete):
                check_actions(bound.statement.actions, keys)
            there = tuple(Exists((name,), wanted=True) for name in keys)
            return _Prepared(bound, table, key, (*there, *conjuncts(condition)))
        except Rejected as error:
            return error

    def _execute(
        self, prepared: "_Prepared | Rejected", request: Mapping[str, Any], costs: dict[str, Cost]
    ) -> dict[str, Any]:
        if isinstance(prepared, Rejected):
            return _statement_error(prepared, None)
        name = prepared.table.schema.table
        try:
            wrote = self._write(
                prepared.table, "batch_execute_statement", prepared.key, prepared.holds, prepared.change
            )
        except Rejected as error:
            costs[name] = costs.get(name, Cost()) + Cost(error.units)
            if prepared.item is not None and error.code == CONDITION_FAILED:
                error = Rejected("DuplicateItem", "Duplicate primary key exists in table")
            wants_item = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            return _statement_error(error, error.item if wants_item else None) | {"TableName": name}
        costs[name] = costs.get(name, Cost()) + wrote.cost
        return {"TableName": name}

    # Reads

    def _get_item(self, request: Request, way: _Way) -> dict[str, Any]:
        table = self._table(request["TableName"])
        consistent = request.get("ConsistentRead", False)
        key = table.schema.key_of(request["Key"])
        item = _rows(table, consistent, way).get(table.schema.keys.values_of(key))
        cost = Cost(read_units(item_size(item), consistent=consistent))
        found = {} if item is None else {"Item": _shown(item, read_expressions(request))}
        return found | self._consumed(request, cost)

    def _batch_get_item(self, request: Request, way: _Way) -> dict[str, Any]:
        """At most 100 keys, none twice, in whatever order; at most 16 MB.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        asked = request["RequestItems"]
        tables = {name: self._table(name) for name in asked}
        keys = [(name, tables[name].schema.key_of(key)) for name in asked for key in asked[name]["Keys"]]
        if not 1 <= len(keys) <= 100:
            raise invalid("Too many items requested for the BatchGetItem call, or none")
        places = [(name, tables[name].schema.keys.values_of(key)) for name, key in keys]
        _refuse_duplicates(places)
        expressions = {name: read_expressions(each) for name, each in asked.items()}
        consistent = {name: each.get("ConsistentRead", False) for name, each in asked.items()}
        rows = {name: _rows(table, consistent[name], way) for name, table in tables.items()}
        found: dict[str, list[Item]] = {name: [] for name in asked}
        left: dict[str, list[Item]] = {}
        costs: dict[str, Cost] = {}
        size = 0
        for place, (name, key) in enumerate(keys):
            item = rows[name].get(places[place][1])
            size += item_size(item)
            if place in way.left_out or size > BATCH_READ_LIMIT:
                left.setdefault(name, []).append(copied_item(key))
                continue
            costs[name] = costs.get(name, Cost()) + Cost(read_units(item_size(item), consistent=consistent[name]))
            if item is not None:
                found[name].append(_shown(item, expressions[name]))
        for items in found.values():
            self._chance.shuffle(items)
        unprocessed = {name: {**asked[name], "Keys": left[name]} for name in left}
        answer = {"Responses": found, "UnprocessedKeys": unprocessed}
        return answer | _consumed_by_tables(request, costs)

    def _query(self, request: Request, way: _Way) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html"""
        source, expressions = self._source(request, way), read_expressions(request)
        condition = check_query(expressions, source.keys, source.schema.types)
        page = read_page(source, _test(condition, expressions.values), request)
        return self._page_answer(request, source, page, expressions)

    def _scan(self, request: Request, way: _Way) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""
        source, expressions = self._source(request, way), read_expressions(request)
        if ("Segment" in request) != ("TotalSegments" in request):
            raise invalid("Segment and TotalSegments belong together")
        segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
        if not 0 <= segment < segments <= 1_000_000:
            raise invalid("Segment has to be less than TotalSegments, which is at most 1,000,000")
        page = read_page(source, lambda row: source.is_in_segment(row, segment, segments), request)
        return self._page_answer(request, source, page, expressions)

    def _source(self, request: Request, way: _Way) -> Source:
        table, name = self._table(request["TableName"]), request.get("IndexName")
        if name is None:
            rows = _rows(table, request.get("ConsistentRead", False), way)
            return Source(table.schema, table.schema.keys, rows)
        if name not in table.schema.indexes:
            raise invalid(f"The table does not have the specified index: {name}")
        if request.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        return Source(table.schema, table.schema.indexes[name].keys, table.entries(name, self.lag))

    def _page_answer(self, request: Request, source: Source, page: Page, expressions: Expressions) -> dict[str, Any]:
        holds = _test(expressions.filter, expressions.values)
        found = [_shown(row, expressions) for row in page.rows if holds(row)]
        answer: dict[str, Any] = {"Count": len(found), "ScannedCount": len(page.rows)}
        if request.get("Select") != "COUNT":
            answer["Items"] = found
        if page.may_go_on and page.rows:
            answer["LastEvaluatedKey"] = copied_item({name: page.rows[-1][name] for name in source.key_names})
        units = read_units(page.size, consistent=request.get("ConsistentRead", False))
        index = request.get("IndexName")
        cost = Cost(units) if index is None else Cost(0.0, {index: units})
        return answer | self._consumed(request, cost)

    def _consumed(self, request: Request, cost: Cost) -> dict[str, Any]:
        found = _consumption(request, request["TableName"], cost)
        return {"ConsumedCapacity": found} if found else {}


class Paginator:
    """Page after page of an operation."""

    def __init__(self, operation: Callable[..., dict[str, Any]]) -> None:
        self._operation = operation

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = self._operation(**request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class _Wrote(NamedTuple):
    """A write that landed."""

    before: Item | None
    after: Item | None
    cost: Cost


class _Prepared(NamedTuple):
    """A statement that is well formed: whose item it is about, and under which conditions."""

    bound: Bound
    table: Table
    key: Item
    conditions: tuple[Condition, ...]
    item: Item | None = None
    """What an INSERT puts there."""

    @property
    def identity(self) -> tuple[str, Any]:
        return self.table.schema.table, self.table.schema.keys.values_of(self.key)

    def holds(self, item: Item) -> bool:
        if isinstance(self.bound.statement, Delete) and not item:
            return True  # there is nothing to delete, which is no failure
        return all(condition.holds(item, self.bound.values) for condition in self.conditions)

    def change(self, before: Item | None) -> Item | None:
        statement = self.bound.statement
        if isinstance(statement, Insert):
            return self.item
        if isinstance(statement, Delete):
            return None
        assert before is not None, "an UPDATE holds only for an item that is there"
        return updated(before, statement.actions, self.bound.values)


def _parts(request: Request) -> int:
    """How many statements, puts or keys a batch has."""
    asked = request.get("RequestItems", {}).values()
    counts = [len(each) if isinstance(each, list) else len(each["Keys"]) for each in asked]
    return len(request.get("Statements", ())) + sum(counts)


def _always(_item: Item) -> bool:
    return True


def _test(condition: Condition | None, values: Values) -> Callable[[Item], bool]:
    return _always if condition is None else lambda item: condition.holds(item, values)


def _rows(table: Table, consistent: bool, way: _Way) -> Mapping[Any, Item]:
    return table.rows(0 if consistent else way.stale)


def _shown(item: Item, expressions: Expressions) -> Item:
    return projected(item, expressions.projection) if expressions.projection else copied_item(item)


def _refuse_duplicates(identities: Sequence[Any]) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
    if len(set(identities)) < len(identities):
        raise invalid("Provided list of item keys contains duplicates")


def _statement_error(error: Rejected, item: Item | None) -> dict[str, Any]:
    said: dict[str, Any] = {"Code": _STATEMENT_CODES.get(error.code, error.code), "Message": error.message}
    if item is not None:
        said["Item"] = copied_item(item)
    return {"Error": said}


def _consumed_by_tables(request: Request, costs: Mapping[str, Cost]) -> dict[str, Any]:
    found = [_consumption(request, name, cost) for name, cost in costs.items()]
    wanted = [each for each in found if each]
    return {"ConsumedCapacity": wanted} if wanted else {}


def _consumption(request: Request, name: str, cost: Cost) -> dict[str, Any]:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ConsumedCapacity.html"""
    mode = request.get("ReturnConsumedCapacity", "NONE")
    if mode == "NONE":
        return {}
    found: dict[str, Any] = {"TableName": name, "CapacityUnits": cost.total}
    if mode == "INDEXES":
        found["Table"] = {"CapacityUnits": cost.table}
        if cost.indexes:
            found["GlobalSecondaryIndexes"] = {name: {"CapacityUnits": units} for name, units in cost.indexes.items()}
    return found
