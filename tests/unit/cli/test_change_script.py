"""`changes.py` on tables in memory: how much it reads, and what it says of what happens meanwhile."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import cancelling, change_verbs, following, undoing
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_HELD
from inventory_updater.intake import withdrawing
from inventory_updater.intake.text_rows import CHANGE_COLUMNS
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.protocol import Protocol
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import NEXT_YEAR, NOW, USUAL_GUARDS, change, item_attributes, moment, record_attributes
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
        guards=lambda: USUAL_GUARDS,
        caller=lambda: "ann",
        protocol=lambda: Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"}),
    )
    for verbs in (change_verbs, cancelling, following, undoing):
        monkeypatch.setattr(verbs, "find_deployment", lambda _options: deployed)
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
    statuses = {"c1": Status.CANCELLED, "c2": Status.APPLIED, "c3": None}
    found = {(MUG, change_id): status for change_id, status in statuses.items()}
    monkeypatch.setattr(withdrawing, "_cancel", lambda *_arguments: (found, {}))
    assert command("cancel", *statuses) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 changes: 1 CANCELLED, 1 APPLIED, 1 UNKNOWN"
    assert command("cancel", *statuses, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["by_status"] == {"CANCELLED": 1, "APPLIED": 1, "UNKNOWN": 1}
    assert [each.get("message") for each in answer["changes"]] == [
        None,
        "change c2 of mug at DC1 was settled in the meantime",
        "the record of change c3 of mug at DC1 is gone",
    ]


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
    f"taken,mug,DC1,adjustment,3,{NEXT_YEAR}",
    f"c1,mug,DC1,adjustment,3,{NEXT_YEAR}",
    f"c2,MUG,DC1,adjustment,many,{NEXT_YEAR}",
    "c3,cup,DC1,price,2,2020-03-02T12:00:00Z",
    f"c1,mug,DC1,adjustment,4,{NEXT_YEAR}",
    f"c5,,DC1,price,2,{NEXT_YEAR}",
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
    good = f"g1;cup;DC1;price;2;{NEXT_YEAR};sale"
    bad = [f"b1;pot;DC1;price;many;{NEXT_YEAR}; x ", f"b2;pot;DC1;price;3;{NEXT_YEAR}"]
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
    rest.write_text(rest.read_text(encoding="utf-8").replace("many", "2.25"), encoding="utf-8")
    assert command("--json", "schedule", str(rest)) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2
    stored = warehouse.services.changes.stored([(cup, "g1"), (pot, "b1"), (pot, "b2")])
    assert [str(record["value"]) for record in stored.values()] == ["2", "2.25", "3"]


def test_a_file_without_rows_is_taken_and_it_is_said_that_it_has_none(
    warehouse: Warehouse,  # noqa: ARG001
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "changes.csv"
    file.write_text(rows_of() + "\n,,,,,\n", encoding="utf-8")

    assert command("schedule", str(file)) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "0 changes added for 0 items\n",
        f"note: {file}: it has a header and no rows\n",
    )
    assert command("schedule", "--check", "--json", str(file)) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == ["it has a header and no rows"]


def price_rows(*prices: object) -> str:
    """A price for each of as many items; those of a warehouse cost 2.50."""
    return rows_of(*(f"p{n},sku-{n},DC1,price,{price},{NEXT_YEAR}" for n, price in enumerate(prices)))


HELD = "if that is meant, send the file again with --accept-unusual"


def test_what_is_unusual_is_held_and_named_until_it_is_said_to_be_meant(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{n}") for n in range(60)))
    file, told = tmp_path / "changes.csv", tmp_path / "problems.csv"
    file.write_text(price_rows(3, *[250] * 55, 0, 2), encoding="utf-8")

    assert command("schedule", "--problems", str(told), str(file)) == EXIT_HELD
    screen = capsys.readouterr()
    assert command("--json", "schedule", str(file)) == EXIT_HELD
    answer = json.loads(capsys.readouterr().out)
    assert command("--json", "schedule", "--check", str(file)) == 0
    checked = json.loads(capsys.readouterr().out)
    assert command("schedule", "--check", str(file)) == 0
    looked = capsys.readouterr()

    lines = screen.err.splitlines()
    assert (screen.out, len(lines)) == ("", 52)
    assert lines[0].endswith(
        "line 3, column value: 250 is 9,900 % above the price of 2.5; MaxPriceChangePercent is 50"
    ), lines[0]
    assert lines[-2:] == ["... and 6 more problems", f"56 rows are unusual, and nothing was written; {HELD}"]
    codes = [(line, "value", "PRICE_CHANGE") for line in range(3, 58)] + [(58, "value", "PRICE_ZERO")]
    assert (answer["held"], answer["rows"], answer["good"]) == (True, 58, 58)
    assert answer["problems"] == answer["unusual"]
    assert checked == answer | {"problems": []}
    assert looked.out == "58 rows, all good\n"
    assert looked.err.splitlines()[-2:] == [
        "... and 6 more",
        "56 rows are unusual: it is held when it is scheduled, unless with --accept-unusual",
    ]
    assert looked.err.splitlines()[:50] == [line.removeprefix("error: ") for line in lines[:50]]
    assert [(each["line"], each["column"], each["code"]) for each in answer["unusual"]] == codes
    with told.open(encoding="utf-8", newline="") as text:
        assert [(int(row["line"]), row["column"], row["code"]) for row in csv.DictReader(text)] == codes
    assert warehouse.dynamodb.items(warehouse.tables.changes) == []

    assert command("schedule", "--accept-unusual", "--check", str(file)) == 0
    assert command("schedule", "--accept-unusual", str(file)) == 0
    assert capsys.readouterr().out == "58 rows, all good\n58 changes added for 58 items\n"
    assert command("schedule", str(file)) == 0


def test_with_a_problem_beside_it_what_is_unusual_is_told_and_the_file_is_not_only_held(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{n}") for n in range(3)))
    file = tmp_path / "changes.csv"
    file.write_text(price_rows("many", 250, 3, 4), encoding="utf-8")

    assert command("--json", "schedule", str(file)) == EXIT_BAD_INPUT

    said = capsys.readouterr()
    answer = json.loads(said.out)
    found = {name: [(each["line"], each["code"]) for each in answer[name]] for name in ("problems", "unusual")}
    unusual = (3, "PRICE_CHANGE")
    assert found == {"problems": [(2, "NOT_A_NUMBER"), unusual, (5, "UNKNOWN_ITEM")], "unusual": [unusual]}
    assert (answer["held"], answer["good"]) == (False, 2)
    assert [line.partition(", ")[0].rpartition(" ")[-1] for line in said.err.splitlines()[:-1]] == ["2", "3", "5"]
    assert said.err.splitlines()[-1] == (
        "1 row is unusual, and nothing was written; correct the rest, and if that is meant add --accept-unusual"
    )


def test_what_only_the_whole_file_shows_is_told_by_line_among_the_rest(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{n}") for n in range(12)))
    counts = [f"c{n},sku-{n},DC1,count,0,{NEXT_YEAR}" for n in range(12)]
    counts[5] = f"c5,sku-5,DC1,price,250,{NEXT_YEAR}"
    file, rest = tmp_path / "changes.csv", tmp_path / "rest.csv"
    file.write_text(rows_of(*counts, f"good,mug,DC1,count,9,{NEXT_YEAR}", counts[0]), encoding="utf-8")

    assert command("schedule", "--check", "--problems", "-", str(file)) == EXIT_BAD_INPUT
    found = [(int(row["line"]), row["code"]) for row in csv.DictReader(capsys.readouterr().out.splitlines())]
    emptied = [(line, "PRICE_CHANGE" if line == 7 else "OUT_OF_STOCK") for line in range(2, 14)]
    assert found == [*emptied, (15, "DUPLICATE_ID")]

    assert command("schedule", "--accept-good", str(rest), str(file)) == EXIT_FAILED
    assert capsys.readouterr().out == "1 change added for 1 item; 13 rows given back in " + f"{rest}\n"
    rest.write_text("\n".join(rest.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
    assert command("schedule", str(rest)) == EXIT_HELD
    assert command("schedule", "--accept-unusual", str(rest)) == 0
    assert capsys.readouterr().out == "12 changes added for 12 items\n"


def test_of_a_file_that_breaks_off_nothing_is_accepted(
    warehouse: Warehouse, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rest = tmp_path / "changes.csv", tmp_path / "rest.csv"
    file.write_text(rows_of(f"c1,mug,DC1,price,2,{NEXT_YEAR}", 'c2,mug,DC1,"price'), encoding="utf-8")

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


HEADER = "change_id,sku,location_id,kind,value,effective_at"


def change_file(path: Path, *changes: Change) -> str:
    """A file of changes of the mug."""
    rows = [f"{each.change_id},mug,DC1,{each.kind},{each.value},{each.effective_at}" for each in changes]
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return str(path)


def test_each_row_of_a_file_is_told_with_what_became_of_it(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sent = [
        change("sold", value=-3),
        change("lost", value=-99),
        change("later", at="19:00"),
        change("dear", "count", 11),
    ]
    warehouse.schedule(MUG, *sent)
    warehouse.run_job()
    sent[-1] = change("dear", "count", 12)
    file = change_file(tmp_path / "day.csv", *sent, change("never"))

    assert command("status", file, "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    settled = {"settled_at": moment("12:00"), "job_id": "job-1"}
    told = {each.pop("change_id"): each for each in answer["changes"]}
    where = [{"status": each.pop("status"), "line": each.pop("line")} for each in told.values()]
    assert [tuple(each.values()) for each in where] == [
        ("APPLIED", 2),
        ("REJECTED", 3),
        ("PENDING", 4),
        ("TAKEN", 5),
        ("UNKNOWN", 6),
    ]
    message = "on hand is 10, the adjustment -99"
    taken = "change dear of mug at DC1 is known with another value and is APPLIED; its record says value 11 (here 12)"
    wanted: dict[str, dict[str, object]] = {
        "sold": {**settled, "before": "10", "after": "7"},
        "lost": {**settled, "before": "10", "after": "10", "code": "INSUFFICIENT_STOCK", "message": message},
        "later": {},
        "dear": {"message": f"{taken}: a corrected one needs an id of its own"},
        "never": {"message": "there is no change never of mug at DC1"},
    }
    assert told == {change_id: each | MUG._asdict() for change_id, each in wanted.items()}
    assert answer["by_status"] == {"APPLIED": 1, "REJECTED": 1, "PENDING": 1, "TAKEN": 1, "UNKNOWN": 1}

    assert command("status", file, "--csv") == 0
    said = capsys.readouterr()
    assert [row["change_id"] for row in csv.DictReader(said.out.splitlines())] == list(wanted)
    assert said.err == "5 changes: 1 APPLIED, 1 REJECTED, 1 PENDING, 1 TAKEN, 1 UNKNOWN\n"


def test_a_file_with_problems_has_no_status_and_nothing_of_it_is_cancelled(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    warehouse.schedule(MUG, change("c1"))
    file = change_file(tmp_path / "bad.csv", change("c1"), change("c1", value=2))
    for verb in (("status", file), ("cancel", "--file", file)):
        assert command(*verb) == 2
        assert "bad.csv: line 3, column change_id: duplicate change id 'c1'" in capsys.readouterr().err
    assert warehouse.statuses() == {"c1": "PENDING"}


def test_a_long_file_is_followed_in_batches_and_the_first_hundred_rows_are_shown(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sent = [change(f"c{number:03}") for number in range(450)]
    warehouse.schedule(MUG, *sent)
    file = change_file(tmp_path / "long.csv", *sent)
    lengths = {}
    for arguments in ((), ("--all",)):
        warehouse.dynamodb.calls.clear()
        assert command("status", file, *arguments) == 0
        shown = capsys.readouterr().out.splitlines()
        lengths[arguments] = (sum(line.startswith("c") for line in shown), shown[-1])
        assert warehouse.dynamodb.calls == {"batch_get_item": 5}
    more = "; 350 more of them with --all or --csv"
    assert lengths == {
        (): (101, f"450 changes: 450 PENDING{more}"),
        ("--all",): (451, "450 changes: 450 PENDING"),
    }


def test_what_still_waits_of_a_file_is_cancelled_and_the_rest_is_said(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sent = [change("sold", value=-3), change("later", at="19:00"), change("soon", at="19:00")]
    warehouse.schedule(MUG, *sent)
    warehouse.run_job()
    file = change_file(tmp_path / "day.csv", *sent)

    assert command("cancel", "--file", file) == 1

    said = capsys.readouterr().out
    assert f"change sold of mug at DC1 is APPLIED, settled at {moment('12:00')}" in said
    assert said.endswith("3 changes: 2 CANCELLED, 1 APPLIED\n")
    assert "later" not in said
    assert warehouse.statuses() == {"sold": "APPLIED", "later": "CANCELLED", "soon": "CANCELLED"}
    assert command("cancel", "--file", change_file(tmp_path / "rest.csv", *sent[1:])) == 0


def test_what_waits_of_a_source_or_with_a_reference_is_cancelled(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "deliveries-of-the-second-week-of-march-" * 3
    records = [
        record_attributes(MUG, change("a", reference="PO-7"), source="monday.csv"),
        record_attributes(MUG, change("b", reference="PO-8"), source="monday.csv"),
        record_attributes(MUG, change("c", reference="PO-9"), source=long[-64:]),
        record_attributes(MUG, change("d", reference="PO-77"), source="tuesday.csv"),
        record_attributes(MUG, change("e"), source="monday.csv", status="APPLIED"),
    ]
    put_items(warehouse.dynamodb.client, warehouse.tables.changes, records)
    ways = (("--reference", "PO-7"), ("--source", "monday.csv"), ("--source", long))
    cancelled = {}
    for way, value in ways:
        assert command("cancel", way, value, "--csv") == 0
        said = capsys.readouterr()
        cancelled[way, value] = [row.split(",")[0] for row in said.out.splitlines()[1:]]
    assert cancelled == {
        ("--reference", "PO-7"): ["a"],
        ("--source", "monday.csv"): ["b"],
        ("--source", long): ["c"],
    }
    assert {change_id for change_id, status in warehouse.statuses().items() if status == "PENDING"} == {"d"}


def test_a_name_that_nothing_has_is_refused_with_the_nearest_that_is_known_before_a_word_of_an_answer(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [
        record_attributes(MUG, change("a", reference="PO-7"), source="monday.csv"),
        record_attributes(MUG, change("b"), source="tuesday.csv", status="APPLIED"),
        record_attributes(MUG, change("c")),
        record_attributes(MUG, change("d"), source="incoming/acme/week.csv@3HL4kqtJvjVBH40Nrjfkd1XvQ9sQbl7W"),
    ]
    put_items(warehouse.dynamodb.client, warehouse.tables.changes, records)
    of_bucket = "did you mean 'incoming/acme/week.csv@3HL4kqtJvjVBH40Nrjfkd1XvQ9sQbl7W'?"
    later = "(one that was written a moment ago is found a moment later)"
    refused = {
        ("cancel", "--source", "mondy.csv"): (
            f"nothing that waits has the source 'mondy.csv' {later}; did you mean 'monday.csv'?"
        ),
        ("cancel", "--source", "tuesday.csv"): (f"nothing that waits has the source 'tuesday.csv' {later}"),
        ("cancel", "--reference", "po 7"): f"nothing that waits has the reference 'po 7' {later}",
        ("undo", "--source", "tuesday"): (f"no change has the source 'tuesday' {later}; did you mean 'tuesday.csv'?"),
        ("cancel", "--source", "week.csv"): f"nothing that waits has the source 'week.csv' {later}; {of_bucket}",
        ("undo", "--source", "incoming/acme/week.csv"): (
            f"no change has the source 'incoming/acme/week.csv' {later}; {of_bucket}"
        ),
        ("undo", "--source", "x"): f"no change has the source 'x' {later}",
    }
    before = warehouse.statuses()
    for form in ((), ("--json",), ("--csv",)):
        for words, message in refused.items():
            assert command(*words, *form) == 2, words
            said = capsys.readouterr()
            assert (said.out, said.err) == ("", f"error: {message}\n")
    assert warehouse.statuses() == before


def test_what_came_from_a_source_is_undone_and_of_what_is_left_it_is_said_why(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "deliveries-of-the-second-week-of-march-" * 3
    sent = {
        "monday.csv": [change("sold", value=-3), change("dear", "price", 9), change("later", at="19:00")],
        long[-64:]: [change("found", value=2)],
    }
    for source, changes in sent.items():
        records = [record_attributes(MUG, each, source=source) for each in changes]
        put_items(warehouse.dynamodb.client, warehouse.tables.changes, records)
    warehouse.schedule(MUG, change("nobody", value=5))
    warehouse.run_job("job-1")

    told = {}
    for source in ("monday.csv", long, "monday.csv"):
        assert command("undo", "--source", source, "--json") == (source != long)
        told[source] = {each["change_id"]: each["status"] for each in json.loads(capsys.readouterr().out)["changes"]}
        if source == long:
            assert told == {
                "monday.csv": {"sold": "SCHEDULED", "dear": "SCHEDULED", "later": "PENDING"},
                long: {"found": "SCHEDULED"},
            }
    assert told["monday.csv"] == {"sold": "UNDONE", "dear": "UNDONE", "later": "PENDING"}
    warehouse.clock.goes_on(3600 * 24 * 365)
    warehouse.run_job("job-2")
    item = warehouse.items()[MUG]
    assert (item["on_hand"], item["unit_price"]) == (10 + 5 + 1, Decimal("2.50"))


def test_of_several_ids_those_that_wait_are_cancelled_and_of_the_others_it_is_said_why_not(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    cup = ItemKey("cup", "DC1")
    warehouse.put(item_attributes(sku="cup"))
    warehouse.schedule(MUG, change("c1"), change("c2"))
    warehouse.schedule(cup, change("c2"))

    assert command("cancel", "c1", "c2", "c3", "--json") == 1

    answer = json.loads(capsys.readouterr().out)
    assert [(each["change_id"], each["status"]) for each in answer["changes"]] == [
        ("c1", "CANCELLED"),
        ("c2", "AMBIGUOUS"),
        ("c3", "UNKNOWN"),
    ]
    assert command("cancel", "c2", "c3") == 2  # there is nothing that it could cancel
    assert capsys.readouterr().err.startswith("error: a change c2 is waiting in 2 items: name one of ")


def test_what_to_cancel_is_named_in_exactly_one_way(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = (
        *("cancel", "cancel c1 --file f.csv", "cancel --source a --reference b", "cancel c1 --reference b"),
        "cancel --source a --sku mug --location DC1",
    )
    assert {each: command(*each.split()) for each in wrong} == dict.fromkeys(wrong, 2)
    one_way = "error: name what to cancel in one way: by ID..., --file, --source or --reference"
    assert capsys.readouterr().err.splitlines() == [one_way] * 4 + ["error: --sku and --location go with ID..."]


def test_what_was_rejected_is_listed_in_the_columns_of_a_change_file(
    warehouse: Warehouse, command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    warehouse.schedule(MUG, change("lost", value=-99, reason="sale, early", reference="order 7"))
    warehouse.run_job()

    assert command("list", "--rejected", "--csv") == 0

    header, row = csv.reader(capsys.readouterr().out.splitlines())
    assert header == [*CHANGE_COLUMNS, "status", "code", "message", "job_id"]
    told = dict(zip(header, row, strict=True))
    assert (told["status"], told["code"]) == ("REJECTED", "INSUFFICIENT_STOCK")
    # Without what a change file does not have, it is the change that was sent.
    file = tmp_path / "again.csv"
    with file.open("w", newline="", encoding="utf-8") as written:
        csv.writer(written).writerows([CHANGE_COLUMNS, [told[name] for name in CHANGE_COLUMNS]])
    assert command("status", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["by_status"] == {"REJECTED": 1}
