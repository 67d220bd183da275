"""What people and spreadsheets write into cells: what is understood, and how the rest would be written right.

All of it is about one cell as text, without spaces around. A number or a time that could mean two things is never
guessed: the message says what to write for each.
"""

import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from inventory_updater.stock.numbers import parse_number, plain
from inventory_updater.stock.times import format_time, parse_time

# Cells come in crowds: what was read lately is not read again.
_READ_LATELY: Final = 4_096

_JOINERS: Final = "\u200c\u200d"
"""Invisible, but part of how some scripts and many emojis are written."""

_INVISIBLE: Final = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks that nobody sees, beside the format characters."""

_SURROGATE_OR_FORMAT: Final = ("Cf", "Cs")


def first_invisible(text: str, *, prose: bool = False) -> str | None:
    """Name the first character that cannot be seen, and its place; None where there is none.

    Args:
        text: a cell.
        prose: whether it is text for people, in which joiners are at home.
    """
    if text.isascii():
        return None
    for place, character in enumerate(text):
        if character in _INVISIBLE or unicodedata.category(character) in _SURROGATE_OR_FORMAT:
            if prose and character in _JOINERS:
                continue
            where = "at the beginning" if place == 0 else f"after {text[max(0, place - 20) : place]!r}"
            name = "BYTE ORDER MARK" if character == "\ufeff" else unicodedata.name(character, "")
            return f"U+{ord(character):04X} {name}".rstrip() + f" {where}"
    return None


def looks_like(text: str) -> str:
    """The one text for all that look the same: composed, single spaces, none around."""
    if text.isascii():
        return text if " " not in text else " ".join(text.split())
    return " ".join(unicodedata.normalize("NFC", text).split())


# Numbers

_CURRENCY: Final = re.compile(r"(?:[A-Z]{3}|[A-Z]{0,2}[$€£¥₤₣₹₽₩₺₴]|[Kk]r\.?|zł|Kč|Fr\.?|\.-{1,2})")
_MINUS_SIGNS: Final = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_GROUP_MARKS: Final = " \u00a0\u2007\u2009\u202f'\u2019_"
_EXPONENT: Final = re.compile(r"[+-]?\d+(?:[.,]\d*)?[eE][+-]?\d+", re.ASCII)
_SPREADSHEET_ERROR: Final = re.compile(r"#[A-Z0-9/]+[!?]?|#+")
_GROUPED: Final = {
    ",": re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?", re.ASCII),
    ".": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?", re.ASCII),
}
_ONE_COMMA: Final = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_COMMA_NUMBER: Final = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)", re.ASCII)
_POINT_OR_COMMA: Final = {False: ".", True: ","}


@lru_cache(_READ_LATELY)
def read_number(text: str) -> Decimal:
    """A number with a decimal point.

    Raises:
        ValueError: saying what is wrong, and how it would be right where that is known.
    """
    return _number(text, is_comma=False)


@lru_cache(_READ_LATELY)
def read_comma_number(text: str) -> Decimal:
    """A number with a decimal comma.

    Raises:
        ValueError: saying what is wrong, and how it would be right where that is known.
    """
    return _number(text, is_comma=True)


def _number(text: str, *, is_comma: bool) -> Decimal:
    try:
        if is_comma and _COMMA_NUMBER.fullmatch(text):
            return parse_number(text.replace(",", "."))
        if is_comma and "." in text:
            raise ValueError("is not a number with a decimal comma")
        return parse_number(text)
    except ValueError as error:
        example = "-12 or 3,50" if is_comma else "-12 or 3.50"
        raise ValueError(_advice(text, is_comma) or f"{error}; it wants a number such as {example}") from None


def _advice(text: str, is_comma: bool) -> str | None:
    """What a spreadsheet has made of a number, and what to write; None where that cannot be told."""
    if not text or _is_too_long(text):
        return None
    if text.startswith(("=", "@")):
        return "is a formula, which is never worked out here; write its result"
    if _SPREADSHEET_ERROR.fullmatch(text):
        return "is what a spreadsheet shows where it has no number, or no room for it; write the number"
    if _EXPONENT.fullmatch(text):
        return (
            "is shortened to an exponent, and digits may be lost: format the column as a number without an exponent, "
            f"see that the figures are right, and save it again{_for_example(text)}"
        )
    if text.endswith("%"):
        return "is a percentage; write the amount itself, worked out"
    return _advice_on_form(text, is_comma)


def _for_example(text: str) -> str:
    try:
        meant = parse_number(plain(Decimal(text.replace(",", "."))))
    except (ValueError, ArithmeticError):
        return ""
    return f" ({plain(meant)}, if that is all of it)"


def _advice_on_form(text: str, is_comma: bool) -> str | None:
    meant, faults = text, list[str]()
    if match := re.fullmatch(r"\((.*)\)", meant):
        faults.append("is in brackets, as accountants write what is negative")
        meant = "-" + match[1]
    if any(sign in meant for sign in _MINUS_SIGNS):
        faults.append("has a dash that is no minus sign")
        meant = re.sub(f"[{_MINUS_SIGNS}]", "-", meant)
    if (without := _CURRENCY.sub("", meant).strip()) != meant:
        faults.append("has a currency beside the number")
        meant = without
    if match := re.fullmatch(r"([^+-].*)-", meant):
        faults.append("has its minus sign at the end")
        meant = "-" + match[1]
    if any(mark in meant for mark in _GROUP_MARKS):
        faults.append("has spaces or marks between its digits")
        meant = re.sub(f"[{_GROUP_MARKS}]", "", meant)
    if not meant.isascii() and meant.translate(_OTHER_DIGITS) != meant:
        faults.append("has digits other than 0 to 9")
        meant = meant.translate(_OTHER_DIGITS)
    return _advice_on_separators(meant, faults, is_comma)


class _OtherDigits(dict[int, str]):
    """Digits of all scripts as those from 0 to 9."""

    def __missing__(self, code: int) -> str:
        digit = unicodedata.digit(chr(code), -1)
        return chr(code) if digit < 0 else str(digit)


_OTHER_DIGITS: Final = _OtherDigits()


def _advice_on_separators(meant: str, faults: list[str], is_comma: bool) -> str | None:
    mark, thousands = _POINT_OR_COMMA[is_comma], _POINT_OR_COMMA[not is_comma]
    other = "read the file with a decimal point" if is_comma else "read the file with --decimal-comma"
    if _can_be_read(meant, mark):
        return f"{' and '.join(faults)}; write {meant}" if faults else None
    for separator, decimal in ((thousands, mark), (mark, thousands)):
        if _GROUPED[separator].fullmatch(meant) and (meant.count(separator) > 1 or decimal in meant):
            faults.append("has its thousands separated")
            whole = meant.replace(separator, "").replace(decimal, mark)
            return f"{' and '.join(faults)}; write {whole}"
    if _can_be_read(meant, thousands) and thousands in meant:
        faults.append(f"has a {'decimal point' if is_comma else 'comma'}")
        write = meant.replace(thousands, mark)
        if _GROUPED[thousands].fullmatch(meant):
            write = f"{meant.replace(thousands, '')} or {write}, whichever is meant"
        option = "" if is_comma else f", or {other}"
        return f"{' and '.join(faults)}; write {write}{option}"
    return None


def _can_be_read(text: str, mark: str) -> bool:
    if mark == "," and "." in text:
        return False
    try:
        parse_number(text.replace(",", ".") if mark == "," else text)
    except ValueError:
        return False
    return True


def _is_too_long(text: str) -> bool:
    return len(text) > _LONGEST_NUMBER


_LONGEST_NUMBER: Final = 60

# Times

_TIME: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[Tt]|\s+)(?P<minutes>\d{2}:\d{2})(?P<seconds>:\d{2}(?:\.\d{1,6})?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d{2}:?[0-5]\d)?",
    re.ASCII,
)
_LOCAL_DATE: Final = re.compile(
    r"(?P<first>\d{1,4})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<third>\d{2,4})(?P<time>[\sT,].*)?", re.ASCII
)
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AaPp])\.?[Mm]\.?)?", re.ASCII)
_DAY_NUMBER: Final = re.compile(r"[2-9]\d{4}(?:[.,]\d+)?", re.ASCII)
_WANTED: Final = "is not a time like 2026-01-31T08:00:00Z"


@lru_cache(_READ_LATELY)
def read_moment(text: str, zone: ZoneInfo | None) -> str:
    """A time as a stored time; one without a zone of its own is in ``zone``. Seconds may be left out.

    Raises:
        ValueError: saying what is wrong, and how it would be right where that is known.
    """
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(_advice_on_time(text))
    written = f"{match['date']}T{match['minutes']}{match['seconds'] or ':00'}"
    if match["zone"] or zone is None:
        try:
            return parse_time(written + (match["zone"] or ""))
        except ValueError as error:
            name_it = "" if match["zone"] else ", or read the file with --time-zone, such as --time-zone Europe/Berlin"
            raise ValueError(f"{error}{name_it}") from None
    return _local(written, zone)


def _local(written: str, zone: ZoneInfo) -> str:
    try:
        wall = datetime.fromisoformat(written)
        earlier, later = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if earlier.utcoffset() == later.utcoffset():
            return format_time(earlier)
        earlier_stored, later_stored = format_time(earlier), format_time(later)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a time that exists ({error})") from None
    # Where clocks are put forward, what was before the change is later than what was after it.
    if earlier_stored > later_stored:
        raise ValueError(
            f"does not exist in {zone}, where clocks skip it; write the time that is meant with its offset, such as "
            f"{_with_offset(written, later)} or {_with_offset(written, earlier)}"
        )
    raise ValueError(
        f"is there twice in {zone}, where clocks are put back; write {_with_offset(written, earlier)} for the first or "
        f"{_with_offset(written, later)} for the second"
    )


def _with_offset(written: str, moment: datetime) -> str:
    offset = moment.strftime("%z")
    return f"{written}{offset[:3]}:{offset[3:5]}"


def _advice_on_time(text: str) -> str:
    if _DAY_NUMBER.fullmatch(text):
        return f"{_WANTED} but a spreadsheet's number of a day; format the column as text such as 2026-01-31T08:00:00Z"
    match = _LOCAL_DATE.fullmatch(text)
    if not match or (len(match["first"]) == len("2026") and match["mark"] == "-" and match["time"]):
        return _WANTED
    first, second, third = (int(match[name]) for name in ("first", "second", "third"))
    if len(match["first"]) == len("2026"):
        days = [(first, second, third)]
    else:
        year = third + 2000 if len(match["third"]) == len("26") else third
        days = [(year, second, first), (year, first, second)]
    clock = _clock(match["time"] or "")
    possible = dict.fromkeys(moment for day in days if (moment := _written(day, clock)))
    if not possible:
        return _WANTED
    what = "a date without a time of day and a zone" if not (match["time"] or "").strip() else "a local time"
    either = ", whichever is meant" if len(possible) > 1 else ""
    return f"is {what}; write year, month, day, time and zone: {' or '.join(possible)}{either}"


def _clock(text: str) -> tuple[int, int, int]:
    match = _CLOCK.search(text)
    if not match:
        return 0, 0, 0
    hour = int(match[1])
    if match[4]:
        hour = hour % 12 + (12 if match[4] in "Pp" else 0)
    return hour, int(match[2]), int(match[3] or 0)


def _written(day: tuple[int, int, int], clock: tuple[int, int, int]) -> str | None:
    try:
        return datetime(*day, *clock).isoformat() + "Z"  # noqa: DTZ001  # the zone is what is to be written
    except ValueError:
        return None
