"""Stored times: UTC text of 27 characters, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``, so that they compare as text."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeGuard

LAST_MOMENT = "9999-12-31T23:59:59.999999Z"
"""The latest stored time."""


STORED_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_READ_LATELY = 4_096
"""How many times are kept as they were read: they come in crowds, a price list has one for all."""

_INCOMING_TIME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[Tt ](?P<time>\d{2}:\d{2}:\d{2}(\.\d{1,6})?)(?P<zone>Z|z|[+-]\d{2}:?[0-5]\d)?",
    re.ASCII,
)


@lru_cache(_READ_LATELY)
def parse_time(text: str) -> str:
    """``text``, an ISO 8601 time with ``Z`` or an offset and up to six decimals, as a stored time.

    Raises:
        ValueError: saying what is wrong, where it is no time, has no zone or lies outside the years 1 to 9999 in UTC.
    """
    if _is_stored_form(text):
        return text
    match = _INCOMING_TIME.fullmatch(text)
    if not match:
        raise ValueError("is not a time like 2026-01-31T08:00:00Z")
    if not match["zone"]:
        raise ValueError("has no time zone: add Z or an offset like +01:00")
    try:
        # Python 3.11 reads every form that the pattern lets through, decimals of any length included.
        moment = datetime.fromisoformat(match["date"] + "T" + match["time"] + match["zone"].upper())
        return format_time(moment)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a time that exists ({error})") from None


def _is_stored_form(text: str) -> bool:
    """Whether it is a stored time already: most are, and need not be written anew."""
    if not STORED_TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:26])
    except ValueError:
        return False
    return True


def format_time(moment: datetime) -> str:
    """An aware ``moment`` as a stored time: UTC, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``.

    Raises:
        ValueError: where ``moment`` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26].rjust(26, "0") + "Z"


def is_stored_time(value: object) -> TypeGuard[str]:
    """Whether ``value`` is a stored time of a moment that exists; another writer may have left anything."""
    try:
        return isinstance(value, str) and parse_time(value) == value
    except ValueError:
        return False


@lru_cache(_READ_LATELY)
def read_time(stored: str) -> datetime:
    """The moment of a stored time."""
    return datetime.fromisoformat(stored[:26]).replace(tzinfo=UTC)
