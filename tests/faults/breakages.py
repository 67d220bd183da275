"""Deliberate breakages of the product, one at a time: what the campaign has to catch.

Each takes a piece of the product away, as a careless change would, by patching it from outside; nothing in the product
knows of them.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from unittest import mock

from inventory_updater.dynamodb import statements
from inventory_updater.dynamodb.batches import Answer, Outcome
from inventory_updater.dynamodb.batches import send as _send
from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.intake import withdrawing
from inventory_updater.jobs import worker
from inventory_updater.stock import settling
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.item_states import Decision
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.settling import Mark, Settled
from inventory_updater.tables import change_table, job_table, protocol, records
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.protocol import Protocol
from inventory_updater.tables.records import Lease, Segment
from tests.faults.findings import Finding

Patches = list[Any]
"""Context managers that patch the product."""

_settle, _planned, _records = Protocol.settle, Protocol._planned, Protocol._records  # noqa: SLF001  # to break them


@contextlib.contextmanager
def _set(memory: threading.local, name: str, value: Any) -> Iterator[None]:
    """Set it for this call: another one may come in between, in the same thread."""
    before = getattr(memory, name, None)
    setattr(memory, name, value)
    try:
        yield
    finally:
        setattr(memory, name, before)


# How the item is guarded


def _guarded_by(keep: Callable[[str], bool]) -> Patches:
    def statement(table_name: str, write: Any) -> Any:
        guard = {name: value for name, value in write.guard.items() if keep(name)}
        return statements.statement(table_name, replace(write, guard=guard))

    return [mock.patch.object(protocol, "statement", statement)]


def no_guard() -> Patches:
    """Write the item without any condition."""
    return _guarded_by(lambda _name: False)


def no_version() -> Patches:
    """Guard the figures, but not the version."""
    return _guarded_by(lambda name: name != "version")


def only_version() -> Patches:
    """Guard the version alone, which other writers do not know."""
    return _guarded_by(lambda name: name == "version")


def resend() -> Patches:
    """After a conflict send the old plan again, instead of planning again from what is true then."""
    memory = threading.local()

    def settle(*arguments: Any, **named: Any) -> Any:
        with _set(memory, "plans", {}):
            return _settle(*arguments, **named)

    def planned(*arguments: Any) -> dict[ItemKey, Settled]:
        found = _planned(*arguments)
        for key, settled in found.items():
            old = memory.plans.setdefault(key, settled)
            if old is not settled and old.write and settled.write:
                found[key] = replace(old, write=replace(old.write, guard=settled.write.guard))
        return found

    return [mock.patch.object(Protocol, "settle", settle), mock.patch.object(Protocol, "_planned", planned)]


# In which order what is read


def records_first() -> Patches:
    """Read the records before their item."""
    memory = threading.local()

    def planned(self: Any, named: Any, *rest: Any) -> Any:
        with _set(memory, "early", _records(self, named, rest[-1])):
            return _planned(self, named, *rest)

    def records_of(self: Any, named: Any, report: Any) -> Any:
        early = memory.early
        read = {key: {each.change_id for each in early.get(key, ())} for key in named}
        more = _records(self, {key: set(ids) - read[key] for key, ids in named.items()}, report)
        return {key: [*early.get(key, ()), *more.get(key, ())] for key in named}

    return [mock.patch.object(Protocol, "_planned", planned), mock.patch.object(Protocol, "_records", records_of)]


def old_records() -> Patches:
    """After a conflict plan again from the records as they were."""
    memory = threading.local()

    def settle(*arguments: Any, **named: Any) -> Any:
        with _set(memory, "known", {}):
            return _settle(*arguments, **named)

    def records_of(self: Any, named: Any, report: Any) -> Any:
        unread = {key: {name for name in ids if (key, name) not in memory.known} for key, ids in named.items()}
        for key, found in _records(self, unread, report).items():
            memory.known |= {(key, each.change_id): each for each in found}
        return {
            key: [memory.known[key, name] for name in ids if (key, name) in memory.known] for key, ids in named.items()
        }

    return [mock.patch.object(Protocol, "settle", settle), mock.patch.object(Protocol, "_records", records_of)]


def part_for_all() -> Patches:
    """Take the records that are due for all that the item has."""

    def settle(*arguments: Any, **named: Any) -> Any:
        return settling.settle(*arguments, **{**named, "are_all": True})

    return [mock.patch.object(protocol, "settle", settle)]


# What the item remembers, and what the records say


def forget_early() -> Patches:
    """Drop what was decided although its record does not say so yet."""
    return [mock.patch.object(settling, "says", return_value=True)]


def cancel_record_first() -> Patches:
    """Let the record say that it is cancelled before its item has decided."""
    cancel = withdrawing._cancel  # noqa: SLF001  # to break it

    def record_then_item(by: Protocol, group: Any, now: str) -> Any:
        for key, ids in group.items():
            for record in by.changes.read([(key, name) for name in ids]).get(key, ()):
                mark = Mark(record, Decision(record.attempt, Status.CANCELLED, now))
                _send(by.client, [by.changes.mark(key, mark, by.by)])
        return cancel(by, group, now)

    return [mock.patch.object(withdrawing, "_cancel", record_then_item)]


def mark_any() -> Patches:
    """Mark a record whatever it says by now."""

    def unguarded(table: str, key: Any, sets: Any, removes: Any, guard: Mapping[str, object]) -> Any:
        return statements.guarded_update(table, key, sets, removes, guard if sets.get("status") == "PENDING" else {})

    return [mock.patch.object(change_table, "guarded_update", unguarded)]


def same_attempt() -> Patches:
    """Retry a change under the attempt that was rejected."""
    waits = ChangeTable._waits  # noqa: SLF001  # to break it

    def under_the_same(item: str, due_at: str, attempt: int) -> Any:
        return waits(item, due_at, max(1, attempt - 1))

    return [mock.patch.object(ChangeTable, "_waits", staticmethod(under_the_same))]


def forget_settled() -> Patches:
    """Schedule a change again although it may have been settled and forgotten."""
    return [mock.patch.object(ChangeTable, "forgotten_until", return_value="")]


def success_by_status() -> Patches:
    """Take HTTP 200 for success, whatever a statement's own answer says."""

    def send(*arguments: Any) -> Any:
        answers, units = _send(*arguments)
        return [Answer(Outcome.DONE) for _ in answers], units

    return [mock.patch.object(protocol, "send", send)]


# What is counted


def count_conflicts() -> Patches:
    """Count a mark that somebody else has made."""

    def send(client: Any, batch: Any) -> Any:
        answers, units = _send(client, batch)
        is_marking = "-changes-" in batch[0]["Statement"]
        return [
            Answer(Outcome.DONE) if is_marking and each.outcome is Outcome.CONFLICT else each for each in answers
        ], units

    return [mock.patch.object(protocol, "send", send)]


def always_exact() -> Patches:
    """Call every tally exact, even where a worker died."""

    def exact(segment: Segment) -> dict[str, object]:
        return attributes(replace(segment, tally_is_exact=True, call_is_open=False))

    attributes = records.segment_attributes
    return [mock.patch.object(job_table, "segment_attributes", exact)]


# How far a job is, and whose turn it is


def cut_short_is_done() -> Patches:
    """Take a page that was cut short for one that is settled."""
    take = worker._Call._take  # noqa: SLF001  # to break it

    def as_if_done(self: Any, place: int, page: Any, seconds: float) -> None:
        take(self, place, replace(page, ending=None), seconds)

    return [mock.patch.object(worker._Call, "_take", as_if_done)]  # noqa: SLF001  # to break it


def no_renewal() -> Patches:
    """Take the lease once and never renew it."""

    def renew_lease(self: Any, _job_id: str, seconds: float) -> Any:
        return self._clock() + timedelta(seconds=seconds)

    return [mock.patch.object(JobTable, "renew_lease", renew_lease)]


def no_lease() -> Patches:
    """Let every job have the lease."""

    def take_lease(_self: Any, job_id: str, _seconds: float) -> Lease:
        return Lease(job_id, "9999-12-31T23:59:59.999999Z")

    return [mock.patch.object(JobTable, "take_lease", take_lease), *no_renewal()]


def endless_retry() -> Patches:
    """Send again at once, without jitter and without an end."""
    return [
        mock.patch.object(protocol, "backoff", return_value=0.0),
        mock.patch.object(protocol, "ROUND_LIMIT", 10**9),
        mock.patch.object(Limits, "may_retry_after", return_value=True),
    ]


@dataclass(frozen=True, slots=True)
class Breakage:
    """A piece that is taken away, and what the campaign has to find then."""

    patches: Callable[[], Patches]
    finding: Finding


_LEADS_TO: Final[Mapping[Finding, list[Callable[[], Patches]]]] = {
    Finding.LOST: [no_version, part_for_all, cut_short_is_done],
    Finding.APPLIED_TWICE: [records_first, old_records, forget_early, forget_settled],
    Finding.FOREIGN_WRITES_LOST: [no_guard, only_version, resend],
    Finding.WRONG_RECORD: [cancel_record_first, mark_any, same_attempt, success_by_status],
    Finding.WRONG_TALLY: [count_conflicts, always_exact],
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
