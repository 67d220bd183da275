"""scripts/schedule.py: how far apart the firings of a schedule are."""

from datetime import date, timedelta

import pytest

from cli.schedule import UnknownExpression, longest_gap

TODAY = date(2026, 11, 22)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("rate(1 minute)", hours(1 / 60)),
        ("rate(5 minutes)", hours(1 / 12)),
        ("rate(12 hours)", hours(12)),
        ("rate(1 day)", hours(24)),
        ("cron(0 3 * * ? *)", hours(24)),
        ("cron(* * * * ? *)", hours(1 / 60)),
        ("cron(0/10 * * * ? *)", hours(1 / 6)),
        ("cron(0/10 6-22 * * ? *)", hours(7) + timedelta(minutes=10)),  # from 22:50 to 6:00
        ("cron(0,30 * * * ? *)", hours(0.5)),
        ("cron(0 0-12/6,18 * * ? *)", hours(6)),
        ("cron(0 8 ? * MON-FRI *)", hours(72)),
        ("cron(0 8 ? * 2-6 *)", hours(72)),  # Sunday is 1
        ("cron(0 8 ? * SUN *)", hours(7 * 24)),
        ("cron(0 8 1 * ? *)", hours(31 * 24)),
        ("cron(0 8 L * ? *)", hours(31 * 24)),
        ("cron(0 8 31 * ? *)", hours(61 * 24)),
        ("cron(0 8 1 JAN,JUL ? *)", hours(184 * 24)),
        ("cron(0 8 ? * 6#3 *)", hours(35 * 24)),
        ("cron(0 8 ? * FRIL *)", hours(35 * 24)),
        ("cron(0 8 ? * L *)", hours(7 * 24)),
        ("cron(0 8 1W * ? *)", hours(33 * 24)),
        ("cron(0 3 * * ? 2026-2027)", hours(24)),
    ],
)
def test_the_longest_gap_between_two_firings(expression: str, gap: timedelta) -> None:
    assert longest_gap(expression, "UTC", TODAY) == gap


@pytest.mark.parametrize(
    ("expression", "zone", "gap"),
    [
        ("cron(0 12 * * ? *)", "Europe/Berlin", hours(25)),  # the day on which the clocks go back
        ("cron(30 2 * * ? *)", "Europe/Berlin", hours(47)),  # the night that has no 2:30
        ("cron(30 1 * * ? *)", "Europe/Berlin", hours(25)),
        ("cron(0 3 * * ? *)", "Asia/Tokyo", hours(24)),
        ("cron(0/15 * * * ? *)", "Europe/Berlin", hours(1.25)),  # the hour that is there twice fires once
    ],
)
def test_the_clock_of_the_zone_counts(expression: str, zone: str, gap: timedelta) -> None:
    assert longest_gap(expression, zone, TODAY) == gap


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(5 weeks)",
        "at(2026-11-22T00:00:00)",
        "cron(0 3 * * ?)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(60 3 * * ? *)",
        "cron(0 3 * FOO ? *)",
        "cron(0 22-6 * * ? *)",
        "cron(0/0 3 * * ? *)",
        "cron(0 3 ? * 2#6 *)",
        "cron(0 3 31 FEB ? *)",
        "cron(0 3 1 JAN ? 2026)",
        "cron(0 3 * * ? 2020)",
    ],
)
def test_what_cannot_be_worked_out_is_said(expression: str) -> None:
    with pytest.raises(UnknownExpression):
        longest_gap(expression, "UTC", TODAY)


def test_a_zone_that_this_machine_does_not_know_is_named() -> None:
    with pytest.raises(UnknownExpression, match="Europe/Atlantis"):
        longest_gap("cron(0 3 * * ? *)", "Europe/Atlantis", TODAY)
