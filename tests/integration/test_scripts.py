"""The scripts on a deployed stack: what they refuse, what they say then, and what they do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli import change_verbs as changes
from cli import deployments, engine
from cli import job_verbs as job
from cli import stock_verbs as stock
from cli.command_line import CommandLine
from cli.engine import CHECKOUT, Engine
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from tests.engines import private_ministack, run_script
from tests.stacks import Stack, deploy_stack

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_stepfunctions import SFNClient

CHANGE_HEADER = "change_id,sku,location_id,kind,value,effective_at,reason,reference"
STOCK_HEADER = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description"
SCRIPTS: Mapping[str, CommandLine] = {
    "stock": stock.commands(),
    "changes": changes.commands(),
    "job": job.commands(),
}

Items = Mapping[tuple[str, str], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended and what it said."""

    code: int
    output: str
    errors: str

    @property
    def answer(self) -> Any:  # whatever the document holds
        return json.loads(self.output)


Run = Callable[..., Said]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of this module's own."""
    with private_ministack(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(server: Engine) -> Stack:
    """The stack that `make run` makes, so slow that a job can be watched and stopped."""
    return deploy_stack(server, deployments.LOCAL_STACK, MaxWriteRate="12", PageSize="10", Segments="2")


@pytest.fixture
def dynamodb(stack: Stack) -> "DynamoDBClient":
    client: DynamoDBClient = stack.client("dynamodb")
    return client


@pytest.fixture
def items(stack: Stack, dynamodb: "DynamoDBClient") -> Callable[[], Items]:
    """All items of the inventory as they are now."""

    def read() -> Items:
        answer = dynamodb.scan(TableName=stack.outputs["InventoryTableName"], ConsistentRead=True)
        found = [from_attribute_values(item) for item in answer["Items"]]
        return {(str(item["sku"]), str(item["location_id"])): item for item in found}

    return read


@pytest.fixture(autouse=True)
def empty_inventory(stack: Stack, dynamodb: "DynamoDBClient", items: Callable[[], Items]) -> None:
    for sku, location_id in items():
        key = to_attribute_values({"sku": sku, "location_id": location_id})
        dynamodb.delete_item(TableName=stack.outputs["InventoryTableName"], Key=key)


@pytest.fixture
def run(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a script in this process, in an environment in which AWS is the engine and the stack has to be named."""
    before = dict(os.environ)
    os.environ.update(stack.engine.environment({}))
    monkeypatch.chdir(tmp_path)

    def run_here(script: str, *arguments: str) -> Said:
        capsys.readouterr()
        try:
            code = SCRIPTS[script].main(["--stack", stack.name, *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    yield run_here
    os.environ.clear()
    os.environ.update(before)


def change_row(**cells: str) -> str:
    usual = {
        "change_id": "c1",
        "sku": "MUG",
        "location_id": "LEEDS",
        "kind": "adjustment",
        "value": "-2",
        "effective_at": "2026-01-05T12:00:00Z",
        "reason": "sale",
        "reference": "order 7",
    }
    return ",".join((usual | cells).values())


def stock_row(**cells: str) -> str:
    usual = {
        "sku": "MUG",
        "location_id": "LEEDS",
        "on_hand": "40",
        "reserved": "2",
        "safety_stock": "5",
        "reorder_point": "10",
        "unit_price": "3.50",
        "currency": "GBP",
        "description": "Blue mug",
    }
    return ",".join((usual | cells).values())


def write_changes(*rows: str, header: str = CHANGE_HEADER) -> str:
    Path("changes.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return "changes.csv"


def write_stock(*rows: str, header: str = STOCK_HEADER) -> str:
    Path("stock.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return "stock.csv"


def load(run: Run, *rows: str) -> None:
    assert run("stock", "load", write_stock(*(rows or [stock_row()]))).code == 0


def schedule(run: Run, *rows: str) -> None:
    assert run("changes", "schedule", write_changes(*(rows or [change_row()]))).code == 0


# Bad input: its message, exit code 2, and nothing written


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [change_row(value="many")],
            ("line 2, column value: 'many' is not a number in plain notation; it wants a number such as -12 or 3.50"),
        ),
        (
            [change_row(kind="sale")],
            (
                "line 2, column kind: 'sale' is not a kind of change; it wants one of "
                "adjustment, count, price, reorder_point, safety_stock"
            ),
        ),
        ([change_row(kind="count", value="-1")], "line 2, column value: '-1' is negative; a count wants 0 or more"),
        (
            [change_row(effective_at="2026-01-05T12:00:00")],
            ("line 2, column effective_at: '2026-01-05T12:00:00' has no time zone: add Z or an offset like +01:00"),
        ),
        ([change_row(change_id="")], "line 2, column change_id: is empty; it wants 1 to 64 bytes of text"),
        ([change_row(sku="")], "line 2, column sku: is empty; it wants 1 to 64 bytes of text"),
        (
            [change_row(change_id="x" * 65)],
            (f"line 2, column change_id: '{'x' * 40}'... is 65 bytes long; at most 64 are allowed"),
        ),
        (
            [change_row(), change_row(value="-3")],
            ("line 3, column change_id: duplicate change id 'c1' (first used on line 2)"),
        ),
        ([change_row(), change_row(change_id="c2", sku="BOWL")], "line 3: there is no item BOWL at LEEDS"),
    ],
    ids=[
        "not-a-number",
        "unknown-kind",
        "negative-count",
        "time-without-zone",
        "empty-id",
        "empty-sku",
        "id-too-long",
        "same-id-twice",
        "unknown-item",
    ],
)
def test_a_bad_change_is_refused_and_nothing_is_written(
    run: Run, items: Callable[[], Items], rows: Sequence[str], message: str
) -> None:
    load(run)
    before = items()
    assert run("changes", "schedule", write_changes(*rows)) == Said(2, "", f"error: changes.csv: {message}\n")
    assert items() == before


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            CHANGE_HEADER.replace("value", "quantity"),
            (f"line 1: the column 'quantity' is unknown; a change file has the columns {CHANGE_HEADER}"),
        ),
        (
            CHANGE_HEADER.replace(",value", ""),
            (f"line 1: the header lacks value; a change file has the columns {CHANGE_HEADER}"),
        ),
        (
            change_row(),
            (
                f"line 1: is no header, '{change_row()[:40]}'... names none of the columns; a change file has "
                f"the columns {CHANGE_HEADER}"
            ),
        ),
    ],
    ids=["unknown-column", "missing-column", "no-header"],
)
def test_a_bad_header_is_refused_and_nothing_is_written(
    run: Run, items: Callable[[], Items], header: str, message: str
) -> None:
    load(run)
    before = items()
    file = write_changes(change_row(change_id="c2"), header=header)
    assert run("changes", "schedule", file) == Said(2, "", f"error: changes.csv: {message}\n")
    assert items() == before


def test_a_bad_stock_row_is_refused_and_nothing_is_written(run: Run, items: Callable[[], Items]) -> None:
    file = write_stock(stock_row(), stock_row(sku="BOWL", on_hand="plenty"))
    assert run("stock", "load", file) == Said(
        2,
        "",
        "error: stock.csv: line 3, column on_hand: 'plenty' is not a number in plain notation; "
        "it wants a number such as -12 or 3.50\n",
    )
    assert items() == {}


def test_an_item_that_is_there_already_is_refused_and_nothing_is_written(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    before = items()
    file = write_stock(stock_row(sku="BOWL"), stock_row(on_hand="1"))
    assert run("stock", "load", file) == Said(
        2, "", "error: stock.csv: line 3: item MUG at LEEDS is already there (--replace sets its columns)\n"
    )
    assert items() == before


@pytest.mark.parametrize(("script", "verb"), [("stock", "load"), ("changes", "schedule")])
def test_a_file_that_does_not_exist_is_refused(run: Run, script: str, verb: str) -> None:
    assert run(script, verb, "nowhere.csv") == Said(2, "", "error: nowhere.csv: does not exist\n")


def test_an_id_that_is_pending_with_other_content_is_refused_and_nothing_is_written(
    run: Run, items: Callable[[], Items]
) -> None:
    load(run)
    schedule(run)
    before = items()
    file = write_changes(change_row(change_id="c2"), change_row(value="-3"))
    assert run("changes", "schedule", file) == Said(
        2,
        "",
        "error: changes.csv: line 3: change c1 is already pending in item MUG at LEEDS with another content\n",
    )
    assert items() == before


def test_more_changes_than_an_item_may_hold_are_refused_and_nothing_is_written(
    run: Run, items: Callable[[], Items]
) -> None:
    load(run)
    before = items()
    file = write_changes(*(change_row(change_id=f"c{number}") for number in range(1001)))
    assert run("changes", "schedule", file) == Said(
        2,
        "",
        "error: changes.csv: line 1002: item MUG at LEEDS would have 1,001 pending changes; 1,000 are allowed\n",
    )
    assert items() == before


def test_more_bytes_than_an_item_may_hold_are_refused_and_nothing_is_written(
    run: Run, items: Callable[[], Items]
) -> None:
    load(run)
    before = items()
    rows = [change_row(change_id=f"{number:064}", reason="r" * 128, reference="s" * 128) for number in range(600)]
    said = run("changes", "schedule", write_changes(*rows))
    assert said.code == 2
    assert said.errors.startswith("error: changes.csv: line 601: item MUG at LEEDS would have ")
    assert said.errors.endswith(" bytes; 200,000 are allowed\n")
    assert items() == before


EVERY_COMMAND = [
    ("stock", "load", "stock.csv"),
    ("stock", "export"),
    ("stock", "show", "MUG", "LEEDS"),
    ("changes", "schedule", "changes.csv"),
    ("changes", "cancel", "c1"),
    ("changes", "list"),
    ("changes", "retry", "some-job"),
    ("job", "run"),
    ("job", "list"),
    ("job", "show", "some-job"),
    ("job", "stop", "some-job"),
    ("job", "pause"),
    ("job", "resume"),
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_a_stack_that_does_not_exist_is_told(run: Run, command: tuple[str, ...]) -> None:
    write_stock(stock_row())
    write_changes(change_row())
    script, *arguments = command
    assert run(script, *arguments, "--stack", "nowhere") == Said(
        2, "", "error: there is no stack nowhere in eu-west-1: deploy it, or name another one with --stack\n"
    )


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_an_engine_that_is_not_running_is_told(
    run: Run, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "running_engine", lambda: engine.running_engine(tmp_path))
    write_stock(stock_row())
    write_changes(change_row())
    script, *arguments = command
    assert run(script, *arguments, "--local") == Said(
        2,
        "",
        "error: the embedded engine is not running: start it with `make run` or `scripts/local.py start`\n",
    )


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_missing_credentials_are_told(
    run: Run, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_stock(stock_row())
    write_changes(change_row())
    script, *arguments = command
    assert run(script, *arguments) == Said(
        2,
        "",
        "error: no complete AWS credentials were found (Unable to locate credentials): sign in as for the AWS CLI, "
        "or use --local for the embedded engine\n",
    )


def test_a_missing_region_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert run("job", "list") == Said(
        2, "", "error: no AWS region is set: set AWS_REGION, or a region in the profile, or use --local\n"
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("stock", "show", "MUG", "YORK"), "there is no item MUG at YORK"),
        (("stock", "export", "--json"), "--json needs FILE: without it, standard output is for the CSV"),
        (("stock", "export", "nowhere/levels.csv"), "nowhere/levels.csv: its folder does not exist"),
        (
            ("stock", "sample", "--items", "-1", "."),
            "the numbers of items and changes and the seed may not be negative",
        ),
        (("stock", "sample", "--around", "noon", "."), "--around: 'noon' is not a time like 2026-01-31T08:00:00Z"),
        (("changes", "cancel", "c9"), "change c9 is not pending"),
        (("changes", "cancel", "c9", "--sku", "MUG"), "--sku and --location go together: they name one item"),
        (
            ("changes", "cancel", "c9", "--sku", "MUG", "--location", "LEEDS"),
            "change c9 is not pending in item MUG at LEEDS",
        ),
        (("changes", "retry", "no-such-job"), "there is no job no-such-job"),
        (("job", "show", "no-such-job"), "there is no job no-such-job"),
        (("job", "stop", "no-such-job"), "there is no job no-such-job"),
        (("job", "show", "no such job: *"), "there is no job no such job: *"),
        (("job", "list", "--limit", "0"), "--limit: at least 1 job"),
        (("job", "run", "--as-of", "noon"), "--as-of: 'noon' is not a time like 2026-01-31T08:00:00Z"),
        (
            ("job", "run", "--as-of", "2026-01-05T12:00:00"),
            "--as-of: '2026-01-05T12:00:00' has no time zone: add Z or an offset like +01:00",
        ),
        (
            ("job", "run", "--as-of", "2099-01-01T00:00:00Z"),
            (
                "--as-of: 2099-01-01T00:00:00Z lies in the future, so changes would be applied before their time; "
                "add --yes if this is what you want"
            ),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_told(run: Run, command: tuple[str, ...], message: str) -> None:
    load(run)
    script, *arguments = command
    assert run(script, *arguments) == Said(2, "", f"error: {message}\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_bad_usage_is_exit_code_2(run: Run, script: str) -> None:
    said = run(script, "no-such-verb")
    assert said.code == 2
    assert "invalid choice: 'no-such-verb'" in said.errors


# Where the shared options stand


@pytest.mark.parametrize(
    "command", [("stock", "export", "levels.csv"), ("changes", "list"), ("job", "list")], ids=" ".join
)
@pytest.mark.parametrize("are_before", [True, False], ids=["before", "after"])
@pytest.mark.usefixtures("run")
def test_shared_options_work_before_and_after_the_verb(
    stack: Stack,
    command: tuple[str, ...],
    are_before: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deployments, "running_engine", lambda: stack.engine)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    script, *arguments = command
    shared = ["--local", "--json", "--stack", stack.name]
    capsys.readouterr()
    assert SCRIPTS[script].main([*shared, *arguments] if are_before else [*arguments, *shared]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


@pytest.mark.parametrize("script", [*SCRIPTS, "deploy", "local"])
def test_every_script_runs_from_the_checkout_and_helps(server: Engine, script: str) -> None:
    helped = run_script(server, script, "--help")
    assert helped.status == 0
    assert "usage:" in helped.output


# Stock


def test_stock_is_loaded_with_its_derived_figures_and_exported_sorted(run: Run, items: Callable[[], Items]) -> None:
    rows = [stock_row(), stock_row(sku="BOWL", on_hand="7", unit_price=""), stock_row(location_id="BATH")]
    assert run("stock", "load", write_stock(*rows), "--json").answer == {"items": 3}
    assert items()["MUG", "LEEDS"]["available"] == Decimal(33)
    assert run("stock", "export") == Said(
        0,
        "sku,location_id,on_hand,available,stock_status,unit_price,stock_value\n"
        "BOWL,LEEDS,7,0,OUT_OF_STOCK,,\n"
        "MUG,BATH,40,33,IN_STOCK,3.50,140.00\n"
        "MUG,LEEDS,40,33,IN_STOCK,3.50,140.00\n",
        "",
    )


def test_replacing_sets_the_columns_and_leaves_the_changes_alone(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    schedule(run)
    before = items()["MUG", "LEEDS"]
    assert run("stock", "load", "--replace", write_stock(stock_row(on_hand="1", currency=""))).code == 0
    after = items()["MUG", "LEEDS"]
    assert (after["on_hand"], after["stock_status"], "currency" in after) == (Decimal(1), "OUT_OF_STOCK", False)
    assert after["pending_changes"] == before["pending_changes"]


def test_an_export_that_fails_leaves_the_old_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    load(run)
    Path("levels.csv").write_text("old", encoding="utf-8")

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device", "levels.csv")

    monkeypatch.setattr(stock, "write_levels", fail)
    assert run("stock", "export", "levels.csv") == Said(1, "", "error: levels.csv: No space left on device\n")
    assert Path("levels.csv").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["levels.csv", "stock.csv"]


def test_an_item_that_cannot_be_read_is_left_out_of_the_export_and_said(
    run: Run, stack: Stack, dynamodb: "DynamoDBClient"
) -> None:
    load(run)
    spoilt = to_attribute_values({"sku": "BOWL", "location_id": "LEEDS", "on_hand": "plenty"})
    dynamodb.put_item(TableName=stack.outputs["InventoryTableName"], Item=spoilt)
    said = run("stock", "export")
    assert said.output.splitlines()[1:] == ["MUG,LEEDS,40,33,IN_STOCK,3.50,140.00"]
    assert said.errors == "left out: item BOWL at LEEDS cannot be read: on_hand is not a number\n"
    shown = run("stock", "show", "BOWL", "LEEDS")
    assert "This item cannot be read, so jobs leave it alone: on_hand is not a number" in shown.output


# Changes


def test_changes_are_scheduled_once(run: Run) -> None:
    load(run)
    file = write_changes(change_row(), change_row(change_id="c2"))
    assert run("changes", "schedule", file, "--json").answer == {"scheduled": 2, "duplicates": 0, "items": 1}
    assert run("changes", "schedule", file, "--json").answer == {"scheduled": 0, "duplicates": 2, "items": 1}


def test_a_missing_item_is_made_when_asked_for(run: Run, items: Callable[[], Items]) -> None:
    assert run("changes", "schedule", "--create-missing", write_changes(change_row())).code == 0
    assert items()["MUG", "LEEDS"]["on_hand"] == Decimal(0)


def test_pending_and_due_changes_are_listed_the_earliest_first(run: Run) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"))
    schedule(
        run,
        change_row(effective_at="2026-01-05T12:00:00Z"),
        change_row(change_id="c2", effective_at="2099-01-05T12:00:00Z"),
        change_row(change_id="c3", sku="BOWL", effective_at="2026-01-04T12:00:00+01:00"),
    )

    def listed(*arguments: str) -> list[str]:
        return [change["change_id"] for change in run("changes", "list", "--json", *arguments).answer["changes"]]

    assert listed() == ["c3", "c1", "c2"]
    assert listed("--due") == ["c3", "c1"]
    assert listed("--sku", "MUG") == ["c1", "c2"]
    assert listed("--due", "--sku", "MUG") == ["c1"]
    assert listed("--rejected") == []
    assert "2026-01-04T11:00:00.000000Z" in run("changes", "list", "--utc").output


def test_changes_are_cancelled_by_id(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    schedule(run, change_row(), change_row(change_id="c2"))
    assert run("changes", "cancel", "c1", "c2", "--json").answer == {
        "cancelled": 2,
        "items": 1,
        "changes": [
            {"change_id": "c1", "sku": "MUG", "location_id": "LEEDS"},
            {"change_id": "c2", "sku": "MUG", "location_id": "LEEDS"},
        ],
    }
    assert items()["MUG", "LEEDS"].get("pending_changes") == {}


def test_an_id_that_is_pending_in_several_items_is_cancelled_in_the_one_that_is_named(
    run: Run, items: Callable[[], Items]
) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"))
    schedule(run, change_row())
    schedule(run, change_row(sku="BOWL"))
    assert run("changes", "cancel", "c1") == Said(
        2, "", "error: change c1 is pending in 2 items: name one of BOWL at LEEDS, MUG at LEEDS\n"
    )
    assert run("changes", "cancel", "c1", "--sku", "BOWL", "--location", "LEEDS").code == 0
    pending = {key: set(item["pending_changes"]) for key, item in items().items()}  # type: ignore[call-overload]
    assert pending == {("BOWL", "LEEDS"): set(), ("MUG", "LEEDS"): {"c1"}}


# Jobs


def test_a_job_is_run_shown_and_listed_and_what_it_rejected_retried(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    schedule(run, change_row(), change_row(change_id="c2", value="-50"))

    said = run("job", "run", "--json")
    assert said.code == 4
    expected = {
        "status": "COMPLETED_WITH_FAILURES",
        "tally_is_exact": True,
        "items_scanned": 1,
        "items_updated": 1,
        "items_failed": 0,
        "changes_applied": 1,
        "changes_rejected": 1,
        "changes_superseded": 0,
        "trigger": "manual",
        "dry_run": False,
    }
    assert {name: said.answer[name] for name in expected} == expected
    job_id = said.answer["job_id"]

    shown = run("job", "show", job_id, "--json").answer
    assert [(failure["change_id"], failure["code"]) for failure in shown["failures"]] == [("c2", "INSUFFICIENT_STOCK")]
    assert "INSUFFICIENT_STOCK" in run("job", "show", job_id).output
    assert job_id in [job["job_id"] for job in run("job", "list", "--json").answer["jobs"]]
    assert "Rejected changes" in run("stock", "show", "MUG", "LEEDS").output
    assert [change["code"] for change in run("changes", "list", "--rejected", "--json").answer["changes"]] == [
        "INSUFFICIENT_STOCK"
    ]

    assert run("stock", "load", "--replace", write_stock(stock_row(on_hand="60"))).code == 0
    assert run("changes", "retry", job_id, "--json").answer == {"retried": 1, "items": 1, "no_longer_remembered": 0}
    assert run("job", "run", "--json").answer["changes_applied"] == 1
    assert items()["MUG", "LEEDS"]["on_hand"] == Decimal(10)
    assert run("changes", "retry", job_id, "--json").answer == {"retried": 0, "items": 0, "no_longer_remembered": 1}


def test_as_of_is_inclusive(run: Run) -> None:
    load(run)
    schedule(run, change_row(), change_row(change_id="c2", effective_at="2026-01-05T12:00:00.000001Z"))
    assert run("job", "run", "--as-of", "2026-01-05T12:00:00Z", "--json").answer["changes_applied"] == 1


def test_a_time_in_the_future_is_taken_when_it_is_meant(run: Run) -> None:
    load(run)
    schedule(run, change_row(effective_at="2099-01-05T12:00:00Z"))
    assert run("job", "run", "--as-of", "2099-01-06T00:00:00Z", "--yes", "--json").answer["changes_applied"] == 1


def test_a_dry_run_writes_nothing_and_shows_what_it_would_do(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    schedule(run)
    before = items()
    said = run("job", "run", "--dry-run")
    assert said.code == 0
    assert "dry run: nothing was written" in said.output
    assert "What the job would change" in said.output
    assert items() == before
    job_id = run("job", "list", "--json", "--limit", "1").answer["jobs"][0]["job_id"]
    assert run("changes", "retry", job_id).errors == (
        f"error: job {job_id} was a dry run: what it would have rejected is still pending\n"
    )


@pytest.fixture
def started(run: Run, stack: Stack) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A job that takes a while, and the process that watches it."""
    skus = [f"S{number:03}" for number in range(300)]
    load(run, *(stock_row(sku=sku) for sku in skus))
    schedule(run, *(change_row(change_id=f"c{sku}", sku=sku) for sku in skus))
    known = {known_job["job_id"] for known_job in run("job", "list", "--json").answer["jobs"]}
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "scripts" / "job.py"), "run", "--json", "--stack", stack.name],
        env=stack.engine.environment({"PATH": os.environ["PATH"]}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background have been told to ignore Ctrl-C, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 30
        while True:
            jobs = run("job", "list", "--json").answer["jobs"]
            running = [a_job["job_id"] for a_job in jobs if a_job["job_id"] not in known]
            if running:
                break
            assert time.monotonic() < deadline, "the job did not begin"
            time.sleep(0.2)
        yield running[0], process
        if process.poll() is None:
            process.kill()
    # The next test shall not meet this job's lease.
    run("job", "stop", running[0])


def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_it(
    run: Run, stack: Stack, started: tuple[str, "subprocess.Popen[str]"]
) -> None:
    job_id, process = started
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert errors == (
        f"job {job_id} goes on; follow it with:\n"
        f"  .venv/bin/python scripts/job.py show {job_id} --follow --stack {stack.name}\n"
    )
    assert run("job", "show", job_id, "--json").answer["status"] == "RUNNING"
    followed = run("job", "show", job_id, "--follow", "--json")
    assert (followed.code, followed.answer["status"]) == (0, "SUCCEEDED")
    assert followed.answer["changes_applied"] == 300


def test_a_stopped_job_is_abandoned_and_the_next_one_may_begin(
    run: Run, started: tuple[str, "subprocess.Popen[str]"]
) -> None:
    job_id, process = started
    skipped = run("job", "run", "--json")
    assert (skipped.code, skipped.answer["status"]) == (3, "SKIPPED")

    stopped = run("job", "stop", job_id, "--json")
    assert (stopped.code, stopped.answer) == (0, {"job_id": job_id, "status": "ABANDONED"})
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert json.loads(output)["status"] == "ABANDONED"
    assert "stopped by arn:aws:iam::" in run("job", "show", job_id).output
    assert run("job", "stop", job_id) == Said(2, "", f"error: job {job_id} has ended already: ABANDONED\n")

    assert run("job", "run", "--json").code == 0
    assert run("changes", "list", "--json").answer["changes"] == []


def test_an_aborted_job_is_exit_code_1(stack: Stack, started: tuple[str, "subprocess.Popen[str]"]) -> None:
    job_id, process = started
    step_functions: SFNClient = stack.client("stepfunctions")
    arn = stack.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    step_functions.stop_execution(executionArn=f"{arn}:{job_id}", error="Test", cause="by the test")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert json.loads(output)["status"] == "ABORTED"
    assert "by the test" in json.loads(output)["error"]
