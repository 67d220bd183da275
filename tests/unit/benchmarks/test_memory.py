"""The tables that count, held to the simulation of DynamoDB: the same requests, the same answers, the same units."""

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from benchmarks.loads import FIRST_DAY, SKEW, synthetic
from benchmarks.memory import Memory, Schema
from benchmarks.shop import SETTINGS, Shop, Wanted
from benchmarks.units import item_size
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.changes import Change
from inventory_updater.stock.times import format_time
from tests.engines import TABLES, table_definition
from tests.simulation import sizes
from tests.simulation.table import SimulatedDynamoDB

NAMES: Final = replace(
    SETTINGS,
    inventory_table="inventory-bench",
    changes_table="inventory-changes-bench",
    jobs_table="inventory-jobs-bench",
)
MIXED: Final[Mapping[str, object]] = {
    "naïve": "Tasse, grün",
    "price": Decimal("-12.50"),
    "large": Decimal("1E+20"),
    "none": None,
    "yes": True,
    "texts": {"a", "bc"},
    "numbers": {Decimal(1), Decimal("10.25")},
    "map": {"of": [Decimal(0), {"nothing": {}}]},
}


class Mirrored(Memory):
    """Tables that count, each request of which is asked of the simulation too; what differs is kept."""

    differences: list[str]
    requests: int

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        super().__init__(schemas)
        self.differences, self.requests = [], 0
        self._simulated = SimulatedDynamoDB(random.Random(1), clock=lambda: 0.0)
        for name in TABLES:
            self._simulated.create_table(**table_definition(name, "bench"))
        self._both = threading.RLock()
        for operation in (
            "get_item",
            "put_item",
            "update_item",
            "query",
            "batch_get_item",
            "batch_write_item",
            "batch_execute_statement",
        ):
            setattr(self, operation, self._asked_both(operation, getattr(self, operation)))

    def _asked_both(self, operation: str, counted: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def ask(**request: Any) -> dict[str, Any]:
            with self._both:
                before = self.spent()
                mine = counted(**request)
                units = sum((self.spent() - before).units.values())
                theirs = getattr(self._simulated, operation)(**{**request, "ReturnConsumedCapacity": "TOTAL"})
                self.requests += 1
                for what, one, other in (
                    ("answer", _plain(mine), _plain(theirs)),
                    ("units", float(units), _capacity(theirs)),
                ):
                    if one != other:
                        self.differences.append(f"{operation}, {what}: {one} and not {other} for {request}")
                return mine

        return ask


def _capacity(answer: Mapping[str, Any]) -> float:
    consumed = answer["ConsumedCapacity"]
    return float(sum(each["CapacityUnits"] for each in ([consumed] if isinstance(consumed, dict) else consumed)))


def _plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what is counted by itself, without words and without an order where there is none."""
    plain: dict[str, Any] = json.loads(json.dumps(answer), object_hook=_with_plain_number)
    for name in (
        "ConsumedCapacity",
        "ScannedCount",
        "Count",
        "UnprocessedKeys",
        "UnprocessedItems",
        "ResponseMetadata",
    ):
        plain.pop(name, None)
    responses = plain.get("Responses")
    if isinstance(responses, dict):
        plain["Responses"] = {table: sorted(items, key=json.dumps) for table, items in responses.items()}
    elif responses is not None:
        plain["Responses"] = [each.get("Error", {}).get("Code") for each in responses]
    return plain


def _with_plain_number(attribute: dict[str, Any]) -> dict[str, Any]:
    """DynamoDB says a number without the zeros at its end; the names of a map in order."""
    in_order = dict(sorted(attribute.items()))
    return {"N": str(Decimal(in_order["N"]).normalize())} if in_order.keys() == {"N"} else in_order


def test_a_trade_gets_the_same_answers_for_the_same_units_as_from_the_simulation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.shop.Memory", Mirrored)
    shop = Shop(FIRST_DAY, replace(NAMES, page_size=3))
    assert isinstance(shop.memory, Mirrored)
    load = synthetic("a small trade", items=5, changes_a_day=40, skew=SKEW, rejected=0.1)
    shop.load(load.stock)

    for day in range(2):
        wanted = load.day(day)
        key, now = wanted[0].key, shop.now + timedelta(hours=9)
        window = Change("sale", "price", Decimal(9), format_time(now), format_time(now + timedelta(hours=2)))
        late = Change(f"late-{day}", "count", Decimal(50), format_time(now))
        shop.schedule([*wanted, *([Wanted(key, window)] if not day else []), Wanted(key, late)])
        for _ in range(5):
            shop.now += timedelta(hours=5) - timedelta(minutes=12 * day)
            shop.run_job()
    # Sent again: everything is known already.
    shop.schedule(load.day(1))

    assert shop.memory.differences == []
    assert shop.memory.requests > 500


def test_an_item_is_as_large_as_the_simulation_says() -> None:
    item = to_attribute_values(MIXED)

    assert item_size(item) == sizes.item_size(item)


def test_what_has_expired_is_gone_and_costs_nothing() -> None:
    shop = Shop(FIRST_DAY)
    load = synthetic("one day", items=2, changes_a_day=4)
    shop.load(load.stock)
    shop.schedule(load.day(0))
    shop.now += timedelta(days=1)
    shop.run_job()
    before = shop.memory.spent()

    shop.memory.expire((shop.now + timedelta(days=29)).timestamp())
    kept = len(shop.memory.sizes(SETTINGS.changes_table))
    shop.memory.expire((shop.now + timedelta(days=31)).timestamp())

    assert (kept, shop.memory.sizes(SETTINGS.changes_table)) == (4, [])
    assert shop.memory.spent() == before
