"""Changes: schedule a file, list changes, show one; retry and dismiss."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from cli.cancelling import add_cancel
from cli.change_screens import CSV_COLUMNS, LIST_COLUMNS, Document, change_screen, document_of
from cli.command_line import CommandLine, add_item_options, check_item_options, filled, input_path
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError
from cli.exit_codes import EXIT_DONE
from cli.following import add_status
from cli.input_files import (
    add_checking_options,
    add_reading_options,
    check_outputs,
    input_file,
    print_taken,
    reading_of,
    settle_problems,
)
from cli.long_answers import ROWS_SHOWN, add_limit, limit_of, print_first
from cli.output import counted, print_json, print_rows, print_screen, statuses_text, view_of
from cli.previewing import add_preview, refuse_another_plan
from cli.progress import progress
from cli.undoing import add_undo
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.refusals import RefusedError
from inventory_updater.intake.scheduling import Scheduling
from inventory_updater.intake.withdrawing import (
    Named,
    Outcomes,
    dismiss_changes,
    find,
    retry_changes,
    retry_job,
)
from inventory_updater.intake.writing import Progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.tables.change_table import REJECTED_SHARD, ChangeTable, Name
from inventory_updater.tables.records import JobStatus


def schedule(options: argparse.Namespace) -> int:
    check_outputs(options)
    with input_file(options.file, read_change_file, reading_of(options)) as file:
        if not file.begins_well():
            settle_problems(file, options)
        deployment = find_deployment(options)
        scheduling = Scheduling(
            deployment.dynamodb(),
            deployment.inventory(),
            deployment.changes(),
            file.rows,
            now(),
            actor=deployment.caller(),
            source=file.source,
            create_missing=options.create_missing,
            allow_old=options.allow_old,
            guards=None if options.accept_unusual else deployment.guards(),
            old_hint=" (--allow-old takes it all the same)",
        )
        with progress() as tell:
            file.check_with(replace(scheduling, progress=tell))
        left_out = settle_problems(file, options)
        if options.check:
            return EXIT_DONE
        if options.plan_id is not None:
            refuse_another_plan(file, deployment, options.plan_id)
        with progress(file.good) as tell:
            report = replace(scheduling, progress=tell, left_out=left_out).write()
    known = sum(report.known.values())
    document = {
        "added": report.added,
        "known": known,
        "known_by_status": report.known,
        "items": report.items,
        "items_made": report.items_made,
    }
    sentence = f"{counted(report.added, 'change')} added for {counted(report.items, 'item')}"
    if report.items_made:
        sentence += f", {report.items_made:,} of them new"
    if known:
        sentence += f"; {known:,} known already: {statuses_text(report.known)}"
    return print_taken(document, sentence, file, options)


# Looking


def list_changes(options: argparse.Namespace) -> None:
    if options.location is not None and options.sku is None:
        raise InputError("--location goes with --sku")
    limit = limit_of(options)
    columns = CSV_COLUMNS if options.csv else LIST_COLUMNS
    deployment = find_deployment(options)

    def documents(tell: Progress) -> Iterator[Document]:
        return told(_listed(deployment, options), "reading", tell)

    print_first("changes", documents, columns, limit, options, lambda count: counted(count, "change"))


def _listed(deployment: Deployment, options: argparse.Namespace) -> Iterator[Document]:
    """The changes that are asked for, read as they are taken."""
    which = options.which or ("pending" if options.sku is None else "all")
    moment = now()
    if options.sku is None:
        found = _of_all_items(deployment.changes(), which, moment)
    else:
        found = iter(sorted(_of_items(deployment, options.sku, options.location), key=_by_time))
    return (document_of(name, attributes) for name, attributes in found if _is_meant(attributes, which, moment))


def _of_all_items(changes: ChangeTable, which: str, moment: str) -> Iterator[tuple[Name, Attributes]]:
    names = changes.rejected() if which == "rejected" else changes.waiting(moment if which == "due" else None)
    for batch in batched(names, READ_LIMIT):
        yield from changes.stored(batch, is_consistent=False).items()


def _of_items(deployment: Deployment, sku: str, location_id: str | None) -> Iterator[tuple[Name, Attributes]]:
    if location_id is not None:
        keys: Iterable[ItemKey] = [ItemKey(sku, location_id)]
    else:
        keys = map(read_key, deployment.inventory().items_of_sku(sku))
    changes = deployment.changes()
    for key in keys:
        for attributes in changes.stored_of(key):
            yield (key, str(attributes["change_id"])), attributes


def _by_time(found: tuple[Name, Attributes]) -> tuple[str, Name]:
    name, attributes = found
    return str(attributes.get("effective_at")), name


def _is_meant(attributes: Attributes, which: str, moment: str) -> bool:
    """Whether a change is one of those; the index may name one that has gone on a moment ago."""
    if which == "rejected":
        return attributes.get("due_shard") == REJECTED_SHARD
    record = read_record(attributes)
    return which == "all" or (not record.status.is_final and (which == "pending" or record.due_at <= moment))


def show(options: argparse.Namespace) -> None:
    if options.sku is not None and options.location_id is None:
        raise InputError("SKU and LOCATION go together: they name one item")
    changes = find_deployment(options).changes()
    named = None if options.sku is None else ItemKey(options.sku, options.location_id)
    key = named or _item_of(options.change_id, changes)
    name = (key, options.change_id)
    attributes = changes.stored([name]).get(name)
    if attributes is None:
        raise InputError(f"there is no change {options.change_id} of {key}")
    document = document_of(name, attributes)
    if options.json:
        print_json(document, options)
    else:
        print_screen(change_screen(document, view_of(options)), view_of(options))


def _item_of(change_id: str, changes: ChangeTable) -> ItemKey:
    """The item of a change that waits or was rejected: the index knows no other."""
    waiting_and_rejected = chain(changes.waiting(), changes.rejected())
    try:
        with progress() as tell:
            (key,) = find(waiting_and_rejected, [change_id], "waiting or rejected", progress=tell)
    except RefusedError as error:
        if error.refusals[0].code != "UNKNOWN_CHANGE":
            raise
        raise InputError(f"{error}; one that is settled is found by its item: show ID SKU LOCATION") from None
    return key


# Withdrawing


def retry(options: argparse.Namespace) -> None:
    check_item_options(options)
    if options.job_id is not None and options.sku is not None:
        raise InputError("--sku and --location go with --id")
    deployment = find_deployment(options)
    with progress() as tell:
        outcomes = _retried(deployment, options, tell)
    _print_outcomes(outcomes, options)


def _retried(deployment: Deployment, options: argparse.Namespace, tell: Progress) -> Outcomes:
    client, changes = deployment.dynamodb(), deployment.changes()
    if options.job_id is None:
        return retry_changes(client, changes, _named(options, changes.rejected, "rejected", tell), now(), progress=tell)
    job = deployment.jobs().run(options.job_id)
    if job is not None and job.status is JobStatus.RUNNING:
        raise InputError(f"job {job.job_id} is still running: retry what it rejected when it has ended")
    since = None if job is None else job.started_at
    outcomes = retry_job(client, changes, options.job_id, now(), since=since, progress=tell)
    if job is None and not outcomes:
        raise InputError(f"there is no job {options.job_id}")
    return outcomes


def dismiss(options: argparse.Namespace) -> None:
    check_item_options(options)
    deployment = find_deployment(options)
    changes = deployment.changes()
    with progress() as tell:
        named = _named(options, changes.rejected, "rejected", tell)
        actor = deployment.caller()
        outcomes = dismiss_changes(deployment.dynamodb(), changes, named, now(), actor=actor, progress=tell)
    _print_outcomes(outcomes, options, {Status.REJECTED.value: "dismissed"})


def _named(options: argparse.Namespace, among: Callable[[], Iterable[Name]], state: str, tell: Progress) -> Named:
    """The changes of the command line, by item."""
    if options.sku is not None:
        return {ItemKey(options.sku, options.location): tuple(dict.fromkeys(options.change_ids))}
    return find(among(), options.change_ids, state, progress=tell)


def _print_outcomes(outcomes: Outcomes, options: argparse.Namespace, words: Mapping[str, str] | None = None) -> None:
    """Print what each change is now; ``words`` say it where the status alone does not."""
    statuses = [status.value if status else None for status in outcomes.values()]
    if options.json:
        changes = [
            {"change_id": change_id, **key._asdict(), "status": status}
            for (key, change_id), status in zip(outcomes, statuses, strict=True)
        ]
        print_json({"changes": changes, "by_status": Counter(status or "GONE" for status in statuses)}, options)
        return
    said = [(words or {}).get(status, status) if status else "gone" for status in statuses]
    if said:
        rows = [(change_id, status, *key) for (key, change_id), status in zip(outcomes, said, strict=True)]
        print_rows(("change_id", "status", "sku", "location_id"), rows[:ROWS_SHOWN], options)
    print(counted(len(said), "change") + (f": {statuses_text(Counter(said))}" if said else ": there is nothing to do"))


def commands() -> CommandLine:
    line = CommandLine("Schedule changes, list them, show one; cancel some that wait, retry or dismiss rejected ones.")
    verb = line.add_verb(
        "schedule",
        schedule,
        "schedule the changes of a file",
        "The whole file, and every item that it names, is checked first: one problem, and nothing is written; all "
        "problems are told, and so is what is unusual by the stack's guards. What is known already with the same "
        "content is left alone, so a file may be sent again.",
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the change file; - is standard input")
    verb.add_argument(
        "--create-missing", action="store_true", help="make items that are not there, with nothing on hand"
    )
    verb.add_argument(
        "--plan-id", type=filled, metavar="ID", help="only if the file would still do what the preview of this id said"
    )
    verb.add_argument(
        "--allow-old",
        action="store_true",
        help="take changes so old that they may have been settled and forgotten already",
    )
    verb.add_argument("--accept-unusual", action="store_true", help="what the stack's guards hold is meant: take it")
    add_checking_options(verb)
    add_reading_options(verb, of_changes=True)

    add_preview(line)

    verb = line.add_verb(
        "list",
        list_changes,
        "list changes, the earliest first",
        "Without a choice: all of the item that is named, else the pending ones. A screen has the first "
        f"{ROWS_SHOWN}, --csv and --json have all of them.",
        has_rows=True,
    )
    which = verb.add_mutually_exclusive_group()
    for name, meaning in (
        ("pending", "those that wait for a job, and the windows that are open"),
        ("due", "those that the next job settles"),
        ("rejected", "those that could not be applied and need somebody, the latest first"),
    ):
        which.add_argument(f"--{name}", dest="which", action="store_const", const=name, help=meaning)
    verb.add_argument("--sku", type=filled, metavar="SKU", help="only those of this sku, at whatever location")
    verb.add_argument("--location", type=filled, metavar="LOCATION", help="with --sku: only those of this item")
    add_limit(verb, "first")

    verb = line.add_verb(
        "show",
        show,
        "show a change: what it is, who asked for it, and what became of it",
        "While it waits, and when it was rejected, its id is enough; otherwise its item has to be named.",
    )
    verb.add_argument("change_id", type=filled, metavar="ID")
    verb.add_argument("sku", nargs="?", type=filled, metavar="SKU")
    verb.add_argument("location_id", nargs="?", type=filled, metavar="LOCATION")

    add_status(line)
    add_cancel(line)
    add_undo(line)

    verb = line.add_verb(
        "retry",
        retry,
        "let rejected changes wait again",
        "Once there is enough on hand, for example, the next job applies them.",
    )
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("job_id", nargs="?", type=filled, metavar="JOB_ID", help="all that this job rejected")
    which.add_argument("--id", dest="change_ids", nargs="+", type=filled, metavar="ID", help="these changes")
    add_item_options(verb)

    verb = line.add_verb(
        "dismiss",
        dismiss,
        "put aside rejected changes that will never be wanted",
        "They stay REJECTED, and are no longer among those that need somebody.",
    )
    verb.add_argument("change_ids", nargs="+", type=filled, metavar="ID", help="the change's id")
    add_item_options(verb)
    return line
