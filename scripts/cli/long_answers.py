"""Answers of any number of changes: printed as they come with --csv and --json, the first of them on a screen.

Each ends with how many there are of each status: on standard error where the answer itself is CSV.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from cli.output import counted, note, print_json_rows, print_rows, statuses_text
from cli.progress import progress
from inventory_updater.dynamodb.pacing import batched
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
    of_none: str = "",
    is_shown: Callable[[Document], bool] = lambda _document: True,
) -> Counter[str]:
    """Print changes, and return how many there are of each status.

    Args:
        documents: gives them, and tells how far it is.
        columns: of the table and of the CSV.
        options: ``csv``, ``json``, and ``all`` for more than the first on a screen.
        total: how many there will be, if that is known.
        of_none: what the last line says where there are none.
        is_shown: whether one is worth a line on a screen.
    """
    counts: Counter[str] = Counter()

    def all_of_them(tell: Progress) -> Iterator[Document]:
        for each in documents(tell):
            counts[str(each["status"])] += 1
            yield each

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
        note(_summary(counts, of_none))
        return counts
    if options.all:
        with _progress_beside_rows(total) as tell:
            for page in batched(filter(is_shown, all_of_them(tell)), ROWS_A_TABLE):
                print_rows(columns, map(row, page), options)
        print(_summary(counts, of_none))
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
    print(_summary(counts, of_none) + (f"; {more:,} more of them with --all or --csv" if more else ""))
    return counts


def _progress_beside_rows(total: int | None) -> AbstractContextManager[Progress]:
    """No progress between the rows of a terminal."""
    return nullcontext(no_progress) if sys.stdout.isatty() else progress(total)


def _summary(counts: Counter[str], of_none: str) -> str:
    return counted(counts.total(), "change") + (f": {statuses_text(counts)}" if counts else of_none)
