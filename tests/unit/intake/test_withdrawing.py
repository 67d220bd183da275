"""Cancel, retry and dismiss where answers are lost, tables throttle, and ids are not known."""

import pytest

from inventory_updater.intake.refusals import RefusedError
from inventory_updater.intake.withdrawing import (
    Cancelled,
    cancel_changes,
    dismiss_changes,
    find,
    find_waiting,
    retry_changes,
)
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.change_table import Name
from inventory_updater.tables.protocol import Protocol
from tests.builders import NOW, change, item_attributes, record_attributes
from tests.fakes.dynamodb import WRITE
from tests.fakes.warehouse import Warehouse
from tests.shop import put_items
from tests.simulation.faults import AnswerLost, DoneTwice, Fault, Refused, RefusedInPart

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG = ItemKey("mug", "DC1")
FAULTS: tuple[Fault, ...] = (
    *(AnswerLost(), AnswerLost(is_done=False), DoneTwice(), Refused(), RefusedInPart(frozenset({0}))),
)


def once(warehouse: Warehouse, fault: Fault) -> None:
    """Let this happen to the next batch of writes."""
    faults = iter([fault])
    warehouse.happens = lambda operation, _request: next(faults, None) if operation == WRITE else None


def rejected(warehouse: Warehouse, *names: str, **more: object) -> None:
    records = [record_attributes(MUG, change(name), status="REJECTED", **more) for name in names]
    put_items(warehouse.dynamodb.client, warehouse.tables.changes, records)


def cancel(warehouse: Warehouse, *wanted: str | Change) -> list[Cancelled]:
    """Cancel these by their id alone, or where they are what is given."""
    services = warehouse.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})
    named = (((MUG, each), None) if isinstance(each, str) else ((MUG, each.change_id), each) for each in wanted)
    return list(cancel_changes(protocol, named, lambda: NOW))


def cancelled(warehouse: Warehouse, *names: str) -> dict[Name, str]:
    return {each.name: each.standing.status for each in cancel(warehouse, *names)}


def test_a_lost_or_late_answer_changes_nothing_of_the_outcome(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes())
    services = warehouse.services
    for number, fault in enumerate(FAULTS):
        to_cancel, to_retry, to_dismiss = (f"{verb}{number}" for verb in ("cancel", "retry", "dismiss"))
        warehouse.schedule(MUG, change(to_cancel))
        rejected(warehouse, to_retry, to_dismiss, due_shard="REJECTED", due_at=NOW)

        once(warehouse, fault)
        assert cancelled(warehouse, to_cancel) == {(MUG, to_cancel): "CANCELLED"}
        once(warehouse, fault)
        assert retry_changes(services.dynamodb, services.changes, {MUG: [to_retry]}, NOW) == {
            (MUG, to_retry): "PENDING"
        }
        once(warehouse, fault)
        answer = dismiss_changes(services.dynamodb, services.changes, {MUG: [to_dismiss]}, NOW, actor="ann")
        assert answer == {(MUG, to_dismiss): "REJECTED"}

        records = services.changes.stored([(MUG, to_retry), (MUG, to_dismiss)])
        assert records[MUG, to_retry]["attempt"] == 2
        assert records[MUG, to_dismiss]["dismissed_by"] == "ann"
    assert list(services.changes.rejected()) == []


def test_what_is_done_already_is_done_again_without_a_write(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes())
    warehouse.schedule(MUG, change("c1"), change("c2"))
    rejected(warehouse, "c3", dismissed_at=NOW, dismissed_by="bob")
    services = warehouse.services
    cancelled(warehouse, "c1")
    landed = len(warehouse.dynamodb.landed)

    assert cancelled(warehouse, "c1") == {(MUG, "c1"): "CANCELLED"}
    assert retry_changes(services.dynamodb, services.changes, {MUG: ["c2"]}, NOW) == {(MUG, "c2"): "PENDING"}
    assert dismiss_changes(services.dynamodb, services.changes, {MUG: ["c3"]}, NOW, actor="ann") == {
        (MUG, "c3"): "REJECTED"
    }
    assert len(warehouse.dynamodb.landed) == landed


def test_an_item_that_cannot_be_read_cannot_decide_and_is_told(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes() | {"on_hand": "many"})
    warehouse.schedule(MUG, change("c1"))

    (outcome,) = cancel(warehouse, "c1")

    assert (outcome.standing.status, outcome.was_waiting, outcome.is_unfinished) == ("PENDING", True, True)
    assert outcome.standing.message == "not cancelled, do the same again: on_hand is not a number"
    assert warehouse.statuses() == {"c1": "PENDING"}


def test_a_change_is_found_by_its_id_where_one_item_has_it() -> None:
    cup = ItemKey("cup", "DC1")
    among = [(MUG, "c1"), (cup, "c2"), (cup, "c1"), (MUG, "c3")]

    assert find(among, ["c2", "c3"], "waiting") == {cup: ["c2"], MUG: ["c3"]}
    with pytest.raises(RefusedError) as refused:
        find(among, ["c1", "c2", "c9"], "waiting")
    assert [(each.code, each.row) for each in refused.value.refusals] == [
        ("AMBIGUOUS_CHANGE", "c1"),
        ("UNKNOWN_CHANGE", "c9"),
    ]


def test_what_waits_is_cancelled_and_of_everything_else_it_is_said_why_not(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes())
    waits = change("waits")
    warehouse.schedule(MUG, waits, change("other", value=3))
    rejected(warehouse, "sold", settled_at=NOW)

    outcomes = cancel(warehouse, waits, change("other", value=4), "sold", "nothing")

    taken = (
        "change other of mug at DC1 is known with another value and is PENDING: "
        "cancel it, and give the other one an id of its own"
    )
    assert [(each.name[1], each.standing.status, each.standing.message) for each in outcomes] == [
        ("waits", "CANCELLED", None),
        ("other", "TAKEN", taken),
        ("sold", "REJECTED", f"change sold of mug at DC1 is REJECTED, settled at {NOW}"),
        ("nothing", "UNKNOWN", "there is no change nothing of mug at DC1"),
    ]
    assert warehouse.statuses() == {"waits": "CANCELLED", "other": "PENDING", "sold": "REJECTED"}


def test_many_are_cancelled_in_their_order_and_found_by_what_their_records_say(warehouse: Warehouse) -> None:
    skus = [f"mug-{number:03}" for number in range(450)]
    warehouse.put(*(item_attributes(sku=sku) for sku in skus))
    keys = [ItemKey(sku, "DC1") for sku in skus]
    for number, key in enumerate(keys):
        warehouse.schedule(key, change("c1", reference="even" if number % 2 == 0 else "odd"))
    services = warehouse.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})

    found = find_waiting(services.changes, "reference", "odd")
    outcomes = list(cancel_changes(protocol, ((name, None) for name in found), lambda: NOW))

    assert {each.standing.status for each in outcomes} == {"CANCELLED"}
    assert sorted(each.name for each in outcomes) == [(key, "c1") for key in keys[1::2]]
    assert sorted(services.changes.waiting()) == [(key, "c1") for key in keys[::2]]
    again = cancel_changes(protocol, (((key, "c1"), None) for key in keys[1::2]), lambda: NOW)
    assert [(each.name[0], each.is_cancelled, each.was_waiting) for each in again] == [
        (key, True, False) for key in keys[1::2]
    ]
