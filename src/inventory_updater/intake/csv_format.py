"""Stock files and change files: CSV as RFC 4180 describes it, in UTF-8.

A file may start with a byte order mark, its lines may end in CRLF or LF and its columns may stand in any order, but
the header names every column of its kind once. Whatever is wrong with a file is told in one sentence that names the
file, the line and the column, before anything is done with a single row of it. Cells are text and nothing but text: a
cell such as `=1+1` is never a formula.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

from inventory_updater.stock.changes import KINDS, Change
from inventory_updater.stock.items import ItemKey, StockItem
from inventory_updater.stock.numbers import counted, parse_number, plain
from inventory_updater.stock.times import parse_time

CHANGE_COLUMNS: Final = ("change_id", "sku", "location_id", "kind", "value", "effective_at", "reason", "reference")
STOCK_COLUMNS: Final = (
    "sku",
    "location_id",
    "on_hand",
    "reserved",
    "safety_stock",
    "reorder_point",
    "unit_price",
    "currency",
    "description",
)
LEVEL_COLUMNS: Final = ("sku", "location_id", "on_hand", "available", "stock_status", "unit_price", "stock_value")

MAXIMUM_ID_BYTES: Final = 64
MAXIMUM_REMARK_BYTES: Final = 128
MAXIMUM_DESCRIPTION_BYTES: Final = 256

# A line longer than this is no line of ours but a file of another kind; it must not be read into memory whole.
MAXIMUM_LINE_BYTES: Final = 100_000
LONGEST_TEXT_SHOWN: Final = 40

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CURRENCY: Final = re.compile(r"[A-Z]{3}")


class CsvError(Exception):
    """What is wrong with a file: its text reads `FILE: line N, column NAME: what is wrong`."""

    def __init__(self, path: Path, problem: str, line: int | None = None, column: str | None = None) -> None:
        place = ", ".join(
            ([] if line is None else [f"line {line}"]) + ([] if column is None else [f"column {column}"]),
        )
        super().__init__(": ".join(part for part in (str(path), place, problem) if part))
        self.path = path
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change to schedule, the item it is for, and the line of the file (from 1) on which its row starts."""

    line: int
    key: ItemKey
    change: Change


@dataclass(frozen=True, slots=True)
class StockRow:
    """The figures of one item as its file gives them, and the line (from 1) on which its row starts."""

    line: int
    key: ItemKey
    on_hand: Decimal
    reserved: Decimal
    safety_stock: Decimal
    reorder_point: Decimal
    unit_price: Decimal | None
    currency: str | None
    description: str | None


def read_change_file(path: Path) -> list[ChangeRow]:
    """Return the changes of a change file in the order of the file, or raise the CsvError of its first problem."""
    rows: list[ChangeRow] = []
    line_of_id: dict[str, int] = {}
    keys: dict[ItemKey, ItemKey] = {}
    for record in _records(path, "change file", CHANGE_COLUMNS):
        change_id = record.identifier("change_id")
        if (first := line_of_id.setdefault(change_id, record.line)) != record.line:
            raise record.error("change_id", f"duplicate change id {shown(change_id)} (first used on line {first})")
        kind = record.kind("kind")
        key = record.key()
        change = Change(
            change_id=change_id,
            kind=kind,
            value=record.number("value") if kind == "adjustment" else record.number_from_zero("value", f"a {kind}"),
            effective_at=record.time("effective_at"),
            reason=record.text("reason", MAXIMUM_REMARK_BYTES),
            reference=record.text("reference", MAXIMUM_REMARK_BYTES),
        )
        # An item has many changes: its key is kept once.
        rows.append(ChangeRow(record.line, keys.setdefault(key, key), change))
    return rows


def read_stock_file(path: Path) -> list[StockRow]:
    """Return the items of a stock file in the order of the file, or raise the CsvError of its first problem."""
    rows: list[StockRow] = []
    line_of_key: dict[ItemKey, int] = {}
    for record in _records(path, "stock file", STOCK_COLUMNS):
        key = record.key()
        if (first := line_of_key.setdefault(key, record.line)) != record.line:
            raise record.error(
                "sku",
                f"duplicate item {shown(key.sku)} at location {shown(key.location_id)} (first used on line {first})",
            )
        rows.append(
            StockRow(
                line=record.line,
                key=key,
                on_hand=record.number("on_hand"),
                reserved=record.quantity("reserved"),
                safety_stock=record.quantity("safety_stock"),
                reorder_point=record.quantity("reorder_point"),
                unit_price=record.price("unit_price"),
                currency=record.currency("currency"),
                description=record.text("description", MAXIMUM_DESCRIPTION_BYTES, line_breaks=True),
            )
        )
    return rows


def write_levels(file: TextIO, items: Iterable[StockItem]) -> int:
    """Write the levels of the items as CSV, sorted as text by sku and location, and return how many there are.

    Numbers are in plain notation, an absent figure is an empty cell, lines end in LF. Open the file with `newline=""`
    and in UTF-8. The lines are kept in memory to be sorted: about 250 bytes an item.
    """
    line = _LineWriter()
    lines = sorted(
        (
            item.key,
            line.of(
                item.key.sku,
                item.key.location_id,
                plain(item.on_hand),
                _plain_or_empty(item.available),
                item.stock_status or "",
                _plain_or_empty(item.unit_price),
                _plain_or_empty(item.stock_value),
            ),
        )
        for item in items
    )
    file.write(line.of(*LEVEL_COLUMNS))
    file.writelines(text for _, text in lines)
    return len(lines)


def shown(text: str) -> str:
    """Return the text in quotation marks, unprintable characters escaped, cut short where it is long."""
    return repr(text) if len(text) <= LONGEST_TEXT_SHOWN else repr(text[:LONGEST_TEXT_SHOWN]) + "..."


class _LineWriter:
    """Makes one CSV line after the other; csv.writer hands each to the `write` of the object it was given."""

    def __init__(self) -> None:
        self._writer = csv.writer(self, lineterminator="\n")
        self._line = ""

    def write(self, text: str) -> None:
        self._line = text

    def of(self, *cells: str) -> str:
        self._writer.writerow(cells)
        return self._line


def _plain_or_empty(number: Decimal | None) -> str:
    return "" if number is None else plain(number)


@dataclass(frozen=True, slots=True)
class _Record:
    """One row as text: it turns its cells into values, or raises the CsvError that says why it cannot."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, problem: str) -> CsvError:
        return CsvError(self.path, problem, self.line, column)

    def key(self) -> ItemKey:
        return ItemKey(self.identifier("sku"), self.identifier("location_id"))

    def identifier(self, column: str) -> str:
        text = self.text(column, MAXIMUM_ID_BYTES)
        if text is None:
            raise self.error(column, f"is empty; it wants 1 to {MAXIMUM_ID_BYTES} bytes of text")
        return text

    def text(self, column: str, maximum_bytes: int, *, line_breaks: bool = False) -> str | None:
        text = self.cells[column]
        if not text:
            return None
        # No character takes more than four bytes, so most cells need no encoding to be known as short enough.
        if len(text) * 4 > maximum_bytes and (size := len(text.encode())) > maximum_bytes:
            raise self.error(column, f"{shown(text)} is {size} bytes long; at most {maximum_bytes} are allowed")
        if CONTROL_CHARACTER.search(text.replace("\r", "").replace("\n", "") if line_breaks else text):
            raise self.error(column, f"{shown(text)} holds a control character; it wants text without any")
        return text

    def kind(self, column: str) -> str:
        text = self.cells[column]
        if text not in KINDS:
            raise self.error(
                column, f"{self.found(column)} is not a kind of change; it wants one of {', '.join(KINDS)}"
            )
        return text

    def number(self, column: str) -> Decimal:
        try:
            return parse_number(self.cells[column])
        except ValueError as error:
            raise self.error(column, f"{self.found(column)} {error}; it wants a number such as -12 or 3.50") from None

    def number_from_zero(self, column: str, what: str) -> Decimal:
        number = self.number(column)
        if number < 0:
            raise self.error(column, f"{shown(self.cells[column])} is negative; {what} wants 0 or more")
        return number

    def quantity(self, column: str) -> Decimal:
        return self.number_from_zero(column, "it") if self.cells[column] else Decimal(0)

    def price(self, column: str) -> Decimal | None:
        return self.number_from_zero(column, "it") if self.cells[column] else None

    def time(self, column: str) -> str:
        try:
            return parse_time(self.cells[column])
        except ValueError as error:
            raise self.error(column, f"{self.found(column)} {error}") from None

    def currency(self, column: str) -> str | None:
        text = self.cells[column]
        if text and not CURRENCY.fullmatch(text):
            raise self.error(column, f"{shown(text)} is not a currency; it wants three capital letters, such as EUR")
        return text or None

    def found(self, column: str) -> str:
        return shown(self.cells[column]) if self.cells[column] else "an empty cell"


def _records(path: Path, kind: str, columns: Sequence[str]) -> Iterator[_Record]:
    """Yield the rows under the header; `kind` and `columns` are what the file should be and have."""
    rows = _rows(path)
    line, header = next(rows, (0, []))
    if not header:
        raise CsvError(path, f"is empty; a {kind} starts with the header {','.join(columns)}")
    _check_header(path, line, header, kind, columns)
    for line, cells in rows:
        if len(cells) != len(header):
            raise CsvError(
                path, f"has {counted(len(cells), 'cell')}; the header has {counted(len(header), 'column')}", line
            )
        yield _Record(path, line, dict(zip(header, cells, strict=True)))


def _check_header(path: Path, line: int, header: Sequence[str], kind: str, columns: Sequence[str]) -> None:
    wanted = f"a {kind} has the columns {','.join(columns)}"
    if not set(header) & set(columns):
        raise CsvError(path, f"is no header, {shown(','.join(header))} names none of the columns; {wanted}", line)
    for number, name in enumerate(header):
        if name not in columns:
            raise CsvError(path, f"the column {shown(name)} is unknown; {wanted}", line)
        if name in header[:number]:
            raise CsvError(path, "is in the header twice", line, name)
    if missing := [name for name in columns if name not in header]:
        raise CsvError(path, f"the header lacks {', '.join(missing)}; {wanted}", line)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield every row with the line it starts on; blank lines may only stand at the end of the file."""
    lines = _Lines(path)
    reader = csv.reader(lines, strict=True)
    blank: int | None = None
    while True:
        start = reader.line_num + 1
        lines.row.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CsvError(path, f"cannot be read as CSV: {error}", start) from None
        if not cells:
            blank = blank or start
            continue
        if blank is not None:
            raise CsvError(path, "is blank; blank lines may only stand at the end", blank)
        if any('"' in text for text in lines.row) and not all(_is_well_quoted(cell, lines.row) for cell in cells):
            raise CsvError(
                path,
                'has a quotation mark in a cell that is not quoted; write "..." around the cell and double the mark',
                start,
            )
        yield start, cells


def _is_well_quoted(cell: str, lines: Sequence[str]) -> bool:
    """Say whether the cell of the row in these lines has no quotation mark or was quoted as RFC 4180 wants it."""
    if '"' not in cell:
        return True
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' in "".join(lines)


class _Lines:
    """The lines of a file as text, read as they are asked for; `row` keeps those of the row being read."""

    def __init__(self, path: Path) -> None:
        self.row: list[str] = []
        self._lines = self._read(path)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = next(self._lines)
        self.row.append(text)
        return text

    @staticmethod
    def _read(path: Path) -> Iterator[str]:
        number = 0
        try:
            with path.open("rb") as file:
                # Bytes, because text mode would also end a line at a lone carriage return, which is not in RFC 4180.
                while line := file.readline(MAXIMUM_LINE_BYTES + 1):
                    number += 1
                    if len(line) > MAXIMUM_LINE_BYTES:
                        raise CsvError(path, f"is longer than {MAXIMUM_LINE_BYTES} bytes; is this a CSV file?", number)
                    if b"\0" in line:
                        raise CsvError(path, "has a NUL byte; is this a CSV file in UTF-8?", number)
                    yield (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode()
        except UnicodeDecodeError:
            raise CsvError(path, "is not in UTF-8; save the file in this encoding", number) from None
        except FileNotFoundError:
            raise CsvError(path, "does not exist") from None
        except IsADirectoryError:
            raise CsvError(path, "is a directory, not a file") from None
        except OSError as error:
            raise CsvError(path, f"cannot be read: {error.strerror or error}") from None
