"""Stock files and change files: CSV as RFC 4180 describes it, in UTF-8.

A file may start with a byte order mark, its lines may end in CRLF or LF and its columns may stand in any order, but
the header names every required column of its kind and none twice. Cells are text and nothing but text: a cell such as
`=1+1` is never a formula.

A file is read row by row, and all that is wrong with one row is told before the next is read. What is kept of the rows
is on which line each id is first, 16 MB for a million, and the same of the settings. Some lines are read a second
time, so a file has to be one: a pipe is refused.
"""

import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from itertools import chain, islice, tee, zip_longest
from pathlib import Path
from typing import Final, TextIO

from inventory_updater.intake.first_lines import FirstLines
from inventory_updater.stock.change_records import WINDOW_KINDS
from inventory_updater.stock.changes import KINDS, Change, ChangeKind
from inventory_updater.stock.items import ItemKey, StockItem
from inventory_updater.stock.numbers import ZERO, counted, parse_number, plain
from inventory_updater.stock.times import parse_time

REQUIRED_CHANGE_COLUMNS: Final = ("change_id", "sku", "location_id", "kind", "value", "effective_at")
CHANGE_COLUMNS: Final = (*REQUIRED_CHANGE_COLUMNS, "until", "expected", "not_after", "reason", "reference")
STOCK_COLUMNS: Final = (
    *("sku", "location_id", "on_hand", "reserved", "safety_stock", "reorder_point", "unit_price"),
    *("currency", "description"),
)
"""A file has all of them: what it leaves out would be emptied in an item that it replaces."""

LEVEL_COLUMNS: Final = ("sku", "location_id", "on_hand", "available", "stock_status", "unit_price", "stock_value")

MAXIMUM_ID_BYTES: Final = 64
MAXIMUM_REMARK_BYTES: Final = 128
MAXIMUM_DESCRIPTION_BYTES: Final = 256

# A line longer than this is no line of ours but a file of another kind; it must not be read into memory whole.
MAXIMUM_LINE_BYTES: Final = 100_000
LONGEST_TEXT_SHOWN: Final = 40
PROBLEMS_SHOWN: Final = 50

# Numbers come in crowds: what was read lately is not read again.
READ_LATELY: Final = 4_096

LINES_A_MARK: Final = 16

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CURRENCY: Final = re.compile(r"[A-Z]{3}")

ADJUSTMENT: Final = ChangeKind.ADJUSTMENT.value
COUNT: Final = ChangeKind.COUNT.value

_number: Final = lru_cache(READ_LATELY)(parse_number)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        line: the line (from 1) on which its row starts; None where it is the whole file.
        column: None where it is the whole row.
        code: what is wrong, for programs.
        message: what is wrong and what would be right, for people; it does not repeat where.
        value: the cell, cut short where it is long.
    """

    line: int | None
    column: str | None
    code: str
    message: str
    value: str | None = None

    def __str__(self) -> str:
        line = [] if self.line is None else [f"line {self.line}"]
        column = [] if self.column is None else [f"column {self.column}"]
        return ": ".join(filter(None, (", ".join(line + column), self.message)))


@dataclass(frozen=True, slots=True)
class Clash:
    """Two settings of one kind for one item in one instant: no problem, but hardly what was meant.

    It comes right after the row on `line`; every row that clashes is told of, each with the first of them.
    """

    line: int
    first_line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class CsvError(Exception):
    """What is wrong with a file: each problem on a line, `FILE: line N, column NAME: what is wrong`; the first 50."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        lines = [f"{path}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if more := len(problems) - len(lines):
            lines.append(f"... and {counted(more, 'more problem')}")
        super().__init__("\n".join(lines))
        self.path = path
        self.problems = tuple(problems)


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


def read_change_file(path: Path) -> Iterator[ChangeRow | Problem | Clash]:
    """Read a change file row by row: each change, or everything that is wrong with its row.

    Raises:
        CsvError: where nothing more of it can be read: no file, another header, not in UTF-8, broken quoting.
    """
    table = _Table(path, "change file", REQUIRED_CHANGE_COLUMNS, CHANGE_COLUMNS)
    ids = FirstLines(lambda line: _change_identity(_change_row(table.row_on(line))))
    settings = FirstLines(lambda line: _setting_identity(_change_row(table.row_on(line))))
    for row in table.rows():
        if isinstance(row, Problem):
            yield row
            continue
        read = _change_row(row)
        identity = _change_identity(read)
        if all(identity) and (first := ids.first_line(identity, read.line)):
            row.refuse(
                "change_id",
                "DUPLICATE_ID",
                f"duplicate change id {shown(read.change.change_id)} (first used on line {first}); "
                "an id is unique within its item",
            )
        if row.problems:
            yield from row.problems
            continue
        yield read
        if (setting := _setting_identity(read)) and (first := settings.first_line(setting, read.line)):
            yield Clash(
                read.line,
                first,
                f"sets the {read.change.kind} of the same item at the same moment as line {first}; "
                "the one whose id sorts last wins",
            )


def read_stock_file(path: Path) -> Iterator[StockRow | Problem]:
    """Read a stock file row by row: each item, or everything that is wrong with its row.

    Raises:
        CsvError: where nothing more of it can be read: no file, another header, not in UTF-8, broken quoting.
    """
    table = _Table(path, "stock file", STOCK_COLUMNS, STOCK_COLUMNS)
    items = FirstLines(lambda line: table.row_on(line).key())
    for row in table.rows():
        if isinstance(row, Problem):
            yield row
            continue
        read = _stock_row(row)
        if all(read.key) and (first := items.first_line(read.key, read.line)):
            row.refuse(
                "sku",
                "DUPLICATE_ITEM",
                f"duplicate item {shown(read.key.sku)} at location {shown(read.key.location_id)} "
                f"(first used on line {first}); an item has one row",
            )
        if row.problems:
            yield from row.problems
        else:
            yield read


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


@dataclass(slots=True)
class _Row:
    """One row as text: it turns its cells into values and collects what is wrong with them.

    Where a cell cannot be turned into a value, a value of the same type stands in for it: empty text or zero.
    """

    line: int
    cells: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, column: str, code: str, message: str) -> None:
        cell = self.cells[column]
        value = cell if len(cell) <= LONGEST_TEXT_SHOWN else cell[:LONGEST_TEXT_SHOWN] + "..."
        self.problems.append(Problem(self.line, column, code if cell else "EMPTY", message, value))

    def key(self) -> ItemKey:
        return ItemKey(self.identifier("sku"), self.identifier("location_id"))

    def identifier(self, column: str) -> str:
        if not self.cells[column]:
            self.refuse(column, "EMPTY", f"is empty; it wants 1 to {MAXIMUM_ID_BYTES} bytes of text")
        return self.text(column, MAXIMUM_ID_BYTES) or ""

    def text(self, column: str, maximum_bytes: int, *, line_breaks: bool = False) -> str | None:
        text = self.cells[column]
        # No character takes more than four bytes, so most cells need no encoding to be known as short enough.
        if len(text) * 4 > maximum_bytes and (size := len(text.encode())) > maximum_bytes:
            self.refuse(column, "TOO_LONG", f"{shown(text)} is {size} bytes long; at most {maximum_bytes} are allowed")
            return None
        # What is printable has no control character, and most cells are.
        if not text.isprintable() and CONTROL_CHARACTER.search(re.sub("[\r\n]", "", text) if line_breaks else text):
            self.refuse(
                column, "CONTROL_CHARACTER", f"{shown(text)} holds a control character; it wants text without any"
            )
            return None
        return text or None

    def kind(self, column: str) -> str:
        text = self.cells[column]
        if text in KINDS:
            return text
        kinds = ", ".join(KINDS)
        self.refuse(column, "UNKNOWN_KIND", f"{self.found(column)} is not a kind of change; it wants one of {kinds}")
        return ""

    def number(self, column: str) -> Decimal:
        try:
            return _number(self.cells[column])
        except ValueError as error:
            self.refuse(column, "NOT_A_NUMBER", f"{self.found(column)} {error}; it wants a number such as -12 or 3.50")
            return ZERO

    def number_or_none(self, column: str) -> Decimal | None:
        return self.number(column) if self.cells[column] else None

    def figure(self, column: str) -> Decimal | None:
        number = self.number_or_none(column)
        if number is not None and number < 0:
            self.refuse_negative(column, "it")
        return number

    def refuse_negative(self, column: str, what: str) -> None:
        self.refuse(column, "NEGATIVE_VALUE", f"{self.found(column)} is negative; {what} wants 0 or more")

    def time(self, column: str) -> str:
        try:
            return parse_time(self.cells[column])
        except ValueError as error:
            self.refuse(column, "NO_TIME", f"{self.found(column)} {error}")
            return ""

    def time_or_none(self, column: str) -> str | None:
        return self.time(column) if self.cells[column] else None

    def currency(self, column: str) -> str | None:
        text = self.cells[column]
        if text and not CURRENCY.fullmatch(text):
            self.refuse(
                column,
                "NO_CURRENCY",
                f"{shown(text)} is not a currency; it wants three capital letters, such as EUR",
            )
        return text or None

    def found(self, column: str) -> str:
        return shown(self.cells[column]) if self.cells[column] else "an empty cell"


def _change_row(row: _Row) -> ChangeRow:
    change_id, key = row.identifier("change_id"), row.key()
    change = Change(
        change_id=change_id,
        kind=row.kind("kind"),
        value=row.number("value"),
        effective_at=row.time("effective_at"),
        until=row.time_or_none("until"),
        expected=row.number_or_none("expected"),
        not_after=row.time_or_none("not_after"),
        reason=row.text("reason", MAXIMUM_REMARK_BYTES),
        reference=row.text("reference", MAXIMUM_REMARK_BYTES),
    )
    _check_together(row, change)
    return ChangeRow(row.line, key, change)


def _check_together(row: _Row, change: Change) -> None:
    """Refuse what only cells together show; what stands in for an unreadable cell is not refused again."""
    kind = change.kind
    if change.value < 0 and kind not in ("", ADJUSTMENT):
        row.refuse_negative("value", f"a {kind}")
    if change.until is not None and kind not in ("", *WINDOW_KINDS):
        row.refuse("until", "NO_WINDOW", f"a change of kind {kind} has no end; only {', '.join(WINDOW_KINDS)} have")
    elif change.until and change.until <= change.effective_at:
        row.refuse("until", "EMPTY_WINDOW", f"{row.found('until')} is not later than effective_at; a window ends later")
    if change.expected is not None and kind == ADJUSTMENT:
        row.refuse("expected", "NO_EXPECTED", "an adjustment expects nothing; leave it empty, or use a count")
    # A system may show less than nothing on hand, but no negative price.
    elif change.expected is not None and change.expected < 0 and kind not in ("", COUNT):
        row.refuse_negative("expected", f"a {kind}")
    if change.not_after and change.not_after < change.effective_at:
        row.refuse(
            "not_after", "EXPIRED", f"{row.found('not_after')} is before effective_at; it would never be applied"
        )


def _change_identity(row: ChangeRow) -> tuple[str, ...]:
    return (*row.key, row.change.change_id)


def _setting_identity(row: ChangeRow) -> tuple[str, ...] | None:
    """What only one setting should set; None for a booking. A window lies over what is set without an end."""
    change = row.change
    if change.kind == ADJUSTMENT or (change.kind == COUNT and change.expected is not None):
        return None
    return (*row.key, change.kind, change.effective_at, "" if change.until is None else "window")


def _stock_row(row: _Row) -> StockRow:
    return StockRow(
        line=row.line,
        key=row.key(),
        on_hand=row.number("on_hand"),
        reserved=row.figure("reserved") or ZERO,
        safety_stock=row.figure("safety_stock") or ZERO,
        reorder_point=row.figure("reorder_point") or ZERO,
        unit_price=row.figure("unit_price"),
        currency=row.currency("currency"),
        description=row.text("description", MAXIMUM_DESCRIPTION_BYTES, line_breaks=True),
    )


class _Table:
    """The rows under the header of a file; `kind` and the columns are what the file should be and have."""

    def __init__(self, path: Path, kind: str, required: Sequence[str], columns: Sequence[str]) -> None:
        self._path = path
        self._kind = kind
        self._required = required
        self._columns = columns
        self._header: list[str] = []
        self._all_columns: list[str] = []
        # Where every so many lines begin, so that any line can be found again.
        self._marks = array("Q", [0])

    def rows(self) -> Iterator[_Row | Problem]:
        blank: int | None = None
        for line, cells, is_well_quoted in self._records():
            if not cells:
                blank = blank or line
                continue
            if blank is not None:
                yield Problem(blank, None, "BLANK_LINE", "is blank; blank lines may only stand at the end")
                blank = None
            if not self._header:
                self._check_header(line, cells)
                self._header = cells
                # Every row gets empty cells for the columns that are not there.
                self._all_columns = [*cells, *(name for name in self._columns if name not in cells)]
            elif not is_well_quoted:
                problem = 'has a quotation mark in a cell that is not quoted; write "..." around it and double the mark'
                yield Problem(line, None, "NOT_QUOTED", problem)
            elif len(cells) != len(self._header):
                wanted = f"the header has {counted(len(self._header), 'column')}"
                yield Problem(line, None, "CELL_COUNT", f"has {counted(len(cells), 'cell')}; {wanted}")
            else:
                yield self._row(line, cells)
        if not self._header:
            raise self._error(
                "EMPTY_FILE", f"is empty; a {self._kind} starts with a header such as {','.join(self._columns)}"
            )

    def row_on(self, line: int) -> _Row:
        """Read the row that starts on a line again."""
        _, cells, _ = next(self._records(line), (line, [], True))
        return self._row(line, cells)

    def _row(self, line: int, cells: Sequence[str]) -> _Row:
        return _Row(line, dict(zip_longest(self._all_columns, cells, fillvalue="")))

    def _error(self, code: str, message: str, line: int | None = None) -> CsvError:
        return CsvError(self._path, [Problem(line, None, code, message)])

    def _check_header(self, line: int, header: Sequence[str]) -> None:
        wanted = f"a {self._kind} has the columns {','.join(self._required)}"
        if optional := [name for name in self._columns if name not in self._required]:
            wanted += f" and may have {','.join(optional)}"
        if not set(header) & set(self._columns):
            problem = f"is no header, {shown(','.join(header))} names none of the columns; {wanted}"
            raise self._error("NO_HEADER", problem, line)
        unknown = [name for name in header if name not in self._columns]
        missing = [name for name in self._required if name not in header]
        twice = [name for number, name in enumerate(header) if name in header[:number] and name in self._columns]
        problems = [
            *(
                Problem(line, None, "UNKNOWN_COLUMN", f"the column {shown(name)} is unknown; {wanted}")
                for name in unknown
            ),
            *(Problem(line, name, "DUPLICATE_COLUMN", "is in the header twice") for name in twice),
        ]
        if missing:
            problems.append(Problem(line, None, "MISSING_COLUMN", f"the header lacks {', '.join(missing)}; {wanted}"))
        if problems:
            raise CsvError(self._path, problems)

    def _records(self, first: int = 1) -> Iterator[tuple[int, list[str], bool]]:
        """From the line `first` on: each record, the line it starts on, and whether its quotation is in order."""
        mark, before = divmod(first - 1, LINES_A_MARK)
        lines = islice(self._lines(mark), before, None)
        line = first
        for text in lines:
            bare = text.rstrip("\r\n")
            # Most lines are a record by themselves, and need no parser.
            if '"' not in bare and "\r" not in bare:
                yield line, bare.split(",") if bare else [], True
                line += 1
                continue
            parsed, again = tee(chain([text], lines))
            reader = csv.reader(parsed, strict=True)
            try:
                cells = next(reader)
            except csv.Error as error:
                raise self._error("NOT_CSV", f"cannot be read as CSV: {error}", line) from None
            yield line, cells, _is_well_quoted(cells, "".join(islice(again, reader.line_num)))
            line += reader.line_num

    def _lines(self, mark: int) -> Iterator[str]:
        """The lines as text, from a mark on; on the way marks are set."""
        number = mark * LINES_A_MARK
        try:
            with self._path.open("rb") as file:
                if not file.seekable():
                    problem = "is a pipe, which cannot be read twice; write it to a file first"
                    raise self._error("NOT_READABLE", problem)
                file.seek(self._marks[mark])
                # Bytes, because text mode would also end a line at a lone carriage return, which is not in RFC 4180.
                while line := file.readline(MAXIMUM_LINE_BYTES + 1):
                    if number == len(self._marks) * LINES_A_MARK:
                        self._marks.append(file.tell() - len(line))
                    number += 1
                    if len(line) > MAXIMUM_LINE_BYTES:
                        problem = f"is longer than {MAXIMUM_LINE_BYTES} bytes; is this a CSV file?"
                        raise self._error("LINE_TOO_LONG", problem, number)
                    if b"\0" in line:
                        raise self._error("NUL_BYTE", "has a NUL byte; is this a CSV file in UTF-8?", number)
                    yield (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode()
        except UnicodeDecodeError:
            raise self._error("NOT_UTF8", "is not in UTF-8; save the file in this encoding", number) from None
        except FileNotFoundError:
            raise self._error("NO_FILE", "does not exist") from None
        except IsADirectoryError:
            raise self._error("NO_FILE", "is a directory, not a file") from None
        except OSError as error:
            raise self._error("NOT_READABLE", f"cannot be read: {error.strerror or error}") from None


def _is_well_quoted(cells: Iterable[str], text: str) -> bool:
    """Whether every cell of this text that has a quotation mark was quoted as RFC 4180 wants it."""
    return all('"{}"'.format(cell.replace('"', '""')) in text for cell in cells if '"' in cell)
