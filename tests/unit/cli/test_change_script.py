"""`changes.py` on tables in memory: how much it reads, and what it says of what happens meanwhile."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cli import change_verbs
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
