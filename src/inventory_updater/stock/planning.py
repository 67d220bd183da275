"""What an item needs, and why: a pure function of the item, two moments and a policy.

In the timeline of one item, ``a`` are adjustments, ``C`` is a count::

    ──a1────a2────C────a3────────────▶ effective_at
    a1 and a2 were seen by the count, whether they arrive before or after it was applied; a3 was not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, DecimalException
from functools import lru_cache
from typing import Final, Literal, assert_never

from inventory_updater.stock.changes import (
    FIGURE_SET_BY,
    KINDS,
    Change,
    ChangeKind,
    ItemChanges,
    LastSet,
    Rejection,
    Settlement,
)
from inventory_updater.stock.items import DerivedFigures, Figures, InvalidItem, ItemKey, StockItem
from inventory_updater.stock.numbers import NUMBERS, plain
from inventory_updater.stock.times import format_time, read_time

SETTLED_LIMIT: Final = 500
"""How many settled change ids an item remembers at most."""

REJECTED_LIMIT: Final = 100
"""How many rejected changes an item keeps at most."""

_PLANNED: Final = (
    "on_hand",
    "safety_stock",
    "reorder_point",
    "unit_price",
    "available",
    "stock_status",
    "stock_value",
    "next_change_at",
)
"""The attributes that a plan sets, or removes, where they are not as they should be; maps excepted."""

# As plain text: a member of an enumeration is many times slower to compare and to look up.
_ADJUSTMENT: Final = ChangeKind.ADJUSTMENT.value
_COUNT: Final = ChangeKind.COUNT.value

RejectionCode = Literal["UNKNOWN_KIND", "NOT_A_NUMBER", "NEGATIVE_VALUE", "TOO_PRECISE", "INSUFFICIENT_STOCK"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How changes are judged and how long they are remembered."""

    allow_negative_stock: bool = False
    change_retention_days: int = 7


@dataclass(frozen=True, slots=True)
class Update:
    """A conditional write of one item, as a value.

    ``guard`` names every attribute that must still hold the value it had, ``None`` standing for "is missing".
    """

    key: ItemKey
    sets: Mapping[str, object]
    removes: tuple[str, ...]
    guard: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """An item that has to change: the write, and what became of each due change."""

    write: Update
    applied: tuple[Change, ...] = ()
    superseded: tuple[Change, ...] = ()
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """An item that is as it should be."""

    key: ItemKey
    write: None = None


@dataclass(frozen=True, slots=True)
class _Applied:
    figures: Figures
    derived: DerivedFigures | None


@dataclass(frozen=True, slots=True)
class _Superseded:
    pass


@dataclass(frozen=True, slots=True)
class _Rejected:
    code: RejectionCode
    message: str


def plan(
    item: StockItem, *, as_of: str, now: str, policy: Policy, job_id: str, write_id: str | None = None
) -> Plan | Unchanged | InvalidItem:
    """What ``item`` needs so that every change due at ``as_of`` is settled and its derived figures are right.

    Args:
        item: the item as it was read.
        as_of: stored time; changes effective at or before it are due.
        now: stored time by the clock, for the records of what was settled.
        policy: how changes are judged.
        job_id: recorded with every rejected change.
        write_id: left on the item as its ``last_write_id``, so that a write whose answer is lost can be recognised.

    Returns:
        A plan with its reasons; ``Unchanged`` where nothing differs from what is stored; ``InvalidItem`` where the
        figures that another writer left have no exact derived figures and no due change mends that.
    """
    known = item.changes
    figures = item.figures
    derived: DerivedFigures | None = None
    last_set = dict(known.last_set)
    due = due_changes(known.pending.values(), as_of)
    applied: list[Change] = []
    superseded: list[Change] = []
    rejected: list[Rejection] = []
    for change in due:
        verdict = _judge(change, figures, last_set, policy)
        match verdict:
            case _Applied():
                figures, derived = verdict.figures, verdict.derived
                if change.kind != _ADJUSTMENT:
                    last_set[str(change.kind)] = LastSet(change.effective_at, change.change_id)
                applied.append(change)
            case _Superseded():
                superseded.append(change)
            case _Rejected():
                rejected.append(Rejection(change, verdict.code, verdict.message, now, job_id))
            case _:
                assert_never(verdict)

    if not applied:
        derived = figures.derive_if_exact()
    if derived is None:
        return InvalidItem(item.key, "TOO_PRECISE", "a derived figure would need more than 38 digits")
    remaining = {change_id: change for change_id, change in known.pending.items() if change.effective_at > as_of}
    sets, removes = _differences(item, figures, derived, next_change_at(remaining))
    if not due and not sets and not removes:
        return Unchanged(item.key)
    if due:
        sets["pending_changes"] = {change_id: change.to_map() for change_id, change in remaining.items()}
    if last_set != known.last_set:
        sets["last_set"] = {kind: setting.to_map() for kind, setting in last_set.items()}
    sets |= _remembered_settlements(known, [*applied, *superseded], now, policy)
    sets |= _remembered_rejections(known, rejected)
    sets["version"] = known.next_version
    sets["updated_at"] = now
    if write_id is not None:
        sets["last_write_id"] = write_id
    return Plan(Update(item.key, sets, removes, _guard(item)), tuple(applied), tuple(superseded), tuple(rejected))


def due_changes(pending: Iterable[Change], as_of: str) -> list[Change]:
    """The changes effective at or before ``as_of``, in the order in which they take effect.

    In one instant adjustments come before settings, because a count has seen everything up to and including its
    instant; then the change id decides.
    """
    due = [change for change in pending if change.effective_at <= as_of]
    if len(due) < 2:
        return due
    return sorted(due, key=lambda change: (change.effective_at, change.kind != _ADJUSTMENT, change.change_id))


def next_change_at(pending: Mapping[str, Change]) -> str | None:
    """The earliest time at which one of the pending changes takes effect."""
    return min([change.effective_at for change in pending.values()]) if pending else None


def _judge(
    change: Change, figures: Figures, last_set: Mapping[str, LastSet], policy: Policy
) -> _Applied | _Superseded | _Rejected:
    kind, value = change.kind, change.value
    if kind not in KINDS:
        return _Rejected("UNKNOWN_KIND", "the kind is none of " + ", ".join(KINDS))
    if not isinstance(value, Decimal):
        return _Rejected("NOT_A_NUMBER", "the value is not a number")
    if kind != _ADJUSTMENT and value < 0:
        return _Rejected("NEGATIVE_VALUE", f"a {kind} cannot be negative")
    if _is_superseded(change, last_set):
        return _Superseded()
    try:
        if kind == _ADJUSTMENT:
            after = figures.adjusted(value)
        else:
            after = replace(figures, **{FIGURE_SET_BY[str(kind)]: NUMBERS.plus(value)})
    except DecimalException:
        return _Rejected("TOO_PRECISE", "the result would need more than 38 digits")
    falls_below_zero = kind == _ADJUSTMENT and value < 0 and after.on_hand < 0
    if falls_below_zero and not policy.allow_negative_stock:
        return _Rejected("INSUFFICIENT_STOCK", f"on hand is {plain(figures.on_hand)}, the adjustment {plain(value)}")
    derived = after.derive_if_exact()
    # Figures that another writer made underivable are not this change's fault.
    if derived is None and figures.derive_if_exact() is not None:
        return _Rejected("TOO_PRECISE", "a derived figure would need more than 38 digits")
    return _Applied(after, derived)


def _is_superseded(change: Change, last_set: Mapping[str, LastSet]) -> bool:
    if change.kind == _ADJUSTMENT:
        last_count = last_set.get(_COUNT)
        return last_count is not None and change.effective_at <= last_count.effective_at
    last = last_set.get(str(change.kind))
    return last is not None and (change.effective_at, change.change_id) < (last.effective_at, last.change_id)


def _differences(
    item: StockItem, figures: Figures, derived: DerivedFigures, next_change: str | None
) -> tuple[dict[str, object], tuple[str, ...]]:
    """What to set and what to remove so that the item is as it should be; a quantity of 0 may stay absent."""
    wanted = (
        figures.on_hand,
        figures.safety_stock if item.safety_stock is not None else figures.safety_stock or None,
        figures.reorder_point if item.reorder_point is not None else figures.reorder_point or None,
        figures.unit_price,
        derived.available,
        derived.stock_status.value,
        derived.stock_value,
        next_change,
    )
    stored = (
        item.on_hand,
        item.safety_stock,
        item.reorder_point,
        item.unit_price,
        item.available,
        item.stock_status,
        item.stock_value,
        item.changes.next_change_at,
    )
    if wanted == stored:
        return {}, ()
    differing = [(name, new) for name, new, old in zip(_PLANNED, wanted, stored, strict=True) if new != old]
    sets: dict[str, object] = {name: new for name, new in differing if new is not None}
    return sets, tuple([name for name, new in differing if new is None])


def _guard(item: StockItem) -> dict[str, object]:
    """What a plan has read of an item, maps excepted: a write holds only if all of it still holds."""
    return {
        "on_hand": item.on_hand,
        "reserved": item.reserved,
        "safety_stock": item.safety_stock,
        "reorder_point": item.reorder_point,
        "unit_price": item.unit_price,
        "available": item.available,
        "stock_status": item.stock_status,
        "stock_value": item.stock_value,
        "next_change_at": item.changes.next_change_at,
        "settled_before": item.changes.settled_before,
        "version": item.changes.version,
    }


GUARDED: Final = tuple(_guard(StockItem(ItemKey("", ""), Decimal(0))))
"""The attributes that a plan reads, maps excepted."""


def _remembered_settlements(
    changes: ItemChanges, settled_now: Iterable[Change], now: str, policy: Policy
) -> dict[str, object]:
    """What to set so that the item remembers what was settled, within bounds, the oldest forgotten first."""
    before = changes.settled
    known = {**before, **{change.change_id: Settlement(now, change.effective_at) for change in settled_now}}
    forget_before = _days_before(now, policy.change_retention_days)
    kept = {change_id: settlement for change_id, settlement in known.items() if settlement.settled_at >= forget_before}
    if len(kept) > SETTLED_LIMIT:
        newest_first = sorted(
            kept.items(), key=lambda entry: (entry[1].settled_at, entry[1].effective_at, entry[0]), reverse=True
        )
        kept = dict(newest_first[:SETTLED_LIMIT])
    if kept == before:
        return {}
    sets: dict[str, object] = {"settled_changes": {key: settlement.to_map() for key, settlement in kept.items()}}
    if len(kept) < len(known):
        forgotten = [settlement.effective_at for change_id, settlement in known.items() if change_id not in kept]
        settled_before = max([*forgotten, changes.settled_before or ""])
        if settled_before != changes.settled_before:
            sets["settled_before"] = settled_before
    return sets


@lru_cache(maxsize=8)  # a page is planned at one moment
def _days_before(now: str, days: int) -> str:
    return format_time(read_time(now) - timedelta(days=days))


def _remembered_rejections(changes: ItemChanges, rejected_now: Sequence[Rejection]) -> dict[str, object]:
    """What to set so that the item keeps its newest rejected changes, replayable."""
    if not rejected_now and len(changes.rejected) <= REJECTED_LIMIT:
        return {}
    known = dict(changes.rejected) | {rejection.change.change_id: rejection for rejection in rejected_now}
    newest_first = sorted(
        known.items(),
        key=lambda entry: (entry[1].rejected_at, entry[1].change.effective_at, entry[0]),
        reverse=True,
    )
    kept = dict(newest_first[:REJECTED_LIMIT])
    return {"rejected_changes": {change_id: rejection.to_map() for change_id, rejection in kept.items()}}
