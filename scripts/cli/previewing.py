"""Previews: what a job, or the changes of a file, would do, without a write."""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from cli.command_line import CommandLine, input_path, time_of
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError
from cli.input_files import InputFile, add_reading_options, input_file, reading_of
from cli.output import note, print_json, print_rows, print_screen, statuses_text, view_of
from cli.preview_screens import ITEM_COLUMNS, item_row, judgement_screen
from cli.progress import progress
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.previewing import Preview, Told
from inventory_updater.intake.refusals import Refusals
from inventory_updater.intake.scheduling import Scheduling
from inventory_updater.intake.text_rows import ChangeRow
from inventory_updater.intake.writing import Progress, no_progress
from inventory_updater.stock.guards import UNUSUAL
from inventory_updater.stock.items import InvalidItem
from inventory_updater.stock.judging import Judgement, judgement_document


def preview_job(options: argparse.Namespace) -> None:
    as_of = _as_of(options) or now()
    deployment = find_deployment(options)
    with progress() as tell:
        preview = _preview(deployment, as_of, tell)
        _print(preview.of_job(is_scanned=options.scope == "all"), as_of, options)


def preview_file(options: argparse.Namespace) -> None:
    as_of = _as_of(options)
    with input_file(options.file, read_change_file, reading_of(options)) as file:
        rows = file.check()
        as_of = as_of or once_all_is_due(file)
        deployment = find_deployment(options)
        with progress(rows) as tell:
            unusual = _unusual(file, deployment, tell)
            _print(_preview(deployment, as_of, tell).of_rows(file.rows()), as_of, options, unusual)


def _unusual(file: InputFile[ChangeRow], deployment: Deployment, tell: Progress) -> Mapping[str, int]:
    """How many rows of a file are unusual, so that it would be held if it were scheduled: by code."""
    codes = Counter[str]()
    # What is wrong, and not only unusual, is for schedule to say.
    scheduling = Scheduling(
        *(deployment.dynamodb(), deployment.inventory(), deployment.changes(), file.rows, now()),
        actor="",
        source="",
        allow_old=True,
        create_missing=True,
        guards=deployment.guards(),
        progress=tell,
    )
    scheduling.check(Refusals(lambda refusal: codes.update({refusal.code} & UNUSUAL)))
    return codes


def refuse_another_plan(file: InputFile[ChangeRow], deployment: Deployment, plan_id: str) -> None:
    """
    Raises:
        InputError: where the changes of a file would not do any more what a preview has said.
    """
    judged = Judgement()
    for told in _preview(deployment, once_all_is_due(file)).of_rows(file.rows()):
        judged.add(told)
    if judged.plan_id != plan_id:
        raise InputError(
            f"--plan-id: {file.name} would do something else than the preview {plan_id} has said, since the file, an "
            f"item or what waits for it is not as it was; look at it again: changes.py preview (now {judged.plan_id})"
        )


def once_all_is_due(file: InputFile[ChangeRow]) -> str:
    """The moment at which the last change of a file takes effect, and not before now."""
    return max(now(), max((row.change.effective_at for row in file.rows()), default=""))


def _preview(deployment: Deployment, as_of: str, tell: Progress = no_progress) -> Preview:
    allow_negative_stock = deployment.parameters["AllowNegativeStock"] == "true"
    return Preview(deployment.inventory(), deployment.changes(), as_of, now(), allow_negative_stock, tell)


def _print(
    told: Iterable[Told], as_of: str, options: argparse.Namespace, unusual: Mapping[str, int] | None = None
) -> None:
    judged = Judgement()

    def rows() -> Iterator[list[object]]:
        for each in told:
            judged.add(each)
            if isinstance(each, InvalidItem) or each.differs or each.decided:
                yield item_row(each)

    if options.csv:
        print_rows(ITEM_COLUMNS, rows(), options)
        if unusual:
            note(f"schedule would hold the file, since rows are unusual: {statuses_text(unusual)}")
        note(f"{judged.changed:,} of {judged.items:,} items would change; plan id {judged.plan_id}")
        return
    for _ in rows():
        pass
    if options.json:
        print_json(judgement_document(judged, as_of, unusual), options)
    else:
        print_screen(judgement_screen(judged, as_of, view_of(options), unusual), view_of(options))


def _as_of(options: argparse.Namespace) -> str | None:
    return None if options.as_of is None else time_of("--as-of", options.as_of)


def add_preview(line: CommandLine) -> None:
    """The preview of a file of changes."""
    verb = line.add_verb(
        "preview",
        preview_file,
        "show what the changes of a file would do, without a write",
        "They are planned as a job would plan them, beside what waits for the same items already. With --csv: a row "
        "for each item that would change. schedule --plan-id refuses what is not any more as it was shown.",
        has_rows=True,
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the change file; - is standard input")
    verb.add_argument(
        "--as-of", metavar="TIME", help="what would be at this time (default: once the last change has taken effect)"
    )
    add_reading_options(verb, of_changes=True)


def add_job_preview(line: CommandLine) -> None:
    """The preview of what jobs would do."""
    verb = line.add_verb(
        "preview",
        preview_job,
        "show what jobs would do until a time, without a write",
        "Of the future, items are looked at whenever something of them is due, as the schedule will. With --csv: a row "
        "for each item that would change.",
        has_rows=True,
    )
    verb.add_argument(
        "--scope",
        choices=("due", "all"),
        default="due",
        help="due: the items with changes that are due then (default); all: those too whose derived figures are wrong",
    )
    verb.add_argument("--as-of", metavar="TIME", help="until when, in the past or the future (default: now)")
