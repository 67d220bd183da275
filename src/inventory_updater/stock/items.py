"""Stock items: frozen values, no I/O.

Numbers are ``Decimal`` in the range and precision of a DynamoDB number (38 digits, 1E-130 to 9.99E+125) and are
never rounded; times are UTC text of 27 characters, so that they compare as text.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from dataclasses import dataclass
from decimal import Decimal, DecimalException
from enum import StrEnum
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError, number_at, text_at
from inventory_updater.stock.numbers import NUMBERS, ZERO

_UNESCAPED: Final = "".join(chr(code) for code in range(33, 127) if chr(code) not in "%#")


class StockStatus(StrEnum):
    """How an item stands: out of stock at ``available <= 0``, low at ``available <= reorder point``."""

    IN_STOCK = "IN_STOCK"
    LOW_STOCK = "LOW_STOCK"
    OUT_OF_STOCK = "OUT_OF_STOCK"


class ItemKey(NamedTuple):
    """The primary key of a stock item."""

    sku: str
    location_id: str

    def __str__(self) -> str:
        return f"{self.sku} at {self.location_id}"


def item_id(key: ItemKey) -> str:
    """Sku and location in one text, so that no two items meet."""
    return f"{_escaped(key.sku)}#{_escaped(key.location_id)}"


def key_of(item: str) -> ItemKey:
    """The key that ``item_id`` has made a text of."""
    sku, _, location_id = item.partition("#")
    return ItemKey(unquote(sku), unquote(location_id)) if "%" in item else ItemKey(sku, location_id)


def _escaped(text: str) -> str:
    """Only what has to be is escaped: everything but printable ASCII is text to DynamoDB as well."""
    return quote(text, safe=_UNESCAPED + " ", encoding="utf-8") if "%" in text or "#" in text else text


@dataclass(frozen=True, slots=True)
class DerivedFigures:
    """What follows from an item's figures; ``stock_value`` only where there is a price."""

    available: Decimal
    stock_status: StockStatus
    stock_value: Decimal | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an item that changes act on, absent quantities read as 0."""

    on_hand: Decimal
    reserved: Decimal = ZERO
    safety_stock: Decimal = ZERO
    reorder_point: Decimal = ZERO
    unit_price: Decimal | None = None

    def adjusted(self, quantity: Decimal) -> "Figures":
        """The figures with ``quantity`` more on hand.

        Raises:
            decimal.DecimalException: where that needs more than 38 digits or leaves the range.
        """
        on_hand = NUMBERS.add(self.on_hand, quantity)
        return Figures(on_hand, self.reserved, self.safety_stock, self.reorder_point, self.unit_price)

    def derive(self) -> DerivedFigures:
        """The derived figures, exact.

        Raises:
            decimal.DecimalException: where one of them needs more than 38 digits or leaves the range.
        """
        available = NUMBERS.subtract(NUMBERS.subtract(self.on_hand, self.reserved), self.safety_stock)
        if available <= 0:
            status = StockStatus.OUT_OF_STOCK
        elif available <= self.reorder_point:
            status = StockStatus.LOW_STOCK
        else:
            status = StockStatus.IN_STOCK
        # The zero of a product may have a sign, and an exponent that DynamoDB has no room for.
        value = None if self.unit_price is None else NUMBERS.multiply(self.on_hand, self.unit_price) or ZERO
        return DerivedFigures(available, status, value)

    def derive_if_exact(self) -> DerivedFigures | None:
        """The derived figures; None where one of them cannot be held exactly."""
        try:
            return self.derive()
        except DecimalException:
            return None


@dataclass(frozen=True, slots=True)
class StockItem:
    """One item of the inventory table; ``None`` stands for an attribute that is absent."""

    key: ItemKey
    on_hand: Decimal
    reserved: Decimal | None = None
    safety_stock: Decimal | None = None
    reorder_point: Decimal | None = None
    unit_price: Decimal | None = None
    available: Decimal | None = None
    stock_status: str | None = None
    stock_value: Decimal | None = None

    @property
    def figures(self) -> Figures:
        return Figures(
            self.on_hand, self.reserved or ZERO, self.safety_stock or ZERO, self.reorder_point or ZERO, self.unit_price
        )


@dataclass(frozen=True, slots=True)
class InvalidItem:
    """An item that cannot be read as a stock item, and why."""

    key: ItemKey
    code: str
    message: str
    write: None = None


def read_key(attributes: Attributes) -> ItemKey:
    """The key of an item; DynamoDB guarantees that both are text."""
    return ItemKey(str(attributes["sku"]), str(attributes["location_id"]))


def read_item(attributes: Attributes) -> StockItem | InvalidItem:
    """The stock item in ``attributes``, or why there is none; attributes that the product does not know are ignored."""
    key = read_key(attributes)
    try:
        on_hand = number_at(attributes, "on_hand")
        if on_hand is None:
            raise UnreadableAttributeError("MISSING_QUANTITY", "on_hand is missing")
        return StockItem(
            key=key,
            on_hand=on_hand,
            reserved=number_at(attributes, "reserved"),
            safety_stock=number_at(attributes, "safety_stock"),
            reorder_point=number_at(attributes, "reorder_point"),
            unit_price=number_at(attributes, "unit_price"),
            available=number_at(attributes, "available"),
            stock_status=text_at(attributes, "stock_status"),
            stock_value=number_at(attributes, "stock_value"),
        )
    except UnreadableAttributeError as error:
        return InvalidItem(key, error.code, str(error))
