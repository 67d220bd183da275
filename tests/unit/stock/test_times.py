"""Times at the door, and as they are stored."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.stock.times import format_time, is_stored_time, parse_time, read_time
from tests.builders import moment
from tests.refusals import refusals

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(timezones=offsets).filter(lambda instant: 1 < instant.year < 9999)


def test_an_iso_8601_time_is_stored_in_utc_with_27_characters() -> None:
    forms = [
        *("2026-01-31T08:00:00Z", "2026-01-31T08:00:00z", "2026-01-31t08:00:00Z", "2026-01-31 08:00:00Z"),
        *("2026-01-31T08:00:00+00:00", "2026-01-31T08:00:00-00:00", "2026-01-31T09:00:00+01:00"),
        *("2026-01-31T09:00:00+0100", "2026-01-31T02:30:00-05:30"),
    ]
    stored = dict.fromkeys(forms, "2026-01-31T08:00:00.000000Z") | {
        "2026-01-01T00:30:00+14:00": "2025-12-31T10:30:00.000000Z",
        "2028-02-29T00:00:00Z": "2028-02-29T00:00:00.000000Z",
        "2026-01-31T08:00:00.1Z": "2026-01-31T08:00:00.100000Z",
        "2026-01-31T08:00:00.123Z": "2026-01-31T08:00:00.123000Z",
        "2026-01-31T08:00:00.123456Z": "2026-01-31T08:00:00.123456Z",
        "2026-01-31T08:00:00.000001+01:00": "2026-01-31T07:00:00.000001Z",
        "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59+00:01": "9999-12-31T23:58:59.000000Z",
    }

    assert {text: parse_time(text) for text in stored} == stored


def test_what_is_no_time_is_refused_with_an_example() -> None:
    no_times = [
        *("", "now", "2026-01-31", "08:00:00Z", "2026-01-31T08:00Z", "2026-1-31T08:00:00Z", "20260131T080000Z"),
        *("31.01.2026 08:00:00Z", "2026-W05-6T08:00:00Z", "1769846400"),
        *("2026-01-31T08:00:00.Z", "2026-01-31T08:00:00,5Z", "2026-01-31T08:00:00.1234567Z"),
        *("2026-01-31T08:00:00+01", "2026-01-31T08:00:00+01:60", "2026-01-31T08:00:00+1:00"),
        *("2026-01-31T08:00:00 UTC", "2026-01-31T08:00:00Z ", " 2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z\n"),
        *("+2026-01-31T08:00:00Z", "12026-01-31T08:00:00Z", "\uff12026-01-31T08:00:00Z"),
    ]

    assert refusals(parse_time, no_times) == dict.fromkeys(no_times, "is not a time like 2026-01-31T08:00:00Z")


def test_a_time_without_zone_is_refused() -> None:
    without = ["2026-01-31T08:00:00", "2026-01-31 08:00:00.5"]

    assert refusals(parse_time, without) == dict.fromkeys(without, "has no time zone: add Z or an offset like +01:00")


def test_a_time_that_does_not_exist_within_the_years_1_to_9999_is_refused() -> None:
    missing = [
        *("2026-02-29T08:00:00Z", "2026-13-01T08:00:00Z", "2026-00-10T08:00:00Z", "2026-01-00T08:00:00Z"),
        *("2026-01-31T25:00:00Z", "2026-01-31T08:60:00Z", "2026-01-31T08:00:60Z", "2026-01-31T08:00:00+24:00"),
        *("0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01"),
    ]

    said = refusals(parse_time, missing)

    assert [text for text in missing if not str(said[text]).startswith("is not a time that exists")] == []


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
    others = ("2026", "", None, Decimal(1), "2026-03-02T08:30:00Z", "2026-02-30T08:30:00.000000Z")

    assert is_stored_time("2026-03-02T08:30:00.000000Z")
    assert [other for other in others if is_stored_time(other)] == []


def test_a_moment_without_zone_is_never_stored() -> None:
    with pytest.raises(ValueError, match="a moment needs a time zone"):
        format_time(datetime(2026, 1, 31))  # noqa: DTZ001  # the missing zone is what is tested
