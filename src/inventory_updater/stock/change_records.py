"""A change as a record with a life of its own: what is to happen to an item, and what has become of it. No I/O.

Another system may have put the record there by itself, so nothing in it is taken for granted: what is wrong with it is
its ``problem``, and planning rejects it by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import KINDS, ChangeKind
from inventory_updater.stock.numbers import NUMBERS
from inventory_updater.stock.times import parse_time

WINDOW_KINDS: Final = (ChangeKind.PRICE.value, ChangeKind.REORDER_POINT.value, ChangeKind.SAFETY_STOCK.value)
"""The kinds of settings that may have an end."""

RejectionCode = Literal[
    "NO_TIME",
    "UNKNOWN_STATUS",
    "UNKNOWN_KIND",
    "NOT_A_NUMBER",
    "NEGATIVE_VALUE",
    "NO_WINDOW",
    "EMPTY_WINDOW",
    "TOO_PRECISE",
    "INSUFFICIENT_STOCK",
    "STALE",
    "EXPIRED",
    "MISSED",
]


class Status(StrEnum):
    """Where a change is in its life; OPEN is a window between its start and its end."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    APPLIED = "APPLIED"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        return self not in (Status.PENDING, Status.OPEN)


_MOST_ATTEMPTS: Final = 10**9
_STATUSES: Final = tuple(status.value for status in Status)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a change cannot be applied, for programs and for people."""

    code: RejectionCode
    message: str


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change of one item, as far as planning goes by it.

    Attributes:
        effective_at: stored time; of a record without a time it is empty, and ``problem`` says so.
        until: the end of a window.
        expected: of a count, what the system showed when it was counted; of a setting, what must stand there.
        not_after: stored time after which it is not applied any more.
        attempt: 1, and one more for each retry and each phase of a window.
        stored: status and attempt as they are in the table, None where absent: a mark holds only while they are.
    """

    change_id: str
    kind: str
    value: Decimal
    effective_at: str
    until: str | None = None
    expected: Decimal | None = None
    not_after: str | None = None
    status: Status = Status.PENDING
    attempt: int = 1
    problem: Problem | None = None
    stored: tuple[object, object] = (Status.PENDING.value, Decimal(1))

    @property
    def due_at(self) -> str:
        """When it is to be looked at next: at its start, and at the end of a window that is open."""
        return self.until if self.status is Status.OPEN and self.until else self.effective_at

    @property
    def is_booking(self) -> bool:
        """Whether it adds to on hand: an adjustment, or a count that knows what it was compared with."""
        return self.kind == ChangeKind.ADJUSTMENT or (self.kind == ChangeKind.COUNT and self.expected is not None)

    @property
    def booked(self) -> Decimal:
        """What a booking adds.

        Raises:
            decimal.DecimalException: where that needs more than 38 digits or leaves the range.
        """
        return self.value if self.expected is None else NUMBERS.subtract(self.value, self.expected)


def read_record(attributes: Attributes) -> ChangeRecord:
    """The change in ``attributes``, whoever wrote them; times of any form that RFC 3339 has are understood."""
    problems = list(_problems(attributes))
    return ChangeRecord(
        change_id=str(attributes["change_id"]),
        kind=kind if isinstance(kind := attributes.get("kind"), str) else "",
        value=_number(attributes, "value") or Decimal(0),
        effective_at=_time(attributes, "effective_at") or "",
        until=_time(attributes, "until"),
        expected=_number(attributes, "expected"),
        not_after=_time(attributes, "not_after"),
        status=Status(str(attributes["status"])) if attributes.get("status") in _STATUSES else Status.PENDING,
        attempt=int(attempt) if 1 <= (attempt := _number(attributes, "attempt") or Decimal(1)) < _MOST_ATTEMPTS else 1,
        problem=problems[0] if problems else None,
        stored=(attributes.get("status"), attributes.get("attempt")),
    )


def _problems(attributes: Attributes) -> Iterator[Problem]:
    """What is wrong with a record by itself, whatever its item looks like."""
    kind, value, until = attributes.get("kind"), _number(attributes, "value"), _time(attributes, "until")
    start = _time(attributes, "effective_at")
    for name in ("effective_at", "until", "not_after"):
        if _time(attributes, name) is None and (name == "effective_at" or name in attributes):
            yield Problem("NO_TIME", f"{name} is not a time like 2026-01-31T08:00:00Z")
    if attributes.get("status") not in _STATUSES:
        yield Problem("UNKNOWN_STATUS", "the status is none of " + ", ".join(_STATUSES))
    if kind not in KINDS:
        yield Problem("UNKNOWN_KIND", "the kind is none of " + ", ".join(KINDS))
    if value is None or ("expected" in attributes and _number(attributes, "expected") is None):
        yield Problem("NOT_A_NUMBER", "the value is not a number")
    elif kind != ChangeKind.ADJUSTMENT and value < 0:
        yield Problem("NEGATIVE_VALUE", f"a {kind} cannot be negative")
    if "until" in attributes and kind not in WINDOW_KINDS:
        yield Problem("NO_WINDOW", f"a {kind} has no end: only " + ", ".join(WINDOW_KINDS) + " have")
    if until is not None and start is not None and until <= start:
        yield Problem("EMPTY_WINDOW", "the window ends before it begins")


def _number(attributes: Mapping[str, object], name: str) -> Decimal | None:
    value = attributes.get(name)
    return value if isinstance(value, Decimal) else None


def _time(attributes: Mapping[str, object], name: str) -> str | None:
    value = attributes.get(name)
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
