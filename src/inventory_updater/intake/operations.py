"""What an operator does to many items at once: schedule, cancel, retry, load.

Everything is read and checked before the first write; one problem, and nothing is written. What another writer
changes between the check and the write is decided again; a crash half-way is mended by doing the same again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError
from inventory_updater.stock.changes import Change, read_changes
from inventory_updater.stock.items import Figures, ItemKey, read_key
from inventory_updater.stock.scheduling import (
    Creation,
    Loading,
    Refusal,
    Scheduling,
    Withdrawal,
    cancel,
    load,
    retry,
    schedule,
)
from inventory_updater.tables.inventory_table import Decide, Decision, InventoryTable, WriteResult
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Run

Progress = Callable[[str, int], None]
"""Told what is being done ("reading", "checking", "writing") and how many items of it are done."""

_READ_AT_ONCE: Final = 100
_TOLD_EVERY: Final = 1_000


class RefusedError(ValueError):
    """Nothing was written, because of this item or change."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class UnfinishedError(Exception):
    """Some items were written and some were not; doing the same again writes the rest."""


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """How many changes were added, how many were there already, and how many items they concern."""

    scheduled: int
    duplicates: int
    items: int


@dataclass(frozen=True, slots=True)
class RetryReport:
    """How many rejected changes were put back, in how many items, and how many the items no longer remember."""

    retried: int
    items: int
    no_longer_remembered: int


def _no_progress(_phase: str, _done: int) -> None:
    pass


def schedule_changes(
    inventory: InventoryTable,
    changes: Iterable[tuple[ItemKey, Change]],
    now: Callable[[], str],
    *,
    create_missing: bool = False,
    allow_old: bool = False,
    progress: Progress = _no_progress,
) -> ScheduleReport:
    """Add changes to their items.

    Raises:
        RefusedError: where one of them cannot be taken; nothing was written then.
        UnfinishedError: where the table did not take every write.
    """
    by_item: dict[ItemKey, list[Change]] = defaultdict(list)
    for key, change in changes:
        by_item[key].append(change)

    def decide(key: ItemKey, attributes: Attributes | None) -> Scheduling | Refusal:
        return schedule(key, attributes, by_item[key], now=now(), create_missing=create_missing, allow_old=allow_old)

    scheduled = duplicates = 0
    for result in _check_and_write(inventory, by_item, decide, progress):
        if isinstance(result.decision, Scheduling):
            scheduled += len(result.decision.scheduled)
            duplicates += len(result.decision.duplicates)
    return ScheduleReport(scheduled, duplicates, len(by_item))


def load_stock(
    inventory: InventoryTable,
    rows: Iterable[tuple[ItemKey, Figures, Mapping[str, str | None]]],
    now: Callable[[], str],
    *,
    replace: bool = False,
    progress: Progress = _no_progress,
) -> int:
    """Make items, or set the columns of those that are there; how many.

    Raises:
        RefusedError: where an item is there already (without ``replace``); nothing was written then.
        UnfinishedError: where the table did not take every write.
    """
    wanted = {key: (figures, texts) for key, figures, texts in rows}

    def decide(key: ItemKey, attributes: Attributes | None) -> Loading | Refusal:
        figures, texts = wanted[key]
        return load(key, attributes, figures, texts, replace=replace, now=now())

    return sum(1 for _ in _check_and_write(inventory, wanted, decide, progress))


def cancel_changes(
    inventory: InventoryTable,
    change_ids: Collection[str],
    now: Callable[[], str],
    *,
    key: ItemKey | None = None,
    progress: Progress = _no_progress,
) -> dict[ItemKey, tuple[str, ...]]:
    """Remove pending changes by id, of the item ``key`` or wherever the index finds them.

    Raises:
        RefusedError: where an id is not pending anywhere, or in several items and none is named.
        UnfinishedError: where the table did not take every write.
    """
    holders: dict[str, list[ItemKey]] = {change_id: [] for change_id in change_ids}
    candidates = _present(inventory.read(key)) if key else inventory.scan("due")
    for attributes in told_while_reading(candidates, progress):
        pending = attributes.get("pending_changes")
        for change_id in holders:
            if isinstance(pending, dict) and change_id in pending:
                holders[change_id].append(read_key(attributes))
    nowhere = key or ItemKey("", "")
    for change_id, keys in holders.items():
        if not keys:
            where = f" in item {key}" if key else ""
            raise RefusedError(
                Refusal(nowhere, "UNKNOWN_CHANGE", f"change {change_id} is not pending{where}", change_id)
            )
        if len(keys) > 1:
            message = f"change {change_id} is pending in {len(keys)} items: name one of {', '.join(map(str, keys[:5]))}"
            raise RefusedError(Refusal(nowhere, "AMBIGUOUS_CHANGE", message, change_id))

    def decide(item_key: ItemKey, attributes: Attributes | None) -> Withdrawal | Refusal:
        try:
            return cancel(item_key, attributes, change_ids, now=now())
        except UnreadableAttributeError as error:
            return Refusal(item_key, error.code, f"item {item_key} cannot be read: {error}")

    items = sorted({keys[0] for keys in holders.values()})
    return {
        result.key: result.decision.change_ids
        for result in _check_and_write(inventory, items, decide, progress)
        if isinstance(result.decision, Withdrawal) and result.decision.change_ids
    }


def retry_changes(
    inventory: InventoryTable, jobs: JobTable, run: Run, now: Callable[[], str], *, progress: Progress = _no_progress
) -> RetryReport:
    """Put the changes that a job rejected back to the pending ones of their items.

    The items are known from the failures that the job recorded; where it recorded only some, or a worker died before
    it recorded its own, the table is scanned.

    Raises:
        RefusedError: where an item cannot take its changes back; nothing was written then.
        UnfinishedError: where the table did not take every write.
    """
    recorded = [failure for failure in jobs.failures(run.job_id) if failure.change_id is not None]
    if run.tally_is_exact and len(recorded) >= run.tally.changes_rejected:
        keys = sorted({ItemKey(failure.sku, failure.location_id) for failure in recorded})
    else:
        items = told_while_reading(inventory.scan("all"), progress)
        keys = sorted(read_key(attributes) for attributes in items if _remembers(attributes, run.job_id))

    def decide(key: ItemKey, attributes: Attributes | None) -> Withdrawal | Refusal:
        return retry(key, attributes, run.job_id, now=now())

    retried = [
        len(result.decision.change_ids)
        for result in _check_and_write(inventory, keys, decide, progress)
        if isinstance(result.decision, Withdrawal) and result.decision.change_ids
    ]
    return RetryReport(sum(retried), len(retried), max(0, run.tally.changes_rejected - sum(retried)))


def told_while_reading(items: Iterable[Attributes], progress: Progress) -> Iterator[Attributes]:
    """``items`` as they come, ``progress`` told after every thousand of them."""
    for number, attributes in enumerate(items, start=1):
        yield attributes
        if number % _TOLD_EVERY == 0:
            progress("reading", number)


DecisionT = TypeVar("DecisionT", bound=Decision)


def _check_and_write(
    inventory: InventoryTable,
    keys: Collection[ItemKey],
    decide: Decide[DecisionT | Refusal],
    progress: Progress,
) -> Iterator[WriteResult[DecisionT | Refusal]]:
    done = 0
    for batch in batched(keys, _READ_AT_ONCE):
        items = inventory.read_many(batch)
        for key in batch:
            decision = decide(key, items.get(key))
            if isinstance(decision, Refusal):
                raise RefusedError(decision)
        done += len(batch)
        progress("checking", done)
    done = 0
    unwritten: list[WriteResult[DecisionT | Refusal]] = []
    for report in inventory.decide_and_write(keys, decide, landed=_has_landed):
        for result in report.results:
            if result.code is not None or isinstance(result.decision, Refusal):
                unwritten.append(result)
            else:
                yield result
        done += len(report.results)
        progress("writing", done)
    if unwritten:
        raise UnfinishedError(_unwritten_message(unwritten, len(keys)))


def _has_landed(decision: Decision, attributes: Attributes) -> bool:
    """Whether an item is what this very write made of it; the version and the moment in it are its own."""
    if decision.write is None:
        return False
    wanted = decision.write.attributes if isinstance(decision.write, Creation) else decision.write.sets
    return all(attributes.get(name) == value for name, value in wanted.items())


def _unwritten_message(unwritten: "Sequence[WriteResult[DecisionT | Refusal]]", total: int) -> str:
    first = unwritten[0]
    why = first.decision.message if isinstance(first.decision, Refusal) else f"{first.code}: {first.message}"
    return (
        f"{len(unwritten):,} of {total:,} items were not written, the first is {first.key} ({why}); "
        "do the same again to write the rest"
    )


def _present(attributes: Attributes | None) -> list[Attributes]:
    return [] if attributes is None else [attributes]


def _remembers(attributes: Attributes, job_id: str) -> bool:
    try:
        return any(rejection.job_id == job_id for rejection in read_changes(attributes).rejected.values())
    except UnreadableAttributeError:
        return False
