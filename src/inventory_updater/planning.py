"""What an item needs, and why: a pure function of the item, two moments and a policy.

In the timeline of one item, ``a`` are adjustments, ``C`` is a count::

    ──a1────a2────C────a3────────────▶ effective_at
    a1 and a2 were seen by the count, whether they arrive before or after it was applied; a3 was not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, DecimalException
from typing import Final, Literal, assert_never

from inventory_updater.stock import (
    KINDS,
    NUMBERS,
    Change,
    ChangeKind,
    DerivedFigures,
    Figures,
    InvalidItem,
    ItemKey,
    LastSet,
    Rejection,
    Settlement,
    StockItem,
    format_time,
    plain,
    read_time,
)

SETTLED_LIMIT: Final = 500
"""How many settled change ids an item remembers at most."""

REJECTED_LIMIT: Final = 100
"""How many rejected changes an item keeps at most."""

GUARDED: Final = (
    "on_hand",
    "reserved",
    "safety_stock",
    "reorder_point",
    "unit_price",
    "available",
    "stock_status",
    "stock_value",
    "next_change_at",
    "settled_before",
    "version",
)
"""The attributes that a plan reads, maps excepted: a write holds only if all of them still hold."""

_FIGURE_SET_BY: Final[Mapping[str, str]] = {
    ChangeKind.COUNT: "on_hand",
    ChangeKind.PRICE: "unit_price",
    ChangeKind.REORDER_POINT: "reorder_point",
    ChangeKind.SAFETY_STOCK: "safety_stock",
}

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


@dataclass(frozen=True, slots=True)
class _Superseded:
    pass


@dataclass(frozen=True, slots=True)
class _Rejected:
    code: RejectionCode
    message: str


def plan(item: StockItem, *, as_of: str, now: str, policy: Policy, job_id: str) -> Plan | Unchanged | InvalidItem:
    """What ``item`` needs so that every change due at ``as_of`` is settled and its derived figures are right.

    Args:
        item: the item as it was read.
        as_of: stored time; changes effective at or before it are due.
        now: stored time by the clock, for the records of what was settled.
        policy: how changes are judged.
        job_id: recorded with every rejected change.

    Returns:
        A plan with its reasons; ``Unchanged`` where nothing differs from what is stored; ``InvalidItem`` where the
        figures that another writer left have no exact derived figures and no due change mends that.
    """
    figures = item.figures
    last_set = dict(item.changes.last_set)
    due = due_changes(item.changes.pending.values(), as_of)
    applied: list[Change] = []
    superseded: list[Change] = []
    rejected: list[Rejection] = []
    for change in due:
        verdict = _judge(change, figures, last_set, policy)
        match verdict:
            case _Applied():
                figures = verdict.figures
                if change.kind != ChangeKind.ADJUSTMENT:
                    last_set[str(change.kind)] = LastSet(change.effective_at, change.change_id)
                applied.append(change)
            case _Superseded():
                superseded.append(change)
            case _Rejected():
                rejected.append(Rejection(change, verdict.code, verdict.message, now, job_id))
            case _:
                assert_never(verdict)

    derived = _derive(figures)
    if derived is None:
        return InvalidItem(item.key, "TOO_PRECISE", "a derived figure would need more than 38 digits")
    done = {change.change_id for change in due}
    remaining = {change_id: change for change_id, change in item.changes.pending.items() if change_id not in done}
    sets, removes = _differences(item, _wanted(item, figures, derived, next_change_at(remaining)))
    if not due and not sets and not removes:
        return Unchanged(item.key)
    if due:
        sets["pending_changes"] = {change_id: change.to_map() for change_id, change in remaining.items()}
    if last_set != item.changes.last_set:
        sets["last_set"] = {kind: setting.to_map() for kind, setting in last_set.items()}
    sets |= _remembered_settlements(item, [*applied, *superseded], now, policy)
    sets |= _remembered_rejections(item, rejected)
    sets |= {"version": item.changes.next_version, "updated_at": now}
    guard = {name: _stored(item, name) for name in GUARDED}
    return Plan(Update(item.key, sets, removes, guard), tuple(applied), tuple(superseded), tuple(rejected))


def due_changes(pending: Iterable[Change], as_of: str) -> list[Change]:
    """The changes effective at or before ``as_of``, in the order in which they take effect.

    In one instant adjustments come before settings, because a count has seen everything up to and including its
    instant; then the change id decides.
    """
    due = [change for change in pending if change.effective_at <= as_of]
    return sorted(due, key=lambda change: (change.effective_at, change.kind != ChangeKind.ADJUSTMENT, change.change_id))


def next_change_at(pending: Mapping[str, Change]) -> str | None:
    """The earliest time at which one of the pending changes takes effect."""
    return min((change.effective_at for change in pending.values()), default=None)


def _judge(
    change: Change, figures: Figures, last_set: Mapping[str, LastSet], policy: Policy
) -> _Applied | _Superseded | _Rejected:
    kind, value = change.kind, change.value
    if kind not in KINDS:
        return _Rejected("UNKNOWN_KIND", "the kind is none of " + ", ".join(KINDS))
    if not isinstance(value, Decimal):
        return _Rejected("NOT_A_NUMBER", "the value is not a number")
    if kind != ChangeKind.ADJUSTMENT and value < 0:
        return _Rejected("NEGATIVE_VALUE", f"a {kind} cannot be negative")
    if _is_superseded(change, last_set):
        return _Superseded()
    try:
        if kind == ChangeKind.ADJUSTMENT:
            after = replace(figures, on_hand=NUMBERS.add(figures.on_hand, value))
        else:
            after = replace(figures, **{_FIGURE_SET_BY[str(kind)]: NUMBERS.plus(value)})
    except DecimalException:
        return _Rejected("TOO_PRECISE", "the result would need more than 38 digits")
    falls_below_zero = kind == ChangeKind.ADJUSTMENT and value < 0 and after.on_hand < 0
    if falls_below_zero and not policy.allow_negative_stock:
        return _Rejected("INSUFFICIENT_STOCK", f"on hand is {plain(figures.on_hand)}, the adjustment {plain(value)}")
    # Figures that another writer made underivable are not this change's fault.
    if _derive(after) is None and _derive(figures) is not None:
        return _Rejected("TOO_PRECISE", "a derived figure would need more than 38 digits")
    return _Applied(after)


def _is_superseded(change: Change, last_set: Mapping[str, LastSet]) -> bool:
    if change.kind == ChangeKind.ADJUSTMENT:
        last_count = last_set.get(ChangeKind.COUNT)
        return last_count is not None and change.effective_at <= last_count.effective_at
    last = last_set.get(str(change.kind))
    return last is not None and (change.effective_at, change.change_id) < (last.effective_at, last.change_id)


def _derive(figures: Figures) -> DerivedFigures | None:
    try:
        return figures.derive()
    except DecimalException:
        return None


def _wanted(item: StockItem, figures: Figures, derived: DerivedFigures, next_change: str | None) -> dict[str, object]:
    """The attributes as they should be, ``None`` for absent; a quantity of 0 may stay absent."""
    return {
        "on_hand": figures.on_hand,
        "safety_stock": figures.safety_stock if item.safety_stock is not None else figures.safety_stock or None,
        "reorder_point": figures.reorder_point if item.reorder_point is not None else figures.reorder_point or None,
        "unit_price": figures.unit_price,
        "available": derived.available,
        "stock_status": derived.stock_status.value,
        "stock_value": derived.stock_value,
        "next_change_at": next_change,
    }


def _stored(item: StockItem, name: str) -> object:
    holder = item.changes if name in ("next_change_at", "settled_before", "version") else item
    return getattr(holder, name)


def _differences(item: StockItem, wanted: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    differing = {name: value for name, value in wanted.items() if value != _stored(item, name)}
    sets = {name: value for name, value in differing.items() if value is not None}
    return sets, tuple(name for name in differing if name not in sets)


def _remembered_settlements(
    item: StockItem, settled_now: Iterable[Change], now: str, policy: Policy
) -> dict[str, object]:
    """What to set so that the item remembers what was settled, within bounds, the oldest forgotten first."""
    before = item.changes.settled
    known = dict(before) | {change.change_id: Settlement(now, change.effective_at) for change in settled_now}
    forget_before = format_time(read_time(now) - timedelta(days=policy.change_retention_days))
    newest_first = sorted(
        known.items(), key=lambda entry: (entry[1].settled_at, entry[1].effective_at, entry[0]), reverse=True
    )
    kept = {
        change_id: settlement
        for change_id, settlement in newest_first[:SETTLED_LIMIT]
        if settlement.settled_at >= forget_before
    }
    if kept == before:
        return {}
    sets: dict[str, object] = {"settled_changes": {key: settlement.to_map() for key, settlement in kept.items()}}
    forgotten = [settlement.effective_at for change_id, settlement in known.items() if change_id not in kept]
    settled_before = max([*forgotten, item.changes.settled_before or ""])
    if settled_before and settled_before != item.changes.settled_before:
        sets["settled_before"] = settled_before
    return sets


def _remembered_rejections(item: StockItem, rejected_now: Iterable[Rejection]) -> dict[str, object]:
    """What to set so that the item keeps its newest rejected changes, replayable."""
    before = item.changes.rejected
    known = dict(before) | {rejection.change.change_id: rejection for rejection in rejected_now}
    newest_first = sorted(
        known.items(),
        key=lambda entry: (entry[1].rejected_at, entry[1].change.effective_at, entry[0]),
        reverse=True,
    )
    kept = dict(newest_first[:REJECTED_LIMIT])
    if kept == before:
        return {}
    return {"rejected_changes": {change_id: rejection.to_map() for change_id, rejection in kept.items()}}
