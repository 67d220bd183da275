"""`changes.py undo`: what took effect is taken back by changes of its own; of everything else it is said why not."""

import argparse
from collections.abc import Iterator

from cli.command_line import CommandLine, add_item_options, check_item_options, filled, input_path
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError
from cli.exit_codes import EXIT_DONE, EXIT_FAILED
from cli.input_files import add_reading_options, input_file, reading_of
from cli.long_answers import ROWS_SHOWN, Document, print_changes
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.scheduling import origin_of
from inventory_updater.intake.undoing import (
    SCHEDULED,
    UNDONE,
    WINDOW_ENDED,
    Undone,
    applied_by,
    of_source,
    undo_changes,
)
from inventory_updater.intake.writing import Progress
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.change_table import Name

COLUMNS = ("change_id", "status", "sku", "location_id", "kind", "value", "message")


def undo(options: argparse.Namespace) -> int:
    check_item_options(options)
    ways = (bool(options.change_ids), *(each is not None for each in (options.file, options.job, options.source)))
    if sum(ways) != 1:
        raise InputError("name what to undo in one way: by ID..., --file, --job or --source")
    if bool(options.change_ids) != (options.sku is not None):
        raise InputError("ID... goes with --sku and --location: what is settled is found by its item")
    if options.file is None:
        deployment = find_deployment(options)
        if options.job is not None and deployment.jobs().run(options.job) is None:
            raise InputError(f"there is no job {options.job}")
        return _undo(deployment, options)
    with input_file(options.file, read_change_file, reading_of(options)) as file:
        rows = file.check()
        names = ((row.key, row.change.change_id) for row in file.rows())
        return _undo(find_deployment(options), options, names, rows)


def _undo(
    deployment: Deployment, options: argparse.Namespace, names: Iterator[Name] | None = None, total: int | None = None
) -> int:
    protocol = deployment.protocol()

    def documents(tell: Progress) -> Iterator[Document]:
        wanted = names or _named(deployment, options, tell)
        return map(undone_of, undo_changes(protocol, wanted, now, is_written=not options.check, progress=tell))

    counts = print_changes(documents, COLUMNS, options, total=total)
    return EXIT_DONE if counts.keys() <= {SCHEDULED, WINDOW_ENDED, UNDONE} else EXIT_FAILED


def _named(deployment: Deployment, options: argparse.Namespace, tell: Progress) -> Iterator[Name]:
    if options.job is not None:
        return applied_by(deployment.jobs(), options.job)
    if options.source is not None:
        return of_source(deployment.changes(), origin_of(options.source), progress=tell)
    return iter([(ItemKey(options.sku, options.location), each) for each in dict.fromkeys(options.change_ids)])


def undone_of(undone: Undone) -> Document:
    """What is done about a change, as it is told; kind and value are of the change that undoes it."""
    key, change_id = undone.name
    told: dict[str, object] = {"change_id": change_id, **key._asdict(), "status": undone.status}
    if undone.change is not None:
        told |= {"kind": undone.change.kind, "value": undone.change.value}
    return told | ({} if undone.message is None else {"message": undone.message})


def add_undo(line: CommandLine) -> None:
    verb = line.add_verb(
        "undo",
        undo,
        "take back what was applied, by changes that the next job applies",
        "An adjustment is undone by its opposite, a count by the difference that it made, a setting by the value "
        "before it while what it set is still there; an open window ends at once. What others have sold stays "
        "sold, and nothing is undone twice. Of what is left it says why, and the exit code is 1. For --source all "
        "changes that are kept are read, which takes and costs as much as there are many; --file reads its own only.",
        has_rows=True,
    )
    verb.add_argument("change_ids", nargs="*", type=filled, metavar="ID", help="the change's id")
    verb.add_argument("--file", type=input_path, metavar="FILE", help="the rows of a change file; - is standard input")
    verb.add_argument("--job", type=filled, metavar="JOB_ID", help="all that this job applied")
    verb.add_argument("--source", type=filled, metavar="NAME", help="what came in a file or from a system of this name")
    verb.add_argument("--check", action="store_true", help="only say what would be done; write nothing")
    verb.add_argument("--all", action="store_true", help=f"more than the first {ROWS_SHOWN} rows on a screen")
    add_item_options(verb)
    add_reading_options(verb, of_changes=True)
