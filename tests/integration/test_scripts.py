"""The scripts on a deployed stack: what they refuse, what they say then, and what they do."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli import deployments, engine, stock_verbs
from cli.engine import CHECKOUT, Engine
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from tests.builders import NEXT_YEAR, item_attributes
from tests.desk import SCRIPTS, run_here
from tests.engines import Script, private_ministack, run_script
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_stepfunctions import SFNClient

CHANGE_HEADER = "change_id,sku,location_id,kind,value,effective_at,until,reason,reference"
YESTERDAY = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
STOCK_HEADER = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description"

Items = Mapping[tuple[str, str], Mapping[str, object]]
Records = Mapping[tuple[str, str], Mapping[str, object]]
Run = Callable[..., Script]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine of this module's own."""
    with private_ministack(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def stack(server: Engine) -> Stack:
    """The stack that `make run` makes, so slow that a job can be watched and stopped."""
    return deploy_stack(server, deployments.LOCAL_STACK, MaxWriteRate="12", PageSize="10", Segments="2")


def emptied(stack: Stack, output: str, *keys: str) -> Callable[[], Items]:
    """A table, emptied, as what reads all that is in it by its two keys."""
    dynamodb: DynamoDBClient = stack.client("dynamodb")
    table = stack.outputs[output]

    def read() -> Items:
        answer = dynamodb.scan(TableName=table, ConsistentRead=True)
        found = [from_attribute_values(each) for each in answer["Items"]]
        first, second = keys
        return {(str(each[first]), str(each[second])): each for each in found}

    for key in read():
        dynamodb.delete_item(TableName=table, Key=to_attribute_values(dict(zip(keys, key, strict=True))))
    return read


@pytest.fixture
def items(stack: Stack) -> Callable[[], Items]:
    """All items of the inventory as they are now; a test finds none."""
    return emptied(stack, "InventoryTableName", "sku", "location_id")


@pytest.fixture
def records(stack: Stack) -> Callable[[], Records]:
    """All records of changes as they are now; a test finds none."""
    return emptied(stack, "ChangesTableName", "item", "change_id")


@pytest.fixture
def run(
    stack: Stack,
    items: Callable[[], Items],  # noqa: ARG001  # so that it finds an empty inventory
    records: Callable[[], Records],  # noqa: ARG001  # and no change
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a script in this process, in an environment in which AWS is the engine and the stack has to be named."""
    os.environ.update(stack.engine.environment({}))
    monkeypatch.chdir(tmp_path)

    place = f"stack {stack.name}, account 000000000000, region {stack.engine.region}\n"

    def run_on_stack(script: str, *arguments: str) -> Script:
        said = run_here(capsys, script, "--stack", stack.name, *arguments)
        return replace(said, errors=said.errors.removeprefix(place))

    return run_on_stack


def refused(message: str) -> Script:
    return Script(2, "", f"error: {message}\n")


def row(header: str, usual: str, cells: dict[str, str]) -> str:
    return ",".join((dict(zip(header.split(","), usual.split(","), strict=True)) | cells).values())


def change_row(**cells: str) -> str:
    return row(CHANGE_HEADER, f"c1,MUG,LEEDS,adjustment,-2,{YESTERDAY},,sale,order 7", cells)


def stock_row(**cells: str) -> str:
    return row(STOCK_HEADER, "MUG,LEEDS,40,2,5,10,3.50,GBP,Blue mug", cells)


def written(name: str, *lines: str) -> str:
    Path(name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return name


def write_changes(*rows: str, header: str = CHANGE_HEADER) -> str:
    return written("changes.csv", header, *rows)


def write_stock(*rows: str) -> str:
    return written("stock.csv", STOCK_HEADER, *rows)


def load(run: Run, *rows: str) -> None:
    assert run("stock", "load", write_stock(*(rows or [stock_row()]))).status == 0


def schedule(run: Run, *rows: str) -> None:
    assert run("changes", "schedule", write_changes(*(rows or [change_row()]))).status == 0


# Bad input: its message, exit code 2, and nothing written


def test_every_problem_of_a_file_is_told_with_its_line_and_nothing_is_written(
    run: Run, items: Callable[[], Items], records: Callable[[], Records]
) -> None:
    load(run)
    schedule(run)
    before = (items(), records())
    not_a_number = "is not a number in plain notation; it wants a number such as -12 or 3.50"
    in_file = {
        change_row(value="many"): f"line 2, column value: 'many' {not_a_number}",
        change_row(change_id=""): "line 3, column change_id: is empty; it wants 1 to 64 bytes of text",
        change_row(change_id="c2", kind="count", value="2", until=YESTERDAY): (
            "line 4, column until: a change of kind count has no end; only price, reorder_point, safety_stock have"
        ),
        change_row(change_id="c3"): None,
        change_row(change_id="c3", value="-3"): (
            "line 6, column change_id: duplicate change id 'c3' (first used on line 5); an id is unique within its item"
        ),
    }
    of_tables = {
        change_row(sku="BOWL"): "line 2, column sku: there is no item BOWL at LEEDS",
        change_row(change_id="c2"): None,
        change_row(value="-3"): (
            "line 4, column change_id: change c1 of MUG at LEEDS is known with another value and is PENDING; "
            "its record says value -2 (here -3): "
            "to replace it, cancel it (changes.py cancel), and give the other one an id of its own"
        ),
        change_row(change_id="c4", effective_at="2020-01-05T12:00:00Z"): (
            "line 5, column effective_at: change c4 of MUG at LEEDS is not "
        ),
    }
    for problems in (in_file, of_tables):
        said = run("changes", "schedule", write_changes(*problems))
        told = said.errors.removeprefix("error: ").splitlines()
        wanted = [f"changes.csv: {problem}" for problem in problems.values() if problem]
        assert (said.status, said.output, len(told)) == (2, "", len(wanted))
        assert [line for line, start in zip(told, wanted, strict=True) if not line.startswith(start)] == []

    bad_headers = {
        ", column value: the header lacks it": CHANGE_HEADER.replace(",value", ""),
        f": is no header, '{change_row()[:40]}'... names none of the columns": change_row(),
    }
    for message, header in bad_headers.items():
        said = run("changes", "schedule", write_changes(change_row(change_id="c2"), header=header))
        assert (said.status, said.errors.startswith(f"error: changes.csv: line 1{message}; ")) == (2, True)
    assert (items(), records()) == before


def test_one_run_names_all_forty_bad_rows_of_eight_sorts_among_good_ones(
    run: Run, records: Callable[[], Records]
) -> None:
    load(run)
    taken = [change_row(change_id=f"taken-{number}") for number in range(5)]
    schedule(run, *taken)
    before = records()
    sorts: dict[str, tuple[str, dict[str, str]]] = {
        "NOT_A_NUMBER": ("value", {"value": "abc"}),
        "EMPTY": ("location_id", {"location_id": ""}),
        "UNKNOWN_KIND": ("kind", {"kind": "prise"}),
        "NO_TIME": ("effective_at", {"effective_at": "tomorrow"}),
        "UNKNOWN_ITEM": ("sku", {"sku": "NOPE"}),
        "CHANGE_ID_TAKEN": ("change_id", {"value": "-3"}),
        "TOO_OLD": ("effective_at", {"effective_at": "2020-01-05T12:00:00Z"}),
        "DUPLICATE_ID": ("change_id", {"change_id": "good-0"}),
    }
    rows, wanted = [change_row(change_id="good-0")], []
    for number in range(5):
        for code, (column, cells) in sorts.items():
            change_id = f"taken-{number}" if code == "CHANGE_ID_TAKEN" else f"{code}-{number}"
            rows.append(change_row(**{"change_id": change_id, **cells}))
            wanted.append((str(len(rows) + 1), column, code))
        rows.append(change_row(change_id=f"good-{number + 1}"))

    said = run("changes", "schedule", "--problems", "problems.csv", write_changes(*rows))

    assert (said.status, said.output, records()) == (2, "", before)
    told = said.errors.removeprefix("error: ").splitlines()
    assert len(told) == len(wanted) == 40
    starts = [f"changes.csv: line {line}, column {column}: " for line, column, _code in wanted]
    assert [line for line, start in zip(told, starts, strict=True) if not line.startswith(start)] == []
    with Path("problems.csv").open(encoding="utf-8", newline="") as file:
        assert [(each["line"], each["column"], each["code"]) for each in csv.DictReader(file)] == wanted


def test_a_corrected_row_sent_again_is_told_what_its_record_says_and_how_to_replace_it(run: Run) -> None:
    load(run)
    schedule(run, change_row(value="-500"))
    assert run("job", "run").status == 4

    corrected = run("changes", "schedule", write_changes(change_row(value="-5")))

    assert corrected == refused(
        "changes.csv: line 2, column change_id: change c1 of MUG at LEEDS is known with another value and is REJECTED; "
        "its record says value -500 (here -5): to let the recorded one wait again, retry it (changes.py retry --id); "
        "to replace it, dismiss it (changes.py dismiss), and give the corrected one an id of its own"
    )
    assert run("changes", "retry", "--id", "c1").status == 0
    assert run("job", "run").status == 4
    assert run("changes", "dismiss", "c1").status == 0
    schedule(run, change_row(change_id="c1-corrected", value="-5"))
    assert run("job", "run").status == 0
    assert run("changes", "status", "changes.csv", "--json").answer["by_status"] == {"APPLIED": 1}


def test_of_many_problems_the_first_fifty_are_told(run: Run, records: Callable[[], Records]) -> None:
    said = run("changes", "schedule", write_changes(*(change_row(change_id=f"c{number}") for number in range(70))))
    first, *_, last, more = said.errors.splitlines()
    assert first == "error: changes.csv: line 2, column sku: there is no item MUG at LEEDS"
    assert (last, more) == (
        "changes.csv: line 51, column sku: there is no item MUG at LEEDS",
        "... and 20 more problems",
    )
    assert (said.status, records()) == (2, {})


def test_bad_stock_is_refused_and_nothing_is_written(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    before = items()
    bad_rows = {
        "line 3, column on_hand: 'plenty' is not a number in plain notation; it wants a number such as -12 or 3.50": (
            stock_row(sku="CUP", on_hand="plenty")
        ),
        "line 3, column sku: item MUG at LEEDS is already there with another on_hand (40); --replace sets what "
        "the file has": stock_row(on_hand="1"),
    }

    said = {message: run("stock", "load", write_stock(stock_row(sku="BOWL"), bad)) for message, bad in bad_rows.items()}

    assert said == {message: refused(f"stock.csv: {message}") for message in bad_rows}
    assert items() == before


VERBS = {
    "stock": ["load stock.csv", "export", "totals", "show MUG LEEDS", "history MUG", "variance stock.csv"],
    "changes": [
        *("schedule changes.csv", "list", "show c1", "cancel c1", "retry some-job", "retry --id c1", "dismiss c1"),
        *("status changes.csv", "cancel --file changes.csv", "cancel --source changes.csv"),
        *("preview changes.csv", "undo --file changes.csv", "undo --job some-job", "undo --source changes.csv"),
    ],
    "job": ["run", "list", "show some-job", "stop some-job", "pause", "resume"],
    "intake": [
        *("put changes.csv", "status", "show changes.csv", "held list", "held show changes.csv"),
        *("held approve changes.csv", "held drop changes.csv"),
        *("dead list", "dead show some-id", "dead redrive --all", "dead drop some-id"),
    ],
}
EVERY_COMMAND = [f"{script} {verb}" for script, verbs in VERBS.items() for verb in verbs]


ONE_OF_EACH_SCRIPT = [f"{script} {verbs[0]}" for script, verbs in VERBS.items()]


def said_by(commands: Iterable[str], run: Run, *options: str) -> dict[str, Script]:
    write_stock(stock_row())
    write_changes(change_row())
    return {command: run(*command.split(), *options) for command in commands}


def test_a_stack_that_does_not_exist_is_told(run: Run) -> None:
    nowhere = refused("there is no stack nowhere in eu-west-1: deploy it, or name another with --stack")
    assert said_by(EVERY_COMMAND, run, "--stack", "nowhere") == dict.fromkeys(EVERY_COMMAND, nowhere)


def test_an_engine_that_is_not_running_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "running_engine", lambda: engine.running_engine(tmp_path))
    silent = refused("the embedded engine is not running: start it with `make run` or `scripts/local.py start`")
    assert said_by(EVERY_COMMAND, run, "--local") == dict.fromkeys(EVERY_COMMAND, silent)


def test_missing_credentials_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    unknown = refused(
        "no complete AWS credentials were found (Unable to locate credentials): sign in as for the AWS CLI, "
        "or use --local for the embedded engine"
    )
    assert said_by(ONE_OF_EACH_SCRIPT, run) == dict.fromkeys(ONE_OF_EACH_SCRIPT, unknown)


def test_a_missing_region_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    said = run("job", "list")
    assert said == refused("no AWS region is set: set AWS_REGION, or a region in the profile, or use --local")


def test_what_makes_no_sense_is_told(run: Run) -> None:
    load(run)
    moment_ago = "(one that was written a moment ago is found a moment later)"
    no_time, no_zone = "is not a time like 2026-01-31T08:00:00Z", "has no time zone: add Z or an offset like +01:00"
    messages = {
        "stock load nowhere.csv": "nowhere.csv: does not exist",
        "stock show MUG YORK": "there is no item MUG at YORK",
        "stock export --json": "--json needs FILE: without it, standard output is for the CSV",
        "stock export nowhere/levels.csv": "nowhere/levels.csv: its folder does not exist",
        "stock sample --items -1 .": "the numbers of items and changes and the seed may not be negative",
        "stock sample --around noon .": f"--around: 'noon' {no_time}",
        "changes schedule nowhere.csv": "nowhere.csv: does not exist",
        "changes cancel c9": f"no change c9 is waiting {moment_ago}",
        "changes cancel c9 --sku MUG": "--sku and --location go together: they name one item",
        "changes cancel c9 --sku MUG --location LEEDS": "there is no change c9 of MUG at LEEDS",
        "changes cancel": "name what to cancel in one way: by ID..., --file, --source or --reference",
        "changes cancel --source s": f"nothing that waits has the source 's' {moment_ago}",
        "changes undo --source s": f"no change has the source 's' {moment_ago}",
        "changes status nowhere.csv": "nowhere.csv: does not exist",
        "stock variance nowhere.csv": "nowhere.csv: does not exist",
        "stock history MUG YORK": "there is no item MUG at YORK, and no record of one",
        "stock history MUG --at noon": f"--at: 'noon' {no_time}",
        "changes retry --id c9": f"no change c9 is rejected {moment_ago}",
        "changes retry job-1 --sku MUG --location LEEDS": "--sku and --location go with --id",
        "changes dismiss c9 --sku MUG --location LEEDS": "there is no change c9 of MUG at LEEDS",
        "changes show c9": (
            f"no change c9 is waiting or rejected {moment_ago}; "
            "one that is settled is found by its item: show ID SKU LOCATION"
        ),
        "changes show c9 MUG": "SKU and LOCATION go together: they name one item",
        "changes show c9 MUG LEEDS": "there is no change c9 of MUG at LEEDS",
        "changes list --location LEEDS": "--location goes with --sku",
        "changes list --limit 0": "--limit: at least 1 change",
        "changes retry no-such-job": "there is no job no-such-job",
        "job show no-such-job": "there is no job no-such-job",
        "job stop no-such-job": "there is no job no-such-job",
        "job show 'no such job: *'": "there is no job no such job: *",
        "job list --limit 0": "--limit: at least 1 job",
        "job run --as-of noon": f"--as-of: 'noon' {no_time}",
        "job run --as-of 2026-01-05T12:00:00": f"--as-of: '2026-01-05T12:00:00' {no_zone}",
        "job run --as-of 2099-01-01T00:00:00Z": (
            "--as-of: 2099-01-01T00:00:00Z lies in the future: nothing is applied before its time"
        ),
    }
    said = {command: run(*shlex.split(command)) for command in messages}
    assert said == {command: refused(message) for command, message in messages.items()}


def test_local_is_the_running_engine_whatever_the_environment_says(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "running_engine", lambda: stack.engine)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    for command in ("stock export levels.csv", "changes list", "job list"):
        assert isinstance(run(*command.split(), "--local", "--json").answer, dict)


def test_every_script_runs_from_the_checkout_and_helps(server: Engine) -> None:
    helped = {script: run_script(server, script, "--help") for script in (*SCRIPTS, "deploy", "local")}
    assert {name: (said.status, "usage:" in said.output) for name, said in helped.items()} == dict.fromkeys(
        helped, (0, True)
    )


# Stock


LEVELS_HEADER = f"{STOCK_HEADER},available,stock_status,stock_value"
MUG_LEVEL = "MUG,LEEDS,40,2,5,10,3.50,GBP,Blue mug,33,IN_STOCK,140.00"


def test_stock_is_loaded_with_its_derived_figures_and_exported_sorted(run: Run, items: Callable[[], Items]) -> None:
    rows = [stock_row(), stock_row(sku="BOWL", on_hand="7", unit_price=""), stock_row(location_id="BATH")]
    loaded = {"items": 3, "made": 3, "replaced": 0, "known": 0, "waiting": None}
    assert run("stock", "load", write_stock(*rows), "--json").answer == loaded
    assert items()["MUG", "LEEDS"]["available"] == Decimal(33)
    lines = ["BOWL,LEEDS,7,2,5,10,,GBP,Blue mug,0,OUT_OF_STOCK,", MUG_LEVEL.replace("LEEDS", "BATH"), MUG_LEVEL]
    assert run("stock", "export") == Script(0, "\n".join([LEVELS_HEADER, *lines, ""]), "")
    some = {
        "--out": lines[:1],
        "--low": [],
        "--sku MUG": lines[1:],
        "--sku MUG --location LEEDS": lines[2:],
        "--location BATH --location YORK": lines[1:2],
    }
    found = {words: run("stock", "export", *words.split()).output.splitlines()[1:] for words in some}
    assert found == some


def test_an_export_is_loaded_into_an_empty_stack_and_exported_with_the_same_bytes(run: Run, stack: Stack) -> None:
    odd = {"sku": '12" =PIPE', "description": "two\r\nlines, =1+1 " + "é" * 1_900, "currency": "EUR"}
    stack.put(item_attributes(7, location_id="LEEDS") | odd, item_attributes("-0.5", reserved=None))
    assert run("stock", "export", "first.csv").status == 0
    stack.forget()

    assert run("stock", "load", "first.csv").output == "2 items loaded\n"
    assert run("stock", "load", "first.csv").output == "0 items loaded; 2 items known already and left alone\n"
    assert run("stock", "export", "second.csv").status == 0

    first, second = (Path(name).read_bytes() for name in ("first.csv", "second.csv"))
    assert len(first) > 3_800
    assert first == second


def test_replacing_sets_what_the_file_has_and_says_for_what_changes_wait(
    run: Run, items: Callable[[], Items], records: Callable[[], Records]
) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"))
    schedule(run)
    before = records()
    counts = written("counts.csv", "sku,location_id,on_hand,currency", "MUG,LEEDS,1,", "BOWL,LEEDS,40,")
    said = run("stock", "load", "--replace", counts)
    assert said.output == (
        "1 item loaded, 1 of them in place of what was there; 1 item known already and left alone; "
        "changes wait for 1 item and will be applied on top\n"
    )
    after = items()["MUG", "LEEDS"]
    figures = {name: after[name] for name in ("on_hand", "reserved", "unit_price", "currency", "stock_status")}
    assert figures == {
        "on_hand": Decimal(1),
        "reserved": Decimal(2),
        "unit_price": Decimal("3.50"),
        "currency": "GBP",
        "stock_status": "OUT_OF_STOCK",
    }
    assert records() == before

    assert run("stock", "load", "--replace", "--clear", "reserved,currency", counts).status == 0
    assert (items()["MUG", "LEEDS"]["reserved"], "currency" in items()["MUG", "LEEDS"]) == (Decimal(0), False)
    assert run("stock", "load", "--clear", "currency", counts) == refused(
        "--clear needs --replace: a new item has nothing to empty"
    )
    assert "'on_hand' cannot be emptied" in run("stock", "load", "--replace", "--clear", "on_hand", counts).errors


def test_an_item_is_shown_at_every_location_with_what_follows_from_its_figures(run: Run, stack: Stack) -> None:
    stale = item_attributes(10, sku="MUG", location_id="BATH", reserved=4, available=99)
    stack.put(stale, item_attributes(1, sku="MUG", location_id="YORK"), item_attributes(sku="BOWL"))

    answer = run("stock", "show", "MUG", "--json").answer
    assert [(each["location_id"], each["available"], each["stale"]) for each in answer["items"]] == [
        ("BATH", "6", {"available": "99"}),
        ("YORK", "1", {}),
    ]
    said = run("stock", "show", "MUG")
    assert said.output.startswith("Item MUG\n")
    assert ("BATH" in said.output, "YORK" in said.output, "DC1" in said.output) == (True, True, False)
    assert "stored otherwise than it follows from the figures: available 99; " in said.errors
    rows = run("stock", "show", "MUG", "BATH", "--csv").output.splitlines()
    assert (len(rows), rows[1].split(",")[:3]) == (2, ["MUG", "BATH", "IN_STOCK"])
    assert run("stock", "show", "CUP") == refused("there is no item CUP at any location")
    exported = run("stock", "export", "--sku", "MUG")
    assert "MUG,BATH,10,4,0,0,2.5,,,6,IN_STOCK,25.0" in exported.output
    assert exported.errors.startswith("stored derived figures of 1 item are stale: ")


def test_the_stock_is_added_up_by_currency_and_location(run: Run) -> None:
    load(run, stock_row(), stock_row(sku="BOWL", on_hand="3"), stock_row(location_id="BATH", currency="EUR"))
    assert run("stock", "totals", "--csv").output.splitlines() == [
        "currency,location_id,items,unpriced,out_of_stock,low_stock,on_hand,reserved,available,stock_value",
        "EUR,BATH,1,0,0,0,40,2,33,140.00",
        "GBP,LEEDS,2,0,1,0,43,4,29,150.50",
    ]
    answer = run("stock", "totals", "--json", "--out").answer
    assert [(each["currency"], each["items"]) for each in answer["by_currency"]] == [("GBP", 1)]
    assert "By currency and location" in run("stock", "totals").output


def test_a_count_sheet_is_compared_and_nothing_is_written(run: Run, items: Callable[[], Items]) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"), stock_row(sku="PAN"), stock_row(location_id="BATH"))
    before = items()
    sheet = written("sheet.csv", "sku,location_id,counted", "MUG,LEEDS,38", "BOWL,LEEDS,40", "CUP,LEEDS,1")

    said = run("stock", "variance", sheet, "--csv")
    assert (said.status, said.errors) == (0, "1 item at these locations that the sheet lacks\n")
    assert said.output.splitlines() == [
        "sku,location_id,finding,counted,stored,difference,unit_price,currency,value,message",
        "MUG,LEEDS,DIFFERS,38,40,-2,3.50,GBP,-7.00,",
        "BOWL,LEEDS,MATCHES,40,40,0,3.50,GBP,0.00,",
        "CUP,LEEDS,UNKNOWN_ITEM,1,,,,,,",
    ]
    answer = run("stock", "variance", sheet, "--json").answer
    assert [row["finding"] for row in answer["rows"]] == ["DIFFERS", "MATCHES", "UNKNOWN_ITEM"]
    assert (answer["missing"], answer["differs"], answer["unknown_item"]) == (1, 1, 1)
    assert answer["differences"] == [
        {"currency": "GBP", "items": 1, "unpriced": 0, "surplus": "0", "shortage": "-7.00", "net": "-7.00"}
    ]
    assert "missing from the sheet  1" in run("stock", "variance", sheet).output
    assert items() == before


def test_an_export_that_fails_leaves_the_old_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    load(run)
    Path("levels.csv").write_text("old", encoding="utf-8")

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device", "levels.csv")

    monkeypatch.setattr(stock_verbs, "write_levels", fail)
    assert run("stock", "export", "levels.csv") == Script(1, "", "error: levels.csv: No space left on device\n")
    assert Path("levels.csv").read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["levels.csv", "stock.csv"]


def test_an_item_that_cannot_be_read_is_left_out_of_the_export_and_said(run: Run, stack: Stack) -> None:
    load(run)
    stack.put({"sku": "BOWL", "location_id": "LEEDS", "on_hand": "plenty"})
    said = run("stock", "export")
    assert said.output.splitlines()[1:] == [MUG_LEVEL]
    assert said.errors == "left out: item BOWL at LEEDS cannot be read: on_hand is not a number\n"
    shown = run("stock", "show", "BOWL", "LEEDS")
    assert "This item cannot be read, so jobs leave it alone: on_hand is not a number" in shown.output


# Changes


def test_changes_are_scheduled_once_and_say_who_asked_for_them(run: Run, records: Callable[[], Records]) -> None:
    load(run)
    file = write_changes(change_row(), change_row(change_id="c2"))
    answer = {"added": 2, "known": 0, "known_by_status": {}, "items": 1, "items_made": 0}
    assert run("changes", "schedule", file, "--json").answer == answer
    written_first = records()
    answer |= {"added": 0, "known": 2, "known_by_status": {"PENDING": 2}}
    assert run("changes", "schedule", file, "--json").answer == answer
    said = run("changes", "schedule", write_changes(change_row(), change_row(change_id="c3")))
    assert said.output == "1 change added for 1 item; 1 known already: 1 PENDING\n"

    assert {name: record for name, record in records().items() if name in written_first} == written_first
    record = written_first["MUG#LEEDS", "c1"]
    assert str(record["actor"]).startswith("arn:aws:")
    assert (record["source"], record["reason"]) == ("changes.csv", "sale")


def test_what_can_be_read_only_once_is_scheduled_too_and_leaves_nothing_behind(
    server: Engine, run: Run, stack: Stack, records: Callable[[], Records], tmp_path: Path
) -> None:
    load(run)
    for content, status in ((f"{CHANGE_HEADER}\n{change_row()}\n", 0), (CHANGE_HEADER.replace("value", "worth"), 2)):
        ended = subprocess.run(
            [sys.executable, str(CHECKOUT / "scripts" / "changes.py"), "schedule", "-", "--stack", stack.name],
            env=server.environment({"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}),
            input=content,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == status, ended.stderr
    assert ended.stderr.startswith("error: standard input: line 1, column value: ")
    assert records()["MUG#LEEDS", "c1"]["source"] == "standard input"
    assert [path.name for path in tmp_path.iterdir() if "inventory-updater" in path.name] == []


def test_what_clashes_is_noted_and_scheduled(run: Run) -> None:
    load(run)
    prices = [change_row(change_id=f"p{number}", kind="price", value=str(number)) for number in (3, 4)]
    said = run("changes", "schedule", write_changes(*prices))
    assert (said.status, said.output) == (0, "2 changes added for 1 item\n")
    assert said.errors.startswith("note: changes.csv: line 3: sets the price of the same item at the same moment as ")


def test_the_guards_of_the_stack_hold_a_file_until_it_is_said_to_be_meant(
    run: Run, records: Callable[[], Records]
) -> None:
    load(run)
    file = write_changes(change_row(kind="price", value="350"))
    said = run("changes", "schedule", file)
    assert (said.status, said.output, records()) == (5, "", {})
    assert said.errors.splitlines() == [
        "error: changes.csv: line 2, column value: 350 is 9,900 % above the price of 3.50; MaxPriceChangePercent is 50",
        "1 row is unusual, and nothing was written; if that is meant, send the file again with --accept-unusual",
    ]
    said = run("changes", "schedule", "--accept-unusual", file)
    assert (said.status, said.output) == (0, "1 change added for 1 item\n")


def test_a_missing_item_is_made_when_asked_for(run: Run, items: Callable[[], Items]) -> None:
    said = run("changes", "schedule", "--create-missing", write_changes(change_row()))
    assert said.output == "1 change added for 1 item, 1 of them new\n"
    assert items()["MUG", "LEEDS"]["on_hand"] == Decimal(0)


def test_changes_are_listed_in_the_order_in_which_they_are_due(run: Run) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"))
    schedule(
        run,
        change_row(),
        change_row(change_id="c2", effective_at=NEXT_YEAR),
        change_row(change_id="c3", sku="BOWL", effective_at=YESTERDAY.replace("Z", "+01:00")),
    )

    def listed(*arguments: str) -> list[str]:
        return [change["change_id"] for change in run("changes", "list", "--json", *arguments).answer["changes"]]

    assert listed() == listed("--pending") == ["c3", "c1", "c2"]
    assert (listed("--due"), listed("--sku", "MUG"), listed("--rejected")) == (["c3", "c1"], ["c1", "c2"], [])
    assert listed("--due", "--sku", "MUG", "--location", "LEEDS") == ["c1"]
    assert run("changes", "list", "--json", "--limit", "2").answer["has_more"] is True
    said = run("changes", "list", "--utc", "--limit", "1").output
    assert YESTERDAY.replace("Z", ".000000Z") not in said  # c3 has an hour less
    assert said.endswith("1 change, and there are more: --all lists them\n")
    rows = run("changes", "list", "--csv").output.splitlines()
    assert (rows[0].split(",")[:2], len(rows)) == (["change_id", "sku"], 4)


@pytest.mark.slow
def test_a_preview_of_a_file_says_what_the_job_then_does_and_its_plan_holds_until_something_differs(
    run: Run, items: Callable[[], Items], records: Callable[[], Records]
) -> None:
    load(run, stock_row(), stock_row(sku="CUP"))
    file = write_changes(change_row(), change_row(sku="CUP", value="-99"))

    summary = run("changes", "preview", file, "--json").answer
    rows = run("changes", "preview", file, "--csv")

    assert (records(), summary["by_outcome"]) == ({}, {"APPLIED": 1, "REJECTED": 1})
    lines = list(csv.DictReader(rows.output.splitlines()))
    assert {each["sku"]: (each["on_hand_after"], each["settled"], each["rejected"][:3]) for each in lines} == {
        "CUP": ("40", "", "c1:"),
        "MUG": ("38", "c1: APPLIED", ""),
    }
    assert rows.errors.endswith(f"plan id {summary['plan_id']}\n")
    other = written("other.csv", CHANGE_HEADER, change_row(value="-3"))
    refusal = run("changes", "schedule", other, "--plan-id", summary["plan_id"])
    assert (refusal.status, records()) == (2, {})
    assert "would do something else" in refusal.errors
    assert run("changes", "schedule", file, "--plan-id", summary["plan_id"]).status == 0
    of_job = run("job", "preview", "--json").answer
    assert of_job["by_outcome"] == summary["by_outcome"]
    assert run("job", "run").status == 4
    assert [items()[sku, "LEEDS"]["on_hand"] for sku in ("MUG", "CUP")] == [38, 40]
    assert run("job", "preview", "--json").answer["items"] == 0
    screen = run("changes", "preview", file, "--as-of", "yesterday")
    assert (screen.status, "--as-of: 'yesterday'" in screen.errors) == (2, True)


@pytest.mark.slow
def test_what_a_file_or_a_job_has_applied_is_undone_once(run: Run, items: Callable[[], Items]) -> None:
    load(run, stock_row())
    rows = [
        change_row(),
        change_row(change_id="c2", kind="price", value="4.20"),
        change_row(change_id="c3", value="-99"),
    ]
    schedule(run, *rows)
    assert run("job", "run").status == 4

    planned = run("changes", "undo", "--file", "changes.csv", "--check", "--json")
    undone = run("changes", "undo", "--file", "changes.csv", "--json")

    assert (planned.status, undone.status, planned.answer) == (1, 1, undone.answer)
    assert undone.answer["by_status"] == {"SCHEDULED": 2, "REJECTED": 1}
    assert run("job", "run").status == 0
    item = items()["MUG", "LEEDS"]
    assert (item["on_hand"], item["unit_price"]) == (40, Decimal("3.50"))
    assert run("changes", "undo", "--file", "changes.csv", "--json").answer["by_status"] == {"UNDONE": 2, "REJECTED": 1}
    latest = run("job", "list", "--json").answer["jobs"][0]["job_id"]
    assert run("changes", "undo", "--job", latest, "--json").answer["by_status"] == {"SCHEDULED": 2}
    of_source = run("changes", "undo", "--source", "changes.csv", "--json")
    assert (of_source.status, of_source.answer["by_status"]) == (1, {"UNDONE": 2, "REJECTED": 1})
    refusals = {
        ("undo",): "name what to undo in one way",
        ("undo", "c1"): "ID... goes with --sku and --location",
        ("undo", "--job", "no-such-job"): "there is no job no-such-job",
        ("undo", "--source", "change.csv"): "did you mean 'changes.csv'?",
    }
    said = {verb: run("changes", *verb) for verb in refusals}
    assert [
        verb for verb, message in refusals.items() if said[verb].status != 2 or message not in said[verb].errors
    ] == []


def test_changes_are_cancelled_by_id_and_a_window_ends_at_once(run: Run, items: Callable[[], Items]) -> None:
    load(run)
    schedule(run, change_row(effective_at=NEXT_YEAR))
    schedule(run, change_row(change_id="w1", kind="price", value="2", until=NEXT_YEAR))
    assert run("job", "run", "--json").answer["changes_opened"] == 1
    assert "Open windows, and what the figure is without them" in run("stock", "show", "MUG", "LEEDS").output
    assert items()["MUG", "LEEDS"]["unit_price"] == Decimal(2)

    names = [{"change_id": change_id, "sku": "MUG", "location_id": "LEEDS"} for change_id in ("c1", "w1")]
    answer = run("changes", "cancel", "c1", "w1", "--json").answer
    assert answer["changes"] == [name | {"status": "CANCELLED"} for name in names]
    assert answer["by_status"] == {"CANCELLED": 2}
    assert items()["MUG", "LEEDS"]["unit_price"] == Decimal("3.50")
    shown = run("changes", "show", "w1", "MUG", "LEEDS", "--json").answer
    assert (shown["status"], shown["before"], shown["after"]) == ("CANCELLED", "2", "3.50")
    assert shown["cancelled_by"].startswith("arn:aws:")


def test_an_id_that_waits_in_several_items_is_cancelled_in_the_one_that_is_named(
    run: Run, records: Callable[[], Records]
) -> None:
    load(run, stock_row(), stock_row(sku="BOWL"))
    schedule(run, change_row(), change_row(sku="BOWL"))
    said = run("changes", "cancel", "c1")
    assert said.status == 2
    assert said.errors.startswith("error: a change c1 is waiting in 2 items: name one of ")
    assert run("changes", "cancel", "c1", "--sku", "BOWL", "--location", "LEEDS").status == 0
    statuses = {item: record["status"] for (item, _), record in records().items()}
    assert statuses == {"BOWL#LEEDS": "CANCELLED", "MUG#LEEDS": "PENDING"}


@pytest.mark.slow
def test_what_still_waits_of_a_file_is_cancelled_and_every_row_is_followed(
    run: Run, records: Callable[[], Records]
) -> None:
    load(run)
    later = {"effective_at": NEXT_YEAR, "reference": "PO 9"}
    schedule(run, change_row(), change_row(change_id="c2", **later), change_row(change_id="c3", value="-500"))
    job = run("job", "run", "--json").answer["job_id"]
    written("both.csv", CHANGE_HEADER, change_row(), change_row(change_id="c2", **later))

    said = run("changes", "cancel", "--file", "both.csv")

    assert (said.status, said.output.splitlines()[-1]) == (1, "2 changes: 1 APPLIED, 1 CANCELLED")
    assert "change c1 of MUG at LEEDS is APPLIED, settled at " in " ".join(said.output.split())
    said = run("changes", "cancel", "--reference", "PO 9")
    assert (said.status, said.output, "nothing that waits has the reference 'PO 9'" in said.errors) == (2, "", True)
    answer = run("changes", "status", "changes.csv", "--json").answer
    assert answer["by_status"] == {"APPLIED": 1, "CANCELLED": 1, "REJECTED": 1}
    told = {each["change_id"]: each for each in answer["changes"]}
    assert (told["c1"]["job_id"], told["c1"]["before"], told["c1"]["after"]) == (job, "40", "38")
    assert told["c2"]["cancelled_by"].startswith("arn:aws:")
    assert told["c3"]["code"] == "INSUFFICIENT_STOCK"
    schedule(run, change_row(change_id="c4", **later))
    assert run("changes", "cancel", "--source", "changes.csv").output == "1 change: 1 CANCELLED\n"
    assert records()["MUG#LEEDS", "c4"]["status"] == "CANCELLED"


@pytest.mark.slow
def test_the_history_of_an_item_says_what_it_was_before_a_job_and_after_it(run: Run) -> None:
    load(run)
    window = {"kind": "price", "value": "2", "until": NEXT_YEAR}
    schedule(run, change_row(), change_row(change_id="w1", **window))
    before = deployments.now()
    assert run("job", "run", "--json").status == 0
    assert run("changes", "cancel", "w1").status == 0

    settled = run("stock", "history", "MUG", "LEEDS", "--json").answer["settled"]

    told = [(each["change_id"], each["status"], each["before"], each["after"]) for each in settled]
    assert told == [("w1", "CANCELLED", "2", "3.50"), ("w1", "OPEN", "3.50", "2"), ("c1", "APPLIED", "40", "38")]
    then = {
        at: run("stock", "history", "MUG", "--at", at, "--json").answer for at in (before, settled[1]["settled_at"])
    }
    figures = [answer["items"][0]["figures"] for answer in then.values()]
    assert [(each["on_hand"]["value"], each["unit_price"]["value"]) for each in figures] == [
        ("40", "3.50"),
        ("38", "2"),
    ]


def test_an_empty_sku_or_location_is_refused(run: Run) -> None:
    commands = ("cancel c1", "retry --id c1", "dismiss c1", "list")
    said = {
        command: [run("changes", *command.split(), option, "").status for option in ("--sku", "--location")]
        for command in commands
    }
    assert said == {command: [2, 2] for command in commands}


# Jobs


def test_a_job_is_run_shown_and_listed_and_what_it_rejected_retried_or_dismissed(
    run: Run, items: Callable[[], Items]
) -> None:
    load(run)
    schedule(run, change_row(), change_row(change_id="c2", value="-50"), change_row(change_id="c3", value="-5000"))

    said = run("job", "run", "--json")
    assert said.status == 4
    expected = {"status": "COMPLETED_WITH_FAILURES", "tally_is_exact": True, "trigger": "manual"}
    expected |= {"items_scanned": 1, "items_updated": 1, "items_failed": 0}
    expected |= {"changes_applied": 1, "changes_rejected": 2, "changes_superseded": 0}
    assert said.answer | expected == said.answer
    job_id = said.answer["job_id"]

    failures = run("job", "show", job_id, "--json").answer["failures"]
    assert {(each["change_id"], each["code"]) for each in failures} == {
        ("c2", "INSUFFICIENT_STOCK"),
        ("c3", "INSUFFICIENT_STOCK"),
    }
    settled = run("job", "show", job_id, "--changes", "--json").answer["changes"]
    assert {each["change_id"]: each["outcome"] for each in settled} == {
        "c1": "APPLIED",
        "c2": "REJECTED",
        "c3": "REJECTED",
    }
    assert job_id in [job["job_id"] for job in run("job", "list", "--json").answer["jobs"]]
    shown = run("stock", "show", "MUG", "LEEDS").output
    assert "Settled changes, the newest first" in shown
    assert "Rejected changes, the newest first" in shown
    assert {change["change_id"] for change in run("changes", "list", "--rejected", "--json").answer["changes"]} == {
        "c2",
        "c3",
    }
    life = run("changes", "show", "c2", "--json").answer
    assert (life["status"], life["job_id"], life["before"], life["after"]) == ("REJECTED", job_id, "38", "38")

    dismissed = run("changes", "dismiss", "c3")
    assert (dismissed.status, dismissed.output.splitlines()[-1]) == (0, "1 change: 1 dismissed")
    assert [change["change_id"] for change in run("changes", "list", "--rejected", "--json").answer["changes"]] == [
        "c2"
    ]
    assert run("changes", "show", "c3", "MUG", "LEEDS", "--json").answer["dismissed_by"].startswith("arn:aws:")

    assert run("stock", "load", "--replace", write_stock(stock_row(on_hand="60"))).status == 0
    assert run("changes", "retry", job_id, "--json").answer["by_status"] == {"PENDING": 1}
    assert run("job", "run", "--json").answer["changes_applied"] == 1
    assert items()["MUG", "LEEDS"]["on_hand"] == Decimal(10)
    assert run("changes", "retry", job_id, "--json").answer == {"changes": [], "by_status": {}}
    said = run("changes", "cancel", "c2", "--sku", "MUG", "--location", "LEEDS")
    assert said.status == 2
    assert said.errors.startswith("error: change c2 of MUG at LEEDS is APPLIED, settled at ")


def test_a_change_is_retried_by_its_id(run: Run) -> None:
    load(run)
    schedule(run, change_row(value="-50"))
    assert run("job", "run", "--json").status == 4
    answer = run("changes", "retry", "--id", "c1", "--json").answer
    assert answer["changes"] == [{"change_id": "c1", "sku": "MUG", "location_id": "LEEDS", "status": "PENDING"}]
    assert run("changes", "show", "c1", "--json").answer["attempt"] == 2


def test_as_of_is_inclusive(run: Run, records: Callable[[], Records]) -> None:
    load(run)
    schedule(run, change_row(), change_row(change_id="c2", effective_at=YESTERDAY.replace("Z", ".000001Z")))
    assert run("job", "run", "--json", "--as-of", YESTERDAY).answer["changes_applied"] == 1
    assert {change_id: record["status"] for (_, change_id), record in records().items()} == {
        "c1": "APPLIED",
        "c2": "PENDING",
    }


Started = tuple[str, "subprocess.Popen[str]"]


@pytest.fixture
def started(run: Run, stack: Stack) -> Iterator[Started]:
    """A job that takes a while, and the process that watches it."""
    skus = [f"S{number:03}" for number in range(300)]
    load(run, *(stock_row(sku=sku) for sku in skus))
    schedule(run, *(change_row(change_id=f"c{sku}", sku=sku) for sku in skus))

    def jobs() -> set[str]:
        return {known_job["job_id"] for known_job in run("job", "list", "--json").answer["jobs"]}

    known = jobs()
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "scripts" / "job.py"), "run", "--json", "--stack", stack.name],
        env=stack.engine.environment({"PATH": os.environ["PATH"]}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background have been told to ignore Ctrl-C, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        wait_until(lambda: jobs() - known, "the job did not begin", seconds=30, pause_seconds=0.2)
        (job_id,) = jobs() - known
        yield job_id, process
        if process.poll() is None:
            process.kill()
    # The next test shall not meet this job's lease.
    run("job", "stop", job_id)


@pytest.mark.slow
def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_it(run: Run, stack: Stack, started: Started) -> None:
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
    assert (followed.status, followed.answer["status"]) == (0, "SUCCEEDED")
    assert followed.answer["changes_applied"] == 300


@pytest.mark.slow
def test_a_stopped_job_is_abandoned_and_the_next_one_may_begin(run: Run, started: Started) -> None:
    job_id, process = started
    skipped = run("job", "run", "--json")
    assert (skipped.status, skipped.answer["status"]) == (3, "SKIPPED")

    stopped = run("job", "stop", job_id, "--json")
    assert (stopped.status, stopped.answer) == (0, {"job_id": job_id, "status": "ABANDONED"})
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, json.loads(output)["status"]) == (1, "ABANDONED")
    assert "stopped by arn:aws:iam::" in run("job", "show", job_id).output
    assert run("job", "stop", job_id) == refused(f"job {job_id} has ended already: ABANDONED")

    assert run("job", "run", "--json").status == 0
    assert run("changes", "list", "--json").answer["changes"] == []


@pytest.mark.slow
def test_an_aborted_job_is_exit_code_1(stack: Stack, started: Started) -> None:
    job_id, process = started
    step_functions: SFNClient = stack.client("stepfunctions")
    arn = stack.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
    step_functions.stop_execution(executionArn=f"{arn}:{job_id}", error="Test", cause="by the test")
    answer = json.loads(process.communicate(timeout=30)[0])
    assert (process.returncode, answer["status"]) == (1, "ABORTED")
    assert "by the test" in answer["error"]
