"""docs/contract.md for who writes the tables beside the job: its code, in each language, and its expressions."""

import itertools
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from cli.engine import CHECKOUT
from examples.python import stock
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.intake.calls import Desk
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, item_id
from inventory_updater.stock.times import read_time
from inventory_updater.tables.change_table import shard_of
from tests.builders import change, item_attributes, moment, stocked
from tests.faults.model import DERIVED, FIGURES, derived_of
from tests.shop import Shop
from tests.writers.languages import Java, JavaScript, Language, Place, Python, java_folder, node_project

PAGE: Final = (CHECKOUT / "docs" / "contract.md").read_text(encoding="utf-8")

STARTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "usual": {"on_hand": 10, "reserved": 2, "safety_stock": 1, "reorder_point": 5},
    "low": {"on_hand": 5, "reserved": 2, "reorder_point": 3},
    "sold out": {"on_hand": 3, "reserved": 3, "reorder_point": 2},
    "oversold": {"on_hand": 3, "reserved": 5},
    "bare": {"on_hand": 3, "reserved": None, "safety_stock": None, "reorder_point": None, "unit_price": None},
    "left wrong": {"on_hand": 7, "available": 99, "stock_status": "OUT_OF_STOCK", "stock_value": None},
    "without a price": {"on_hand": 7, "unit_price": None, "stock_value": 3},
    "underived": {"on_hand": 7, "available": None, "stock_status": None, "stock_value": None},
    "long": {"on_hand": "1234567890123456789012.5", "reserved": "0.5", "unit_price": "0.01"},
}
"""Items as another writer may meet them."""

MOVES: Final = (
    *(("add", on_hand, "0") for on_hand in ("-2", "-7", "0.5")),
    *(("add", "0", reserved) for reserved in ("2", "7", "-1", "-7")),
    *(("add", "-2", "-2"), ("set", "0"), ("set", "40")),
)

ADDED: Final = {
    "sale": ("-2", "0"),
    "reservation": ("0", "2"),
    "release": ("0", "-2"),
    "goods received": ("2", "0"),
    "what was reserved leaves": ("-2", "-2"),
}
"""What the expressions of the page add to on_hand and reserved, where n is 2."""

NASTY: Final = ("mug", "50%", "a#b", "#ü é", "日本", "%23~.-_!'()*")
"""SKUs of which some are escaped in the name of an item."""


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node_project(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return java_folder(tmp_path_factory.mktemp("java"))


@pytest.fixture(
    params=["Python", pytest.param("JavaScript", marks=pytest.mark.slow), pytest.param("Java", marks=pytest.mark.slow)]
)
def language(request: pytest.FixtureRequest, shop: Shop) -> Language:
    """The examples in each language in turn, on the tables of the shop."""
    place = Place(shop.client.meta.endpoint_url, shop.tables)
    if request.param == "JavaScript":
        return JavaScript(place, request.getfixturevalue("node_folder"))
    return Java(place, request.getfixturevalue("class_folder")) if request.param == "Java" else Python(place)


on_one_engine = pytest.mark.parametrize("dynamodb_client", ["ministack"], indirect=True, scope="session")


def figures_of(item: Attributes) -> dict[str, Any]:
    return {name: item.get(name) for name in FIGURES}


def wrongly_derived(items: Mapping[Any, Attributes]) -> dict[Any, object]:
    """What is stored of the derived figures of items, where it is not what follows."""
    stored = {key: {name: item.get(name) for name in DERIVED} for key, item in items.items()}
    return {key: found for key, found in stored.items() if found != derived_of(figures_of(items[key]))}


def expected(item: Attributes, verb: str, *words: str) -> dict[str, Any] | None:
    """The figures of an item after a move; None where there is not enough for it."""
    figures = figures_of(item)
    available = derived_of(figures)["available"]
    if verb == "set":
        return {**figures, "on_hand": Decimal(words[0]), "reserved": figures["reserved"] or Decimal(0)}
    on_hand, reserved = map(Decimal, words)
    after = figures | {"on_hand": figures["on_hand"] + on_hand, "reserved": (figures["reserved"] or 0) + reserved}
    is_taken = on_hand < reserved and available + on_hand - reserved < 0
    return None if after["on_hand"] < 0 or after["reserved"] < 0 or is_taken else after


@on_one_engine
def test_every_move_of_every_item_leaves_right_what_follows_in_each_language(language: Language, shop: Shop) -> None:
    items = {
        f"{name}-{number}": item_attributes(**start, sku=f"{name}-{number}")
        for name, start in STARTS.items()
        for number in range(len(MOVES))
    }
    moves = dict(zip(items, itertools.cycle(MOVES)))
    shop.put(*items.values())
    wanted = {sku: expected(items[sku], *move) for sku, move in moves.items()}

    answers = language.drive([(move[0], sku, "DC1", *move[1:]) for sku, move in moves.items()])

    said = dict(zip(items, answers, strict=True))
    stored = {sku: item for (sku, _), item in shop.items().items()}
    assert said == {sku: "not enough" if after is None else "done" for sku, after in wanted.items()}
    assert {sku: item for sku, item in stored.items() if said[sku] == "not enough" and item != items[sku]} == {}
    done = {sku: item for sku, item in stored.items() if said[sku] == "done"}
    assert {sku: figures_of(item) for sku, item in done.items()} == {sku: wanted[sku] for sku in done}
    assert wrongly_derived(done) == {}
    assert {item["stock_status"] for item in done.values()} == {"OUT_OF_STOCK", "LOW_STOCK", "IN_STOCK"}
    # What was refused is as it was left before: only there a job finds something to repair.
    assert shop.run(scope="all").tally.items_repaired == len(wrongly_derived(stored)) > 0


def content_of(sku: str, location_id: str, now: str) -> Iterator[dict[str, str]]:
    """A change of each kind, with everything that a change may say; a few that are rejected."""
    for change_id, kind, value, more in (
        ("sale", "adjustment", "-3", {"reason": "sold", "reference": "order-4711"}),
        ("oversale", "adjustment", "-500", {}),
        ("count", "count", "12", {"expected": "10"}),
        ("price", "price", "3.50", {"until": "2026-03-09T08:00:00Z", "not_after": "2026-03-09T07:00:00Z"}),
        ("late", "price", "4", {"not_after": "2026-03-02T17:00:00Z"}),
        ("point", "reorder_point", "4", {}),
        ("safety", "safety_stock", "2", {"expected": "1"}),
        ("later", "adjustment", "5", {"effective_at": "2026-03-03T08:00:00.123Z"}),
    ):
        named = {"change_id": change_id, "sku": sku, "location_id": location_id, "kind": kind, "value": value}
        yield {**named, "effective_at": now, **more}


def without_its_place(record: Attributes) -> dict[str, object]:
    of_the_place = ("item", "location_id", "due_shard", "scheduled_at", "settled_at", "expires_at")
    return {name: value for name, value in record.items() if name not in of_the_place}


@on_one_engine
def test_an_item_that_is_not_there_is_named_by_who_writes_it(shop: Shop) -> None:
    table = Place(shop.client.meta.endpoint_url, shop.tables).table(shop.tables.inventory)
    with pytest.raises(LookupError, match="there is no item gone at DC1"):
        stock.add(table, {"sku": "gone", "location_id": "DC1"}, on_hand=-1)


@on_one_engine
def test_a_record_that_is_put_is_that_of_a_change_that_is_scheduled_and_becomes_the_same(
    language: Language, shop: Shop
) -> None:
    shop.clock.starts = lambda: read_time(moment("18:00"))
    shop.put(*(item_attributes(sku=sku, location_id=place) for sku in NASTY for place in ("put", "scheduled")))
    services = shop.services
    desk = Desk(shop.client, services.inventory, services.changes, None, services.now, "a", "s")

    put = [each for sku in NASTY for each in content_of(sku, "put", moment("08:00"))]
    lines = [("put", *(f"{name}={value}" for name, value in each.items())) for each in put]
    assert language.drive(lines) == ["done"] * len(lines)
    receipt = desk.answer({"action": "schedule", "changes": put})
    assert (receipt["status"], receipt["known"]) == ("ACCEPTED", len(put))
    assert language.drive(lines[:2]) == ["known"] * 2
    scheduled = [{**each, "location_id": "scheduled"} for each in put]
    assert desk.answer({"action": "schedule", "changes": scheduled})["added"] == len(put)

    def differing() -> dict[object, object]:
        by_place = [
            {
                (sku, name): without_its_place(record)
                for sku in NASTY
                for name, record in shop.records(sku, place).items()
            }
            for place in ("put", "scheduled")
        ]
        return {name: by_place for name in by_place[1] if by_place[0].get(name) != by_place[1][name]}

    for sku, place in itertools.product(NASTY, ("put", "scheduled")):
        item = item_id(ItemKey(sku, place))
        assert {(each["item"], each["due_shard"]) for each in shop.records(sku, place).values()} == {
            (item, shard_of(item))
        }
    assert differing() == {}
    shop.run()
    assert differing() == {}
    assert shop.statuses("a#b", "put") == {
        "sale": "APPLIED",
        "oversale": "REJECTED",
        "count": "APPLIED",
        "price": "OPEN",
        "late": "REJECTED",
        "point": "APPLIED",
        "safety": "REJECTED",
        "later": "PENDING",
    }


@on_one_engine
def test_the_code_on_the_page_does_what_is_said_beside_it(language: Language, shop: Shop) -> None:
    shop.put(item_attributes(sku="mug", on_hand=10, reserved=0, unit_price="2.50"))
    name = type(language).__name__.lower()

    blocks = re.findall(rf"^```{name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    language.run("\n".join(blocks))

    assert len(blocks) == 2
    assert (shop.item()["on_hand"], shop.item()["reserved"]) == (40, 0)
    assert shop.run(scope="all").tally.items_repaired == 0
    assert shop.statuses() == {"order-4711-1": "APPLIED"}
    assert (shop.item()["on_hand"], shop.records()["order-4711-1"]["actor"]) == (37, "till-7")


def rows_of(heading: str, columns: int) -> list[list[str]]:
    """The rows of the tables with so many columns under a heading, with the code of a cell for the cell."""
    section = re.split(r"(?m)^##", PAGE.partition(f"{heading}\n")[2])[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip().strip("`") for cell in row] for row in rows if len(row) == columns]
    return [row for row in cells if row[0] not in (":status", "---", "case")]


@pytest.mark.slow_on("dynamodb_local")
def test_the_expressions_that_add_leave_right_what_was_right_whatever_the_status_becomes(shop: Shop) -> None:
    cases = rows_of("### Add, where many write one item", 4)
    statuses = rows_of("### Add, where many write one item", 2)
    assert (len(cases), len(statuses)) == (5, 3)
    starts = itertools.product(cases, (0, 3, 9), (0, 2), (0, 1), (0, 3))
    tries = {
        str(number): (
            case,
            item_attributes(
                on_hand, sku=str(number), reserved=reserved, safety_stock=safety_stock, reorder_point=reorder_point
            ),
        )
        for number, (case, on_hand, reserved, safety_stock, reorder_point) in enumerate(starts)
    }
    shop.put(*(item for _case, item in tries.values()))

    said = {}
    for sku, (case, item) in tries.items():
        # Whichever is tried first: only one of them may hold.
        first = int(sku) % len(statuses)
        in_turn = [*statuses[first:], *statuses[:first]]
        said[sku] = any(is_added(shop, item, case, status) for status in in_turn)

    after = {sku: item for (sku, _), item in shop.items().items()}
    wanted = {sku: expected(item, "add", *ADDED[case[0]]) for sku, (case, item) in tries.items()}
    assert said == {sku: figures is not None for sku, figures in wanted.items()}
    assert {sku: figures_of(item) for sku, item in after.items()} == {
        sku: figures or figures_of(tries[sku][1]) for sku, figures in wanted.items()
    }
    assert wrongly_derived(after) == {}
    assert shop.run(scope="all").tally.items_repaired == 0


def is_added(shop: Shop, item: Attributes, case: list[str], status: list[str]) -> bool:
    """Whether an expression of the page is carried out under the condition that the page puts together for a status."""
    _name, update, condition, out = case
    level = {"n": Decimal(2), "-n": Decimal(-2), "": Decimal(0)}[out]
    values = {
        ":n": Decimal(2),
        ":worth": Decimal("5.00"),
        ":price": Decimal("2.50"),
        ":status": status[0],
        ":out": level,
        ":low": level + Decimal(str(item["reorder_point"])),
        ":reorder_point": item["reorder_point"],
    }
    conditions = [condition] if condition else []
    conditions += ["unit_price = :price"] if ":worth" in update else []
    conditions += ["reorder_point = :reorder_point", status[1]] if ":status" in update else []
    whole = " AND ".join(conditions)
    used = {name: value for name, value in values.items() if re.search(rf"{name}\b", f"{update} {whole}")}
    try:
        shop.client.update_item(
            TableName=shop.tables.inventory,
            Key=to_attribute_values({"sku": item["sku"], "location_id": item["location_id"]}),
            UpdateExpression=update,
            ConditionExpression=whole,
            ExpressionAttributeValues=to_attribute_values(used),
        )
    except shop.client.exceptions.ConditionalCheckFailedException:
        return False
    return True


@on_one_engine
def test_many_writers_beside_a_job_lose_nothing_and_leave_nothing_to_repair(shop: Shop) -> None:
    shop.clock.starts = lambda: read_time(moment("18:00"))
    skus = [f"mug-{number}" for number in range(2)]
    sold = [change(f"c{number}", "adjustment", -1, f"09:{number:02}") for number in range(10)]
    shop.put(*(stocked(*sold, sku=sku, on_hand=100, reorder_point=50) for sku in skus))
    place = Place(shop.client.meta.endpoint_url, shop.tables)
    moves = ({"on_hand": -2}, {"reserved": 2}, {"on_hand": -1, "reserved": -1}, {"reserved": -1}, {"on_hand": 5})

    def write(_writer: int) -> None:
        table = place.table(shop.tables.inventory)
        for sku, move in itertools.product(skus, moves):
            stock.add(table, {"sku": sku, "location_id": "DC1"}, **move)

    with ThreadPoolExecutor(2) as writers:
        writing = [writers.submit(write, number) for number in range(4)]
        jobs = [shop.run()]
        while not all(each.done() for each in writing):
            jobs.append(shop.run(scope="all"))
    assert [each.result() for each in writing] == [None] * 4

    items = {sku: item for (sku, _), item in shop.items().items()}
    last = shop.run(scope="all").tally
    assert {(item["on_hand"], item["reserved"]) for item in items.values()} == {(100 - 10 + 4 * 2, 0)}
    assert sum(each.tally.changes_applied for each in jobs) == len(skus) * len(sold)
    assert wrongly_derived(items) == {}
    assert sum(each.tally.items_repaired for each in jobs) + last.items_repaired == 0
