"""The inventory table against a client that answers from a script: pages, items, and batches of conditional writes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError, WritePace, batched
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.planning import Update
from inventory_updater.stock.scheduling import Creation
from inventory_updater.tables.inventory_table import BatchReport, InventoryTable, Page, scan_request
from tests.builders import item_attributes, moment
from tests.fakes.dynamodb import (
    WRITTEN,
    InMemoryInventory,
    ScriptedClient,
    batch_answer,
    failed_request,
    lost_answer,
    statement_error,
)

MUG, CUP, PLATE = (ItemKey(sku, "DC1") for sku in ("mug", "cup", "plate"))


@dataclass(frozen=True)
class Decided:
    """A decision: set on hand to a value, or leave the item alone."""

    write: Update | Creation | None


def sets_on_hand(key: ItemKey, value: int, expected: int = 10) -> Decided:
    return Decided(Update(key, {"on_hand": Decimal(value)}, (), {"on_hand": Decimal(expected)}))


LEAVE = Decided(None)


@dataclass
class FakeTime:
    """A clock that only sleeping moves, and a deadline."""

    deadline: float = 1_000.0
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def seconds_left(self) -> float:
        return self.deadline - self.now

    def limits(self, check: Callable[[], None] = lambda: None, pace: WritePace | None = None) -> Limits:
        return Limits(self.seconds_left, check, pace or WritePace(0), self.sleep)


def never_again(key: ItemKey, attributes: Attributes | None) -> Decided:
    raise AssertionError(f"{key} is not to be decided again, from {attributes}")


def table_on(client: ScriptedClient) -> InventoryTable:
    return InventoryTable(client.client, "inventory")


def write(
    client: ScriptedClient,
    batch: Iterable[tuple[ItemKey, Decided]],
    decide: Callable[[ItemKey, Attributes | None], Decided] = never_again,
    limits: Limits | None = None,
    **rest: Any,
) -> BatchReport[Decided]:
    report = table_on(client).write_batch(dict(batch), decide, limits or FakeTime().limits(), **rest)
    assert client.is_exhausted
    return report


def outcome(report: BatchReport[Decided]) -> dict[str, str]:
    """sku -> "written", "left alone" or the code of its failure."""
    return {result.key.sku: result.code or ("written" if result.written else "left alone") for result in report.results}


def sent(client: ScriptedClient) -> list[list[tuple[str, Decimal]]]:
    """For each batch that was sent, the items in it with the on hand that they should get."""
    batches = []
    for request in client.asked("batch_execute_statement"):
        parameters = [from_attribute_values(dict(enumerate(each["Parameters"]))) for each in request["Statements"]]  # type: ignore[arg-type]
        batches.append([(str(values[1]), Decimal(str(values[0]))) for values in parameters])  # type: ignore[index]
    return batches


# Success


def test_a_batch_is_one_request_and_every_answer_is_read() -> None:
    client = ScriptedClient(batch_execute_statement=[batch_answer(WRITTEN, WRITTEN, write_units=3.0)])

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))])

    assert outcome(report) == {"mug": "written", "cup": "written"}
    assert (report.conflicts, report.throttles, report.write_units) == (0, 0, 3.0)
    (request,) = client.asked("batch_execute_statement")
    assert request["ReturnConsumedCapacity"] == "TOTAL"
    assert sent(client) == [[("mug", Decimal(7)), ("cup", Decimal(8))]]


def test_a_decision_without_a_write_is_reported_and_not_sent() -> None:
    client = ScriptedClient(batch_execute_statement=[batch_answer(WRITTEN)])

    report = write(client, [(MUG, LEAVE), (CUP, sets_on_hand(CUP, 8))])

    assert outcome(report) == {"mug": "left alone", "cup": "written"}
    assert sent(client) == [[("cup", Decimal(8))]]


def test_a_batch_with_nothing_to_write_sends_nothing() -> None:
    client = ScriptedClient()

    assert outcome(write(client, [(MUG, LEAVE)])) == {"mug": "left alone"}
    assert client.requests == []


# A condition that failed


def test_a_failed_condition_is_decided_again_from_the_item_that_came_back_and_never_sent_again() -> None:
    now_there = item_attributes(4)
    client = ScriptedClient(
        batch_execute_statement=[
            batch_answer(WRITTEN, statement_error("ConditionalCheckFailed", now_there), WRITTEN),
            batch_answer(WRITTEN),
        ]
    )
    seen: list[tuple[ItemKey, Attributes | None]] = []

    def decide(key: ItemKey, attributes: Attributes | None) -> Decided:
        seen.append((key, attributes))
        return sets_on_hand(key, 1, expected=4)

    report = write(
        client,
        [(CUP, sets_on_hand(CUP, 8)), (MUG, sets_on_hand(MUG, 7)), (PLATE, sets_on_hand(PLATE, 9))],
        decide,
    )

    assert seen == [(MUG, now_there)]
    assert sent(client) == [
        [("cup", Decimal(8)), ("mug", Decimal(7)), ("plate", Decimal(9))],
        [("mug", Decimal(1))],
    ]
    assert outcome(report) == {"cup": "written", "mug": "written", "plate": "written"}
    assert report.conflicts == 1
    assert {result.key: result.decision for result in report.results}[MUG] == sets_on_hand(MUG, 1, expected=4)


def test_an_item_that_needs_nothing_any_more_after_a_conflict_is_left_alone() -> None:
    client = ScriptedClient(
        batch_execute_statement=[batch_answer(statement_error("ConditionalCheckFailed", item_attributes(7)))]
    )

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], lambda _key, _attributes: LEAVE)

    assert outcome(report) == {"mug": "left alone"}
    assert report.conflicts == 1


def test_an_item_that_does_not_come_back_was_deleted() -> None:
    client = ScriptedClient(batch_execute_statement=[batch_answer(statement_error("ConditionalCheckFailed"))])
    seen: list[Attributes | None] = []

    def decide(_key: ItemKey, attributes: Attributes | None) -> Decided:
        seen.append(attributes)
        return LEAVE

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], decide)

    assert seen == [None]
    assert outcome(report) == {"mug": "left alone"}


def test_conflicts_are_tried_again_at_once_and_only_later_with_pauses() -> None:
    conflict = batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4)))
    client = ScriptedClient(batch_execute_statement=[*[conflict] * 6, batch_answer(WRITTEN)])
    time = FakeTime()

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], lambda key, _: sets_on_hand(key, 7), time.limits())

    assert outcome(report) == {"mug": "written"}
    assert report.conflicts == 6
    assert len(time.slept) == 3


def test_an_item_that_others_change_every_time_is_a_failure_when_the_time_is_up() -> None:
    time = FakeTime(deadline=5.0)

    def changed_again(_request: object) -> dict[str, Any]:
        time.now += 2.0
        return batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4)))

    client = ScriptedClient(batch_execute_statement=[changed_again] * 3)

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], lambda key, _: sets_on_hand(key, 7), time.limits())

    assert outcome(report) == {"mug": "ConditionalCheckFailed"}
    assert report.results[0].message == "other writers changed the item every time"


# A lost answer


def test_a_write_whose_answer_was_lost_is_counted_once() -> None:
    as_written = item_attributes(7) | {"last_write_id": "job-1/0/1"}
    client = ScriptedClient(
        batch_execute_statement=[
            lost_answer(),
            batch_answer(statement_error("ConditionalCheckFailed", as_written)),
        ]
    )
    asked: list[tuple[Decided, Attributes]] = []

    def landed(decision: Decided, attributes: Attributes) -> bool:
        asked.append((decision, attributes))
        return True

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], landed=landed)

    assert asked == [(sets_on_hand(MUG, 7), as_written)]
    assert outcome(report) == {"mug": "written"}
    assert report.results[0].decision == sets_on_hand(MUG, 7)


def test_a_write_that_did_not_land_is_decided_again() -> None:
    client = ScriptedClient(
        batch_execute_statement=[
            lost_answer(),
            batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4))),
            batch_answer(WRITTEN),
        ]
    )

    report = write(
        client,
        [(MUG, sets_on_hand(MUG, 7))],
        lambda key, _: sets_on_hand(key, 1),
        landed=lambda _decision, _attributes: False,
    )

    assert sent(client) == [[("mug", Decimal(7))], [("mug", Decimal(7))], [("mug", Decimal(1))]]
    assert outcome(report) == {"mug": "written"}


@pytest.mark.parametrize(
    "answer",
    [
        lost_answer(),
        failed_request("InternalServerError", 500),
        batch_answer(statement_error("InternalServerError")),
        batch_answer(statement_error("ThrottlingError")) | {"ResponseMetadata": {"RetryAttempts": 1}},
    ],
    ids=["no answer", "HTTP 500", "statement's server error", "an answer to a repetition"],
)
def test_a_write_that_fails_after_an_answer_was_lost_is_in_doubt(answer: Any) -> None:
    refused = batch_answer(statement_error("AccessDenied"))
    client = ScriptedClient(batch_execute_statement=[answer, refused])

    report = write(client, [(MUG, sets_on_hand(MUG, 7))])

    assert outcome(report) == {"mug": "AccessDenied"}
    assert report.is_in_doubt


def test_a_write_is_not_in_doubt_once_it_is_known_to_have_been_made() -> None:
    client = ScriptedClient(batch_execute_statement=[lost_answer(), batch_answer(WRITTEN)])

    assert not write(client, [(MUG, sets_on_hand(MUG, 7))]).is_in_doubt


def test_a_write_that_was_refused_each_time_is_not_in_doubt() -> None:
    client = ScriptedClient(
        batch_execute_statement=[
            failed_request("ThrottlingException"),
            batch_answer(statement_error("AccessDenied")),
        ]
    )

    assert not write(client, [(MUG, sets_on_hand(MUG, 7))]).is_in_doubt


# What is refused for a while

RETRIED_CODES = (
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "InternalServerError",
    "TransactionConflict",
)


@pytest.mark.parametrize("code", RETRIED_CODES)
def test_a_statement_refused_for_a_while_is_sent_again_alone(code: str) -> None:
    client = ScriptedClient(
        batch_execute_statement=[batch_answer(WRITTEN, statement_error(code)), batch_answer(WRITTEN)]
    )
    time = FakeTime()

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))], limits=time.limits())

    assert sent(client) == [[("mug", Decimal(7)), ("cup", Decimal(8))], [("cup", Decimal(8))]]
    assert outcome(report) == {"mug": "written", "cup": "written"}
    assert (report.throttles, len(time.slept)) == (1, 1)


def test_pauses_are_random_below_a_limit_that_doubles_up_to_five_seconds() -> None:
    refused = batch_answer(statement_error("ThrottlingError"))
    client = ScriptedClient(batch_execute_statement=[*[refused] * 30, batch_answer(WRITTEN)])
    time = FakeTime()

    write(client, [(MUG, sets_on_hand(MUG, 7))], limits=time.limits())

    assert len(time.slept) == 30
    for attempt, seconds in enumerate(time.slept):
        assert 0.0 <= seconds <= min(5.0, 0.05 * 2**attempt)
    assert len(set(time.slept)) == 30
    assert max(time.slept) > 1.0


@pytest.mark.parametrize("code", RETRIED_CODES)
def test_what_is_still_refused_when_the_time_is_up_fails_with_its_code(code: str) -> None:
    time = FakeTime(deadline=3.0)

    def refuses(_request: object) -> dict[str, Any]:
        time.now += 1.5
        return batch_answer(WRITTEN, statement_error(code, message="slow down")) if time.now < 2 else later

    later = batch_answer(statement_error(code, message="slow down"))
    client = ScriptedClient(batch_execute_statement=[refuses, refuses])

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))], limits=time.limits())

    assert outcome(report) == {"mug": "written", "cup": code}
    assert report.results[-1].message == "slow down"
    assert report.throttles == 2


@pytest.mark.parametrize(
    "failure",
    [
        failed_request("ThrottlingException"),
        failed_request("ProvisionedThroughputExceededException"),
        failed_request("RequestLimitExceeded"),
        failed_request("InternalServerError", 500),
        failed_request("ServiceUnavailable", 503),
        failed_request("Whatever", 502),
        lost_answer(),
        ConnectionClosedError(endpoint_url="https://dynamodb.example"),
    ],
)
def test_a_request_refused_as_a_whole_is_sent_again_as_a_whole(failure: Exception) -> None:
    client = ScriptedClient(batch_execute_statement=[failure, batch_answer(WRITTEN, WRITTEN)])
    time = FakeTime()

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))], limits=time.limits())

    assert [len(batch) for batch in sent(client)] == [2, 2]
    assert outcome(report) == {"mug": "written", "cup": "written"}
    assert report.throttles == 2
    assert len(time.slept) == 1


def test_a_request_refused_until_the_time_is_up_fails_each_of_its_items() -> None:
    time = FakeTime(deadline=1.0)

    def too_slow(_request: object) -> dict[str, Any]:
        time.now += 1.0
        raise failed_request("ThrottlingException")

    client = ScriptedClient(batch_execute_statement=[too_slow])

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))], limits=time.limits())

    assert outcome(report) == {"mug": "ThrottlingError", "cup": "ThrottlingError"}


# What is refused for good


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded", "SomethingNew"])
def test_any_other_code_is_a_failure_of_that_item_alone(code: str) -> None:
    client = ScriptedClient(
        batch_execute_statement=[batch_answer(WRITTEN, statement_error(code, message="too large"), WRITTEN)]
    )

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8)), (PLATE, sets_on_hand(PLATE, 9))])

    assert outcome(report) == {"mug": "written", "cup": code, "plate": "written"}
    assert [result.message for result in report.results if result.code] == ["too large"]


def test_a_batch_that_aws_finds_invalid_is_sent_item_by_item() -> None:
    client = ScriptedClient(
        batch_execute_statement=[
            failed_request("ValidationException", message="one of them"),
            batch_answer(WRITTEN, write_units=1.0),
            failed_request("ValidationException", message="this one"),
            batch_answer(WRITTEN, write_units=1.0),
        ]
    )

    report = write(client, [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8)), (PLATE, sets_on_hand(PLATE, 9))])

    assert [[sku for sku, _ in batch] for batch in sent(client)] == [
        ["mug", "cup", "plate"],
        ["mug"],
        ["cup"],
        ["plate"],
    ]
    assert outcome(report) == {"mug": "written", "cup": "ValidationError", "plate": "written"}
    assert "this one" in next(result.message for result in report.results if result.code)
    assert report.write_units == 2.0


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])
def test_a_request_that_aws_refuses_for_good_raises(code: str) -> None:
    client = ScriptedClient(batch_execute_statement=[failed_request(code)])

    with pytest.raises(ClientError, match=code):
        write(client, [(MUG, sets_on_hand(MUG, 7))])


# Creating


def test_a_creation_that_finds_the_item_there_is_decided_again_from_it() -> None:
    there = item_attributes(4)
    client = ScriptedClient(
        batch_execute_statement=[batch_answer(statement_error("DuplicateItem")), batch_answer(WRITTEN)],
        get_item=[{"Item": to_attribute_values(there)}],
    )
    seen: list[Attributes | None] = []

    def decide(key: ItemKey, attributes: Attributes | None) -> Decided:
        seen.append(attributes)
        return sets_on_hand(key, 1)

    report = write(client, [(MUG, Decided(Creation(MUG, {"on_hand": Decimal(0)})))], decide)

    assert seen == [there]
    (read,) = client.asked("get_item")
    assert read["ConsistentRead"] is True
    assert outcome(report) == {"mug": "written"}
    assert report.conflicts == 1


# Time, pace and permission


def test_without_time_left_nothing_is_sent() -> None:
    client = ScriptedClient()

    with pytest.raises(OutOfTimeError):
        write(client, [(MUG, sets_on_hand(MUG, 7))], limits=FakeTime(deadline=0.0).limits())

    assert client.requests == []


def test_a_batch_for_which_the_write_rate_leaves_no_time_is_not_sent() -> None:
    time = FakeTime(deadline=5.0)
    pace = WritePace(1, time, time.sleep)
    pace.wait(10, 5.0)

    with pytest.raises(OutOfTimeError):
        write(ScriptedClient(), [(MUG, sets_on_hand(MUG, 7))], limits=time.limits(pace=pace))


def test_what_was_written_is_not_forgotten_when_the_write_rate_leaves_no_time_for_the_rest() -> None:
    time = FakeTime(deadline=5.0)
    client = ScriptedClient(batch_execute_statement=[batch_answer(WRITTEN, statement_error("ThrottlingError"))])

    report = write(
        client,
        [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))],
        limits=time.limits(pace=WritePace(0.1, time, time.sleep)),
    )

    assert outcome(report) == {"mug": "written", "cup": "ThrottlingError"}


def test_permission_to_write_is_asked_before_every_batch() -> None:
    order: list[str] = []

    def refuses(_request: object) -> dict[str, Any]:
        order.append("sent")
        return batch_answer(statement_error("ThrottlingError"))

    client = ScriptedClient(batch_execute_statement=[refuses, refuses, batch_answer(WRITTEN)])

    write(
        client,
        [(MUG, sets_on_hand(MUG, 7))],
        limits=FakeTime().limits(check=lambda: order.append("asked")),
    )

    assert order == ["asked", "sent", "asked", "sent", "asked"]


def test_a_worker_that_may_not_write_any_more_stops_before_the_next_batch() -> None:
    client = ScriptedClient(batch_execute_statement=[batch_answer(statement_error("ThrottlingError"))])
    answers = iter([None, PermissionError("the lease is lost")])

    def check() -> None:
        if answer := next(answers):
            raise answer

    with pytest.raises(PermissionError, match="the lease is lost"):
        write(client, [(MUG, sets_on_hand(MUG, 7))], limits=FakeTime().limits(check))

    assert len(client.requests) == 1


def test_the_write_rate_counts_every_item_that_is_sent_again_included() -> None:
    time = FakeTime()
    client = ScriptedClient(
        batch_execute_statement=[
            batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4)), WRITTEN),
            batch_answer(WRITTEN),
            batch_answer(WRITTEN),
        ]
    )
    table, limits = table_on(client), time.limits(pace=WritePace(2, time, time.sleep))

    table.write_batch(
        {MUG: sets_on_hand(MUG, 7), CUP: sets_on_hand(CUP, 8)}, lambda key, _: sets_on_hand(key, 7), limits
    )
    assert time.now == 1.0  # two items at two a second went before the one that was sent again

    table.write_batch({PLATE: sets_on_hand(PLATE, 9)}, never_again, limits)
    assert time.now == 1.5


# The pace itself


def test_a_pace_of_nothing_is_no_limit() -> None:
    time = FakeTime()
    pace = WritePace(0, time, time.sleep)

    for _ in range(100):
        pace.wait(25, 0.0)

    assert time.slept == []


def test_items_are_spread_over_time() -> None:
    time = FakeTime()
    pace = WritePace(10, time, time.sleep)

    starts = []
    for items in (25, 5, 10, 1):
        pace.wait(items, 100.0)
        starts.append(time.now)

    assert starts == [0.0, 2.5, 3.0, 4.0]


def test_time_in_which_nothing_was_sent_is_not_made_up_for() -> None:
    time = FakeTime()
    pace = WritePace(10, time, time.sleep)
    pace.wait(10, 100.0)

    time.now = 60.0
    pace.wait(10, 100.0)
    pace.wait(10, 100.0)

    assert time.now == 61.0


def test_a_wait_longer_than_the_time_left_is_refused_and_takes_no_share() -> None:
    time = FakeTime()
    pace = WritePace(1, time, time.sleep)
    pace.wait(10, 100.0)

    with pytest.raises(OutOfTimeError, match="no room for 5 items"):
        pace.wait(5, 9.9)
    pace.wait(1, 10.0)

    assert time.slept == [10.0]


# Pages


def test_the_due_items_are_read_from_the_sparse_index() -> None:
    request = scan_request("inventory", "due", moment("12:00"), segment=2, segments=4, limit=250, cursor=None)

    assert request == {
        "TableName": "inventory",
        "IndexName": "due",
        "Segment": 2,
        "TotalSegments": 4,
        "Limit": 250,
        "ReturnConsumedCapacity": "TOTAL",
        "FilterExpression": "next_change_at <= :as_of",
        "ExpressionAttributeValues": {":as_of": {"S": moment("12:00")}},
    }


def test_all_items_are_read_from_the_table_consistently() -> None:
    cursor = {"sku": "mug", "location_id": "DC1"}

    request = scan_request("inventory", "all", moment("12:00"), segment=0, segments=1, limit=1, cursor=cursor)

    assert request == {
        "TableName": "inventory",
        "Segment": 0,
        "TotalSegments": 1,
        "Limit": 1,
        "ReturnConsumedCapacity": "TOTAL",
        "ConsistentRead": True,
        "ExclusiveStartKey": {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}},
    }


def scan_answer(*items: Attributes, scanned: int | None = None, last: Attributes | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Items": [to_attribute_values(item) for item in items],
        "ScannedCount": len(items) if scanned is None else scanned,
        "ConsumedCapacity": {"CapacityUnits": 2.5},
    }
    return answer | ({"LastEvaluatedKey": to_attribute_values(last)} if last else {})


def read_page(client: ScriptedClient, time: FakeTime | None = None) -> Page:
    return table_on(client).scan_page(
        "due", moment("12:00"), segment=0, segments=1, limit=10, cursor=None, limits=(time or FakeTime()).limits()
    )


def test_a_page_tells_what_it_read_and_where_to_go_on() -> None:
    last = {"sku": "mug", "location_id": "DC1", "next_change_at": moment("09:00")}
    client = ScriptedClient(scan=[scan_answer(item_attributes(4), scanned=7, last=last)])

    assert read_page(client) == Page((item_attributes(4),), last, scanned=7, read_units=2.5)


def test_the_last_page_has_no_cursor() -> None:
    assert read_page(ScriptedClient(scan=[scan_answer()])).cursor is None


def test_an_empty_page_with_a_last_key_goes_on() -> None:
    last = {"sku": "cup", "location_id": "DC1"}
    client = ScriptedClient(scan=[scan_answer(scanned=3, last=last), scan_answer(item_attributes(4))])

    assert list(table_on(client).scan("all")) == [item_attributes(4)]
    assert [request.get("ExclusiveStartKey") for request in client.asked("scan")] == [None, to_attribute_values(last)]


def test_a_scan_without_a_moment_finds_changes_up_to_the_last_one() -> None:
    client = ScriptedClient(scan=[scan_answer()])

    list(table_on(client).scan("due"))

    (request,) = client.asked("scan")
    assert request["ExpressionAttributeValues"][":as_of"]["S"] == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    "failure", [failed_request("ThrottlingException"), failed_request("InternalServerError", 500), lost_answer()]
)
def test_a_page_refused_for_a_while_is_asked_for_again(failure: Exception) -> None:
    client = ScriptedClient(scan=[failure, failure, scan_answer(item_attributes(4))])
    time = FakeTime()

    assert read_page(client, time).items == (item_attributes(4),)
    assert len(time.slept) == 2
    assert time.slept[0] <= 0.05
    assert time.slept[1] <= 0.1


def test_a_page_refused_until_the_time_is_up_raises() -> None:
    client = ScriptedClient(scan=[failed_request("ThrottlingException")])

    with pytest.raises(ClientError, match="ThrottlingException"):
        read_page(client, FakeTime(deadline=0.0))


def test_a_page_refused_without_end_is_given_up() -> None:
    client = ScriptedClient(scan=[failed_request("ThrottlingException")] * 1_000)

    with pytest.raises(ClientError, match="ThrottlingException"):
        read_page(client, FakeTime(deadline=1e9))

    assert len(client.requests) == 201


def test_a_page_refused_for_good_raises_at_once() -> None:
    client = ScriptedClient(scan=[failed_request("AccessDeniedException")])

    with pytest.raises(ClientError, match="AccessDeniedException"):
        read_page(client)


# Single items


def test_an_item_is_read_consistently_or_is_not_there() -> None:
    client = ScriptedClient(get_item=[{"Item": to_attribute_values(item_attributes(4))}, {}])

    assert table_on(client).read(MUG) == item_attributes(4)
    assert table_on(client).read(CUP) is None
    assert client.asked("get_item")[0] == {
        "TableName": "inventory",
        "Key": {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}},
        "ConsistentRead": True,
    }


def keys_of(*skus: str) -> list[dict[str, Any]]:
    return [to_attribute_values({"sku": sku, "location_id": "DC1"}) for sku in skus]


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory_updater.dynamodb.pacing.random.uniform", lambda _low, _high: 0.0)


@pytest.mark.usefixtures("without_pauses")
def test_keys_that_were_not_processed_are_asked_for_again() -> None:
    mug, cup = item_attributes(4), item_attributes(5, sku="cup")
    unprocessed = {"inventory": {"Keys": keys_of("cup", "plate")}}
    client = ScriptedClient(
        batch_get_item=[
            {"Responses": {"inventory": [to_attribute_values(mug)]}, "UnprocessedKeys": unprocessed},
            {"Responses": {"inventory": [to_attribute_values(cup)]}, "UnprocessedKeys": {}},
        ]
    )

    assert table_on(client).read_many([MUG, CUP, PLATE]) == {MUG: mug, CUP: cup}
    assert [request["RequestItems"]["inventory"] for request in client.asked("batch_get_item")] == [
        {"Keys": keys_of("mug", "cup", "plate"), "ConsistentRead": True},
        {"Keys": keys_of("cup", "plate"), "ConsistentRead": True},
    ]


def test_a_key_that_is_named_twice_is_asked_for_once() -> None:
    client = ScriptedClient(batch_get_item=[{"Responses": {"inventory": [to_attribute_values(item_attributes(4))]}}])

    assert table_on(client).read_many([MUG, CUP, MUG]) == {MUG: item_attributes(4)}
    assert client.asked("batch_get_item")[0]["RequestItems"]["inventory"]["Keys"] == keys_of("mug", "cup")


def test_no_keys_need_no_request() -> None:
    assert table_on(ScriptedClient()).read_many([]) == {}


@pytest.mark.usefixtures("without_pauses")
def test_a_table_that_never_answers_for_a_key_is_given_up() -> None:
    answer = {"Responses": {}, "UnprocessedKeys": {"inventory": {"Keys": keys_of("mug")}}}

    with pytest.raises(TimeoutError, match="table inventory did not answer for 1 keys"):
        table_on(ScriptedClient(batch_get_item=[answer] * 200)).read_many([MUG])


# Many items


def test_items_are_read_decided_and_written_in_batches_of_25() -> None:
    inventory = InMemoryInventory(item_attributes(10, sku=f"sku-{number:03}") for number in range(60))

    reports = list(
        InventoryTable(inventory.client, "inventory").decide_and_write(
            list(inventory.items), lambda key, attributes: sets_on_hand(key, 3) if attributes else LEAVE, writers=2
        )
    )

    assert [len(report.results) for report in reports] == [25, 25, 10]
    assert inventory.calls["batch_execute_statement"] == 3
    assert {item["on_hand"] for item in inventory.items.values()} == {Decimal(3)}
    assert set(inventory.writes.values()) == {1}


def test_what_is_not_there_is_decided_as_absent() -> None:
    inventory = InMemoryInventory([item_attributes(10)])

    (report,) = InventoryTable(inventory.client, "inventory").decide_and_write(
        [MUG, CUP], lambda key, attributes: sets_on_hand(key, 3) if attributes else LEAVE
    )

    assert outcome(report) == {"mug": "written", "cup": "left alone"}


def test_elements_are_batched_with_the_rest_in_the_last_batch() -> None:
    assert list(batched("abcde", 2)) == [("a", "b"), ("c", "d"), ("e",)]
    assert list(batched("", 2)) == []
