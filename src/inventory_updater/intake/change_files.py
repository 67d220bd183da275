"""Change files: CSV or JSON lines, told apart by how they begin, and what only rows together show.

A file may be read in parts: an item belongs to one of them, so that everything that concerns one item is found within
its part. What nobody can tell apart across items is looked for within each part.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from inventory_updater.intake.cells import looks_like
from inventory_updater.intake.csv_format import BYTE_ORDER_MARK, Clash, Keep, Note, Table
from inventory_updater.intake.first_lines import FirstLines
from inventory_updater.intake.json_lines import JsonLines
from inventory_updater.intake.text_rows import (
    ADJUSTMENT,
    AS_IT_STANDS,
    CHANGE_COLUMNS,
    COUNT,
    REQUIRED_CHANGE_COLUMNS,
    ChangeRow,
    Problem,
    Reading,
    TextRow,
    change_row,
    shown,
)

_BEGIN: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """One of so many parts of a file, from 0; what belongs to no item is in the first one."""

    number: int = 0
    parts: int = 1

    @property
    def keep(self) -> Keep | None:
        """Whether an item is in this part; the same in every process. None where there is but one."""
        return None if self.parts == 1 else self._has

    def _has(self, sku: str, location_id: str) -> bool:
        return zlib.crc32(f"{sku}\0{location_id}".encode(errors="replace")) % self.parts == self.number


WHOLE: Final = Part()


def is_json_lines(path: Path) -> bool:
    """Whether the first thing in a file is an object; no header of a CSV file begins like that."""
    try:
        with path.open("rb") as file:
            return file.seekable() and file.read(_BEGIN).removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{"
    except OSError:
        return False  # whoever reads the rows is told why


def table_of_any_kind(path: Path) -> Table:
    """The rows of a file as they came, of whatever kind it is."""
    return JsonLines(path) if is_json_lines(path) else Table(path, "file", (), ("sku", "location_id"))


def read_change_file(
    path: Path, reading: Reading = AS_IT_STANDS, part: Part = WHOLE
) -> Iterator["ChangeRow | Problem | Clash | Note"]:
    """Read a change file, or a part of it, row by row: each change, or everything that is wrong with its row.

    Raises:
        CsvError: where nothing more of it can be read: no file, another header, not in UTF-8, broken quoting.
    """
    table = _table_of_changes(path, reading)
    id_of = _made_ids(path, reading)
    ids = FirstLines(lambda line: _change_identity(change_row(table.row_on(line), id_of)))
    settings = FirstLines(lambda line: _setting_identity(change_row(table.row_on(line), id_of)))
    look_alikes = _LookAlikes(table, part)
    for row in table.rows(part.keep):
        if not isinstance(row, TextRow):
            if part.number == 0:
                yield row
            continue
        read = change_row(row, id_of)
        identity = _change_identity(read)
        if all(identity) and (first := ids.first_line(identity, read.line)):
            row.refuse(
                "change_id",
                "DUPLICATE_ID",
                f"duplicate change id {shown(read.change.change_id)} (first used on line {first}); "
                "an id is unique within its item",
            )
        elif first := look_alikes.first_line(row):
            row.refuse(
                "change_id",
                "LOOKS_LIKE_ANOTHER",
                f"{shown(row.as_it_came('change_id'))} differs from {shown(look_alikes.shown_on(first))} on line "
                f"{first} only in what nobody sees; write both alike, or give one another id",
            )
        if row.problems:
            yield from row.told()
            continue
        yield read
        if (setting := _setting_identity(read)) and (first := settings.first_line(setting, read.line)):
            yield Clash(
                read.line,
                first,
                f"sets the {read.change.kind} of the same item at the same moment as line {first}; "
                "the one whose id sorts last wins",
            )


def _table_of_changes(path: Path, reading: Reading) -> Table:
    if is_json_lines(path):
        return JsonLines(path)
    required = REQUIRED_CHANGE_COLUMNS[1:] if reading.makes_ids else REQUIRED_CHANGE_COLUMNS
    return Table(path, "change file", required, CHANGE_COLUMNS, reading)


def _made_ids(path: Path, reading: Reading) -> Callable[[TextRow], str] | None:
    """What makes the id of a row that has none; the same row of the same file gets the same one every time.

    Raises:
        CsvError: where the file cannot be read.
    """
    if reading.ids_from:
        return partial(_id_from, reading.ids_from)
    if reading.number_rows is None:
        return None
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()[:_CONTENT_DIGITS]
    except OSError:
        return None  # whoever reads the rows is told why
    return lambda row: f"{reading.number_rows}-{content}-{row.line}"


def _id_from(columns: Sequence[str], row: TextRow) -> str:
    """The cells joined where that is short and plain, else their digest: other cells never give the same id."""
    cells = [row.cells.get(column, "") for column in columns]
    if not any(cells):
        return ""
    joined = _JOINT.join(cells)
    if all(cells) and not any(_JOINT in cell for cell in cells) and len(joined.encode()) <= _LONGEST_JOINED_ID:
        return joined
    return hashlib.blake2b(json.dumps(cells).encode(), digest_size=_DIGEST_BYTES).hexdigest()


_JOINT: Final = "/"
_LONGEST_JOINED_ID: Final = 40
_DIGEST_BYTES: Final = 16
_CONTENT_DIGITS: Final = 12


class _LookAlikes:
    """Ids that nobody can tell apart: a space around one of them, or another form in Unicode, whatever their items.

    Ids that are as they look need no memory: only from the first other one on are ids remembered, those before it too.
    """

    def __init__(self, table: Table, part: Part) -> None:
        self._table = table
        self._part = part
        self._ids: FirstLines | None = None

    def first_line(self, row: TextRow) -> int | None:
        """The earlier line with an id that looks like this one and is another; None where there is none."""
        came = row.as_it_came("change_id")
        looks = looks_like(came)
        if self._ids is None:
            if came == looks:
                return None
            self._ids = self._those_before(row.line)
        first = self._ids.first_line(looks, row.line) if looks else None
        return first if first is not None and self.shown_on(first) != came else None

    def _those_before(self, line: int) -> FirstLines:
        ids = FirstLines(lambda other: looks_like(self.shown_on(other)))
        for row in self._table.rows(self._part.keep):
            if not isinstance(row, TextRow):
                continue
            if row.line >= line:
                break
            if looks := looks_like(row.as_it_came("change_id")):
                ids.first_line(looks, row.line)
        return ids

    def shown_on(self, line: int) -> str:
        return self._table.row_on(line).as_it_came("change_id")


def _change_identity(row: ChangeRow) -> tuple[str, ...]:
    return (*row.key, row.change.change_id)


def _setting_identity(row: ChangeRow) -> tuple[str, ...] | None:
    """What only one setting should set; None for a booking. A window lies over what is set without an end."""
    change = row.change
    if change.kind == ADJUSTMENT or (change.kind == COUNT and change.expected is not None):
        return None
    return (*row.key, change.kind, change.effective_at, "" if change.until is None else "window")
