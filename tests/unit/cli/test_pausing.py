"""scripts/pausing.py: schedules switched off and on, and what remembers it."""

import json
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from cli import job_verbs as job
from cli.pausing import MARK, NOT_SENT_BACK, Schedules, ScheduleState, request_for, state_of
from tests.cloudformation import parameter_values, resolve, resources_of_type
from tests.fakes.deployment import FakeDeployment
from tests.fakes.scheduler import GROUP, FakeScheduler, schedule

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient

DUE, ALL = "inventory-updater-due-shop", "inventory-updater-all-shop"


def schedules(scheduler: FakeScheduler) -> Schedules:
    return Schedules(cast("EventBridgeSchedulerClient", scheduler), GROUP, "shop")


def test_a_request_sends_back_everything_that_an_update_would_reset() -> None:
    before = schedule()
    request: Any = request_for(before, ScheduleState.PAUSED)
    changed = {"State": "DISABLED", "Description": f"Applies the changes that are due.{MARK}"}

    assert {name: value for name, value in before.items() if name not in NOT_SENT_BACK} | changed == request


def test_all_that_aws_describes_of_a_schedule_is_sent_back_or_cannot_be() -> None:
    model: Any = boto3.client("scheduler", region_name="eu-west-1").meta.service_model
    described, taken = (set(model.shape_for(shape).members) for shape in ("GetScheduleOutput", "UpdateScheduleInput"))

    assert described - taken == NOT_SENT_BACK - {"ResponseMetadata"}
    assert taken - described == {"ClientToken"}


def test_resuming_gives_the_schedule_back_as_it_was() -> None:
    scheduler = FakeScheduler(due="ENABLED", all="ENABLED")
    before = dict(scheduler.schedules)
    schedules(scheduler).pause()
    schedules(scheduler).resume()

    assert before == scheduler.schedules
    assert [DUE, ALL, DUE, ALL] == scheduler.updated


def test_pausing_and_resuming_twice_is_the_same_as_once() -> None:
    scheduler = FakeScheduler(due="ENABLED", all="ENABLED")
    schedules(scheduler).pause()
    paused = dict(scheduler.schedules)
    assert dict.fromkeys(("due", "all"), ScheduleState.PAUSED) == schedules(scheduler).pause()
    assert paused == scheduler.schedules

    schedules(scheduler).resume()
    assert dict.fromkeys(("due", "all"), ScheduleState.ENABLED) == schedules(scheduler).resume()
    assert len(scheduler.updated) == 4


def test_a_schedule_that_was_off_before_stays_off() -> None:
    scheduler = FakeScheduler(due="ENABLED", all="DISABLED")
    schedules(scheduler).pause()
    assert {"due": ScheduleState.PAUSED, "all": ScheduleState.DISABLED} == schedules(scheduler).states()

    schedules(scheduler).resume()
    assert {"due": ScheduleState.ENABLED, "all": ScheduleState.DISABLED} == schedules(scheduler).states()
    assert [DUE, DUE] == scheduler.updated


def test_a_schedule_that_a_deployment_wrote_anew_is_not_paused_any_more() -> None:
    scheduler = FakeScheduler(due="ENABLED", all="ENABLED")
    schedules(scheduler).pause()
    scheduler.schedules[DUE] = schedule("due", "DISABLED")
    scheduler.schedules[ALL] = schedule("all", "ENABLED")

    assert {"due": ScheduleState.DISABLED, "all": ScheduleState.ENABLED} == schedules(scheduler).states()
    assert None is request_for(scheduler.get_schedule(GroupName=GROUP, Name=DUE), ScheduleState.ENABLED)


def test_a_mark_that_somebody_left_by_switching_on_by_hand_is_not_doubled() -> None:
    left = schedule(Description=f"Applies the changes that are due.{MARK}")
    request: Any = request_for(left, ScheduleState.PAUSED)

    assert ScheduleState.ENABLED is state_of(left)
    assert f"Applies the changes that are due.{MARK}" == request["Description"]


@pytest.mark.parametrize("name", ["DueSchedule", "AllSchedule"])
def test_the_schedules_of_the_template_are_found_and_their_descriptions_leave_room_for_the_mark(name: str) -> None:
    properties = resolve(
        resources_of_type("AWS::Scheduler::Schedule")[name]["Properties"], parameter_values(EnvironmentSuffix="shop")
    )

    assert {"DueSchedule": DUE, "AllSchedule": ALL}[name] == properties["Name"]
    # https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
    assert len(properties["Description"] + MARK) <= 512


# What the script says


def said(
    scheduler: FakeScheduler,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> tuple[int, str, str]:
    monkeypatch.setattr(job, "find_deployment", lambda _options: FakeDeployment(scheduler=scheduler))
    code = job.commands().main(arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_each_schedule_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = FakeScheduler(due="ENABLED", all="DISABLED")
    off = "was off already, by its parameter or by hand: resume will leave it off"
    stays = "stays off: it was not paused, but switched off by its parameter or by hand"

    assert (0, f"due: paused\nall: {off}\n", "") == said(scheduler, monkeypatch, capsys, "pause")
    assert (0, f"due: was paused already\nall: {off}\n", "") == said(scheduler, monkeypatch, capsys, "pause")
    assert (0, f"due: on again\nall: {stays}\n", "") == said(scheduler, monkeypatch, capsys, "resume")
    assert (0, f"due: was on already\nall: {stays}\n", "") == said(scheduler, monkeypatch, capsys, "resume")


def test_the_answer_as_a_document_names_what_has_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = FakeScheduler(due="ENABLED", all="DISABLED")
    documents = [
        json.loads(said(scheduler, monkeypatch, capsys, verb, "--json")[1])
        for verb in ("pause", "pause", "resume", "list")
    ]

    assert [
        {"schedules": {"due": "PAUSED", "all": "DISABLED"}, "changed": ["due"]},
        {"schedules": {"due": "PAUSED", "all": "DISABLED"}, "changed": []},
        {"schedules": {"due": "ENABLED", "all": "DISABLED"}, "changed": ["due"]},
        {"jobs": [], "schedules": {"due": "ENABLED", "all": "DISABLED"}},
    ] == documents


def test_the_list_of_jobs_says_which_schedules_are_off_and_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = FakeScheduler(due="ENABLED", all="ENABLED")
    assert "paused" not in said(scheduler, monkeypatch, capsys, "list")[1]

    schedules(scheduler).pause()
    assert "paused: due, all (until job.py resume)" in said(scheduler, monkeypatch, capsys, "list")[1].splitlines()

    mixed = said(FakeScheduler(due="ENABLED", all="DISABLED"), monkeypatch, capsys, "list")[1].splitlines()
    assert "off: all (by parameter, or by hand)" in mixed


def test_the_jobs_are_listed_also_where_the_schedules_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, errors = said(FakeScheduler(), monkeypatch, capsys, "list", "--json")

    assert (0, {"jobs": [], "schedules": None}) == (code, json.loads(output))
    assert errors.startswith("note: whether the schedules are on is not known: AWS refused GetSchedule")


def test_a_schedule_that_is_gone_is_told_and_nothing_is_passed_over() -> None:
    with pytest.raises(ClientError):
        schedules(FakeScheduler(due="ENABLED")).pause()
