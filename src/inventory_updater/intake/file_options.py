"""How a file is to be read, in words: what options of a command say, and the metadata of an object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from inventory_updater.intake.text_rows import AS_IT_STANDS, Problem, Reading, cut_short, shown

LONGEST_PREFIX_BYTES: Final = 32

T = TypeVar("T")


def zone(name: str) -> ZoneInfo:
    """
    Raises:
        ValueError: saying what would be right.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), 1)
        hint = f"; did you mean {near[0]}?" if near else "; it wants a name such as Europe/Berlin"
        raise ValueError(f"{shown(name)} is no time zone{hint}") from None


def columns(text: str) -> tuple[str, ...]:
    """
    Raises:
        ValueError: saying what would be right.
    """
    names = tuple(name.strip().casefold() for name in text.split(","))
    if not all(names) or "change_id" in names:
        raise ValueError("it wants names of columns, other than change_id, with commas between them")
    return names


def prefix(text: str) -> str:
    """
    Raises:
        ValueError: saying what would be right.
    """
    if not text.strip() or len(text.encode()) > LONGEST_PREFIX_BYTES:
        raise ValueError(f"it wants 1 to {LONGEST_PREFIX_BYTES} bytes of text")
    return text.strip()


def switch(text: str) -> bool:
    """
    Raises:
        ValueError: saying what would be right.
    """
    if text not in ("true", "false"):
        raise ValueError(f"{shown(text)} is neither true nor false")
    return text == "true"


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What the metadata of an object says of it.

    Attributes:
        accept_good: items of which all rows are good do not wait for the others.
        reading: how its cells are to be understood.
        problems: what of that makes no sense; the ``column`` of each is the name of the metadata.
    """

    accept_good: bool = False
    reading: Reading = AS_IT_STANDS
    problems: tuple[Problem, ...] = ()


def options_in(metadata: Mapping[str, str]) -> FileOptions:
    """What the metadata says that somebody has put an object with; names that nobody knows are ignored."""
    problems: list[Problem] = []

    def said(name: str, read: Callable[[str], T], otherwise: T) -> T:
        try:
            return read(metadata[name]) if name in metadata else otherwise
        except ValueError as error:
            problems.append(Problem(None, name, "BAD_METADATA", str(error), cut_short(metadata[name])))
            return otherwise

    accept_good = said("accept-good", switch, False)
    decimal_comma = said("decimal-comma", switch, False)
    its_zone = said("time-zone", zone, None)
    ids_from = said("ids-from", columns, tuple[str, ...]())
    number_rows = said("number-rows", prefix, None)
    if ids_from and number_rows:
        problems.append(Problem(None, "number-rows", "BAD_METADATA", "does not go with ids-from: only one of them"))
    reading = Reading(decimal_comma=decimal_comma, zone=its_zone, ids_from=ids_from, number_rows=number_rows)
    return FileOptions(accept_good, reading, tuple(problems))
