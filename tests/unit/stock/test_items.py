"""Times and numbers at the door, and items as another writer may have left them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, DecimalException

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.changes import Change, LastSet, Rejection, Settlement
from inventory_updater.stock.items import (
    DerivedFigures,
    Figures,
    InvalidItem,
    ItemKey,
    StockItem,
    StockStatus,
    read_item,
)
from inventory_updater.stock.numbers import parse_number, plain
from inventory_updater.stock.times import format_time, is_stored_time, parse_time, read_time
from tests.builders import item, item_attributes, moment
from tests.strategies import dynamodb_values, numbers

NUMBER_ATTRIBUTES = (
    "on_hand",
    "reserved",
    "safety_stock",
    "reorder_point",
    "unit_price",
    "available",
    "stock_value",
)
TEXT_ATTRIBUTES = ("stock_status", "next_change_at", "settled_before")
MAP_ATTRIBUTES = ("pending_changes", "settled_changes", "rejected_changes", "last_set")

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(timezones=offsets).filter(lambda instant: 1 < instant.year < 9999)


# Times


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31T08:00:00z", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31t08:00:00Z", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31 08:00:00Z", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31T08:00:00+00:00", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31T08:00:00-00:00", "2026-01-31T08:00:00.000000Z"),
        ("2026-01-31T08:00:00+01:00", "2026-01-31T07:00:00.000000Z"),
        ("2026-01-31T08:00:00+0100", "2026-01-31T07:00:00.000000Z"),
        ("2026-01-31T08:00:00-05:30", "2026-01-31T13:30:00.000000Z"),
        ("2026-01-01T00:30:00+14:00", "2025-12-31T10:30:00.000000Z"),
        ("2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000000Z"),
        ("2026-01-31T08:00:00.1Z", "2026-01-31T08:00:00.100000Z"),
        ("2026-01-31T08:00:00.123Z", "2026-01-31T08:00:00.123000Z"),
        ("2026-01-31T08:00:00.123456Z", "2026-01-31T08:00:00.123456Z"),
        ("2026-01-31T08:00:00.000001+01:00", "2026-01-31T07:00:00.000001Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59.000000Z"),
    ],
)
def test_an_iso_8601_time_is_stored_in_utc_with_27_characters(text: str, stored: str) -> None:
    assert parse_time(text) == stored
    assert len(stored) == 27


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "08:00:00Z",
        "2026-01-31T08:00Z",
        "2026-1-31T08:00:00Z",
        "20260131T080000Z",
        "31.01.2026 08:00:00Z",
        "2026-W05-6T08:00:00Z",
        "2026-01-31T08:00:00.Z",
        "2026-01-31T08:00:00,5Z",
        "2026-01-31T08:00:00.1234567Z",
        "2026-01-31T08:00:00+01",
        "2026-01-31T08:00:00+01:60",
        "2026-01-31T08:00:00+1:00",
        "2026-01-31T08:00:00 UTC",
        "2026-01-31T08:00:00Z ",
        " 2026-01-31T08:00:00Z",
        "2026-01-31T08:00:00Z\n",
        "+2026-01-31T08:00:00Z",
        "12026-01-31T08:00:00Z",
        "\uff12026-01-31T08:00:00Z",
        "1769846400",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a time like 2026-01-31T08:00:00Z$"):
        parse_time(text)


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00", "2026-01-31 08:00:00.5"])
def test_a_time_without_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^has no time zone: add Z or an offset like \+01:00$"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T08:00:00Z",
        "2026-13-01T08:00:00Z",
        "2026-00-10T08:00:00Z",
        "2026-01-00T08:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T08:60:00Z",
        "2026-01-31T08:00:60Z",
        "2026-01-31T08:00:00+24:00",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59.999999-00:01",
    ],
)
def test_a_time_that_does_not_exist_within_the_years_1_to_9999_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a time that exists"):
        parse_time(text)


@given(instants)
def test_a_time_in_any_zone_is_the_same_instant_when_it_is_read_back(instant: datetime) -> None:
    stored = parse_time(instant.isoformat())

    assert stored == format_time(instant)
    assert read_time(stored) == instant


@given(instants, instants)
def test_stored_times_compare_as_text_like_the_instants_they_stand_for(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


def test_a_stored_time_is_left_as_it_is() -> None:
    assert parse_time(moment("08:30:15.25")) == "2026-03-02T08:30:15.250000Z" == moment("08:30:15.25")


def test_a_stored_time_is_told_from_whatever_else_another_writer_left() -> None:
    assert is_stored_time("2026-03-02T08:30:00.000000Z")
    for other in ("2026", "", None, Decimal(1), "2026-03-02T08:30:00Z", "2026-02-30T08:30:00.000000Z"):
        assert not is_stored_time(other)


def test_a_moment_without_zone_is_never_stored() -> None:
    with pytest.raises(ValueError, match="a moment needs a time zone"):
        format_time(datetime(2026, 1, 31))  # noqa: DTZ001  # the missing zone is what is tested


def test_the_first_and_the_last_moment_have_27_characters_too() -> None:
    assert format_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"
    assert format_time(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59.999999Z"


# Numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("7", "7"),
        ("+7", "7"),
        ("-7", "-7"),
        ("007", "7"),
        ("2.50", "2.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("9" * 38, "9" * 38),
        ("0." + "9" * 38, "0." + "9" * 38),
        ("1." + "0" * 60, "1"),
        ("100." + "0" * 200, "100"),
        ("1" + "0" * 125, "1E+125"),
        ("9" * 38 + "0" * 88, "9.9999999999999999999999999999999999999E+125"),
        ("0." + "0" * 129 + "1", "1E-130"),
        ("0." + "0" * 129 + "1" + "0" * 60, "1E-130"),
    ],
)
def test_a_number_in_plain_notation_is_read_exactly(text: str, number: str) -> None:
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["-0", "-0.00", "+0", "0." + "0" * 400, "-" + "0" * 400])
def test_every_zero_is_zero_without_a_sign(text: str) -> None:
    number = parse_number(text)

    assert number == 0
    assert not number.is_signed()


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", ".", "+.", "--1", "1.2.3", "1,5", "1_000", "1 000", " 1", "1 ", "1\n", "0x10", "$1", "twelve"),
        *("1e3", "1E3", "1E-3", "nan", "NaN", "inf", "-Infinity"),
        *("\u0661", "\u00bd"),
    ],
)
def test_what_is_no_number_in_plain_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a number in plain notation$"):
        parse_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "1" + "0" * 37 + "1",
        "0." + "1" * 39,
        "1." + "0" * 37 + "1",
        "1" + "0" * 126,
        "-" + "9" * 127,
        "0." + "0" * 130 + "1",
        "-0." + "0" * 130 + "9",
    ],
)
def test_what_dynamodb_cannot_hold_exactly_is_refused_rather_than_rounded(text: str) -> None:
    with pytest.raises(ValueError, match=r"^needs more than 38 digits, or is too large or too small for DynamoDB$"):
        parse_number(text)


@given(numbers)
def test_a_number_survives_being_written_in_plain_notation(number: Decimal) -> None:
    text = plain(number)

    assert "E" not in text
    assert parse_number(text) == number


@example("0." + "0" * 129 + "1" + "0" * 60)
@example("0." + "0" * 129 + "12345678901234567890123456789012345678")
@example("9" * 38 + "0" * 88)
@example("0." + "0" * 180)
@given(st.from_regex(r"[+-]?[0-9]{0,130}(\.[0-9]{0,180})?", fullmatch=True))
def test_whatever_is_accepted_as_a_number_dynamodb_can_hold(text: str) -> None:
    try:
        number = parse_number(text)
    except ValueError:
        return

    stored = to_attribute_value(number)

    assert from_attribute_values({"number": stored}) == {"number": number}
    assert number == Decimal(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+3", "1000"), ("1E-7", "0.0000001"), ("2.50", "2.50"), ("-4", "-4"), ("0", "0")],
)
def test_plain_notation_has_no_exponent(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


# Derived figures


@pytest.mark.parametrize(
    ("on_hand", "available", "status"),
    [
        (14, 9, StockStatus.IN_STOCK),
        (13, 8, StockStatus.LOW_STOCK),
        (6, 1, StockStatus.LOW_STOCK),
        (5, 0, StockStatus.OUT_OF_STOCK),
        (1, -4, StockStatus.OUT_OF_STOCK),
    ],
)
def test_an_item_is_low_at_its_reorder_point_and_out_of_stock_at_nothing_available(
    on_hand: int, available: int, status: StockStatus
) -> None:
    figures = Figures(Decimal(on_hand), reserved=Decimal(3), safety_stock=Decimal(2), reorder_point=Decimal(8))

    assert figures.derive() == DerivedFigures(Decimal(available), status, None)


def test_the_stock_value_is_exact() -> None:
    derived = Figures(Decimal("3.3"), unit_price=Decimal("0.1")).derive()

    assert derived.stock_value == Decimal("0.33")


@given(numbers, numbers, numbers)
@example(Decimal(0), Decimal(0), Decimal("1.2345678901234567890123456789012345678E-130"))
@example(Decimal("0E-100"), Decimal(0), Decimal("0E-100"))
def test_derived_figures_are_exact_or_raise_and_dynamodb_can_hold_them(
    on_hand: Decimal, reserved: Decimal, unit_price: Decimal
) -> None:
    try:
        derived = Figures(on_hand, reserved, unit_price=unit_price).derive()
    except DecimalException:
        return

    for figure in (derived.available, derived.stock_value):
        assert from_attribute_values({"figure": to_attribute_value(figure)}) == {"figure": figure}


def test_the_value_of_nothing_is_0_without_a_sign() -> None:
    value = Figures(Decimal(0), unit_price=Decimal(-2)).derive().stock_value

    assert value is not None
    assert not value.is_signed()


# Items


def test_an_item_is_read_with_everything_it_knows_of_its_changes() -> None:
    read = item(
        12,
        reserved=2,
        safety_stock=1,
        reorder_point=4,
        unit_price="2.50",
        pending=[Change("c1", "count", Decimal(5), moment("09:00"), reason="stocktaking")],
        settled={"c0": ("08:00", "07:00")},
        rejected=[(Change("c2", "price", "much", moment("07:30")), "08:00")],
        settled_before="06:00",
        last_set={"count": ("07:00", "c0")},
    )

    assert read.key == ItemKey("mug", "DC1")
    assert read.figures == Figures(Decimal(12), Decimal(2), Decimal(1), Decimal(4), Decimal("2.50"))
    assert (read.available, read.stock_status, read.stock_value) == (Decimal(9), "IN_STOCK", Decimal(30))
    assert read.changes.pending == {"c1": Change("c1", "count", Decimal(5), moment("09:00"), "stocktaking")}
    assert read.changes.settled == {"c0": Settlement(moment("08:00"), moment("07:00"))}
    assert read.changes.rejected == {
        "c2": Rejection(
            Change("c2", "price", "much", moment("07:30")),
            "INSUFFICIENT_STOCK",
            "there were only 3",
            moment("08:00"),
            "job-0",
        )
    }
    assert read.changes.last_set == {"count": LastSet(moment("07:00"), "c0")}
    assert (read.changes.next_change_at, read.changes.settled_before) == (moment("09:00"), moment("06:00"))
    assert read.changes.next_version == 8


def test_an_item_of_nothing_but_on_hand_is_a_stock_item() -> None:
    read = read_item({"sku": "mug", "location_id": "DC1", "on_hand": Decimal(3)})

    assert isinstance(read, StockItem)
    assert read.figures == Figures(Decimal(3))
    assert read.changes.next_version == 1


def test_an_item_without_on_hand_is_invalid() -> None:
    read = read_item(item_attributes(None))

    assert read == InvalidItem(ItemKey("mug", "DC1"), "MISSING_QUANTITY", "on_hand is missing")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("soon", "pending_changes.c1 is not a map"),
        ({}, "pending_changes.c1.effective_at is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ"),
        (
            {"effective_at": "2026-03-02T09:00:00Z"},
            "pending_changes.c1.effective_at is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ",
        ),
        (
            {"effective_at": Decimal(5)},
            "pending_changes.c1.effective_at is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ",
        ),
    ],
)
def test_a_pending_change_without_a_stored_time_makes_the_item_invalid(value: object, why: str) -> None:
    attributes = item_attributes() | {"pending_changes": {"c1": value}}

    assert read_item(attributes) == InvalidItem(ItemKey("mug", "DC1"), "WRONG_TYPE", why)


@pytest.mark.parametrize("name", MAP_ATTRIBUTES[1:])
def test_an_entry_that_is_no_map_makes_the_item_invalid(name: str) -> None:
    assert read_item(item_attributes() | {name: {"c1": Decimal(1)}}) == InvalidItem(
        ItemKey("mug", "DC1"), "WRONG_TYPE", f"{name}.c1 is not a map"
    )


@given(st.sampled_from(NUMBER_ATTRIBUTES), dynamodb_values)
def test_a_figure_is_a_number_or_the_item_is_invalid(name: str, value: object) -> None:
    read = read_item(item_attributes() | {name: value})

    if isinstance(value, Decimal):
        assert isinstance(read, StockItem)
        assert getattr(read, name) == value
    else:
        assert read == InvalidItem(ItemKey("mug", "DC1"), "WRONG_TYPE", f"{name} is not a number")


@given(st.sampled_from(TEXT_ATTRIBUTES), dynamodb_values)
def test_a_text_is_text_or_the_item_is_invalid(name: str, value: object) -> None:
    read = read_item(item_attributes() | {name: value})

    if isinstance(value, str):
        assert isinstance(read, StockItem)
    else:
        assert read == InvalidItem(ItemKey("mug", "DC1"), "WRONG_TYPE", f"{name} is not text")


@given(st.sampled_from(MAP_ATTRIBUTES), dynamodb_values.filter(lambda value: not isinstance(value, dict)))
def test_a_map_is_a_map_or_the_item_is_invalid(name: str, value: object) -> None:
    read = read_item(item_attributes() | {name: value})

    assert read == InvalidItem(ItemKey("mug", "DC1"), "WRONG_TYPE", f"{name} is not a map")


@given(
    st.dictionaries(
        st.sampled_from([*NUMBER_ATTRIBUTES, *TEXT_ATTRIBUTES, *MAP_ATTRIBUTES, "version"]), dynamodb_values
    )
)
def test_whatever_dynamodb_can_hold_is_read_or_invalid_but_never_an_error(spoilt: dict[str, object]) -> None:
    stored = to_attribute_values(item_attributes() | spoilt)

    read = read_item(from_attribute_values(stored))

    assert read.key == ItemKey("mug", "DC1")
    if isinstance(read, InvalidItem):
        assert read.code in ("WRONG_TYPE", "TOO_PRECISE")
        assert any(read.message.startswith(name) for name in spoilt)


@pytest.mark.parametrize("version", ["1E+38", "-1E+125", "1E-130"])
def test_a_version_that_cannot_be_raised_makes_the_item_invalid(version: str) -> None:
    assert read_item(item_attributes(version=version)) == InvalidItem(
        ItemKey("mug", "DC1"), "TOO_PRECISE", "version cannot be raised by one within 38 digits"
    )


@given(st.sampled_from(["description", "currency", "colour", "on-hand"]), dynamodb_values)
def test_attributes_that_planning_does_not_know_are_ignored(name: str, value: object) -> None:
    assert read_item(item_attributes() | {name: value}) == item()
