"""What a preview of a file says is to the row what the job then does, and takes little memory at any size."""

import csv
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from benchmarks.instant_server import KEPT
from benchmarks.measuring import instant_place
from cli.engine import CHECKOUT
from cli.preview_screens import ITEM_COLUMNS
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.intake.text_rows import CHANGE_COLUMNS, ChangeRow
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey, StockItem, read_item
from inventory_updater.stock.numbers import plain
from inventory_updater.tables.records import Run
from tests.builders import change, item_attributes, moment, record_attributes
from tests.engines import Tables
from tests.shop import Shop, open_shop, put_items

CHANGES_AN_ITEM: Final = 5
OPENED: Final = moment("10:00")
"""Until then an earlier job has settled all; the file comes later, and much of it is about what was before."""
MOST_BYTES: Final = 200_000_000

Row = dict[str, object]


def earlier(number: int, chance: random.Random) -> list[Change]:
    """What is there before the file: settled, open until the file's job closes it, or waiting beside the file."""
    name = f"early-{number:06}"
    every = [
        change(f"{name}-a", "adjustment", chance.randint(-8, 20), "08:00"),
        change(f"{name}-b", "adjustment", chance.randint(-5, 5), "09:30"),
        change(f"{name}-c", "count", chance.randint(0, 60), "09:00"),
        change(f"{name}-p", "price", chance.randint(1, 40), "08:30"),
        change(f"{name}-w", "price", chance.randint(1, 9), "09:00", until="11:00"),
        change(f"{name}-v", "safety_stock", chance.randint(1, 9), "09:00", until="2099-01-01T00:00:00.000000Z"),
        change(f"{name}-q", "adjustment", -chance.randint(1, 9), "12:00"),
    ]
    return chance.sample(every, chance.randint(0, 3))


def sent(number: int, place: int, chance: random.Random) -> Change:
    """A row of the file for an item."""
    name, at = f"file-{number:06}-{place}", f"{chance.randint(7, 13):02}:{chance.randint(0, 59):02}"
    match chance.randint(0, 11):
        case 0 | 1 | 2 | 3:
            return change(
                name, "adjustment", chance.randint(-12, 12), at, not_after=chance.choice([None] * 5 + ["14:00"])
            )
        case 4:
            return change(name, "adjustment", -999, at)
        case 5 | 6:
            return change(name, "count", chance.randint(0, 60), at)
        case 7:
            return change(name, "count", chance.randint(0, 60), at, expected=chance.randint(0, 60))
        case 8:
            return change(name, "price", chance.randint(0, 40), at, expected=chance.choice([None, None, 2, 3]))
        case 9:
            return change(name, chance.choice(["reorder_point", "safety_stock"]), chance.randint(0, 9), at)
    until = chance.choice(["13:59:30", "2099-01-01T00:00:00.000000Z"])
    return change(name, chance.choice(["price", "reorder_point"]), chance.randint(1, 9), at, until=until)


def keys(count: int) -> Iterator[ItemKey]:
    return (ItemKey(f"item-{number:06}", "DC1") for number in range(count))


def fill(shop: Shop, items: int, file: Path) -> None:
    """Put the stock and what was before, let a job settle it, and write the file of what comes then."""
    chance = random.Random(13)
    put_items(
        shop.client,
        shop.tables.inventory,
        (item_attributes(chance.randint(0, 40), **key._asdict()) for key in keys(items)),
    )
    before = (
        record_attributes(key, each) for number, key in enumerate(keys(items)) for each in earlier(number, chance)
    )
    put_items(shop.client, shop.tables.changes, before)
    shop.run(as_of=OPENED)
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, CHANGE_COLUMNS)
        writer.writeheader()
        for number, key in enumerate(keys(items)):
            for place in range(CHANGES_AN_ITEM):
                content = asdict(sent(number, place, chance))
                writer.writerow(
                    {**key._asdict(), **{name: content[name] for name in content if content[name] is not None}}
                )


def preview(shop: Shop, file: Path, told: Path) -> int:
    """What `changes.py preview` says of the file, as CSV; the most memory that it has held, in bytes."""
    command = (shop.client.meta.endpoint_url, shop.tables.inventory, shop.tables.changes, str(file), "--csv")
    path = os.pathsep.join(str(CHECKOUT / folder) for folder in ("src", "scripts", "."))
    with told.open("w", encoding="utf-8") as output:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.one_preview", *command],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    return int(ended.stderr.split()[-1])


def schedule(shop: Shop, file: Path) -> int:
    services = shop.services
    return schedule_changes(
        *(services.dynamodb, services.inventory, services.changes),
        lambda: (row for row in read_change_file(file) if isinstance(row, ChangeRow)),
        services.now(),
        actor="ann",
        source=file.name,
        allow_old=True,
    ).added


def figures(shop: Shop, items: int) -> Iterator[tuple[ItemKey, StockItem]]:
    for batch in batched(keys(items), 100):
        for key, attributes in shop.services.inventory.read_many(batch).items():
            item = read_item(attributes)
            assert isinstance(item, StockItem)
            yield key, item


def done(shop: Shop, run: Run, before: dict[ItemKey, StockItem]) -> Iterator[Row]:
    """What a preview's rows would have to say of this job."""
    for key, after in figures(shop, len(before)):
        decided = [each for each in shop.services.changes.stored_of(key) if each.get("job_id") == run.job_id]
        row: Row = {**key._asdict()}
        for column in ITEM_COLUMNS[len(key) : -4]:
            name, _, when = column.rpartition("_")
            figure = getattr(before[key] if when == "before" else after, name)
            row[column] = "" if figure is None else plain(figure) if isinstance(figure, Decimal) else str(figure)
        row["settled"] = {f"{each['change_id']}: {each['status']}" for each in decided if each["status"] != "REJECTED"}
        rejected = [each for each in decided if each["status"] == "REJECTED"]
        row["rejected"] = {f"{each['change_id']}: {each['code']}, {each['message']}" for each in rejected}
        if decided:
            yield row


def rows_of(told: Path) -> Iterator[Row]:
    with told.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            assert (row.pop("code"), row.pop("message")) == ("", "")
            yield {**row, **{name: set(filter(None, row[name].split("; "))) for name in ("settled", "rejected")}}


def check_a_preview_to_the_row(shop: Shop, items: int, folder: Path) -> int:
    """Preview a file, schedule it, run the job, and compare; the most memory that the preview has held, in bytes."""
    file, told = folder / "changes.csv", folder / "told.csv"
    fill(shop, items, file)
    before = dict(figures(shop, items))

    most = preview(shop, file, told)

    assert dict(figures(shop, items)) == before
    assert schedule(shop, file) == items * CHANGES_AN_ITEM
    run = shop.run()
    foreseen = {row["sku"]: row for row in rows_of(told)}
    happened = {row["sku"]: row for row in done(shop, run, before)}
    wrong = {
        sku: (foreseen.get(sku), happened.get(sku))
        for sku in foreseen.keys() | happened.keys()
        if foreseen.get(sku) != happened.get(sku)
    }
    assert dict(list(wrong.items())[:5]) == {}
    assert len(happened) == items
    assert_of_every_sort(happened.values())
    return most


def assert_of_every_sort(rows: Iterable[Row]) -> None:
    """All that may become of a change has become of some."""
    outcomes = Counter(
        text.split(": ", 1)[1].split(",")[0]
        for row in rows
        for name in ("settled", "rejected")
        for text in row[name]  # type: ignore[attr-defined]  # a set
    )
    assert outcomes.keys() == {
        *("APPLIED", "OPEN", "SUPERSEDED", "INSUFFICIENT_STOCK", "EXPIRED", "MISSED", "STALE"),
    }


def test_what_a_preview_of_a_file_says_is_to_the_row_what_the_job_then_does(shop: Shop, tmp_path: Path) -> None:
    check_a_preview_to_the_row(shop, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_preview_of_a_hundred_thousand_changes_is_right_to_the_row_and_takes_less_than_200_mb(tmp_path: Path) -> None:
    with instant_place() as place:
        shop = open_shop(place.environment["AWS_ENDPOINT_URL"], Tables(*KEPT))
        most = check_a_preview_to_the_row(shop, 100_000 // CHANGES_AN_ITEM, tmp_path)

    assert most < MOST_BYTES
