"""What a history is about, drawn from a seed: items, changes of every kind, and who meets over them."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time, read_time

KEYS: Final = (ItemKey("mug", "DC1"), ItemKey("cup", "DC1"), ItemKey("jug", "DC2"))
BEGIN: Final = read_time("2026-03-02T08:00:00.000000Z")
_STEP: Final = timedelta(minutes=10)
_SUPPLIERS: Final = 0.25
_SORE_POINTS: Final = (
    ("", ""),
    ("batch_get_item", "inventory-test"),
    ("batch_get_item", "inventory-changes-test"),
    ("batch_execute_statement", "inventory-test"),
    ("batch_execute_statement", "inventory-changes-test"),
)
_KINDS: Final = {"adjustment": 38, "count": 22, "price": 24, "reorder_point": 8, "safety_stock": 8}


@dataclass(frozen=True, slots=True)
class Row:
    """A change that is asked for, and the item it is for."""

    key: ItemKey
    change: Change


class Member(NamedTuple):
    """Who takes part: what for, and from which turn on.

    Attributes:
        name: "checkout-2"; its first part says what it does.
        turn: when it may begin; counted anew on the second day.
        with_: what it is about.
    """

    name: str
    turn: int
    with_: Any = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a history is about."""

    items: Mapping[ItemKey, Mapping[str, object]]
    put_by_others: tuple[Row, ...]
    """Changes that are there from the beginning: another system put them into the table."""
    cast: tuple[Member, ...]
    second_day: tuple[Member, ...]
    """Who comes when the first day is over; nobody on most days."""
    fault_rate: float
    jump_rate: float
    stall_rate: float
    """How often a process stands at a request for a while."""
    sore_point: tuple[str, str]
    """The operation and the table at which it does so every other time."""


def drawn(seed: int, without: frozenset[str] = frozenset()) -> Content:
    """The content of this seed; ``without`` are ids of changes and names of members that are left out."""
    chance = random.Random(f"content {seed}")
    keys = KEYS[: chance.choice((2, 3, 3))]
    items = {key: _item(chance) for key in keys}
    rows = [_row(chance, number, keys) for number in range(chance.randint(8, 15))]
    # Counts come late more often than not: the adjustments after them have been applied by then.
    early = [row for row in rows if chance.random() < (0.2 if row.change.kind == "count" else 0.6)]
    late = [row for row in rows if row not in early]
    cast = list(_cast(chance, keys, rows, late))
    second_day = list(_second_day(chance, keys, rows)) if chance.random() < 0.25 else []
    return Content(
        items=items,
        put_by_others=tuple(_kept(early, without)),
        cast=tuple(_members(cast, without)),
        second_day=tuple(_members(second_day, without)),
        fault_rate=chance.choice((0.0, 0.02, 0.05, 0.1)),
        jump_rate=chance.choice((0.02, 0.03, 0.05)),
        stall_rate=chance.choice((0.02, 0.05, 0.1)),
        sore_point=chance.choice(_SORE_POINTS),
    )


def names_in(content: Content) -> list[str]:
    """What may be left out of it."""
    members = [*content.cast, *content.second_day]
    rows = [*content.put_by_others, *(row for each in members if isinstance(each.with_, tuple) for row in each.with_)]
    changes = dict.fromkeys(row.change.change_id for row in rows if isinstance(row, Row))
    return [*(each.name for each in members), *changes]


def _item(chance: random.Random) -> dict[str, object]:
    figures: dict[str, object] = {"on_hand": Decimal(chance.randint(0, 6)), "unit_price": Decimal(5)}
    if chance.random() < 0.5:
        figures |= {"reserved": Decimal(chance.randint(0, 2)), "safety_stock": Decimal(chance.randint(0, 2))}
    if chance.random() < 0.5:
        figures |= {"reorder_point": Decimal(2), "version": Decimal(chance.randint(1, 9))}
    return figures


def _time(chance: random.Random, earliest: int = 0, latest: int = 12) -> datetime:
    return BEGIN + chance.randint(earliest, latest) * _STEP


def _row(chance: random.Random, number: int, keys: tuple[ItemKey, ...]) -> Row:
    (kind,) = chance.choices(list(_KINDS), list(_KINDS.values()))
    # An id's first letter mixes the order of ids with that of the times.
    change_id = f"{chance.choice('abc')}-{kind}-{number}"
    # Most are of one item: it is there that they meet.
    return Row(chance.choice((keys[0], *keys)), _change(chance, change_id, kind, _time(chance)))


def _change(chance: random.Random, change_id: str, kind: str, start: datetime) -> Change:
    until = expected = not_after = None
    value = Decimal(chance.choice((-4, -3, -2, -1, 1, 1, 2, 3)) if kind == "adjustment" else chance.randint(0, 8))
    if kind not in ("adjustment", "count") and chance.random() < 0.6:
        until = format_time(start + chance.randint(1, 9) * _STEP)
    if kind == "count" and chance.random() < 0.4:
        expected = Decimal(chance.randint(0, 8))
    elif kind not in ("adjustment", "count") and chance.random() < 0.2:
        expected = Decimal(chance.choice((0, 2, 5)))
    if chance.random() < 0.08:
        not_after = format_time(start + chance.randint(0, 4) * _STEP)
    return Change(change_id, kind, value, format_time(start), until, expected, not_after)


def _cast(chance: random.Random, keys: tuple[ItemKey, ...], rows: list[Row], late: list[Row]) -> Iterator[Member]:
    def turn(latest: int = 150) -> int:
        return chance.choice((0, chance.randint(0, latest)))

    def some(most: int) -> tuple[Row, ...]:
        return tuple(chance.sample(rows, min(len(rows), chance.randint(1, most))))

    half = len(late) // 2
    second = _door(chance)
    # What the other door brings may be in the file as well.
    for name, part in (("door-1", late[:half]), (f"{second}-2", late if second == "supplier" else late[half:])):
        if part:
            yield Member(name, turn(60), tuple(part))
    yield Member("job-1", turn(10), "due")
    for number in range(2, chance.randint(3, 5)):
        yield Member(f"job-{number}", chance.randint(20, 250), chance.choice(("due", "due", "due", "all")))
    yield Member("checkout-1", turn(), chance.choice(keys))
    for number in range(1, chance.randint(3, 5)):
        yield Member(f"canceller-{number}", chance.randint(0, 250), some(3))
    for number in range(1, chance.randint(2, 4)):
        yield Member(f"retrier-{number}", chance.randint(20, 250), keys[0])
    if chance.random() < 0.2:
        yield Member("dismisser-1", chance.randint(20, 250), chance.choice(keys))
    if chance.random() < 0.6:
        yield Member("stopper-1", chance.randint(5, 100), chance.choice(("job-1", "job-2")))
    if chance.random() < 0.1:
        yield Member("deleter-1", turn(), (chance.choice(keys), chance.random() < 0.5))


def _door(chance: random.Random) -> str:
    """Who brings changes: most call the product, some put a file into its bucket."""
    return "supplier" if chance.random() < _SUPPLIERS else "door"


def _second_day(chance: random.Random, keys: tuple[ItemKey, ...], rows: list[Row]) -> Iterator[Member]:
    yield Member("again-1", 0, tuple(rows))
    # Later than all that may be forgotten while it waits.
    new = [
        _change(chance, f"new-{kind}-{number}", kind, chance.choice((_time(chance, 100, 150), _time(chance, 244, 294))))
        for number, kind in enumerate(("adjustment", "count", "price", "adjustment"))
    ]
    yield Member(f"{_door(chance)}-3", chance.randint(0, 20), tuple(Row(chance.choice(keys), each) for each in new))
    yield Member("job-4", chance.randint(0, 40), chance.choice(("due", "all")))
    if chance.random() < 0.5:
        yield Member("retrier-3", chance.randint(0, 60), keys[0])
    if chance.random() < 0.5:
        yield Member("canceller-3", chance.randint(0, 60), tuple(chance.sample(rows, min(3, len(rows)))))


def _kept(rows: list[Row], without: frozenset[str]) -> list[Row]:
    return [row for row in rows if row.change.change_id not in without]


def _members(members: list[Member], without: frozenset[str]) -> Iterator[Member]:
    for each in members:
        if each.name in without:
            continue
        if isinstance(each.with_, tuple) and isinstance(each.with_[0], Row):
            kept = tuple(_kept(list(each.with_), without))
            if kept:
                yield Member(each.name, each.turn, kept)
        else:
            yield each
