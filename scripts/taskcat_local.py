"""Deploy every parameter set of .taskcat.yml in every region of it on an embedded engine, and run a job in each stack.

Runs in .venv-taskcat, as `make taskcat-local` does it. It prints one line for each stack: region, parameter set and the
items that its job has updated. Exit status: 0 when all did what they should and are gone, else 1.
"""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3

from cli.engine import REGION, Engine, start_engine, stop_engine
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.intake.operations import load_stock, schedule_changes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import Figures, ItemKey, StockItem, StockStatus, read_item
from inventory_updater.stock.times import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus, Run
from taskcat_project import CONFIGURATION, PROJECT, TEMPLATE, copy_project, regions_of, remove_buckets, tests_of

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_s3.client import S3Client
    from types_boto3_stepfunctions.client import SFNClient

ITEMS: Final = 100
COUNTED: Final = 40
PRICE: Final = Decimal("2.50")
REORDER_POINT: Final = Decimal(10)

EXIT_TERMINATED: Final = 143

_POLL_SECONDS: Final = 0.5
_EXECUTION_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack that taskcat has made; `given` are the parameters that .taskcat.yml gives it, but for those made up."""

    stack_id: str
    region: str
    test: str
    given: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client in the stack's region; annotate the variable that takes it."""
        return boto3.Session(region_name=self.region).client(service, **settings)  # type: ignore[call-overload]  # any service


class Progress:
    """Waits for taskcat's stacks in place of its own printer, which asks for their status once a minute."""

    def report_test_progress(self, stacker: Any) -> None:
        """Return when no stack is being made or deleted any more."""
        while stacker.status()["IN_PROGRESS"]:
            time.sleep(_POLL_SECONDS)
            for stack in stacker.stacks:
                stack.refresh()


# ---- the trade: small enough to be worked out by hand ----------------------------------------------------------------
#
# Item n of 100 has n pieces. Every item sells five an hour ago: those that have fewer cannot, unless the stack allows
# negative stock. Every tenth is counted half an hour ago, and there are 40. Every fourth gets another price tomorrow.


def item_key(number: int) -> ItemKey:
    """The key of item `number`."""
    return ItemKey(f"item-{number:03}", "DC1")


def trade(now: datetime) -> list[tuple[ItemKey, Change]]:
    """Every change that is scheduled."""
    sold, counted, tomorrow = (
        format_time(now + ahead) for ahead in (timedelta(hours=-1), timedelta(minutes=-30), timedelta(days=1))
    )
    changes = [(item_key(n), Change(f"sale-{n}", "adjustment", Decimal(-5), sold)) for n in range(ITEMS)]
    changes += [(item_key(n), Change(f"count-{n}", "count", Decimal(COUNTED), counted)) for n in range(0, ITEMS, 10)]
    changes += [(item_key(n), Change(f"price-{n}", "price", Decimal(3), tomorrow)) for n in range(0, ITEMS, 4)]
    return changes


def expected_item(number: int, *, may_be_negative: bool) -> dict[str, object]:
    """The figures of item `number` after the job."""
    if number % 10 == 0:
        on_hand = COUNTED
    elif number < 5 and not may_be_negative:
        on_hand = number
    else:
        on_hand = number - 5
    if on_hand <= 0:
        status = StockStatus.OUT_OF_STOCK
    else:
        status = StockStatus.LOW_STOCK if on_hand <= REORDER_POINT else StockStatus.IN_STOCK
    return {
        "on_hand": on_hand,
        "available": on_hand,
        "stock_status": status,
        "stock_value": on_hand * PRICE,
        "unit_price": PRICE,
        "pending": [f"price-{number}"] if number % 4 == 0 else [],
        "rejected": [f"sale-{number}"] if number < 5 and not may_be_negative else [],
    }


def figures_of(item: StockItem) -> dict[str, object]:
    """What `expected_item` is compared with."""
    return {
        "on_hand": item.on_hand,
        "available": item.available,
        "stock_status": item.stock_status,
        "stock_value": item.stock_value,
        "unit_price": item.unit_price,
        "pending": sorted(item.changes.pending),
        "rejected": sorted(item.changes.rejected),
    }


# ---- one stack -------------------------------------------------------------------------------------------------------


def check_stack(deployed: Deployed) -> int:
    """Load stock, schedule changes, run the job twice and compare what is in the table with what should be.

    Returns:
        How many items the job has updated.

    Raises:
        AssertionError: where a figure is another one; it names both.
    """
    expect("parameters", {name: deployed.parameters[name] for name in deployed.given}, dict(deployed.given))
    table = dynamodb_client(boto3.Session(region_name=deployed.region), write_concurrency=4)
    inventory = InventoryTable(table, deployed.outputs["InventoryTableName"])
    figures = {n: Figures(Decimal(n), reorder_point=REORDER_POINT, unit_price=PRICE) for n in range(ITEMS)}
    load_stock(inventory, [(item_key(n), figures[n], {"currency": "EUR"}) for n in figures], _now)
    report = schedule_changes(inventory, trade(datetime.now(UTC)), _now)
    expect("changes scheduled", report.scheduled, ITEMS + ITEMS // 10 + ITEMS // 4)

    run = run_job(deployed)

    may_be_negative = deployed.parameters["AllowNegativeStock"] == "true"
    rejected = 0 if may_be_negative else 5
    expect("status", run.status, JobStatus.COMPLETED_WITH_FAILURES if rejected else JobStatus.SUCCEEDED)
    expect("segments", run.segments, int(deployed.parameters["Segments"]))
    expect("items updated", run.tally.items_updated, ITEMS)
    expect("items failed", run.tally.items_failed, 0)
    expect("changes applied", run.tally.changes_applied, ITEMS + ITEMS // 10 - rejected)
    expect("changes rejected", run.tally.changes_rejected, rejected)
    expect("errors of metrics and messages", (run.metrics_error, run.alert_error), (None, None))
    found = stored_items(table, inventory.name)
    expect("items", len(found), ITEMS)
    for number in range(ITEMS):
        expect(str(item_key(number)), found[item_key(number)], expected_item(number, may_be_negative=may_be_negative))

    again = run_job(deployed)

    expect("items updated by a second job", again.tally.items_updated, 0)
    expect("items after a second job", stored_items(table, inventory.name), found)
    return run.tally.items_updated


def expect(what: str, found: object, wanted: object) -> None:
    """Raise AssertionError unless `found` is what is wanted; an assert statement could be switched off."""
    if found != wanted:
        raise AssertionError(f"{what}: {found} instead of {wanted}")


def stored_items(table: "DynamoDBClient", name: str) -> dict[ItemKey, dict[str, object]]:
    """The figures of every item of the inventory table."""
    found = {}
    for page in table.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
        for stored in page["Items"]:
            item = read_item(from_attribute_values(stored))
            if not isinstance(item, StockItem):
                raise AssertionError(f"an item that cannot be read: {item}")
            found[item.key] = figures_of(item)
    return found


def run_job(deployed: Deployed) -> Run:
    """Run the state machine that the stack's outputs name, to its end, and return the record of its job."""
    client: SFNClient = deployed.client("stepfunctions")
    job_id = f"taskcat-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    execution = client.start_execution(
        stateMachineArn=deployed.outputs["StateMachineArn"], name=job_id, input=json.dumps({"scope": "due"})
    )["executionArn"]
    deadline = time.monotonic() + _EXECUTION_SECONDS
    while (described := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        if time.monotonic() > deadline:
            raise AssertionError(f"job {job_id} does not end")
        time.sleep(0.1)
    jobs = JobTable(
        deployed.client("dynamodb"),
        deployed.outputs["JobsTableName"],
        retention_days=1,
        clock=lambda: datetime.now(UTC),
    )
    run = jobs.run(job_id)
    if run is None or described["status"] != "SUCCEEDED":
        raise AssertionError(f"job {job_id}: {described['status']} {described.get('cause', '')}")
    return run


def _now() -> str:
    return format_time(datetime.now(UTC))


# ---- all of them -----------------------------------------------------------------------------------------------------


def check_all(project: Path, wanted_regions: str, wanted_tests: str) -> bool:
    """Deploy through taskcat, check each stack, delete all; whether everything was as it should be.

    Raises:
        ValueError: where a region or a parameter set is wanted that .taskcat.yml has not.
        AssertionError: where something is left of a stack that was checked.
    """
    # Here, since taskcat looks for its user's configuration below HOME when it is imported.
    from taskcat.exceptions import TaskCatException
    from taskcat.testing import CFNTest

    test = CFNTest.from_file(project_root=str(project), input_file=str(CONFIGURATION))
    regions, tests = regions_of(test.config, wanted_regions), tests_of(test.config, wanted_tests)
    test.regions, test.test_names = ",".join(regions), ",".join(tests)
    test.printer = Progress()
    test.dont_wait_for_delete = False
    # `make lint` has done it, for the same regions and with more rules.
    test.lint_disable = True
    made: list[Deployed] = []
    right: list[bool] = []
    try:
        with test as stacks:
            sets = test.config.config.tests
            made = [
                _deployed(stack, sets[stack.test_name].parameters)
                for stack in stacks
                if stack.status == "CREATE_COMPLETE"
            ]
            for stack in stacks:
                if stack.status != "CREATE_COMPLETE":
                    print(_why_not(stack))
            right = [_is_right(deployed) for deployed in sorted(made, key=lambda one: (one.region, one.test))]
    except TaskCatException as problem:
        print(f"taskcat: {problem}")
        right = []
    finally:
        for sentence in remove_buckets(test.config, regions):
            print(sentence)
    for deployed in made:
        expect_gone(deployed)
    wanted = len(regions) * len(tests)
    expect("different suffixes", len({deployed.parameters["EnvironmentSuffix"] for deployed in made}), len(made))
    print(f"{sum(right)} of {wanted} stacks did what they should; none is left")
    return sum(right) == wanted


# taskcat has no types: `stack` is one of its stacks.
def _deployed(stack: Any, given: Mapping[str, object]) -> Deployed:
    return Deployed(
        stack_id=stack.id,
        region=stack.region_name,
        test=stack.test_name,
        given={name: str(value) for name, value in given.items() if not str(value).startswith("$[")},
        parameters={parameter.key: parameter.value for parameter in stack.parameters},
        outputs={output.key: output.value for output in stack.outputs},
    )


def _why_not(stack: Any) -> str:
    reasons = [f"{event.logical_id}: {event.status_reason}" for event in stack.error_events(refresh=True)]
    heading = f"{stack.region_name} {stack.test_name}: {stack.status} {stack.status_reason}"
    return "\n  ".join([heading, *reasons])


def _is_right(deployed: Deployed) -> bool:
    try:
        updated = check_stack(deployed)
    except Exception:  # noqa: BLE001  # what is wrong in one region is told, and the others are looked at too
        print(f"{deployed.region} {deployed.test}: FAILED\n{traceback.format_exc()}", flush=True)
        return False
    print(f"{deployed.region} {deployed.test}: {updated} items updated", flush=True)
    return True


def expect_gone(deployed: Deployed) -> None:
    """Raise AssertionError where a stack, or a table of it, is still there."""
    client: CloudFormationClient = deployed.client("cloudformation")
    status = client.describe_stacks(StackName=deployed.stack_id)["Stacks"][0]["StackStatus"]
    expect(f"{deployed.region} {deployed.test}", status, "DELETE_COMPLETE")
    table: DynamoDBClient = deployed.client("dynamodb")
    tables = set(table.list_tables()["TableNames"])
    left = tables & {deployed.outputs["InventoryTableName"], deployed.outputs["JobsTableName"]}
    expect(f"tables left in {deployed.region}", left, set())


def use_engine(engine: Engine, home: Path) -> None:
    """Make this whole process talk to `engine` only, with nothing of the user's own configuration."""
    os.environ.update(engine.environment() | {"HOME": str(home)})
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)


def provide_template(project: Path) -> None:
    """Put the template where the engine looks for it.

    taskcat names it as https://BUCKET.s3.REGION.amazonaws.com/inventory-updater/template.yaml. The engine takes the
    first part of the path for the bucket: so there is one of that name.
    """
    client: S3Client = boto3.client("s3")
    client.create_bucket(Bucket=PROJECT, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.upload_file(str(project / TEMPLATE), PROJECT, TEMPLATE.as_posix())


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--regions", default="ALL", help="in these regions only, separated by commas")
    parser.add_argument("--tests", default="ALL", help="these parameter sets only, separated by commas")
    options = parser.parse_args()
    logging.getLogger("inventory_updater").addHandler(logging.NullHandler())
    # So that the engine is stopped, whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    with tempfile.TemporaryDirectory(prefix="taskcat-local-") as directory:
        project, server = Path(directory, "project"), Path(directory, "server")
        copy_project(project)
        try:
            use_engine(start_engine(server), Path(directory))
            provide_template(project)
            return 0 if check_all(project, options.regions, options.tests) else 1
        except ValueError as problem:
            parser.error(str(problem))
        finally:
            stop_engine(server)


if __name__ == "__main__":
    sys.exit(main())
