"""What other systems ask the function for: each change has its answer, and a bad call is refused as a whole."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.engine import CHECKOUT
from inventory_updater import handler
from inventory_updater.intake.calls import BadCallError, Desk
from inventory_updater.tables.records import JobStatus
from tests.builders import USUAL_GUARDS, item_attributes
from tests.fakes.warehouse import MUG, Warehouse
from tests.refusals import refusal
from tests.schemas import not_said

pytestmark = pytest.mark.usefixtures("without_pauses")

ANSWERS = {
    "schedule": "receipt.call",
    **{action: f"answer.{action}" for action in ("cancel", "status", "show")},
}
"""The schema of the answer to each call."""

SOON = "2026-03-02T20:00:00Z"


@pytest.fixture(autouse=True, scope="module")
def every_answer_is_as_its_schema_says() -> Iterator[None]:
    answer = Desk.answer

    def checked(desk: Desk, event: Mapping[str, object]) -> dict[str, object]:
        said = answer(desk, event)
        assert not_said(ANSWERS[str(event["action"])], said) == []
        return said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Desk, "answer", checked)
        yield


def desk_of(warehouse: Warehouse) -> Desk:
    services = warehouse.services
    return Desk(
        *(services.dynamodb, services.inventory, services.changes, USUAL_GUARDS, services.now),
        actor="function:inventory-updater-prod",
        source="invocation:1",
    )


@pytest.fixture
def desk(warehouse: Warehouse) -> Desk:
    warehouse.put(item_attributes(on_hand=40, unit_price=10), item_attributes(sku="cup", on_hand=40, unit_price=10))
    return desk_of(warehouse)


def wanted(change_id: str, kind: str = "adjustment", value: object = -3, sku: object = "mug", **more: object) -> Any:
    said = {"change_id": change_id, "sku": sku, "location_id": "DC1", "kind": kind, "value": value}
    return {**said, "effective_at": SOON, **more}


def scheduled(desk: Desk, *objects: object, **switches: object) -> Any:
    receipt: Any = desk.answer({"action": "schedule", "changes": list(objects), **switches})
    assert json.loads(json.dumps(receipt)) == receipt
    counts = [receipt[each] for each in ("added", "known", "held", "refused", "not_written")]
    assert sum(counts) == receipt["rows"] == len(receipt["changes"]) == len(objects)
    return receipt


def results(receipt: Mapping[str, Any]) -> list[str]:
    return [each["result"] for each in receipt["changes"]]


def codes(receipt: Mapping[str, Any]) -> list[tuple[int, str | None, str]]:
    return [(each["index"], each["field"], each["code"]) for each in receipt["problems"]]


def test_what_is_sent_waits_and_sent_again_is_known_with_its_status(desk: Desk, warehouse: Warehouse) -> None:
    sent = [wanted("c1", reason="sold"), wanted("c2", "price", "10.50", until="2026-03-03T08:00:00+01:00")]

    first = scheduled(desk, *sent)
    again = scheduled(desk, *sent)

    assert (first["status"], results(first)) == ("ACCEPTED", ["ADDED", "ADDED"])
    assert (again["status"], results(again)) == ("ACCEPTED", ["KNOWN", "KNOWN"])
    assert [each["status"] for each in again["changes"]] == ["PENDING", "PENDING"]
    record = warehouse.services.changes.stored([(MUG, "c1")])[MUG, "c1"]
    assert {name: record[name] for name in ("kind", "reason", "actor", "source")} == {
        "kind": "adjustment",
        "reason": "sold",
        "actor": "function:inventory-updater-prod",
        "source": "invocation:1",
    }


def test_one_change_that_is_bad_keeps_all_others_out_and_everything_about_it_is_told(
    desk: Desk, warehouse: Warehouse
) -> None:
    before = len(warehouse.dynamodb.landed)

    receipt = scheduled(
        desk,
        wanted("good"),
        wanted("bad", "prize", "1,5", effective_at="27/11/2026"),
        wanted("lost", sku="pot"),
        wanted("odd", sku=7, quantity=3),
        "no object",
    )

    assert receipt["status"] == "REFUSED"
    assert results(receipt) == ["NOT_WRITTEN", *["REFUSED"] * 4]
    assert codes(receipt) == [
        (1, "kind", "UNKNOWN_KIND"),
        (1, "value", "NOT_A_NUMBER"),
        (1, "effective_at", "NO_TIME"),
        (2, "sku", "UNKNOWN_ITEM"),
        (3, "sku", "WRONG_TYPE"),
        (3, "quantity", "UNKNOWN_FIELD"),
        (4, None, "NOT_AN_OBJECT"),
    ]
    assert len(warehouse.dynamodb.landed) == before


def test_good_items_are_taken_alone_where_that_is_asked_for_and_never_half_an_item(
    desk: Desk, warehouse: Warehouse
) -> None:
    receipt = scheduled(
        desk, wanted("c1"), wanted("c2", value="x"), wanted("c3", sku="cup"), wanted("c4", sku="pot"), accept_good=True
    )

    assert receipt["status"] == "PARTLY_ACCEPTED"
    assert results(receipt) == ["NOT_WRITTEN", "REFUSED", "ADDED", "REFUSED"]
    assert set(warehouse.statuses()) == {"c3"}


def test_what_is_unusual_is_held_until_it_is_said_to_be_meant(desk: Desk, warehouse: Warehouse) -> None:
    sent = [wanted("c1", "price", 1_000), wanted("c2", "price", 11, sku="cup")]

    held = scheduled(desk, *sent)
    assert warehouse.statuses() == {}
    meant = scheduled(desk, *sent, accept_unusual=True)

    assert (held["status"], results(held)) == ("HELD", ["HELD", "NOT_WRITTEN"])
    assert codes(held) == [(0, "value", "PRICE_CHANGE")]
    assert (meant["status"], results(meant)) == ("ACCEPTED", ["ADDED", "ADDED"])


def test_of_many_problems_the_first_thousand_are_told_and_all_are_counted(desk: Desk) -> None:
    receipt = scheduled(desk, *(wanted(f"c{number}", value="x") for number in range(1_001)))

    assert (len(receipt["problems"]), receipt["problem_count"], receipt["refused"]) == (1_000, 1_001, 1_001)


def test_of_any_number_of_changes_that_cannot_be_read_it_is_said_whether_their_item_is_there(desk: Desk) -> None:
    receipt = scheduled(desk, *(wanted(f"c{number}", value="x", sku=f"sku-{number}") for number in range(250)))

    assert codes(receipt) == [
        (number, *problem) for number in range(250) for problem in (("value", "NOT_A_NUMBER"), ("sku", "UNKNOWN_ITEM"))
    ]


def test_a_number_is_taken_exactly_or_not_at_all(desk: Desk, warehouse: Warehouse) -> None:
    exact: Sequence[object] = (0.1, 3, "0.10", "12345678901234567890.5", 1e-7, 10**37, -0.0)
    inexact: Mapping[object, str] = {
        0.1234567890123456: "NOT_EXACT",
        float("inf"): "NOT_A_NUMBER",
        float("nan"): "NOT_A_NUMBER",
        10**200: "NOT_A_NUMBER",
        1e300: "NOT_A_NUMBER",
        True: "WRONG_TYPE",
        ("a", "list"): "WRONG_TYPE",
    }

    good = scheduled(desk, *(wanted(f"g{number}", value=value) for number, value in enumerate(exact)))
    bad = scheduled(desk, *(wanted(f"b{number}", value=value) for number, value in enumerate(inexact)))

    assert good["added"] == len(exact), good["problems"]
    names = [(MUG, f"g{number}") for number in range(len(exact))]
    stored = warehouse.services.changes.stored(names)
    values = ["0.1", "3", "0.1", "12345678901234567890.5", "1E-7", "1E+37", "0"]
    assert [str(stored[name]["value"].normalize()) for name in names] == values  # type: ignore[attr-defined]
    assert codes(bad) == [(place, "value", code) for place, code in enumerate(inexact.values())]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80, alphabet=st.characters(codec=None)),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=12), each, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*("change_id", "sku", "location_id", "kind", "value", "effective_at"), "until", "expected", "not_after", "reason"]
)


@given(objects=st.lists(JSON | st.dictionaries(FIELDS, JSON) | st.builds(wanted, st.text(max_size=70), value=JSON)))
def test_whatever_is_sent_has_a_receipt_that_can_be_sent(objects: list[object]) -> None:
    warehouse = Warehouse()
    warehouse.put(item_attributes(on_hand=40))

    receipt = scheduled(desk_of(warehouse), *objects)

    json.dumps(receipt, allow_nan=False, ensure_ascii=False).encode()
    assert (receipt["status"] == "ACCEPTED") == (not receipt["problems"])


def test_a_change_of_the_last_moment_there_is_is_cancelled_and_stops_no_job(desk: Desk, warehouse: Warehouse) -> None:
    call = {"action": "schedule", "accept_unusual": True}
    desk.answer({**call, "changes": [wanted("c1", effective_at="9999-12-31T23:59:59Z")]})

    answer = desk.answer({"action": "cancel", "changes": [{"change_id": "c1", "sku": "mug", "location_id": "DC1"}]})

    record = warehouse.services.changes.stored([(MUG, "c1")])[MUG, "c1"]
    assert (answer["cancelled"], record["status"]) == (1, "CANCELLED")
    assert record["expires_at"] == 253402300799 + 31 * 86_400
    scheduled(desk, wanted("c2", effective_at="2026-03-02T08:00:00Z"))
    assert warehouse.run_job().status is JobStatus.SUCCEEDED


def test_changes_are_cancelled_and_of_each_other_one_it_is_said_why_not(desk: Desk, warehouse: Warehouse) -> None:
    scheduled(desk, wanted("c1"), wanted("done", effective_at="2026-03-02T08:00:00Z"))
    warehouse.run_job()
    names = [{"change_id": name, "sku": "mug", "location_id": "DC1"} for name in ("c1", "done", "none")]

    answer: Any = desk.answer({"action": "cancel", "changes": names})

    assert [each["status"] for each in answer["changes"]] == ["CANCELLED", "APPLIED", "UNKNOWN"]
    assert ["message" in each for each in answer["changes"]] == [False, True, True]
    assert answer["cancelled"] == 1
    assert warehouse.services.changes.stored([(MUG, "c1")])[MUG, "c1"]["cancelled_by"] == "invocation:1"


def test_how_changes_and_an_item_are_can_be_asked(desk: Desk, warehouse: Warehouse) -> None:
    scheduled(desk, wanted("c1", effective_at="2026-03-02T08:00:00Z"))
    warehouse.run_job()
    names = [{"change_id": name, "sku": "mug", "location_id": "DC1"} for name in ("c1", "none")]

    status: Any = desk.answer({"action": "status", "changes": names})
    shown: Any = desk.answer({"action": "show", "sku": "mug", "location_id": "DC1"})
    nothing: Any = desk.answer({"action": "show", "sku": "pot", "location_id": "DC1"})

    assert [each["status"] for each in status["changes"]] == ["APPLIED", "UNKNOWN"]
    assert {name: status["changes"][0][name] for name in ("index", "change_id", "sku", "before", "after")} == {
        "index": 0,
        "change_id": "c1",
        "sku": "mug",
        "before": "40",
        "after": "37",
    }
    assert (shown["item"]["on_hand"], shown["item"]["available"]) == ("37", "37")
    assert nothing["item"] is None
    assert json.loads(json.dumps([status, shown])) == [status, shown]


def test_a_bad_call_is_refused_with_all_that_is_wrong_with_it(desk: Desk) -> None:
    bad: list[tuple[dict[str, object], str]] = [
        ({"action": "schedule"}, "changes must be a list"),
        ({"action": "schedule", "changes": {}, "dry": 1}, "there is no field 'dry'; changes must be a list"),
        (
            {"action": "schedule", "changes": [], "accept_good": "yes", "accept_unusual": 1},
            "accept_good must be true or false; accept_unusual must be true or false",
        ),
        (
            {"action": "cancel", "changes": ["c1", {"change_id": "x" * 65, "sku": "", "location_id": 7}]},
            "; ".join(
                f"changes[{place}]: {name} must be text of 1 to 64 bytes"
                for place in (0, 1)
                for name in ("change_id", "sku", "location_id")
            ),
        ),
        ({"action": "show", "sku": "mug"}, "the call: location_id must be text of 1 to 64 bytes"),
    ]

    assert [refusal(desk.answer, call) for call, _ in bad] == [message for _, message in bad]
    many = {"action": "status", "changes": [{}] * 100}
    with pytest.raises(BadCallError, match=r"; and 250 more problems$"):
        desk.answer(many)


def test_where_a_change_comes_from_is_said_by_lambda_and_never_by_what_is_sent(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.put(item_attributes(on_hand=40))
    monkeypatch.setattr(handler, "services", lambda: warehouse.services)
    context = SimpleNamespace(
        get_remaining_time_in_millis=lambda: 60_000, aws_request_id="a-b-c", function_name="inventory-updater-test"
    )

    handler.handle({"action": "schedule", "changes": [wanted("c1")]}, context)
    refused = handler.handle({"action": "schedule", "changes": [wanted("c2", actor="me")]}, context)

    record = warehouse.services.changes.stored([(MUG, "c1")])[MUG, "c1"]
    assert (record["actor"], record["source"]) == ("function:inventory-updater-test", "invocation:a-b-c")
    assert refused["status"] == "REFUSED"


def test_the_contract_says_what_each_of_its_calls_is_answered(warehouse: Warehouse) -> None:
    page = (CHECKOUT / "docs" / "contract.md").read_text(encoding="utf-8").partition("\n## What happened\n")[0]
    said = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    warehouse.put(*(item_attributes(sku=sku, on_hand=40, unit_price=10) for sku in ("mug", "cup")))
    desk = desk_of(warehouse)
    calls, answers = said[::2], said[1::2]

    assert [call["action"] for call in calls] == ["schedule", "schedule", "status", "show", "cancel"]
    assert [desk.answer(call) for call in calls] == answers
