"""What an item needs and why: every rule of planning."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import InvalidItem, StockItem
from inventory_updater.stock.planning import Plan, Policy, Unchanged, plan
from tests.builders import NOW, change, item, moment

NOON = moment("12:00")
SETTINGS = {
    "count": "on_hand",
    "price": "unit_price",
    "reorder_point": "reorder_point",
    "safety_stock": "safety_stock",
}
"""The attribute that each kind of setting sets."""
NEGATIVE_ALLOWED = Policy(allow_negative_stock=True)


def judged(
    item: StockItem, as_of: str = NOON, policy: Policy | None = None, now: str = NOW
) -> Plan | Unchanged | InvalidItem:
    return plan(item, as_of=as_of, now=now, policy=policy or Policy(), job_id="job-1")


def planned(item: StockItem, as_of: str = NOON, policy: Policy | None = None, now: str = NOW) -> Plan:
    result = judged(item, as_of, policy, now)
    assert isinstance(result, Plan), result
    return result


def ids(changes: tuple[Change, ...]) -> list[str]:
    return [each.change_id for each in changes]


def rejections(result: Plan) -> dict[str, str]:
    return {each.change.change_id: each.code for each in result.rejected}


def subset(entries: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: entries.get(name) for name in names}


def entries(result: Plan, name: str) -> dict[str, dict[str, object]]:
    stored = result.write.sets[name]
    assert isinstance(stored, dict)
    return stored


# What is due, and in which order


def test_a_change_is_due_from_its_instant_on() -> None:
    pending = [change("c1", "adjustment", 5, "12:00")]

    assert ids(planned(item(pending=pending), as_of=moment("12:00")).applied) == ["c1"]
    assert judged(item(pending=pending), as_of=moment("11:59:59.999999")) == Unchanged(item().key)


def test_changes_take_effect_in_the_order_of_their_time_not_of_their_id() -> None:
    result = planned(item(0, pending=[change("a", "adjustment", -4, "11:00"), change("b", "adjustment", 5, "10:00")]))

    assert ids(result.applied) == ["b", "a"]
    assert result.write.sets["on_hand"] == 1


def test_in_one_instant_adjustments_come_before_settings_and_then_the_change_id_decides() -> None:
    pending = [
        change("a", "count", 40, "10:00"),
        change("b", "price", 3, "10:00"),
        change("z", "adjustment", -4, "10:00"),
        change("y", "adjustment", 5, "10:00"),
    ]

    result = planned(item(0, pending=pending))

    assert ids(result.applied) == ["y", "z", "a", "b"]
    assert result.write.sets["on_hand"] == 40


def test_a_change_of_unknown_kind_does_not_disturb_the_order_of_the_others() -> None:
    pending = [
        change("a", "theft", 1, "10:00"),
        change("b", "adjustment", -4, "10:00"),
        change("c", None, 1, "09:00"),
        change("d", "adjustment", 4, "09:30"),
    ]

    result = planned(item(0, pending=pending))

    assert ids(result.applied) == ["d", "b"]
    assert rejections(result) == {"a": "UNKNOWN_KIND", "c": "UNKNOWN_KIND"}


# What each kind does


def test_an_adjustment_adds_to_on_hand() -> None:
    result = planned(item("10.5", pending=[change("in", "adjustment", 5), change("out", value=Decimal("-12.75"))]))

    assert result.write.sets["on_hand"] == Decimal("2.75")
    assert "last_set" not in result.write.sets


def test_a_setting_sets_its_attribute_and_is_remembered_as_the_last_of_its_kind() -> None:
    for kind, attribute in SETTINGS.items():
        for value in (Decimal("4.25"), Decimal(0)):
            result = planned(item(10, reserved=1, safety_stock=2, reorder_point=3, pending=[change("c1", kind, value)]))

            assert ids(result.applied) == ["c1"]
            assert result.write.sets[attribute] == value
            assert result.write.sets["last_set"] == {kind: {"effective_at": moment("09:00"), "change_id": "c1"}}


def test_a_setting_leaves_the_last_ones_of_other_kinds_as_they_are() -> None:
    stored = item(last_set={"price": ("08:00", "p0"), "count": ("08:00", "c0")}, pending=[change("p1", "price", 3)])

    assert planned(stored).write.sets["last_set"] == {
        "price": {"effective_at": moment("09:00"), "change_id": "p1"},
        "count": {"effective_at": moment("08:00"), "change_id": "c0"},
    }


def test_a_quantity_that_was_absent_counts_as_0_and_can_be_set() -> None:
    for kind, status in (("reorder_point", "LOW_STOCK"), ("safety_stock", "OUT_OF_STOCK")):
        result = planned(item(10, safety_stock=None, reorder_point=None, pending=[change("c1", kind, 10)]))

        assert subset(result.write.sets, kind, "stock_status") == {kind: 10, "stock_status": status}


def test_a_setting_to_the_value_it_already_has_is_applied_all_the_same() -> None:
    result = planned(item(10, pending=[change("c1", "count", 10)]))

    assert ids(result.applied) == ["c1"]
    assert result.write.sets["last_set"] == {"count": {"effective_at": moment("09:00"), "change_id": "c1"}}


# Superseding


def test_a_setting_before_the_last_of_its_kind_is_superseded() -> None:
    for kind in SETTINGS:
        stored = item(10, last_set={kind: ("09:00", "c0")}, pending=[change("late", kind, 99, "08:59:59.999999")])

        result = planned(stored)

        assert (ids(result.applied), ids(result.superseded), rejections(result)) == ([], ["late"], {})
        assert not result.write.sets.keys() & {*SETTINGS.values(), "last_set"}


def test_of_two_settings_in_one_instant_the_greater_change_id_wins() -> None:
    for kind in SETTINGS:
        smaller, greater = (
            planned(item(10, last_set={kind: ("09:00", "l")}, pending=[change(name, kind, 99, "09:00")]))
            for name in ("k", "m")
        )

        assert (ids(smaller.applied), ids(smaller.superseded)) == ([], ["k"])
        assert (ids(greater.applied), ids(greater.superseded)) == (["m"], [])


def test_a_setting_is_superseded_by_its_own_kind_only() -> None:
    stored = item(10, last_set={"count": ("11:00", "c0")}, pending=[change("p", "price", 3, "09:00")])

    assert ids(planned(stored).applied) == ["p"]


def test_a_count_has_seen_every_adjustment_up_to_and_including_its_instant() -> None:
    for at, on_hand in (("08:59:59.999999", None), ("09:00", None), ("09:00:00.000001", 7)):
        stored = item(10, last_set={"count": ("09:00", "a")}, pending=[change("z", "adjustment", -3, at)])

        result = planned(stored)

        assert (ids(result.applied), ids(result.superseded)) == (([], ["z"]) if on_hand is None else (["z"], []))
        assert result.write.sets.get("on_hand") == on_hand


def test_a_superseded_adjustment_is_not_judged_by_the_stock() -> None:
    stored = item(1, last_set={"count": ("09:00", "a")}, pending=[change("z", "adjustment", -3, "08:00")])

    result = planned(stored)

    assert (ids(result.superseded), rejections(result)) == (["z"], {})


def test_a_count_supersedes_only_what_came_before_it_in_the_same_run() -> None:
    pending = [
        change("a1", "adjustment", -3, "09:00"),
        change("c1", "count", 20, "10:00"),
        change("a2", "adjustment", -3, "11:00"),
    ]

    result = planned(item(10, pending=pending))

    assert ids(result.applied) == ["a1", "c1", "a2"]
    assert result.write.sets["on_hand"] == 17


def test_a_rejected_setting_supersedes_nothing() -> None:
    pending = [change("bad", "count", -1, "10:00"), change("sale", "adjustment", -2, "10:00")]

    result = planned(item(10, pending=pending))
    late = planned(item(10, pending=[change("late", "count", 5, "09:00"), change("bad", "count", -1, "10:00")]))

    assert (ids(result.applied), rejections(result)) == (["sale"], {"bad": "NEGATIVE_VALUE"})
    assert "last_set" not in result.write.sets
    assert late.write.sets["last_set"] == {"count": {"effective_at": moment("09:00"), "change_id": "late"}}


# Rejections


def test_an_unknown_kind_is_rejected() -> None:
    for kind in ("theft", "", "Adjustment", None, Decimal(1), {"kind": "count"}):
        assert rejections(planned(item(pending=[change("c1", kind, 1)]))) == {"c1": "UNKNOWN_KIND"}


def test_a_value_that_is_not_a_number_is_rejected() -> None:
    for value in ("5", "many", None, True, b"5", [Decimal(1)], {"N": "5"}):
        for kind in ("adjustment", "price"):
            stored = item(pending=[Change("c1", kind, value, moment("09:00"))])
            assert rejections(planned(stored)) == {"c1": "NOT_A_NUMBER"}


def test_a_negative_setting_is_rejected_whatever_the_policy() -> None:
    for kind in SETTINGS:
        stored = item(pending=[change("c1", kind, Decimal("-0.01"))])

        assert rejections(planned(stored)) == {"c1": "NEGATIVE_VALUE"}
        assert rejections(planned(stored, policy=NEGATIVE_ALLOWED)) == {"c1": "NEGATIVE_VALUE"}


def test_a_bad_setting_that_is_also_late_is_rejected_not_superseded() -> None:
    stored = item(last_set={"price": ("11:00", "p0")}, pending=[change("late", "price", -1, "09:00")])

    assert rejections(planned(stored)) == {"late": "NEGATIVE_VALUE"}


def test_what_needs_more_than_38_digits_or_leaves_the_range_is_rejected_rather_than_rounded() -> None:
    too_long, largest = Decimal("1." + 37 * "0" + "1"), Decimal("9E+125")
    rejected = {
        "a value": item(pending=[change("c1", "count", too_long)]),
        "a sum": item(Decimal("1E+37"), unit_price=None, pending=[change("c1", value=Decimal("0.1"))]),
        "a sum out of range": item(largest, unit_price=None, pending=[change("c1", value=largest)]),
    }

    assert {name: rejections(planned(stored)) for name, stored in rejected.items()} == {
        name: {"c1": "TOO_PRECISE"} for name in rejected
    }


def test_a_value_of_38_digits_is_applied_exactly() -> None:
    longest = Decimal("1." + 36 * "0" + "1")

    assert planned(item(unit_price=None, pending=[change("c1", "count", longest)])).write.sets["on_hand"] == longest


def test_a_change_whose_derived_figures_need_more_than_38_digits_is_rejected() -> None:
    for kind, value in (
        ("price", "0." + 36 * "3"),
        ("count", "1234567890.1234567890123456789012345678"),
        ("safety_stock", "0." + 38 * "1"),
    ):
        pending = [change("c1", kind, Decimal(value)), change("c2", "adjustment", 5, "10:00")]

        result = planned(item(12345, unit_price="19.99", pending=pending))

        assert rejections(result) == {"c1": "TOO_PRECISE"}
        assert ids(result.applied) == ["c2"]
        assert subset(result.write.sets, "on_hand", "unit_price", "safety_stock", "stock_value") == {
            "on_hand": 12350,
            "unit_price": None,
            "safety_stock": None,
            "stock_value": 12350 * Decimal("19.99"),
        }


def test_an_adjustment_may_take_the_last_piece_but_not_more() -> None:
    # A stock that is negative already takes goods in, and does not fall further.
    left = {(10, -10): 0, (10, -11): None, (-5, 3): -2, (-5, 5): 0, (-5, 0): -5, (-5, -1): None}
    for (on_hand, adjustment), rest in left.items():
        result = planned(item(on_hand, pending=[change("c1", "adjustment", adjustment)]))

        assert rejections(result) == ({"c1": "INSUFFICIENT_STOCK"} if rest is None else {})
        assert result.write.sets.get("on_hand", on_hand) == (on_hand if rest is None else rest)


def test_negative_stock_is_allowed_where_the_policy_says_so() -> None:
    result = planned(item(10, pending=[change("c1", "adjustment", -11)]), policy=NEGATIVE_ALLOWED)

    assert ids(result.applied) == ["c1"]
    assert subset(result.write.sets, "on_hand", "available", "stock_status", "stock_value") == {
        "on_hand": -1,
        "available": -1,
        "stock_status": "OUT_OF_STOCK",
        "stock_value": Decimal("-2.50"),
    }


def test_reserved_stock_does_not_keep_a_sale_from_being_booked() -> None:
    result = planned(item(10, reserved=8, safety_stock=5, pending=[change("c1", "adjustment", -9)]))

    assert ids(result.applied) == ["c1"]
    assert result.write.sets["available"] == -12


def test_one_bad_change_does_not_hold_up_the_others() -> None:
    pending = [
        change("a", "adjustment", -11, "09:00"),
        change("b", "adjustment", 1, "09:01"),
        change("c", "adjustment", -11, "09:02"),
        change("d", "price", "free", "09:03"),
        change("e", "price", 4, "09:04"),
    ]

    result = planned(item(10, pending=pending))

    assert ids(result.applied) == ["b", "c", "e"]
    assert rejections(result) == {"a": "INSUFFICIENT_STOCK", "d": "NOT_A_NUMBER"}
    assert subset(result.write.sets, "on_hand", "unit_price", "stock_value") == {
        "on_hand": 0,
        "unit_price": 4,
        "stock_value": 0,
    }


def test_a_rejected_change_is_kept_replayable_with_its_reason() -> None:
    bad = change("c1", "adjustment", -11, reason="sale", reference="invoice 7")

    result = planned(item(10, pending=[bad]))

    (rejection,) = result.rejected
    assert (rejection.change, rejection.code, rejection.rejected_at, rejection.job_id) == (
        bad,
        "INSUFFICIENT_STOCK",
        NOW,
        "job-1",
    )
    assert entries(result, "rejected_changes") == {
        "c1": {
            "kind": "adjustment",
            "value": Decimal(-11),
            "effective_at": moment("09:00"),
            "reason": "sale",
            "reference": "invoice 7",
            "code": "INSUFFICIENT_STOCK",
            "message": rejection.message,
            "rejected_at": NOW,
            "job_id": "job-1",
        }
    }
    assert "10" in rejection.message
    assert "11" in rejection.message


def test_a_rejected_change_joins_those_rejected_before() -> None:
    stored = item(10, rejected=[(change("old"), "08:00")], pending=[change("new", "theft")])

    assert set(entries(planned(stored), "rejected_changes")) == {"old", "new"}


# Derived figures


def test_there_is_no_stock_value_without_a_price() -> None:
    stored = item(10, unit_price=None, stock_value="99", pending=[change("c1", "adjustment", 1)])

    result = planned(stored)

    assert "stock_value" not in result.write.sets
    assert "stock_value" in result.write.removes


def test_the_first_price_brings_a_stock_value() -> None:
    for price, value in (("1.25", "12.50"), ("0", "0")):
        result = planned(item(10, unit_price=None, pending=[change("p1", "price", Decimal(price))]))

        assert subset(result.write.sets, "unit_price", "stock_value") == {
            "unit_price": Decimal(price),
            "stock_value": Decimal(value),
        }


def test_a_derived_figure_that_another_writer_left_behind_is_repaired() -> None:
    repairs: dict[str, tuple[list[Any], object]] = {
        "available": ([9, None], 10),
        "stock_status": (["SOLD", None], "IN_STOCK"),
        "stock_value": (["0.01", None], 25),
    }
    for name, (wrong, right) in repairs.items():
        for value in wrong:
            result = planned(item(10, version=3, **{name: value}))

            assert result.write.sets == {name: right, "version": 4, "updated_at": NOW}
            assert (result.write.removes, result.applied, result.superseded, result.rejected) == ((), (), (), ())


def test_the_time_of_the_next_change_is_repaired_too() -> None:
    for left_behind in (None, moment("08:00"), moment("11:30")):
        stored = item(pending=[change("c1", at="11:00")], next_change_at=left_behind)
        assert planned(stored, as_of=moment("09:00")).write.sets["next_change_at"] == moment("11:00")

    assert planned(item(next_change_at=moment("11:00"))).write.removes == ("next_change_at",)


# Nothing to do


def test_an_item_that_is_as_it_should_be_is_unchanged() -> None:
    right = {
        "as a job leaves it": item(),
        "without optional attributes": item(
            10, reserved=None, safety_stock=None, reorder_point=None, unit_price=None, version=None
        ),
        "equal numbers, written differently": item("10.0", available="1E+1", stock_value="25.000"),
        "changes in the future": item(pending=[change("c1", at="12:00:00.000001"), change("c2", "count", at="15:00")]),
    }

    assert {name: judged(stored) for name, stored in right.items()} == dict.fromkeys(right, Unchanged(item().key))


def test_nothing_is_written_only_to_forget() -> None:
    stored = item(
        settled={f"c{number}": ("09:00", "08:00") for number in range(501)}
        | {"old": (moment("09:00", day=1), "08:00")},
        rejected=[(change(f"r{number}"), "09:00") for number in range(101)],
    )

    assert judged(stored, now="2026-06-01T00:00:00.000000Z") == Unchanged(stored.key)


def test_a_due_change_is_settled_even_where_no_figure_differs() -> None:
    superseded = change("late", "price", 3, "09:00")
    stored = item(
        last_set={"price": ("10:00", "p0")},
        pending=[superseded, change("future", at="13:00")],
        next_change_at=moment("13:00"),
    )

    result = planned(stored)

    assert ids(result.superseded) == ["late"]
    assert set(entries(result, "pending_changes")) == {"future"}


# Bookkeeping of a write


def test_a_write_raises_the_version_by_one_and_says_when() -> None:
    for before, after in ((41, 42), (None, 1)):
        write = planned(item(version=before, pending=[change("c1")])).write

        assert subset(write.sets, "version", "updated_at") == {"version": after, "updated_at": NOW}
        assert write.guard["version"] == before


def test_settled_changes_are_no_longer_pending_and_are_remembered() -> None:
    pending = [
        change("applied", "adjustment", 1, "10:30"),
        change("superseded", "adjustment", 1, "09:00"),
        change("rejected", "theft", 1, "10:30"),
        change("future", "price", 3, "13:00", reason="sale week"),
        change("later", "price", 4, "14:00"),
    ]
    stored = item(pending=pending, last_set={"count": ("10:00", "c0")}, settled={"before": ("09:00", "08:00")})

    result = planned(stored)

    assert entries(result, "pending_changes") == {
        "future": {"kind": "price", "value": 3, "effective_at": moment("13:00"), "reason": "sale week"},
        "later": {"kind": "price", "value": 4, "effective_at": moment("14:00")},
    }
    assert entries(result, "settled_changes") == {
        "before": {"settled_at": moment("09:00"), "effective_at": moment("08:00")},
        "applied": {"settled_at": NOW, "effective_at": moment("10:30")},
        "superseded": {"settled_at": NOW, "effective_at": moment("09:00")},
    }
    assert set(entries(result, "rejected_changes")) == {"rejected"}
    assert result.write.sets["next_change_at"] == moment("13:00")
    assert "settled_before" not in result.write.sets


def test_the_last_pending_change_takes_the_item_out_of_the_index() -> None:
    result = planned(item(pending=[change("c1")]))

    assert result.write.removes == ("next_change_at",)
    assert result.write.sets["pending_changes"] == {}


def test_only_what_differs_is_written() -> None:
    result = planned(item(10, pending=[change("p1", "price", Decimal("2.50")), change("later", at="13:00")]))

    assert set(result.write.sets) == {
        "pending_changes",
        "settled_changes",
        "next_change_at",
        "last_set",
        "version",
        "updated_at",
    }
    assert result.write.removes == ()


def test_the_clock_decides_the_records_and_as_of_only_what_is_due() -> None:
    late_clock = moment("03:00", day=20)
    result = planned(item(pending=[change("c1"), change("c2", "theft")]), now=late_clock)

    assert entries(result, "settled_changes")["c1"]["settled_at"] == late_clock
    assert result.rejected[0].rejected_at == late_clock
    assert result.write.sets["updated_at"] == late_clock


# Forgetting within bounds


def test_settled_changes_are_forgotten_after_the_retention_by_the_clock() -> None:
    stored = item(
        settled={
            "forgotten": (moment("17:59:59.999999", day=2), moment("06:00", day=1)),
            "forgotten too": (moment("10:00", day=2), moment("08:00", day=2)),
            "kept": (moment("18:00", day=2), moment("07:00", day=1)),
        },
        pending=[change("c1")],
    )

    result = planned(stored, policy=Policy(change_retention_days=3), now=moment("18:00", day=5))

    assert set(entries(result, "settled_changes")) == {"kept", "c1"}
    assert result.write.sets["settled_before"] == moment("08:00", day=2)


def test_the_latest_effective_time_among_the_forgotten_is_remembered_not_that_of_the_last_one_forgotten() -> None:
    stored = item(
        settled={
            "early": (moment("09:00", day=1), moment("23:00", day=2)),
            "late": (moment("10:00", day=1), moment("06:00", day=1)),
        },
        pending=[change("c1")],
    )

    result = planned(stored, now=moment("18:00", day=20))

    assert result.write.sets["settled_before"] == moment("23:00", day=2)


def test_what_was_forgotten_before_stays_remembered_where_it_is_later() -> None:
    stored = item(
        settled={"old": (moment("09:00", day=1), moment("06:00", day=1))},
        settled_before=moment("07:00", day=1),
        pending=[change("c1")],
    )

    result = planned(stored, now=moment("18:00", day=20))

    assert set(entries(result, "settled_changes")) == {"c1"}
    assert "settled_before" not in result.write.sets
    assert "settled_before" not in result.write.removes


def test_at_most_500_settled_changes_are_remembered_the_oldest_forgotten_first() -> None:
    settled = {f"s{number:03}": (f"09:{number // 60:02}:{number % 60:02}.000000", "08:00") for number in range(499)}
    settled["s000"] = (settled["s000"][0], "08:30")
    stored = item(settled=settled, pending=[change("c1"), change("c2"), change("c3")])

    result = planned(stored)

    remembered = entries(result, "settled_changes")
    assert len(remembered) == 500
    assert set(settled) - set(remembered) == {"s000", "s001"}
    assert {"c1", "c2", "c3"} <= set(remembered)
    assert result.write.sets["settled_before"] == moment("08:30")


def test_more_changes_in_one_write_than_may_be_remembered_are_all_applied() -> None:
    pending = [change(f"c{n:04}", "adjustment", 1, f"0{n // 600}:{n % 60:02}") for n in range(2500)]

    result = planned(item(0, pending=pending))

    assert len(result.applied) == 2500
    assert result.write.sets["on_hand"] == 2500
    remembered = entries(result, "settled_changes")
    assert len(remembered) == 500
    latest_forgotten = max(each.effective_at for each in result.applied if each.change_id not in remembered)
    assert result.write.sets["settled_before"] == latest_forgotten


def test_at_most_100_rejected_changes_are_kept_the_oldest_forgotten_first() -> None:
    stored = item(
        rejected=[(change(f"r{number:02}"), f"09:{number // 60:02}:{number % 60:02}.000000") for number in range(99)],
        pending=[change("c1", "theft"), change("c2", "theft"), change("c3", "theft")],
    )

    result = planned(stored)

    kept = entries(result, "rejected_changes")
    assert len(kept) == 100
    assert {"r00", "r01"}.isdisjoint(kept)
    assert {"r02", "c1", "c2", "c3"} <= set(kept)
    assert len(result.rejected) == 3
    assert "settled_before" not in result.write.sets


def test_rejected_changes_are_not_forgotten_by_age() -> None:
    stored = item(rejected=[(change("old", "theft"), moment("09:00", day=1))], pending=[change("c1", "theft")])

    result = planned(stored, now="2027-03-02T00:00:00.000000Z")

    assert set(entries(result, "rejected_changes")) == {"old", "c1"}


# The guard


def test_the_guard_holds_every_attribute_that_was_read_with_its_value() -> None:
    stored = item(
        10,
        reserved=1,
        safety_stock=2,
        reorder_point=3,
        unit_price="2.50",
        settled_before="06:00",
        pending=[change("c1", at="09:00")],
        settled={"s": ("09:00", "08:00")},
        rejected=[(change("r"), "09:00")],
        last_set={"price": ("08:00", "p0")},
        version=7,
    )

    assert planned(stored).write.guard == {
        "on_hand": 10,
        "reserved": 1,
        "safety_stock": 2,
        "reorder_point": 3,
        "unit_price": Decimal("2.50"),
        "available": 7,
        "stock_status": "IN_STOCK",
        "stock_value": 25,
        "next_change_at": moment("09:00"),
        "settled_before": moment("06:00"),
        "version": 7,
    }


def test_the_guard_says_which_attributes_were_missing() -> None:
    optional = ("reserved", "safety_stock", "reorder_point", "unit_price", "available", "stock_status", "version")
    stored = item(10, **dict.fromkeys(optional))

    missing = (*optional, "stock_value", "next_change_at", "settled_before")
    assert planned(stored).write.guard == {"on_hand": Decimal(10)} | dict.fromkeys(missing)


def test_the_guard_is_the_same_for_a_mere_repair() -> None:
    repair, change_due = (
        planned(item(available=9)),
        planned(item(available=9, pending=[change("c1")], next_change_at=None)),
    )

    assert repair.write.guard == change_due.write.guard


# Figures that another writer left without exact consequences


def test_an_item_whose_derived_figures_cannot_be_exact_is_invalid_until_a_change_mends_it() -> None:
    figures: dict[str, Any] = {"unit_price": "0.987654321", "available": None, "stock_value": None}
    spoilt = item("0." + 30 * "9", **figures)

    result = judged(spoilt)
    mended = planned(item("0." + 30 * "9", **figures, pending=[change("c1", "count", 4)]))

    assert isinstance(result, InvalidItem)
    assert (result.key, result.code) == (spoilt.key, "TOO_PRECISE")
    assert ids(mended.applied) == ["c1"]
    assert mended.write.sets["stock_value"] == 4 * Decimal("0.987654321")


def test_a_plan_depends_on_nothing_but_its_arguments() -> None:
    stored = item(pending=[change("a", "adjustment", 2, "09:00"), change("b", "count", 7, "10:00")])
    turned = item(pending=[change("b", "count", 7, "10:00"), change("a", "adjustment", 2, "09:00")])

    assert judged(stored) == judged(stored) == judged(turned)
