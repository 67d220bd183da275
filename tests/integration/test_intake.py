"""Doors on each engine: schedule, cancel, retry, dismiss, load, and what people read."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from inventory_updater.intake.loading import Loaded, load_stock
from inventory_updater.intake.refusals import RefusedError
from inventory_updater.intake.scheduling import Scheduled, schedule_changes
from inventory_updater.intake.text_rows import StockRow
from inventory_updater.intake.withdrawing import cancel_changes, dismiss_changes, find, retry_changes, retry_job
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.protocol import Protocol
from tests.builders import change, item_attributes, moment
from tests.shop import Shop, just_before

MUG, CUP = (ItemKey(sku, "DC1") for sku in ("mug", "cup"))


class Row(NamedTuple):
    key: ItemKey
    change: Change


def soon(change_id: str, *args: Any, **rest: Any) -> Change:
    """A change that is due, whatever the clock of the shop says."""
    return replace(change(change_id, *args, **rest), effective_at="2026-03-02T08:00:00.000000Z")


def scheduled(shop: Shop, given: Iterable[Row], **options: Any) -> Scheduled:
    given, services = list(given), shop.services
    wanted: dict[str, Any] = {"actor": "ann", "source": "a.csv", "allow_old": True} | options
    return schedule_changes(
        *(services.dynamodb, services.inventory, services.changes),
        lambda: iter(given),
        now(shop),
        **wanted,
    )


def now(shop: Shop) -> str:
    return format_time(shop.clock())


def protocol(shop: Shop) -> Protocol:
    services = shop.services
    return Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})


def cancelled(shop: Shop, key: ItemKey, *change_ids: str) -> dict[str, str]:
    """Cancel these changes of an item, and say what they are then."""
    wanted = [((key, change_id), None) for change_id in change_ids]
    outcomes = cancel_changes(protocol(shop), wanted, lambda: now(shop))
    return {each.name[1]: each.standing.status for each in outcomes}


def codes(refused: pytest.ExceptionInfo[RefusedError]) -> list[str]:
    return [each.code for each in refused.value.refusals]


def test_changes_are_scheduled_once_whatever_has_become_of_them(shop: Shop) -> None:
    shop.put(item_attributes(3), item_attributes(sku="cup"))
    given = [Row(MUG, soon("in", value=5)), Row(MUG, soon("sale", value=-99)), Row(CUP, soon("in", value=5))]

    assert scheduled(shop, given) == Scheduled(3, {}, items=2)
    assert scheduled(shop, given) == Scheduled(0, {"PENDING": 3}, items=2)
    shop.run("job-1")

    assert scheduled(shop, given) == Scheduled(0, {"APPLIED": 2, "REJECTED": 1}, items=2)
    with pytest.raises(RefusedError, match="is known with another value and is APPLIED") as taken:
        scheduled(shop, [Row(MUG, soon("in", value=6)), Row(MUG, soon("sale", value=-1)), Row(MUG, soon("new"))])
    assert codes(taken) == ["CHANGE_ID_TAKEN", "CHANGE_ID_TAKEN"]
    assert shop.statuses() == {"in": "APPLIED", "sale": "REJECTED"}
    assert shop.item()["on_hand"] == 8


def test_rows_that_cannot_be_taken_are_told_all_at_once(shop: Shop) -> None:
    shop.put(item_attributes())
    given = [Row(MUG, soon("good")), Row(CUP, soon("c1")), Row(MUG, soon("old"))]
    given[2] = Row(MUG, replace(given[2].change, effective_at="2020-01-01T00:00:00.000000Z"))
    given[0] = Row(MUG, replace(given[0].change, effective_at=now(shop)))
    given[1] = Row(CUP, replace(given[1].change, effective_at=now(shop)))

    with pytest.raises(RefusedError) as refused:
        scheduled(shop, given, allow_old=False)

    assert codes(refused) == ["UNKNOWN_ITEM", "TOO_OLD"]
    assert shop.statuses() == {}


def test_items_that_are_missing_are_made_when_told_so(shop: Shop) -> None:
    given = [Row(MUG, soon("c1", "count", 5)), Row(MUG, soon("c2", value=1)), Row(CUP, soon("c1", "count", 2))]

    assert scheduled(shop, given, create_missing=True) == Scheduled(3, {}, items=2, items_made=2)
    assert (shop.item()["on_hand"], shop.item()["stock_status"], shop.item()["version"]) == (0, "OUT_OF_STOCK", 1)


def test_what_waits_is_cancelled_by_its_item_and_what_is_settled_stays_so(shop: Shop) -> None:
    shop.put(item_attributes(10, unit_price=20))
    offer = replace(soon("offer", "price", 12), until="2999-01-01T00:00:00.000000Z")
    later = replace(change("later"), effective_at="2998-01-01T00:00:00.000000Z")
    scheduled(shop, [Row(MUG, offer), Row(MUG, soon("in", value=5)), Row(MUG, later)])
    shop.run("job-1")
    assert (shop.item()["unit_price"], shop.statuses()) == (12, {"in": "APPLIED", "later": "PENDING", "offer": "OPEN"})

    for _ in range(2):  # again, it stays so
        outcomes = cancelled(shop, MUG, "in", "later", "nothing", "offer")
        assert outcomes == {"in": "APPLIED", "later": "CANCELLED", "nothing": "UNKNOWN", "offer": "CANCELLED"}

    assert shop.item()["unit_price"] == 20
    record = shop.records()["later"]
    assert (record["cancelled_by"], "due_shard" in record, "expires_at" in record) == ("ann", False, True)


def test_a_cancellation_that_comes_too_late_says_what_became_of_the_change(shop: Shop) -> None:
    shop.put(item_attributes(3))
    scheduled(shop, [Row(MUG, soon("in", value=5))])
    seen = shop.set_up_with(just_before(shop.client, "batch_execute_statement", lambda: shop.run("job-1")))

    assert cancelled(seen, MUG, "in") == {"in": "APPLIED"}
    assert shop.item()["on_hand"] == 8


def test_a_change_of_an_item_that_is_gone_is_cancelled_by_its_record_alone(shop: Shop) -> None:
    shop.put(item_attributes(), item_attributes(sku="cup"))
    scheduled(shop, [Row(MUG, soon("c1")), Row(CUP, soon("c1"))])
    shop.client.delete_item(TableName=shop.tables.inventory, Key={"sku": {"S": "mug"}, "location_id": {"S": "DC1"}})

    with pytest.raises(RefusedError, match=r"^a change c1 is waiting in 2 items: name one of") as ambiguous:
        find(shop.services.changes.waiting(), ["c1"], "waiting")
    assert codes(ambiguous) == ["AMBIGUOUS_CHANGE"]
    # One that comes back in that moment decides by itself.
    back = shop.set_up_with(just_before(shop.client, "transact_write_items", lambda: shop.put(item_attributes())))
    assert cancelled(back, MUG, "c1") == {"c1": "CANCELLED"}
    assert shop.item()["version"] == 8

    shop.client.delete_item(TableName=shop.tables.inventory, Key={"sku": {"S": "cup"}, "location_id": {"S": "DC1"}})
    assert cancelled(shop, CUP, "c1") == {"c1": "CANCELLED"}
    assert "due_at" not in shop.records("cup")["c1"]


def test_what_was_rejected_is_tried_again_or_dismissed(shop: Shop) -> None:
    shop.put(item_attributes(3), item_attributes(3, sku="cup"))
    sales = [Row(key, soon(name, value=-5)) for key in (MUG, CUP) for name in ("one", "two")]
    scheduled(shop, sales)
    shop.run("job-1")
    changes, client = shop.services.changes, shop.services.dynamodb
    assert len(list(changes.rejected())) == 4
    before = shop.records()["one"]

    answer = dismiss_changes(client, changes, {CUP: ["one"]}, now(shop), actor="ann")
    assert answer == {(CUP, "one"): "REJECTED"}
    dismissed = shop.records("cup")["one"]
    assert (dismissed["dismissed_by"], "due_shard" in dismissed, "expires_at" in dismissed) == ("ann", False, True)

    assert retry_changes(client, changes, {MUG: ["one"]}, now(shop)) == {(MUG, "one"): "PENDING"}
    again = shop.records()["one"]
    assert (again["attempt"], again["due_at"]) == (2, again["effective_at"])
    assert before.keys() - again.keys() == {"settled_at", "job_id", "code", "message", "before", "after", "expires_at"}

    assert retry_job(client, changes, "another", now(shop)) == {}
    assert retry_job(client, changes, "job-1", now(shop)) == dict.fromkeys([(MUG, "two"), (CUP, "two")], "PENDING")
    assert list(changes.rejected()) == []
    shop.update("SET on_hand = :stock", stock=100)
    shop.run("job-2")

    assert shop.statuses() == {"one": "APPLIED", "two": "APPLIED"}
    with pytest.raises(RefusedError) as refused:
        retry_changes(client, changes, {MUG: ["one"], CUP: ["nothing"]}, now(shop))
    assert codes(refused) == ["NOT_REJECTED", "UNKNOWN_CHANGE"]


def test_what_waits_is_read_in_the_order_of_its_time_from_all_shards(shop: Shop) -> None:
    keys = [ItemKey(f"sku-{number:02}", "DC1") for number in range(40)]
    shop.put(*(item_attributes(sku=key.sku) for key in keys))
    times = [moment(f"{number * 7 % 24:02}:{number:02}") for number in range(40)]
    rows = [Row(key, replace(change("c1"), effective_at=time)) for key, time in zip(keys, times, strict=True)]
    scheduled(shop, rows)

    changes = shop.services.changes
    names = [(row.key, "c1") for row in sorted(rows, key=lambda row: row.change.effective_at)]
    assert list(changes.waiting()) == names
    assert list(changes.waiting(moment("08:59"))) == [
        name for name, at in zip(names, sorted(times), strict=True) if at <= moment("08:59")
    ]
    assert list(changes.stored(names)) == names


def test_stock_is_loaded_and_replaced_beside_a_sale(shop: Shop) -> None:
    none, price = Decimal(0), Decimal("2.50")
    rows = [StockRow(2, MUG, Decimal(12), *(none,) * 3, price, "EUR", None)]
    rows.append(StockRow(3, CUP, *(none,) * 4, price, "EUR", None))
    inventory = shop.services.inventory

    assert load_stock(shop.services.dynamodb, inventory, lambda: iter(rows), now(shop)) == Loaded(made=2)
    assert load_stock(shop.services.dynamodb, inventory, lambda: iter(rows), now(shop)) == Loaded(known=2)

    rows[0] = replace(rows[0], on_hand=Decimal(40), reserved=Decimal(1))
    with pytest.raises(RefusedError) as refused:
        load_stock(shop.services.dynamodb, inventory, lambda: iter(rows), now(shop))
    assert codes(refused) == ["ITEM_EXISTS"]
    sale = just_before(
        shop.client, "batch_execute_statement", lambda: shop.update("SET on_hand = on_hand - :one", one=1)
    )
    seen = shop.set_up_with(sale).services
    assert load_stock(seen.dynamodb, seen.inventory, lambda: iter(rows), now(shop), replace=True) == Loaded(
        replaced=1, known=1
    )
    mug = shop.item()
    assert (mug["on_hand"], mug["available"], mug["stock_value"], mug["version"]) == (40, 39, 100, 2)
