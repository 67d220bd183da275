"""What becomes of an item's changes, example by example; that their order does not matter: test_settling_model."""

from decimal import Decimal

import pytest

from inventory_updater.stock.settling import SETTLED_A_WRITE
from tests.unit.stock.settling_history import History, record


def settled(*records: dict[str, object], at: str = "12:00", allow_negative: bool = False, **item: int) -> History:
    """An item of which these records were settled in one run."""
    history = History()
    history.item |= {name: Decimal(value) for name, value in item.items()}
    history.arrive(*records)
    history.run(at, allow_negative=allow_negative)
    return history


# On hand


@pytest.mark.parametrize("first", ["count", "sale"])
def test_a_late_count_keeps_the_sales_made_since(first: str) -> None:
    count, sale = record("c", "count", 10, "08:00"), record("s", "adjustment", -3, "08:30")
    history = History()
    for each in (count, sale) if first == "count" else (sale, count):
        history.arrive(each)
        history.run("09:00")

    assert (history.item["on_hand"], history.statuses()) == (7, {"c": "APPLIED", "s": "APPLIED"})


def test_a_late_count_adds_only_what_was_applied_after_its_moment_whatever_the_records_say_yet() -> None:
    history = History()
    history.arrive(
        record("before", "adjustment", 1, "08:00"),
        record("with", "adjustment", 2, "09:00"),
        record("after", "adjustment", 4, "09:01"),
        record("late", "adjustment", 8, "11:00"),
    )
    history.run("10:00")
    history.run("12:00", marks=False)
    history.arrive(record("c", "count", 50, "09:00"), record("older", "adjustment", 16, "08:30"))
    history.run("12:00")

    assert history.item["on_hand"] == 50 + 4 + 8
    assert set(history.statuses().values()) == {"APPLIED"}


def test_a_count_that_says_what_was_expected_books_the_difference() -> None:
    history = settled(record("c", "count", 10, "08:00", expected=12), on_hand=9)

    assert (history.item["on_hand"], history.records["c"]["before"], history.records["c"]["after"]) == (7, 9, 7)


def test_a_count_is_never_rejected_for_want_of_stock() -> None:
    assert settled(record("c", "count", 0, "08:00", expected=5), on_hand=2).item["on_hand"] == -3


def test_what_a_count_has_seen_is_superseded_and_so_is_an_older_count() -> None:
    history = settled(record("c", "count", 40, "10:00"))
    history.arrive(
        record("before", "adjustment", 5, "09:00"),
        record("with", "adjustment", 5, "10:00"),
        record("older", "count", 1, "09:30"),
        record("after", "adjustment", 2, "10:01"),
    )
    history.run("12:00")

    assert history.item["on_hand"] == 42
    superseded = dict.fromkeys(("before", "with", "older"), "SUPERSEDED")
    assert history.statuses() == superseded | {"c": "APPLIED", "after": "APPLIED"}


def test_before_anything_is_rejected_for_want_of_stock_earlier_receipts_count() -> None:
    history = settled(record("a-sale", "adjustment", -12, "09:00"), record("receipt", "adjustment", 5, "08:00"))

    assert (history.item["on_hand"], history.statuses()) == (3, {"a-sale": "APPLIED", "receipt": "APPLIED"})


def test_a_sale_of_more_than_there_is_is_rejected_by_itself_and_changes_nothing() -> None:
    history = settled(record("a", "adjustment", -12, "09:00"), record("b", "adjustment", -2, "09:30"))

    assert (history.item["on_hand"], history.statuses()) == (8, {"a": "REJECTED", "b": "APPLIED"})
    assert (history.code("a"), history.records["a"]["message"]) == (
        "INSUFFICIENT_STOCK",
        "on hand is 10, the adjustment -12",
    )
    assert (history.records["a"]["before"], history.records["a"]["after"]) == (10, 10)


# Windows


def test_a_base_that_is_raised_during_a_sale_shows_when_the_sale_is_over() -> None:
    history = History()
    history.item["unit_price"] = Decimal(20)
    history.arrive(record("sale", "price", 12, "08:00", until="18:00"), record("base", "price", 25, "12:00"))
    shown = {}
    for at in ("07:00", "08:00", "13:00", "17:59", "18:00", "19:00"):
        history.run(at)
        shown[at] = history.item["unit_price"]

    assert shown == {"07:00": 20, "08:00": 12, "13:00": 12, "17:59": 12, "18:00": 25, "19:00": 25}
    assert history.statuses() == {"sale": "APPLIED", "base": "APPLIED"}
    assert {"windows", "base_unit_price"} & history.item.keys() == set()


def test_of_nested_windows_the_one_that_started_last_shows() -> None:
    history = History()
    history.arrive(
        record("week", "reorder_point", 20, "08:00", until="20:00"),
        record("day", "reorder_point", 30, "10:00", until="12:00"),
    )
    shown = []
    for at in ("09:00", "11:00", "13:00", "21:00"):
        history.run(at)
        shown.append(history.item.get("reorder_point", 0))

    assert shown == [20, 30, 20, 0]


def test_a_price_window_on_an_item_without_a_price_leaves_it_without_one() -> None:
    history = settled(record("w", "price", 5, "08:00", until="10:00"), at="09:00")
    assert (history.item["unit_price"], history.item["stock_value"]) == (5, 50)

    history.run("10:00")
    assert {"unit_price", "stock_value", "windows"} & history.item.keys() == set()


def test_a_window_that_nobody_looked_at_in_time_is_missed() -> None:
    history = settled(record("w", "price", 5, "08:00", until="10:00"))
    assert (history.code("w"), "unit_price" in history.item) == ("MISSED", False)


# Settings


def test_a_setting_goes_by_what_was_expected() -> None:
    stale = settled(record("p", "price", 5, "08:00", expected=3), unit_price=4)
    fresh = settled(record("p", "price", 5, "08:00", expected=4), unit_price=4)

    assert (stale.code("p"), stale.records["p"]["message"]) == ("STALE", "expected 3, and it is 4")
    assert (stale.item["unit_price"], fresh.item["unit_price"]) == (4, 5)


def test_a_setting_before_the_last_of_its_kind_is_superseded() -> None:
    history = settled(record("new", "safety_stock", 5, "10:00"))
    history.arrive(record("old", "safety_stock", 9, "09:00"))
    history.run("12:00")

    assert (history.item["safety_stock"], history.statuses()["old"]) == (5, "SUPERSEDED")


def test_what_was_not_to_be_applied_so_late_has_expired() -> None:
    history = History()
    history.arrive(record("a", "adjustment", 1, "08:00", not_after="09:00"))
    history.run("08:30", now="09:01")
    assert (history.code("a"), history.item["on_hand"]) == ("EXPIRED", 10)


# Bad records


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (record("x", "discount", 1, "08:00"), "UNKNOWN_KIND"),
        (record("x", "adjustment", "many", "08:00"), "NOT_A_NUMBER"),
        (record("x", "count", 1, "08:00", expected="some"), "NOT_A_NUMBER"),
        (record("x", "price", -1, "08:00"), "NEGATIVE_VALUE"),
        (record("x", "price", 1, "08:00") | {"effective_at": "this morning"}, "NO_TIME"),
        (record("x", "price", 1, "08:00") | {"until": "2026"}, "NO_TIME"),
        (record("x", "price", 1, "08:00", until="08:00"), "EMPTY_WINDOW"),
        (record("x", "count", 1, "08:00", until="09:00"), "NO_WINDOW"),
        (record("x", "adjustment", 1, "08:00") | {"status": "new"}, "UNKNOWN_STATUS"),
        (record("x", "adjustment", Decimal("1E-37"), "08:00"), "TOO_PRECISE"),
    ],
)
def test_a_bad_record_is_rejected_by_itself(change: dict[str, object], code: str) -> None:
    history = settled(change, record("good", "adjustment", -3, "09:00"))

    assert history.item["on_hand"] == 7
    assert (history.statuses(), history.code("x")) == ({"x": "REJECTED", "good": "APPLIED"}, code)


@pytest.mark.parametrize("time", ["2026-03-02T08:30:00Z", "2026-03-02 08:30:00.000Z", "2026-03-02T10:30:00+02:00"])
def test_times_of_other_systems_are_understood(time: str) -> None:
    seen = record("a", "adjustment", 1, "08:00") | {"effective_at": time}
    history = settled(seen, record("c", "count", 5, "08:31"), record("b", "count", 9, "08:29"))

    assert history.statuses() == {"a": "APPLIED", "b": "APPLIED", "c": "APPLIED"}
    assert (history.records["a"]["after"], history.item["on_hand"]) == (10, 5)


def test_a_record_of_another_system_without_an_attempt_is_the_first() -> None:
    bare = {name: value for name, value in record("a", "adjustment", -3, "08:00").items() if name != "attempt"}
    history = settled(bare)

    assert (history.item["on_hand"], history.statuses()) == (7, {"a": "APPLIED"})


# Deaths


def test_a_worker_that_dies_before_it_marks_leaves_what_the_next_one_only_marks() -> None:
    history = History()
    history.arrive(record("a", "adjustment", -3, "08:00"))
    history.run("09:00", marks=False)
    assert (history.item["on_hand"], history.statuses(), history.writes) == (7, {"a": "PENDING"}, 1)

    history.run("09:00")
    assert (history.item["on_hand"], history.statuses(), history.writes) == (7, {"a": "APPLIED"}, 1)


def test_a_retry_is_judged_anew() -> None:
    history = settled(record("a", "adjustment", -12, "08:00"))
    history.records["a"] |= {"status": "PENDING", "attempt": Decimal(2)}
    history.arrive(record("in", "adjustment", 5, "07:00"))
    history.run("12:00", allow_negative=False)

    assert (history.item["on_hand"], history.statuses()) == (3, {"a": "APPLIED", "in": "APPLIED"})


def test_what_the_records_say_is_forgotten_with_the_next_write_and_nothing_is_written_for_it_alone() -> None:
    history = settled(record("a", "adjustment", 1, "08:00"))
    history.run("12:00")
    assert (list(history.item["decided"]), history.writes) == (["a"], 1)

    history.arrive(record("b", "adjustment", 1, "08:00"))
    history.run("12:00")
    assert (list(history.item["decided"]), history.writes) == (["b"], 2)


def test_a_hot_item_is_settled_in_several_writes() -> None:
    sales = [record(f"s{number:03}", "adjustment", -1, "09:00") for number in range(2 * SETTLED_A_WRITE + 1)]
    history = settled(*sales, on_hand=1000)

    assert (history.item["on_hand"], history.writes) == (1000 - len(sales), 3)
    assert set(history.statuses().values()) == {"APPLIED"}
    assert len(history.item["decided"]) == 1
