"""Files of rows, and all that is wrong with one, with the lines that it is on.

A file is read as whoever sends it has made it (``sheets.py``), and several times. What is wrong comes in three sorts:
what its reader says, what the tables say of good rows, and what they say of the others. They are kept on disk where
they are many, and merged by line when they are told.
"""

import csv
import heapq
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import filterfalse, groupby
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final, Generic, Protocol, Self, TextIO, TypeVar

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.change_files import table_of_any_kind
from inventory_updater.intake.csv_format import ADDED_COLUMNS, CameRow, Clash, CsvError, Note
from inventory_updater.intake.refusals import Refusal, Refusals, RowsChangedError
from inventory_updater.intake.sheets import opened_sheet
from inventory_updater.intake.text_rows import AS_IT_STANDS, ChangeRow, CountRow, Problem, Reading, StockRow, problem_of
from inventory_updater.stock.guards import UNUSUAL
from inventory_updater.stock.items import ItemKey

KEPT_IN_MEMORY_BYTES: Final = 1 << 20
CLASHES_KEPT: Final = 50

NO_ROWS: Final = "it has a header and no rows"
"""The note on a file that is right, and has nothing in it: an export that broke off looks like that."""

PROBLEM_COLUMNS: Final = ("line", "column", "value", "code", "message")
_ITEM_COLUMNS: Final = ("sku", "location_id")

RowT = TypeVar("RowT", ChangeRow, StockRow, CountRow)
Read = Callable[[Path, Reading], Iterator[RowT | Problem | Clash | Note]]
Said = Mapping[str, object]
"""A problem as a document: PROBLEM_COLUMNS."""


class TooManyProblemsError(Exception):
    """More is wrong with a file than is kept of it."""


class Door(Protocol):
    """What asks the tables about rows."""

    def check(self, refusals: Refusals) -> None: ...

    def refused_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, tuple[str, str]]: ...


class _Run:
    """Problems in the order of their lines: on disk where they are many."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(KEPT_IN_MEMORY_BYTES, "w+")  # noqa: SIM115  # it lives as long as this
        self.last_line = 0

    def add(self, problem: Problem) -> None:
        self._file.write(as_line(problem))
        self.last_line = _line_of(problem)

    def __iter__(self) -> Iterator[Problem]:
        self._file.seek(0)
        try:
            for line in self._file:
                yield Problem(*json.loads(line))
        finally:
            self._file.seek(0, 2)

    def close(self) -> None:
        self._file.close()


def as_line(problem: Problem) -> str:
    """A problem as a line of JSON: its fields in their order."""
    return json.dumps((problem.line, problem.column, problem.code, problem.message, problem.value)) + "\n"


class Problems:
    """Problems by line, whatever order they come in: what is found in one pass over the rows is one run."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self.count = 0
        self.unusual = 0

    def add(self, problem: Problem) -> None:
        if not self._runs or _line_of(problem) < self._runs[-1].last_line:
            self._runs.append(_Run())
        self._runs[-1].add(problem)
        self.count += 1
        self.unusual += is_unusual(problem)

    def __iter__(self) -> Iterator[Problem]:
        return heapq.merge(*self._runs, key=_line_of)

    def close(self) -> None:
        for run in self._runs:
            run.close()


def is_unusual(problem: Problem) -> bool:
    return problem.code in UNUSUAL


def _line_of(problem: Problem) -> int:
    return problem.line or 0


def rows_of(problems: Iterable[Problem]) -> int:
    """On how many lines they are."""
    return sum(1 for _ in groupby(problems, key=_line_of))


class _FirstLines:
    """The first of many lines, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.kept) < CLASHES_KEPT:
            self.kept.append(line)


@dataclass(slots=True)
class CheckedFile(Generic[RowT]):
    """A file whose rows can be read again and again. The first time, what is wrong with it is noted.

    Attributes:
        path: where it can be read.
        name: what whoever sends it calls it.
        read: reads a file of its kind.
        reading: how its cells are to be understood.
        good: how many rows its reader finds nothing wrong with.
        notes: how it was understood.
        is_broken_off: whether it could not be read to its end, or at all.
        broken_off_at: the line at which reading ended; None where that was before the first.
        most_problems: how many problems are kept; whoever finds more of them has ``TooManyProblemsError``.
        given_back: how many of its rows were written to another file, to be corrected and sent again.
    """

    path: Path
    name: str
    read: Read[RowT]
    reading: Reading = AS_IT_STANDS
    good: int = 0
    notes: list[str] = field(default_factory=list)
    is_broken_off: bool = False
    broken_off_at: int | None = None
    most_problems: int = sys.maxsize
    given_back: int = 0
    _is_read: bool = False
    of_reading: Problems = field(default_factory=Problems)
    of_tables: Problems = field(default_factory=Problems)
    of_items: Problems = field(default_factory=Problems)
    clashes: _FirstLines = field(default_factory=_FirstLines)

    @classmethod
    @contextmanager
    def opened(
        cls,
        path: Path,
        name: str,
        read: Read[RowT],
        reading: Reading = AS_IT_STANDS,
        most_unpacked_bytes: int = sys.maxsize,
    ) -> Iterator[Self]:
        """Whatever file there is; one that is no file of text has that as its problem."""
        with ExitStack() as opened:
            try:
                sheet = opened.enter_context(opened_sheet(path, most_unpacked_bytes))
            except CsvError as error:
                file = cls(path, name, read, reading)
                file.break_off(error)
            else:
                file = cls(sheet.path, name, read, reading)
                file.notes += sheet.notes
            opened.callback(file.close)
            yield file

    @property
    def problem_count(self) -> int:
        return self.of_reading.count + self.of_tables.count + self.of_items.count

    @property
    def is_held(self) -> bool:
        """Whether all that keeps it from being written is that it is unusual."""
        return 0 < self.problem_count == self.of_tables.unusual

    @property
    def row_count(self) -> int:
        return self.good + rows_of(self.of_reading)

    @property
    def good_count(self) -> int:
        """How many rows nothing is wrong with, as far as is known; what is unusual is not wrong."""
        return self.good - rows_of(filterfalse(is_unusual, self.of_tables))

    def rows(self) -> Iterator[RowT]:
        """The rows that nothing is wrong with by themselves; the first time, what is wrong with the others is noted.

        Raises:
            RowsChangedError: where it is another file by now.
        """
        is_first, self._is_read = not self._is_read, True
        try:
            for row in self.read(self.path, self.reading):
                if not isinstance(row, Problem | Clash | Note):
                    self.good += is_first
                    yield row
                elif is_first:
                    self._keep(row)
                elif isinstance(row, Problem) and not self.of_reading.count:
                    raise RowsChangedError
        except CsvError as error:
            if not is_first and not self.is_broken_off:
                raise RowsChangedError from None
            if is_first:
                self.break_off(error)

    def _keep(self, found: Problem | Clash | Note) -> None:
        match found:
            case Problem():
                self._add(found, self.of_reading)
            case Note():
                self.notes.append(str(found))
            case Clash():
                self.clashes.add(str(found))

    def break_off(self, error: CsvError) -> None:
        """Note why the rest of the file cannot be read, or is not."""
        self.is_broken_off = True
        self.broken_off_at = error.problems[0].line
        for problem in error.problems:
            self.of_reading.add(problem)

    def begins_well(self) -> bool:
        """Whether it is a file with a header; otherwise it has been read, and what is wrong with it is noted."""
        if not self.is_broken_off:
            try:
                next(self.read(self.path, self.reading), None)
            except CsvError as error:
                self._is_read = True
                self.break_off(error)
        return not self.is_broken_off

    def check_with(self, door: Door) -> None:
        """Read it all, and ask the tables; what is wrong is noted.

        Raises:
            TooManyProblemsError: where that is more than is kept.
        """
        door.check(Refusals(self._refuse))
        if not self.of_reading.count:
            return
        for rows in batched(self._rows_with_readable_items(), READ_LIMIT):
            refused = door.refused_items(list(dict.fromkeys(key for _line, key in rows)))
            for line, key in rows:
                if key in refused:
                    code, message = refused[key]
                    self._add(Problem(line, "sku", code, message, key.sku), self.of_items)

    def _refuse(self, refusal: Refusal) -> None:
        self._add(problem_of(refusal), self.of_tables)

    def _add(self, problem: Problem, problems: Problems) -> None:
        if self.problem_count >= self.most_problems:
            raise TooManyProblemsError
        problems.add(problem)

    def _rows_with_readable_items(self) -> Iterator[tuple[int, ItemKey]]:
        """The rows that something is wrong with, but not with the cells that name the item: each with its line."""
        for row, problems in self._rows_as_they_came(self.of_reading):
            if problems and not {problem.column for problem in problems} & {*_ITEM_COLUMNS, None}:
                yield row.line, row.key

    def _rows_as_they_came(self, problems: Iterable[Problem]) -> Iterator[tuple[CameRow, list[Problem]]]:
        """Every row, whatever is wrong with it, and those of the problems (sorted by line) that are on its line."""
        by_line = groupby(problems, key=lambda problem: problem.line)
        line, found = 0, list[Problem]()
        for row in table_of_any_kind(self.path).as_they_came():
            while line < row.line:
                next_line, group = next(by_line, (sys.maxsize, iter(())))
                line, found = next_line or 0, list(group)
            yield row, found if line == row.line else []

    def items_with_problems(self) -> Set[int]:
        """Hashes of the keys of all items that something is wrong with."""
        return {hash(row.key) for row, problems in self._rows_as_they_came(self.problems()) if problems}

    def give_back(self, text: TextIO, items: Set[int]) -> None:
        """Write the rows of the items with problems, so that they can be corrected and sent again.

        Args:
            text: where to.
            items: what ``items_with_problems`` says.
        """
        table = table_of_any_kind(self.path)
        header = table.read_header()
        kept = [place for place, name in enumerate(header) if name.strip().casefold() not in ADDED_COLUMNS]
        writer = csv.writer(text, delimiter=table.separator, lineterminator="\n")
        writer.writerow([header[place] for place in kept] + list(ADDED_COLUMNS))
        for row, problems in self._rows_as_they_came(self.problems()):
            if problems or hash(row.key) in items:
                writer.writerow(_given_back(row.cells, len(header), kept, problems))
                self.given_back += 1

    def problems(self) -> Iterator[Problem]:
        """All that is wrong with it, by line."""
        return heapq.merge(self.of_reading, self.of_tables, self.of_items, key=_line_of)

    def write_problems(self, text: TextIO) -> None:
        """Write all that is wrong with it as CSV."""
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(PROBLEM_COLUMNS)
        for said in documents(self.problems()):
            writer.writerow(["" if cell is None else cell for cell in said.values()])

    def close(self) -> None:
        for run in (self.of_reading, self.of_tables, self.of_items):
            run.close()


def documents(problems: Iterable[Problem]) -> Iterator[Said]:
    return ({name: getattr(problem, name) for name in PROBLEM_COLUMNS} for problem in problems)


def _given_back(cells: Sequence[str], width: int, kept: Sequence[int], problems: Sequence[Problem]) -> list[str]:
    """The cells as they came, then why they were not taken, then those that are too many."""
    in_columns = [cells[place] if place < len(cells) else "" for place in kept]
    return [*in_columns, *_given_reasons(problems), *cells[width:]]


def _given_reasons(problems: Sequence[Problem]) -> tuple[str, str]:
    if not problems:
        return "OTHER_ROW", "another row of this item has a problem"
    messages = (f"{problem.column}: {problem.message}" if problem.column else problem.message for problem in problems)
    return " ".join(dict.fromkeys(problem.code for problem in problems)), "; ".join(messages)
