"""The inventory table against a client that answers from a script: pages, items, and batches of conditional writes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
ONE = {MUG: sets_on_hand(MUG, 7)}
BOTH = ONE | {CUP: sets_on_hand(CUP, 8)}
ALL = BOTH | {PLATE: sets_on_hand(PLATE, 9)}


def limits(clock: Clock | None = None, seconds: float = 1_000.0, **bounds: Any) -> Limits:
    clock = clock or Clock()
    return Limits(clock.countdown(seconds), sleep=clock.sleep, **bounds)


def paced(clock: Clock, items_a_second: float, seconds: float = 1_000.0) -> Limits:
    return limits(clock, seconds, pace=WritePace(items_a_second, clock.monotonic, clock.sleep))


def refused(code: str, item: Attributes | None = None) -> dict[str, Any]:
    """The answer to a batch of one statement that failed."""
    return batch_answer(statement_error(code, item))


DONE, DENIED = batch_answer(WRITTEN), refused("AccessDenied")
CHANGED = refused("ConditionalCheckFailed", item_attributes(4))


def answering(*answers: Answer) -> ScriptedClient:
    """A client that answers so to one batch after the other."""
    return ScriptedClient(batch_execute_statement=answers)


def slow(clock: Clock, seconds: float, answer: Mapping[str, Any] | Exception) -> Answer:
    """An answer that takes its time."""

    def answers(_request: object) -> Mapping[str, Any]:
        clock.goes_on(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return answers


@dataclass
class Again:
    """Decides again, always the same, and remembers for which items."""

    decision: Decided
    seen: list[tuple[ItemKey, Attributes | None]] = field(default_factory=list)

    def __call__(self, key: ItemKey, attributes: Attributes | None) -> Decided:
        self.seen.append((key, attributes))
        return self.decision


def never_again(key: ItemKey, attributes: Attributes | None) -> Decided:
    raise AssertionError(f"{key} is not to be decided again, from {attributes}")


def table_on(client: ScriptedClient | InMemoryInventory) -> InventoryTable:
    return InventoryTable(client.client, "inventory")


def write(
    client: ScriptedClient,
    batch: Mapping[ItemKey, Decided],
    decide: Callable[[ItemKey, Attributes | None], Decided] = never_again,
    within: Limits | None = None,
    **rest: Any,
) -> BatchReport[Decided]:
    report = table_on(client).write_batch(batch, decide, within or limits(), **rest)
    assert client.is_exhausted
    return report


def outcome(report: BatchReport[Decided]) -> dict[str, str]:
    """sku -> "written", "left alone" or the code of its failure."""
    return {result.key.sku: result.code or ("written" if result.written else "left alone") for result in report.results}


def sent(client: ScriptedClient) -> list[dict[object, object]]:
    """For each batch that was sent, the skus in it with the on hand that they should get."""
    batches = []
    for request in client.asked("batch_execute_statement"):
        parameters = [from_attribute_values(dict(enumerate(each["Parameters"]))) for each in request["Statements"]]  # type: ignore[arg-type]
        batches.append({values[1]: values[0] for values in parameters})  # type: ignore[index]
    return batches


# Success


def test_a_batch_is_one_request_and_every_answer_is_read() -> None:
    client = answering(batch_answer(WRITTEN, WRITTEN, write_units=3.0))

    report = write(client, BOTH)

    assert outcome(report) == {"mug": "written", "cup": "written"}
    assert (report.conflicts, report.throttles, report.write_units) == (0, 0, 3.0)
    assert [request["ReturnConsumedCapacity"] for request in client.asked("batch_execute_statement")] == ["TOTAL"]
    assert sent(client) == [{"mug": 7, "cup": 8}]


def test_a_decision_without_a_write_is_reported_and_not_sent() -> None:
    client = answering(DONE)

    assert outcome(write(client, BOTH | {MUG: LEAVE})) == {"mug": "left alone", "cup": "written"}
    assert sent(client) == [{"cup": 8}]
    assert outcome(write(answering(), {MUG: LEAVE})) == {"mug": "left alone"}


# A condition that failed


def test_a_failed_condition_is_decided_again_from_the_item_that_came_back_and_never_sent_again() -> None:
    now_there = item_attributes(4)
    client = answering(batch_answer(WRITTEN, statement_error("ConditionalCheckFailed", now_there), WRITTEN), DONE)
    again = Again(sets_on_hand(CUP, 1, expected=4))

    report = write(client, ALL, again)

    assert again.seen == [(CUP, now_there)]
    assert sent(client) == [{"mug": 7, "cup": 8, "plate": 9}, {"cup": 1}]
    assert outcome(report) == {"mug": "written", "cup": "written", "plate": "written"}
    assert report.conflicts == 1
    assert {result.key: result.decision for result in report.results} == ALL | {CUP: again.decision}


def test_an_item_that_needs_nothing_any_more_after_a_conflict_or_was_deleted_is_left_alone() -> None:
    for there in (item_attributes(7), None):
        again = Again(LEAVE)

        report = write(answering(refused("ConditionalCheckFailed", there)), ONE, again)

        assert again.seen == [(MUG, there)]
        assert (outcome(report), report.conflicts) == ({"mug": "left alone"}, 1)


def test_conflicts_are_tried_again_at_once_and_only_later_with_pauses() -> None:
    clock = Clock()

    report = write(answering(*[CHANGED] * 6, DONE), ONE, Again(sets_on_hand(MUG, 7)), limits(clock))

    assert outcome(report) == {"mug": "written"}
    assert (report.conflicts, len(clock.pauses)) == (6, 3)


def test_an_item_that_others_change_every_time_is_a_failure_when_the_time_is_up() -> None:
    clock = Clock()
    client = answering(*[slow(clock, 2.0, CHANGED)] * 3)

    report = write(client, ONE, Again(sets_on_hand(MUG, 7)), limits(clock, 5.0))

    assert outcome(report) == {"mug": "ConditionalCheckFailed"}
    assert report.results[0].message == "other writers changed the item every time"


def test_a_creation_that_finds_the_item_there_is_decided_again_from_it() -> None:
    there = item_attributes(4)
    client = ScriptedClient(
        batch_execute_statement=[refused("DuplicateItem"), DONE], get_item=[{"Item": to_attribute_values(there)}]
    )
    again = Again(sets_on_hand(MUG, 1))

    report = write(client, {MUG: Decided(Creation(MUG, {"on_hand": Decimal(0)}))}, again)

    assert again.seen == [(MUG, there)]
    assert [read["ConsistentRead"] for read in client.asked("get_item")] == [True]
    assert (outcome(report), report.conflicts) == ({"mug": "written"}, 1)


# A lost answer


def test_a_write_whose_answer_was_lost_is_counted_once() -> None:
    as_written = item_attributes(7) | {"last_write_id": "job-1/0/1"}
    client = answering(lost_answer(), refused("ConditionalCheckFailed", as_written))
    asked: list[tuple[Decided, Attributes]] = []

    def landed(decision: Decided, attributes: Attributes) -> bool:
        asked.append((decision, attributes))
        return True

    report = write(client, ONE, landed=landed)

    assert asked == [(sets_on_hand(MUG, 7), as_written)]
    assert outcome(report) == {"mug": "written"}
    assert report.results[0].decision == sets_on_hand(MUG, 7)


def test_a_write_that_did_not_land_is_decided_again() -> None:
    client = answering(lost_answer(), CHANGED, DONE)

    report = write(client, ONE, Again(sets_on_hand(MUG, 1)), landed=lambda _decision, _attributes: False)

    assert sent(client) == [{"mug": 7}, {"mug": 7}, {"mug": 1}]
    assert outcome(report) == {"mug": "written"}


def test_a_write_that_fails_after_an_answer_was_lost_is_in_doubt() -> None:
    lost: dict[str, Any] = {
        "no answer": lost_answer(),
        "HTTP 500": failed_request("InternalServerError", 500),
        "a statement's server error": refused("InternalServerError"),
        "an answer to a repetition": refused("ThrottlingError") | {"ResponseMetadata": {"RetryAttempts": 1}},
    }
    reports = {name: write(answering(answer, DENIED), ONE) for name, answer in lost.items()}

    assert {name: outcome(report)["mug"] for name, report in reports.items()} == dict.fromkeys(lost, "AccessDenied")
    assert [name for name, report in reports.items() if not report.is_in_doubt] == []


def test_a_write_is_not_in_doubt_once_it_was_made_or_where_it_was_refused_each_time() -> None:
    assert not write(answering(lost_answer(), DONE), ONE).is_in_doubt
    assert not write(answering(failed_request("ThrottlingException"), DENIED), ONE).is_in_doubt


# What is refused for a while

RETRIED_CODES = (
    *("ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"),
    *("InternalServerError", "TransactionConflict"),
)


def test_a_statement_refused_for_a_while_is_sent_again_alone() -> None:
    for code in RETRIED_CODES:
        client, clock = answering(batch_answer(WRITTEN, statement_error(code)), DONE), Clock()

        report = write(client, BOTH, within=limits(clock))

        assert sent(client) == [{"mug": 7, "cup": 8}, {"cup": 8}]
        assert outcome(report) == {"mug": "written", "cup": "written"}
        assert (report.throttles, len(clock.pauses)) == (1, 1)


def test_what_is_still_refused_when_the_time_is_up_fails_with_its_code() -> None:
    for code in RETRIED_CODES:
        clock, no = Clock(), statement_error(code, message="slow down")
        client = answering(slow(clock, 1.5, batch_answer(WRITTEN, no)), slow(clock, 1.5, batch_answer(no)))

        report = write(client, BOTH, within=limits(clock, seconds=3.0))

        assert outcome(report) == {"mug": "written", "cup": code}
        assert (report.results[-1].message, report.throttles) == ("slow down", 2)


def test_a_request_refused_as_a_whole_is_sent_again_as_a_whole() -> None:
    for failure in (failed_request("ThrottlingException"), failed_request("Whatever", 502), lost_answer()):
        client, clock = answering(failure, batch_answer(WRITTEN, WRITTEN)), Clock()

        report = write(client, BOTH, within=limits(clock))

        assert sent(client) == [{"mug": 7, "cup": 8}] * 2
        assert outcome(report) == {"mug": "written", "cup": "written"}
        assert (report.throttles, len(clock.pauses)) == (2, 1)


def test_a_request_refused_until_the_time_is_up_fails_each_of_its_items() -> None:
    clock = Clock()
    client = answering(slow(clock, 1.0, failed_request("ThrottlingException")))

    report = write(client, BOTH, within=limits(clock, seconds=1.0))

    assert outcome(report) == {"mug": "ThrottlingError", "cup": "ThrottlingError"}


# What is refused for good


def test_any_other_code_is_a_failure_of_that_item_alone() -> None:
    for code in ("ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded", "SomethingNew"):
        report = write(answering(batch_answer(WRITTEN, statement_error(code, message="too large"), WRITTEN)), ALL)

        assert outcome(report) == {"mug": "written", "cup": code, "plate": "written"}
        assert [result.message for result in report.results if result.code] == ["too large"]


def test_a_request_that_aws_refuses_for_good_raises() -> None:
    for code in ("AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"):
        with pytest.raises(ClientError, match=code):
            write(answering(failed_request(code)), BOTH)


def test_a_batch_that_aws_finds_invalid_is_sent_item_by_item() -> None:
    one_is_bad, this_one = (failed_request("ValidationException", message=said) for said in ("one is bad", "this one"))
    done = batch_answer(WRITTEN, write_units=1.0)
    client = answering(one_is_bad, done, this_one, done)

    report = write(client, ALL)

    assert sent(client) == [{"mug": 7, "cup": 8, "plate": 9}, {"mug": 7}, {"cup": 8}, {"plate": 9}]
    assert outcome(report) == {"mug": "written", "cup": "ValidationError", "plate": "written"}
    assert "this one" in next(result.message for result in report.results if result.code)
    assert report.write_units == 2.0


# Time, pace and permission


def test_a_batch_for_which_there_is_no_time_or_no_room_under_the_write_rate_is_not_sent() -> None:
    full = paced(Clock(), 1, 5.0)
    full.pace.wait(10, 5.0)

    for within in (limits(seconds=0.0), full):
        with pytest.raises(OutOfTimeError):
            write(answering(), ONE, within=within)


def test_what_was_written_is_not_forgotten_when_the_write_rate_leaves_no_time_for_the_rest() -> None:
    client = answering(batch_answer(WRITTEN, statement_error("ThrottlingError")))

    assert outcome(write(client, BOTH, within=paced(Clock(), 0.1, 5.0))) == {"mug": "written", "cup": "ThrottlingError"}


def test_permission_to_write_is_asked_before_every_batch_and_without_it_nothing_more_is_sent() -> None:
    client = answering(*[refused("ThrottlingError")] * 2)
    sent_when_asked: list[int] = []

    def check() -> None:
        sent_when_asked.append(len(client.requests))
        if len(sent_when_asked) == 3:
            raise PermissionError("the lease is lost")

    with pytest.raises(PermissionError, match="the lease is lost"):
        write(client, ONE, within=limits(check=check))

    assert sent_when_asked == [0, 1, 2]


def test_the_write_rate_counts_every_item_that_is_sent_again_included() -> None:
    clock = Clock()
    conflict = statement_error("ConditionalCheckFailed", item_attributes(4))
    table, two_a_second = table_on(answering(batch_answer(conflict, WRITTEN), DONE, DONE)), paced(clock, 2)

    table.write_batch(BOTH, Again(sets_on_hand(MUG, 7)), two_a_second)
    assert clock.seconds == 1.0  # two items at two a second went before the one that was sent again

    table.write_batch({PLATE: sets_on_hand(PLATE, 9)}, never_again, two_a_second)
    assert clock.seconds == 1.5


# Pages


def test_the_due_items_are_read_from_the_sparse_index_and_all_items_from_the_table_consistently() -> None:
    table: dict[str, Any] = {"segment": 2, "segments": 4, "limit": 250}
    common = {"TableName": "inventory", "Segment": 2, "TotalSegments": 4, "Limit": 250}

    due = scan_request("inventory", "due", moment("12:00"), **table, cursor=None)
    every = scan_request("inventory", "all", moment("12:00"), **table, cursor={"sku": "mug", "location_id": "DC1"})

    assert due == common | {
        "IndexName": "due",
        "FilterExpression": "next_change_at <= :as_of",
        "ExpressionAttributeValues": {":as_of": {"S": moment("12:00")}},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert every == common | {
        "ConsistentRead": True,
        "ExclusiveStartKey": {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}},
        "ReturnConsumedCapacity": "TOTAL",
    }


def scan_answer(*items: Attributes, scanned: int = 1, last: Attributes | None = None) -> dict[str, Any]:
    stored = [to_attribute_values(item) for item in items]
    answer = {"Items": stored, "ScannedCount": scanned, "ConsumedCapacity": {"CapacityUnits": 2.5}}
    return answer | ({"LastEvaluatedKey": to_attribute_values(last)} if last else {})


def read_page(*answers: Answer) -> Page:
    table, which = table_on(ScriptedClient(scan=answers)), {"segment": 0, "segments": 1, "limit": 10}
    return table.scan_page("due", moment("12:00"), **which, cursor=None, limits=limits())


def test_a_page_tells_what_it_read_and_where_to_go_on_if_anywhere() -> None:
    last = {"sku": "mug", "location_id": "DC1", "next_change_at": moment("09:00")}

    page = read_page(scan_answer(item_attributes(4), scanned=7, last=last))

    assert page == Page((item_attributes(4),), last, scanned=7, read_units=2.5)
    assert read_page(scan_answer()).cursor is None


def test_an_empty_page_with_a_last_key_goes_on() -> None:
    last = {"sku": "cup", "location_id": "DC1"}
    client = ScriptedClient(scan=[scan_answer(last=last), scan_answer(item_attributes(4))])

    assert list(table_on(client).scan("all")) == [item_attributes(4)]
    assert [request.get("ExclusiveStartKey") for request in client.asked("scan")] == [None, to_attribute_values(last)]


def test_a_scan_without_a_moment_finds_changes_up_to_the_last_one() -> None:
    client = ScriptedClient(scan=[scan_answer()])

    list(table_on(client).scan("due"))

    (request,) = client.asked("scan")
    assert request["ExpressionAttributeValues"][":as_of"]["S"] == "9999-12-31T23:59:59.999999Z"


def test_a_page_refused_for_a_while_is_asked_for_again() -> None:
    page = read_page(failed_request("ThrottlingException"), lost_answer(), scan_answer(item_attributes(4)))

    assert page.items == (item_attributes(4),)


# Single items


def test_an_item_is_read_consistently_or_is_not_there() -> None:
    client = ScriptedClient(get_item=[{"Item": to_attribute_values(item_attributes(4))}, {}])

    assert (table_on(client).read(MUG), table_on(client).read(CUP)) == (item_attributes(4), None)
    key = {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}}
    assert client.asked("get_item")[0] == {"TableName": "inventory", "Key": key, "ConsistentRead": True}


# Many items


def test_items_are_read_consistently_a_key_that_is_named_twice_once_and_none_is_no_request() -> None:
    client = ScriptedClient(batch_get_item=[{"Responses": {"inventory": [to_attribute_values(item_attributes(4))]}}])

    assert table_on(client).read_many([MUG, CUP, MUG]) == {MUG: item_attributes(4)}
    keys = [to_attribute_values(key._asdict()) for key in (MUG, CUP)]
    assert client.asked("batch_get_item") == [{"RequestItems": {"inventory": {"Keys": keys, "ConsistentRead": True}}}]
    assert table_on(ScriptedClient()).read_many([]) == {}


def test_items_are_read_decided_and_written_in_batches_of_25_those_that_are_not_there_as_absent() -> None:
    inventory = InMemoryInventory(item_attributes(10, sku=f"sku-{number:03}") for number in range(60))
    keys = [*inventory.items, CUP]

    reports = list(
        table_on(inventory).decide_and_write(
            keys, lambda key, attributes: sets_on_hand(key, 3) if attributes else LEAVE, writers=2
        )
    )

    assert [len(report.results) for report in reports] == [25, 25, 11]
    assert outcome(reports[-1])["cup"] == "left alone"
    assert inventory.calls["batch_execute_statement"] == 3
    assert {item["on_hand"] for item in inventory.items.values()} == {Decimal(3)}
    assert set(inventory.writes.values()) == {1}
