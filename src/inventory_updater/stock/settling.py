"""What becomes of an item's changes, and of the item: a pure function of the item, its records and two moments.

The result does not depend on the order in which facts arrive. In the timeline of one item, ``a`` are adjustments, ``C``
is a count::

    ──a1────a2────C────a3────────────▶ effective_at
    a1 and a2 were seen by the count, whether they arrive before or after it; a3 was not, and is added to it.

A count that says what it was ``expected`` to find books the difference, like an adjustment: what others have sold since
stays sold.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, DecimalException
from functools import reduce
from typing import Final

from inventory_updater.stock.change_records import ChangeRecord, Problem, Status
from inventory_updater.stock.changes import FIGURE_SET_BY, ChangeKind, LastSet
from inventory_updater.stock.item_states import Decision, ItemState, Window
from inventory_updater.stock.items import DerivedFigures, Figures, InvalidItem, ItemKey, StockItem
from inventory_updater.stock.numbers import NUMBERS, ZERO, plain
from inventory_updater.stock.times import LAST_MOMENT
from inventory_updater.stock.writes import Update

SETTLED_A_WRITE: Final = 100
"""How many changes one write of an item settles at most; a hot item takes several."""

_BOOKED: Final = ChangeKind.ADJUSTMENT.value
_COUNT: Final = ChangeKind.COUNT.value


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is settled: up to when changes are due, what the clock says, and by which rule."""

    as_of: str
    now: str
    allow_negative_stock: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What a record is to say, on the condition that it still has the status and the attempt that were read."""

    record: ChangeRecord
    decision: Decision


@dataclass(frozen=True, slots=True)
class Settled:
    """What to write: the item, where anything differs or was decided, and after it the records.

    Attributes:
        write: None where the item stays as it is.
        decided: what this write decides, by change id.
        marks: the records that do not say yet what the item has decided, now or earlier.
        is_finished: whether all that is due is decided; if not, settle again.
    """

    key: ItemKey
    write: Update | None
    decided: Mapping[str, Decision]
    marks: tuple[Mark, ...]
    is_finished: bool = True


@dataclass(frozen=True, slots=True)
class NeedsAllRecords:
    """The records that were read do not decide it: read all of the item, after the item, and settle again.

    A late count adds the later adjustments that were applied before it came, and nothing is rejected for want of stock
    while an earlier receipt may stand in a page that was not read.
    """

    key: ItemKey


class _NeedsAllError(Exception):
    pass


class _ProblemError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _Work:
    """The item while its changes are gone through, one after the other."""

    figures: Figures
    last_set: dict[str, LastSet]
    windows: dict[str, Window]
    bases: dict[str, Decimal | None]
    moment: Moment
    later: Sequence[ChangeRecord] | None
    """The bookings that were applied before; None where they were not read."""
    decided: dict[str, Decision] = field(default_factory=dict)

    def figure(self, kind: str) -> Decimal | None:
        figure: Decimal | None = getattr(self.figures, FIGURE_SET_BY.get(kind, "on_hand"))
        return figure

    def decide(self, record: ChangeRecord, *, is_cancelled: bool) -> None:
        """Decide about one change: it has its effect and an outcome, and never touches the others."""
        before, problem = self.figure(record.kind), None
        try:
            outcome = self._cancel(record) if is_cancelled else self._apply(record)
        except _ProblemError as error:
            outcome, problem = Status.REJECTED, error.problem
        self.decided[record.change_id] = Decision(
            attempt=record.attempt,
            outcome=outcome,
            settled_at=self.moment.now,
            code=problem.code if problem else None,
            message=problem.message if problem else None,
            before=before,
            after=self.figure(record.kind),
        )

    def _become(self, figures: Figures) -> None:
        # Figures that another writer made underivable are not this change's fault.
        if figures.derive_if_exact() is None and self.figures.derive_if_exact() is not None:
            raise _ProblemError(Problem("TOO_PRECISE", "a derived figure would need more than 38 digits"))
        self.figures = figures

    def _apply(self, record: ChangeRecord) -> Status:
        if record.status is Status.OPEN:
            return self._close(record)
        if record.problem:
            raise _ProblemError(record.problem)
        if record.not_after is not None and self.moment.now > record.not_after:
            raise _ProblemError(Problem("EXPIRED", f"it was not to be applied after {record.not_after}"))
        try:
            if record.is_booking:
                return self._book(record)
            return self._count(record) if record.kind == _COUNT else self._set(record)
        except DecimalException:
            raise _ProblemError(Problem("TOO_PRECISE", "the result would need more than 38 digits")) from None

    # On hand

    def _book(self, record: ChangeRecord) -> Status:
        last_count = self.last_set.get(_COUNT)
        if last_count is not None and record.effective_at <= last_count.effective_at:
            return Status.SUPERSEDED
        after = self.figures.adjusted(record.booked)
        may_fall = record.kind == _COUNT or self.moment.allow_negative_stock or record.booked >= 0
        if after.on_hand < 0 and not may_fall:
            if self.later is None:
                raise _NeedsAllError
            raise _ProblemError(
                Problem(
                    "INSUFFICIENT_STOCK",
                    f"on hand is {plain(self.figures.on_hand)}, the adjustment {plain(record.booked)}",
                )
            )
        self._become(after)
        last_booked = self.last_set.get(_BOOKED)
        if last_booked is None or last_booked.effective_at < record.effective_at:
            self.last_set[_BOOKED] = LastSet(record.effective_at, record.change_id)
        return Status.APPLIED

    def _count(self, record: ChangeRecord) -> Status:
        if self._is_older_than_last(record):
            return Status.SUPERSEDED
        last_booked = self.last_set.get(_BOOKED)
        later: Iterable[ChangeRecord] = ()
        if last_booked is not None and last_booked.effective_at > record.effective_at:
            if self.later is None:
                raise _NeedsAllError
            later = [each for each in self.later if each.effective_at > record.effective_at]
        on_hand = reduce(NUMBERS.add, [each.booked for each in later], NUMBERS.plus(record.value))
        self._become(replace(self.figures, on_hand=on_hand))
        self.last_set[_COUNT] = LastSet(record.effective_at, record.change_id)
        return Status.APPLIED

    # Settings and windows

    def _set(self, record: ChangeRecord) -> Status:
        if record.until is None and self._is_older_than_last(record):
            return Status.SUPERSEDED
        shown = self.figure(record.kind)
        if record.expected is not None and record.expected != shown:
            stands = "nothing" if shown is None else plain(shown)
            raise _ProblemError(Problem("STALE", f"expected {plain(record.expected)}, and it is {stands}"))
        if record.until is not None:
            return self._open(record, shown)
        if record.kind in self.bases:
            self.bases[record.kind] = NUMBERS.plus(record.value)
        else:
            self._become(self._showing(record.kind, NUMBERS.plus(record.value)))
        self.last_set[record.kind] = LastSet(record.effective_at, record.change_id)
        return Status.APPLIED

    def _open(self, record: ChangeRecord, shown: Decimal | None) -> Status:
        if record.until is None or record.until <= self.moment.as_of:
            raise _ProblemError(Problem("MISSED", "nobody looked before the window had ended"))
        window = Window(record.kind, NUMBERS.plus(record.value), record.effective_at, record.until)
        windows = self.windows | {record.change_id: window}
        self._become(self._showing(record.kind, _latest(windows, record.kind)))
        self.bases.setdefault(record.kind, shown)
        self.windows = windows
        return Status.OPEN

    def _cancel(self, record: ChangeRecord) -> Status:
        if record.status is Status.OPEN:
            self._close(record)
        return Status.CANCELLED

    def _close(self, record: ChangeRecord) -> Status:
        if self.windows.pop(record.change_id, None) is not None:
            latest = _latest(self.windows, record.kind)
            # It has to end, whatever is derived from the figure then.
            self.figures = self._showing(record.kind, self.bases.pop(record.kind) if latest is None else latest)
        return Status.APPLIED

    def _showing(self, kind: str, value: Decimal | None) -> Figures:
        if kind == ChangeKind.PRICE:
            return replace(self.figures, unit_price=value)
        quantity = ZERO if value is None else value
        if kind == ChangeKind.REORDER_POINT:
            return replace(self.figures, reorder_point=quantity)
        return replace(self.figures, safety_stock=quantity)

    def _is_older_than_last(self, record: ChangeRecord) -> bool:
        last = self.last_set.get(record.kind)
        return last is not None and (record.effective_at, record.change_id) < (last.effective_at, last.change_id)


def settle(
    state: ItemState,
    records: Iterable[ChangeRecord],
    moment: Moment,
    *,
    are_all: bool = False,
    cancelled: Collection[str] = (),
) -> Settled | NeedsAllRecords | InvalidItem:
    """What becomes of the changes that are due, and what the item is then.

    Args:
        state: the item as it was read.
        records: the item's records, read after it, consistently: at least those that are due, and those that do not say
            yet what is in ``decided``.
        moment: when.
        are_all: whether these are all records of the item.
        cancelled: ids of changes that are not wanted any more, due or not; one that is settled stays as it is.

    Returns:
        What to write; or that all records are needed; or that the item cannot be settled: its figures have no exact
        derived figures and no due change mends that.
    """
    by_id = {record.change_id: record for record in records}
    due = in_order(
        each
        for each in by_id.values()
        # One without a time has always been due, but not for who only cancels.
        if _is_undecided(each, state)
        and ((moment.as_of and each.due_at <= moment.as_of) or each.change_id in cancelled)
    )
    later = [each for each in by_id.values() if each.is_booking and _was_applied(each, state)]
    work = _Work(
        state.item.figures,
        dict(state.last_set),
        dict(state.windows),
        dict(state.bases),
        moment,
        later if are_all else None,
    )
    try:
        for record in due[:SETTLED_A_WRITE]:
            work.decide(record, is_cancelled=record.change_id in cancelled)
    except _NeedsAllError:
        return NeedsAllRecords(state.key)
    derived = work.figures.derive_if_exact()
    if derived is None:
        return InvalidItem(state.key, "TOO_PRECISE", "a derived figure would need more than 38 digits")
    kept = {name: entry for name, entry in state.decided.items() if name in by_id and not says(by_id[name], entry)}
    marks = [
        Mark(by_id[name], decision)
        for name, decision in {**kept, **work.decided}.items()
        if by_id[name].attempt == decision.attempt and not by_id[name].status.is_final
    ]
    write = _update(state, work, derived, {**kept, **work.decided})
    # A window that opened long ago and whose record does not say so has to say it before it can close.
    opened = [mark.record.until or "" for mark in marks if mark.decision.outcome is Status.OPEN]
    has_ended = min(opened, default=LAST_MOMENT) <= moment.as_of
    return Settled(state.key, write, work.decided, tuple(marks), len(due) <= SETTLED_A_WRITE and not has_ended)


def in_order(records: Iterable[ChangeRecord]) -> list[ChangeRecord]:
    """Records in the order in which they take effect: in one instant adjustments before the rest, then by id."""
    return sorted(records, key=lambda each: (each.due_at, each.kind != _BOOKED, each.change_id))


def _is_undecided(record: ChangeRecord, state: ItemState) -> bool:
    known = state.decided.get(record.change_id)
    return not record.status.is_final and (known is None or known.attempt != record.attempt)


def _was_applied(record: ChangeRecord, state: ItemState) -> bool:
    known = state.decided.get(record.change_id)
    decided = known is not None and known.attempt == record.attempt and known.outcome is Status.APPLIED
    return decided or record.status is Status.APPLIED


def says(record: ChangeRecord, decision: Decision) -> bool:
    """Whether a record says what was decided, or has gone on since."""
    return record.status.is_final or record.attempt > decision.attempt


def _latest(windows: Mapping[str, Window], kind: str) -> Decimal | None:
    """What the window of a kind shows that started last; None where none is open."""
    open_ones = [(window.start, name, window.value) for name, window in windows.items() if window.kind == kind]
    return max(open_ones)[2] if open_ones else None


def _update(state: ItemState, work: _Work, derived: DerivedFigures, decided: Mapping[str, Decision]) -> Update | None:
    """The conditional write of the item; None where nothing differs and nothing was decided."""
    guard = state.guard
    wanted = _attributes(state.item, work.figures, derived)
    differs = {name: value for name, value in wanted.items() if value != guard[name]}
    if not differs and not work.decided:
        return None
    differs |= _beside_figures(state, work, decided)
    sets = {name: value for name, value in differs.items() if value is not None}
    removes = tuple([name for name in differs if name not in sets])
    sets |= {"version": state.next_version, "updated_at": work.moment.now}
    return Update(state.key, sets, removes, guard)


def _beside_figures(state: ItemState, work: _Work, decided: Mapping[str, Decision]) -> dict[str, object]:
    """What differs of the attributes that only the product writes; what is empty is absent."""
    maps: tuple[tuple[str, Mapping[str, LastSet | Window | Decision], Mapping[str, object]], ...] = (
        ("last_set", work.last_set, state.last_set),
        ("windows", work.windows, state.windows),
        ("decided", decided, state.decided),
    )
    differs: dict[str, object] = {
        name: {key: each.to_map() for key, each in wanted.items()} or None
        for name, wanted, stored in maps
        if wanted != stored
    }
    for kind in {*work.bases, *state.bases}:
        if work.bases.get(kind) != state.bases.get(kind):
            differs[f"base_{FIGURE_SET_BY[kind]}"] = work.bases.get(kind)
    return differs


def _attributes(item: StockItem, figures: Figures, derived: DerivedFigures) -> dict[str, object]:
    """The figures as they should be; a quantity of 0 may stay absent."""
    return {
        "on_hand": figures.on_hand,
        "safety_stock": figures.safety_stock if item.safety_stock is not None else figures.safety_stock or None,
        "reorder_point": figures.reorder_point if item.reorder_point is not None else figures.reorder_point or None,
        "unit_price": figures.unit_price,
        "available": derived.available,
        "stock_status": derived.stock_status.value,
        "stock_value": derived.stock_value,
    }
