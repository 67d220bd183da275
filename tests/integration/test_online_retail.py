"""The job on real trade: a day and a week of a gift wholesaler, whose closing stock was worked out apart from this.

The files come with the data set *Online Retail* (Chen, D., 2015, UCI Machine Learning Repository); they lie beside the
checkout, not in it.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from cli.engine import CHECKOUT
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import Clash, read_stock_file
from inventory_updater.intake.exporting import write_levels
from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.scheduling import Scheduled, schedule_changes
from inventory_updater.intake.text_rows import ChangeRow, StockRow
from inventory_updater.intake.undoing import Undone, applied_by, undo_changes
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.stock.levels import Level, read_level
from inventory_updater.tables.change_table import Name
from inventory_updater.tables.protocol import Protocol
from inventory_updater.tables.records import JobStatus, Run
from tests.shop import Shop, put_items

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

DATA: Final = CHECKOUT.parent / "shared" / "data" / "online-retail"
DAY: Final = "day-2011-09-20"
WEEK: Final = "week-2011-09-19"
SCHEDULED: Final = {DAY: 2_032, WEEK: 17_519}
APPLIED: Final = {DAY: 1_940, WEEK: 17_189}
REJECTED: Final = {DAY: 92, WEEK: 330}
IN_THE_MIDDLE: Final = {DAY: "2011-09-20T13:59:59.999999Z", WEEK: "2011-09-23T23:59:59.999999Z"}

COLUMNS: Final = ("sku", "location_id", "on_hand", "available", "stock_status", "unit_price", "stock_value")
NUMBERS: Final = ("on_hand", "available", "unit_price", "stock_value")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the Online Retail files are not beside this checkout")

# What undo costs follows the number of changes: the week of it once.
day_twice_and_week_once = pytest.mark.parametrize(
    ("dynamodb_client", "folder"),
    [("ministack", DAY), ("dynamodb_local", DAY), ("ministack", WEEK)],
    indirect=["dynamodb_client"],
    scope="session",
)

Filled = Callable[[Shop, str], None]


def stock_rows(folder: str) -> Iterator[StockRow]:
    for row in read_stock_file(DATA / folder / "opening_stock.csv"):
        assert isinstance(row, StockRow), row
        yield row


def change_rows(folder: str) -> Iterator[ChangeRow]:
    for row in read_change_file(DATA / folder / "changes.csv"):
        # Two prices of one item in one minute are worth a remark of the reader.
        if not isinstance(row, Clash):
            assert isinstance(row, ChangeRow), row
            yield row


def schedule(shop: Shop, folder: str) -> Scheduled:
    services = shop.services
    return schedule_changes(
        *(services.dynamodb, services.inventory, services.changes, lambda: change_rows(folder), services.now()),
        actor="trade",
        source=folder,
        allow_old=True,
    )


def stored(client: "DynamoDBClient", table: str) -> list[Attributes]:
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [from_attribute_values(each) for page in pages for each in page["Items"]]


@pytest.fixture(scope="module")
def stocked() -> Filled:
    """Fills a shop with a folder's opening stock and changes: by the product once, from then on as it left them."""
    filled: dict[str, tuple[list[Attributes], list[Attributes]]] = {}

    def fill(shop: Shop, folder: str) -> None:
        services, tables = shop.services, shop.tables
        if folder in filled:
            items, records = filled[folder]
            put_items(shop.client, tables.inventory, items)
            put_items(shop.client, tables.changes, records)
        else:
            load_stock(services.dynamodb, services.inventory, lambda: stock_rows(folder), services.now())
            assert schedule(shop, folder).added == SCHEDULED[folder]
            filled[folder] = stored(shop.client, tables.inventory), stored(shop.client, tables.changes)

    return fill


def levels(shop: Shop) -> list[dict[str, object]]:
    """What an export holds of levels, numbers as numbers, with how many changes each item has applied and rejected."""
    file = io.StringIO()
    found = map(read_level, shop.services.inventory.scan())
    write_levels(file, (each for each in found if isinstance(each, Level)))
    file.seek(0)
    rows = [{name: row[name] for name in COLUMNS} for row in csv.DictReader(file)]
    statuses: defaultdict[ItemKey, Counter[object]] = defaultdict(Counter)
    for record in stored(shop.client, shop.tables.changes):
        statuses[read_key(record)][record["status"]] += 1
    return [with_numbers(row | counts(statuses[read_key(row)])) for row in rows]


def counts(statuses: Counter[object]) -> dict[str, str]:
    """In the file's words; a change with any other status would be missing in them."""
    return {"applied": str(statuses["APPLIED"]), "rejected": str(statuses["REJECTED"])}


def closing_stock(folder: str) -> list[dict[str, object]]:
    with (DATA / folder / "closing_stock.csv").open(encoding="utf-8", newline="") as file:
        return [with_numbers(row) for row in csv.DictReader(file)]


def with_numbers(row: dict[str, str]) -> dict[str, object]:
    return {name: Decimal(text) if name in NUMBERS and text else text for name, text in row.items()}


def assert_it_closes_right(shop: Shop, folder: str, *runs: Run) -> None:
    assert levels(shop) == closing_stock(folder)
    assert sum(run.tally.changes_applied for run in runs) == APPLIED[folder]
    assert sum(run.tally.changes_rejected for run in runs) == REJECTED[folder]
    assert all(run.tally_is_exact for run in runs)


@pytest.mark.slow
@pytest.mark.parametrize("folder", [DAY, WEEK])
def test_the_closing_stock_of_real_trade_is_right_and_stays_so_when_all_is_done_again(
    shop: Shop, stocked: Filled, folder: str
) -> None:
    stocked(shop, folder)

    run = shop.run()

    assert_it_closes_right(shop, folder, run)
    assert run.status == JobStatus.COMPLETED_WITH_FAILURES
    assert (run.tally.changes_superseded, run.tally.items_failed) == (0, 0)
    assert (run.tally.conflicts, run.tally.throttles) == (0, 0)
    before = shop.items(), stored(shop.client, shop.tables.changes)
    known = {"APPLIED": APPLIED[folder], "REJECTED": REJECTED[folder]}

    assert schedule(shop, folder) == Scheduled(added=0, known=known, items=len(before[0]))
    for scope, scanned in (("due", 0), ("all", len(before[0]))):
        again = shop.run(scope=scope).tally
        assert (again.items_scanned, again.items_updated, again.changes_applied) == (scanned, 0, 0)
    assert (shop.items(), stored(shop.client, shop.tables.changes)) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dynamodb_client", "folder", "client_kind", "settings"),
    [
        ("ministack", DAY, "JSON", {"segments": 8, "batch_size": 7, "page_size": 50}),
        ("ministack", DAY, "JSON", {"segments": 1, "page_size": 1000}),
        ("ministack", DAY, "JSON", {"segments": 1, "write_concurrency": 1}),
        ("ministack", DAY, "JSON", {"page_size": 1, "batch_size": 1}),
        ("ministack", DAY, "botocore", {}),
        ("ministack", WEEK, "JSON", {"segments": 3, "batch_size": 7, "page_size": 50}),
        ("dynamodb_local", DAY, "JSON", {"segments": 8, "batch_size": 7, "page_size": 50}),
    ],
    ids=str,
    indirect=["dynamodb_client"],
    scope="session",
)
def test_the_closing_stock_is_the_same_however_the_work_is_divided_and_whatever_client_does_it(
    shop: Shop, stocked: Filled, folder: str, settings: dict[str, int]
) -> None:
    shop = shop.set_up_with(**settings)
    stocked(shop, folder)

    run = shop.run()

    assert_it_closes_right(shop, folder, run)
    assert run.segments == shop.services.settings.segments


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "moments"),
    [
        (DAY, [f"2011-09-20T{hour:02}:59:59.999999Z" for hour in range(8, 24, 3)]),
        (WEEK, [f"2011-09-{day}T23:59:59.999999Z" for day in range(19, 26)]),
    ],
    ids=["day by hours", "week by days"],
)
def test_the_closing_stock_is_the_same_replayed_in_parts(
    shop: Shop, stocked: Filled, folder: str, moments: list[str]
) -> None:
    stocked(shop, folder)

    runs = [shop.run(as_of=moment) for moment in moments]

    assert_it_closes_right(shop, folder, *runs)
    assert sum(run.tally.changes_applied > 0 for run in runs) > 3
    assert shop.run().tally.items_scanned == 0


@pytest.mark.slow
def test_a_deadline_so_short_that_a_segment_needs_many_calls_changes_nothing(shop: Shop, stocked: Filled) -> None:
    shop = shop.set_up_with(segments=2, page_size=5)
    stocked(shop, DAY)
    # A watch that goes on by being looked at is the same on every machine.
    looks = count()
    shop = replace(shop, services=replace(shop.services, monotonic=lambda: next(looks) / 100))

    run = shop.run(call_seconds=0.5)

    assert_it_closes_right(shop, DAY, run)
    assert run.tally.calls > 5 * run.segments


@pytest.mark.slow
@day_twice_and_week_once
def test_a_file_that_is_undone_leaves_the_opening_stock_without_what_others_have_sold(
    shop: Shop, stocked: Filled, folder: str
) -> None:
    stocked(shop, folder)
    shop.run()
    opening = {row.key: row for row in stock_rows(folder)}
    # Of what was not there at the opening nobody else has sold anything.
    sold = [key for key in in_stock(shop) if opening[key].on_hand][:1_000]
    sell(shop, sold)

    undone = Counter(each.status for each in undo(shop, names_of(folder)))

    assert undone["SCHEDULED"] + undone["NO_EFFECT"] == APPLIED[folder]
    assert undone["REJECTED"] == REJECTED[folder]
    run = shop.run()
    assert (run.tally.changes_applied, run.tally.changes_rejected) == (undone["SCHEDULED"], 0)
    assert shown(shop) == {key: ((row.on_hand or 0) - (key in sold), row.unit_price) for key, row in opening.items()}
    assert_it_is_undone_once(shop, undone, lambda: names_of(folder))


@pytest.mark.slow
@day_twice_and_week_once
def test_a_single_job_that_is_undone_leaves_the_stock_before_it_without_what_others_have_sold(
    shop: Shop, stocked: Filled, folder: str
) -> None:
    stocked(shop, folder)
    shop.run(as_of=IN_THE_MIDDLE[folder])
    sell(shop, in_stock(shop)[:500])
    before = shown(shop)
    unwanted = shop.run()
    sold = [key for key in in_stock(shop) if before[key][0]][:500]
    sell(shop, sold)

    def names() -> Iterator[Name]:
        return applied_by(shop.services.jobs, unwanted.job_id)

    undone = Counter(each.status for each in undo(shop, names()))

    assert len(sold) == 500
    assert undone.keys() <= {"SCHEDULED", "NO_EFFECT"}
    assert undone.total() == unwanted.tally.changes_applied > 400
    run = shop.run()
    assert (run.tally.changes_applied, run.tally.changes_rejected) == (undone["SCHEDULED"], 0)
    assert shown(shop) == {key: (on_hand - (key in sold), price) for key, (on_hand, price) in before.items()}
    assert_it_is_undone_once(shop, undone, names)


def sell(shop: Shop, keys: Iterable[ItemKey]) -> None:
    """One of each is sold by another writer."""
    for key in keys:
        shop.update("ADD on_hand :sold", *key, sold=-1)


def shown(shop: Shop) -> dict[ItemKey, tuple[Decimal, object]]:
    """What is on hand of each item, and its price."""
    items = stored(shop.client, shop.tables.inventory)
    return {read_key(item): (Decimal(str(item["on_hand"])), item.get("unit_price")) for item in items}


def in_stock(shop: Shop) -> list[ItemKey]:
    return sorted(key for key, (on_hand, _price) in shown(shop).items() if on_hand)


def names_of(folder: str) -> Iterator[Name]:
    return ((row.key, row.change.change_id) for row in change_rows(folder))


def undo(shop: Shop, names: Iterable[Name]) -> Iterator[Undone]:
    services = shop.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})
    return undo_changes(protocol, names, services.now)


def assert_it_is_undone_once(shop: Shop, undone: Counter[str], names: Callable[[], Iterator[Name]]) -> None:
    """Undone once more, nothing is another, and nothing is left to do."""
    before = shown(shop)
    again = Counter(each.status for each in undo(shop, names()))
    assert again == Counter(undone) - Counter(SCHEDULED=undone["SCHEDULED"]) + Counter(UNDONE=undone["SCHEDULED"])
    assert shop.run().tally.items_updated == 0
    assert shown(shop) == before
