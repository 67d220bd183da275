"""What a change that is asked for means beside the record that may be there already: pure, no I/O."""

from dataclasses import dataclass
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.changes import Change
from inventory_updater.stock.times import parse_time

_TIMES: Final = ("effective_at", "until", "not_after")
_CONTENT: Final = ("kind", "value", *_TIMES, "expected", "reason", "reference")

_WHAT_TO_DO: Final = {
    Status.PENDING.value: "cancel it, and give the other one an id of its own",
    Status.OPEN.value: "cancel it, and give the other one an id of its own",
    Status.REJECTED.value: "give the corrected one an id of its own, and dismiss the rejected one",
}

UNKNOWN: Final = "UNKNOWN"
"""There is no record: it was never scheduled, or has been forgotten."""
TAKEN: Final = "TAKEN"
"""The record of this id says something else."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a change that somebody means is in its life.

    Attributes:
        status: a ``Status`` as text, ``UNKNOWN`` or ``TAKEN``.
        message: where the status alone does not say it, why.
    """

    status: str
    message: str | None = None


def content(change: Change) -> dict[str, object]:
    """A change as its record has it; what is absent is left out."""
    named = {name: getattr(change, name) for name in _CONTENT}
    return {name: value for name, value in named.items() if value is not None}


def differences(change: Change, stored: Attributes) -> tuple[str, ...]:
    """The attributes in which a record, whoever wrote it, says something else than ``change``: none if it is the same.

    Numbers are compared by value and times by the moment that they mean.
    """
    return tuple(
        [
            name
            for name in _CONTENT
            if (wanted := getattr(change, name)) != (found := stored.get(name))
            and not (name in _TIMES and _is_moment(found, wanted))
        ]
    )


def _is_moment(found: object, wanted: object) -> bool:
    """Whether another system's time means the stored time that is wanted."""
    try:
        return isinstance(found, str) and parse_time(found) == wanted
    except ValueError:
        return False


def taken_message(change: Change, where: object, stored: Attributes) -> str:
    """Why a change cannot be scheduled whose id its item knows with another content, and what can be done."""
    status = str(stored.get("status"))
    what_to_do = _WHAT_TO_DO.get(status, "a corrected one needs an id of its own")
    differ = " and ".join(differences(change, stored))
    return f"change {change.change_id} of {where} is known with another {differ} and is {status}: {what_to_do}"


def standing(change: Change, where: object, stored: Attributes | None) -> Standing:
    """Where ``change`` of the item ``where`` is in its life, going by the record of its id."""
    if stored is None:
        return unknown(change.change_id, where)
    if differences(change, stored):
        return Standing(TAKEN, taken_message(change, where, stored))
    return Standing(read_record(stored).status.value)


def unknown(change_id: str, where: object) -> Standing:
    return Standing(UNKNOWN, f"there is no change {change_id} of {where}")
