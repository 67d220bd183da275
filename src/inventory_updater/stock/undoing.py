"""What undoes changes that took effect: other changes, which are changes like any other. Pure, no I/O.

An adjustment is undone by its opposite, a count by the difference that it made, so what others have sold since stays
sold; a setting by the value before it, but only while what it set is still there. Several of one item are undone from
the last one back to the first::

    10 ──P1──▶ 12 ──P2──▶ 15        15 ──undo P2──▶ 12 ──undo P1──▶ 10
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status, read_record
from inventory_updater.stock.changes import FIGURE_SET_BY, MAXIMUM_ID_BYTES, Change, ChangeKind
from inventory_updater.stock.item_states import ItemState
from inventory_updater.stock.numbers import NUMBERS, plain
from inventory_updater.stock.times import format_time, read_time

_PREFIX: Final = "undo "
_DIGITS: Final = 32
_BOOKED: Final = (ChangeKind.ADJUSTMENT.value, ChangeKind.COUNT.value)


@dataclass(frozen=True, slots=True)
class Left:
    """Why a change is left as it is: a status of its record, or what happened since; and a sentence."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class EndsWindow:
    """What undoes a window that is open: to cancel it, which ends it."""


Undoing = Change | EndsWindow | Left


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a change did to a figure."""

    record: ChangeRecord
    before: Decimal
    after: Decimal


def undo_id(change_id: str) -> str:
    """The id of the change that undoes another: it follows from that one's, so nothing is undone twice."""
    wanted = _PREFIX + change_id
    if len(wanted.encode()) <= MAXIMUM_ID_BYTES:
        return wanted
    return _PREFIX + sha256(change_id.encode()).hexdigest()[:_DIGITS]


def undoings(
    records: Iterable[Attributes], unwanted: Collection[str], state: ItemState, now: str
) -> dict[str, Undoing]:
    """What undoes changes of one item, by change id.

    Args:
        records: of those that are not wanted any more, and were not undone before.
        unwanted: the ids of all that are not wanted any more.
        state: the item, as it is now.
        now: stored time; what is returned takes effect at once.
    """
    found: dict[str, Undoing] = {}
    effects: list[_Effect] = []
    for attributes in records:
        record = read_record(attributes)
        effect = _effect(record, attributes)
        if isinstance(effect, _Effect):
            effects.append(effect)
        else:
            found[record.change_id] = effect
    # The last ones first; what is given back before what is taken away, or there would not be enough to take.
    effects.sort(key=lambda each: (each.record.effective_at, each.record.change_id), reverse=True)
    bookings = [each for each in effects if each.record.kind in _BOOKED]
    bookings.sort(key=lambda each: each.before < each.after)
    settings = [each for each in effects if each.record.kind not in _BOOKED]
    for moment, (change_id, undoing) in zip(
        _moments(now, len(effects)),
        (*_undone_bookings(bookings, unwanted, state), *_undone_settings(settings, state)),
        strict=True,
    ):
        found[change_id] = undoing if isinstance(undoing, Left) else replace(undoing, effective_at=moment)
    return found


def _effect(record: ChangeRecord, attributes: Attributes) -> _Effect | EndsWindow | Left:
    if record.status is Status.OPEN:
        return EndsWindow()
    if record.status is Status.PENDING:
        return Left("PENDING", "it waits: cancel it")
    if record.status is not Status.APPLIED:
        return Left(record.status.value, "it had no effect")
    if record.until is not None:
        return Left("ENDED", "the window has ended")
    before, after = attributes.get("before"), attributes.get("after")
    if not isinstance(before, Decimal) or not isinstance(after, Decimal):
        return Left("NOT_KNOWN", "its record does not say what was there before, or nothing was")
    return Left("NO_EFFECT", "it changed nothing") if before == after else _Effect(record, before, after)


def _undone_bookings(
    effects: Sequence[_Effect], unwanted: Collection[str], state: ItemState
) -> Iterator[tuple[str, Change | Left]]:
    last = state.last_set.get(ChangeKind.COUNT.value)
    for each in effects:
        record = each.record
        # A count that is undone as well brings back what it had set aside.
        if last is not None and last.change_id not in unwanted and last.effective_at >= record.effective_at:
            yield record.change_id, Left("COUNTED", f"count {last.change_id} has set what is on hand since")
        else:
            difference = NUMBERS.subtract(each.before, each.after)
            yield record.change_id, _change(record, ChangeKind.ADJUSTMENT.value, difference)


def _undone_settings(effects: Sequence[_Effect], state: ItemState) -> Iterator[tuple[str, Change | Left]]:
    shown: Mapping[str, Decimal | None] = {
        kind: getattr(state.item.figures, figure) for kind, figure in FIGURE_SET_BY.items()
    }
    bases = {**shown, **state.bases}
    for each in effects:
        record, base = each.record, bases[each.record.kind]
        if base != each.after:
            there = "absent" if base is None else plain(base)
            yield record.change_id, Left("SET_SINCE", f"it is {there} by now, not the {plain(each.after)} of this one")
            continue
        # Under a window that is open only the base changes.
        expected = shown[record.kind] if record.kind in state.bases else base
        bases[record.kind] = each.before
        yield record.change_id, _change(record, record.kind, each.before, expected)


def _change(record: ChangeRecord, kind: str, value: Decimal, expected: Decimal | None = None) -> Change:
    change_id = undo_id(record.change_id)
    return Change(change_id, kind, value, "", expected=expected, reason="undo", reference=record.change_id)


def _moments(now: str, count: int) -> Iterator[str]:
    """So many moments, one after the other, the last of them now."""
    last = read_time(now)
    return (format_time(last - timedelta(microseconds=before)) for before in reversed(range(count)))
