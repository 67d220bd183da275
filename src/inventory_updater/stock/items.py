"""Stock items and scheduled changes: frozen values, no I/O.

Numbers are ``Decimal`` in the range and precision of a DynamoDB number (38 digits, 1E-130 to 9.99E+125) and are
never rounded; times are UTC text of 27 characters, so that they compare as text.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import (
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Subnormal,
)
from enum import StrEnum
from typing import NamedTuple, TypeGuard

NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[DivisionByZero, Inexact, InvalidOperation, Overflow, Subnormal])
"""The one context for quantities and money: what needs more than 38 digits raises instead of being rounded."""

ZERO = Decimal(0)

LAST_MOMENT = "9999-12-31T23:59:59.999999Z"
"""The latest stored time."""

Attributes = Mapping[str, object]
"""An item as DynamoDB holds it, in Python values: text as ``str``, numbers as ``Decimal``, maps as ``dict``."""


class ChangeKind(StrEnum):
    """What a change does: an adjustment adds to on hand, the others are settings of one attribute."""

    ADJUSTMENT = "adjustment"
    COUNT = "count"
    PRICE = "price"
    REORDER_POINT = "reorder_point"
    SAFETY_STOCK = "safety_stock"


KINDS: tuple[str, ...] = tuple(kind.value for kind in ChangeKind)


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


@dataclass(frozen=True, slots=True)
class Change:
    """A scheduled change as it stands in its item.

    ``kind`` and ``value`` are held as they were found, because another writer may have put anything there:
    planning judges them. ``effective_at`` is always a stored time.
    """

    change_id: str
    kind: object
    value: object
    effective_at: str
    reason: object = None
    reference: object = None

    def to_map(self) -> dict[str, object]:
        """The map that is stored under the change's id; absent texts are left out."""
        stored = {"kind": self.kind, "value": self.value, "effective_at": self.effective_at}
        if self.reason is not None:
            stored["reason"] = self.reason
        if self.reference is not None:
            stored["reference"] = self.reference
        return stored


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that could not be applied, and why; it can be put back (``changes.py retry``)."""

    change: Change
    code: str
    message: str
    rejected_at: str
    job_id: str

    def to_map(self) -> dict[str, object]:
        return self.change.to_map() | {
            "code": self.code,
            "message": self.message,
            "rejected_at": self.rejected_at,
            "job_id": self.job_id,
        }


@dataclass(frozen=True, slots=True)
class Settlement:
    """When a change was applied or superseded (by the clock), and when it had been due."""

    settled_at: str
    effective_at: str

    def to_map(self) -> dict[str, object]:
        return {"settled_at": self.settled_at, "effective_at": self.effective_at}


@dataclass(frozen=True, slots=True)
class LastSet:
    """The last setting of one kind that was applied."""

    effective_at: str
    change_id: str

    def to_map(self) -> dict[str, object]:
        return {"effective_at": self.effective_at, "change_id": self.change_id}


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """Everything an item knows of its changes; ``version`` guards it, since who writes it raises the version."""

    pending: Mapping[str, Change] = field(default_factory=dict)
    settled: Mapping[str, Settlement] = field(default_factory=dict)
    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    last_set: Mapping[str, LastSet] = field(default_factory=dict)
    next_change_at: str | None = None
    settled_before: str | None = None
    version: Decimal | None = None

    @property
    def next_version(self) -> Decimal:
        return NUMBERS.add(self.version or ZERO, Decimal(1))


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
    changes: ItemChanges = field(default_factory=ItemChanges)

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


class UnreadableAttributeError(ValueError):
    """An attribute is missing or of a wrong type."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_key(attributes: Attributes) -> ItemKey:
    """The key of an item; DynamoDB guarantees that both are text."""
    return ItemKey(str(attributes["sku"]), str(attributes["location_id"]))


def read_item(attributes: Attributes) -> StockItem | InvalidItem:
    """The stock item in ``attributes``, or why there is none; attributes that the product does not know are ignored."""
    key = read_key(attributes)
    try:
        on_hand = _number(attributes, "on_hand")
        if on_hand is None:
            raise UnreadableAttributeError("MISSING_QUANTITY", "on_hand is missing")
        return StockItem(
            key=key,
            on_hand=on_hand,
            reserved=_number(attributes, "reserved"),
            safety_stock=_number(attributes, "safety_stock"),
            reorder_point=_number(attributes, "reorder_point"),
            unit_price=_number(attributes, "unit_price"),
            available=_number(attributes, "available"),
            stock_status=_text(attributes, "stock_status"),
            stock_value=_number(attributes, "stock_value"),
            changes=read_changes(attributes),
        )
    except UnreadableAttributeError as error:
        return InvalidItem(key, error.code, str(error))


def read_changes(attributes: Attributes) -> ItemChanges:
    """What an item knows of its changes.

    Raises:
        UnreadableAttributeError: where one of the maps, times or the version is not what it must be.
    """
    return ItemChanges(
        pending={
            change_id: _change(change_id, stored, "pending_changes")
            for change_id, stored in _map(attributes, "pending_changes").items()
        },
        settled={
            change_id: _settlement(change_id, stored)
            for change_id, stored in _map(attributes, "settled_changes").items()
        },
        rejected={
            change_id: _rejection(change_id, stored)
            for change_id, stored in _map(attributes, "rejected_changes").items()
        },
        last_set={kind: _last_set(kind, stored) for kind, stored in _map(attributes, "last_set").items()},
        next_change_at=_text(attributes, "next_change_at"),
        settled_before=_text(attributes, "settled_before"),
        version=_version(attributes),
    )


def parse_time(text: str) -> str:
    """``text``, an ISO 8601 time with ``Z`` or an offset and up to six decimals, as a stored time.

    Raises:
        ValueError: saying what is wrong, where it is no time, has no zone or lies outside the years 1 to 9999 in UTC.
    """
    match = _INCOMING_TIME.fullmatch(text)
    if not match:
        raise ValueError("is not a time like 2026-01-31T08:00:00Z")
    if not match["zone"]:
        raise ValueError("has no time zone: add Z or an offset like +01:00")
    try:
        # Python 3.11 reads every form that the pattern lets through, decimals of any length included.
        moment = datetime.fromisoformat(match["date"] + "T" + match["time"] + match["zone"].upper())
        return format_time(moment)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a time that exists ({error})") from None


def format_time(moment: datetime) -> str:
    """An aware ``moment`` as a stored time: UTC, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``.

    Raises:
        ValueError: where ``moment`` has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26].rjust(26, "0") + "Z"


def is_stored_time(value: object) -> TypeGuard[str]:
    """Whether ``value`` is a stored time of a moment that exists; another writer may have left anything."""
    try:
        return isinstance(value, str) and parse_time(value) == value
    except ValueError:
        return False


def read_time(stored: str) -> datetime:
    """The moment of a stored time."""
    return datetime.fromisoformat(stored[:26]).replace(tzinfo=UTC)


def parse_number(text: str) -> Decimal:
    """A number in plain notation (no exponent), within what DynamoDB can hold.

    Raises:
        ValueError: saying what is wrong.
    """
    if not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError("is not a number in plain notation")
    try:
        # Not NUMBERS.create_decimal: trailing zeros beyond 38 digits are no loss. A zero has neither sign nor exponent.
        return NUMBERS.plus(Decimal(text)) or ZERO
    except (Inexact, Overflow, Subnormal):
        raise ValueError("needs more than 38 digits, or is too large or too small for DynamoDB") from None


def plain(number: Decimal) -> str:
    """``number`` in plain notation, without an exponent."""
    return format(number, "f")


_INCOMING_TIME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[Tt ](?P<time>\d{2}:\d{2}:\d{2}(\.\d{1,6})?)(?P<zone>Z|z|[+-]\d{2}:?[0-5]\d)?",
    re.ASCII,
)
_STORED_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_NOTHING: Mapping[str, object] = {}
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)


def _wrong_type(path: str, wanted: str) -> UnreadableAttributeError:
    # The value itself stays out of the message: it may be large, and it goes to the log.
    return UnreadableAttributeError("WRONG_TYPE", f"{path} is not {wanted}")


def _number(attributes: Attributes, name: str) -> Decimal | None:
    value = attributes.get(name)
    if isinstance(value, Decimal):
        return value
    if value is None and name not in attributes:
        return None
    raise _wrong_type(name, "a number")


def _version(attributes: Attributes) -> Decimal | None:
    version = _number(attributes, "version")
    try:
        NUMBERS.add(version or ZERO, Decimal(1))
    except DecimalException:
        raise UnreadableAttributeError("TOO_PRECISE", "version cannot be raised by one within 38 digits") from None
    return version


def _text(attributes: Attributes, name: str) -> str | None:
    value = attributes.get(name)
    if isinstance(value, str):
        return value
    if value is None and name not in attributes:
        return None
    raise _wrong_type(name, "text")


def _map(attributes: Attributes, name: str) -> Mapping[str, object]:
    if name not in attributes:
        return _NOTHING
    value = attributes[name]
    if not isinstance(value, dict):
        raise _wrong_type(name, "a map")
    return value


def _time(stored: Mapping[str, object], name: str, entry_id: str, map_name: str) -> str:
    value = stored.get(name)
    if not isinstance(value, str) or not _STORED_TIME.fullmatch(value):
        raise _wrong_type(f"{map_name}.{entry_id}.{name}", "a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ")
    return value


def _entry(stored: object, entry_id: str, map_name: str) -> Mapping[str, object]:
    if not isinstance(stored, dict):
        raise _wrong_type(f"{map_name}.{entry_id}", "a map")
    return stored


def _change(change_id: str, stored: object, map_name: str) -> Change:
    entry = _entry(stored, change_id, map_name)
    return Change(
        change_id,
        entry.get("kind"),
        entry.get("value"),
        _time(entry, "effective_at", change_id, map_name),
        entry.get("reason"),
        entry.get("reference"),
    )


def _settlement(change_id: str, stored: object) -> Settlement:
    where = (change_id, "settled_changes")
    entry = _entry(stored, *where)
    return Settlement(_time(entry, "settled_at", *where), _time(entry, "effective_at", *where))


def _rejection(change_id: str, stored: object) -> Rejection:
    where = (change_id, "rejected_changes")
    entry = _entry(stored, *where)
    return Rejection(
        _change(change_id, stored, "rejected_changes"),
        str(entry.get("code")),
        str(entry.get("message")),
        _time(entry, "rejected_at", *where),
        str(entry.get("job_id")),
    )


def _last_set(kind: str, stored: object) -> LastSet:
    where = (kind, "last_set")
    entry = _entry(stored, *where)
    return LastSet(_time(entry, "effective_at", *where), str(entry.get("change_id")))
