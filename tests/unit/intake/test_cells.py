"""Cells as people and spreadsheets write them: understood, or refused with how to write them right."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake.cells import read_comma_number, read_moment, read_number
from inventory_updater.stock.numbers import parse_number, plain

BERLIN = ZoneInfo("Europe/Berlin")


def said(read: Callable[[str], object], text: str) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        read(text)
    return str(refused.value)


def test_a_number_in_another_form_is_refused_with_how_to_write_it() -> None:
    read_it = "or read the file with --decimal-comma"
    exponent = (
        "is shortened to an exponent, and digits may be lost: format the column as a number without an exponent, "
        "see that the figures are right, and save it again"
    )
    wanted = {
        "1,234.50": "has its thousands separated; write 1234.50",
        "1,234,567": "has its thousands separated; write 1234567",
        "1.234,50": "has its thousands separated; write 1234.50",
        "1.234.567": "has its thousands separated; write 1234567",
        "26,87": f"has a comma; write 26.87, {read_it}",
        "1,234": f"has a comma; write 1234 or 1.234, whichever is meant, {read_it}",
        "\u00a326.87": "has a currency beside the number; write 26.87",
        "26.87 EUR": "has a currency beside the number; write 26.87",
        "$1,234.50": "has a currency beside the number and has its thousands separated; write 1234.50",
        "1 234.50": "has spaces or marks between its digits; write 1234.50",
        "1\u202f234": "has spaces or marks between its digits; write 1234",
        "1'234.50": "has spaces or marks between its digits; write 1234.50",
        "(5)": "is in brackets, as accountants write what is negative; write -5",
        "\u22125": "has a dash that is no minus sign; write -5",
        "'12": "has spaces or marks between its digits; write 12",
        "12 pcs": "is not a number in plain notation; it wants a number such as -12 or 3.50",
        "5-": "has its minus sign at the end; write -5",
        "\uff11\uff12": "has digits other than 0 to 9; write 12",
        "1.2E+12": f"{exponent} (1200000000000, if that is all of it)",
        "12%": "is a percentage; write the amount itself, worked out",
        "=1+2": "is a formula, which is never worked out here; write its result",
        "#N/A": "is what a spreadsheet shows where it has no number, or no room for it; write the number",
        "####": "is what a spreadsheet shows where it has no number, or no room for it; write the number",
        "many": "is not a number in plain notation; it wants a number such as -12 or 3.50",
    }
    assert {text: said(read_number, text) for text in wanted} == wanted


def test_with_decimal_commas_a_point_is_never_guessed() -> None:
    wanted = {
        "1.234": "has a decimal point; write 1234 or 1,234, whichever is meant",
        "12.50": "has a decimal point; write 12,50",
        "1.234,50": "has its thousands separated; write 1234,50",
        "many": "is not a number in plain notation; it wants a number such as -12 or 3,50",
    }
    assert {text: said(read_comma_number, text) for text in wanted} == wanted
    assert [plain(read_comma_number(text)) for text in ("26,87", "-3,5", "12", ",5")] == ["26.87", "-3.5", "12", "0.5"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_what_is_to_be_written_is_a_number_and_the_one_that_was_meant(number: object) -> None:
    for form in ("{:,.2f}", "\u00a3 {:.2f}", "{:.2f} EUR"):
        text = form.format(number)
        try:
            read = read_number(text)
        except ValueError as error:
            read = parse_number(str(error).rpartition("write ")[2])
        assert read == number


def test_a_time_in_another_form_is_refused_with_the_form_that_is_wanted() -> None:
    form = "write year, month, day, time and zone:"
    wanted = {
        "27/11/2027": f"is a date without a time of day and a zone; {form} 2027-11-27T00:00:00Z",
        "2027-11-27": f"is a date without a time of day and a zone; {form} 2027-11-27T00:00:00Z",
        "03.04.27 08:15": (f"is a local time; {form} 2027-04-03T08:15:00Z or 2027-03-04T08:15:00Z, whichever is meant"),
        "11/27/2027 1:05 PM": f"is a local time; {form} 2027-11-27T13:05:00Z",
        "46353.5": (
            "is not a time like 2026-01-31T08:00:00Z but a spreadsheet's number of a day; "
            "format the column as text such as 2026-01-31T08:00:00Z"
        ),
        "soon": "is not a time like 2026-01-31T08:00:00Z",
        "31/31/2027": "is not a time like 2026-01-31T08:00:00Z",
    }
    assert {text: said(lambda each: read_moment(each, None), text) for text in wanted} == wanted


def test_a_time_without_zone_is_in_the_zone_that_is_said_unless_clocks_skip_or_repeat_it() -> None:
    read = {
        "2027-11-26T00:00:00": "2027-11-25T23:00:00.000000Z",
        "2027-07-01 00:00": "2027-06-30T22:00:00.000000Z",
        "2027-10-31T02:30+01:00": "2027-10-31T01:30:00.000000Z",
        "2027-11-26T00:00:00.5Z": "2027-11-26T00:00:00.500000Z",
    }
    assert {text: read_moment(text, BERLIN) for text in read} == read
    refused = {
        "2027-03-28T02:30:00": (
            "does not exist in Europe/Berlin, where clocks skip it; write the time that is meant with its offset, such "
            "as 2027-03-28T02:30:00+02:00 or 2027-03-28T02:30:00+01:00"
        ),
        "2027-10-31 02:30": (
            "is there twice in Europe/Berlin, where clocks are put back; write 2027-10-31T02:30:00+02:00 for the first "
            "or 2027-10-31T02:30:00+01:00 for the second"
        ),
        "2027-02-30T00:00:00": "is not a time that exists (day is out of range for month)",
    }
    assert {text: said(lambda each: read_moment(each, BERLIN), text) for text in refused} == refused
