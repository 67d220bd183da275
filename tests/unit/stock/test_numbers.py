"""Numbers at the door: read exactly, or refused."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value
from inventory_updater.stock.numbers import parse_number, plain
from tests.refusals import refusals
from tests.strategies import numbers


def test_a_number_in_plain_notation_is_read_exactly() -> None:
    texts = [
        *("0", "7", "+7", "-7", "007", "2.50", ".5", "-.5", "5."),
        *("9" * 38, "0." + "9" * 38, "1." + "0" * 60, "100." + "0" * 200),
        *("1" + "0" * 125, "9" * 38 + "0" * 88, "0." + "0" * 129 + "1", "0." + "0" * 129 + "1" + "0" * 60),
    ]

    assert {text: parse_number(text) for text in texts} == {text: Decimal(text) for text in texts}


def test_every_zero_is_zero_without_a_sign() -> None:
    for text in ("-0", "-0.00", "+0", "0." + "0" * 400, "-" + "0" * 400):
        assert str(parse_number(text)) == "0"


def test_what_is_no_number_in_plain_notation_is_refused() -> None:
    no_numbers = [
        *("", " ", "-", ".", "+.", "--1", "1.2.3", "1,5", "1_000", "1 000", " 1", "1 ", "1\n", "0x10", "$1", "twelve"),
        *("1e3", "1E3", "1E-3", "nan", "NaN", "inf", "-Infinity"),
        *("\u0661", "\u00bd"),
    ]

    assert refusals(parse_number, no_numbers) == dict.fromkeys(no_numbers, "is not a number in plain notation")


def test_what_dynamodb_cannot_hold_exactly_is_refused_rather_than_rounded() -> None:
    too_much = [
        *("1" + "0" * 37 + "1", "0." + "1" * 39, "1." + "0" * 37 + "1"),
        *("1" + "0" * 126, "-" + "9" * 127, "0." + "0" * 130 + "1", "-0." + "0" * 130 + "9"),
    ]

    assert refusals(parse_number, too_much) == dict.fromkeys(
        too_much, "needs more than 38 digits, or is too large or too small for DynamoDB"
    )


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


def test_plain_notation_has_no_exponent() -> None:
    written = {"1E+3": "1000", "1E-7": "0.0000001", "2.50": "2.50", "-4": "-4", "0": "0"}

    assert {number: plain(Decimal(number)) for number in written} == written
