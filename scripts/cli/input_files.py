"""The files that a command reads, and all that is wrong with one: told at once, with the lines that it is on.

A file is read as whoever sends it has made it (``sheets.py``), and several times. What is wrong comes in three sorts:
what its reader says, what the tables say of good rows, and what they say of the others. They are kept on disk where
they are many, and merged by line when they are told.
"""

import argparse
import csv
import heapq
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from itertools import filterfalse, groupby, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Final, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from cli.errors import PROBLEMS_SHOWN, FileHeld, InputError, ProblemsFound
from cli.exit_codes import EXIT_DONE, EXIT_FAILED
from cli.output import counted, note, print_answer, print_json_rows
from cli.output_files import STANDARD_OUTPUT, output_file, output_path
from cli.progress import progress
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.csv_format import ADDED_COLUMNS, CameRow, Clash, CsvError, Note, table_of_any_kind
from inventory_updater.intake.refusals import Refusal, Refusals, RowsChangedError
from inventory_updater.intake.sheets import opened_sheet
from inventory_updater.intake.text_rows import AS_IT_STANDS, ChangeRow, CountRow, Problem, Reading, StockRow, problem_of
from inventory_updater.intake.writing import told
from inventory_updater.stock.guards import UNUSUAL
from inventory_updater.stock.items import ItemKey

STANDARD_INPUT: Final = Path("/dev/stdin")
KEPT_IN_MEMORY_BYTES: Final = 1 << 20
LONGEST_PREFIX_BYTES: Final = 32

PROBLEM_COLUMNS: Final = ("line", "column", "value", "code", "message")
ITEM_COLUMNS: Final = ("sku", "location_id")

RowT = TypeVar("RowT", ChangeRow, StockRow, CountRow)
Read = Callable[[Path, Reading], Iterator[RowT | Problem | Clash | Note]]
Said = Mapping[str, object]
"""A problem as a document: PROBLEM_COLUMNS."""


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
        self._file.write(json.dumps(asdict(problem)) + "\n")
        self.last_line = _line_of(problem)

    def __iter__(self) -> Iterator[Problem]:
        self._file.seek(0)
        try:
            for line in self._file:
                yield Problem(**json.loads(line))
        finally:
            self._file.seek(0, 2)

    def close(self) -> None:
        self._file.close()


class _Problems:
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
        self.unusual += _is_unusual(problem)

    def __iter__(self) -> Iterator[Problem]:
        return heapq.merge(*self._runs, key=_line_of)

    def close(self) -> None:
        for run in self._runs:
            run.close()


def _is_unusual(problem: Problem) -> bool:
    return problem.code in UNUSUAL


def _line_of(problem: Problem) -> int:
    return problem.line or 0


def _rows_of(problems: Iterable[Problem]) -> int:
    """On how many lines they are."""
    return sum(1 for _ in groupby(problems, key=_line_of))


@dataclass(slots=True)
class InputFile(Generic[RowT]):
    """A file whose rows can be read again and again. The first time, what is wrong with it is noted.

    Attributes:
        path: where it can be read.
        name: what whoever typed the command calls it.
        read: reads a file of its kind.
        reading: how its cells are to be understood.
        good: how many rows its reader finds nothing wrong with.
        notes: how it was understood.
        is_broken_off: whether it could not be read to its end.
        given_back: how many of its rows were written to another file, to be corrected and sent again.
    """

    path: Path
    name: str
    read: Read[RowT]
    reading: Reading = AS_IT_STANDS
    good: int = 0
    notes: list[str] = field(default_factory=list)
    is_broken_off: bool = False
    given_back: int = 0
    _is_read: bool = False
    _of_reading: _Problems = field(default_factory=_Problems)
    _of_tables: _Problems = field(default_factory=_Problems)
    _of_items: _Problems = field(default_factory=_Problems)
    _clashes: "_FirstLines" = field(default_factory=lambda: _FirstLines())

    @property
    def source(self) -> str:
        """What a change's record calls it."""
        return Path(self.name).name

    @property
    def problem_count(self) -> int:
        return self._of_reading.count + self._of_tables.count + self._of_items.count

    @property
    def is_held(self) -> bool:
        """Whether all that keeps it from being written is that it is unusual."""
        return 0 < self.problem_count == self._of_tables.unusual

    @property
    def row_count(self) -> int:
        return self.good + _rows_of(self._of_reading)

    @property
    def good_count(self) -> int:
        """How many rows nothing is wrong with, as far as is known; what is unusual is not wrong."""
        return self.good - _rows_of(filterfalse(_is_unusual, self._of_tables))

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
                elif isinstance(row, Problem) and not self._of_reading.count:
                    raise RowsChangedError
        except CsvError as error:
            if not is_first and not self.is_broken_off:
                raise RowsChangedError from None
            if is_first:
                self.break_off(error)

    def _keep(self, found: Problem | Clash | Note) -> None:
        match found:
            case Problem():
                self._of_reading.add(found)
            case Note():
                self.notes.append(str(found))
            case Clash():
                self._clashes.add(str(found))

    def break_off(self, error: CsvError) -> None:
        """Note why the rest of the file cannot be read."""
        self.is_broken_off = True
        for problem in error.problems:
            self._of_reading.add(problem)

    def begins_well(self) -> bool:
        """Whether it is a file with a header; otherwise it has been read, and what is wrong with it is noted."""
        if not self.is_broken_off:
            try:
                next(self.read(self.path, self.reading), None)
            except CsvError as error:
                self._is_read = True
                self.break_off(error)
        return not self.is_broken_off

    def check(self) -> int:
        """Read it all, say how it was understood, and return how many rows it has; the tables are not asked.

        Raises:
            ProblemsFound: where anything is wrong with it.
        """
        if not self.is_broken_off:
            with progress() as tell:
                for _row in told(self.rows(), "reading the file", tell):
                    pass
        self.refuse_any()
        self.tell_notes()
        return self.good

    def check_with(self, door: Door) -> None:
        """Read it all, and ask the tables; what is wrong is noted."""
        door.check(Refusals(self._refuse))
        for rows in batched(self._rows_with_readable_items(), READ_LIMIT):
            refused = door.refused_items(list(dict.fromkeys(key for _line, key in rows)))
            for line, key in rows:
                if key in refused:
                    code, message = refused[key]
                    self._of_items.add(Problem(line, "sku", code, message, key.sku))

    def _refuse(self, refusal: Refusal) -> None:
        self._of_tables.add(problem_of(refusal))

    def _rows_with_readable_items(self) -> Iterator[tuple[int, ItemKey]]:
        """The rows that something is wrong with, but not with the cells that name the item: each with its line."""
        for row, problems in self._rows_as_they_came(self._of_reading):
            if problems and not {problem.column for problem in problems} & {*ITEM_COLUMNS, None}:
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

    def give_back(self, path: Path) -> Set[int]:
        """Write the rows of all items that something is wrong with into a file that can be corrected and sent again.

        Returns:
            Hashes of the keys of these items.
        """
        items = {hash(row.key) for row, problems in self._rows_as_they_came(self.problems()) if problems}
        table = table_of_any_kind(self.path)
        header = table.read_header()
        kept = [place for place, name in enumerate(header) if name.strip().casefold() not in ADDED_COLUMNS]
        with output_file(path) as file:
            writer = csv.writer(file, delimiter=table.separator, lineterminator="\n")
            writer.writerow([header[place] for place in kept] + list(ADDED_COLUMNS))
            for row, problems in self._rows_as_they_came(self.problems()):
                if problems or hash(row.key) in items:
                    writer.writerow(_given_back(row.cells, len(header), kept, problems))
                    self.given_back += 1
        return items

    def problems(self) -> Iterator[Problem]:
        """All that is wrong with it, by line."""
        return heapq.merge(self._of_reading, self._of_tables, self._of_items, key=_line_of)

    def tell_notes(self) -> None:
        """Say how it was understood, and what is allowed but hardly meant."""
        for text in (*self.notes, *self._clashes.kept):
            note(f"note: {self.name}: {text}")
        if self._clashes.count > len(self._clashes.kept):
            note(f"note: {self.name}: {self._clashes.count - len(self._clashes.kept):,} more such lines")

    def refuse_any(self) -> None:
        """
        Raises:
            FileHeld: where nothing is wrong with it, but something unusual.
            ProblemsFound: where anything is wrong with it.
        """
        if not (count := self.problem_count):
            return
        if not self._of_tables.unusual:
            raise ProblemsFound(self._first_problems(), count)
        held = f"{self._rows_are_unusual()}, and nothing was written"
        if self.is_held:
            meant = "if that is meant, send the file again with --accept-unusual"
            raise FileHeld(self._first_problems(), count, f"{held}; {meant}")
        meant = "correct the rest, and if that is meant add --accept-unusual"
        raise ProblemsFound(self._first_problems(), count, f"{held}; {meant}")

    def tell_unusual(self) -> None:
        """Say of a file that nothing is wrong with what about it is unusual, and what follows from that."""
        if self.is_held:
            for line in self._first_problems():
                note(line)
            if self.problem_count > PROBLEMS_SHOWN:
                note(f"... and {self.problem_count - PROBLEMS_SHOWN:,} more")
            note(f"{self._rows_are_unusual()}: it is held when it is scheduled, unless with --accept-unusual")

    def _first_problems(self) -> list[str]:
        return [f"{self.name}: {problem}" for problem in islice(self.problems(), PROBLEMS_SHOWN)]

    def _rows_are_unusual(self) -> str:
        rows = _rows_of(filter(_is_unusual, self._of_tables))
        return f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} unusual"

    def close(self) -> None:
        for run in (self._of_reading, self._of_tables, self._of_items):
            run.close()


def _documents(problems: Iterable[Problem]) -> Iterator[Said]:
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


@contextmanager
def input_file(path: Path, read: Read[RowT], reading: Reading = AS_IT_STANDS) -> Iterator[InputFile[RowT]]:
    """The file of a command line, whatever it is; one that is no file of text has that as its problem."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    with ExitStack() as opened:
        try:
            sheet = opened.enter_context(opened_sheet(path))
        except CsvError as error:
            file = InputFile(path, name, read, reading)
            file.break_off(error)
        else:
            file = InputFile(sheet.path, name, read, reading)
            file.notes += sheet.notes
        opened.callback(file.close)
        yield file


# What all verbs that read files have in common


def add_reading_options(verb: argparse.ArgumentParser, *, of_changes: bool) -> None:
    """Add what says how the cells of a file are to be understood."""
    group = verb.add_argument_group("how the file is written")
    group.add_argument("--decimal-comma", action="store_true", help="numbers have a decimal comma, as in 26,87")
    if not of_changes:
        return
    group.add_argument("--time-zone", type=_zone, metavar="ZONE", help="of times that have none, such as Europe/Berlin")
    ids = group.add_mutually_exclusive_group()
    ids.add_argument(
        "--ids-from",
        type=_columns,
        default=(),
        metavar="COLUMN,...",
        help="where a row has no change_id, it follows from what is in these columns",
    )
    ids.add_argument(
        "--number-rows",
        type=_prefix,
        metavar="PREFIX",
        help="where a row has no change_id, it is this, a digest of the file, and the line: the same if sent again",
    )


def reading_of(options: argparse.Namespace) -> Reading:
    """What the options of ``add_reading_options`` say."""
    return Reading(
        decimal_comma=options.decimal_comma,
        zone=getattr(options, "time_zone", None),
        ids_from=getattr(options, "ids_from", ()),
        number_rows=getattr(options, "number_rows", None),
        replaces=getattr(options, "replace", False),
    )


def add_checking_options(verb: argparse.ArgumentParser) -> None:
    """Add what becomes of a file that something is wrong with."""
    verb.add_argument("--check", action="store_true", help="only say what is wrong with the file; write nothing")
    verb.add_argument(
        "--problems",
        type=output_path,
        metavar="FILE",
        help=f"write all problems as CSV ({', '.join(PROBLEM_COLUMNS)}); a screen has the first {PROBLEMS_SHOWN}",
    )
    verb.add_argument(
        "--accept-good",
        type=output_path,
        metavar="REST",
        help="write the items whose rows are all good, and the rows of the others into this file, with code and "
        "message, to be corrected and sent again",
    )


def settle_problems(file: InputFile[RowT], options: argparse.Namespace) -> Set[int]:
    """Say what is wrong with a file that was checked, as the options of ``add_checking_options`` ask for.

    Returns:
        The items, as hashes of their keys, that are to be left out; their rows are in the file of ``--accept-good``.

    Raises:
        ProblemsFound: where anything is wrong with it, and nothing is to be written therefore.
    """
    file.tell_notes()
    if options.problems is not None:
        _write_problems(file, options.problems)
    is_accepted = options.accept_good is not None and not options.check and not file.is_broken_off
    if file.problem_count and is_accepted:
        left_out = file.give_back(options.accept_good)
        left = f"{counted(file.given_back, 'row')} of {counted(len(left_out), 'item')}"
        note(f"note: {file.name}: {left} not taken, but written to {options.accept_good}")
        return left_out
    if options.json and (options.check or file.problem_count):
        document = {"rows": file.row_count, "good": file.good_count, "notes": file.notes, "held": file.is_held}
        # Whoever only checks asks what is wrong; else all is named that kept the file from being written.
        problems = filterfalse(_is_unusual, file.problems()) if options.check else file.problems()
        unusual = filter(_is_unusual, file.problems())
        print_json_rows({"problems": _documents(problems), "unusual": _documents(unusual)}, lambda: document, options)
    if not (options.check and file.is_held):
        file.refuse_any()
    if options.check and not options.json:
        file.tell_unusual()
        print(f"{counted(file.good_count, 'row')}, all good")
    return frozenset()


def print_taken(
    document: Mapping[str, object], sentence: str, file: InputFile[RowT], options: argparse.Namespace
) -> int:
    """Print what became of a file, what was given back of it too, and return the exit code."""
    if not file.given_back:
        print_answer(document, sentence, options)
        return EXIT_DONE
    given_back = f"{counted(file.given_back, 'row')} given back in {options.accept_good}"
    print_answer({**document, "given_back": file.given_back}, f"{sentence}; {given_back}", options)
    return EXIT_FAILED


def _write_problems(file: InputFile[RowT], path: Path) -> None:
    with output_file(path) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(PROBLEM_COLUMNS)
        documents = _documents(file.problems())
        writer.writerows(["" if cell is None else cell for cell in said.values()] for said in documents)


def check_outputs(options: argparse.Namespace) -> None:
    """
    Raises:
        InputError: where standard output is asked for more than one thing, or a file would be written over itself.
    """
    for path in filter(None, (options.problems, options.accept_good)):
        if path.is_file() and options.file.is_file() and path.samefile(options.file):
            raise InputError(f"{path} is the file that is read: write to another one")
    to_standard_output = [path for path in (options.problems, options.accept_good) if path == STANDARD_OUTPUT]
    if len(to_standard_output) + bool(options.json and to_standard_output) > 1:
        raise InputError("standard output can take only one: --json, --problems - or --accept-good -")
    if options.check and options.accept_good is not None:
        raise InputError("--check writes nothing: it does not go with --accept-good")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), 1)
        hint = f"; did you mean {near[0]}?" if near else "; it wants a name such as Europe/Berlin"
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone{hint}") from None


def _columns(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().casefold() for name in text.split(","))
    if not all(names) or "change_id" in names:
        raise argparse.ArgumentTypeError("it wants names of columns, other than change_id, with commas between them")
    return names


def _prefix(text: str) -> str:
    if not text.strip() or len(text.encode()) > LONGEST_PREFIX_BYTES:
        raise argparse.ArgumentTypeError(f"it wants 1 to {LONGEST_PREFIX_BYTES} bytes of text")
    return text.strip()


class _FirstLines:
    """The first of many lines, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.kept) < PROBLEMS_SHOWN:
            self.kept.append(line)
