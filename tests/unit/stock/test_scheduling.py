"""What scheduling, cancelling, retrying and loading do to one item, decided without I/O."""

import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary

from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import Figures, ItemKey, StockItem, read_item
from inventory_updater.stock.planning import Update
from inventory_updater.stock.scheduling import (
    Creation,
    Refusal,
    Scheduling,
    Withdrawal,
    cancel,
    load,
    retry,
    schedule,
    size_in_bytes,
)
from tests.builders import NOW, change, item_attributes, moment

MUG = ItemKey("mug", "DC1")
FIGURES = Figures(Decimal(12), Decimal(2), Decimal(1), Decimal(9), Decimal("2.50"))


def scheduled(attributes: Attributes | None, changes: Iterable[Change], **rest: bool) -> Scheduling:
    decision = schedule(MUG, attributes, changes, now=NOW, **rest)
    assert isinstance(decision, Scheduling), decision
    return decision


def refused(attributes: Attributes | None, *changes: Change) -> Refusal:
    decision = schedule(MUG, attributes, changes, now=NOW)
    assert isinstance(decision, Refusal), decision
    return decision


def loaded(attributes: Attributes | None, figures: Figures = FIGURES, *, replace: bool = False, **texts: Any) -> object:
    """What is to be written of a stock row, or why it is refused."""
    decision = load(MUG, attributes, figures, texts, replace=replace, now=NOW)
    return decision if isinstance(decision, Refusal) else decision.write


def written(decision: Scheduling | Withdrawal | Refusal) -> Update:
    assert isinstance(decision.write, Update)
    return decision.write


def many(count: int) -> list[Change]:
    return [change(f"c{number}") for number in range(count)]


# Schedule: what is added


def test_a_change_is_added_to_those_that_are_pending() -> None:
    there = change("c1", "count", 5, "12:00")
    new = change("c2", "price", Decimal("2.75"), "09:30", reason="spring", reference="R-7")

    assert scheduled(item_attributes(pending=[there]), [new]) == Scheduling(
        Update(
            MUG,
            sets={
                "pending_changes": {"c1": there.to_map(), "c2": new.to_map()},
                "next_change_at": moment("09:30"),
                "version": Decimal(8),
                "updated_at": NOW,
            },
            removes=(),
            guard={"next_change_at": moment("12:00"), "settled_before": None, "version": Decimal(7)},
        ),
        scheduled=("c2",),
    )


def test_an_item_that_never_had_changes_is_guarded_by_their_absence() -> None:
    write = written(scheduled(item_attributes(version=None), [change("c1")]))

    assert write.guard == {"next_change_at": None, "settled_before": None, "version": None}
    assert write.sets["version"] == 1


def test_an_item_whose_on_hand_is_spoilt_can_still_be_given_changes() -> None:
    for spoilt in (item_attributes() | {"on_hand": "many"}, item_attributes(None)):
        assert scheduled(spoilt, [change("c1", "count", 5)]).scheduled == ("c1",)


# Schedule: what is known already


def test_a_change_that_is_pending_with_the_same_content_is_a_duplicate_however_its_number_is_written() -> None:
    there = change("c1", value=5, reason="delivery")
    written_otherwise = change("c1", value=Decimal("5.00"), reason="delivery")

    for again in (there, written_otherwise):
        assert scheduled(item_attributes(pending=[there]), [again]) == Scheduling(None, (), ("c1",))


def test_a_settled_or_rejected_change_is_a_duplicate_whatever_its_content() -> None:
    rejected = [(change("refused", "count", -1), "08:00")]
    attributes = item_attributes(settled={"done": ("08:00", "07:00")}, rejected=rejected)

    decision = scheduled(attributes, [change("done", "count", 77), change("refused", "count", 3)])

    assert decision == Scheduling(None, (), ("done", "refused"))


def test_duplicates_do_not_keep_new_changes_out() -> None:
    decision = scheduled(item_attributes(pending=many(1)), many(2))

    assert (decision.scheduled, decision.duplicates) == (("c1",), ("c0",))


def test_the_id_of_a_pending_change_with_another_content_is_taken() -> None:
    there = change("c1", value=5, reason="r")
    others: dict[str, Any] = {"kind": "count", "value": 6, "effective_at": NOW, "reason": None, "reference": "x"}
    taken = "change c1 is already pending in item mug at DC1 with another content"

    for name, other in others.items():
        refusal = refused(item_attributes(pending=[there]), replace(there, **{name: other}))
        assert refusal == Refusal(MUG, "CHANGE_ID_TAKEN", taken, "c1")


# Schedule: what may have been forgotten


def test_a_change_at_or_before_what_was_forgotten_is_too_old_unless_told_otherwise() -> None:
    attributes = item_attributes(settled_before="09:00")
    said = (
        f"change c1 of item mug at DC1 is not later than {moment('09:00')}: it may have been applied and forgotten "
        "(--allow-old takes it all the same)"
    )

    for at in ("08:59:59.999999", "09:00"):
        assert refused(attributes, change("c1", at=at)) == Refusal(MUG, "TOO_OLD", said, "c1")
        assert scheduled(attributes, [change("c1", at=at)], allow_old=True).scheduled == ("c1",)
    assert scheduled(attributes, [change("c1", at="09:00:00.000001")]).scheduled == ("c1",)


def test_an_old_change_that_is_still_remembered_is_a_duplicate_not_too_old() -> None:
    waiting, done, rejected = old = [change(name, at="08:00") for name in ("waiting", "done", "rejected")]
    settled = {done.change_id: ("08:30", "08:00")}
    attributes = item_attributes(
        settled_before="09:00", pending=[waiting], settled=settled, rejected=[(rejected, "08:30")]
    )

    assert scheduled(attributes, old).duplicates == ("waiting", "done", "rejected")


# Schedule: items that are not there


def test_a_change_of_an_unknown_item_is_refused() -> None:
    unknown = Refusal(MUG, "UNKNOWN_ITEM", "there is no item mug at DC1", "c1")

    assert refused(None, change("c1"), change("c2")) == unknown


def test_a_missing_item_is_made_with_nothing_on_hand_and_no_price_when_told_so() -> None:
    new = change("c1", value=5)

    decision = scheduled(None, [new], create_missing=True)

    figures = ("on_hand", "reserved", "safety_stock", "reorder_point", "available")
    changes = {"pending_changes": {"c1": new.to_map()}, "next_change_at": moment("09:00")}
    rest = {"stock_status": "OUT_OF_STOCK", "version": Decimal(1), "updated_at": NOW}
    assert decision == Scheduling(Creation(MUG, dict.fromkeys(figures, Decimal(0)) | changes | rest), ("c1",))


def test_an_item_that_is_there_is_never_made_anew() -> None:
    assert isinstance(scheduled(item_attributes(), [change("c1")], create_missing=True).write, Update)


# Schedule: bounds


def test_an_item_takes_1000_pending_changes_and_not_one_more_even_if_another_writer_went_past_that() -> None:
    attributes = item_attributes(pending=many(999))
    too_many = "item mug at DC1 would have 1,001 pending changes; 1,000 are allowed"

    assert scheduled(attributes, [change("last")]).scheduled == ("last",)
    assert refused(attributes, change("last"), change("more")) == Refusal(MUG, "TOO_MANY_CHANGES", too_many, "more")
    assert refused(item_attributes(pending=many(1200)), change("more")).code == "TOO_MANY_CHANGES"


def test_duplicates_do_not_count_against_the_bound() -> None:
    full = many(1000)

    assert scheduled(item_attributes(pending=full), full).duplicates == tuple(each.change_id for each in full)


def test_an_item_may_not_grow_past_200_kb() -> None:
    roomy = item_attributes() | {"description": "x" * 199_000}

    refusal = refused(roomy, change("c1"), change("c2", reason="y" * 800))

    assert scheduled(roomy, [change("c1")]).scheduled == ("c1",)
    assert (refusal.code, refusal.change_id) == ("ITEM_TOO_LARGE", "c2")
    assert re.fullmatch(r"item mug at DC1 would have 200,\d{3} bytes; 200,000 are allowed", refusal.message)


def test_a_thousand_of_the_largest_changes_are_refused_for_their_size() -> None:
    changes = [Change(f"{n:064}", "adjustment", Decimal(n), moment("09:00"), "r" * 128, "f" * 128) for n in range(1000)]

    assert refused(item_attributes(), *changes).code == "ITEM_TOO_LARGE"


# Cancel


def test_cancelled_changes_leave_the_pending_ones() -> None:
    first, second, third = pending = [change(f"c{hour}", at=f"{hour:02}:00") for hour in (9, 10, 11)]

    decision = cancel(MUG, item_attributes(pending=pending), [first.change_id, third.change_id], now=NOW)

    assert decision.change_ids == ("c9", "c11")
    assert written(decision).removes == ()
    assert written(decision).sets == {
        "pending_changes": {"c10": second.to_map()},
        "next_change_at": moment("10:00"),
        "version": Decimal(8),
        "updated_at": NOW,
    }


def test_an_item_without_pending_changes_leaves_the_index() -> None:
    write = written(cancel(MUG, item_attributes(pending=[change("c1")]), ["c1"], now=NOW))

    assert (write.removes, write.sets["pending_changes"]) == (("next_change_at",), {})
    assert write.guard["next_change_at"] == moment("09:00")


def test_ids_that_are_not_pending_or_whose_item_is_gone_are_passed_over() -> None:
    attributes = item_attributes(pending=[change("c1")], settled={"done": ("08:00", "07:00")})

    assert cancel(MUG, attributes, ["done", "unknown"], now=NOW) == Withdrawal(None)
    assert cancel(MUG, attributes, ["done", "c1"], now=NOW).change_ids == ("c1",)
    assert cancel(MUG, None, ["c1"], now=NOW) == Withdrawal(None)


# Retry


def test_the_changes_that_a_job_rejected_are_pending_again() -> None:
    waiting, again = change("c1", at="12:00"), change("c2", value=-3, at="08:00", reason="sale")
    attributes: dict[str, Any] = item_attributes(
        pending=[waiting], rejected=[(again, "08:30"), (change("c3"), "07:00")]
    )
    attributes["rejected_changes"]["c3"] |= {"job_id": "job-9"}

    decision = retry(MUG, attributes, "job-0", now=NOW)

    assert isinstance(decision, Withdrawal)
    assert decision.change_ids == ("c2",)
    assert written(decision).sets == {
        "pending_changes": {"c1": waiting.to_map(), "c2": again.to_map()},
        "rejected_changes": {"c3": attributes["rejected_changes"]["c3"]},
        "next_change_at": moment("08:00"),
        "version": Decimal(8),
        "updated_at": NOW,
    }


def test_a_job_that_rejected_nothing_here_leaves_the_item_alone() -> None:
    attributes = item_attributes(rejected=[(change("c1"), "08:30")])

    assert retry(MUG, attributes, "job-9", now=NOW) == Withdrawal(None)
    assert retry(MUG, None, "job-0", now=NOW) == Withdrawal(None)


def test_a_retry_may_not_take_an_item_past_its_bound() -> None:
    attributes = item_attributes(pending=many(1000), rejected=[(change("again"), "08:30")])
    too_many = "item mug at DC1 would have 1,001 pending changes; 1,000 are allowed"

    assert retry(MUG, attributes, "job-0", now=NOW) == Refusal(MUG, "TOO_MANY_CHANGES", too_many)


# Load


def test_a_new_item_is_made_with_its_derived_figures() -> None:
    given = {"on_hand": 12, "reserved": 2, "safety_stock": 1, "reorder_point": 9, "unit_price": Decimal("2.50")}
    derived = {"available": 9, "stock_status": "LOW_STOCK", "stock_value": 30}
    rest = {"currency": "EUR", "version": 1, "updated_at": NOW}

    assert loaded(None, currency="EUR", description=None) == Creation(MUG, given | derived | rest)


def test_an_item_that_is_there_is_not_replaced_unless_told_so() -> None:
    said = "item mug at DC1 is already there (--replace sets its columns)"

    assert loaded(item_attributes()) == Refusal(MUG, "ITEM_EXISTS", said)


def test_replacing_sets_the_columns_of_the_file_and_leaves_the_changes_alone() -> None:
    settled, last_set = {"c0": ("08:00", "07:00")}, {"count": ("07:00", "c0")}
    changes: dict[str, Any] = {"settled": settled, "last_set": last_set, "rejected": [(change("c2"), "08:00")]}
    there = item_attributes(3, unit_price="9.99", pending=[change("c1")], **changes)
    there |= {"currency": "EUR", "description": "a mug"}
    figures = Figures(Decimal(5), reorder_point=Decimal(2))

    assert loaded(there, figures, replace=True, currency=None, description="a cup") == Update(
        MUG,
        sets={"on_hand": 5, "reserved": 0, "safety_stock": 0, "reorder_point": 2, "available": 5}
        | {"stock_status": "IN_STOCK", "description": "a cup", "version": 8, "updated_at": NOW},
        removes=("unit_price", "currency", "stock_value"),
        guard={"next_change_at": moment("09:00"), "settled_before": None, "version": 7},
    )


def test_replacing_mends_an_item_whose_on_hand_is_spoilt() -> None:
    spoilt = item_attributes() | {"on_hand": "many"}

    write = loaded(spoilt, replace=True)

    assert isinstance(write, Update)
    mended = read_item(spoilt | dict(write.sets))
    assert isinstance(mended, StockItem)
    assert mended.figures == FIGURES


def test_figures_without_exact_derived_figures_are_refused() -> None:
    figures = Figures(Decimal("9" * 30), unit_price=Decimal("0." + "9" * 30))
    said = "item mug at DC1: a derived figure would need more than 38 digits"

    assert loaded(None, figures) == Refusal(MUG, "TOO_PRECISE", said)


# Items that cannot be read


def test_an_item_whose_changes_cannot_be_read_is_refused_with_the_attribute_and_not_cancelled_in() -> None:
    spoilt = item_attributes() | {"pending_changes": "none"}
    takes_none = "item mug at DC1 cannot take changes: pending_changes is not a map"
    is_kept = "item mug at DC1 cannot be replaced: pending_changes is not a map"

    assert refused(spoilt, change("c1")) == Refusal(MUG, "WRONG_TYPE", takes_none, "c1")
    assert retry(MUG, spoilt, "job-0", now=NOW) == Refusal(MUG, "WRONG_TYPE", takes_none)
    assert loaded(spoilt, replace=True) == Refusal(MUG, "WRONG_TYPE", is_kept)
    with pytest.raises(UnreadableAttributeError, match="pending_changes is not a map"):
        cancel(MUG, spoilt, ["c1"], now=NOW)


# Size


def test_a_value_has_the_size_that_dynamodb_documents() -> None:
    sizes: list[tuple[object, int]] = [
        *(("", 0), ("mug", 3), ("Größe", 7), ("☕", 3)),
        *((True, 1), (None, 1), (Binary(b"12345"), 5), ([], 3), ({}, 3)),
        (["ab", "c"], 3 + 1 + 2 + 1 + 1),
        ({"count": "ab"}, 3 + 1 + 5 + 2),
        ({"a": {"b": "c"}}, 3 + 1 + 1 + (3 + 1 + 1 + 1)),
    ]

    assert [(value, size_in_bytes(value)) for value, _ in sizes] == sizes


def test_a_number_takes_a_byte_for_two_digits_and_one_or_two_more() -> None:
    for number in ("0", "7", "27", "-7", "-27", "2.5", "1" * 37, "1" * 38, "-" + "1" * 38, "1E+100"):
        digits = len(number.strip("-").split("E")[0].replace(".", ""))
        documented = (digits + 1) // 2 + 1

        assert documented <= size_in_bytes(Decimal(number)) <= documented + 1, number


def test_a_set_is_at_least_as_large_as_its_elements() -> None:
    assert 5 <= size_in_bytes({"ab", "cde"}) <= 10
    assert 5 <= size_in_bytes({Binary(b"12"), Binary(b"345")}) <= 10
