"""Black Friday from beginning to end, as docs/spreadsheets.md walks through it."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Final

import pytest

from cli.engine import CHECKOUT
from tests.desk import Desk
from tests.engines import Script

WALKED_WITH: Final = 3_000
"""So many items has the walk of the page."""

LOCATION: Final = "BERLIN"
WINDOW: Final = "change_id,sku,location_id,kind,value,effective_at,until,reason"
DAY: Final = "2026-11-27T00:00,2026-11-28T00:00"
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Tea:
    """An item of the shop: its price, that of the day, and what purchasing makes of it meanwhile."""

    number: int

    @property
    def sku(self) -> str:
        return f"TEA-{self.number:04}"

    @property
    def price(self) -> Decimal:
        return 4 + self.number * CENT

    @property
    def price_of_the_day(self) -> Decimal:
        return (self.price * (60 + self.number % 31) / 100).quantize(CENT, ROUND_UP)

    @property
    def new_price(self) -> Decimal:
        return self.price + Decimal("0.30")


def write(name: str, header: str, rows: Iterable[str]) -> None:
    Path(name).write_text("\n".join([header, *rows, ""]), encoding="utf-8")


def write_files(teas: list[Tea]) -> None:
    write(
        "stock.csv",
        "sku,location_id,on_hand,unit_price,currency",
        (f"{t.sku},{LOCATION},9,{t.price},EUR" for t in teas),
    )
    of_the_day = [
        f"friday-{t.number:04},{t.sku},{LOCATION},price,{t.price_of_the_day},{DAY},Black Friday" for t in teas
    ]
    write("black-friday.csv", WINDOW, of_the_day)
    write("half.csv", WINDOW, of_the_day[::2])
    write(
        "new-prices.csv",
        "change_id,sku,location_id,kind,value,effective_at",
        (f"list-{t.number:04},{t.sku},{LOCATION},price,{t.new_price},2026-11-27T10:00" for t in teas),
    )


@dataclass(frozen=True, slots=True)
class Walk:
    """The walk of the page with so many items: each command stands there, and so does what it says."""

    desk: Desk
    items: int
    page: str

    def takes(self, command: str, says: str, *, plan_id: str = "ID") -> Script:
        """Run a command of the page; ``says`` is in what it prints, as it is there for 3,000 items."""
        block = self.page.partition(f"$ .venv/bin/python scripts/{command}\n")[2].partition("```")[0]
        assert _plain(says) in _plain(block.partition("$ ")[0]), command
        script, *arguments = command.replace(".py", "").replace(" ID ", f" {plan_id} ").split()
        answer = self.desk.run(script, *arguments)
        here = says.replace("3,000", f"{self.items:,}").replace("1,500", f"{self.items // 2:,}")
        assert (answer.status, _plain(here) in _plain(answer.output)) == (0, True), answer
        return answer

    def prices(self) -> dict[str, Decimal]:
        """What the shop shows of every item."""
        self.takes("stock.py export --shown prices.csv", "3,000 items exported to prices.csv")
        with Path("prices.csv").open(encoding="utf-8", newline="") as file:
            return {row["sku"]: Decimal(row["unit_price"]) for row in csv.DictReader(file)}


def _plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.slow_on("dynamodb_local")
@pytest.mark.parametrize("items", [60, pytest.param(WALKED_WITH, marks=pytest.mark.slow)])
def test_the_prices_of_a_day_are_previewed_begin_are_half_taken_back_and_end_over_new_list_prices(
    desk: Desk, items: int
) -> None:
    walk = Walk(desk, items, (CHECKOUT / "docs" / "spreadsheets.md").read_text(encoding="utf-8"))
    teas = [Tea(number) for number in range(1, items + 1)]
    half = {tea.sku for tea in teas[::2]}
    write_files(teas)
    _, begin, rest = walk.page.partition(f"{WINDOW}\nfriday-")
    assert Path("black-friday.csv").read_text(encoding="utf-8").startswith(begin + rest.partition("```")[0])
    zone = "--time-zone Europe/Berlin"
    all_differ, none_differs = (f"{number} items of 3,000 would change" for number in ("3,000", "0"))

    # A week before
    desk.at("2026-11-20T09:00:00Z")
    assert desk.run("stock", "load", "stock.csv").status == 0
    before = {tea.sku: tea.price for tea in teas}
    screen = walk.takes(f"changes.py preview {zone} black-friday.csv", all_differ).output
    plan = desk.run("changes", "preview", "--json", *zone.split(), "black-friday.csv").answer
    assert (plan["by_outcome"], plan["prices"]["down"], plan["prices"]["up"]) == ({"OPEN": items}, items, 0)
    assert plan["plan_id"] in screen
    assert desk.shop.statuses(teas[0].sku, LOCATION) == {}
    walk.takes(
        f"changes.py schedule {zone} --plan-id ID black-friday.csv",
        "3,000 changes added for 3,000 items",
        plan_id=plan["plan_id"],
    )
    walk.takes("job.py preview --as-of 2026-11-27T12:00:00+01:00", all_differ)
    walk.takes("job.py preview --as-of 2026-11-28T00:00:00+01:00", none_differs)
    desk.at("2026-11-26T23:59:59.999999+01:00")
    assert desk.job().tally.items_scanned == 0
    assert walk.prices() == before

    # At midnight
    desk.at("2026-11-27T00:00:00+01:00")
    assert desk.job().tally.changes_opened == items
    of_the_day = {tea.sku: tea.price_of_the_day for tea in teas}
    assert walk.prices() == of_the_day

    # At ten
    desk.at("2026-11-27T10:00:00+01:00")
    walk.takes(f"changes.py schedule {zone} new-prices.csv", "3,000 changes added for 3,000 items")
    assert desk.job().tally.changes_applied == items
    assert walk.prices() == of_the_day

    # At two in the afternoon
    desk.at("2026-11-27T14:00:00+01:00")
    walk.takes(f"changes.py cancel {zone} --file half.csv", "1,500 changes: 1,500 CANCELLED")
    new = {tea.sku: tea.new_price for tea in teas}
    assert walk.prices() == {sku: (new if sku in half else of_the_day)[sku] for sku in new}
    desk.at("2026-11-27T23:59:59.999999+01:00")
    assert desk.job().tally.items_scanned == 0
    assert walk.prices() == {sku: (new if sku in half else of_the_day)[sku] for sku in new}

    # At midnight
    desk.at("2026-11-28T00:00:00+01:00")
    assert desk.job().tally.changes_applied == items - len(half)
    assert walk.prices() == new
    assert [item for item in desk.shop.items().values() if "windows" in item or "base_unit_price" in item] == []

    # What became of it
    walk.takes(f"changes.py status {zone} black-friday.csv", "3,000 changes: 1,500 CANCELLED, 1,500 APPLIED")
    told = desk.run("changes", "status", "--json", *zone.split(), "black-friday.csv").answer["changes"]
    assert {each["sku"]: each["status"] for each in told} == {
        sku: "CANCELLED" if sku in half else "APPLIED" for sku in new
    }
    assert {each["opened_at"] for each in told} == {"2026-11-26T23:00:00.000000Z"}
    assert {each["sku"]: (Decimal(each["before"]), Decimal(each["after"])) for each in told} == {
        sku: (of_the_day[sku], new[sku]) for sku in new
    }
    walk.takes("stock.py history TEA-0001 BERLIN", "3 settled")
    settled = desk.run("stock", "history", "TEA-0001", LOCATION, "--json").answer["settled"]
    assert [(each["settled_at"], each["change_id"], each["status"]) for each in settled] == [
        ("2026-11-27T13:00:00.000000Z", "friday-0001", "CANCELLED"),
        ("2026-11-27T09:00:00.000000Z", "list-0001", "APPLIED"),
        ("2026-11-26T23:00:00.000000Z", "friday-0001", "OPEN"),
    ]
    walk.takes(
        "stock.py history TEA-0001 BERLIN --at 2026-11-27T12:00:00+01:00", f"unit_price {teas[0].price_of_the_day}"
    )
