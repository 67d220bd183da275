import csv
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from cli import job_verbs as job
from cli.deployments import Deployment
from cli.job_screens import JOB_COLUMNS, job_row, job_screen, live_screen
from cli.output import rows_screen
from cli.watching import Execution, Observation, Observer
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time, read_time
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.records import Failure, JobStatus, Run, Segment, SettledChange, Tally
from tests.fakes.deployment import AT_NOON, JOB_ID, MACHINE_ARN, FakeDeployment, refused, run_record
from tests.screens import check_screen

SCHEDULED = "a83e0c44-7e4e-4d5a-9f0e-2b1c7d0a6f55_5b1de2f9-0c3b-4f7e-8a57-c1f3d2e4b6a7"
UNKNOWN = refused("ExecutionDoesNotExist")


def watch(aws: FakeDeployment) -> list[Observation]:
    return list(Observer(cast(Deployment, aws), aws.sleep).watch(JOB_ID))


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeDeployment], FakeDeployment]:
    """Make the script find this deployment, and watch it in no time."""

    def put(aws: FakeDeployment) -> FakeDeployment:
        monkeypatch.setattr(job, "find_deployment", lambda _options: aws)
        monkeypatch.setattr(job, "Observer", partial(Observer, sleep=aws.sleep))
        return aws

    return put


Deploy = Callable[[FakeDeployment], FakeDeployment]


# Watching


def test_a_job_is_watched_until_its_execution_ends() -> None:
    aws = FakeDeployment(
        ["RUNNING", "RUNNING", "SUCCEEDED"],
        [None, run_record(), run_record(JobStatus.SUCCEEDED, tally=Tally(items_scanned=9))],
        [Segment(JOB_ID, 0, tally=Tally(items_scanned=3)), Segment(JOB_ID, 1, tally=Tally(items_scanned=2))],
    )
    seen = watch(aws)
    assert [observation.status for observation in seen] == ["WAITING", "RUNNING", "SUCCEEDED"]
    assert [observation.tally.items_scanned for observation in seen] == [0, 5, 9]
    assert set(aws.asked_for) == {f"{MACHINE_ARN.replace('stateMachine', 'execution')}:{JOB_ID}"}


@pytest.mark.parametrize(
    "trouble", [refused("ThrottlingException"), refused("ServiceUnavailable"), ConnectTimeoutError(endpoint_url="x")]
)
def test_watching_survives_a_busy_aws(trouble: Exception) -> None:
    aws = FakeDeployment([trouble, trouble, "SUCCEEDED"], [run_record(JobStatus.SUCCEEDED)])
    assert [observation.status for observation in watch(aws)] == ["SUCCEEDED"]
    assert aws.slept > 0


def test_watching_ends_where_it_is_not_allowed() -> None:
    with pytest.raises(ClientError):
        watch(FakeDeployment([refused("AccessDeniedException")]))


def test_an_execution_that_aws_does_not_show_yet_is_waited_for() -> None:
    aws = FakeDeployment(
        [UNKNOWN, UNKNOWN, "RUNNING", "SUCCEEDED"], [None, None, None, run_record(JobStatus.SUCCEEDED)]
    )
    assert watch(aws)[-1].status == "SUCCEEDED"


def test_an_execution_that_never_shows_is_given_up() -> None:
    aws = FakeDeployment([UNKNOWN])
    assert watch(aws)[-1].status == "UNKNOWN"
    assert aws.slept < 60


def test_who_stopped_the_execution_gets_the_time_to_settle_the_record() -> None:
    stopped = run_record(JobStatus.ABANDONED, error="stopped by bob")
    last = watch(FakeDeployment(["ABORTED"], [run_record(), run_record(), stopped]))[-1]
    assert (last.status, last.error) == ("ABANDONED", "stopped by bob")


@pytest.mark.parametrize("execution", ["TIMED_OUT", "ABORTED", "FAILED"])
def test_a_job_that_could_not_say_how_it_ended_has_its_executions_status(execution: str) -> None:
    assert watch(FakeDeployment([execution], [run_record()]))[-1].status == execution


def test_an_execution_that_failed_before_it_was_opened_says_why() -> None:
    last = watch(FakeDeployment(["FAILED"]))[-1]
    assert (last.status, last.error) == ("FAILED", "Oh: no")


# Running


@pytest.mark.parametrize(
    ("execution", "status", "code"),
    [
        ("SUCCEEDED", JobStatus.SUCCEEDED, 0),
        ("SUCCEEDED", JobStatus.COMPLETED_WITH_FAILURES, 4),
        ("FAILED", JobStatus.FAILED, 1),
        ("ABORTED", JobStatus.ABANDONED, 1),
        ("ABORTED", JobStatus.RUNNING, 1),
        ("TIMED_OUT", JobStatus.RUNNING, 1),
        ("FAILED", None, 1),
        ("SUCCEEDED", JobStatus.SKIPPED, 3),
    ],
)
@pytest.mark.parametrize("arguments", [["run"], ["show", JOB_ID, "--follow"]], ids=" ".join)
def test_the_exit_code_says_how_the_job_ended(
    arguments: list[str], execution: str, status: JobStatus | None, code: int, deployed: Deploy
) -> None:
    aws = deployed(FakeDeployment(["RUNNING", execution], [run_record(), run_record(status) if status else None]))
    assert job.commands().main(arguments) == code
    assert len(aws.started) == (1 if arguments == ["run"] else 0)


def test_showing_a_job_that_ended_badly_without_following_it_is_done(deployed: Deploy) -> None:
    deployed(FakeDeployment(["FAILED"], [run_record(JobStatus.FAILED)]))
    assert job.commands().main(["show", JOB_ID]) == 0


def test_ctrl_c_says_how_to_follow_the_job_where_it_runs(
    deployed: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = deployed(FakeDeployment(["RUNNING"]))

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "Observer", partial(Observer, sleep=interrupt))
    assert job.commands().main(["run", "--local", "--stack", "my shop"]) == 130
    job_id = aws.started[0]["name"]
    assert capsys.readouterr().err == (
        f"job {job_id} goes on; follow it with:\n"
        f"  .venv/bin/python scripts/job.py show {job_id} --follow --local --stack 'my shop'\n"
    )


def test_an_error_while_watching_says_how_to_follow_the_job(
    deployed: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(FakeDeployment([refused("ExpiredTokenException")]))
    assert job.commands().main(["run"]) == 2
    following, command, problem = capsys.readouterr().err.splitlines()
    assert following.endswith("goes on; follow it with:")
    assert command.startswith("  .venv/bin/python scripts/job.py show manual-")
    assert problem == "error: the AWS credentials have expired (no): sign in again"


@pytest.mark.parametrize("arguments", [[], ["--scope", "due"], ["--as-of", "2026-01-05T13:00:00+01:00"]])
def test_the_execution_is_named_like_the_job_and_gets_what_was_asked_for(
    arguments: list[str], deployed: Deploy
) -> None:
    aws = deployed(FakeDeployment(["SUCCEEDED"], [run_record(JobStatus.SUCCEEDED)]))
    assert job.commands().main(["run", *arguments]) == 0
    (request,) = aws.started
    assert request["stateMachineArn"] == MACHINE_ARN
    assert request["name"].startswith("manual-20")
    wanted = '{"scope": "due", "trigger": "manual"'
    assert request["input"] == wanted + (f', "as_of": "{AT_NOON}"}}' if "--as-of" in arguments else "}")


def test_nothing_is_applied_before_its_time(deployed: Deploy, capsys: pytest.CaptureFixture[str]) -> None:
    aws = deployed(FakeDeployment())
    assert job.commands().main(["run", "--as-of", "2099-01-01T00:00:00Z"]) == 2
    said = "error: --as-of: 2099-01-01T00:00:00Z lies in the future: nothing is applied before its time\n"
    assert (capsys.readouterr().err, aws.started) == (said, [])


# Listing


def ended(number: int, status: JobStatus, **figures: object) -> Run:
    """A job of so many hours before noon."""
    started = format_time(read_time(AT_NOON) - timedelta(hours=number))
    return run_record(status, job_id=f"job-{number}", started_at=started, **figures)


@pytest.fixture
def shop(deployed: Deploy) -> FakeDeployment:
    """A job that waits since noon, and others that have ended before."""
    ids = [
        ended(1, JobStatus.SUCCEEDED),
        ended(2, JobStatus.COMPLETED_WITH_FAILURES, scope="all"),
        ended(3, JobStatus.SKIPPED),
        ended(30, JobStatus.FAILED, error="no table"),
    ]
    return deployed(FakeDeployment(["RUNNING"], [None], listed=ids, running=[JOB_ID]))


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert job.commands().main(["list", "--json", *arguments]) == 0
    return [found["job_id"] for found in json.loads(capsys.readouterr().out)["jobs"]]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], [JOB_ID, "job-1", "job-2", "job-3", "job-30"]),
        (["--limit", "2"], [JOB_ID, "job-1"]),
        (["--failed"], ["job-2", "job-30"]),
        (["--scope", "due"], ["job-1", "job-3", "job-30"]),
        (["--scope", "all"], [JOB_ID, "job-2"]),
        (["--since", "2026-01-05T09:00:00Z"], [JOB_ID, "job-1", "job-2", "job-3"]),
        (["--failed", "--scope", "due", "--since", "99999d", "--limit", "1"], ["job-30"]),
        (["--since", "1m"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_jobs_are_listed_the_newest_first_and_those_that_are_asked_for(
    arguments: list[str], ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(capsys, *arguments) == ids


def test_a_job_that_runs_is_listed_once_with_what_it_has_done_so_far(
    shop: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.records = [run_record()]
    shop.listed = [run_record(), *shop.listed]
    shop.segments_there = [Segment(JOB_ID, 0, tally=Tally(items_updated=7))]
    assert job.commands().main(["list", "--csv", "--limit", "2"]) == 0
    first, second = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (first["job_id"], first["status"], first["updated"]) == (JOB_ID, "RUNNING", "7")
    assert (second["job_id"], second["started_at"]) == ("job-1", "2026-01-05T11:00:00.000000Z")


def test_jobs_are_listed_also_where_executions_cannot_be(
    shop: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.running = refused("AccessDeniedException", "ListExecutions")
    assert job.commands().main(["list", "--csv", "--limit", "1"]) == 0
    said = capsys.readouterr()
    assert "job-1" in said.out
    assert said.err == "note: which jobs wait is not known: these credentials may not do ListExecutions (no)\n"


@pytest.mark.parametrize("when", ["2", "2y", "d", "-1d", "2026-01-05T09:00:00", "123456d"])
def test_since_wants_a_duration_or_a_time(when: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert job.commands().main(["list", f"--since={when}"]) == 2
    assert f"--since: '{when}' is no duration like 90m, 12h, 2d or 1w, and " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "job_id"), [([], JOB_ID), (["--failed"], "job-2")], ids=["latest", "latest-failed"]
)
def test_without_an_id_the_latest_job_is_shown(
    arguments: list[str], job_id: str, shop: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.records = [None, *(record for record in shop.listed if record.job_id == job_id)]
    assert job.commands().main(["show", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["job_id"] == job_id


@pytest.mark.parametrize(("arguments", "sentence"), [([], "there is no job yet"), (["--failed"], "no job has failed")])
def test_that_there_is_no_job_is_told(
    arguments: list[str], sentence: str, deployed: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(FakeDeployment())
    assert job.commands().main(["show", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


@pytest.mark.parametrize("verb", ["show", "stop"])
def test_an_empty_id_is_refused_by_name(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert job.commands().main([verb, ""]) == 2
    assert "argument JOB_ID: must not be empty" in capsys.readouterr().err


def test_failures_are_shown_up_to_a_hundred_and_all_of_them_as_csv(
    shop: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.failures_there = [Failure(f"S{n}", "LEEDS", None, "INVALID_ITEM", "no figure") for n in range(102)]
    assert job.commands().main(["show", JOB_ID]) == 0
    assert "S99 " in (said := capsys.readouterr().out)
    assert "S100 " not in said
    assert said.endswith("2 more are recorded: --all shows them\n")
    assert job.commands().main(["show", JOB_ID, "--csv"]) == 0
    assert len(list(csv.reader(capsys.readouterr().out.splitlines()))) == 103


def test_what_a_job_settled_is_shown_instead_of_its_failures(
    shop: FakeDeployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.settled_there = [SettledChange(ItemKey("MUG", "LEEDS"), f"c{n}", "APPLIED") for n in range(102)]
    assert job.commands().main(["show", JOB_ID, "--changes"]) == 0
    assert capsys.readouterr().out.endswith("2 more are recorded: --all shows them\n")
    assert job.commands().main(["show", JOB_ID, "--changes", "--csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert (rows[:2], len(rows)) == (["sku,location_id,change_id,outcome", "MUG,LEEDS,c0,APPLIED"], 103)
    assert job.commands().main(["show", JOB_ID, "--changes", "--json"]) == 0
    first = {"sku": "MUG", "location_id": "LEEDS", "change_id": "c0", "outcome": "APPLIED"}
    assert json.loads(capsys.readouterr().out)["changes"][0] == first


def test_a_stop_waits_for_the_workers_and_not_for_ever() -> None:
    for looks, calls in {3: [True, True, False], 20: [True]}.items():
        aws, answers = FakeDeployment(records=[run_record()]), list(calls)

        def segments(_job_id: str, _count: int, answers: list[bool] = answers) -> list[Segment]:
            is_open = answers.pop(0) if len(answers) > 1 else answers[0]
            return [Segment(JOB_ID, 0), Segment(JOB_ID, 1, call_is_open=is_open)]

        slept: list[float] = []
        aws.segments = segments  # type: ignore[method-assign]
        job.wait_for_workers(cast(JobTable, aws), JOB_ID, slept.append)
        assert len(slept) == (looks if looks == 20 else looks - 1)


# Screens


TALLY = Tally(
    items_scanned=12_345,
    items_updated=1_600,
    changes_applied=2_020,
    changes_opened=12,
    read_units=812.5,
    write_units=1_600.0,
    lateness=Lateness.of([0.4] * 98 + [3.0, 70.0]),
)
TROUBLED = Tally(items_scanned=9, items_updated=8, items_failed=1, changes_applied=7, changes_rejected=2, throttles=3)
SEGMENTS = [
    Segment(SCHEDULED, 0, is_done=True, tally=TALLY, call=2),
    Segment(SCHEDULED, 1, tally=TROUBLED, call=1, error="ProvisionedThroughputExceededException: the rate is exceeded"),
]
RUNNING = run_record(job_id=SCHEDULED, scope="all", trigger="schedule")
BROKEN = ended(
    30,
    JobStatus.FAILED,
    tally=TROUBLED,
    duration_seconds=7.25,
    error="the workers made no progress for an hour",
)
JOBS: Sequence[Observation] = [
    Observation(JOB_ID, Execution("RUNNING", None, AT_NOON, {"scope": "due", "trigger": "manual"}), None),
    Observation(SCHEDULED, Execution("RUNNING"), RUNNING, SEGMENTS),
    Observation("job-1", Execution(), ended(1, JobStatus.SUCCEEDED, tally=TALLY, duration_seconds=63.5)),
    Observation("job-2", Execution(), ended(2, JobStatus.COMPLETED_WITH_FAILURES, tally=TROUBLED)),
    Observation("job-30", Execution(), BROKEN),
]


def test_the_screen_of_the_list_of_jobs() -> None:
    check_screen("job-list", lambda view: rows_screen(JOB_COLUMNS, map(job_row, JOBS), view))
    check_screen("job-list-short", lambda view: rows_screen(JOB_COLUMNS, [job_row(JOBS[2])], view))


def test_the_screen_of_a_job_that_ended() -> None:
    inexact = ended(1, JobStatus.SUCCEEDED, tally=TALLY, tally_is_exact=False)
    check_screen("job-show", lambda view: job_screen(Observation("job-1", Execution(), inexact), view))
    check_screen("job-show-failed", lambda view: job_screen(JOBS[4], view))


def test_the_screens_of_a_job_that_runs() -> None:
    now = read_time(AT_NOON) + timedelta(minutes=61, seconds=5)
    check_screen("job-show-running", lambda view: job_screen(JOBS[1], view))
    check_screen("job-live", lambda view: live_screen(JOBS[1], view, now))
    check_screen("job-live-waiting", lambda view: live_screen(JOBS[0], view, now))
