"""One builder for changes and one for stock items, so that a test names only what it is about.

Times stand on one trading day, 2 March 2026: ``moment("09:30")`` is half past nine of it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, Final, NamedTuple

from inventory_updater.intake.rows import Row
from inventory_updater.stock.changes import Change
from inventory_updater.stock.guards import Guards
from inventory_updater.stock.items import ItemKey, StockItem, item_id, read_item, read_key
from inventory_updater.tables.change_table import shard_of
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.records import Run, Tally
from tests.faults.model import DERIVED, derived_of

Number = Decimal | int | str | None

RIGHT: Final = "right"
"""For a derived figure of ``item``: work it out, as a finished job would have left it."""


def moment(time: str, *, day: int = 2) -> str:
    """The stored time of ``HH:MM`` or ``HH:MM:SS.ffffff`` on that day of March 2026; a stored time is left as it is."""
    if time.endswith("Z"):
        return time
    return f"2026-03-{day:02}T{time}{'HH:MM:00.000000'[len(time) :]}Z"


NOW: Final = moment("18:00")
"""The clock of a test, unless it says otherwise: after every change of the day that has no later time."""


NEXT_YEAR: Final = f"{datetime.now(UTC).year + 1}-06-01T12:00:00Z"
"""Later than any job of a test, and not so far ahead that a file is held."""

ENVIRONMENT: Final = {
    "ENVIRONMENT": "staging",
    "INVENTORY_TABLE": "inventory-staging",
    "CHANGES_TABLE": "inventory-changes-staging",
    "JOBS_TABLE": "inventory-jobs-staging",
    "SEGMENTS": "8",
    "PAGE_SIZE": "100",
    "BATCH_SIZE": "20",
    "WRITE_CONCURRENCY": "2",
    "MAX_WRITE_RATE": "400",
    "ALLOW_NEGATIVE_STOCK": "true",
    "CHANGE_RETENTION_DAYS": "14",
    "JOB_RETENTION_DAYS": "90",
    "ALL_WAIT_MINUTES": "30",
    "FUNCTION_TIMEOUT_SECONDS": "120",
    "ALERT_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
    "ALERT_REPEAT_HOURS": "12",
    "RESULTS_ARN": "arn:aws:sns:eu-central-1:123456789012:results",
    "ALARM_FAILED_ITEMS": "20",
    "STACK_NAME": "inventory-updater-staging",
    "GUARDS": json.dumps(
        {
            "MaxPriceChangePercent": "40",
            "MaxCountDifferencePercent": "80",
            "MaxItemsOutOfStock": "30",
            "MaxItemsOfOnePrice": "100",
            "MaxDaysAhead": "365",
            "WholeUnits": "true",
        }
    ),
}
"""The variables of the function, each with another value than the default of its setting."""


USUAL_GUARDS: Final = Guards.read(
    {
        "MaxPriceChangePercent": "50",
        "MaxCountDifferencePercent": "90",
        "MaxItemsOutOfStock": "50",
        "MaxItemsOfOnePrice": "500",
        "MaxDaysAhead": "730",
        "WholeUnits": "false",
    }
)
"""The template's defaults."""


def change(
    change_id: str,
    kind: str = "adjustment",
    value: Number = 1,
    at: str = "09:00",
    *,
    until: str | None = None,
    expected: Number = None,
    not_after: str | None = None,
    reason: str | None = None,
    reference: str | None = None,
) -> Change:
    """A change of the trading day."""
    return Change(
        change_id,
        kind,
        Decimal(value or 0),
        moment(at),
        until=until and moment(until),
        expected=_number(expected),
        not_after=not_after and moment(not_after),
        reason=reason,
        reference=reference,
    )


def with_every_figure(run: Run) -> Run:
    """The run with a tally of which no count is zero."""
    counts: dict[str, Any] = {each.name: 1 for each in fields(Tally) if isinstance(each.default, int | float)}
    return replace(run, tally=Tally(**counts, lateness=Lateness.of([1.0])))


def record_attributes(key: ItemKey, each: Change, **more: object) -> dict[str, object]:
    """The record of a change that waits, as DynamoDB holds it; ``more`` is what else another writer may have put."""
    item_name = item_id(key)
    waits = {"due_shard": shard_of(item_name), "due_at": each.effective_at, "status": "PENDING", "attempt": Decimal(1)}
    content = {name: value for name, value in asdict(each).items() if value is not None}
    return {"item": item_name, **key._asdict(), **content, **waits, **more}


class Stocked(NamedTuple):
    """A stock item, and the changes that wait for it."""

    attributes: Mapping[str, object]
    changes: tuple[Change, ...] = ()

    @property
    def key(self) -> ItemKey:
        return read_key(self.attributes)

    @property
    def records(self) -> list[dict[str, object]]:
        return [record_attributes(self.key, each) for each in self.changes]


def item_attributes(
    on_hand: Number = 10,
    *,
    sku: str = "mug",
    location_id: str = "DC1",
    reserved: Number = 0,
    safety_stock: Number = 0,
    reorder_point: Number = 0,
    unit_price: Number = "2.50",
    available: Number = RIGHT,
    stock_status: str | None = RIGHT,
    stock_value: Number = RIGHT,
    last_set: Mapping[str, tuple[str, str]] | None = None,
    version: Number = 7,
) -> dict[str, object]:
    """The attributes of a stock item as DynamoDB holds them; ``None`` leaves an attribute out.

    Args:
        last_set: kind -> (effective at, change id).
    """
    given = {"on_hand": on_hand, "reserved": reserved, "safety_stock": safety_stock, "reorder_point": reorder_point}
    figures: dict[str, object] = {
        name: _number(figure) for name, figure in (given | {"unit_price": unit_price}).items()
    }
    derived = _derived(figures)
    figures |= {
        "available": derived["available"] if available == RIGHT else _number(available),
        "stock_status": derived["stock_status"] if stock_status == RIGHT else stock_status,
        "stock_value": derived["stock_value"] if stock_value == RIGHT else _number(stock_value),
        "version": _number(version),
        "last_set": {
            kind: {"effective_at": moment(effective_at), "change_id": change_id}
            for kind, (effective_at, change_id) in (last_set or {}).items()
        }
        or None,
    }
    return {"sku": sku, "location_id": location_id} | {
        name: value for name, value in figures.items() if value is not None
    }


def stocked(*changes: Change, on_hand: Number = 10, **rest: Any) -> Stocked:
    """An item of ``item_attributes``, and the changes that wait for it."""
    return Stocked(item_attributes(on_hand, **rest), changes)


def with_a_sale(sku: str = "mug", **attributes: Any) -> Stocked:
    """An item with 10 on hand and a sale of 3 that is due."""
    return stocked(change("sale", "adjustment", -3), sku=sku, **attributes)


def mugs(count: int, **attributes: Any) -> list[Stocked]:
    """Items ``mug-000`` and following, each with a sale of 3 that is due."""
    return [with_a_sale(f"mug-{number:03}", **attributes) for number in range(count)]


def unreadable(sku: str = "cup", *changes: Change) -> Stocked:
    """An item that fails in every job until somebody mends it."""
    return Stocked(item_attributes(sku=sku) | {"on_hand": "many"}, changes)


def item(on_hand: Number = 10, **rest: object) -> StockItem:
    """The stock item with the attributes of ``item_attributes``."""
    read = read_item(item_attributes(on_hand, **rest))  # type: ignore[arg-type]  # one list of parameters, not two
    assert isinstance(read, StockItem), read
    return read


def _number(value: Number) -> Decimal | None:
    return None if value is None else Decimal(value)


def _derived(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    if figures["on_hand"] is None:
        return dict.fromkeys(DERIVED)
    with localcontext(prec=200):
        return derived_of(figures)


def change_file(rows: Sequence[Row]) -> str:
    """A file of changes, as CSV."""
    columns = ("change_id", "kind", "value", "effective_at", "until", "expected", "not_after")
    lines: list[tuple[str, ...]] = [("sku", "location_id", *columns)]
    for row in rows:
        cells = (getattr(row.change, column) for column in columns)
        lines.append((*row.key, *("" if cell is None else str(cell) for cell in cells)))
    return "".join(",".join(line) + "\n" for line in lines)
