"""The table in memory answers as the engines do, wherever they do as AWS documents."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.simulation.differences import DIFFERENT
from tests.simulation.sequences import DEFINITION, SEQUENCES, TABLE, Step
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
    return [_normal(operation, _answer(client, operation, request), numbers) for operation, request in steps]


def _answer(client: Any, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {} if operation.startswith("batch") else {"TableName": TABLE}
    try:
        answer: Mapping[str, Any] = getattr(client, operation)(**{**named, **request})
    except ClientError as error:
        item = {"Item": error.response["Item"]} if "Item" in error.response else {}  # type: ignore[typeddict-item]  # of a failed condition
        return {"Error": error.response["Error"]["Code"], **item}
    except ParamValidationError:  # the client refuses what the engine would
        return {"Error": "ValidationException"}
    return answer


def _normal(operation: str, answer: Mapping[str, Any], numbers: Callable[[str], str]) -> object:
    kept = {name: _plain(part, numbers) for name, part in answer.items() if name != "ResponseMetadata"}
    if operation == "batch_execute_statement":
        kept.pop("ConsumedCapacity", None)  # neither engine reports it
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
