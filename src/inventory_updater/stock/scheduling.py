"""What scheduling, cancelling, retrying and loading do to one item: pure functions that return a write or a refusal.

They read and write the item's changes, not its figures: an item whose ``on_hand`` another writer has spoilt can
still be given changes, which wait until it is mended.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError
from inventory_updater.stock.changes import Change, ItemChanges, read_changes
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.planning import Update, next_change_at

PENDING_LIMIT: Final = 1_000
"""How many pending changes ``schedule`` lets an item have."""

ITEM_BYTES_LIMIT: Final = 200_000
"""How large ``schedule`` lets an item become; DynamoDB's own limit is 400 KB."""

GUARDED: Final = ("next_change_at", "settled_before", "version")


@dataclass(frozen=True, slots=True)
class Creation:
    """A write that makes an item and fails where there is one already."""

    key: ItemKey
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What a file's changes mean for one item."""

    write: Update | Creation | None
    scheduled: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Changes that leave the pending ones (cancelled) or come back to them (retried)."""

    write: Update | None
    change_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loading:
    """A stock row as a write."""

    write: Update | Creation


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing may be written to an item; ``change_id`` where one change is the reason."""

    key: ItemKey
    code: str
    message: str
    change_id: str | None = None
    write: None = None


def schedule(
    key: ItemKey,
    attributes: Attributes | None,
    changes: Iterable[Change],
    *,
    now: str,
    create_missing: bool = False,
    allow_old: bool = False,
) -> Scheduling | Refusal:
    """Add ``changes`` to the pending ones of an item, leaving alone what it knows already.

    Args:
        key: the item's key.
        attributes: the item as it was read; ``None`` where there is none.
        changes: checked changes with ids unique within the item.
        now: stored time by the clock.
        create_missing: make an item that is not there, with quantities of 0 and no price.
        allow_old: take changes that may have been settled and forgotten.
    """
    changes = list(changes)
    if attributes is None and not create_missing:
        return Refusal(key, "UNKNOWN_ITEM", f"there is no item {key}", changes[0].change_id)
    try:
        known = read_changes(attributes or {})
    except UnreadableAttributeError as error:
        return Refusal(key, error.code, f"item {key} cannot take changes: {error}", changes[0].change_id)

    added: dict[str, Change] = {}
    duplicates: list[str] = []
    for change in changes:
        refusal = _refusal(key, change, known, allow_old)
        if refusal:
            return refusal
        if _is_known(change, known):
            duplicates.append(change.change_id)
        else:
            added[change.change_id] = change
    if not added:
        return Scheduling(None, (), tuple(duplicates))

    pending = dict(known.pending) | added
    last_id = next(reversed(added))
    if len(pending) > PENDING_LIMIT:
        message = f"item {key} would have {len(pending):,} pending changes; {PENDING_LIMIT:,} are allowed"
        return Refusal(key, "TOO_MANY_CHANGES", message, last_id)
    sets = _pending_sets(known, pending, now)
    size = size_in_bytes(dict(attributes or {}) | sets)
    if size > ITEM_BYTES_LIMIT:
        message = f"item {key} would have {size:,} bytes; {ITEM_BYTES_LIMIT:,} are allowed"
        return Refusal(key, "ITEM_TOO_LARGE", message, last_id)
    if attributes is None:
        write: Update | Creation = Creation(key, _new_item(Figures(Decimal(0)), {}) | sets)
    else:
        write = _update(key, known, sets)
    return Scheduling(write, tuple(added), tuple(duplicates))


def cancel(key: ItemKey, attributes: Attributes | None, change_ids: Collection[str], *, now: str) -> Withdrawal:
    """Take the pending changes with these ids out of an item; ids that are not pending are passed over.

    Raises:
        UnreadableAttributeError: where the item's changes cannot be read.
    """
    known = read_changes(attributes or {})
    cancelled = tuple(change_id for change_id in known.pending if change_id in change_ids)
    if not cancelled:
        return Withdrawal(None)
    pending = {change_id: change for change_id, change in known.pending.items() if change_id not in cancelled}
    return Withdrawal(_update(key, known, _pending_sets(known, pending, now)), cancelled)


def retry(key: ItemKey, attributes: Attributes | None, job_id: str, *, now: str) -> Withdrawal | Refusal:
    """Put the changes that ``job_id`` rejected in this item back to its pending ones."""
    try:
        known = read_changes(attributes or {})
    except UnreadableAttributeError as error:
        return Refusal(key, error.code, f"item {key} cannot take changes: {error}")
    again = {
        change_id: rejection.change for change_id, rejection in known.rejected.items() if rejection.job_id == job_id
    }
    if not again:
        return Withdrawal(None)
    pending = dict(known.pending) | again
    if len(pending) > PENDING_LIMIT:
        message = f"item {key} would have {len(pending):,} pending changes; {PENDING_LIMIT:,} are allowed"
        return Refusal(key, "TOO_MANY_CHANGES", message)
    kept = {change_id: rejection.to_map() for change_id, rejection in known.rejected.items() if change_id not in again}
    sets = _pending_sets(known, pending, now) | {"rejected_changes": kept}
    return Withdrawal(_update(key, known, sets), tuple(again))


def load(
    key: ItemKey,
    attributes: Attributes | None,
    figures: Figures,
    texts: Mapping[str, str | None],
    *,
    replace: bool,
    now: str,
) -> Loading | Refusal:
    """Make an item, or set the figures and texts of the one that is there, its changes left alone.

    Args:
        key: the item's key.
        attributes: the item as it was read; ``None`` where there is none.
        figures: the quantities and the price, from which the derived figures follow.
        texts: ``currency`` and ``description``, ``None`` for absent.
        replace: whether an item that is there may be replaced.
        now: stored time by the clock.
    """
    try:
        wanted = _new_item(figures, texts)
    except ArithmeticError:
        return Refusal(key, "TOO_PRECISE", f"item {key}: a derived figure would need more than 38 digits")
    if attributes is None:
        return Loading(Creation(key, wanted | {"version": Decimal(1), "updated_at": now}))
    if not replace:
        return Refusal(key, "ITEM_EXISTS", f"item {key} is already there (--replace sets its columns)")
    try:
        known = read_changes(attributes)
    except UnreadableAttributeError as error:
        return Refusal(key, error.code, f"item {key} cannot be replaced: {error}")
    removes = tuple(
        name
        for name in ("unit_price", "currency", "description", "stock_value")
        if name not in wanted and name in attributes
    )
    sets = wanted | {"version": known.next_version, "updated_at": now}
    return Loading(_update(key, known, sets, removes))


def size_in_bytes(value: object) -> int:
    """The size of a value or of a whole item, as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    match value:
        case str():
            return len(value.encode())
        case bool() | None:
            return 1
        case Decimal():
            return len(value.as_tuple().digits) // 2 + 2
        case Mapping():
            return 3 + sum(1 + len(str(name).encode()) + size_in_bytes(element) for name, element in value.items())
        case list() | set() | frozenset():
            return 3 + sum(1 + size_in_bytes(element) for element in value)
        case _:
            return len(bytes(value))  # type: ignore[call-overload]  # a binary value is all that is left


def _refusal(key: ItemKey, change: Change, known: ItemChanges, allow_old: bool) -> Refusal | None:
    pending = known.pending.get(change.change_id)
    if pending is not None and pending != change:
        message = f"change {change.change_id} is already pending in item {key} with another content"
        return Refusal(key, "CHANGE_ID_TAKEN", message, change.change_id)
    may_be_forgotten = known.settled_before is not None and change.effective_at <= known.settled_before
    if may_be_forgotten and not allow_old and not _is_known(change, known):
        message = (
            f"change {change.change_id} of item {key} is not later than {known.settled_before}: it may have been "
            "applied and forgotten (--allow-old takes it all the same)"
        )
        return Refusal(key, "TOO_OLD", message, change.change_id)
    return None


def _is_known(change: Change, known: ItemChanges) -> bool:
    return any(change.change_id in ids for ids in (known.pending, known.settled, known.rejected))


def _pending_sets(known: ItemChanges, pending: Mapping[str, Change], now: str) -> dict[str, object]:
    """What to set for these pending changes; ``next_change_at`` is ``None`` where there are none left."""
    return {
        "pending_changes": {change_id: change.to_map() for change_id, change in pending.items()},
        "next_change_at": next_change_at(pending),
        "version": known.next_version,
        "updated_at": now,
    }


def _update(key: ItemKey, known: ItemChanges, sets: Mapping[str, object], removes: tuple[str, ...] = ()) -> Update:
    absent = tuple(name for name, value in sets.items() if value is None and getattr(known, name) is not None)
    return Update(
        key,
        {name: value for name, value in sets.items() if value is not None},
        removes + absent,
        {name: getattr(known, name) for name in GUARDED},
    )


def _new_item(figures: Figures, texts: Mapping[str, str | None]) -> dict[str, object]:
    derived = figures.derive()
    attributes: dict[str, object | None] = {
        "on_hand": figures.on_hand,
        "reserved": figures.reserved,
        "safety_stock": figures.safety_stock,
        "reorder_point": figures.reorder_point,
        "unit_price": figures.unit_price,
        "available": derived.available,
        "stock_status": derived.stock_status.value,
        "stock_value": derived.stock_value,
        **texts,
    }
    return {name: value for name, value in attributes.items() if value is not None}
