"""How far apart the firings of an EventBridge Scheduler expression are.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

YEARS_AHEAD: Final = 2
"""How far ahead the firings of a cron() expression are worked out; but for leap days the years are alike."""

_UNITS: Final[Mapping[str, timedelta]] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# Sunday is 1, as EventBridge counts.
_WEEKDAYS: Final = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_DAY: Final = timedelta(days=1)


class UnknownExpression(Exception):
    """An expression whose firings cannot be worked out here; the text says why. It may be right all the same."""


def longest_gap(expression: str, zone: str, today: date) -> timedelta:
    """The longest time between two consecutive firings, by the clock of UTC.

    rate() fires at its interval exactly. The firings of cron() are worked out for two years from the first of
    January before `today`, in its zone: where the clocks go forward, a firing in the hour that is not there is
    skipped; where they go back, one in the hour that is there twice happens once.

    Raises:
        UnknownExpression: where this cannot be worked out.
    """
    rate = re.fullmatch(r"rate\(\s*([1-9]\d*)\s+(minute|hour|day)s?\s*\)", expression)
    if rate:
        return int(rate[1]) * _UNITS[rate[2]]
    cron = re.fullmatch(r"cron\((.+)\)", expression)
    if not cron:
        raise UnknownExpression(f"{expression} is neither rate(NUMBER minutes|hours|days) nor cron(...)")
    try:
        zone_of_schedule = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownExpression(f"the time zone {zone} is not known on this machine") from None
    gap = _longest_gap_of_cron(_Cron.parse(cron[1]), zone_of_schedule, today.year)
    if gap is None:
        raise UnknownExpression(f"{expression} fires less than twice in {YEARS_AHEAD} years")
    return gap


@dataclass(frozen=True, slots=True)
class _Cron:
    """The six fields; a day field that is `?` or `*` is no restriction."""

    times: tuple[time, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int] | None

    @classmethod
    def parse(cls, text: str) -> "_Cron":
        fields = text.upper().split()
        if len(fields) != 6:
            raise UnknownExpression(f"cron({text}) has {len(fields)} fields, not 6")
        minutes, hours, days, months, weekdays, years = fields
        if (days == "?") == (weekdays == "?"):
            raise UnknownExpression(f"cron({text}): one of day of month and day of week has to be ?, and not both")
        return cls(
            times=tuple(
                time(hour, minute)
                for hour in sorted(_numbers(hours, 0, 23, {}))
                for minute in sorted(_numbers(minutes, 0, 59, {}))
            ),
            days=days,
            months=_numbers(months, 1, 12, _MONTHS),
            weekdays=weekdays,
            years=None if years == "*" else _numbers(years, 1970, 2199, {}),
        )

    def fires_on(self, day: date) -> bool:
        """Whether the expression fires on that day."""
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        if self.weekdays == "?":
            return any(_is_day_of_month(day, part) for part in self.days.split(","))
        return any(_is_weekday(day, part) for part in self.weekdays.split(","))


def _numbers(field: str, lowest: int, highest: int, names: Mapping[str, int]) -> frozenset[int]:
    """The numbers that a field of `*`, numbers, names, ranges, steps and commas stands for."""

    def number(text: str) -> int:
        value = names.get(text, int(text) if text.isdecimal() else -1)
        if not lowest <= value <= highest:
            raise UnknownExpression(f"{text!r} in {field!r} is not between {lowest} and {highest}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        whole, slash, step = part.partition("/")
        first, dash, last = whole.partition("-")
        if slash and not (step.isdecimal() and int(step)):
            raise UnknownExpression(f"the step {step!r} in {field!r} is not a number from 1 on")
        if whole == "*":
            start, end = lowest, highest
        elif dash:
            start, end = number(first), number(last)
        else:
            start, end = number(first), highest if slash else number(first)
        if start > end:
            raise UnknownExpression(f"the range {whole!r} in {field!r} goes backwards")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _is_day_of_month(day: date, part: str) -> bool:
    """Whether a part of the field day of month means that day: a number, `L`, `15W`, `LW`, or a range or step."""
    length = calendar.monthrange(day.year, day.month)[1]
    if part in ("L", "LW"):
        last = date(day.year, day.month, length)
        return day == (_nearest_working_day(last) if part == "LW" else last)
    if part.endswith("W") and part[:-1].isdecimal():
        wanted = int(part[:-1])
        return 1 <= wanted <= length and day == _nearest_working_day(date(day.year, day.month, wanted))
    return day.day in _numbers(part, 1, 31, {})


def _nearest_working_day(day: date) -> date:
    """The day from Monday to Friday that is nearest to it in the same month."""
    match day.isoweekday():
        case 6:
            return day - _DAY if day.day > 1 else day + 2 * _DAY
        case 7:
            return day + _DAY if (day + _DAY).month == day.month else day - 2 * _DAY
    return day


def _is_weekday(day: date, part: str) -> bool:
    """Whether a part of the field day of week means that day: a name or number, `6L`, `3#2`, or a range or step."""
    number = day.isoweekday() % 7 + 1
    name, hash_sign, nth = part.partition("#")
    if hash_sign:
        if nth not in ("1", "2", "3", "4", "5"):
            raise UnknownExpression(f"{part!r}: a month has the weekday number {nth} never")
        return number in _numbers(name, 1, 7, _WEEKDAYS) and (day.day - 1) // 7 + 1 == int(nth)
    if part == "L":
        return number == 7
    if part.endswith("L") and part not in _WEEKDAYS:
        is_last = (day + 7 * _DAY).month != day.month
        return is_last and number in _numbers(part[:-1], 1, 7, _WEEKDAYS)
    return number in _numbers(part, 1, 7, _WEEKDAYS)


def _longest_gap_of_cron(cron: _Cron, zone: ZoneInfo, first_year: int) -> timedelta | None:
    """The longest gap within the years from `first_year` on; `None` with fewer than two firings."""
    inside_a_day = max(
        (
            datetime.combine(date.min, later) - datetime.combine(date.min, earlier)
            for earlier, later in pairwise(cron.times)
        ),
        default=timedelta(0),
    )
    gap: timedelta | None = None
    before: datetime | None = None
    for day in _days(first_year):
        if not cron.fires_on(day):
            continue
        if _offset(day, zone) == _offset(day + _DAY, zone):
            # The clock runs evenly: only the first and the last firing of the day meet other days.
            ends = (cron.times[0], cron.times[-1])
            firings = [datetime.combine(day, local, zone).astimezone(UTC) for local in ends]
            gap = max(gap or timedelta(0), inside_a_day) if inside_a_day else gap
        else:
            firings = sorted({fired for local in cron.times if (fired := _firing(day, local, zone)) is not None})
            for earlier, later in pairwise(firings):
                gap = max(gap or timedelta(0), later - earlier)
        if firings:
            if before is not None:
                gap = max(gap or timedelta(0), firings[0] - before)
            before = firings[-1]
    return gap


def _days(first_year: int) -> Iterator[date]:
    day = date(first_year, 1, 1)
    while day.year < first_year + YEARS_AHEAD:
        yield day
        day += _DAY


def _offset(day: date, zone: ZoneInfo) -> timedelta | None:
    return datetime.combine(day, time(), zone).utcoffset()


def _firing(day: date, local: time, zone: ZoneInfo) -> datetime | None:
    """When the clock of the zone shows that time, in UTC; `None` where it skips it."""
    fired = datetime.combine(day, local, zone).astimezone(UTC)
    return fired if fired.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, local) else None
