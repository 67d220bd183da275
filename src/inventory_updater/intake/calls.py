"""What other systems ask the function for: schedule and cancel changes, how changes are, how an item is.

docs/contract.md is written for those who call. Who called is not in what Lambda tells a function: a record names the
invocation, and CloudTrail has its caller.
https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inventory_updater.intake.messages import NAMES, printable
from inventory_updater.intake.receipts import SCHEMA, Delivery
from inventory_updater.intake.scheduling import Scheduling
from inventory_updater.intake.withdrawing import cancel_changes
from inventory_updater.stock.attributes import as_json
from inventory_updater.stock.change_records import read_record
from inventory_updater.stock.changes import MAXIMUM_ID_BYTES
from inventory_updater.stock.guards import Guards
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.levels import item_document
from inventory_updater.stock.numbers import counted
from inventory_updater.stock.scheduling import UNKNOWN
from inventory_updater.tables.change_table import ChangeTable, Name
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.protocol import Protocol

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Document = dict[str, object]

LIFE: Final = (
    *("actor", "source", "scheduled_at"),
    *("opened_at", "opened_before", "opened_after"),
    *("settled_at", "before", "after", "job_id", "cancelled_by"),
    *("dismissed_at", "code", "message"),
)
"""What a record may say beside its content and its status."""

_PROBLEMS_TOLD: Final = 50


class BadCallError(ValueError):
    """A call that makes no sense as a whole; the message names every field that is missing, unknown or bad."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What answers calls.

    Attributes:
        guards: what changes may do without a second word.
        clock: the stored time.
        actor: who a record says has asked for it.
        source: where it says that it comes from.
    """

    client: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    guards: Guards | None
    clock: Callable[[], str]
    actor: str
    source: str

    def answer(self, event: Mapping[str, object]) -> Document:
        """The answer to a call.

        Args:
            event: its ``action`` is ``schedule``, ``cancel``, ``status`` or ``show``.

        Raises:
            BadCallError: nothing was done then.
            UnfinishedError: where the tables did not take every write; the same call again writes the rest.
        """
        match event["action"]:
            case "schedule":
                return self._schedule(event)
            case "cancel":
                return self._cancel(event)
            case "status":
                return self._status(event)
            case _:
                return self._show(event)

    def _schedule(self, event: Mapping[str, object]) -> Document:
        switches = ("accept_good", "accept_unusual")
        problems = [
            f"{name} must be true or false" for name in switches if not isinstance(event.get(name, False), bool)
        ]
        objects = _list_in(event, switches, problems)
        delivery = Delivery(objects)
        scheduling = Scheduling(
            *(self.client, self.inventory, self.changes, lambda: delivery.rows, self.clock(), self.actor, self.source),
            guards=None if event.get("accept_unusual") else self.guards,
        )
        return delivery.schedule(scheduling, accept_good=bool(event.get("accept_good")))

    def _cancel(self, event: Mapping[str, object]) -> Document:
        names = _names_in(event)
        protocol = Protocol(self.client, self.inventory, self.changes, {"cancelled_by": self.source})
        outcomes = list(cancel_changes(protocol, ((name, None) for name in names), self.clock))
        told = [
            _told(place, each.name, {"status": each.standing.status, "message": each.standing.message})
            for place, each in enumerate(outcomes)
        ]
        return _document({"schema": SCHEMA, "changes": told, "cancelled": sum(each.is_cancelled for each in outcomes)})

    def _status(self, event: Mapping[str, object]) -> Document:
        names = _names_in(event)
        found = self.changes.stored(names)
        told = [
            _told(
                place,
                name,
                {"status": read_record(record).status, **{each: record.get(each) for each in LIFE}}
                if (record := found.get(name))
                else {"status": UNKNOWN},
            )
            for place, name in enumerate(names)
        ]
        return _document({"schema": SCHEMA, "changes": told})

    def _show(self, event: Mapping[str, object]) -> Document:
        problems = _unknown_fields(event, ("sku", "location_id"))
        name = _name_in("the call", {"change_id": "-", **event}, problems)
        _refuse_any(problems)
        attributes = self.inventory.read_many([name[0]]).get(name[0])
        return _document({"schema": SCHEMA, "item": None if attributes is None else item_document(attributes)})


def _unknown_fields(event: Mapping[str, object], known: Sequence[str]) -> list[str]:
    return [f"there is no field {printable(str(name))!r}" for name in event if name not in ("action", *known)]


def _list_in(event: Mapping[str, object], others: Sequence[str], problems: Sequence[str] = ()) -> Sequence[object]:
    """The ``changes`` of a call; ``problems`` has what was found wrong with the rest of it.

    Raises:
        BadCallError: naming everything that is wrong with it.
    """
    objects = event.get("changes")
    wanted = [] if isinstance(objects, list) else ["changes must be a list"]
    _refuse_any([*_unknown_fields(event, ("changes", *others)), *wanted, *problems])
    assert isinstance(objects, list)
    return objects


def _names_in(event: Mapping[str, object]) -> list[Name]:
    """
    Raises:
        BadCallError: naming everything that is wrong with the call.
    """
    problems: list[str] = []
    names = [_name_in(f"changes[{place}]", each, problems) for place, each in enumerate(_list_in(event, ()))]
    _refuse_any(problems)
    return names


def _name_in(where: str, said: object, problems: list[str]) -> Name:
    values = [said.get(name) if isinstance(said, Mapping) else None for name in NAMES]
    for name, value in zip(NAMES, values, strict=True):
        if not isinstance(value, str) or not 0 < len(value.encode(errors="replace")) <= MAXIMUM_ID_BYTES:
            problems.append(f"{where}: {name} must be text of 1 to {MAXIMUM_ID_BYTES} bytes")
    change_id, sku, location = (str(value).encode(errors="replace").decode() for value in values)
    return ItemKey(sku, location), change_id


def _refuse_any(problems: Sequence[str]) -> None:
    if problems:
        more = len(problems) - _PROBLEMS_TOLD
        told = [*problems[:_PROBLEMS_TOLD], *([f"and {counted(more, 'more problem')}"] if more > 0 else [])]
        raise BadCallError("; ".join(told))


def _told(place: int, name: Name, said: Mapping[str, object]) -> Document:
    key, change_id = name
    told = {each: value for each, value in said.items() if value is not None}
    return {"index": place, "change_id": change_id, **key._asdict(), **told}


def _document(said: Mapping[str, object]) -> Document:
    """What is stored as Lambda can send it."""
    document: Document = json.loads(json.dumps(said, default=as_json))
    return document
