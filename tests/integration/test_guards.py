"""Files that are unusual, through `changes.py`: held with exactly the rows that are, and taken when they are meant."""

import re
from pathlib import Path

import pytest

from cli.exit_codes import EXIT_DONE, EXIT_HELD
from tests.builders import item_attributes
from tests.desk import Desk
from tests.shop import put_items


@pytest.mark.parametrize("count", [300, pytest.param(3_000, marks=pytest.mark.slow)])
def test_a_price_list_with_one_percent_of_its_prices_100_times_too_high_is_held_with_exactly_these_rows(
    desk: Desk, count: int
) -> None:
    shop = desk.shop
    desk.at("2026-11-20T09:00:00Z")
    cents_of = {f"SKU-{number:04}": 1_000 + number for number in range(count)}
    items = [item_attributes(sku=sku, unit_price=f"{cents / 100:.2f}") for sku, cents in cents_of.items()]
    put_items(shop.client, shop.tables.inventory, items)
    raised = {sku: f"{cents * 1.05 / 100:.2f}" for sku, cents in cents_of.items()}
    wrong = {sku: raised[sku].replace(".", "") for sku in list(raised)[7::100]}
    lines = [line for line, sku in enumerate(raised, start=2) if sku in wrong]
    rows = [f"p1,{sku},DC1,price,{price},2026-12-01T00:00:00Z" for sku, price in (raised | wrong).items()]
    header = "change_id,sku,location_id,kind,value,effective_at"
    Path("prices.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")

    screen = desk.run("changes", "schedule", "prices.csv")
    held = desk.run("changes", "schedule", "--json", "prices.csv")

    *named, last = screen.errors.splitlines()
    assert (screen.status, screen.output, held.status) == (EXIT_HELD, "", EXIT_HELD)
    assert [int(line) for each in named for line in re.findall(r"line (\d+), column value: ", each)] == lines
    assert named[0] == (
        "error: prices.csv: line 9, column value: 1057 is 10,396.6 % above the price of 10.07; "
        "MaxPriceChangePercent is 50"
    )
    meant = "if that is meant, send the file again with --accept-unusual"
    assert last == f"{len(wrong)} rows are unusual, and nothing was written; {meant}"
    document = held.answer
    assert (document["held"], document["rows"], document["good"]) == (True, count, count)
    assert [(each["line"], each["code"]) for each in document["problems"]] == [(each, "PRICE_CHANGE") for each in lines]
    assert document["unusual"] == document["problems"]
    assert list(shop.services.changes.waiting()) == []

    preview = desk.run("changes", "preview", "--json", "prices.csv").answer
    assert preview["unusual_by_code"] == {"PRICE_CHANGE": len(wrong)}
    for option in ("--csv", "--utc"):
        said = desk.run("changes", "preview", option, "prices.csv")
        assert (said.status, f"{len(wrong)} PRICE_CHANGE" in said.output + said.errors) == (EXIT_DONE, True)
    taken = desk.run("changes", "schedule", "--accept-unusual", "--plan-id", preview["plan_id"], "prices.csv")
    assert (taken.status, taken.output) == (EXIT_DONE, f"{count:,} changes added for {count:,} items\n")
    again = desk.run("changes", "schedule", "prices.csv")
    assert (again.status, again.output) == (
        EXIT_DONE,
        f"0 changes added for {count:,} items; {count:,} known already: {count:,} PENDING\n",
    )
