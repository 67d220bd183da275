"""The table in memory answers as the engines do, wherever they do as AWS documents."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.simulation.differences import DIFFERENT
from tests.simulation.sequences import (
    DEFINITION,
    SEQUENCES,
    TABLE,
    WHERE,
    Step,
    batch,
    get,
    given_values,
    key,
    put,
    query,
    statement,
    update,
)
from tests.simulation.table import SimulatedDynamoDB

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


@pytest.fixture(scope="module")
def engine(dynamodb_client: "DynamoDBClient") -> Iterator["DynamoDBClient"]:
    """An engine with the table of these tests."""
    dynamodb_client.create_table(**DEFINITION)
    yield dynamodb_client
    dynamodb_client.delete_table(TableName=TABLE)


@pytest.fixture
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["dynamodb_client"])


def simulated() -> SimulatedDynamoDB:
    client = SimulatedDynamoDB(random.Random(1), clock=lambda: 0.0)
    client.create_table(**DEFINITION)
    return client


def emptied(engine: "DynamoDBClient") -> "DynamoDBClient":
    for page in engine.get_paginator("scan").paginate(TableName=TABLE, ProjectionExpression="p, s"):
        for found in page["Items"]:
            engine.delete_item(TableName=TABLE, Key=found)
    return engine


def played(client: Any, steps: Iterable[Step], numbers: Callable[[str], str]) -> list[object]:
    """The answers to a sequence, without what nobody promises."""
    return [_normal(step, _answer(client, *step), numbers) for step in steps]


def _answer(client: Any, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {} if operation.startswith(("batch", "transact")) else {"TableName": TABLE}
    try:
        answer: Mapping[str, Any] = getattr(client, operation)(**{**named, **request})
    except ClientError as error:
        item = {"Item": error.response["Item"]} if "Item" in error.response else {}  # type: ignore[typeddict-item]  # of a failed condition
        reasons = [each["Code"] for each in error.response.get("CancellationReasons", [])]
        return {"Error": error.response["Error"]["Code"], **item} | ({"Reasons": reasons} if reasons else {})
    except ParamValidationError:  # the client refuses what the engine would
        return {"Error": "ValidationException"}
    return answer


def _normal(step: Step, answer: Mapping[str, Any], numbers: Callable[[str], str]) -> object:
    operation, request = step
    kept = {name: _plain(part, numbers) for name, part in answer.items() if name != "ResponseMetadata"}
    if operation == "batch_execute_statement" or "ReturnConsumedCapacity" not in request:
        # No engine reports it for statements; DynamoDB Local does unasked where a deletion finds nothing.
        kept.pop("ConsumedCapacity", None)
    if operation == "scan":
        if "LastEvaluatedKey" in kept:
            kept["LastEvaluatedKey"] = "somewhere"
        kept["Items"] = sorted(kept.get("Items", []), key=repr)
    if operation == "batch_get_item" and "Responses" in kept:
        kept["Responses"] = {name: sorted(items, key=repr) for name, items in kept["Responses"].items()}
    return kept


def _plain(part: Any, numbers: Callable[[str], str]) -> Any:
    """An answer in which equal values look alike: sets sorted, errors without their texts."""
    match part:
        case {"N": str(number)} if len(part) == 1:
            return {"N": numbers(number)}
        case {"NS": [*elements]}:
            return {"NS": sorted(map(numbers, elements))}
        case {"SS": [*elements]} | {"BS": [*elements]}:
            return {next(iter(part)): sorted(elements)}
        case {"Error": {"Code": code, **said}}:
            return {"Error": {"Code": code} | ({"Item": _plain(said["Item"], numbers)} if "Item" in said else {})}
        case dict():
            return {name: _plain(part[name], numbers) for name in sorted(part)}
        case list():
            return [_plain(element, numbers) for element in part]
    return part


def by_value(number: str) -> str:
    return f"{Decimal(number).normalize():f}"


def test_the_table_in_memory_answers_as_an_engine_does(engine: "DynamoDBClient", engine_name: str) -> None:
    offenders = {
        name: found for name, steps in SEQUENCES.items() if (found := _differences(engine, engine_name, steps))
    }

    unexpected = {name: found for name, found in offenders.items() if name not in DIFFERENT[engine_name]}
    assert not unexpected, "\n".join(f"{name}: {line}" for name, found in unexpected.items() for line in found)
    assert not DIFFERENT[engine_name].keys() - offenders.keys(), "these differ no more"


def _differences(engine: "DynamoDBClient", engine_name: str, steps: Sequence[Step]) -> list[str]:
    numbers = by_value if engine_name == "ministack" else str
    ours, theirs = (played(client, steps, numbers) for client in (simulated(), emptied(engine)))
    if engine_name == "ministack":  # whose capacity means nothing
        for answer in (*ours, *theirs):
            answer.pop("ConsumedCapacity", None)  # type: ignore[attr-defined]  # they are dictionaries
    return [
        f"{str(step)[:200]}\n    in memory {str(our)[:300]}\n    engine    {str(their)[:300]}"
        for step, our, their in zip(steps, ours, theirs, strict=True)
        if our != their
    ]


_values = st.sampled_from([0, 1, 2, "x", None, [1], {"k": 1}])
_places = st.sampled_from(["1", "2"])
_guards = st.sampled_from(
    [
        None,
        "attribute_exists(p)",
        "attribute_not_exists(p)",
        "attribute_not_exists(a) OR a < :guard",
        "a = :guard",
        "a <> :guard AND NOT b = :guard",
        "m.k = :guard",
        "size(a) > :guard",
        "contains(a, :guard) OR a IN (:guard)",
    ]
)
_updates = st.sampled_from(
    [
        "SET a = :value",
        "SET a = :value REMOVE b",
        "SET b = a, a = :value",
        "SET a = if_not_exists(a, :value)",
        "SET n = if_not_exists(n, :one) + :one, m = :map",
        "SET m.k = :value",
        "REMOVE a",
    ]
)
_statements = st.sampled_from(
    [
        ('UPDATE T SET "a"=? {where} AND "a"=?', ("value", "key", "guard")),
        ('UPDATE T SET "a"=? SET "b"=? {where} AND "c" IS MISSING', ("value", "value", "key")),
        ('UPDATE T SET "c"=? REMOVE "a" {where} AND "b" IS MISSING', ("value", "key")),
        ('UPDATE T SET "b"=? REMOVE "c" {where}', ("value", "key")),
        ("INSERT INTO T VALUE {{'p': ?, 's': ?, 'a': ?}}", ("key", "value")),
        ("DELETE FROM T {where}", ("key",)),
    ]
)


def _fitting(expression: str | None, values: Mapping[str, object]) -> dict[str, object]:
    """Those of the values that an expression takes."""
    return {name: value for name, value in values.items() if f":{name}" in (expression or "")}


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    place, value, guard = draw(_places), draw(_values), draw(st.sampled_from([0, 1, "x"]))
    kind = draw(st.sampled_from(["put", "update", "update", "delete", "statements", "statements", "query", "get"]))
    condition = draw(_guards)
    guarded = given_values(_fitting(condition, {"guard": guard}))
    if condition:
        guarded |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    match kind:
        case "put":
            _, request = put(place, a=value)
            return "put_item", request | guarded
        case "delete":
            return "delete_item", {"Key": key(place), "ReturnValues": "ALL_OLD", **guarded}
        case "update":
            expression = draw(_updates)
            taken = _fitting(expression, {"value": value, "one": 1, "map": {}}) | _fitting(condition, {"guard": guard})
            return update(expression, condition, at=place, **taken)
        case "statements":
            return batch(*(_drawn_statement(draw, each) for each in draw(st.sampled_from(["1", "2", "12", "21"]))))
        case "query":
            return query("p = :p", more={"ConsistentRead": True}, p="a")
    return get(place)


def _drawn_statement(draw: st.DrawFn, place: str) -> dict[str, Any]:
    text, names = draw(_statements)
    drawn: dict[str, list[object]] = {"value": [draw(_values)], "key": ["a", place], "guard": [draw(_values)]}
    parameters = [parameter for name in names for parameter in drawn[name]]
    return statement(text.format(where=WHERE), *parameters)


# The first failure is shown as it was found: an engine is too slow to look for the shortest one.
@settings(max_examples=50, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(_steps(), min_size=2, max_size=8))
def test_whatever_is_written_the_answers_and_the_contents_are_the_same(
    engine: "DynamoDBClient", engine_name: str, drawn: list[Step]
) -> None:
    steps = [*drawn, query("p = :p", more={"ConsistentRead": True}, p="a")]

    different = _differences(engine, engine_name, steps)

    assert not different, "\n".join(different)
