"""`changes.py cancel`: what still waits is cancelled, of everything else it is said why not."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final

from cli.command_line import CommandLine, add_item_options, check_item_options, filled, input_path
from cli.deployments import find_deployment, now
from cli.errors import InputError, ProblemsFound
from cli.exit_codes import EXIT_DONE, EXIT_FAILED
from cli.input_files import InputFile, add_reading_options, input_file, reading_of
from cli.long_answers import ROWS_SHOWN, Document, print_changes
from cli.progress import progress
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.refusals import Refusal
from inventory_updater.intake.scheduling import origin_of
from inventory_updater.intake.text_rows import ChangeRow
from inventory_updater.intake.withdrawing import Cancelled, Wanted, cancel_changes, find_each, find_waiting
from inventory_updater.intake.writing import Progress
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.items import ItemKey

COLUMNS: Final = ("change_id", "status", "sku", "location_id", "message")


def cancel(options: argparse.Namespace) -> int:
    check_item_options(options)
    ways = (bool(options.change_ids), *(each is not None for each in (options.file, options.source, options.reference)))
    if sum(ways) != 1:
        raise InputError("name what to cancel in one way: by ID..., --file, --source or --reference")
    if options.sku is not None and not options.change_ids:
        raise InputError("--sku and --location go with ID...")
    if options.change_ids:
        return _cancel_named(options)
    with _file(options) as file:
        rows = None if file is None else file.check()
        deployment = find_deployment(options)

        def documents(tell: Progress) -> Iterator[Document]:
            if file is not None:
                wanted: Iterator[Wanted] = (((row.key, row.change.change_id), row.change) for row in file.rows())
                return map(cancelled_of, cancel_changes(deployment.protocol(), wanted, now, progress=tell))
            found = find_waiting(deployment.changes(), *_said(options), progress=tell)
            return map(
                cancelled_of,
                cancel_changes(deployment.protocol(), ((name, None) for name in found), now),
            )

        counts = print_changes(
            documents,
            COLUMNS,
            options,
            total=rows,
            is_shown=lambda each: each["status"] != Status.CANCELLED,
        )
    return EXIT_DONE if counts.keys() <= {Status.CANCELLED.value} else EXIT_FAILED


@contextmanager
def _file(options: argparse.Namespace) -> Iterator[InputFile[ChangeRow] | None]:
    if options.file is None:
        yield None
        return
    with input_file(options.file, read_change_file, reading_of(options)) as file:
        yield file


def _said(options: argparse.Namespace) -> tuple[str, str]:
    """What the record of a change says that is meant."""
    return ("source", origin_of(options.source)) if options.source is not None else ("reference", options.reference)


def _cancel_named(options: argparse.Namespace) -> int:
    """Cancel what is named by its id; where there is nothing of it to cancel, that is bad input."""
    deployment = find_deployment(options)
    ids = tuple(dict.fromkeys(options.change_ids))
    refused: tuple[Refusal, ...] = ()
    with progress() as tell:
        if options.sku is not None:
            named = {ItemKey(options.sku, options.location): ids}
        else:
            found, refusals = find_each(deployment.changes().waiting(), ids, "waiting", progress=tell)
            named = {key: tuple(each) for key, each in found.items()}
            refused = tuple(refusals.kept)
        wanted: list[Wanted] = [((key, change_id), None) for key, each in named.items() for change_id in each]
        outcomes = list(cancel_changes(deployment.protocol(), wanted, now, progress=tell)) if wanted else []
    if not any(each.was_waiting or each.is_cancelled for each in outcomes):
        problems = [*(each.standing.message or "" for each in outcomes), *(each.message for each in refused)]
        raise ProblemsFound(problems, len(problems))
    print_changes(lambda _tell: chain(map(cancelled_of, outcomes), map(_refused, refused)), COLUMNS, options)
    return EXIT_DONE if not refused and all(each.is_cancelled for each in outcomes) else EXIT_FAILED


def cancelled_of(outcome: Cancelled) -> Document:
    """What became of a change, as it is told."""
    key, change_id = outcome.name
    told = {"change_id": change_id, **key._asdict(), "status": outcome.standing.status}
    return told | ({} if outcome.standing.message is None else {"message": outcome.standing.message})


def _refused(refusal: Refusal) -> Document:
    """An id of which not one item has a change that waits."""
    status = refusal.code.removesuffix("_CHANGE")
    return {"change_id": str(refusal.row), "status": status, "message": refusal.message}


def add_cancel(line: CommandLine) -> None:
    verb = line.add_verb(
        "cancel",
        cancel,
        "cancel changes that wait, and end windows that are open",
        "Each is cancelled by itself. Of what does not wait any more, is not known or is another change, the answer "
        f"says so, and the exit code is 1. A screen has the first {ROWS_SHOWN} of these; of ids, also the cancelled.",
        has_rows=True,
    )
    verb.add_argument("change_ids", nargs="*", type=filled, metavar="ID", help="the change's id")
    verb.add_argument("--file", type=input_path, metavar="FILE", help="the rows of a change file; - is standard input")
    verb.add_argument("--source", type=filled, metavar="NAME", help="what came in a file or from a system of this name")
    verb.add_argument("--reference", type=filled, metavar="TEXT", help="what has exactly this as its reference")
    verb.add_argument("--all", action="store_true", help=f"more than the first {ROWS_SHOWN} rows on a screen")
    add_item_options(verb)
    add_reading_options(verb, of_changes=True)
