"""docs/cost.md: its figures follow from its prices, its assumptions, the sizes of items and the template."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from inventory_updater.reports.metrics import SILENCE_METRICS, metric_data, silence_data
from inventory_updater.stock.scheduling import size_in_bytes
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import NOW, change, item_attributes
from tests.cloudformation import TEMPLATE, is_true, parameter_values, resources_of_type

PAGE: Final = (TEMPLATE.parent / "docs" / "cost.md").read_text(encoding="utf-8")
DAYS: Final = 30
JOBS_A_DAY: Final = 24 * 60 // 5 + 1
WATCHES: Final = 24 * 60 // 5 * DAYS
SEGMENTS: Final = 4
METRICS: Final = 18
"""What a job publishes; the watch publishes two more."""
KIBIBYTE: Final = 1024
GIGABYTE: Final = 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """A size of trade: items in stock, changes a day, and settled changes that an item remembers."""

    items: int
    changes_a_day: int
    settled: int


CASES: Final = (Case(1_000, 1_000, 7), Case(100_000, 100_000, 7), Case(1_000_000, 10_000_000, 70))


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading: the first cell and the others."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in found[2:]}


PRICES: Final = {name: float(re.sub(r"[$,]", "", price)) for name, [price, *_] in rows("Prices").items()}


def item_size(settled: int, pending: int) -> int:
    """The size of the item of docs/cost.md, in bytes."""
    item: dict[str, object] = item_attributes(
        180,
        sku="KIT-000123",
        location_id="LEEDS-DC",
        reserved=4,
        safety_stock=10,
        reorder_point=40,
        pending=[
            change(f"PO-2026-03-02-{number:06}", value=-3, reason="sale", reference=f"order 2026-{number:06}")
            for number in range(pending)
        ],
        settled={f"PO-2026-03-02-{number:06}": ("18:00", "09:00") for number in range(settled)},
        last_set={"price": ("09:00", "PO-2026-03-02-000001"), "count": ("09:00", "PO-2026-03-02-000002")},
    )
    written = {"updated_at": NOW, "last_write_id": f"{'0' * 8}-0000-0000-0000-{'0' * 12}_{'0' * 8}-0000/0/1"}
    return size_in_bytes(item | written | {"currency": "GBP", "description": "Stoneware Mug, Ash Grey"})


def write_units(size: int) -> int:
    return math.ceil(size / KIBIBYTE)


def read_units(size: float) -> float:
    """Read units of a scan or of a consistent read of so many bytes."""
    return math.ceil(size / (4 * KIBIBYTE))


def cost(case: Case) -> Mapping[str, float]:
    """Dollars of a month, by the rows of docs/cost.md."""
    changes = case.changes_a_day * DAYS
    jobs = JOBS_A_DAY * DAYS
    waiting, at_rest = item_size(case.settled, 1), item_size(case.settled, 0)
    units = write_units(waiting)
    pages = case.changes_a_day / 250 * DAYS
    per_write, per_read = PRICES["write unit, a million"] / 1e6, PRICES["read unit, a million"] / 1e6
    # Each change is sent an hour ahead: so many items have one pending at a time.
    due_scan = max(0.5 * SEGMENTS, 0.5 * read_units(case.changes_a_day / 24 * waiting))
    calls = jobs * (SEGMENTS + 2) + WATCHES
    seconds = calls * 0.25 + changes / 400 + case.items / 2000 * DAYS
    stored = case.items * (at_rest + 100) / GIGABYTE
    return {
        "job: applying, write units": changes * 2 * units * per_write,
        "job: scope `due`, read units": due_scan * (jobs - DAYS) * per_read,
        "job: scope `all`, read units": read_units(case.items * at_rest) * DAYS * per_read,
        "scheduling the changes": changes * (2 * units * per_write + 2 * read_units(at_rest) * per_read),
        "records of the jobs": (jobs * 21 + pages * 2 + WATCHES * 2) * per_write + jobs * 14 * per_read,
        "storage and recovery": stored * (PRICES["table storage, GB"] + PRICES["point-in-time recovery, GB"]),
        "Lambda": calls * PRICES["Lambda request, a million"] / 1e6 + seconds * PRICES["Lambda GB-second"],
        "Step Functions": jobs * (8 + 3 * SEGMENTS) * PRICES["state transition, 1,000"] / 1000,
        # Charged by the hour in which they are sent: those of the nightly job for one hour a day.
        "metrics": (METRICS * (1 + 1 / 24) + 2) * PRICES["metric"]
        + (jobs + WATCHES) * PRICES["metrics request, 1,000"] / 1000,
        "alarms": 16 * PRICES["alarm"],
        "dashboard": PRICES["dashboard"],
        "logs, traces, starts": jobs
        * (8000 / GIGABYTE * PRICES["log, GB"] + (PRICES["trace, a million"] + PRICES["start, a million"]) / 1e6)
        + WATCHES * PRICES["start, a million"] / 1e6,
    }


def test_the_month_adds_up_from_prices_and_assumptions() -> None:
    expected = {name: [f"{cost(case)[name]:,.2f}" for case in CASES] for name in cost(CASES[0])}
    expected["**total**"] = [f"**{sum(cost(case).values()):,.2f}**" for case in CASES]

    assert expected == rows("A month")


def test_the_sizes_of_items_are_those_that_dynamodb_counts() -> None:
    sizes = {settled: (item_size(settled, 0), item_size(settled, 1)) for settled in (0, 7, 10, 70, 500)}

    assert rows("Sizes") == {
        str(settled): [f"{at_rest:,}", f"{waiting:,}", str(write_units(waiting))]
        for settled, (at_rest, waiting) in sizes.items()
    }


def test_remembering_for_a_day_only_makes_the_busiest_case_as_cheap_as_it_says() -> None:
    now, then = (sum(cost(case).values()) for case in (CASES[2], replace(CASES[2], settled=10)))

    assert f"from {now:,.0f} to {then:,.0f} dollars" in PAGE


def test_there_are_as_many_alarms_and_metrics_as_are_paid() -> None:
    alarms = resources_of_type("AWS::CloudWatch::Alarm").values()
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    run = Run("job", JobStatus.SUCCEEDED, "due", "schedule", False, NOW, NOW, 1)

    assert 16 == sum("Condition" not in alarm or is_true(alarm["Condition"], parameter_values()) for alarm in alarms)
    assert len(metric_data(run, "shop", moment)) == METRICS
    assert len(silence_data(dict.fromkeys(SILENCE_METRICS, timedelta(0)), "shop", moment)) == 2


def test_the_page_is_about_the_defaults() -> None:
    about = {"DueScheduleExpression": "rate(5 minutes)", "Segments": str(SEGMENTS), "FunctionMemoryMegabytes": "1024"}

    assert about.items() <= parameter_values().items()
