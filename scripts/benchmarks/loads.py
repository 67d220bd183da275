"""Ten weeks of trade, day by day: what is in stock, and which changes are asked for."""

import csv
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Final

from benchmarks.shop import Wanted
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import read_stock_file
from inventory_updater.intake.text_rows import ChangeRow, StockRow
from inventory_updater.stock.changes import Change, ChangeKind
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time, read_time

WEEKS: Final = 10
FIRST_DAY: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""

SKEW: Final = 1.1
"""The standard deviation of the logarithm of how many changes an item has: 1.12 in a week of Online Retail.

https://archive.ics.uci.edu/dataset/352/online+retail
"""

_DAY: Final = timedelta(days=1)
_OPENS: Final = timedelta(hours=8)
_TOO_MUCH: Final = Decimal(-1_000_000)


@dataclass(frozen=True, slots=True)
class Load:
    """A trade.

    Attributes:
        name: what it is called in a table.
        stock: what is there in the beginning.
        day: the changes of a day, by its number from 0.
    """

    name: str
    stock: Sequence[StockRow]
    day: Callable[[int], list[Wanted]] = field(repr=False)


def synthetic(
    name: str, *, items: int, changes_a_day: int, skew: float = 0.0, rejected: float = 0.0, hours: int = 2
) -> Load:
    """A trade of sales and receipts, evenly over some hours of the day, and where it is not skewed item after item.

    Args:
        name: what it is called.
        items: how many there are.
        changes_a_day: of all of them.
        skew: the standard deviation of the logarithm of an item's share; 0 where each has the same.
        rejected: the share of changes that want more than there is.
        hours: of a day; the fewer there are, the fewer jobs have something to do.
    """
    keys = [ItemKey(f"KIT-{number:06}", "LEEDS-DC") for number in range(items)]
    stock = [
        StockRow(0, key, Decimal(18_000), Decimal(4), Decimal(10), Decimal(40), Decimal("12.5"), "GBP", _DESCRIPTION)
        for key in keys
    ]
    shares = random.Random(name)  # a load is the same each time
    weights = [math.exp(skew * shares.gauss(0, 1)) for _ in keys]

    def day(number: int) -> list[Wanted]:
        dice = random.Random(f"{name}, day {number}")
        chosen = dice.choices(keys, weights, k=changes_a_day) if skew else keys * (changes_a_day // items)
        opens = FIRST_DAY + number * _DAY + _OPENS
        wanted = []
        for place, key in enumerate(chosen):
            moment = format_time(opens + timedelta(hours=hours) * (place / len(chosen)))
            change_id = f"SO-{number:03}-{place:06}"
            # As much comes as goes, so that ten weeks do not empty the shelf; hardly anything is wanted in vain.
            value = _TOO_MUCH if dice.random() < rejected else Decimal(dice.choice((-2, 2)))
            wanted.append(
                Wanted(key, Change(change_id, "adjustment", value, moment, None, None, None, "sale", change_id))
            )
        return wanted

    return Load(name, stock, day)


def real(folder: Path) -> Load:
    """A week of real trade again and again: before each, what was sold in the one before is received.

    Args:
        folder: with ``opening_stock.csv``, ``changes.csv`` and ``closing_stock.csv``.
    """
    stock = [row for row in read_stock_file(folder / "opening_stock.csv") if isinstance(row, StockRow)]
    rows = [row for row in read_change_file(folder / "changes.csv") if isinstance(row, ChangeRow)]
    rows.sort(key=lambda row: row.change.effective_at)
    first = read_time(rows[0].change.effective_at).date()
    days = {
        (read_time(moment).date() - first).days: [*of_day]
        for moment, of_day in groupby(rows, key=lambda row: f"{row.change.effective_at[:10]}T00:00:00Z")
    }
    ago = FIRST_DAY.date() - first
    sold = _sold(folder / "closing_stock.csv", {row.key: row.on_hand or Decimal(0) for row in stock})

    def day(number: int) -> list[Wanted]:
        week, of_week = divmod(number, 7)
        moved = ago + 7 * week * _DAY
        wanted = [_moved(row, week, moved) for row in days.get(of_week, ())]
        if week and not of_week:
            moment = format_time(FIRST_DAY + number * _DAY + timedelta(hours=6))
            receipts = (
                Wanted(key, Change(f"W{week}-PO", ChangeKind.ADJUSTMENT, quantity, moment, None, None, None, "receipt"))
                for key, quantity in sold.items()
            )
            wanted = [*receipts, *wanted]
        return wanted

    return Load("real trade, repeated", stock, day)


def _moved(row: ChangeRow, week: int, moved: timedelta) -> Wanted:
    moment = format_time(read_time(row.change.effective_at) + moved)
    return Wanted(row.key, replace(row.change, change_id=f"W{week}-{row.change.change_id}", effective_at=moment))


def _sold(closing: Path, opening: Mapping[ItemKey, Decimal]) -> dict[ItemKey, Decimal]:
    def rows() -> Iterator[tuple[ItemKey, Decimal]]:
        with closing.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = ItemKey(row["sku"], row["location_id"])
                yield key, opening[key] - Decimal(row["on_hand"])

    return {key: quantity for key, quantity in rows() if quantity}


_DESCRIPTION: Final = "Stoneware Mug, Ash Grey"
