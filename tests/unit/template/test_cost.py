"""docs/cost.md: its figures follow from its prices, its assumptions, what was counted, and the template."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks.counting import MEMORY
from benchmarks.report import COLUMNS
from inventory_updater.reports.metrics import SILENCE_METRICS, metric_data, silence_data
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import NOW, with_every_figure
from tests.cloudformation import TEMPLATE, is_true, parameter_values, properties, resources_of_type

PAGE: Final = (TEMPLATE.parent / "docs" / "cost.md").read_text(encoding="utf-8")
BENCHMARKS: Final = (TEMPLATE.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
DAYS: Final = 30
DUE_JOBS: Final = 24 * 60 // 5 * DAYS
JOBS: Final = DUE_JOBS + DAYS
WATCHES: Final = DUE_JOBS
SEGMENTS: Final = 4
PAGE_SIZE: Final = 250
ALWAYS: Final = 4
"""The metrics that every job sends, for its alarms."""
OF_WORK: Final = 2
"""Those of a job that applied something."""
RARE: Final = 7
"""Those of a job in which something was rejected, failed, met another writer ...: each by itself."""
METRICS: Final = ALWAYS + OF_WORK + RARE
"""What a job sends at most; the watch sends two more."""
POLLS: Final = 5 * 3 * 60 * 24 * DAYS
"""How often Lambda asks the empty queue of the intake in a month: five at once, each for 20 seconds."""
MILLION: Final = 1_000_000
CALL_SECONDS: Final = 0.25
CHANGES_A_SECOND: Final = 1000
GIGABYTE: Final = 10**9
EVEN: Final = "1 change an item and day, even"
SKEWED: Final = "real skew"


@dataclass(frozen=True, slots=True)
class Case:
    """A size of trade: items in stock, changes a day, their spread, and hours of a day with something rare."""

    items: int
    changes_a_day: int
    load: str = EVEN
    hours_of_the_rare: int = 24

    @property
    def fits_into_a_page(self) -> bool:
        """Whether a job settles all that is due in the call that opens it."""
        return self.changes_a_day / (DUE_JOBS / DAYS) <= PAGE_SIZE


CASES: Final = {
    "small": Case(1_000, 1_000, hours_of_the_rare=2),
    "middle": Case(100_000, 100_000),
    "large": Case(1_000_000, 10_000_000),
    "large, real skew": Case(1_000_000, 10_000_000, SKEWED),
}


def table_in(text: str) -> dict[str, list[str]]:
    """The rows of the first table in a text: the first cell and the others."""
    found = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in found if not row[1].startswith("---")}


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, without its own head."""
    found = table_in(PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0])
    return dict(list(found.items())[1:])


def counted(comparison: str) -> Mapping[str, Mapping[str, float]]:
    """What docs/benchmarks.md tells of a comparison that is counted: figures by column, by row."""
    section = BENCHMARKS.split(f"<!-- benchmark {comparison}:{MEMORY} -->", 1)[1].split("<!-- end -->", 1)[0]
    head, *found = table_in(section).items()
    columns = {text: unit for unit, text in COLUMNS.items()}
    return {
        name: {
            columns[column]: float(cell.split()[0].replace(",", ""))
            for column, cell in zip(head[1], cells, strict=True)
        }
        for name, cells in found
    }


PRICES: Final = {name: float(re.sub(r"[$,]", "", price)) for name, [price, *_] in rows("Prices").items()}
LOADS: Final = counted("steady_state")
WRITE: Final = PRICES["write unit, a million"]
READ: Final = PRICES["read unit, a million"]


def read_units(size: float) -> float:
    """Read units of a scan of so many bytes, as it is now."""
    return math.ceil(size / 4096)


def cost(case: Case) -> Mapping[str, float]:
    """Dollars of a month, by the rows of docs/cost.md."""
    load, idle, busy = LOADS[case.load], counted("idle_job")["nothing due"], counted("due_reads")["0 pending for later"]
    millions = case.changes_a_day * DAYS / 1e6
    records = idle["write_units_of_records"] * JOBS
    if not case.fits_into_a_page:
        records += busy["write_units_of_records"] / 1000 * case.changes_a_day * DAYS
    calls_a_job = 1 if case.fits_into_a_page else SEGMENTS + 2
    transitions = DUE_JOBS * (4 if case.fits_into_a_page else 7 + 3 * SEGMENTS) + DAYS * (7 + 3 * SEGMENTS)
    calls = DUE_JOBS * calls_a_job + DAYS * (SEGMENTS + 2) + WATCHES
    seconds = calls * 0.25 + millions * 1e6 / 1000 + case.items / 2000 * DAYS
    stored = case.items * (load["largest_item_bytes"] + 100)
    kept = case.changes_a_day * (DAYS + 1) * (load["mean_record_bytes"] + 100)
    return {
        "accepting, write units": millions * load["write_units_accepting"] * WRITE,
        "applying, write units": millions * load["write_units_applying"] * WRITE,
        "both, read units": millions * load["read_units_last_week"] * READ,
        "what jobs ask for, due or not": (idle["read_units"] * JOBS * READ + records * WRITE + 2 * WATCHES * WRITE)
        / 1e6,
        "job: scope `all`, read units": read_units(stored) * DAYS * READ / 1e6,
        "storage and recovery": (stored + kept)
        / GIGABYTE
        * (PRICES["table storage, GB"] + PRICES["point-in-time recovery, GB"]),
        "Lambda": calls * PRICES["Lambda request, a million"] / 1e6 + seconds * PRICES["Lambda GB-second"],
        "Step Functions": transitions * PRICES["state transition, 1,000"] / 1000,
        # Charged by the hour in which they are sent: those of the nightly job for one hour a day.
        "metrics": (ALWAYS + OF_WORK + RARE * case.hours_of_the_rare / 24 + METRICS / 24 + 2) * PRICES["metric"]
        + (JOBS + WATCHES) * PRICES["metrics request, 1,000"] / 1000,
        "the intake's queue, asked while empty": POLLS * PRICES["SQS request, a million"] / MILLION,
        "alarms": 19 * PRICES["alarm"],
        "dashboard": PRICES["dashboard"],
        "logs, traces, starts": JOBS
        * (8000 / GIGABYTE * PRICES["log, GB"] + (PRICES["trace, a million"] + PRICES["start, a million"]) / 1e6)
        + WATCHES * PRICES["start, a million"] / 1e6,
    }


def units_of_a_million(write_units: float, read_units: float) -> list[str]:
    """Dollars of a million changes: by write units, by read units, and in all."""
    return [
        f"{dollars:.2f}"
        for dollars in (write_units * WRITE, read_units * READ, write_units * WRITE + read_units * READ)
    ]


def test_the_month_adds_up_from_prices_and_assumptions() -> None:
    costs = [cost(case) for case in CASES.values()]
    expected = {name: [f"{each[name]:,.2f}" for each in costs] for name in costs[0]}
    expected["**total**"] = [f"**{sum(each.values()):,.2f}**" for each in costs]

    assert expected == rows("A month")


def test_a_million_changes_cost_what_their_units_do() -> None:
    expected = {
        name: [
            f"{load['write_units_last_week']:.2f}",
            f"{load['read_units_last_week']:.2f}",
            *units_of_a_million(load["write_units_last_week"], load["read_units_last_week"]),
        ]
        for name, load in LOADS.items()
    }

    assert expected == rows("A million changes")


def test_each_door_costs_what_its_requests_do() -> None:
    def lambda_calls(calls: float) -> float:
        seconds = calls * CALL_SECONDS + MILLION / CHANGES_A_SECOND
        return calls * PRICES["Lambda request, a million"] / MILLION + seconds * PRICES["Lambda GB-second"]

    def objects(written: float, read: float, size: float) -> float:
        requests = written * PRICES["S3 write, 1,000"] + read * PRICES["S3 read, 1,000"]
        return requests / 1000 + size / GIGABYTE * PRICES["S3 storage, GB"]

    records = LOADS[EVEN]["write_units_accepting"] * WRITE
    checked = records + READ
    queued = PRICES["SQS request, a million"] / MILLION
    files, messages = MILLION / 10_000, MILLION / 10
    # DynamoDB, Lambda, SQS, S3.
    parts = {
        "call, 1,000 changes each": (checked, lambda_calls(1000), 0, 0),
        # Put, notified, received, deleted, asked for a receipt, read twice, answered.
        "bucket, files of 10,000 rows": (
            checked,
            lambda_calls(files),
            files * 3 * queued,
            objects(files * 2, files * 3, MILLION * 100),
        ),
        # Sent one by one, received and deleted by ten, asked for a receipt and answered one by one.
        "queue, messages of ten changes": (
            checked,
            lambda_calls(messages / 10),
            messages * 1.2 * queued,
            objects(messages, messages, messages * 2000),
        ),
        "record, put by the system itself": (records, 0, 0, 0),
        "script, from a checkout": (checked, 0, 0, 0),
    }

    assert {name: [f"{each:.2f}" for each in (*found, sum(found))] for name, found in parts.items()} == {
        name: cells[:5] for name, cells in rows("Through each door").items()
    }


def test_a_change_takes_hardly_more_than_five_write_units_whatever_the_load_and_its_history() -> None:
    weeks = {name: (load["write_units_first_week"], load["write_units_last_week"]) for name, load in LOADS.items()}

    assert {EVEN, SKEWED} < weeks.keys()
    assert {name: units for name, units in weeks.items() if max(units) > 5.2} == {}
    assert {
        name: load["largest_record_bytes"] for name, load in LOADS.items() if load["largest_record_bytes"] > 1024
    } == {}


def test_what_others_would_use_costs_what_its_parts_do() -> None:
    invocation = PRICES["Lambda request, a million"] + 0.1 * 0.128 * PRICES["Lambda GB-second"] * 1e6
    queue = 3 / 10 * PRICES["SQS request, a million"]
    expected = {
        "a one-time schedule a change, a function, an `UpdateItem`": PRICES["start, a million"] + invocation + WRITE,
        "a queue, a function for ten messages, an idempotency table": queue + invocation / 10 + 3 * WRITE,
        "a transaction of an item and its record": 8 * WRITE,
        "the first generation, 1 change an item and day": 8 * WRITE,
        "the first generation, 10 changes an item and day": 36 * WRITE,
    }

    assert {name: f"{dollars:.2f}" for name, dollars in expected.items()} == {
        name: cells[0] for name, cells in rows("What others would use").items()
    }


def test_there_are_as_many_alarms_and_metrics_as_are_paid() -> None:
    alarms = resources_of_type("AWS::CloudWatch::Alarm").values()
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    idle = Run("job", JobStatus.SUCCEEDED, "due", "schedule", NOW, NOW, 1)
    busy = replace(idle, tally=Tally(changes_applied=1, lateness=Lateness.of([1.0])))

    assert 19 == sum("Condition" not in alarm or is_true(alarm["Condition"], parameter_values()) for alarm in alarms)
    assert [len(metric_data(run, "shop", moment)) for run in (idle, busy, with_every_figure(idle))] == [
        ALWAYS,
        ALWAYS + OF_WORK,
        METRICS,
    ]
    assert len(silence_data(dict.fromkeys(SILENCE_METRICS, timedelta(0)), "shop", moment)) == 2


def test_a_small_job_has_as_many_states_as_are_paid() -> None:
    machine = json.loads(properties("StateMachine")["DefinitionString"])
    states: Mapping[str, Any] = machine["States"]
    path = [state := machine["StartAt"]]
    while "Next" in states[state] or "Choices" in states[state]:
        choices = {each.get("StringEquals"): each["Next"] for each in states[state].get("Choices", ())}
        state = choices["DONE"] if choices else states[state]["Next"]
        path.append(state)

    # And the start.
    assert path == ["Open", "Opened?", "Done"]


def test_the_page_is_about_the_defaults() -> None:
    about = {
        "DueScheduleExpression": "rate(5 minutes)",
        "Segments": str(SEGMENTS),
        "PageSize": str(PAGE_SIZE),
        "FunctionMemoryMegabytes": "1024",
        "ChangeRetentionDays": str(DAYS),
        "IntakeRetentionDays": str(DAYS),
    }

    assert about.items() <= parameter_values().items()
