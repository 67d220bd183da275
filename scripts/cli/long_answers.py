"""Answers of any length: printed as they come with --csv and --json, the first of them on a screen.

Each ends with how many there are, or that there are more: on standard error where the answer itself is CSV. Nothing is
printed before the first one is there, so what is refused by then is told alone.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from cli.errors import InputError
from cli.output import counted, note, print_json_rows, print_rows, statuses_text
from cli.progress import progress
from inventory_updater.dynamodb.pacing import batched, begun
from inventory_updater.intake.writing import Progress, no_progress

ROWS_SHOWN: Final = 100
ROWS_A_TABLE: Final = 1_000
"""After so many rows --all begins another table: how wide its columns are is known after its last row."""

Document = Mapping[str, object]
"""What is told of a change, by the names of the columns; one of them is ``status``."""


def print_changes(
    documents: Callable[[Progress], Iterable[Document]],
    columns: Sequence[str],
    options: argparse.Namespace,
    *,
    total: int | None = None,
    is_shown: Callable[[Document], bool] = lambda _document: True,
) -> Counter[str]:
    """Print changes, and return how many there are of each status.

    Args:
        documents: gives them, and tells how far it is.
        columns: of the table and of the CSV.
        options: ``csv``, ``json``, and ``all`` for more than the first on a screen.
        total: how many there will be, if that is known.
        is_shown: whether one is worth a line on a screen.
    """
    counts: Counter[str] = Counter()

    def counting(document: Document) -> Document:
        counts[str(document["status"])] += 1
        return document

    def all_of_them(tell: Progress) -> Iterator[Document]:
        return begun(map(counting, documents(tell)))

    def row(document: Document) -> list[object]:
        return [document.get(name) for name in columns]

    if options.json:
        with _progress_beside_rows(total) as tell:
            filled = ({name: value for name, value in each.items() if value is not None} for each in all_of_them(tell))
            print_json_rows({"changes": filled}, lambda: {"by_status": counts}, options)
        return counts
    if options.csv:
        with _progress_beside_rows(total) as tell:
            print_rows(columns, map(row, all_of_them(tell)), options)
        note(_summary(counts))
        return counts
    if options.all:
        with _progress_beside_rows(total) as tell:
            for page in batched(filter(is_shown, all_of_them(tell)), ROWS_A_TABLE):
                print_rows(columns, map(row, page), options)
        print(_summary(counts))
        return counts
    shown: list[list[object]] = []
    more = 0
    with progress(total) as tell:
        for each in filter(is_shown, all_of_them(tell)):
            if len(shown) < ROWS_SHOWN:
                shown.append(row(each))
            else:
                more += 1
    if shown:
        print_rows(columns, shown, options)
    print(_summary(counts) + (f"; {more:,} more of them with --all or --csv" if more else ""))
    return counts


def limit_of(options: argparse.Namespace, noun: str = "change") -> int | None:
    """How many of them are wanted at most, by the options of ``add_limit``; None is all of them.

    Raises:
        InputError: where that is less than one.
    """
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit: at least 1 {noun}")
    return options.limit or (None if options.all or options.json or options.csv else ROWS_SHOWN)


def print_first(
    name: str,
    documents: Callable[[Progress], Iterable[Document]],
    columns: Sequence[str],
    limit: int | None,
    options: argparse.Namespace,
    summary: Callable[[int], str],
) -> None:
    """Print so many changes, and whether there are more.

    Args:
        name: what they are in JSON.
        documents: gives them, and tells how far it is; no more than one is taken that is not printed.
        columns: of the table and of the CSV.
        limit: see ``limit_of``.
        options: ``csv``, ``json``.
        summary: says how many of them are on the screen.
    """
    count, has_more = 0, False

    def first(tell: Progress) -> Iterator[Document]:
        nonlocal count, has_more
        for each in documents(tell):
            if has_more := count == limit:
                return
            count += 1
            yield each

    def rows(page: Iterable[Document]) -> Iterator[list[object]]:
        return ([each.get(column) for column in columns] for each in page)

    if options.json or options.csv:
        with _progress_beside_rows(None) as tell:
            found = begun(first(tell))
            if options.json:
                print_json_rows({name: found}, lambda: {"has_more": has_more}, options)
            else:
                print_rows(columns, rows(found), options)
        if options.csv and has_more:
            note("there are more")
        return
    with progress() as tell:
        pages = begun(batched(first(tell), ROWS_A_TABLE))
    for page in pages:
        print_rows(columns, rows(page), options)
    if count:
        print(summary(count) + (", and there are more: --all lists them" if has_more else ""))
    else:
        print_rows(columns, (), options)


def add_limit(verb: argparse.ArgumentParser, first: str) -> "argparse._MutuallyExclusiveGroup":
    """Add how many are wanted, and return the choice for what else goes without a limit; ``first`` of them."""
    how_many = verb.add_mutually_exclusive_group()
    how_many.add_argument("--limit", type=int, metavar="N", help="how many at most")
    how_many.add_argument("--all", action="store_true", help=f"more than the {first} {ROWS_SHOWN} on a screen")
    return how_many


def _progress_beside_rows(total: int | None) -> AbstractContextManager[Progress]:
    """No progress between the rows of a terminal."""
    return nullcontext(no_progress) if sys.stdout.isatty() else progress(total)


def _summary(counts: Counter[str]) -> str:
    return counted(counts.total(), "change") + (f": {statuses_text(counts)}" if counts else "")
