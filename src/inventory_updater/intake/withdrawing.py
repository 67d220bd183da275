"""What becomes of changes by an operator's hand: cancel, retry, dismiss; and where they are, if only the id is known.

A cancellation is decided by the item, like every other outcome: the protocol of the jobs, by another hand. A retry and
a dismissal touch nothing but the record, on the condition that it is as it was read; a retry raises ``attempt``, so
that an item's old decision cannot be taken for a new one. All may be done again: what is as it should be stays so.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Final

from inventory_updater.dynamodb.batches import BATCH_LIMIT
from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, OutOfTimeError, backoff, batched, in_a_minute
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.refusals import Refusal, Refusals, Unwritten
from inventory_updater.intake.writing import NotWritten, Progress, no_progress, told, write_each
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.changes import Change
from inventory_updater.stock.item_states import Decision
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.scheduling import UNKNOWN, Standing, standing, unknown
from inventory_updater.stock.settling import Mark, Moment
from inventory_updater.tables.change_table import ChangeTable, Name
from inventory_updater.tables.protocol import Protocol, Report

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

Named = Mapping[ItemKey, Collection[str]]
"""Ids of changes, by item."""

Outcomes = dict[Name, Status | None]
"""What each change is now; None where its record is gone."""

Wanted = tuple[Name, Change | None]
"""A change that is to be cancelled; with what it has to be, where that is known: another of its id is left alone."""

_WAITS: Final = (Status.PENDING.value, Status.OPEN.value)

_ROUNDS: Final = 5
"""How often an item that comes and goes is asked again."""

_OTHERS_KEPT: Final = 10_000
"""Among so many different names the nearest to one that nothing has is looked for."""

_NEAR: Final = 0.75
"""So like is a misspelt name to the one that is meant: nobody is to take back tuesday.csv for monday.csv."""

_A_MOMENT_LATER: Final = "one that was written a moment ago is found a moment later"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What has become of a change that was to be cancelled.

    Attributes:
        standing: where it is now; whatever is not ``CANCELLED`` has a message that says why.
        was_waiting: whether there was anything to cancel.
    """

    name: Name
    standing: Standing
    was_waiting: bool = False

    @property
    def is_cancelled(self) -> bool:
        """Whether it will not happen any more, whoever cancelled it."""
        return self.standing.status == Status.CANCELLED

    @property
    def is_unfinished(self) -> bool:
        """Whether it waits all the same: its item could not decide, and doing the same again cancels it."""
        return self.standing.status in _WAITS


def find(among: Iterable[Name], change_ids: Collection[str], state: str, *, progress: Progress = no_progress) -> Named:
    """The items of these changes, of which only the ids are known, as ``find_each`` finds them.

    Raises:
        RefusedError: where one is not among them, or several items have one of this id.
    """
    named, refusals = find_each(among, change_ids, state, progress=progress)
    refusals.refuse_any()
    return named


def find_each(
    among: Iterable[Name], change_ids: Collection[str], state: str, *, progress: Progress = no_progress
) -> tuple[Named, Refusals]:
    """The items of these changes, of which only the ids are known, and the ids of which there is not one item.

    Args:
        among: where they are looked for: all of ``ChangeTable.waiting()`` or ``ChangeTable.rejected()``.
        change_ids: their ids.
        state: what a change is that is among them, for people: "waiting", "rejected".
        progress: told how many have been looked at.
    """
    holders: dict[str, list[ItemKey]] = {change_id: [] for change_id in change_ids}
    for key, change_id in told(among, "reading", progress):
        if change_id in holders:
            holders[change_id].append(key)
    refusals, named = Refusals(), dict[ItemKey, list[str]]()
    for change_id, keys in holders.items():
        if not keys:
            message = f"no change {change_id} is {state} ({_A_MOMENT_LATER})"
            refusals.add(Refusal(change_id, "UNKNOWN_CHANGE", message))
        elif len(keys) > 1:
            message = (
                f"a change {change_id} is {state} in {len(keys)} items: name one of {', '.join(map(str, keys[:5]))}"
            )
            refusals.add(Refusal(change_id, "AMBIGUOUS_CHANGE", message))
        else:
            named.setdefault(keys[0], []).append(change_id)
    return named, refusals


def find_waiting(
    changes: ChangeTable, attribute: str, value: str, *, progress: Progress = no_progress
) -> Iterator[Name]:
    """What waits and says this in its record, in ``source`` or ``reference``, say; looked through as it is taken.

    The index names what waits, and may not show yet what was scheduled a moment ago.

    Raises:
        RefusedError: where nothing that waits says so.
    """

    def read(batch: Sequence[Name]) -> Mapping[Name, Attributes]:
        return in_a_minute(partial(changes.stored, batch))

    names = told(changes.waiting(), "looking through what waits", progress)
    waiting = (
        (name, attributes.get(attribute))
        for found in side_by_side(read, batched(names, READ_LIMIT))
        for name, attributes in found.items()
        # The index may name one that has been settled a moment ago.
        if not read_record(attributes).status.is_final
    )
    return saying(value, waiting, f"nothing that waits has the {attribute}")


def saying(value: str, among: Iterable[tuple[Name, object]], of_none: str) -> Iterator[Name]:
    """Those changes whose record says this, of all that are looked through with what they say.

    Raises:
        RefusedError: where there is none; it begins with ``of_none``, and names the nearest of what the others say.
    """
    others, is_known = set[str](), False
    for name, said in among:
        if said == value:
            is_known = True
            yield name
        elif isinstance(said, str) and len(others) < _OTHERS_KEPT:
            others.add(said)
    if not is_known:
        # The source of what came in a file of the bucket is KEY@VERSION.
        versions = sorted(each for each in others if f"/{value}@" in f"/{each}")
        near = versions or get_close_matches(value, others, 1, _NEAR)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        refusals = Refusals()
        refusals.add(Refusal(value, "UNKNOWN", f"{of_none} {value!r} ({_A_MOMENT_LATER}){hint}"))
        refusals.refuse_any()


# Cancel


def cancel_changes(
    protocol: Protocol, wanted: Iterable[Wanted], clock: Callable[[], str], *, progress: Progress = no_progress
) -> Iterator[Cancelled]:
    """Cancel what of these changes waits, due or not, and windows that are open, which end now.

    Each is cancelled by itself, a few batches of them at once, and told of in the order in which they are ``wanted``;
    they are taken as their turn comes, so there may be any number.

    Args:
        protocol: its ``by`` says who cancels: ``{"cancelled_by": ...}``.
        wanted: what is not wanted any more.
        clock: the stored time; asked for each batch.
        progress: told how far it is.
    """
    batches = batched(told(wanted, "cancelling", progress), READ_LIMIT)
    for outcomes in side_by_side(lambda batch: _cancel_batch(protocol, batch, clock()), batches):
        yield from outcomes


def _cancel_batch(protocol: Protocol, batch: Sequence[Wanted], now: str) -> list[Cancelled]:
    names = [name for name, _change in batch]
    found = in_a_minute(partial(protocol.changes.stored, names))
    before = {name: _standing(name, change, found.get(name)) for name, change in batch}
    waiting: dict[ItemKey, list[str]] = {}
    for (key, change_id), where in before.items():
        if where.status in _WAITS:
            waiting.setdefault(key, []).append(change_id)
    statuses, failures = _cancel(protocol, waiting, now) if waiting else ({}, {})
    return [
        Cancelled(name, _after(name, statuses[name], failures), was_waiting=True)
        if name in statuses
        else Cancelled(name, before[name])
        for name in names
    ]


def _standing(name: Name, change: Change | None, stored: Attributes | None) -> Standing:
    """Where a change is in its life, and why it cannot be cancelled, if so."""
    key, change_id = name
    if change is not None:
        where = standing(change, key, stored)
    else:
        where = unknown(change_id, key) if stored is None else Standing(read_record(stored).status.value)
    if stored is None or where.message or where.status in (*_WAITS, Status.CANCELLED):
        return where
    settled_at = stored.get("settled_at")
    since = f", settled at {settled_at}" if settled_at else ""
    return Standing(where.status, f"change {_said(name)} is {where.status}{since}")


def _after(name: Name, status: Status | None, failures: Mapping[ItemKey, str]) -> Standing:
    if status is None:
        return Standing(UNKNOWN, f"the record of change {_said(name)} is gone")
    if not status.is_final:
        why = failures.get(name[0], "its record could not be written")
        return Standing(status.value, f"not cancelled, do the same again: {why}")
    is_cancelled = status is Status.CANCELLED
    return Standing(status.value, None if is_cancelled else f"change {_said(name)} was settled in the meantime")


def _cancel(protocol: Protocol, group: Named, now: str) -> tuple[Outcomes, Mapping[ItemKey, str]]:
    """What the changes of at most 100 items are, after the items have decided, and why some could not."""
    limits = Limits.for_seconds(PATIENCE_SECONDS)
    for round_number in range(_ROUNDS):
        report = Report()
        with suppress(OutOfTimeError):  # what is still waiting then is told as such
            protocol.settle({}, Moment(as_of="", now=now), limits, cancelled=group, report=report)
        gone = {key: group[key] for key, (code, _message) in report.failures.items() if code == "UNKNOWN_ITEM"}
        marks = [_mark_without_item(protocol, name, each, now) for name, each in _stored(protocol.changes, gone)]
        if all(marks) or not limits.may_retry_after(delay := backoff(round_number)):
            break
        limits.sleep(delay)  # an item that comes back decides by itself
    found = dict(_stored(protocol.changes, group))
    statuses = {name: read_record(found[name]).status if name in found else None for name in _names(group)}
    return statuses, {key: message for key, (_code, message) in (report.failures | report.invalid).items()}


def _mark_without_item(protocol: Protocol, name: Name, attributes: Attributes, now: str) -> bool:
    """Let a record say that it is cancelled, where its item is gone and nothing else can; whether it says so."""
    record = read_record(attributes)
    mark = Mark(record, Decision(record.attempt, Status.CANCELLED, now))
    return record.status.is_final or protocol.changes.mark_without_item(
        protocol.inventory.name, name[0], mark, protocol.by
    )


# Retry and dismiss


def retry_changes(
    client: "DynamoDBClient", changes: ChangeTable, named: Named, now: str, *, progress: Progress = no_progress
) -> Outcomes:
    """Let rejected changes wait again: the next job looks at them.

    Returns:
        What each change is now: ``PENDING``, or what a job has made of it in the meantime.

    Raises:
        RefusedError: where one is unknown, or neither rejected nor waiting; nothing was written then.
        UnfinishedError: where the table did not take every write.
    """
    outcomes = _check(changes, named, lambda status: status in (Status.REJECTED, Status.PENDING))
    return outcomes | _retry(client, changes, outcomes, lambda _attributes: True, now, progress)


def retry_job(
    client: "DynamoDBClient",
    changes: ChangeTable,
    job_id: str,
    now: str,
    *,
    since: str | None = None,
    progress: Progress = no_progress,
) -> Outcomes:
    """Let the changes wait again that a job has rejected and nobody has dismissed.

    ``since`` is when the job started: what was rejected before that need not be read.

    Returns:
        What each of them is now, as ``retry_changes`` does.

    Raises:
        UnfinishedError: where the table did not take every write.
    """
    names = changes.rejected(since)
    return _retry(client, changes, names, lambda attributes: attributes.get("job_id") == job_id, now, progress)


def _retry(
    client: "DynamoDBClient",
    changes: ChangeTable,
    names: Iterable[Name],
    is_meant: Callable[[Attributes], bool],
    now: str,
    progress: Progress,
) -> Outcomes:
    def request(name: Name, attributes: Attributes) -> "BatchStatementRequestTypeDef | None":
        is_rejected = attributes.get("status") == Status.REJECTED and is_meant(attributes)
        return changes.requeue(name[0], attributes, now) if is_rejected else None

    return _rewrite(client, changes, names, request, Status.PENDING, progress)


def dismiss_changes(
    client: "DynamoDBClient",
    changes: ChangeTable,
    named: Named,
    now: str,
    *,
    actor: str,
    progress: Progress = no_progress,
) -> Outcomes:
    """Take rejected changes that will never be wanted from what needs a person; they stay ``REJECTED``.

    Returns:
        What each change is now: ``REJECTED``, or what somebody has made of it in the meantime.

    Raises:
        RefusedError: where one is unknown, or not rejected; nothing was written then.
        UnfinishedError: where the table did not take every write.
    """

    def request(name: Name, attributes: Attributes) -> "BatchStatementRequestTypeDef | None":
        is_open = attributes.get("status") == Status.REJECTED and "dismissed_at" not in attributes
        said = {"dismissed_at": now, "dismissed_by": actor}
        return changes.dismissal(name[0], attributes, said) if is_open else None

    outcomes = _check(changes, named, lambda status: status is Status.REJECTED)
    return outcomes | _rewrite(client, changes, outcomes, request, Status.REJECTED, progress)


def _rewrite(
    client: "DynamoDBClient",
    changes: ChangeTable,
    names: Iterable[Name],
    request: "Callable[[Name, Attributes], BatchStatementRequestTypeDef | None]",
    landed: Status,
    progress: Progress,
) -> Outcomes:
    """Rewrite each record that is to be, on the condition that it is as it was read; what these are then."""

    def decide(batch: Sequence[Name]) -> "Mapping[Name, BatchStatementRequestTypeDef | Status | NotWritten | None]":
        found = changes.stored(batch)
        asked = {name: request(name, found[name]) for name in found}
        return {name: asked.get(name) or (read_record(found[name]).status if name in found else None) for name in batch}

    outcomes, unwritten = Outcomes(), Unwritten("change")
    done: Status | None = landed
    for read in batched(told(names, "writing", progress), READ_LIMIT):
        found = changes.stored(read)
        statements = [(name, asked) for name in found if (asked := request(name, found[name]))]
        for batch in batched(statements, BATCH_LIMIT):
            for name, result in write_each(client, dict(batch), landed=done, decide=decide).items():
                if isinstance(result, NotWritten):
                    unwritten.add(_said(name), result.message)
                else:
                    outcomes[name] = result
    unwritten.refuse_any()
    return outcomes


def _check(changes: ChangeTable, named: Named, may_be: Callable[[Status], bool]) -> Outcomes:
    """What these changes are.

    Raises:
        RefusedError: where one is unknown, or not what it may be.
    """
    refusals, outcomes = Refusals(), Outcomes()
    found = dict(_stored(changes, named))
    for name in _names(named):
        if name not in found:
            refusals.add(Refusal(name, "UNKNOWN_CHANGE", f"there is no change {_said(name)}"))
            continue
        outcomes[name] = status = read_record(found[name]).status
        if not may_be(status):
            refusals.add(Refusal(name, "NOT_REJECTED", f"change {_said(name)} is {status}"))
    refusals.refuse_any()
    return outcomes


def _names(named: Named) -> Iterator[Name]:
    return ((key, change_id) for key, ids in named.items() for change_id in ids)


def _stored(changes: ChangeTable, named: Named) -> Iterable[tuple[Name, Attributes]]:
    return changes.stored(_names(named)).items()


def _said(name: Name) -> str:
    key, change_id = name
    return f"{change_id} of {key}"
