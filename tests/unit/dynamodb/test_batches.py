"""A batch of conditional writes: what each answer means."""

import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inventory_updater.dynamodb.batches import Outcome, outcome_of, send
from inventory_updater.dynamodb.pacing import RETRIED_CODES
from inventory_updater.dynamodb.statements import guarded_update
from tests.simulation.faults import AnswerLost, Fault, Refused, RefusedInPart
from tests.simulation.table import SimulatedDynamoDB


def table(fault: Fault | None = None) -> Any:
    """Two mugs, and what happens to the batch."""
    made = SimulatedDynamoDB(random.Random(1), lambda: 0.0)
    made.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
    )
    for sku in ("a", "b"):
        made.put_item(TableName="t", Item={"sku": {"S": sku}, "n": {"N": "1"}})
    made.decide = lambda operation, _request: fault if operation == "batch_execute_statement" else None
    return made


def update(sku: str, expected: int) -> Any:
    return guarded_update("t", {"sku": sku}, {"n": 2}, (), {"n": expected})


BOTH = [update("a", 1), update("b", 7)]


def test_each_write_has_an_answer_of_its_own() -> None:
    answers, units = send(table(), BOTH)
    assert ([answer.outcome for answer in answers], units) == ([Outcome.DONE, Outcome.CONFLICT], 2)


@pytest.mark.parametrize("fault", [Refused(), Refused("InternalServerError", is_done=True), AnswerLost()])
def test_where_nobody_knows_all_are_to_be_read_again(fault: Fault) -> None:
    answers, units = send(table(fault), BOTH)
    assert ([answer.outcome for answer in answers], units) == ([Outcome.LATER] * 2, 0)


def test_what_is_refused_for_a_while_says_so() -> None:
    (first, second), _ = send(table(RefusedInPart(frozenset({0}))), BOTH)
    assert (first.outcome, first.code, second.outcome) == (Outcome.LATER, "ThrottlingError", Outcome.CONFLICT)


def test_one_write_that_aws_cannot_take_does_not_touch_the_others() -> None:
    made = table()
    answers, _ = send(made, [update("a", 1), {"Statement": "UPDATE"}])
    assert [answer.outcome for answer in answers] == [Outcome.DONE, Outcome.REFUSED]


def test_what_aws_refuses_for_good_is_an_error() -> None:
    with pytest.raises(ClientError):
        send(table(Refused("AccessDeniedException")), BOTH)


def test_every_code_has_its_meaning() -> None:
    meanings = {code: outcome_of({"Code": code}) for code in (*RETRIED_CODES, "DuplicateItem", "ValidationError", "")}
    assert meanings == dict.fromkeys(RETRIED_CODES, Outcome.LATER) | {
        "DuplicateItem": Outcome.CONFLICT,
        "ValidationError": Outcome.REFUSED,
        "": Outcome.DONE,
    }
