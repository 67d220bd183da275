"""What a change takes week after week: the product's own functions, on tables that count as AWS does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from benchmarks.loads import FIRST_DAY, WEEKS, Load
from benchmarks.memory import WRITING
from benchmarks.shop import SETTINGS, Shop, Wanted
from inventory_updater.stock.times import read_time

JOBS_EVERY: Final = timedelta(minutes=5)
_SENT: Final = timedelta(hours=5)
"""At which hour of a day its changes are sent."""

_STOCK_TABLES: Final = (SETTINGS.inventory_table, SETTINGS.changes_table)


@dataclass(frozen=True, slots=True)
class Week:
    """What the changes of one week took; units for each change.

    Attributes:
        changes: how many there were.
        accepting: write units, to take them in.
        applying: write units, to settle them.
        reading: read units of the tables for both; what the index takes goes by jobs.
        records: write units of the jobs' own records.
        rejected: how many were.
    """

    changes: int
    accepting: float
    applying: float
    reading: float
    records: float
    rejected: int

    @property
    def write_units(self) -> float:
        return self.accepting + self.applying


@dataclass(frozen=True, slots=True)
class Steady:
    """A load, week by week, and how large its items and records are in the end, in bytes."""

    weeks: tuple[Week, ...]
    largest_item: int
    largest_record: int
    mean_record: float


def steady_state(load: Load, weeks: int = WEEKS, progress: Callable[[str], None] = lambda _said: None) -> Steady:
    """Trade for so many weeks: every morning the changes of the day are sent, every five minutes a job runs.

    A job that would find nothing is left out: what an idle one takes is told by itself.
    """
    shop = Shop(FIRST_DAY)
    shop.load(load.stock)
    measured = []
    for week in range(weeks):
        measured.append(_week(shop, load, week))
        progress(f"  {load.name}, week {week + 1} of {weeks}: {measured[-1].write_units:.2f} write units a change")
        shop.memory.expire(shop.now.timestamp())
    records = shop.memory.sizes(SETTINGS.changes_table)
    return Steady(
        tuple(measured),
        max(shop.memory.sizes(SETTINGS.inventory_table)),
        max(records),
        sum(records) / len(records),
    )


def _week(shop: Shop, load: Load, week: int) -> Week:
    accepted, applied = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    changes = rejected = 0
    for number in range(7 * week, 7 * week + 7):
        wanted = load.day(number)
        shop.now = FIRST_DAY + number * timedelta(days=1) + _SENT
        accepted += shop.spent_by(lambda wanted=wanted: shop.schedule(wanted)).units  # type: ignore[misc]
        before = shop.memory.spent()
        for moment in _jobs(wanted):
            shop.now = FIRST_DAY + moment * JOBS_EVERY
            rejected += shop.run_job().tally.changes_rejected
        applied += (shop.memory.spent() - before).units
        changes += len(wanted)
    return Week(
        changes,
        _units(accepted, *WRITING) / changes,
        _units(applied, *WRITING) / changes,
        sum(_units(spent, "read") for spent in (accepted, applied)) / changes,
        sum(applied[SETTINGS.jobs_table, kind] for kind in WRITING) / changes,
        rejected,
    )


def _jobs(wanted: list[Wanted]) -> list[int]:
    """The numbers of the five minutes after which a job finds something."""
    return sorted({-((FIRST_DAY - read_time(each.change.effective_at)) // JOBS_EVERY) for each in wanted})


def _units(spent: Counter[tuple[str, str]], *kinds: str) -> float:
    return sum(spent[table, kind] for table in _STOCK_TABLES for kind in kinds)
