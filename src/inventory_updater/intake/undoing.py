"""Undoing: what took effect is taken back by changes of its own, which are scheduled like any other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, batched, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.gathering import Gathered
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.intake.withdrawing import cancel_changes, saying
from inventory_updater.intake.writing import Progress, no_progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.changes import Change
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem, ItemKey
from inventory_updater.stock.undoing import EndsWindow, Left, Undoing, undo_id, undoings
from inventory_updater.tables.change_table import ChangeTable, Name
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.protocol import Protocol

SCHEDULED: Final = "SCHEDULED"
"""Another change is scheduled that undoes it."""
WINDOW_ENDED: Final = "WINDOW_ENDED"
UNDONE: Final = "UNDONE"
"""That was done before."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What is done about a change that is not wanted any more.

    Attributes:
        status: ``SCHEDULED``, ``WINDOW_ENDED``, ``UNDONE``; else why it is left.
        change: what undoes it.
        message: why it is left, or what has undone it.
    """

    name: Name
    status: str
    change: Change | None = None
    message: str | None = None


class _Row(NamedTuple):
    key: ItemKey
    change: Change


def applied_by(jobs: JobTable, job_id: str) -> Iterator[Name]:
    """What took effect by a job: what it applied, and the windows that it opened."""
    return (
        (each.key, each.change_id) for each in jobs.settled(job_id) if each.outcome in (Status.APPLIED, Status.OPEN)
    )


def of_source(changes: ChangeTable, source: str, *, progress: Progress = no_progress) -> Iterator[Name]:
    """All changes that came from a source, whatever became of them; the whole table is looked through for them.

    Raises:
        RefusedError: where there is none.
    """
    return saying(source, told(changes.sources(), "looking through all changes", progress), "no change has the source")


def undo_changes(
    protocol: Protocol,
    names: Iterable[Name],
    clock: Callable[[], str],
    *,
    is_written: bool = True,
    progress: Progress = no_progress,
) -> Iterator[Undone]:
    """Undo changes, item by item; any number.

    Args:
        protocol: its ``by`` says who asks for it: ``{"cancelled_by": ...}``.
        names: what is not wanted any more.
        clock: the stored time; asked for each batch.
        is_written: whether anything is written; if not, it says what would be.
        progress: told how far it is.
    """
    with Gathered() as gathered:
        gathered.add((name, None) for name in told(names, "reading", progress))
        for batch in batched(told(gathered.by_item(), "undoing", progress), READ_LIMIT):
            moment = clock()
            planned = list(_planned(protocol, [(key, list(ids)) for key, ids in batch], moment))
            yield from _written(protocol, planned, moment) if is_written else planned


def _planned(protocol: Protocol, batch: Sequence[tuple[ItemKey, Sequence[str]]], now: str) -> Iterator[Undone]:
    """What is to be done about changes, item by item; items are read before their records."""
    limits = Limits.for_seconds(PATIENCE_SECONDS)
    items = patiently(partial(protocol.inventory.read_many, [key for key, _ in batch]), limits)
    names = [(key, name) for key, ids in batch for change_id in ids for name in (change_id, undo_id(change_id))]
    stored = patiently(partial(protocol.changes.stored, names), limits)
    for key, ids in batch:
        by = {each: stored[key, undo_id(each)] for each in ids if (key, undo_id(each)) in stored}
        records = [stored[key, each] for each in ids if (key, each) in stored and each not in by]
        found = _undoings(key, items.get(key), records, ids, now)
        for change_id in ids:
            if change_id in by:
                message = f"change {undo_id(change_id)} is {by[change_id].get('status')}"
                yield Undone((key, change_id), UNDONE, message=message)
            else:
                unknown = Left("UNKNOWN", f"there is no change {change_id} of {key}")
                yield _told((key, change_id), found.get(change_id, unknown))


def _undoings(
    key: ItemKey, item: Attributes | None, records: Sequence[Attributes], unwanted: Sequence[str], now: str
) -> Mapping[str, Undoing]:
    state = InvalidItem(key, "UNKNOWN_ITEM", f"there is no item {key}") if item is None else read_state(item)
    if isinstance(state, InvalidItem):
        return {str(each["change_id"]): Left(state.code, state.message) for each in records}
    return undoings(records, unwanted, state, now)


def _told(name: Name, undoing: Undoing) -> Undone:
    match undoing:
        case Left(status, message):
            return Undone(name, status, message=message)
        case EndsWindow():
            return Undone(name, WINDOW_ENDED)
    return Undone(name, SCHEDULED, undoing)


def _written(protocol: Protocol, planned: Sequence[Undone], now: str) -> Iterator[Undone]:
    rows = [_Row(each.name[0], each.change) for each in planned if each.change is not None]
    schedule_changes(
        *(protocol.client, protocol.inventory, protocol.changes, partial(iter, rows), now),
        actor=protocol.by["cancelled_by"],
        source="undo",
        allow_old=True,
    )
    windows = [(each.name, None) for each in planned if each.status == WINDOW_ENDED]
    ended = {each.name: each for each in cancel_changes(protocol, windows, lambda: now)}
    for each in planned:
        window = ended.get(each.name)
        if window is None or window.is_cancelled:
            yield each
        else:
            yield Undone(each.name, window.standing.status, message=window.standing.message)
