"""`changes.py` on tables in memory: how much it reads, and what it says of what happens meanwhile."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import change_verbs
from cli.exit_codes import EXIT_FAILED
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import NOW, change, item_attributes, record_attributes
from tests.fakes.warehouse import MUG, Warehouse
from tests.shop import put_items

Command = Callable[..., int]


@pytest.fixture
def command(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`changes.py` where the warehouse is what is deployed."""
    services = warehouse.services
    warehouse.put(item_attributes())
    deployed = SimpleNamespace(
        dynamodb=lambda: services.dynamodb,
        inventory=lambda: services.inventory,
        changes=lambda: services.changes,
        jobs=lambda: services.jobs,
        caller=lambda: "ann",
    )
    monkeypatch.setattr(change_verbs, "find_deployment", lambda _options: deployed)
    return lambda *arguments: change_verbs.commands().main(arguments)


def test_no_more_is_read_than_is_shown(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.schedule(MUG, *(change(f"c{number:03}") for number in range(450)))
    reads = {}
    for arguments in ((), ("--limit", "7"), ("--all",)):
        warehouse.dynamodb.calls.clear()
        assert command("list", *arguments) == 0
        shown = capsys.readouterr().out.splitlines()
        reads[arguments] = (shown[-1], warehouse.dynamodb.calls["batch_get_item"])
    assert reads == {
        (): ("100 changes, and there are more: --all lists them", 2),
        ("--limit", "7"): ("7 changes, and there are more: --all lists them", 1),
        ("--all",): ("450 changes", 5),
    }
    assert command("list", "--csv") == 0
    assert len(capsys.readouterr().out.splitlines()) == 451


def test_what_the_index_still_has_and_has_been_settled_is_not_listed(
    warehouse: Warehouse, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.schedule(MUG, change("c1"), change("c2", at="18:30"))
    stale = [*warehouse.services.changes.waiting(), (MUG, "gone"), (ItemKey("cup", "DC1"), "c1")]
    assert command("cancel", "c1") == 0
    capsys.readouterr()
    for method in ("waiting", "rejected"):
        monkeypatch.setattr(ChangeTable, method, lambda _self, _moment=None: iter(stale))

    listed = {}
    for which in ("--pending", "--due", "--rejected"):
        assert command("list", which, "--json") == 0
        listed[which] = [each["change_id"] for each in json.loads(capsys.readouterr().out)["changes"]]
    assert listed == {"--pending": ["c2"], "--due": ["c2"], "--rejected": []}


def test_what_a_job_settled_before_it_was_cancelled_is_told_and_is_exit_code_1(
    warehouse: Warehouse, command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.schedule(MUG, change("c1"), change("c2"), change("c3"))
    outcomes = {(MUG, "c1"): Status.CANCELLED, (MUG, "c2"): Status.APPLIED, (MUG, "c3"): None}
    monkeypatch.setattr(change_verbs, "cancel_changes", lambda *_arguments, **_options: outcomes)
    assert command("cancel", "c1", "c2", "c3") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 changes: 1 CANCELLED, 1 APPLIED, 1 gone"
    assert command("cancel", "c1", "c2", "c3", "--json") == 1
    assert json.loads(capsys.readouterr().out)["by_status"] == {"CANCELLED": 1, "APPLIED": 1, "GONE": 1}


def test_a_job_that_runs_is_not_retried_and_one_whose_record_has_expired_is(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("retry", "job-1") == 2
    rejected = {"status": "REJECTED", "job_id": "job-0", "due_shard": "REJECTED"}
    record = record_attributes(MUG, change("c2", value=-50), **rejected)
    put_items(warehouse.dynamodb.client, warehouse.tables.changes, [record])
    warehouse.jobs.start_run(Run("job-1", JobStatus.RUNNING, "due", "manual", NOW, NOW, segments=1))

    assert (command("retry", "job-1"), command("retry", "job-0")) == (2, 0)

    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "error: there is no job job-1",
        "error: job job-1 is still running: retry what it rejected when it has ended",
    ]
    assert said.out.endswith("1 change: 1 PENDING\n")


# Files


def rows_of(*rows: str) -> str:
    return "\n".join(["change_id,sku,location_id,kind,value,effective_at,reason", *rows, ""])


def problems_of(command: Command, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[int, str, str]]:
    assert command("schedule", "--check", "--json", *arguments) == 2
    answer = json.loads(capsys.readouterr().out)
    return [(each["line"], each["column"], each["code"]) for each in answer["problems"]]


BAD_ROWS = rows_of(
    "taken,mug,DC1,adjustment,3,2099-03-02T12:00:00Z",
    "c1,mug,DC1,adjustment,3,2099-03-02T12:00:00Z",
    "c2,MUG,DC1,adjustment,many,2099-03-02T12:00:00Z",
    "c3,cup,DC1,price,2,2020-03-02T12:00:00Z",
    "c1,mug,DC1,adjustment,4,2099-03-02T12:00:00Z",
    "c5,,DC1,price,2,2099-03-02T12:00:00Z",
)
ALL_PROBLEMS = [
    (2, "change_id", "CHANGE_ID_TAKEN"),
    (4, "value", "NOT_A_NUMBER"),
    (4, "sku", "UNKNOWN_ITEM"),
    (5, "sku", "UNKNOWN_ITEM"),
    (5, "effective_at", "TOO_OLD"),
    (6, "change_id", "DUPLICATE_ID"),
    (7, "sku", "EMPTY"),
]


def test_all_that_is_wrong_with_a_file_is_told_at_once_by_line_and_nothing_is_written(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.schedule(MUG, change("taken"))
    file, told = tmp_path / "changes.csv", tmp_path / "problems.csv"
    file.write_text(BAD_ROWS, encoding="utf-8")
    before = warehouse.dynamodb.calls.copy()

    assert problems_of(command, capsys, str(file)) == ALL_PROBLEMS
    assert command("schedule", "--problems", str(told), str(file)) == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(ALL_PROBLEMS)
    assert "there is 'mug' at 'DC1', which differs in its case" in lines[2]
    with told.open(encoding="utf-8", newline="") as text:
        written = [(int(row["line"]), row["column"], row["code"]) for row in csv.DictReader(text)]
    assert written == ALL_PROBLEMS
    assert not {"batch_execute_statement", "execute_statement"} & (warehouse.dynamodb.calls - before).keys()


def test_the_items_whose_rows_are_all_good_are_taken_and_the_rest_can_be_corrected_and_sent_again(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cup, pot = ItemKey("cup", "DC1"), ItemKey("pot", "DC1")
    warehouse.put(item_attributes(sku="cup"))
    warehouse.put(item_attributes(sku="pot"))
    good = "g1;cup;DC1;price;2;2099-03-02T12:00:00Z;sale"
    bad = ["b1;pot;DC1;price;many;2099-03-02T12:00:00Z; x ", "b2;pot;DC1;price;3;2099-03-02T12:00:00Z"]
    file, rest = tmp_path / "changes.csv", tmp_path / "rest.csv"
    header = rows_of().strip().replace(",", ";")
    file.write_text("\n".join([header, bad[0], good, bad[1]]), encoding="utf-8")

    assert command("--json", "schedule", "--accept-good", str(rest), str(file)) == EXIT_FAILED

    answer = json.loads(capsys.readouterr().out)
    assert (answer["added"], answer["items"], answer["given_back"]) == (1, 1, 2)
    with rest.open(encoding="utf-8", newline="") as text:
        given_back = [[*row[:-2], row[-2]] for row in csv.reader(text, delimiter=";")]
    assert given_back == [
        [*header.split(";"), "code"],
        [*bad[0].split(";"), "NOT_A_NUMBER"],
        [*bad[1].split(";"), "", "OTHER_ROW"],
    ]
    rest.write_text(rest.read_text(encoding="utf-8").replace("many", "4"), encoding="utf-8")
    assert command("--json", "schedule", str(rest)) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2
    stored = warehouse.services.changes.stored([(cup, "g1"), (pot, "b1"), (pot, "b2")])
    assert [str(record["value"]) for record in stored.values()] == ["2", "4", "3"]


def test_of_a_file_that_breaks_off_nothing_is_accepted(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rest = tmp_path / "changes.csv", tmp_path / "rest.csv"
    file.write_text(rows_of("c1,mug,DC1,price,2,2099-03-02T12:00:00Z", 'c2,mug,DC1,"price'), encoding="utf-8")

    assert command("schedule", "--accept-good", str(rest), str(file)) == 2

    assert "line 3: has a quotation mark that is never closed" in capsys.readouterr().err
    assert not rest.exists()
    assert not warehouse.services.changes.stored([(MUG, "c1")])


def test_standard_output_takes_one_thing_and_no_file_is_written_over_itself(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "changes.csv"
    file.write_text(BAD_ROWS, encoding="utf-8")
    assert command("schedule", "--accept-good", str(file), str(file)) == 2
    assert file.read_text(encoding="utf-8") == BAD_ROWS
    for arguments in (
        ("--json", "--problems", "-"),
        ("--check", "--accept-good", "rest.csv"),
        ("--time-zone", "Berlin"),
    ):
        assert command("schedule", *arguments, "nowhere.csv") == 2
    said = capsys.readouterr().err
    assert "did you mean Europe/Berlin?" in said
