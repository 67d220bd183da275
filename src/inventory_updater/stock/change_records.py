"""A change as a record with a life of its own: what is to happen to an item, and what has become of it. No I/O.

Another system may have put the record there by itself, so nothing in it is taken for granted: what is wrong with it is
its ``problem``, and planning rejects it by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import KINDS, ChangeKind
from inventory_updater.stock.numbers import NUMBERS, ZERO
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
    "NO_EXPECTED",
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
_STATUSES: Final = {status.value: status for status in Status}
_TIMES: Final = ("effective_at", "until", "not_after")


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
    def is_waiting_count(self) -> bool:
        """Whether it is a count that is not settled, and adds what was booked after it."""
        return self.kind == ChangeKind.COUNT and self.expected is None and not self.status.is_final

    @property
    def booked(self) -> Decimal:
        """What a booking adds.

        Raises:
            decimal.DecimalException: where that needs more than 38 digits or leaves the range.
        """
        return self.value if self.expected is None else NUMBERS.subtract(self.value, self.expected)


def read_record(attributes: Attributes) -> ChangeRecord:
    """The change in ``attributes``, whoever wrote them; times of any form that RFC 3339 has are understood."""
    value, expected = _number(attributes, "value"), _number(attributes, "expected")
    times = {name: _time(attributes[name]) for name in _TIMES if name in attributes}
    return ChangeRecord(
        change_id=str(attributes["change_id"]),
        kind=_text(attributes, "kind"),
        value=value or ZERO,
        effective_at=times.get("effective_at") or "",
        until=times.get("until"),
        expected=expected,
        not_after=times.get("not_after"),
        status=_STATUSES.get(_text(attributes, "status"), Status.PENDING),
        attempt=_attempt(attributes),
        problem=_problem(attributes, value, times),
        stored=(attributes.get("status"), attributes.get("attempt")),
    )


def _problem(attributes: Attributes, value: Decimal | None, times: Mapping[str, str | None]) -> Problem | None:
    """What is wrong with a record by itself, whatever its item looks like: the first thing."""
    kind = attributes.get("kind")
    for name in _TIMES:
        if times.get(name) is None and (name == "effective_at" or name in times):
            return Problem("NO_TIME", f"{name} is not a time like 2026-01-31T08:00:00Z")
    if _text(attributes, "status") not in _STATUSES:
        return Problem("UNKNOWN_STATUS", "the status is none of " + ", ".join(_STATUSES))
    if kind not in KINDS:
        return Problem("UNKNOWN_KIND", "the kind is none of " + ", ".join(KINDS))
    if value is None or ("expected" in attributes and _number(attributes, "expected") is None):
        return Problem("NOT_A_NUMBER", "the value is not a number")
    if kind == ChangeKind.ADJUSTMENT and "expected" in attributes:
        return Problem("NO_EXPECTED", "an adjustment expects nothing: it adds to whatever is there")
    if kind != ChangeKind.ADJUSTMENT and value < 0:
        return Problem("NEGATIVE_VALUE", f"a {kind} cannot be negative")
    if "until" in times:
        if kind not in WINDOW_KINDS:
            return Problem("NO_WINDOW", f"a {kind} has no end: only " + ", ".join(WINDOW_KINDS) + " have")
        if (times["until"] or "") <= (times["effective_at"] or ""):
            return Problem("EMPTY_WINDOW", "the window ends before it begins")
    return None


def _number(attributes: Mapping[str, object], name: str) -> Decimal | None:
    value = attributes.get(name)
    return value if isinstance(value, Decimal) else None


def _attempt(attributes: Mapping[str, object]) -> int:
    """What is no number of tries that anybody made is the first one."""
    attempt = _number(attributes, "attempt")
    return int(attempt) if attempt is not None and 1 <= attempt < _MOST_ATTEMPTS else 1


def _text(attributes: Mapping[str, object], name: str) -> str:
    """What is no text is empty; of a binary value there is not even a text of it."""
    value = attributes.get(name)
    return value if isinstance(value, str) else ""


def _time(value: object) -> str | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
