"""Deliberate breakages of the product, one at a time: what the campaign has to catch.

Each takes a piece of the product away, as a careless change would, by patching it from outside; nothing in the product
knows of them.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from unittest import mock

from inventory_updater.dynamodb import statements
from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.jobs import worker
from inventory_updater.stock import planning, scheduling
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.planning import Plan, Update
from inventory_updater.tables import inventory_table, job_table, records
from inventory_updater.tables.inventory_table import BatchReport, InventoryTable, Page, WriteResult
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Lease, Segment
from tests.faults.findings import Finding

Patches = list[Any]
"""Context managers that patch the product."""

_write_batch = InventoryTable.write_batch
_plan = planning.plan


def _guarded_by(keep: Callable[[str], bool]) -> Patches:
    def statement(table_name: str, write: Any) -> Any:
        if isinstance(write, Update):
            write = replace(write, guard={name: value for name, value in write.guard.items() if keep(name)})
        return statements.statement(table_name, write)

    return [mock.patch.object(inventory_table, "statement", statement)]


def no_guard() -> Patches:
    """Write without any condition."""
    return _guarded_by(lambda _name: False)


def no_version() -> Patches:
    """Guard the figures, but not the version."""
    return _guarded_by(lambda name: name != "version")


def only_version() -> Patches:
    """Guard the version alone, which other writers do not know."""
    return _guarded_by(lambda name: name == "version")


def resend() -> Patches:
    """After a conflict send the old plan again, instead of planning again from the item that came back."""

    def write_batch(self: Any, batch: Mapping[ItemKey, Any], _decide: Any, limits: Limits, landed: Any) -> Any:
        def the_same_again(key: ItemKey, attributes: Attributes | None) -> Any:
            decision = batch[key]
            if attributes is None or decision.write is None:
                return _decide(key, attributes)
            guard = {name: attributes.get(name) for name in decision.write.guard}
            return replace(decision, write=replace(decision.write, guard=guard))

        return _write_batch(self, batch, the_same_again, limits, landed)

    return [mock.patch.object(InventoryTable, "write_batch", write_batch)]


def count_twice() -> Patches:
    """Count a write whose answer was lost once for the loss and once for the landing."""

    def write_batch(self: Any, batch: Any, decide: Any, limits: Any, landed: Any = lambda *_: False) -> Any:
        found: list[Any] = []

        def landed_and_remembered(decision: Any, attributes: Any) -> bool:
            has_landed = bool(landed(decision, attributes))
            if has_landed:
                found.append(decision)
            return has_landed

        report: BatchReport[Any] = _write_batch(self, batch, decide, limits, landed_and_remembered)
        report.results += [WriteResult(each.write.key, each, written=True) for each in found]
        return report

    return [mock.patch.object(InventoryTable, "write_batch", write_batch)]


def forget_landed() -> Patches:
    """Do not recognise a write that landed before its answer was lost."""
    return [mock.patch.object(worker._Call, "_landed", return_value=False)]  # noqa: SLF001  # to break it


def no_renewal() -> Patches:
    """Take the lease once and never renew it."""

    def renew_lease(self: Any, _job_id: str, seconds: float) -> Any:
        return self._clock() + timedelta(seconds=seconds)  # to break it

    return [mock.patch.object(JobTable, "renew_lease", renew_lease)]


def no_lease() -> Patches:
    """Let every job have the lease."""

    def take_lease(_self: Any, job_id: str, _seconds: float) -> Lease:
        return Lease(job_id, "9999-12-31T23:59:59.999999Z")

    return [mock.patch.object(JobTable, "take_lease", take_lease), *no_renewal()]


def cursor_first() -> Patches:
    """Save the cursor before the page is written."""
    write: Any = worker._Call._write  # noqa: SLF001  # to break it

    def cursor_then_page(self: Any, page: Page, writers: ThreadPoolExecutor) -> Any:
        ahead: Segment = replace(self._segment, cursor=page.cursor, is_done=page.cursor is None)
        self._segment = self._services.jobs.save_segment(ahead)
        return write(self, page, writers)

    return [mock.patch.object(worker._Call, "_write", cursor_then_page)]  # noqa: SLF001  # to break it


def endless_retry() -> Patches:
    """Send again at once, without jitter and without an end."""
    return [
        mock.patch.object(inventory_table, "backoff", return_value=0.0),
        mock.patch.object(inventory_table, "ROUND_LIMIT", 10**9),
        mock.patch.object(Limits, "may_retry_after", return_value=True),
    ]


def success_by_status() -> Patches:
    """Take HTTP 200 for success, whatever a statement's own answer says."""
    send = InventoryTable._send  # noqa: SLF001  # to break it

    def all_is_well(self: Any, batch: Any, report: Any) -> Any:
        return [(key, {}) for key, _ in send(self, batch, report)]

    return [mock.patch.object(InventoryTable, "_send", all_is_well)]


def keep_pending() -> Patches:
    """Apply a change and leave it pending."""

    def plan(*arguments: Any, **named: Any) -> Any:
        decision = _plan(*arguments, **named)
        if not isinstance(decision, Plan):
            return decision
        kept = {name: value for name, value in decision.write.sets.items() if name != "pending_changes"}
        removes = tuple(name for name in decision.write.removes if name != "next_change_at")
        return replace(decision, write=replace(decision.write, sets=kept, removes=removes))

    return [mock.patch.object(worker, "plan", plan)]


def always_exact() -> Patches:
    """Call every tally exact, even where a worker died."""

    def exact(segment: Segment) -> dict[str, object]:
        return attributes(replace(segment, tally_is_exact=True, call_is_open=False))

    attributes = records.segment_attributes
    return [mock.patch.object(job_table, "segment_attributes", exact)]


def forget_settled() -> Patches:
    """Schedule a change again although it was settled."""
    return [mock.patch.object(scheduling, "_is_known", lambda change, known: change.change_id in known.pending)]


def drop_rejected() -> Patches:
    """Forget a change that could not be applied."""
    return [mock.patch.object(planning, "_remembered_rejections", return_value={})]


@dataclass(frozen=True, slots=True)
class Breakage:
    """A piece that is taken away, and what the campaign has to find then."""

    patches: Callable[[], Patches]
    finding: Finding


_LEADS_TO: Final[Mapping[Finding, list[Callable[[], Patches]]]] = {
    Finding.LOST: [no_version, cursor_first, success_by_status, drop_rejected],
    Finding.APPLIED_TWICE: [keep_pending, forget_settled],
    Finding.FOREIGN_WRITES_LOST: [no_guard, only_version, resend],
    Finding.WRONG_TALLY: [count_twice, forget_landed, always_exact],
    Finding.LEASE: [no_renewal, no_lease],
    Finding.ENDLESS_RETRY: [endless_retry],
}
BREAKAGES: Final = {
    patches.__name__.replace("_", "-"): Breakage(patches, finding)
    for finding, all_patches in _LEADS_TO.items()
    for patches in all_patches
}


@contextlib.contextmanager
def broken(name: str | None) -> Iterator[None]:
    """The product with one breakage in it, or as it is.

    Raises:
        KeyError: where there is no such breakage.
    """
    with contextlib.ExitStack() as stack:
        for patch in BREAKAGES[name].patches() if name else []:
            stack.enter_context(patch)
        yield
