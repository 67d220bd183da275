"""Changes: schedule a file, cancel, list, and retry what a job rejected."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from operator import itemgetter
from typing import Any, Final

from cli.command_line import CommandLine, filled, input_file
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError
from cli.output import counted, note, print_answer, print_json, print_rows
from cli.progress import progress
from inventory_updater.intake.csv_format import CsvError, read_change_file
from inventory_updater.intake.operations import (
    Progress,
    RefusedError,
    cancel_changes,
    retry_changes,
    schedule_changes,
    told_while_reading,
)
from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError
from inventory_updater.stock.changes import ItemChanges, read_changes
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.records import JobStatus

ROWS_SHOWN: Final = 100
COLUMNS: Final = ("change_id", "sku", "location_id", "kind", "value", "effective_at")
OF_A_PENDING: Final = ("reason", "reference")
OF_A_REJECTED: Final = ("code", "message", "job_id")


def schedule(options: argparse.Namespace) -> None:
    with progress() as tell:
        tell("reading the file", 0)
        rows = read_change_file(options.file)
    inventory = find_deployment(options).inventory()
    with progress(len({row.key for row in rows})) as tell:
        try:
            report = schedule_changes(
                inventory,
                ((row.key, row.change) for row in rows),
                now,
                create_missing=options.create_missing,
                allow_old=options.allow_old,
                progress=tell,
            )
        except RefusedError as error:
            line_of_id = {row.change.change_id: row.line for row in rows}
            line = line_of_id.get(error.refusal.change_id or "")
            raise CsvError(options.file, str(error), line) from None
    sentence = (
        f"{counted(report.scheduled, 'change')} scheduled for {counted(report.items, 'item')}; "
        f"{report.duplicates:,} already known"
    )
    print_answer(asdict(report), sentence, options)


def cancel(options: argparse.Namespace) -> None:
    if (options.sku is None) != (options.location is None):
        raise InputError("--sku and --location go together: they name one item")
    key = None if options.sku is None else ItemKey(options.sku, options.location)
    inventory = find_deployment(options).inventory()
    with progress() as tell:
        cancelled = cancel_changes(inventory, options.change_ids, now, key=key, progress=tell)
    changes = [
        {"change_id": change_id, "sku": item.sku, "location_id": item.location_id}
        for item, change_ids in cancelled.items()
        for change_id in change_ids
    ]
    document = {"cancelled": len(changes), "items": len(cancelled), "changes": changes}
    sentence = f"{counted(len(changes), 'change')} cancelled in {counted(len(cancelled), 'item')}"
    print_answer(document, sentence, options)


def list_changes(options: argparse.Namespace) -> None:
    deployment = find_deployment(options)
    with progress() as tell:
        listed = sorted(_listed(deployment, options, tell), key=itemgetter("effective_at", "sku", "location_id"))
    if options.json:
        print_json({"changes": listed}, options)
        return
    shown = listed if options.all or options.csv else listed[:ROWS_SHOWN]
    columns = COLUMNS + (OF_A_REJECTED if options.which == "rejected" else OF_A_PENDING)
    print_rows(columns, [[change.get(name) for name in columns] for change in shown], options)
    if not options.csv:
        hidden = len(listed) - len(shown)
        print(counted(len(listed), "change") + (f", {hidden:,} not shown: --all shows them" if hidden else ""))


def _listed(deployment: Deployment, options: argparse.Namespace, tell: Progress) -> Iterator[dict[str, Any]]:
    moment = now()
    items = _items(deployment.inventory(), options.which, options.sku, moment)
    for attributes in told_while_reading(items, tell):
        key = read_key(attributes)
        try:
            changes = read_changes(attributes)
        except UnreadableAttributeError as error:
            note(f"left out: item {key} cannot be read: {error}")
            continue
        for change_id, stored in _chosen(changes, options.which, moment):
            yield {"change_id": change_id, **key._asdict(), **stored}


def _items(inventory: InventoryTable, which: str, sku: str | None, moment: str) -> Iterable[Attributes]:
    if sku is not None:
        return inventory.items_of_sku(sku)
    if which == "rejected":
        return inventory.scan("all")
    return inventory.scan("due", moment) if which == "due" else inventory.scan("due")


def _chosen(changes: ItemChanges, which: str, moment: str) -> Iterator[tuple[str, Attributes]]:
    if which == "rejected":
        yield from ((name, rejection.to_map()) for name, rejection in changes.rejected.items())
    else:
        for name, change in changes.pending.items():
            if which == "pending" or change.effective_at <= moment:
                yield name, change.to_map()


def retry(options: argparse.Namespace) -> None:
    deployment = find_deployment(options)
    jobs = deployment.jobs()
    run = jobs.run(options.job_id)
    if run is None:
        raise InputError(f"there is no job {options.job_id}")
    if run.status is JobStatus.RUNNING:
        raise InputError(f"job {run.job_id} is still running: retry what it rejected when it has ended")
    if run.dry_run:
        raise InputError(f"job {run.job_id} was a dry run: what it would have rejected is still pending")
    with progress() as tell:
        report = retry_changes(deployment.inventory(), jobs, run, now, progress=tell)
    sentence = (
        f"{counted(report.retried, 'change')} requeued in {counted(report.items, 'item')}; "
        f"{report.no_longer_remembered:,} no longer remembered by their items"
    )
    print_answer(asdict(report), sentence, options)


def commands() -> CommandLine:
    line = CommandLine("Schedule changes, cancel them, list them, and retry what a job rejected.")
    verb = line.add_verb(
        "schedule",
        schedule,
        "schedule the changes of a file",
        "The whole file, and every item that it names, is checked first: one problem, and nothing is written. Changes "
        "that an item knows already are left alone and counted as duplicates, so a file may be sent again.",
    )
    verb.add_argument("file", type=input_file, metavar="FILE", help="the change file; - is standard input")
    verb.add_argument(
        "--create-missing", action="store_true", help="make items that are not there, with nothing on hand"
    )
    verb.add_argument(
        "--allow-old",
        action="store_true",
        help="take changes so old that their item may have applied and forgotten them already",
    )

    verb = line.add_verb("cancel", cancel, "cancel pending changes")
    verb.add_argument("change_ids", nargs="+", type=filled, metavar="ID", help="the change's id")
    verb.add_argument("--sku", metavar="SKU", help="with --location: the item, where the id is pending in several")
    verb.add_argument("--location", metavar="LOCATION")

    verb = line.add_verb(
        "list",
        list_changes,
        "list changes, the earliest first",
        "Without a choice: the pending ones.",
        has_rows=True,
    )
    which = verb.add_mutually_exclusive_group()
    for name, meaning in (
        ("pending", "those that wait for a job"),
        ("due", "those that the next job applies"),
        ("rejected", "those that could not be applied, and why; this reads the whole table"),
    ):
        which.add_argument(f"--{name}", dest="which", action="store_const", const=name, help=meaning)
    verb.add_argument("--sku", metavar="SKU", help="only those of this sku, at whatever location")
    verb.add_argument("--all", action="store_true", help=f"show more than the first {ROWS_SHOWN}")
    verb.set_defaults(which="pending")

    verb = line.add_verb(
        "retry",
        retry,
        "requeue the changes that a job rejected",
        "Once there is enough on hand, for example, the next job applies them.",
    )
    verb.add_argument("job_id", type=filled, metavar="JOB_ID", help="the job that rejected them")
    return line
