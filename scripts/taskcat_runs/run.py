"""Deploy every parameter set of .taskcat.yml in every region of it, run jobs in each stack, and delete all.

On AWS, found as boto3 finds it (`make taskcat`), or on an embedded engine (`make taskcat-local`); in .venv-taskcat.
Prints a line for each stack: region, parameter set and the items that its first job has updated. Exit status: 0 when
all did what they should and are gone, else 1.
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
from typing import Any, Final

import boto3

from cli.buckets import remove_bucket
from cli.engine import REGION, Engine, start_engine, stop_engine
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.intake.bucket import FileVersion
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.items import ItemKey, StockItem, StockStatus, read_item
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus, Run
from taskcat_runs.project import (
    CONFIGURATION,
    PROJECT,
    TEMPLATE,
    copy_project,
    random_suffix,
    regions_of,
    remove_buckets,
    tests_of,
)

ITEMS: Final = 100
COUNTED: Final = 40
PRICE: Final = Decimal("2.50")
REORDER_POINT: Final = Decimal(10)

EXIT_TERMINATED: Final = 143

_POLL_SECONDS: Final = 0.5
_EXECUTION_SECONDS: Final = 120.0
_RECEIPT_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack that taskcat has made; `given` are the parameters that .taskcat.yml gives it, but for those made up."""

    stack_id: str
    region: str
    test: str
    given: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def session(self) -> boto3.Session:
        return boto3.Session(region_name=self.region)


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


def trade(now: datetime) -> list[tuple[ItemKey, dict[str, object]]]:
    """Every change, as the record that another system would put by itself."""
    sold, counted, tomorrow = (
        format_time(now + ahead) for ahead in (timedelta(hours=-1), timedelta(minutes=-30), timedelta(days=1))
    )
    changes = [(n, ("sale", "adjustment", -5, sold)) for n in range(ITEMS)]
    changes += [(n, ("count", "count", COUNTED, counted)) for n in range(0, ITEMS, 10)]
    changes += [(n, ("price", "price", 3, tomorrow)) for n in range(0, ITEMS, 4)]
    names = ("change_id", "kind", "value", "effective_at")
    return [(item_key(n), dict(zip(names, values, strict=True))) for n, values in changes]


def expected_item(number: int, *, may_be_negative: bool) -> dict[str, object]:
    """Item `number` after the job, and what its records say."""
    is_refused = number < 5 and not may_be_negative
    on_hand = COUNTED if number % 10 == 0 else number if is_refused else number - 5
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
        "changes": {"sale": Status.REJECTED if is_refused else Status.APPLIED}
        | ({"count": Status.APPLIED} if number % 10 == 0 else {})
        | ({"price": Status.PENDING} if number % 4 == 0 else {}),
    }


# ---- one stack -------------------------------------------------------------------------------------------------------


def check_stack(deployed: Deployed) -> int:
    """Put items and changes, run the job twice and compare what is in the tables with what should be; then a delivery.

    Returns how many items the first job has updated. AssertionError, where a figure is another one, names both.
    """
    expect("parameters", {name: deployed.parameters[name] for name in deployed.given}, dict(deployed.given))
    table = dynamodb_client(deployed.session, write_concurrency=4)
    inventory = InventoryTable(table, deployed.outputs["InventoryTableName"])
    changes = ChangeTable(table, deployed.outputs["ChangesTableName"], retention_days=1)
    for number in range(ITEMS):
        figures = {"on_hand": number, "reorder_point": REORDER_POINT, "unit_price": PRICE}
        item = to_attribute_values({**item_key(number)._asdict(), **figures})
        table.put_item(TableName=inventory.name, Item=item)
    for key, change in trade(datetime.now(UTC)):
        changes.put(key, change)

    run = run_job(deployed)

    may_be_negative = deployed.parameters["AllowNegativeStock"] == "true"
    rejected = 0 if may_be_negative else 5
    expect("status", run.status, JobStatus.COMPLETED_WITH_FAILURES if rejected else JobStatus.SUCCEEDED)
    expect("segments", run.segments, int(deployed.parameters["Segments"]))
    expect("items updated", run.tally.items_updated, ITEMS)
    expect("items failed", run.tally.items_failed, 0)
    expect("changes applied", run.tally.changes_applied, ITEMS + ITEMS // 10 - rejected)
    expect("changes rejected", run.tally.changes_rejected, rejected)
    expect("errors of metrics and messages", (run.metrics_error, run.alert_error, run.result_error), (None,) * 3)
    found = stored(inventory, changes)
    expect("items", len(found), ITEMS)
    for number in range(ITEMS):
        expect(str(item_key(number)), found[item_key(number)], expected_item(number, may_be_negative=may_be_negative))

    again = run_job(deployed)

    expect("items updated by a second job", again.tally.items_updated, 0)
    expect("items after a second job", stored(inventory, changes), found)
    check_delivery(deployed)
    return run.tally.items_updated


def check_delivery(deployed: Deployed) -> None:
    """Let a supplier deliver a piece of every item by a file in the bucket, which the next job applies."""
    lines = ["change_id,sku,location_id,kind,value,effective_at"]
    now = format_time(datetime.now(UTC))
    lines += [f"delivery,{key.sku},{key.location_id},adjustment,1,{now}" for key in map(item_key, range(ITEMS))]
    s3, bucket, key = deployed.session.client("s3"), deployed.outputs["IntakeBucketName"], "incoming/delivery.csv"
    put = s3.put_object(Bucket=bucket, Key=key, Body="\n".join(lines).encode())
    receipt_key = FileVersion(key, put["VersionId"]).receipt_key
    is_there = s3.get_waiter("object_exists")
    is_there.wait(Bucket=bucket, Key=receipt_key, WaiterConfig={"Delay": 1, "MaxAttempts": _RECEIPT_SECONDS})
    receipt = json.loads(s3.get_object(Bucket=bucket, Key=receipt_key)["Body"].read())
    expect("receipt", (receipt["status"], receipt["added"]), ("ACCEPTED", ITEMS))

    run = run_job(deployed)

    expect("deliveries applied", run.tally.changes_applied, ITEMS)


def expect(what: str, found: object, wanted: object) -> None:
    """Raise AssertionError unless `found` is what is wanted; an assert statement could be switched off."""
    if found != wanted:
        raise AssertionError(f"{what}: {found} instead of {wanted}")


def stored(inventory: InventoryTable, changes: ChangeTable) -> dict[ItemKey, dict[str, object]]:
    """What `expected_item` is compared with, of every item."""
    found = {}
    for attributes in inventory.scan():
        item = read_item(attributes)
        if not isinstance(item, StockItem):
            raise AssertionError(f"an item that cannot be read: {item}")
        figures = ("on_hand", "available", "stock_status", "stock_value", "unit_price")
        records = {record.change_id: record.status for record in changes.all_of(item.key)}
        found[item.key] = {name: getattr(item, name) for name in figures} | {"changes": records}
    return found


def run_job(deployed: Deployed) -> Run:
    """Run the state machine that the stack's outputs name, to its end, and return the record of its job."""
    client = deployed.session.client("stepfunctions")
    job_id = f"taskcat-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    execution = client.start_execution(
        stateMachineArn=deployed.outputs["StateMachineArn"], name=job_id, input=json.dumps({"scope": "due"})
    )["executionArn"]
    deadline = time.monotonic() + _EXECUTION_SECONDS
    while (described := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        if time.monotonic() > deadline:
            raise AssertionError(f"job {job_id} does not end")
        time.sleep(0.1)
    table = deployed.session.client("dynamodb")
    jobs = JobTable(table, deployed.outputs["JobsTableName"], retention_days=1, clock=lambda: datetime.now(UTC))
    run = jobs.run(job_id)
    if run is None or described["status"] != "SUCCEEDED":
        raise AssertionError(f"job {job_id}: {described['status']} {described.get('cause', '')}")
    return run


# ---- all of them -----------------------------------------------------------------------------------------------------


def check_all(project: Path, wanted_regions: str, wanted_tests: str) -> bool:
    """Deploy through taskcat, check each stack, delete all; whether everything was as it should be.

    ValueError means that .taskcat.yml has no such region or parameter set, AssertionError that something is left.
    """
    # Here, since taskcat looks for its user's configuration below HOME when it is imported.
    from taskcat._template_params import ParamGen
    from taskcat.exceptions import TaskCatException
    from taskcat.testing import CFNTest

    ParamGen._gen_rand_str = staticmethod(random_suffix)  # noqa: SLF001  # taskcat has no option for its length
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
            for stack in stacks:
                if stack.status == "CREATE_COMPLETE":
                    made.append(_deployed(stack, test.config.config.tests[stack.test_name].parameters))
                else:
                    print(_why_not(stack))
            right = [_is_right(deployed) for deployed in sorted(made, key=lambda one: (one.region, one.test))]
    except TaskCatException as problem:
        print(f"taskcat: {problem}")
        right = []
    finally:
        print(*remove_buckets(test.config, regions), sep="\n")
    for deployed in made:
        expect_gone(deployed)
    wanted = len(regions) * len(tests)
    expect("different suffixes", len({deployed.parameters["EnvironmentSuffix"] for deployed in made}), len(made))
    print(f"{sum(right)} of {wanted} stacks did what they should; none is left")
    return sum(right) == wanted


# taskcat has no types: `stack` is one of its stacks.
def _deployed(stack: Any, given: Mapping[str, object]) -> Deployed:
    return Deployed(
        stack.id,
        stack.region_name,
        stack.test_name,
        given={name: str(value) for name, value in given.items() if not str(value).startswith("$[")},
        parameters={parameter.key: parameter.value for parameter in stack.parameters},
        outputs={output.key: output.value for output in stack.outputs},
    )


def _why_not(stack: Any) -> str:
    reasons = [f"{event.logical_id}: {event.status_reason}" for event in stack.error_events(refresh=True)]
    return "\n  ".join([f"{stack.region_name} {stack.test_name}: {stack.status} {stack.status_reason}", *reasons])


def _is_right(deployed: Deployed) -> bool:
    try:
        updated = check_stack(deployed)
    except Exception:  # noqa: BLE001  # what is wrong in one region is told, and the others are looked at too
        print(f"{deployed.region} {deployed.test}: FAILED\n{traceback.format_exc()}", flush=True)
        return False
    print(f"{deployed.region} {deployed.test}: {updated} items updated", flush=True)
    return True


def expect_gone(deployed: Deployed) -> None:
    """Delete the bucket that a stack leaves; raise AssertionError where the stack, or a table of it, is still there."""
    stacks = deployed.session.client("cloudformation").describe_stacks(StackName=deployed.stack_id)["Stacks"]
    expect(f"{deployed.region} {deployed.test}", stacks[0]["StackStatus"], "DELETE_COMPLETE")
    pages = deployed.session.client("dynamodb").get_paginator("list_tables").paginate()
    tables = {name for page in pages for name in page["TableNames"]}
    left = tables & {value for name, value in deployed.outputs.items() if name.endswith("TableName")}
    expect(f"tables left in {deployed.region}", left, set())
    bucket = deployed.outputs["IntakeBucketName"]
    expect(f"{bucket} is gone", remove_bucket(deployed.session.client("s3"), bucket, with_files=True), True)


def use_engine(engine: Engine, home: Path) -> None:
    """Make this whole process talk to `engine` only, with nothing of the user's own configuration."""
    environment = engine.environment()
    os.environ.clear()
    os.environ.update(environment, HOME=str(home))


def provide_template(project: Path) -> None:
    """Put the template where the engine looks for it.

    taskcat names it as https://BUCKET.s3.REGION.amazonaws.com/inventory-updater/template.yaml. The engine takes the
    first part of the path for the bucket: so there is one of that name.
    """
    client = boto3.client("s3")
    client.create_bucket(Bucket=PROJECT, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.upload_file(str(project / TEMPLATE), PROJECT, TEMPLATE.as_posix())


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--regions", default="ALL", help="in these regions only, separated by commas")
    parser.add_argument("--tests", default="ALL", help="these parameter sets only, separated by commas")
    parser.add_argument("--embedded", action="store_true", help="on an embedded engine, not on AWS")
    options = parser.parse_args()
    logging.getLogger("inventory_updater").addHandler(logging.NullHandler())
    # So that stacks are deleted and the engine is stopped, whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    with tempfile.TemporaryDirectory(prefix="taskcat-") as directory:
        project, server = Path(directory, "project"), Path(directory, "server")
        copy_project(project)
        try:
            if options.embedded:
                use_engine(start_engine(server), Path(directory))
                provide_template(project)
            return 0 if check_all(project, options.regions, options.tests) else 1
        except ValueError as problem:
            parser.error(str(problem))
        finally:
            if options.embedded:
                stop_engine(server)


if __name__ == "__main__":
    sys.exit(main())
