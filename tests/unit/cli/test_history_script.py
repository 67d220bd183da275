"""`stock.py history` on tables in memory: what was settled, and what the figures were at each moment."""

import csv
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from cli import history, stock_verbs
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.history import FIGURES
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.numbers import plain
from tests.builders import change, item_attributes, moment
from tests.fakes.warehouse import MUG, Warehouse

Command = Callable[..., int]


@pytest.fixture
def command(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`stock.py` where the warehouse is what is deployed."""
    services = warehouse.services
    deployed = SimpleNamespace(inventory=lambda: services.inventory, changes=lambda: services.changes)
    monkeypatch.setattr(history, "find_deployment", lambda _options: deployed)
    monkeypatch.setattr(history, "now", services.now)
    return lambda *arguments: stock_verbs.commands().main(["history", *arguments])


def trade(warehouse: Warehouse) -> dict[str, dict[str, object]]:
    """A day of jobs; what the item's figures were from each of them on."""
    warehouse.put(item_attributes(10, unit_price=5, reorder_point=2))
    warehouse.schedule(
        MUG,
        change("offer", "price", 2, "12:30", until="15:00"),
        change("sale-1", value=-3, at="12:30", reason="sale"),
        change("deeper", "price", 1, "13:30", until="14:15"),
        change("base", "price", 6, "13:30"),
        change("oversold", value=-99, at="14:00"),
        change("recount", "count", 30, at="14:30"),
        change("reorder", "reorder_point", 4, "15:00"),
    )
    then = {}
    for number in range(8):
        warehouse.run_job(f"job-{number}")
        item = warehouse.items()[MUG]
        then[warehouse.services.now()] = {name: item.get(name) for name in ("on_hand", "unit_price", "reorder_point")}
        warehouse.clock.goes_on(timedelta(minutes=30).total_seconds())
    return then


def test_at_each_moment_the_figures_are_what_they_were(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    then = trade(warehouse)
    found = {}
    for at in then:
        assert command("mug", "DC1", "--at", at, "--json") == 0
        (item,) = json.loads(capsys.readouterr().out)["items"]
        figures = item["figures"]
        assert figures.keys() == set(FIGURES)
        assert not any(each["changed_by_others"] for each in figures.values())
        found[at] = {name: Decimal(figures[name]["value"]) for name in then[at]}
    assert found == then
    prices = [int(str(each["unit_price"])) for each in then.values()]
    assert prices == [5, 2, 2, 1, 1, 2, 6, 6]


def test_what_others_wrote_in_between_is_pointed_out(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    then = trade(warehouse)
    warehouse.dynamodb.client.update_item(
        TableName=warehouse.tables.inventory,
        Key=to_attribute_values(MUG._asdict()),
        UpdateExpression="SET on_hand = :less",
        ExpressionAttributeValues=to_attribute_values({":less": Decimal(21)}),
    )
    assert command("mug", "DC1", "--at", list(then)[-1], "--csv") == 0
    said = capsys.readouterr()
    rows = {row["figure"]: row for row in csv.DictReader(said.out.splitlines())}
    assert (rows["on_hand"]["value"], rows["on_hand"]["last_by"], rows["on_hand"]["last_after"]) == (
        "21",
        "recount",
        "30",
    )
    assert "Updates of other writers (checkouts, stock.py load) are not in the records" in said.err


def test_everything_that_was_settled_is_listed_the_newest_first(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    trade(warehouse)
    assert command("mug", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["has_more"] is False
    told = [
        (each["change_id"], each["status"], each.get("before"), each.get("after"), each.get("job_id"))
        for each in answer["settled"]
    ]
    assert told == [
        ("reorder", "APPLIED", "2", "4", "job-6"),
        ("offer", "APPLIED", "2", "6", "job-6"),
        ("recount", "APPLIED", "7", "30", "job-5"),
        ("deeper", "APPLIED", "1", "2", "job-5"),
        ("oversold", "REJECTED", "7", "7", "job-4"),
        ("deeper", "OPEN", "2", "1", None),
        ("base", "APPLIED", "2", "2", "job-3"),
        ("offer", "OPEN", "5", "2", None),
        ("sale-1", "APPLIED", "10", "7", "job-1"),
    ]
    assert command("mug", "DC1", "--limit", "2") == 0
    assert capsys.readouterr().out.endswith("2 settled, and there are more: --all lists them\n")
    assert command("mug", "DC1", "--csv") == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["change_id"], row["status"]) for row in rows] == [(name, status) for name, status, *_ in told]
    assert (rows[-1]["reason"], rows[-1]["settled_at"]) == ("sale", moment("12:30"))


def test_what_cannot_be_known_is_refused(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.put(item_attributes())
    refused = {
        ("mug", "--at", "noon"): "--at: 'noon' is not a time like 2026-01-31T08:00:00Z",
        ("mug", "--at", "2099-01-01T00:00:00Z"): "--at: 2099-01-01T00:00:00Z lies in the future",
        ("mug", "--at", "2026-01-30T11:59:59Z"): (
            "--at: what was settled before 2026-01-31T12:00:00.000000Z may have been forgotten (ChangeRetentionDays)"
        ),
        ("cup",): "there is no item cup; one that is gone is found with its LOCATION",
        ("cup", "DC1"): "there is no item cup at DC1, and no record of one",
        ("mug", "--limit", "0"): "--limit: at least 1 change",
    }
    said = {}
    for arguments in refused:
        assert command(*arguments) == 2
        said[arguments] = capsys.readouterr().err.removeprefix("error: ").removesuffix("\n")
    assert said == refused


def test_of_an_item_that_is_gone_the_records_still_tell(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    then = trade(warehouse)
    warehouse.dynamodb.client.delete_item(TableName=warehouse.tables.inventory, Key=to_attribute_values(MUG._asdict()))
    first = next(iter(then))
    assert command("mug", "DC1", "--at", first) == 0
    shown = capsys.readouterr().out
    assert "Item mug at DC1 is gone" in shown
    assert command("mug", "DC1", "--at", first, "--json") == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    values = {name: each["value"] for name, each in item["figures"].items()}
    assert values == {"on_hand": "10", "unit_price": "5", "reorder_point": "2", "safety_stock": None}


def test_without_a_location_it_is_told_of_every_one(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, location in enumerate(("DC1", "DC2")):
        warehouse.put(item_attributes(5, location_id=location))
        warehouse.schedule(ItemKey("mug", location), change("c1", value=number + 1))
    warehouse.run_job()
    assert command("mug", "--csv") == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    assert sorted((row["location_id"], row["after"]) for row in rows) == [("DC1", "6"), ("DC2", plain(Decimal(7)))]
