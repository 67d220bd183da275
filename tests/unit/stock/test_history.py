"""What was settled of an item, and what its figures were at a moment."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

from inventory_updater.stock.change_records import Status
from inventory_updater.stock.history import FIGURES, FigureThen, figures_at, settlements
from inventory_updater.stock.item_states import Decision
from inventory_updater.stock.items import ItemKey
from tests.builders import change, moment, record_attributes

MUG = ItemKey("mug", "DC1")
NOW: Mapping[str, Decimal | None] = {
    "on_hand": Decimal(4),
    "unit_price": Decimal(3),
    "reorder_point": Decimal(0),
    "safety_stock": Decimal(1),
}


def settled(
    change_id: str, at: str, before: int | None, after: int | None, kind: str = "adjustment", **more: Any
) -> dict[str, object]:
    """The record of a change that was applied at ``at``."""
    content = {name: more.pop(name) for name in ("until",) if name in more}
    ends = {"before": before, "after": after}
    said = {name: Decimal(value) for name, value in ends.items() if value is not None}
    return record_attributes(
        MUG, change(change_id, kind, 1, **content), **({"status": "APPLIED", "settled_at": moment(at)} | said | more)
    )


def figure(name: str, at: str, *records: Mapping[str, object]) -> FigureThen:
    return figures_at(moment(at), NOW, chain.from_iterable(map(settlements, records)))[name]


def known(then: FigureThen) -> tuple[object, ...]:
    """The value, who found it, who settled it last, and whether others changed it in between."""
    first, last = (each and each.change_id for each in (then.first, then.last))
    return then.value, first, last, then.changed_by_others


def test_a_figure_was_what_the_next_settlement_found_and_else_what_it_is_now() -> None:
    records = [
        settled("b", "11:00", 9, 5),
        settled("a", "10:00", 10, 7),
        settled("refused", "12:00", 4, 4, status="REJECTED"),
        settled("waits", "13:00", None, None, status="PENDING"),
        settled("dear", "10:30", 2, 3, "price"),
    ]
    found = {at: known(figure("on_hand", at, *records)) for at in ("09:59", "10:00", "10:59", "11:30", "12:00")}
    assert found == {
        "09:59": (10, "a", None, False),
        "10:00": (7 + 2, "b", "a", True),
        "10:59": (9, "b", "a", True),
        "11:30": (4, "refused", "b", True),
        "12:00": (4, None, "refused", False),
    }
    assert known(figure("unit_price", "10:00", *records)) == (2, "dear", None, False)
    assert known(figure("unit_price", "10:30", *records)) == (3, None, "dear", False)
    assert known(figure("safety_stock", "10:00", *records)) == (1, None, None, False)


def test_of_many_that_an_item_decided_at_once_the_first_and_the_last_are_those_that_happened_so() -> None:
    records = [
        settled("count", "10:00", 7, 20, "count"),
        settled("b", "10:00", 9, 7),
        settled("a", "10:00", 10, 9),
        settled("z", "10:00", 20, 21, effective_at=moment("09:30")),
    ]
    assert known(figure("on_hand", "09:00", *records)) == (10, "a", None, False)
    assert known(figure("on_hand", "10:00", *records)) == (4, None, "z", True)


def test_a_window_is_settled_twice_and_the_price_in_between_is_its_own() -> None:
    opened = {"opened_at": moment("10:00"), "opened_before": Decimal(5), "opened_after": Decimal(2)}
    window = settled("offer", "12:00", 2, 6, "price", until="12:00", **opened)
    base = settled("base", "11:00", 2, 2, "price")

    assert [(each.outcome, each.settled_at) for each in settlements(window)] == [
        ("OPEN", moment("10:00")),
        ("APPLIED", moment("12:00")),
    ]
    prices = {at: figure("unit_price", at, window, base).value for at in ("09:59", "10:00", "11:30", "12:00")}
    assert prices == {"09:59": 5, "10:00": 2, "11:30": 2, "12:00": 3}
    is_open = {name: value for name, value in window.items() if name != "settled_at"} | {"status": "OPEN"}
    assert [each.outcome for each in settlements(is_open)] == ["OPEN"]


def test_a_price_that_was_absent_was_absent_and_what_was_cancelled_without_its_item_tells_nothing() -> None:
    first_price = settled("first", "10:00", None, 3, "price")
    assert known(figure("unit_price", "09:00", first_price)) == (None, "first", None, False)
    for kind in ("price", "adjustment"):
        gone = settled("gone", "10:00", None, None, kind, status="CANCELLED")
        assert {known(figure(name, "09:00", gone))[1] for name in FIGURES} == {None}


def test_what_an_item_has_decided_and_its_record_does_not_say_yet_was_settled() -> None:
    record = record_attributes(MUG, change("c1", value=-3))
    decision = Decision(1, Status.REJECTED, moment("10:00"), "INSUFFICIENT_STOCK", "no", Decimal(2), Decimal(2))

    (found,) = settlements(record, decision)

    assert (found.outcome, found.settled_at, found.before) == (Status.REJECTED, moment("10:00"), Decimal(2))
    assert found.code == "INSUFFICIENT_STOCK"
    assert list(settlements(record | {"attempt": Decimal(2)}, decision)) == []
    assert [each.outcome for each in settlements(settled("c1", "11:00", 5, 2), decision)] == ["APPLIED"]


def test_of_an_item_that_is_gone_only_what_was_found_is_known() -> None:
    then = figures_at(moment("09:00"), {}, settlements(settled("a", "10:00", 10, 7)))
    assert {name: each.value for name, each in then.items()} == dict.fromkeys(FIGURES) | {"on_hand": Decimal(10)}
