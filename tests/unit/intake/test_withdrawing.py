"""Cancel, retry and dismiss where answers are lost, tables throttle, and ids are not known."""

import pytest

from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.intake.withdrawing import Outcomes, cancel_changes, dismiss_changes, find, retry_changes
from inventory_updater.stock.items import ItemKey
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


def cancelled(warehouse: Warehouse, *names: str) -> Outcomes:
    services = warehouse.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})
    return cancel_changes(protocol, {MUG: names}, NOW)


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

    with pytest.raises(UnfinishedError, match=r"^1 change was not written, the first is c1 of mug at DC1 \(on_hand is"):
        cancelled(warehouse, "c1")
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
