"""What an item needs and why: every rule of planning."""

from decimal import Decimal
from typing import Any

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import InvalidItem, StockItem
from inventory_updater.stock.planning import Plan, Policy, Unchanged, plan
from tests.builders import NOW, change, item, moment

NOON = moment("12:00")
SETTINGS = {"count": "on_hand", "price": "unit_price", "reorder_point": "reorder_point", "safety_stock": "safety_stock"}
"""The attribute that each kind of setting sets."""
STRICT, NEGATIVE_ALLOWED = Policy(), Policy(allow_negative_stock=True)


def judged(
    item: StockItem, as_of: str = NOON, policy: Policy = STRICT, now: str = NOW
) -> Plan | Unchanged | InvalidItem:
    return plan(item, as_of=as_of, now=now, policy=policy, job_id="job-1")


def planned(item: StockItem, **rest: Any) -> Plan:
    result = judged(item, **rest)
    assert isinstance(result, Plan), result
    return result


def written(item: StockItem, **rest: Any) -> dict[str, Any]:
    """What the plan for an item sets."""
    return dict(planned(item, **rest).write.sets)


def outcome(result: Plan) -> dict[str, list[str]]:
    """The ids of the changes that were applied, superseded or rejected with a code, each in their order."""
    found = {
        "applied": [each.change_id for each in result.applied],
        "superseded": [each.change_id for each in result.superseded],
    }
    for each in result.rejected:
        found.setdefault(each.code, []).append(each.change.change_id)
    return {fate: ids for fate, ids in found.items() if ids}


# What is due, and in which order


def test_a_change_is_due_from_its_instant_on() -> None:
    stored = item(pending=[change("c1", at="12:00")])

    assert outcome(planned(stored, as_of=moment("12:00"))) == {"applied": ["c1"]}
    assert judged(stored, as_of=moment("11:59:59.999999")) == Unchanged(item().key)


def test_changes_take_effect_in_the_order_of_their_time_not_of_their_id() -> None:
    result = planned(item(0, pending=[change("a", value=-4, at="11:00"), change("b", value=5, at="10:00")]))

    assert outcome(result) == {"applied": ["b", "a"]}
    assert result.write.sets["on_hand"] == 1


def test_in_one_instant_adjustments_come_before_settings_and_then_the_change_id_decides() -> None:
    pending = [change("a", "count", 40), change("b", "price", 3), change("z", value=-4), change("y", value=5)]

    result = planned(item(0, pending=pending))

    assert outcome(result) == {"applied": ["y", "z", "a", "b"]}
    assert result.write.sets["on_hand"] == 40


def test_a_change_of_unknown_kind_does_not_disturb_the_order_of_the_others() -> None:
    unknown = [change("a", "theft", 1, "10:00"), change("c", None, 1, "09:00")]
    known = [change("b", value=-4, at="10:00"), change("d", value=4, at="09:30")]

    result = planned(item(0, pending=unknown + known))

    assert outcome(result) == {"applied": ["d", "b"], "UNKNOWN_KIND": ["c", "a"]}


# What each kind does


def test_an_adjustment_adds_to_on_hand() -> None:
    sets = written(item("10.5", pending=[change("in", value=5), change("out", value=Decimal("-12.75"))]))

    assert sets["on_hand"] == Decimal("2.75")
    assert "last_set" not in sets


def test_a_setting_sets_its_attribute_and_is_remembered_as_the_last_of_its_kind() -> None:
    for kind, attribute in SETTINGS.items():
        for value in (Decimal("4.25"), Decimal(0)):
            sets = written(item(10, reserved=1, safety_stock=2, reorder_point=3, pending=[change("c1", kind, value)]))

            assert sets[attribute] == value
            assert sets["last_set"] == {kind: {"effective_at": moment("09:00"), "change_id": "c1"}}


def test_a_setting_leaves_the_last_ones_of_other_kinds_as_they_are() -> None:
    stored = item(last_set={"price": ("08:00", "p0"), "count": ("08:00", "c0")}, pending=[change("p1", "price", 3)])

    assert written(stored)["last_set"] == {
        "price": {"effective_at": moment("09:00"), "change_id": "p1"},
        "count": {"effective_at": moment("08:00"), "change_id": "c0"},
    }


def test_a_quantity_that_was_absent_counts_as_0_and_can_be_set() -> None:
    for kind, status in (("reorder_point", "LOW_STOCK"), ("safety_stock", "OUT_OF_STOCK")):
        sets = written(item(10, safety_stock=None, reorder_point=None, pending=[change("c1", kind, 10)]))

        assert (sets[kind], sets["stock_status"]) == (10, status)


def test_a_setting_to_the_value_it_already_has_is_applied_all_the_same() -> None:
    sets = written(item(10, pending=[change("c1", "count", 10)]))

    assert sets["last_set"] == {"count": {"effective_at": moment("09:00"), "change_id": "c1"}}


# Superseding


def test_a_setting_before_the_last_of_its_kind_is_superseded_and_in_one_instant_the_greater_change_id_wins() -> None:
    arrivals = (("z", "08:59:59.999999", "superseded"), ("k", "09:00", "superseded"), ("m", "09:00", "applied"))
    for kind in SETTINGS:
        # Settings of other kinds do not matter, however late they were.
        last_set = dict.fromkeys(SETTINGS, ("11:00", "z")) | {kind: ("09:00", "l")}
        for change_id, at, fate in arrivals:
            result = planned(item(10, last_set=last_set, pending=[change(change_id, kind, 99, at)]))

            assert outcome(result) == {fate: [change_id]}
            touched = result.write.sets.keys() & {*SETTINGS.values(), "last_set"}
            assert touched == ({SETTINGS[kind], "last_set"} if fate == "applied" else set())


def test_a_count_has_seen_every_adjustment_up_to_and_including_its_instant_even_one_of_more_than_there_is() -> None:
    for adjustment, at in ((-3, "08:59:59.999999"), (-3, "09:00"), (-11, "09:00"), (-3, "09:00:00.000001")):
        result = planned(item(10, last_set={"count": ("09:00", "a")}, pending=[change("z", value=adjustment, at=at)]))

        is_later = at > "09:00"
        assert outcome(result) == {"applied" if is_later else "superseded": ["z"]}
        assert result.write.sets.get("on_hand") == (7 if is_later else None)


def test_a_count_supersedes_only_what_came_before_it_in_the_same_run() -> None:
    sales = [change("a1", value=-3, at="09:00"), change("a2", value=-3, at="11:00")]

    result = planned(item(10, pending=[*sales, change("c1", "count", 20, "10:00")]))

    assert outcome(result) == {"applied": ["a1", "c1", "a2"]}
    assert result.write.sets["on_hand"] == 17


def test_a_rejected_setting_supersedes_nothing() -> None:
    bad = change("bad", "count", -1, "10:00")

    result = planned(item(10, pending=[bad, change("sale", value=-2, at="10:00")]))
    late = written(item(10, pending=[change("late", "count", 5, "09:00"), bad]))

    assert outcome(result) == {"applied": ["sale"], "NEGATIVE_VALUE": ["bad"]}
    assert "last_set" not in result.write.sets
    assert late["last_set"] == {"count": {"effective_at": moment("09:00"), "change_id": "late"}}


# Rejections


def test_a_kind_that_is_unknown_and_a_value_that_is_no_number_are_rejected() -> None:
    kinds = ("theft", "", "Adjustment", None, Decimal(1), {"kind": "count"})
    no_numbers = ("5", "many", None, True, b"5", [Decimal(1)], {"N": "5"})
    bad = [("UNKNOWN_KIND", Change("c1", kind, Decimal(1), NOON)) for kind in kinds] + [
        ("NOT_A_NUMBER", Change("c1", kind, value, NOON)) for value in no_numbers for kind in ("adjustment", "price")
    ]

    assert [(code, each) for code, each in bad if outcome(planned(item(pending=[each]))) != {code: ["c1"]}] == []


def test_a_negative_setting_is_rejected_whatever_the_policy() -> None:
    for kind in SETTINGS:
        for policy in (STRICT, NEGATIVE_ALLOWED):
            result = planned(item(pending=[change("c1", kind, Decimal("-0.01"))]), policy=policy)
            assert outcome(result) == {"NEGATIVE_VALUE": ["c1"]}


def test_a_bad_setting_that_is_also_late_is_rejected_not_superseded() -> None:
    stored = item(last_set={"price": ("11:00", "p0")}, pending=[change("late", "price", -1, "09:00")])

    assert outcome(planned(stored)) == {"NEGATIVE_VALUE": ["late"]}


def test_what_needs_more_than_38_digits_or_leaves_the_range_is_rejected_rather_than_rounded() -> None:
    too_long, largest = Decimal("1." + 37 * "0" + "1"), Decimal("9E+125")
    rejected = {
        "a value": item(pending=[change("c1", "count", too_long)]),
        "a sum": item(Decimal("1E+37"), unit_price=None, pending=[change("c1", value=Decimal("0.1"))]),
        "a sum out of range": item(largest, unit_price=None, pending=[change("c1", value=largest)]),
    }

    assert {name: [each.code for each in planned(stored).rejected] for name, stored in rejected.items()} == {
        name: ["TOO_PRECISE"] for name in rejected
    }


def test_a_value_of_38_digits_is_applied_exactly() -> None:
    longest = Decimal("1." + 36 * "0" + "1")

    assert written(item(unit_price=None, pending=[change("c1", "count", longest)]))["on_hand"] == longest


def test_a_change_whose_derived_figures_need_more_than_38_digits_is_rejected() -> None:
    values = {
        "price": "0." + 36 * "3",
        "count": "1234567890.1234567890123456789012345678",
        "safety_stock": "0." + 38 * "1",
    }
    for kind, value in values.items():
        pending = [change("c1", kind, Decimal(value)), change("c2", value=5, at="10:00")]

        result = planned(item(12345, unit_price="19.99", pending=pending))

        assert outcome(result) == {"applied": ["c2"], "TOO_PRECISE": ["c1"]}
        assert {"unit_price", "safety_stock"}.isdisjoint(result.write.sets)
        assert result.write.sets["on_hand"] == 12350
        assert result.write.sets["stock_value"] == 12350 * Decimal("19.99")


def test_an_adjustment_may_take_the_last_piece_but_not_more() -> None:
    # A stock that is negative already takes goods in, and does not fall further.
    left = {(10, -10): 0, (10, -11): None, (-5, 3): -2, (-5, 5): 0, (-5, 0): -5, (-5, -1): None}
    for (on_hand, adjustment), rest in left.items():
        result = planned(item(on_hand, pending=[change("c1", value=adjustment)]))

        assert outcome(result) == {"INSUFFICIENT_STOCK" if rest is None else "applied": ["c1"]}
        assert result.write.sets.get("on_hand", on_hand) == (on_hand if rest is None else rest)


def test_negative_stock_is_allowed_where_the_policy_says_so() -> None:
    sets = written(item(10, pending=[change("c1", value=-11)]), policy=NEGATIVE_ALLOWED)

    figures = {"on_hand": -1, "available": -1, "stock_status": "OUT_OF_STOCK", "stock_value": Decimal("-2.50")}
    assert {name: sets[name] for name in figures} == figures


def test_reserved_stock_does_not_keep_a_sale_from_being_booked() -> None:
    result = planned(item(10, reserved=8, safety_stock=5, pending=[change("c1", value=-9)]))

    assert outcome(result) == {"applied": ["c1"]}
    assert result.write.sets["available"] == -12


def test_one_bad_change_does_not_hold_up_the_others() -> None:
    adjustments = [change("a", value=-11), change("b", value=1), change("c", value=-11)]
    prices = [change("d", "price", "free"), change("e", "price", 4)]

    result = planned(item(10, pending=adjustments + prices))

    assert outcome(result) == {"applied": ["b", "c", "e"], "INSUFFICIENT_STOCK": ["a"], "NOT_A_NUMBER": ["d"]}
    assert [result.write.sets[name] for name in ("on_hand", "unit_price", "stock_value")] == [0, 4, 0]


def test_a_rejected_change_is_kept_replayable_with_its_reason_beside_those_rejected_before() -> None:
    bad = change("c1", value=-11, reason="sale", reference="invoice 7")

    result = planned(item(10, rejected=[(change("old"), "08:00")], pending=[bad]))

    (rejection,) = result.rejected
    assert (rejection.change, rejection.message) == (bad, "on hand is 10, the adjustment -11")
    kept: Any = result.write.sets["rejected_changes"]
    assert set(kept) == {"old", "c1"}
    assert kept["c1"] == bad.to_map() | {
        "code": "INSUFFICIENT_STOCK",
        "message": rejection.message,
        "rejected_at": NOW,
        "job_id": "job-1",
    }


# Derived figures


def test_there_is_no_stock_value_without_a_price() -> None:
    write = planned(item(10, unit_price=None, stock_value="99", pending=[change("c1")])).write

    assert "stock_value" not in write.sets
    assert "stock_value" in write.removes


def test_the_first_price_brings_a_stock_value() -> None:
    for price, value in ((Decimal("1.25"), Decimal("12.50")), (0, 0)):
        sets = written(item(10, unit_price=None, pending=[change("p1", "price", price)]))

        assert (sets["unit_price"], sets["stock_value"]) == (price, value)


def test_a_derived_figure_that_another_writer_left_behind_is_repaired() -> None:
    right = {"available": 10, "stock_status": "IN_STOCK", "stock_value": 25}
    wrong: dict[str, Any] = {"available": 9, "stock_status": "SOLD", "stock_value": "0.01"}
    for name, figure in right.items():
        for left_behind in (wrong[name], None):
            result = planned(item(10, version=3, **{name: left_behind}))

            assert result.write.sets == {name: figure, "version": 4, "updated_at": NOW}
            assert (result.write.removes, outcome(result)) == ((), {})


def test_the_time_of_the_next_change_is_repaired_too() -> None:
    for left_behind in (None, moment("08:00"), moment("11:30")):
        stored = item(pending=[change("c1", at="11:00")], next_change_at=left_behind)
        assert written(stored, as_of=moment("09:00"))["next_change_at"] == moment("11:00")

    assert planned(item(next_change_at=moment("11:00"))).write.removes == ("next_change_at",)


# Nothing to do


def test_an_item_that_is_as_it_should_be_is_unchanged() -> None:
    optional = ("reserved", "safety_stock", "reorder_point", "unit_price", "version")
    right = {
        "as a job leaves it": item(),
        "without optional attributes": item(10, **dict.fromkeys(optional)),
        "equal numbers, written differently": item("10.0", available="1E+1", stock_value="25.000"),
        "changes in the future": item(pending=[change("c1", at="12:00:00.000001"), change("c2", "count", at="15:00")]),
    }

    assert {name: judged(stored) for name, stored in right.items()} == dict.fromkeys(right, Unchanged(item().key))


def test_nothing_is_written_only_to_forget() -> None:
    settled = {f"c{number}": ("09:00", "08:00") for number in range(501)} | {"old": (moment("09:00", day=1), "08:00")}
    stored = item(settled=settled, rejected=[(change(f"r{number}"), "09:00") for number in range(101)])

    assert judged(stored, now="2026-06-01T00:00:00.000000Z") == Unchanged(stored.key)


def test_a_due_change_is_settled_even_where_no_figure_differs() -> None:
    pending = [change("late", "price", 3, "09:00"), change("future", at="13:00")]
    stored = item(last_set={"price": ("10:00", "p0")}, pending=pending, next_change_at=moment("13:00"))

    assert outcome(planned(stored)) == {"superseded": ["late"]}
    assert set(written(stored)["pending_changes"]) == {"future"}


# Bookkeeping of a write


def test_a_write_raises_the_version_by_one_and_says_when() -> None:
    for before, after in ((41, 42), (None, 1)):
        write = planned(item(version=before, pending=[change("c1")])).write

        assert (write.sets["version"], write.sets["updated_at"]) == (after, NOW)
        assert write.guard["version"] == before


def test_settled_changes_are_no_longer_pending_and_are_remembered() -> None:
    due = [change("applied", at="10:30"), change("superseded", at="09:00"), change("rejected", "theft", 1, "10:30")]
    waiting = [change("future", "price", 3, "13:00", reason="sale week"), change("later", "price", 4, "14:00")]
    counted, before = {"count": ("10:00", "c0")}, {"before": ("09:00", "08:00")}

    sets = written(item(pending=due + waiting, last_set=counted, settled=before))

    assert sets["pending_changes"] == {each.change_id: each.to_map() for each in waiting}
    assert sets["settled_changes"] == {
        "before": {"settled_at": moment("09:00"), "effective_at": moment("08:00")},
        "applied": {"settled_at": NOW, "effective_at": moment("10:30")},
        "superseded": {"settled_at": NOW, "effective_at": moment("09:00")},
    }
    assert set(sets["rejected_changes"]) == {"rejected"}
    assert sets["next_change_at"] == moment("13:00")
    assert "settled_before" not in sets


def test_the_last_pending_change_takes_the_item_out_of_the_index() -> None:
    write = planned(item(pending=[change("c1")])).write

    assert (write.removes, write.sets["pending_changes"]) == (("next_change_at",), {})


def test_only_what_differs_is_written() -> None:
    write = planned(item(10, pending=[change("p1", "price", Decimal("2.50")), change("later", at="13:00")])).write

    bookkeeping = {"pending_changes", "settled_changes", "next_change_at", "last_set", "version", "updated_at"}
    assert (set(write.sets), write.removes) == (bookkeeping, ())


def test_the_clock_decides_the_records_and_as_of_only_what_is_due() -> None:
    late_clock = moment("03:00", day=20)

    sets = written(item(pending=[change("c1"), change("c2", "theft")]), now=late_clock)

    assert sets["settled_changes"]["c1"]["settled_at"] == late_clock
    assert sets["rejected_changes"]["c2"]["rejected_at"] == late_clock
    assert sets["updated_at"] == late_clock


# Forgetting within bounds


def test_settled_changes_are_forgotten_after_the_retention_by_the_clock() -> None:
    settled = {
        "latest to take effect": (moment("10:00", day=2), moment("08:00", day=2)),
        "latest to be settled": (moment("17:59:59.999999", day=2), moment("06:00", day=1)),
        "kept": (moment("18:00", day=2), moment("07:00", day=1)),
    }
    stored = item(settled=settled, pending=[change("c1")])

    sets = written(stored, policy=Policy(change_retention_days=3), now=moment("18:00", day=5))

    assert set(sets["settled_changes"]) == {"kept", "c1"}
    assert sets["settled_before"] == moment("08:00", day=2)


def test_what_was_forgotten_before_stays_remembered_where_it_is_later() -> None:
    settled = {"old": (moment("09:00", day=1), moment("06:00", day=1))}
    stored = item(settled=settled, settled_before=moment("07:00", day=1), pending=[change("c1")])

    write = planned(stored, now=moment("18:00", day=20)).write

    assert write.sets["settled_changes"] == {
        "c1": {"settled_at": moment("18:00", day=20), "effective_at": moment("09:00")}
    }
    assert "settled_before" not in {*write.sets, *write.removes}


def test_at_most_500_settled_changes_are_remembered_the_oldest_forgotten_first() -> None:
    settled = {f"s{number:03}": (f"09:{number // 60:02}:{number % 60:02}.000000", "08:00") for number in range(499)}
    settled["s000"] = (settled["s000"][0], "08:30")

    sets = written(item(settled=settled, pending=[change("c1"), change("c2"), change("c3")]))

    assert sets["settled_changes"].keys() == settled.keys() - {"s000", "s001"} | {"c1", "c2", "c3"}
    assert len(sets["settled_changes"]) == 500
    assert sets["settled_before"] == moment("08:30")


def test_more_changes_in_one_write_than_may_be_remembered_are_all_applied() -> None:
    result = planned(item(0, pending=[change(f"c{n:04}", at=f"0{n // 600}:{n % 60:02}") for n in range(2500)]))

    assert len(result.applied) == 2500
    assert result.write.sets["on_hand"] == 2500
    remembered: Any = result.write.sets["settled_changes"]
    assert len(remembered) == 500
    latest_forgotten = max(each.effective_at for each in result.applied if each.change_id not in remembered)
    assert result.write.sets["settled_before"] == latest_forgotten


def test_at_most_100_rejected_changes_are_kept_the_oldest_forgotten_first() -> None:
    rejected = {f"r{number:02}": f"09:{number // 60:02}:{number % 60:02}.000000" for number in range(99)}
    stored = item(
        rejected=[(change(change_id), at) for change_id, at in rejected.items()],
        pending=[change(change_id, "theft") for change_id in ("c1", "c2", "c3")],
    )

    sets = written(stored)

    assert sets["rejected_changes"].keys() == rejected.keys() - {"r00", "r01"} | {"c1", "c2", "c3"}
    assert len(sets["rejected_changes"]) == 100
    assert outcome(planned(stored)) == {"UNKNOWN_KIND": ["c1", "c2", "c3"]}
    assert "settled_before" not in sets


def test_rejected_changes_are_not_forgotten_by_age() -> None:
    stored = item(rejected=[(change("old", "theft"), moment("09:00", day=1))], pending=[change("c1", "theft")])

    assert set(written(stored, now="2027-03-02T00:00:00.000000Z")["rejected_changes"]) == {"old", "c1"}


# The guard


def test_the_guard_holds_every_attribute_that_was_read_with_its_value() -> None:
    figures: dict[str, Any] = {"reserved": 1, "safety_stock": 2, "reorder_point": 3, "unit_price": Decimal("2.50")}
    settled, last_set = {"s": ("09:00", "08:00")}, {"price": ("08:00", "p0")}
    changes: dict[str, Any] = {"settled": settled, "last_set": last_set, "rejected": [(change("r"), "09:00")]}

    stored = item(10, **figures, **changes, settled_before="06:00", pending=[change("c1", at="09:00")], version=7)

    derived = {"available": 7, "stock_status": "IN_STOCK", "stock_value": 25}
    times = {"next_change_at": moment("09:00"), "settled_before": moment("06:00")}
    assert planned(stored).write.guard == figures | derived | times | {"on_hand": 10, "version": 7}


def test_the_guard_says_which_attributes_were_missing_for_a_mere_repair_too() -> None:
    optional = ("reserved", "safety_stock", "reorder_point", "unit_price", "available", "stock_status", "version")
    missing = (*optional, "stock_value", "next_change_at", "settled_before")

    assert planned(item(10, **dict.fromkeys(optional))).write.guard == {"on_hand": 10} | dict.fromkeys(missing)


# Figures that another writer left without exact consequences


def test_an_item_whose_derived_figures_cannot_be_exact_is_invalid_until_a_change_mends_it() -> None:
    spoilt: dict[str, Any] = {"unit_price": "0.987654321", "available": None, "stock_value": None}

    result = judged(item("0." + 30 * "9", **spoilt))
    mended = planned(item("0." + 30 * "9", **spoilt, pending=[change("c1", "count", 4)]))

    assert result == InvalidItem(item().key, "TOO_PRECISE", "a derived figure would need more than 38 digits")
    assert outcome(mended) == {"applied": ["c1"]}
    assert mended.write.sets["stock_value"] == 4 * Decimal("0.987654321")


def test_a_plan_depends_on_nothing_but_its_arguments() -> None:
    pending = [change("a", value=2, at="09:00"), change("b", "count", 7, "10:00")]
    stored, turned = item(pending=pending), item(pending=reversed(pending))

    assert judged(stored) == judged(stored) == judged(turned)
