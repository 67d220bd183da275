"""Comparing: what was counted beside what is stored. Nothing is written."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Protocol

from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import batched, in_a_minute
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.writing import Progress, no_progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import InvalidItem, ItemKey, read_key
from inventory_updater.stock.levels import read_level
from inventory_updater.stock.numbers import EXACT, ZERO
from inventory_updater.tables.inventory_table import InventoryTable


class Finding(StrEnum):
    """What a row of a count sheet turns out to be."""

    MATCHES = "MATCHES"
    DIFFERS = "DIFFERS"
    NOT_COUNTED = "NOT_COUNTED"
    UNKNOWN_ITEM = "UNKNOWN_ITEM"
    UNREADABLE_ITEM = "UNREADABLE_ITEM"


class Row(Protocol):
    """What was counted of one item; None where it was not counted."""

    @property
    def key(self) -> ItemKey: ...
    @property
    def counted(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class Variance:
    """A row of a count sheet beside what is stored.

    Attributes:
        difference: counted less stored.
        unit_price: without open windows.
        value: of the difference, by that price.
    """

    key: ItemKey
    finding: Finding
    counted: Decimal | None = None
    stored: Decimal | None = None
    difference: Decimal | None = None
    unit_price: Decimal | None = None
    currency: str | None = None
    value: Decimal | None = None
    message: str | None = None

    @property
    def weight(self) -> tuple[Decimal, Decimal]:
        """What makes one worth more attention than another: its value, then how much it is."""
        return abs(self.value or ZERO), abs(self.difference or ZERO)


@dataclass(slots=True)
class Difference:
    """What the differences in one currency come to."""

    items: int = 0
    unpriced: int = 0
    surplus: Decimal = ZERO
    shortage: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return EXACT.add(self.surplus, self.shortage)

    def add(self, value: Decimal | None) -> None:
        self.items += 1
        self.unpriced += value is None
        if value is not None and value > 0:
            self.surplus = EXACT.add(self.surplus, value)
        elif value is not None:
            self.shortage = EXACT.add(self.shortage, value)


@dataclass(slots=True)
class Comparison:
    """A count sheet beside the stock; what it comes to is known once its variances have been taken.

    Attributes:
        rows: gives the rows of the sheet.
        findings: how many rows turned out to be what.
        differences: currency -> what the differences come to; no currency is an empty text.
    """

    inventory: InventoryTable
    rows: Callable[[], Iterable[Row]]
    progress: Progress = no_progress
    findings: Counter[Finding] = field(default_factory=Counter)
    differences: dict[str, Difference] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _locations: set[str] = field(default_factory=set)

    def variances(self) -> Iterator[Variance]:
        """Each row beside what is stored now, in the order of the sheet; a chunk of them is in memory."""
        for chunk, stored in side_by_side(self._read, batched(self.rows(), READ_LIMIT)):
            for row in chunk:
                # A key is kept in eight bytes, of which two keys hardly have the same.
                self._seen.add(hash(row.key))
                self._locations.add(row.key.location_id)
                variance = variance_of(row, stored.get(row.key))
                self.findings[variance.finding] += 1
                if variance.finding is Finding.DIFFERS:
                    self.differences.setdefault(variance.currency or "", Difference()).add(variance.value)
                yield variance

    def missing(self) -> Iterator[ItemKey]:
        """The items at the locations of the sheet that it lacks: every item is read once more."""
        for attributes in told(self.inventory.scan(), "looking for what the sheet lacks", self.progress):
            key = read_key(attributes)
            if key.location_id in self._locations and hash(key) not in self._seen:
                yield key

    def _read(self, chunk: Sequence[Row]) -> tuple[Sequence[Row], Mapping[ItemKey, Attributes]]:
        read = partial(self.inventory.read_many, [row.key for row in chunk])
        return chunk, in_a_minute(read)


def variance_of(row: Row, attributes: Attributes | None) -> Variance:
    """One row beside its item; None where there is none."""
    if attributes is None:
        return Variance(row.key, Finding.UNKNOWN_ITEM, row.counted)
    level = read_level(attributes)
    if isinstance(level, InvalidItem):
        return Variance(row.key, Finding.UNREADABLE_ITEM, row.counted, message=level.message)
    stored, price = level.figures.on_hand, level.figures.unit_price
    if row.counted is None:
        return Variance(row.key, Finding.NOT_COUNTED, None, stored, None, price, level.currency)
    difference = EXACT.subtract(row.counted, stored)
    value = None if price is None else EXACT.multiply(difference, price)
    finding = Finding.DIFFERS if difference else Finding.MATCHES
    return Variance(row.key, finding, row.counted, stored, difference, price, level.currency, value)
