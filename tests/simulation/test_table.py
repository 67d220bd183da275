"""What only the table in memory can be asked to do: faults, a late index, old reads, and units by AWS's rules."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from inventory_updater.dynamodb.client import BROKEN_CONNECTIONS
from inventory_updater.dynamodb.values import from_attribute_values
from tests.simulation.faults import (
    AnswerLost,
    Dies,
    DoneTwice,
    Fault,
    LandsLater,
    ProcessDied,
    Refused,
    RefusedInPart,
    Stale,
)
from tests.simulation.sequences import (
    DEFINITION,
    SEQUENCES,
    TABLE,
    WHERE,
    Step,
    batch,
    get,
    key,
    put,
    query,
    statement,
    update,
)
from tests.simulation.table import SimulatedDynamoDB

INCREMENT: Final = update("SET a = a + :one", "a = :seen", one=1, seen=1)


class Simulated(SimulatedDynamoDB):
    """A table with one item whose ``a`` is 1; the next request meets ``fault``."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(random.Random(seed), clock=lambda: 12.5)
        self.create_table(**DEFINITION)
        self.ask(put(a=1))

    def ask(self, step: Step, fault: Fault | None = None) -> Mapping[str, Any]:
        operation, request = step
        self.decide = lambda *_: fault
        named = {} if operation.startswith(("batch", "transact")) else {"TableName": TABLE}
        answer: Mapping[str, Any] = getattr(self, operation)(**{**named, **request})
        self.decide = lambda *_: None
        return answer

    def figure(self, place: str = "1") -> object:
        """What ``a`` is in the item."""
        found = {str(item["s"]["S"]): from_attribute_values(item).get("a") for item in map(dict, self.items(TABLE))}  # type: ignore[arg-type]  # values of another name
        return found[place]


@pytest.fixture
def simulated() -> Simulated:
    return Simulated()


def refused_code(ask: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        ask()
    return refusal.value.response["Error"]["Code"], refusal.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_refused_request_leaves_nothing(simulated: Simulated) -> None:
    codes = ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"]

    said = [refused_code(lambda code=code: simulated.ask(INCREMENT, Refused(code))) for code in codes]  # type: ignore[misc]  # mypy cannot infer it

    assert said == list(zip(codes, (400, 400, 500), strict=True))
    assert simulated.figure() == 1


@pytest.mark.parametrize(("is_done", "left"), [(True, 2), (False, 1)])
def test_a_lost_answer_leaves_all_or_nothing(simulated: Simulated, is_done: bool, left: int) -> None:
    with pytest.raises(BROKEN_CONNECTIONS) as loss:
        simulated.ask(INCREMENT, AnswerLost(is_done))

    assert isinstance(loss.value, ReadTimeoutError)
    assert simulated.figure() == left


def test_a_request_that_lands_later_meets_what_others_wrote(simulated: Simulated) -> None:
    for _ in range(2):
        with pytest.raises(BROKEN_CONNECTIONS):
            simulated.ask(INCREMENT, LandsLater())
    before = simulated.figure()

    simulated.deliver()
    after_one = simulated.figure()
    simulated.deliver()

    assert (before, after_one, simulated.figure()) == (1, 2, 2)
    assert not simulated.on_their_way


def test_a_servers_error_may_hide_that_it_was_done(simulated: Simulated) -> None:
    simulated.ask(put("2", a=1))
    both = batch(*(statement(f"UPDATE T SET a=? {WHERE}", 2, "a", place) for place in "12"))

    answer = simulated.ask(both, RefusedInPart(frozenset({1}), "InternalServerError", is_done=True))
    refused_code(lambda: simulated.ask(update("ADD a :one", one=1), Refused("InternalServerError", is_done=True)))

    assert [each.get("Error", {}).get("Code") for each in answer["Responses"]] == [None, "InternalServerError"]
    assert (simulated.figure("1"), simulated.figure("2")) == (3, 2)


def test_an_answer_is_lost_of_a_batch_that_was_done_in_part(simulated: Simulated) -> None:
    simulated.ask(put("2", a=1))
    both = batch(*(statement(f"UPDATE T SET a=? {WHERE}", 2, "a", place) for place in "12"))

    with pytest.raises(BROKEN_CONNECTIONS):
        simulated.ask(both, AnswerLost(places=frozenset({1})))

    assert (simulated.figure("1"), simulated.figure("2")) == (1, 2)


@pytest.mark.parametrize(("is_done", "left"), [(True, 2), (False, 1)])
def test_a_process_dies_after_its_request_or_before(simulated: Simulated, is_done: bool, left: int) -> None:
    with pytest.raises(ProcessDied):
        simulated.ask(INCREMENT, Dies(is_done))

    assert simulated.figure() == left
    assert not isinstance(ProcessDied(), Exception), "nothing of the process may catch it"


def test_done_twice_is_written_once_and_says_that_the_condition_failed(simulated: Simulated) -> None:
    assert refused_code(lambda: simulated.ask(INCREMENT, DoneTwice()))[0] == "ConditionalCheckFailedException"

    assert simulated.figure() == 2


def test_done_twice_without_a_condition_counts_twice(simulated: Simulated) -> None:
    answer = simulated.ask(update("ADD a :one", one=1), DoneTwice(retry_attempts=1))

    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert simulated.figure() == 3


def test_one_statement_of_a_batch_is_done_twice(simulated: Simulated) -> None:
    simulated.ask(put("2", a=1))
    both = batch(*(statement(f"UPDATE T SET a=? {WHERE} AND a=?", 2, "a", place, 1) for place in "12"))

    answer = simulated.ask(both, DoneTwice(frozenset({1})))

    first, second = answer["Responses"]
    assert "Error" not in first
    assert second["Error"]["Code"] == "ConditionalCheckFailed"
    assert second["Error"]["Item"]["a"] == {"N": "2"}


def test_parts_of_a_batch_are_refused(simulated: Simulated) -> None:
    inserts = batch(*(statement("INSERT INTO T VALUE {'p': ?, 's': ?, 'a': ?}", "a", place, 7) for place in "23"))
    puts = [{"PutRequest": {"Item": key(place)}} for place in "45"]

    inserted = simulated.ask(inserts, RefusedInPart(frozenset({0})))
    written = simulated.ask(("batch_write_item", {"RequestItems": {TABLE: puts}}), RefusedInPart(frozenset({1})))
    keys = {"Keys": [key("1"), key("3")], "ConsistentRead": True}
    read = simulated.ask(("batch_get_item", {"RequestItems": {TABLE: keys}}), RefusedInPart(frozenset({0})))

    assert [response.get("Error", {}).get("Code") for response in inserted["Responses"]] == ["ThrottlingError", None]
    assert written["UnprocessedItems"] == {TABLE: [puts[1]]}
    assert read["UnprocessedKeys"] == {TABLE: {"Keys": [key("1")], "ConsistentRead": True}}
    assert [item["s"]["S"] for item in simulated.items(TABLE)] == ["1", "3", "4"]


def test_an_index_lags_behind_and_forgets_nothing(simulated: Simulated) -> None:
    def shown() -> list[str]:
        found = simulated.ask(query("p = :p", more={"IndexName": "due"}, p="a"))
        return [item["s"]["S"] for item in found["Items"]]

    for place in "234":
        simulated.ask(put(place, due=f"d{place}"))

    seen = {}
    for lag in (2, 1, 3, 0):
        simulated.lag = lag
        seen[lag] = shown()

    assert seen == {2: ["2"], 1: ["2", "3"], 3: ["2", "3"], 0: ["2", "3", "4"]}


def test_a_read_that_is_not_consistent_may_be_old(simulated: Simulated) -> None:
    simulated.ask(INCREMENT)
    eventual = ("get_item", {"Key": key()})

    seen = [simulated.ask(step, fault).get("Item", {}).get("a") for step, fault in (
        (eventual, Stale(1)), (eventual, Stale(2)), (eventual, None), (get(), Stale(1))
    )]  # fmt: skip

    assert seen == [{"N": "1"}, None, {"N": "2"}, {"N": "2"}]


def test_what_landed_is_in_the_log(simulated: Simulated) -> None:
    simulated.ask(INCREMENT)
    refused_code(lambda: simulated.ask(INCREMENT))

    first, second = simulated.landed
    assert (first.before, second.before, second.after) == (None, first.after, key() | {"a": {"N": "2"}})
    assert (second.operation, second.table, second.at, second.key) == ("update_item", TABLE, 12.5, key())


def test_what_a_caller_does_to_an_answer_changes_no_item(simulated: Simulated) -> None:
    simulated.ask(put("2", m={"k": [1]}))
    answer = simulated.ask(get("2"))
    answer["Item"]["m"]["M"]["k"]["L"].clear()

    assert simulated.ask(get("2"))["Item"]["m"] == {"M": {"k": {"L": [{"N": "1"}]}}}


@pytest.mark.parametrize("name", [name for name in SEQUENCES if name.startswith(("statements that", "conditions of"))])
def test_the_statements_that_engines_are_asked_are_well_formed(simulated: Simulated, name: str) -> None:
    answers = [simulated.ask(step) for step in SEQUENCES[name]]

    assert "ValidationError" not in str(answers), "both would refuse alike, and nothing would be compared"


def test_statements_cost_what_the_same_updates_do(simulated: Simulated) -> None:
    def units(text: str, *parameters: object) -> float:
        answer = simulated.ask(batch(statement(text, *parameters)))
        (used,) = answer["ConsumedCapacity"]
        return float(used["CapacityUnits"])

    consumed = {
        "a small change": units(f"UPDATE T SET a=? {WHERE}", 2, "a", "1"),
        "to more than 2 KB": units(f"UPDATE T SET x=? {WHERE}", "x" * 2048, "a", "1"),
        "a failed condition": units(f"UPDATE T SET a=? {WHERE} AND a=?", 3, "a", "1", 99),
        "nothing there": units(f"UPDATE T SET a=? {WHERE}", 3, "a", "9"),
        "back to nothing": units(f"UPDATE T REMOVE x {WHERE}", "a", "1"),
        "into an index": units(f"UPDATE T SET due=? {WHERE}", "d1", "a", "1"),
        "its key changes": units(f"UPDATE T SET due=? {WHERE}", "d2", "a", "1"),
        "a projected attribute": units(f"UPDATE T SET a=? {WHERE}", 5, "a", "1"),
        "out of the index": units(f"UPDATE T REMOVE due {WHERE}", "a", "1"),
    }

    assert consumed == {
        "a small change": 1,
        "to more than 2 KB": 3,
        "a failed condition": 3,
        "nothing there": 1,
        "back to nothing": 3,
        "into an index": 2,
        "its key changes": 3,
        "a projected attribute": 2,
        "out of the index": 2,
    }


def test_the_same_seed_gives_the_same_order() -> None:
    keys = {"Keys": [key(str(place)) for place in range(20)]}

    def order(seed: int) -> list[str]:
        simulated = Simulated(seed)
        for place in range(20):
            simulated.ask(put(str(place)))
        found = simulated.ask(("batch_get_item", {"RequestItems": {TABLE: keys}}))["Responses"][TABLE]
        return [item["s"]["S"] for item in found]

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize("segments", [1, 2, 7])
def test_segments_share_out_the_items(simulated: Simulated, segments: int) -> None:
    for place in range(50):
        simulated.ask(put("1", f"p{place}"))
    pages = [
        page
        for segment in range(segments)
        for page in simulated.get_paginator("scan").paginate(
            TableName=TABLE, Segment=segment, TotalSegments=segments, Limit=3
        )
    ]

    found = [item["p"]["S"] for page in pages for item in page["Items"]]

    assert sorted(found) == sorted(["a", *(f"p{place}" for place in range(50))])
