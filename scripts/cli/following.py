"""`changes.py status`: what became of the rows of a file."""

import argparse
from typing import Final

from cli.command_line import CommandLine, input_path
from cli.deployments import find_deployment
from cli.input_files import add_reading_options, input_file, reading_of
from cli.long_answers import ROWS_SHOWN, Document, print_changes
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.following import Followed, follow
from inventory_updater.intake.text_rows import ChangeRow

STATUS_COLUMNS: Final = (
    *("change_id", "status", "line", "sku", "location_id", "opened_at", "settled_at", "before", "after"),
    *("job_id", "cancelled_by", "dismissed_at", "code", "message"),
)


def status(options: argparse.Namespace) -> None:
    with input_file(options.file, read_change_file, reading_of(options)) as file:
        rows = file.check()
        changes = find_deployment(options).changes()
        print_changes(
            lambda tell: map(status_of, follow(changes, file.rows(), progress=tell)),
            STATUS_COLUMNS,
            options,
            total=rows,
        )


def status_of(followed: Followed[ChangeRow]) -> Document:
    """A row of a file as it is told."""
    row, standing = followed.row, followed.standing
    told = {name: (followed.record or {}).get(name) for name in STATUS_COLUMNS}
    place = {"change_id": row.change.change_id, **row.key._asdict(), "line": row.line}
    return told | place | {"status": standing.status, "message": standing.message or told["message"]}


def add_status(line: CommandLine) -> None:
    verb = line.add_verb(
        "status",
        status,
        "say what became of each row of a file",
        "UNKNOWN is what has no record: it was never scheduled, or was settled so long ago that it is forgotten. TAKEN "
        f"is what has another content than the record of its id. A screen has the first {ROWS_SHOWN} rows.",
        has_rows=True,
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the change file; - is standard input")
    verb.add_argument("--all", action="store_true", help=f"more than the first {ROWS_SHOWN} rows on a screen")
    add_reading_options(verb, of_changes=True)
