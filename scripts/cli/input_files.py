"""The files that a command reads, and all that is wrong with one: told at once, with the lines that it is on."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import filterfalse, islice
from pathlib import Path
from typing import Final, TypeVar

from cli.errors import PROBLEMS_SHOWN, FileHeld, InputError, ProblemsFound
from cli.exit_codes import EXIT_DONE, EXIT_FAILED
from cli.output import counted, note, print_answer, print_json_rows
from cli.output_files import STANDARD_OUTPUT, output_file, output_path
from cli.progress import progress
from inventory_updater.intake import file_options
from inventory_updater.intake.input_files import (
    NO_ROWS,
    PROBLEM_COLUMNS,
    CheckedFile,
    Read,
    RowT,
    documents,
    is_unusual,
    rows_of,
)
from inventory_updater.intake.text_rows import AS_IT_STANDS, Reading
from inventory_updater.intake.writing import told

STANDARD_INPUT: Final = Path("/dev/stdin")

T = TypeVar("T")


@dataclass(slots=True)
class InputFile(CheckedFile[RowT]):
    """A file of a command line: what is wrong with it is told at once."""

    @property
    def source(self) -> str:
        """What a change's record calls it."""
        return Path(self.name).name

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

    @property
    def told_notes(self) -> list[str]:
        """How it was understood, once it was read; that there is nothing in it, too."""
        return self.notes if self.row_count else [*self.notes, NO_ROWS]

    def tell_notes(self) -> None:
        """Say how it was understood, and what is allowed but hardly meant."""
        for text in (*self.told_notes, *self.clashes.kept):
            note(f"note: {self.name}: {text}")
        if self.clashes.count > len(self.clashes.kept):
            note(f"note: {self.name}: {self.clashes.count - len(self.clashes.kept):,} more such lines")

    def refuse_any(self) -> None:
        """
        Raises:
            FileHeld: where nothing is wrong with it, but something unusual.
            ProblemsFound: where anything is wrong with it.
        """
        if not (count := self.problem_count):
            return
        if not self.of_tables.unusual:
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
        rows = rows_of(filter(is_unusual, self.of_tables))
        return f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} unusual"


@contextmanager
def input_file(path: Path, read: Read[RowT], reading: Reading = AS_IT_STANDS) -> Iterator[InputFile[RowT]]:
    """The file of a command line, whatever it is; one that is no file of text has that as its problem."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    with InputFile[RowT].opened(path, name, read, reading) as file:
        yield file


# What all verbs that read files have in common


def add_reading_options(verb: argparse.ArgumentParser, *, of_changes: bool) -> None:
    """Add what says how the cells of a file are to be understood."""
    group = verb.add_argument_group("how the file is written")
    group.add_argument("--decimal-comma", action="store_true", help="numbers have a decimal comma, as in 26,87")
    if not of_changes:
        return
    group.add_argument(
        "--time-zone",
        type=_told(file_options.zone),
        metavar="ZONE",
        help="of times that have none, such as Europe/Berlin",
    )
    ids = group.add_mutually_exclusive_group()
    ids.add_argument(
        "--ids-from",
        type=_told(file_options.columns),
        default=(),
        metavar="COLUMN,...",
        help="where a row has no change_id, it follows from what is in these columns",
    )
    ids.add_argument(
        "--number-rows",
        type=_told(file_options.prefix),
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
        with output_file(options.problems) as text:
            file.write_problems(text)
    is_accepted = options.accept_good is not None and not options.check and not file.is_broken_off
    if file.problem_count and is_accepted:
        left_out = file.items_with_problems()
        with output_file(options.accept_good) as text:
            file.give_back(text, left_out)
        left = f"{counted(file.given_back, 'row')} of {counted(len(left_out), 'item')}"
        note(f"note: {file.name}: {left} not taken, but written to {options.accept_good}")
        return left_out
    if options.json and (options.check or file.problem_count):
        document = {"rows": file.row_count, "good": file.good_count, "notes": file.told_notes, "held": file.is_held}
        # Whoever only checks asks what is wrong; else all is named that kept the file from being written.
        problems = filterfalse(is_unusual, file.problems()) if options.check else file.problems()
        unusual = filter(is_unusual, file.problems())
        print_json_rows({"problems": documents(problems), "unusual": documents(unusual)}, lambda: document, options)
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


def _told(read: Callable[[str], T]) -> Callable[[str], T]:
    """The type of an argument that has this value; what is wrong is told as the reader says it."""

    def type_of_argument(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return type_of_argument
