"""The inventory table against a client that answers from a script: pages, items, and batches of conditional writes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError, WritePace
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.planning import Update
from inventory_updater.stock.scheduling import Creation
from inventory_updater.tables.inventory_table import BatchReport, InventoryTable, Page, scan_request
from tests.builders import item_attributes, moment
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import (
    WRITTEN,
    Answer,
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
BOTH = [(MUG, sets_on_hand(MUG, 7)), (CUP, sets_on_hand(CUP, 8))]
ALL = [*BOTH, (PLATE, sets_on_hand(PLATE, 9))]


def limits(clock: Clock | None = None, seconds: float = 1_000.0, **bounds: Any) -> Limits:
    clock = clock or Clock()
    return Limits(clock.countdown(seconds), sleep=clock.sleep, **bounds)


def never_again(key: ItemKey, attributes: Attributes | None) -> Decided:
    raise AssertionError(f"{key} is not to be decided again, from {attributes}")


def table_on(client: ScriptedClient) -> InventoryTable:
    return InventoryTable(client.client, "inventory")


def write(
    client: ScriptedClient,
    batch: Iterable[tuple[ItemKey, Decided]],
    decide: Callable[[ItemKey, Attributes | None], Decided] = never_again,
    within: Limits | None = None,
    **rest: Any,
) -> BatchReport[Decided]:
    report = table_on(client).write_batch(dict(batch), decide, within or limits(), **rest)
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

    report = write(client, BOTH)

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
    clock = Clock()

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], lambda key, _: sets_on_hand(key, 7), limits(clock))

    assert outcome(report) == {"mug": "written"}
    assert report.conflicts == 6
    assert len(clock.pauses) == 3


def test_an_item_that_others_change_every_time_is_a_failure_when_the_time_is_up() -> None:
    clock = Clock()

    def changed_again(_request: object) -> dict[str, Any]:
        clock.goes_on(2.0)
        return batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4)))

    client = ScriptedClient(batch_execute_statement=[changed_again] * 3)

    report = write(client, [(MUG, sets_on_hand(MUG, 7))], lambda key, _: sets_on_hand(key, 7), limits(clock, 5.0))

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


def test_a_write_that_fails_after_an_answer_was_lost_is_in_doubt() -> None:
    lost: dict[str, Any] = {
        "no answer": lost_answer(),
        "HTTP 500": failed_request("InternalServerError", 500),
        "a statement's server error": batch_answer(statement_error("InternalServerError")),
        "an answer to a repetition": batch_answer(statement_error("ThrottlingError"))
        | {"ResponseMetadata": {"RetryAttempts": 1}},
    }
    refused = batch_answer(statement_error("AccessDenied"))
    reports = {
        name: write(ScriptedClient(batch_execute_statement=[answer, refused]), [(MUG, sets_on_hand(MUG, 7))])
        for name, answer in lost.items()
    }

    assert {name: outcome(report)["mug"] for name, report in reports.items()} == dict.fromkeys(lost, "AccessDenied")
    assert [name for name, report in reports.items() if not report.is_in_doubt] == []


def test_a_write_is_not_in_doubt_once_it_was_made_or_where_it_was_refused_each_time() -> None:
    throttled, denied = failed_request("ThrottlingException"), batch_answer(statement_error("AccessDenied"))

    scripts: list[list[Answer]] = [[lost_answer(), batch_answer(WRITTEN)], [throttled, denied]]
    for script in scripts:
        client = ScriptedClient(batch_execute_statement=script)
        assert not write(client, [(MUG, sets_on_hand(MUG, 7))]).is_in_doubt


# What is refused for a while

RETRIED_CODES = (
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "InternalServerError",
    "TransactionConflict",
)


def test_a_statement_refused_for_a_while_is_sent_again_alone() -> None:
    for code in RETRIED_CODES:
        client = ScriptedClient(
            batch_execute_statement=[batch_answer(WRITTEN, statement_error(code)), batch_answer(WRITTEN)]
        )
        clock = Clock()

        report = write(client, BOTH, within=limits(clock))

        assert sent(client) == [[("mug", Decimal(7)), ("cup", Decimal(8))], [("cup", Decimal(8))]]
        assert outcome(report) == {"mug": "written", "cup": "written"}
        assert (report.throttles, len(clock.pauses)) == (1, 1)


def test_what_is_still_refused_when_the_time_is_up_fails_with_its_code() -> None:
    for code in RETRIED_CODES:
        clock, slow = Clock(), statement_error(code, message="slow down")

        def refuses(_request: object, clock: Clock = clock, slow: Any = slow) -> dict[str, Any]:
            clock.goes_on(1.5)
            return batch_answer(WRITTEN, slow) if clock.seconds < 2 else batch_answer(slow)

        report = write(
            ScriptedClient(batch_execute_statement=[refuses, refuses]), BOTH, within=limits(clock, seconds=3.0)
        )

        assert outcome(report) == {"mug": "written", "cup": code}
        assert report.results[-1].message == "slow down"
        assert report.throttles == 2


def test_a_request_refused_as_a_whole_is_sent_again_as_a_whole() -> None:
    for failure in (failed_request("ThrottlingException"), failed_request("Whatever", 502), lost_answer()):
        client = ScriptedClient(batch_execute_statement=[failure, batch_answer(WRITTEN, WRITTEN)])
        clock = Clock()

        report = write(client, BOTH, within=limits(clock))

        assert [len(batch) for batch in sent(client)] == [2, 2]
        assert outcome(report) == {"mug": "written", "cup": "written"}
        assert (report.throttles, len(clock.pauses)) == (2, 1)


def test_a_request_refused_until_the_time_is_up_fails_each_of_its_items() -> None:
    clock = Clock()

    def too_slow(_request: object) -> dict[str, Any]:
        clock.goes_on(1.0)
        raise failed_request("ThrottlingException")

    report = write(ScriptedClient(batch_execute_statement=[too_slow]), BOTH, within=limits(clock, seconds=1.0))

    assert outcome(report) == {"mug": "ThrottlingError", "cup": "ThrottlingError"}


# What is refused for good


def test_any_other_code_is_a_failure_of_that_item_alone() -> None:
    for code in ("ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded", "SomethingNew"):
        client = ScriptedClient(
            batch_execute_statement=[batch_answer(WRITTEN, statement_error(code, message="too large"), WRITTEN)]
        )

        report = write(client, ALL)

        assert outcome(report) == {"mug": "written", "cup": code, "plate": "written"}
        assert [result.message for result in report.results if result.code] == ["too large"]


def test_a_request_that_aws_refuses_for_good_raises() -> None:
    for code in ("AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"):
        with pytest.raises(ClientError, match=code):
            write(ScriptedClient(batch_execute_statement=[failed_request(code)]), BOTH)


def test_a_batch_that_aws_finds_invalid_is_sent_item_by_item() -> None:
    client = ScriptedClient(
        batch_execute_statement=[
            failed_request("ValidationException", message="one of them"),
            batch_answer(WRITTEN, write_units=1.0),
            failed_request("ValidationException", message="this one"),
            batch_answer(WRITTEN, write_units=1.0),
        ]
    )

    report = write(client, ALL)

    assert [[sku for sku, _ in batch] for batch in sent(client)] == [
        ["mug", "cup", "plate"],
        ["mug"],
        ["cup"],
        ["plate"],
    ]
    assert outcome(report) == {"mug": "written", "cup": "ValidationError", "plate": "written"}
    assert "this one" in next(result.message for result in report.results if result.code)
    assert report.write_units == 2.0


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
        write(client, [(MUG, sets_on_hand(MUG, 7))], within=limits(seconds=0.0))

    assert client.requests == []


def test_a_batch_for_which_the_write_rate_leaves_no_time_is_not_sent() -> None:
    clock = Clock()
    pace = WritePace(1, clock.monotonic, clock.sleep)
    pace.wait(10, 5.0)

    with pytest.raises(OutOfTimeError):
        write(ScriptedClient(), [(MUG, sets_on_hand(MUG, 7))], within=limits(clock, 5.0, pace=pace))


def test_what_was_written_is_not_forgotten_when_the_write_rate_leaves_no_time_for_the_rest() -> None:
    clock = Clock()
    client = ScriptedClient(batch_execute_statement=[batch_answer(WRITTEN, statement_error("ThrottlingError"))])

    report = write(client, BOTH, within=limits(clock, 5.0, pace=WritePace(0.1, clock.monotonic, clock.sleep)))

    assert outcome(report) == {"mug": "written", "cup": "ThrottlingError"}


def test_permission_to_write_is_asked_before_every_batch() -> None:
    order: list[str] = []

    def refuses(_request: object) -> dict[str, Any]:
        order.append("sent")
        return batch_answer(statement_error("ThrottlingError"))

    client = ScriptedClient(batch_execute_statement=[refuses, refuses, batch_answer(WRITTEN)])

    write(client, [(MUG, sets_on_hand(MUG, 7))], within=limits(check=lambda: order.append("asked")))

    assert order == ["asked", "sent", "asked", "sent", "asked"]


def test_a_worker_that_may_not_write_any_more_stops_before_the_next_batch() -> None:
    client = ScriptedClient(batch_execute_statement=[batch_answer(statement_error("ThrottlingError"))])
    answers = iter([None, PermissionError("the lease is lost")])

    def check() -> None:
        if answer := next(answers):
            raise answer

    with pytest.raises(PermissionError, match="the lease is lost"):
        write(client, [(MUG, sets_on_hand(MUG, 7))], within=limits(check=check))

    assert len(client.requests) == 1


def test_the_write_rate_counts_every_item_that_is_sent_again_included() -> None:
    clock = Clock()
    client = ScriptedClient(
        batch_execute_statement=[
            batch_answer(statement_error("ConditionalCheckFailed", item_attributes(4)), WRITTEN),
            batch_answer(WRITTEN),
            batch_answer(WRITTEN),
        ]
    )
    table, paced = table_on(client), limits(clock, pace=WritePace(2, clock.monotonic, clock.sleep))

    table.write_batch(
        {MUG: sets_on_hand(MUG, 7), CUP: sets_on_hand(CUP, 8)}, lambda key, _: sets_on_hand(key, 7), paced
    )
    assert clock.seconds == 1.0  # two items at two a second went before the one that was sent again

    table.write_batch({PLATE: sets_on_hand(PLATE, 9)}, never_again, paced)
    assert clock.seconds == 1.5


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


def read_page(client: ScriptedClient) -> Page:
    return table_on(client).scan_page(
        "due", moment("12:00"), segment=0, segments=1, limit=10, cursor=None, limits=limits()
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


def test_a_page_refused_for_a_while_is_asked_for_again() -> None:
    client = ScriptedClient(
        scan=[failed_request("ThrottlingException"), lost_answer(), scan_answer(item_attributes(4))]
    )

    assert read_page(client).items == (item_attributes(4),)


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
