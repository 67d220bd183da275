"""Stock files and change files: CSV as RFC 4180 describes it, in UTF-8, and as spreadsheets write it.

A file may start with a byte order mark, its lines may end in CRLF or LF and its columns may stand in any order, but
the header names every required column of its kind and none twice. The header also says what separates the cells.
Spaces around a cell do not count, blank rows neither, and columns that nobody knows are named and left alone. Cells are
text and nothing but text: a cell such as `=1+1` is never a formula.

A file is read row by row, and all that is wrong with one row is told before the next is read. What is kept of the rows
is on which line each id is first, 16 MB for a million, and the same of the settings. Some lines are read a second
time, so a file has to be one: a pipe is refused. ``sheets.py`` makes such a file of whatever came.
"""

import csv
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice, tee
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from inventory_updater.intake.cells import first_invisible
from inventory_updater.intake.first_lines import FirstLines
from inventory_updater.intake.text_rows import (
    AS_IT_STANDS,
    DERIVED_COLUMNS,
    MADE_IDS,
    STOCK_COLUMNS,
    CountRow,
    Problem,
    Reading,
    StockRow,
    TextRow,
    nearest,
    shown,
    stock_row,
)
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.numbers import counted

# A line longer than this is no line of ours but a file of another kind; it must not be read into memory whole.
MAXIMUM_LINE_BYTES: Final = 100_000
MAXIMUM_RECORD_CHARACTERS: Final = 1_000_000
PROBLEMS_SHOWN: Final = 50

LINES_A_MARK: Final = 16

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SEPARATOR_LINE: Final = re.compile(r"sep=(.)", re.IGNORECASE)
"""What some spreadsheets write, and want, in front of the header."""

LONE_QUOTATION_MARK: Final = (
    'has a quotation mark in a cell that is not quoted; write "..." around it and double the mark'
)
LONE_CARRIAGE_RETURN: Final = 'has a carriage return in a cell that is not quoted; write "..." around it or delete it'
NEVER_CLOSED: Final = (
    "has a quotation mark that is never closed, so that all that follows is one cell; close or delete it"
)
CLOSED_TOO_EARLY: Final = (
    "has a quotation mark that opens a cell of several lines, which cannot be read to its end: a mark within it is "
    "written twice; what follows was not looked at"
)

ADDED_COLUMNS: Final = ("code", "message")
"""What rows that were not taken are given back with; sent again, it is known and ignored."""


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


@dataclass(frozen=True, slots=True)
class Note:
    """How a file was understood: no problem, but worth a look."""

    message: str

    def __str__(self) -> str:
        return self.message


class CsvError(Exception):
    """What is wrong with a file: each problem on a line, `FILE: line N, column NAME: what is wrong`; the first 50."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        lines = [f"{path}: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if more := len(problems) - len(lines):
            lines.append(f"... and {counted(more, 'more problem')}")
        super().__init__("\n".join(lines))
        self.path = path
        self.problems = tuple(problems)


ItemRowT = TypeVar("ItemRowT", StockRow, CountRow)


Keep = Callable[[str, str], bool]
"""Whether the item of this sku and location is one of those that are asked for."""


@dataclass(frozen=True, slots=True)
class CameRow:
    """A row as it came, right or wrong: its line, the item that it names, and its cells with the spaces around them."""

    line: int
    key: ItemKey
    cells: Sequence[str]


def read_stock_file(path: Path, reading: Reading = AS_IT_STANDS) -> Iterator[StockRow | Problem | Note]:
    """Read a stock file row by row: each item, or everything that is wrong with its row.

    Raises:
        CsvError: where nothing more of it can be read: no file, another header, not in UTF-8, broken quoting.
    """
    required = ("sku", "location_id") if reading.replaces else ("sku", "location_id", "on_hand")
    table = Table(path, "stock file", required, (*STOCK_COLUMNS, *DERIVED_COLUMNS), reading)
    return _items(table, stock_row)


def read_count_sheet(path: Path, reading: Reading = AS_IT_STANDS) -> Iterator[CountRow | Problem | Note]:
    """Read a count sheet row by row: what was counted, or everything that is wrong with its row.

    What was counted is in the column `counted`, or, where there is none, in `on_hand`. An empty cell was not counted.

    Raises:
        CsvError: where nothing more of it can be read: no file, another header, not in UTF-8, broken quoting.
    """
    columns = ("counted", *STOCK_COLUMNS, *DERIVED_COLUMNS)
    column = "counted"
    try:
        next(Table(path, "count sheet", (column,), columns, reading).rows(), None)
    except CsvError as error:
        if any(problem.code == "MISSING_COLUMN" for problem in error.problems):
            column = "on_hand"
    table = Table(path, "count sheet", ("sku", "location_id", column), columns, reading)
    return _items(table, lambda row: CountRow(row.line, row.key(), row.figure(column)))


def _items(table: "Table", read_row: "Callable[[TextRow], ItemRowT]") -> Iterator[ItemRowT | Problem | Note]:
    """The rows of a table of which an item has one."""
    items = FirstLines(lambda line: table.row_on(line).key())
    for row in table.rows():
        if not isinstance(row, TextRow):
            yield row
            continue
        read = read_row(row)
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


class Table:
    """The rows under the header of a file; `kind` and the columns are what the file should be and have."""

    form: ClassVar[str] = "CSV file"

    def __init__(
        self, path: Path, kind: str, required: Sequence[str], columns: Sequence[str], reading: Reading = AS_IT_STANDS
    ) -> None:
        self._path = path
        self._kind = kind
        self._required = required
        self._columns = columns
        self._reading = reading
        self.separator = ","
        self.header: list[str] = []
        """The names as they came."""
        self._names: list[str] = []
        self._absent: dict[str, str] = {}
        self._item_places = (0, 0)
        # Where every so many lines begin, so that any line can be found again.
        self._marks = array("Q", [0])

    def rows(self, keep: Keep | None = None) -> Iterator[TextRow | Problem | Note]:
        """The rows, or those whose items are to be kept; what is wrong with one as a whole is told in any case."""
        self.header = []
        for line, cells, fault in self._records():
            # A row of nothing but separators and spaces is what spreadsheets leave where something was.
            if not (cells and cells[0].strip()) and not any(map(str.strip, cells)):
                continue
            if not self.header:
                if fault is not None:
                    raise self._error("NOT_CSV", fault, line)
                yield from self._take_header(line, cells)
            elif fault is not None:
                yield Problem(line, None, "NOT_QUOTED", fault)
            elif len(cells) > len(self._names) and any(map(str.strip, cells[len(self._names) :])):
                wanted = f"the header has {counted(len(self._names), 'column')}"
                message = (
                    f'has {counted(len(cells), "cell")}; {wanted}: a cell that holds a separator needs "..." around it'
                )
                yield Problem(line, None, "CELL_COUNT", message)
            elif keep is None or keep(*self._item_of(cells)):
                yield self._row(line, cells)
        if not self.header:
            raise self._error(
                "EMPTY_FILE", f"is empty; a {self._kind} starts with a header such as {','.join(self._columns)}"
            )

    def as_they_came(self) -> Iterator[CameRow]:
        """Every row, whatever is wrong with it, as far as the file can be read."""
        with suppress(CsvError):
            for row in self.rows():
                if isinstance(row, Note) or row.line is None:
                    continue
                cells = self.row_on(row.line) if isinstance(row, Problem) else row
                yield CameRow(row.line, ItemKey(cells.cells["sku"], cells.cells["location_id"]), cells.came)

    def read_header(self) -> Sequence[str]:
        """The names in the header as they came; none where there is no header."""
        with suppress(CsvError):
            next(self.rows(), None)
        return self.header

    def row_on(self, line: int) -> TextRow:
        """Read the row that starts on a line again."""
        return self._row(line, self.cells_on(line))

    def cells_on(self, line: int) -> Sequence[str]:
        """The cells, as they came, of the row that starts on a line."""
        _, cells, _ = next(self._records(line), (line, [], None))
        return cells

    def _item_of(self, cells: Sequence[str]) -> tuple[str, str]:
        """What `_row` would say, for a fraction of the time."""
        sku, location = self._item_places
        return cells[sku].strip() if sku < len(cells) else "", cells[location].strip() if location < len(cells) else ""

    def _row(self, line: int, cells: Sequence[str]) -> TextRow:
        # Cells that are missing at the end of a row are empty ones, and so are those of columns that are not there.
        named = self._absent.copy()
        named.update(zip(self._names, map(str.strip, cells), strict=False))
        return TextRow(line, named, self._names, cells, self._reading)

    def _error(self, code: str, message: str, line: int | None = None) -> CsvError:
        return CsvError(self._path, [Problem(line, None, code, message)])

    def _take_header(self, line: int, header: list[str]) -> Iterator[Note]:
        """Understand the header, and say what was understood of it.

        Raises:
            CsvError: where it lacks a column, has one twice, or is no header.
        """
        names = [_column_name(name) for name in header]
        self._check_header(line, header, names)
        self.header, self._names = header, names
        self._item_places = _place(names, "sku"), _place(names, "location_id")
        # Every row gets empty cells for what it lacks, whether the header has it or not.
        self._absent = dict.fromkeys((*names, *self._columns), "")
        if self.separator != ",":
            yield Note(f"its cells are separated by {SEPARATORS.get(self.separator, repr(self.separator))}")
        for name, as_it_came in zip(names, header, strict=True):
            if name and name not in self._columns and name not in ADDED_COLUMNS and name not in self._reading.ids_from:
                free = [column for column in self._columns if column not in names]
                yield Note(f"the column {shown(as_it_came.strip())} is unknown and ignored{nearest(name, free)}")

    def _check_header(self, line: int, header: Sequence[str], names: Sequence[str]) -> None:
        wanted = f"a {self._kind} has the columns {','.join(self._required)}"
        if optional := [name for name in self._columns if name not in self._required]:
            wanted += f" and may have {','.join(optional)}"
        if not set(names) & set(self._columns):
            problem = f"is no header, {shown(self.separator.join(header))} names none of the columns; {wanted}"
            raise self._error("NO_HEADER", problem, line)
        unknown = [name for name in names if name and name not in self._columns]
        problems = [
            *(
                Problem(line, name, "DUPLICATE_COLUMN", "is in the header twice; delete or rename one of them", name)
                for number, name in enumerate(names)
                if name in names[:number] and name in self._columns
            ),
            *(
                self._missing(line, name, unknown, header, wanted)
                for name in (*self._required, *self._reading.ids_from)
                if name not in names
            ),
        ]
        if problems:
            raise CsvError(self._path, problems)

    def _missing(self, line: int, name: str, unknown: Sequence[str], header: Sequence[str], wanted: str) -> Problem:
        for came in header:
            if (invisible := first_invisible(came)) and _column_name(_without_invisible(came)) == name:
                message = f"is written {shown(came)}, with {invisible}, which nobody sees; delete it"
                return Problem(line, name, "INVISIBLE_CHARACTER", message, came)
        spelled = {_column_name(came).replace(" ", "_"): came.strip() for came in header}
        near = get_close_matches(name, [each.replace(" ", "_") for each in unknown], 1)
        hint = f"is {shown(spelled[near[0]])} meant to be it?" if near else wanted
        made = MADE_IDS if name == "change_id" else ""
        return Problem(line, name, "MISSING_COLUMN", f"the header lacks it; {hint}{made}")

    def _lines_from(self, first: int) -> Iterator[str]:
        mark, before = divmod(first - 1, LINES_A_MARK)
        return islice(self._lines(mark), before, None)

    def _records(self, first: int = 1) -> Iterator[tuple[int, list[str], str | None]]:
        """From the line `first` on: each record, the line it starts on, and what is wrong with its quotation."""
        lines = self._lines_from(first)
        line, is_separator_known = first, bool(self.header)
        for text in lines:
            bare = text.rstrip("\r\n")
            if not is_separator_known:
                said = SEPARATOR_LINE.fullmatch(bare) if line == 1 else None
                self.separator = said[1] if said else _separator_of(bare)
                is_separator_known = bool(said or bare.strip(f"{self.separator} "))
                if said:
                    line += 1
                    continue
            # Most lines are a record by themselves, and need no parser.
            if '"' not in bare and "\r" not in bare:
                yield line, bare.split(self.separator) if bare else [], None
                line += 1
                continue
            parsed, again = tee(_of_a_record(chain([text], lines)))
            reader = csv.reader(parsed, strict=True, delimiter=self.separator, skipinitialspace=True)
            try:
                cells = next(reader)
            except csv.Error as error:
                is_open = str(error).startswith(("unexpected end of data", "field larger"))
                # Beyond a cell that goes over several lines, nobody knows where the next row begins.
                if is_open or reader.line_num > 1:
                    raise self._error("NOT_CSV", NEVER_CLOSED if is_open else CLOSED_TOO_EARLY, line) from None
                yield line, bare.split(self.separator), LONE_QUOTATION_MARK if '"' in bare else LONE_CARRIAGE_RETURN
                line += 1
                continue
            is_right = _is_well_quoted(cells, "".join(islice(again, reader.line_num)))
            yield line, cells, None if is_right else LONE_QUOTATION_MARK
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
                        problem = f"is longer than {MAXIMUM_LINE_BYTES} bytes; is this a {self.form}?"
                        raise self._error("LINE_TOO_LONG", problem, number)
                    if b"\0" in line:
                        raise self._error("NUL_BYTE", f"has a NUL byte; is this a {self.form} in UTF-8?", number)
                    yield (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).decode()
        except UnicodeDecodeError:
            raise self._error("NOT_UTF8", "is not in UTF-8; save the file in this encoding", number) from None
        except FileNotFoundError:
            raise self._error("NO_FILE", "does not exist") from None
        except IsADirectoryError:
            raise self._error("NO_FILE", "is a directory, not a file") from None
        except OSError as error:
            raise self._error("NOT_READABLE", f"cannot be read: {error.strerror or error}") from None


def _of_a_record(lines: Iterable[str]) -> Iterator[str]:
    """As many lines as a record may have; a file of quotation marks in the wrong places would be one."""
    size = 0
    for text in lines:
        yield text
        size += len(text)
        if size > MAXIMUM_RECORD_CHARACTERS:
            return


def _place(names: Sequence[str], name: str) -> int:
    """Where a column is; behind all cells where there is none."""
    return names.index(name) if name in names else sys.maxsize


def _column_name(text: str) -> str:
    """The name of a column in our spelling; what is around it and its case do not matter."""
    return text.strip().casefold()


def _without_invisible(text: str) -> str:
    return "".join(character for character in text if not first_invisible(character))


def _separator_of(header: str) -> str:
    """What separates the cells: what is most often in the header outside of quotation marks; the comma of equals."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)


def _is_well_quoted(cells: Iterable[str], text: str) -> bool:
    """Whether every cell of this text that has a quotation mark was quoted as RFC 4180 wants it."""
    return all('"{}"'.format(cell.replace('"', '""')) in text for cell in cells if '"' in cell)
