"""The job on real trade: a day and a week of a gift wholesaler, whose closing stock was worked out apart from this.

The files come with the data set *Online Retail* (Chen, D., 2015, UCI Machine Learning Repository); they lie beside the
checkout, not in it.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Final

import pytest

from cli.engine import CHECKOUT
from inventory_updater.intake.csv_format import read_change_file, read_stock_file, write_levels
from inventory_updater.intake.operations import ScheduleReport, load_stock, schedule_changes
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import Figures, StockItem, read_item
from inventory_updater.tables.records import JobStatus
from tests.shop import Shop

DATA: Final = CHECKOUT.parent / "shared" / "data" / "online-retail"
DAY: Final = "day-2011-09-20"
WEEK: Final = "week-2011-09-19"
SCHEDULED: Final = {DAY: 2_032, WEEK: 17_519}
APPLIED: Final = {DAY: 1_940, WEEK: 17_189}
REJECTED: Final = {DAY: 92, WEEK: 330}

NUMBERS: Final = ("on_hand", "available", "unit_price", "stock_value")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the Online Retail files are not beside this checkout")

# The embedded engine gives the first opinion; AWS's own gives the second one where there is time.
second_opinion_is_slow = pytest.mark.parametrize(
    "dynamodb_client",
    ["ministack", pytest.param("dynamodb_local", marks=pytest.mark.slow)],
    indirect=True,
    scope="session",
)

Filled = Callable[[Shop, str], None]


def load(shop: Shop, folder: str) -> int:
    rows = (
        (
            row.key,
            Figures(row.on_hand, row.reserved, row.safety_stock, row.reorder_point, row.unit_price),
            {"currency": row.currency, "description": row.description},
        )
        for row in read_stock_file(DATA / folder / "opening_stock.csv")
    )
    return load_stock(shop.services.inventory, rows, shop.services.now)


def schedule(shop: Shop, folder: str) -> ScheduleReport:
    changes = ((row.key, row.change) for row in read_change_file(DATA / folder / "changes.csv"))
    return schedule_changes(shop.services.inventory, changes, shop.services.now)


@pytest.fixture(scope="module")
def stocked() -> Filled:
    """Fills a shop with a folder's opening stock and changes: by the product once, from then on as it left them."""
    filled: dict[str, list[Attributes]] = {}

    def fill(shop: Shop, folder: str) -> None:
        if folder in filled:
            shop.put(*filled[folder])
        else:
            load(shop, folder)
            schedule(shop, folder)
            filled[folder] = list(shop.items().values())

    return fill


def levels(shop: Shop) -> list[dict[str, object]]:
    """What an export holds, numbers as numbers."""
    file = io.StringIO()
    items = map(read_item, shop.services.inventory.scan("all"))
    write_levels(file, (item for item in items if isinstance(item, StockItem)))
    file.seek(0)
    return [with_numbers(row) for row in csv.DictReader(file)]


def expected_levels(folder: str) -> list[dict[str, object]]:
    with (DATA / folder / "closing_stock.csv").open(encoding="utf-8", newline="") as file:
        return [
            with_numbers({name: text for name, text in row.items() if name not in ("applied", "rejected")})
            for row in csv.DictReader(file)
        ]


def with_numbers(row: dict[str, str]) -> dict[str, object]:
    return {name: Decimal(text) if name in NUMBERS and text else text for name, text in row.items()}


def expected_counts(folder: str) -> dict[str, tuple[int, int]]:
    with (DATA / folder / "closing_stock.csv").open(encoding="utf-8", newline="") as file:
        return {row["sku"]: (int(row["applied"]), int(row["rejected"])) for row in csv.DictReader(file)}


def counts(shop: Shop) -> dict[str, tuple[int, int]]:
    return {
        sku: (_size(item, "settled_changes"), _size(item, "rejected_changes"))
        for (sku, _location_id), item in shop.items().items()
    }


def _size(item: Attributes, name: str) -> int:
    entries = item.get(name, {})
    assert isinstance(entries, dict)
    return len(entries)


def assert_closing_stock(shop: Shop, folder: str) -> None:
    assert levels(shop) == expected_levels(folder)
    assert counts(shop) == expected_counts(folder)


@pytest.mark.parametrize("folder", [DAY, WEEK])
def test_the_closing_stock_of_real_trade_is_right_and_stays_so_when_all_is_done_again(
    shop: Shop, stocked: Filled, folder: str
) -> None:
    stocked(shop, folder)

    run = shop.run()

    assert_closing_stock(shop, folder)
    assert (run.status, run.tally_is_exact) == (JobStatus.COMPLETED_WITH_FAILURES, True)
    assert (run.tally.changes_applied, run.tally.changes_rejected, run.tally.changes_superseded) == (
        APPLIED[folder],
        REJECTED[folder],
        0,
    )
    assert (run.tally.items_failed, run.tally.conflicts, run.tally.throttles) == (0, 0, 0)
    assert run.tally.items_updated == run.tally.items_scanned == len(expected_levels(folder))

    before = shop.items()
    assert schedule(shop, folder) == ScheduleReport(scheduled=0, duplicates=SCHEDULED[folder], items=len(before))
    for scope, scanned in (("due", 0), ("all", len(before))):
        again = shop.run(scope=scope).tally
        assert (again.items_scanned, again.items_updated, again.changes_applied) == (scanned, 0, 0)
    assert shop.items() == before


@second_opinion_is_slow
@pytest.mark.parametrize(
    "settings",
    [{"segments": 1}, {"segments": 8}, {"batch_size": 1}, {"batch_size": 7}, {"page_size": 1}, {"page_size": 1000}],
    ids=str,
)
def test_the_closing_stock_of_the_day_is_the_same_however_the_work_is_divided(
    shop: Shop, stocked: Filled, settings: dict[str, int]
) -> None:
    assert_the_day_closes_right(shop.set_up_with(**settings), stocked)


@second_opinion_is_slow
@pytest.mark.parametrize("transport", ["botocore"])
def test_the_closing_stock_of_the_day_is_the_same_over_botocores_client(shop: Shop, stocked: Filled) -> None:
    assert_the_day_closes_right(shop, stocked)


def assert_the_day_closes_right(shop: Shop, stocked: Filled) -> None:
    stocked(shop, DAY)

    run = shop.run()

    assert_closing_stock(shop, DAY)
    assert (run.tally.changes_applied, run.tally.changes_rejected) == (APPLIED[DAY], REJECTED[DAY])
    assert run.tally.calls == run.segments == shop.services.settings.segments


@second_opinion_is_slow
def test_the_closing_stock_of_the_week_is_the_same_with_odd_settings(shop: Shop, stocked: Filled) -> None:
    shop = shop.set_up_with(segments=3, batch_size=7, page_size=50)
    stocked(shop, WEEK)

    run = shop.run()

    assert_closing_stock(shop, WEEK)
    assert (run.tally.changes_applied, run.tally.changes_rejected) == (APPLIED[WEEK], REJECTED[WEEK])


@pytest.mark.parametrize(
    ("folder", "moments"),
    [
        (DAY, [f"2011-09-20T{hour:02}:59:59.999999Z" for hour in range(8, 24, 3)]),
        pytest.param(WEEK, [f"2011-09-{day}T23:59:59.999999Z" for day in range(19, 26)], marks=pytest.mark.slow),
    ],
    ids=["day by hours", "week by days"],
)
def test_the_closing_stock_is_the_same_replayed_in_parts(
    shop: Shop, stocked: Filled, folder: str, moments: list[str]
) -> None:
    stocked(shop, folder)

    runs = [shop.run(as_of=moment) for moment in moments]

    assert_closing_stock(shop, folder)
    assert sum(run.tally.changes_applied > 0 for run in runs) > 3
    assert sum(run.tally.changes_applied for run in runs) == APPLIED[folder]
    assert sum(run.tally.changes_rejected for run in runs) == REJECTED[folder]
    assert shop.run().tally.items_scanned == 0


def test_scheduling_the_same_file_again_before_the_run_finds_only_duplicates(shop: Shop, stocked: Filled) -> None:
    stocked(shop, DAY)
    before = shop.items()

    report = schedule(shop, DAY)

    assert report == ScheduleReport(scheduled=0, duplicates=SCHEDULED[DAY], items=len(before))
    assert shop.items() == before


def test_a_deadline_so_short_that_a_segment_needs_many_calls_changes_nothing(shop: Shop, stocked: Filled) -> None:
    shop = shop.set_up_with(segments=2, page_size=5)
    stocked(shop, DAY)
    # A watch that goes on by being looked at is the same on every machine.
    looks = count()
    shop = replace(shop, services=replace(shop.services, monotonic=lambda: next(looks) / 100))

    run = shop.run(call_seconds=0.5)

    assert_closing_stock(shop, DAY)
    assert (run.tally.changes_applied, run.tally.changes_rejected, run.tally_is_exact) == (
        APPLIED[DAY],
        REJECTED[DAY],
        True,
    )
    assert run.tally.calls > 5 * run.segments
