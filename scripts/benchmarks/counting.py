"""What is counted, not timed: units and requests of the product's own functions on tables in memory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from benchmarks.comparisons import Effort
from benchmarks.figures import Entry
from benchmarks.loads import FIRST_DAY, SKEW, Load, real, synthetic
from benchmarks.memory import READING, WRITING, Spent
from benchmarks.shop import SETTINGS, Shop, Wanted
from benchmarks.steady_state import steady_state
from cli.engine import CHECKOUT
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.changes import Change, ChangeKind
from inventory_updater.stock.items import ItemKey, item_id
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import shard_of

MEMORY: Final = "memory"
"""The engine of what is counted."""

TRADE: Final = CHECKOUT.parent / "shared" / "data" / "online-retail" / "week-2011-09-19"

_DUE: Final = 1_000
_OF_A_SMALL_JOB: Final = 200
_LATER: Final = "2027-01-01T00:00:00.000000Z"

Progress = Callable[[str], None]


def loads(effort: Effort) -> list[Load]:
    """The loads of ``steady_state``; real trade only where its files are."""
    found = [
        synthetic("1 change an item and day, even", items=300, changes_a_day=300),
        synthetic("10 changes an item and day, even", items=60, changes_a_day=600),
        synthetic("real skew", items=300, changes_a_day=600, skew=SKEW, hours=12),
        synthetic("2 percent rejected", items=300, changes_a_day=300, rejected=0.02),
        synthetic(f"a hot item of {effort.hot_a_day:,} a day", items=1, changes_a_day=effort.hot_a_day),
    ]
    return [*found, real(TRADE)] if TRADE.exists() else found


def _steady_state(effort: Effort, progress: Progress) -> list[Entry]:
    """Write and read units of a change, week by week."""
    return [entry for load in loads(effort) for entry in steady_entries(load, progress)]


def steady_entries(load: Load, progress: Progress) -> list[Entry]:
    """The figures of one load."""
    steady = steady_state(load, progress=progress)
    first, last = steady.weeks[0], steady.weeks[-1]
    figures = {
        "changes_a_week": last.changes,
        "rejected_percent": 100 * last.rejected / last.changes,
        "write_units_first_week": first.write_units,
        "write_units_last_week": last.write_units,
        "write_units_accepting": last.accepting,
        "write_units_applying": last.applying,
        "read_units_first_week": first.reading,
        "read_units_last_week": last.reading,
        "largest_item_bytes": steady.largest_item,
        "mean_record_bytes": steady.mean_record,
        "largest_record_bytes": steady.largest_record,
    }
    return [_entry("steady_state", load.name, unit, value) for unit, value in figures.items()]


def _due_reads(effort: Effort, progress: Progress) -> list[Entry]:
    """What a job reads that finds 1,000 due, whatever is pending for later."""
    entries = []
    for pending in (0, effort.pending):
        shop = _shop(_DUE)
        for number in range(pending):
            shop.memory.put_item(TableName=SETTINGS.changes_table, Item=_pending(number))
        spent = _spent_by_job(shop)
        case = f"{pending:,} pending for later"
        progress(f"  {case}: {_units(spent, *READING):,.1f} read units")
        entries += [_entry("due_reads", "", unit, value, case) for unit, value in _figures(spent).items()]
    return entries


def _idle_job(_effort: Effort, progress: Progress) -> list[Entry]:
    """What a job asks for that finds nothing due, and one whose work fits into a page."""
    entries = []
    for due in (0, _OF_A_SMALL_JOB):
        spent = _spent_by_job(_shop(due))
        name = f"{due} due" if due else "nothing due"
        progress(f"  {name}: {dict(spent.requests)}")
        entries += [_entry("idle_job", name, unit, value) for unit, value in _figures(spent).items()]
    return entries


def _shop(due: int) -> Shop:
    """A shop with so many items, each with a change that is due at last; a job has run before."""
    shop = Shop(FIRST_DAY)
    load = synthetic("", items=max(due, 1), changes_a_day=max(due, 1))
    shop.load(load.stock)
    moment = format_time(FIRST_DAY + timedelta(minutes=1))
    change = Change("", ChangeKind.ADJUSTMENT, Decimal(-1), moment)
    shop.run_job()
    shop.schedule([Wanted(row.key, replace(change, change_id=f"SO-{n:06}")) for n, row in enumerate(load.stock[:due])])
    shop.now = FIRST_DAY + timedelta(minutes=5)
    return shop


def _spent_by_job(shop: Shop) -> Spent:
    return shop.spent_by(shop.run_job)


def _pending(number: int) -> dict[str, Any]:
    """A record that waits for next year, one of a thousand of its item."""
    item = item_id(ItemKey(f"KIT-{number // 1000:06}", "LEEDS-DC"))
    return {
        **to_attribute_values({"item": item, "change_id": f"PL-{number:07}", "kind": "price", "value": Decimal(9)}),
        **to_attribute_values({"status": "PENDING", "attempt": Decimal(1), "effective_at": _LATER}),
        **to_attribute_values({"due_shard": shard_of(item), "due_at": _LATER}),
    }


def _figures(spent: Spent) -> dict[str, float]:
    requests = sum(spent.requests.values())
    return {
        "queries_of_shards": spent.requests["Query index"],
        "other_requests": requests - spent.requests["Query index"],
        "read_units": _units(spent, *READING),
        "write_units": _units(spent, *WRITING),
        "write_units_of_records": sum(spent.units[SETTINGS.jobs_table, kind] for kind in WRITING),
    }


def _units(spent: Spent, *kinds: str) -> float:
    return sum(units for (_, kind), units in spent.units.items() if kind in kinds)


def _entry(comparison: str, name: str, unit: str, value: float, case: str = "") -> Entry:
    return Entry(comparison, MEMORY, name, unit, value, None, case)


COUNTED: Final[Mapping[str, Callable[[Effort, Progress], list[Entry]]]] = {
    "steady_state": _steady_state,
    "due_reads": _due_reads,
    "idle_job": _idle_job,
}
