"""Guards: what a file of changes may do without a second word. Pure, no I/O.

A change is held against what is stored of its item, not against what waits for it: a price that is 100 times too high
is seen whatever else the file does. Nothing that a guard says is wrong by itself; somebody has to say that it is meant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_UP, Context, Decimal
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import Change, ChangeKind
from inventory_updater.stock.numbers import EXACT, ZERO, plain
from inventory_updater.stock.times import LAST_MOMENT, format_time, read_time

PRICE_CHANGE: Final = "PRICE_CHANGE"
PRICE_ZERO: Final = "PRICE_ZERO"
COUNT_DIFFERENCE: Final = "COUNT_DIFFERENCE"
OUT_OF_STOCK: Final = "OUT_OF_STOCK"
NOT_WHOLE: Final = "NOT_WHOLE"
SAME_PRICE: Final = "SAME_PRICE"
FAR_AHEAD: Final = "FAR_AHEAD"

UNUSUAL: Final = frozenset((PRICE_CHANGE, PRICE_ZERO, COUNT_DIFFERENCE, OUT_OF_STOCK, NOT_WHOLE, SAME_PRICE, FAR_AHEAD))
"""The codes of what may be meant; every other code of a refusal is a problem."""

USUAL_DIFFERENCE: Final = 10
"""A count that differs by no more units than this is usual, whatever the share: 1 that is counted as 2."""

USUALLY_OUT_OF_STOCK: Final = 10
"""A file that leaves no more items than this with nothing is usual, whatever the share."""

_RATIOS: Final = Context(prec=38)
_TENTHS: Final = Context(prec=1_000, rounding=ROUND_UP)
"""What is told is rounded away from the limit that it is beyond."""
_HUNDRED: Final = Decimal(100)
_ALMOST_ALL: Final = Decimal("99.9")
_PRICE: Final = ChangeKind.PRICE.value
_COUNT: Final = ChangeKind.COUNT.value
_ADJUSTMENT: Final = ChangeKind.ADJUSTMENT.value


@dataclass(frozen=True, slots=True)
class Before:
    """What a change is held against: what is stored of its item, and nothing where there is none.

    Attributes:
        prices: the price that is shown and, under an open window, the one below it; only those above or at 0.
        on_hand: None where it is not stored, or is no number.
        reserved: 0 where it is not stored.
    """

    prices: tuple[Decimal, ...] = ()
    on_hand: Decimal | None = None
    reserved: Decimal = ZERO


NOTHING: Final = Before()


def before_of(attributes: Attributes) -> Before:
    """What of an item guards look at; another writer may have left anything there."""
    prices = (_number(attributes, name) for name in ("unit_price", "base_unit_price"))
    return Before(
        tuple(price for price in prices if price is not None and price >= 0),
        _number(attributes, "on_hand"),
        _number(attributes, "reserved") or ZERO,
    )


def _number(attributes: Attributes, name: str) -> Decimal | None:
    value = attributes.get(name)
    return value if isinstance(value, Decimal) else None


@dataclass(frozen=True, slots=True)
class Unusual:
    """One thing about a change that somebody has to say is meant: of which attribute, as code and sentence."""

    column: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Guards:
    """What is usual in a stack; 0 turns a guard off. The attributes are the template's parameters of the same names."""

    max_price_change_percent: Decimal
    max_count_difference_percent: Decimal
    max_items_out_of_stock: Decimal
    max_items_of_one_price: int
    max_days_ahead: int
    whole_units: bool

    @classmethod
    def read(cls, texts: Mapping[str, str]) -> "Guards":
        """The guards of a stack, by the names of its parameters."""
        return cls(
            max_price_change_percent=Decimal(texts["MaxPriceChangePercent"]),
            max_count_difference_percent=Decimal(texts["MaxCountDifferencePercent"]),
            max_items_out_of_stock=Decimal(texts["MaxItemsOutOfStock"]),
            max_items_of_one_price=int(texts["MaxItemsOfOnePrice"]),
            max_days_ahead=int(texts["MaxDaysAhead"]),
            whole_units=texts["WholeUnits"] == "true",
        )

    def latest(self, now: str) -> str:
        """The latest stored time that is usual."""
        if not self.max_days_ahead:
            return LAST_MOMENT
        return format_time(read_time(now) + timedelta(days=self.max_days_ahead))

    def unusual(self, change: Change, before: Before, latest: str) -> Iterator[Unusual]:
        """What is unusual about a change by itself.

        Args:
            change: one that is not known yet.
            before: of its item.
            latest: what ``latest`` says of the moment at which the file is looked at.
        """
        if change.kind == _PRICE:
            yield from self._about_price(change.value, before.prices)
        else:
            if change.kind == _COUNT and self.max_count_difference_percent:
                yield from self._about_count(change, before)
            if self.whole_units:
                yield from _fractions(change)
        for column in ("effective_at", "until", "not_after"):
            time = getattr(change, column)
            if time is not None and time > latest:
                message = f"{time} is more than {self.max_days_ahead} days ahead; MaxDaysAhead is {self.max_days_ahead}"
                yield Unusual(column, FAR_AHEAD, message)

    def _about_price(self, price: Decimal, prices: tuple[Decimal, ...]) -> Iterator[Unusual]:
        if not price:
            if ZERO not in prices:
                yield Unusual("value", PRICE_ZERO, "a price of 0 gives it away")
            return
        if not self.max_price_change_percent:
            return
        # The nearest of them: a price that ends a sale is usual, and so is one that goes on with it.
        percent, nearest = min(((abs(_percent(price, each)), each) for each in prices if each), default=(ZERO, ZERO))
        if percent > self.max_price_change_percent:
            message = (
                f"{plain(price)} is {_beyond(price, nearest)} the price of {plain(nearest)}; "
                f"MaxPriceChangePercent is {self.max_price_change_percent}"
            )
            yield Unusual("value", PRICE_CHANGE, message)

    def _about_count(self, change: Change, before: Before) -> Iterator[Unusual]:
        there = before.on_hand if change.expected is None else change.expected
        if there is None or there <= 0 or abs(_RATIOS.subtract(change.value, there)) <= USUAL_DIFFERENCE:
            return
        if abs(_percent(change.value, there)) > self.max_count_difference_percent:
            what = "on hand" if change.expected is None else "expected"
            message = (
                f"{plain(change.value)} is {_beyond(change.value, there)} the {plain(there)} {what}; "
                f"MaxCountDifferencePercent is {self.max_count_difference_percent}"
            )
            yield Unusual("value", COUNT_DIFFERENCE, message)


def empties(change: Change, before: Before) -> bool:
    """Whether a change by itself leaves an item with nothing to sell that has something now."""
    if before.on_hand is None or before.on_hand <= before.reserved:
        return False
    if change.kind == _COUNT and change.expected is None:
        return change.value <= before.reserved
    if change.kind not in (_COUNT, _ADJUSTMENT):
        return False
    booked = change.value if change.expected is None else EXACT.subtract(change.value, change.expected)
    return EXACT.add(before.on_hand, booked) <= before.reserved


def _fractions(change: Change) -> Iterator[Unusual]:
    for column, quantity in (("value", change.value), ("expected", change.expected)):
        if quantity is not None and quantity != quantity.to_integral_value():
            message = (
                f"{plain(quantity)} is no whole number, and WholeUnits is true: 1.250 is a thousand two hundred and "
                "fifty in half of Europe, and 1.25 here"
            )
            yield Unusual(column, NOT_WHOLE, message)


def _percent(value: Decimal, before: Decimal) -> Decimal:
    """By how much a value is above (or, negative, below) one that is more than 0."""
    return _RATIOS.multiply(_RATIOS.divide(_RATIOS.subtract(value, before), before), _HUNDRED)


def _beyond(value: Decimal, before: Decimal) -> str:
    """`9,900 % above`, `99.5 % below`; only nothing at all is 100 % below."""
    percent = _percent(value, before)
    rounded = _TENTHS.quantize(abs(percent), Decimal("0.1"))
    told = min(rounded, _ALMOST_ALL) if percent < 0 < value else rounded
    return f"{format(told, ',f').removesuffix('.0')} % {'above' if percent > 0 else 'below'}"
