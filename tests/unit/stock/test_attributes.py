"""Attributes as another writer may have left them: read with their type, or refused by name."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given

from inventory_updater.stock.attributes import Attributes, entry_of, map_at, number_at, text_at, time_at, version_of
from tests.builders import moment
from tests.refusals import refusal
from tests.strategies import dynamodb_values


@given(dynamodb_values)
def test_an_attribute_is_of_its_type_or_refused_by_name(value: object) -> None:
    readers: list[tuple[Callable[[Attributes, str], object], type, str]] = [
        (number_at, Decimal, "on_hand is not a number"),
        (text_at, str, "on_hand is not text"),
        (map_at, dict, "on_hand is not a map"),
    ]
    for read, wanted, message in readers:
        if isinstance(value, wanted):
            assert read({"on_hand": value}, "on_hand") == value
        else:
            assert refusal(read, {"on_hand": value}, "on_hand") == message


def test_an_attribute_that_is_absent_is_nothing_but_a_null_is_of_a_wrong_type() -> None:
    assert (number_at({}, "on_hand"), text_at({}, "on_hand"), map_at({}, "on_hand")) == (None, None, {})
    assert refusal(number_at, {"on_hand": None}, "on_hand") == "on_hand is not a number"


def test_a_version_can_be_raised_by_one_or_is_refused() -> None:
    for version in ("0", "7", "9" * 37):
        assert version_of({"version": Decimal(version)}) == Decimal(version)
    assert version_of({}) is None
    for version in ("1E+38", "-1E+125", "1E-130"):
        refused = refusal(version_of, {"version": Decimal(version)})
        assert refused == "version cannot be raised by one within 38 digits"


def test_an_entry_is_a_map_with_stored_times_or_refused_by_its_whole_name() -> None:
    wrong = "pending_changes.c1.effective_at is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ"

    assert refusal(entry_of, "soon", "c1", "pending_changes") == "pending_changes.c1 is not a map"
    assert time_at({"effective_at": moment("09:00")}, "effective_at", "c1", "pending_changes") == moment("09:00")
    for entry in ({}, {"effective_at": "2026-03-02T09:00:00Z"}, {"effective_at": Decimal(5)}):
        assert refusal(time_at, entry, "effective_at", "c1", "pending_changes") == wrong
