from dataclasses import dataclass, field
from typing import cast

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from cli import job_verbs as job
from cli.command_line import Deployment
from inventory_updater.tables.records import JobStatus, Run, Segment, Tally

JOB_ID = "manual-20260105T120000Z-ab12"
AT_NOON = "2026-01-05T12:00:00.000000Z"
MACHINE_ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:inventory-updater-shop"


def run_record(status: JobStatus = JobStatus.RUNNING, **figures: object) -> Run:
    usual: dict[str, object] = {
        "job_id": JOB_ID,
        "status": status,
        "scope": "due",
        "trigger": "manual",
        "dry_run": False,
        "as_of": AT_NOON,
        "started_at": AT_NOON,
        "segments": 2,
    }
    return Run(**(usual | figures))  # type: ignore[arg-type]  # each figure has the type of its field


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeExecution")


@dataclass
class FakeAws:
    """Step Functions and the jobs table: each answer in turn, the last one for ever."""

    executions: list[str | Exception]
    runs: list[Run | None]
    segments_there: list[Segment] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    slept: float = 0.0

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803  # AWS's name
        self.asked_for.append(executionArn)
        answer = self.executions.pop(0) if len(self.executions) > 1 else self.executions[0]
        if isinstance(answer, Exception):
            raise answer
        return {"status": answer} | ({"error": "Oh", "cause": "no"} if answer == "FAILED" else {})

    def run(self, _job_id: str) -> Run | None:
        return self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]

    def segments(self, _job_id: str, _count: int) -> list[Segment]:
        return self.segments_there

    def step_functions(self) -> "FakeAws":
        return self

    def jobs(self) -> "FakeAws":
        return self

    def output(self, _name: str) -> str:
        return MACHINE_ARN

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def watch(self) -> list[job.Observation]:
        return list(job.Observer(cast(Deployment, self), self.sleep).watch(JOB_ID))


def test_a_job_is_watched_until_its_execution_ends() -> None:
    aws = FakeAws(
        ["RUNNING", "RUNNING", "SUCCEEDED"],
        [None, run_record(), run_record(JobStatus.SUCCEEDED, tally=Tally(items_scanned=9))],
        [Segment(JOB_ID, 0, tally=Tally(items_scanned=3)), Segment(JOB_ID, 1, tally=Tally(items_scanned=2))],
    )
    seen = aws.watch()
    assert [observation.status for observation in seen] == ["RUNNING", "RUNNING", "SUCCEEDED"]
    assert [observation.tally.items_scanned for observation in seen] == [0, 5, 9]
    assert set(aws.asked_for) == {f"{MACHINE_ARN.replace('stateMachine', 'execution')}:{JOB_ID}"}


@pytest.mark.parametrize(
    "trouble", [refused("ThrottlingException"), refused("ServiceUnavailable"), ConnectTimeoutError(endpoint_url="x")]
)
def test_watching_survives_a_busy_aws(trouble: Exception) -> None:
    aws = FakeAws([trouble, trouble, "SUCCEEDED"], [run_record(JobStatus.SUCCEEDED)])
    assert [observation.status for observation in aws.watch()] == ["SUCCEEDED"]
    assert aws.slept > 0


def test_watching_ends_where_it_is_not_allowed() -> None:
    with pytest.raises(ClientError):
        FakeAws([refused("AccessDeniedException")], [None]).watch()


def test_an_execution_that_aws_does_not_show_yet_is_waited_for() -> None:
    unknown = refused("ExecutionDoesNotExist")
    aws = FakeAws([unknown, unknown, "RUNNING", "SUCCEEDED"], [None, None, None, run_record(JobStatus.SUCCEEDED)])
    assert aws.watch()[-1].status == "SUCCEEDED"


def test_an_execution_that_never_shows_is_given_up() -> None:
    aws = FakeAws([refused("ExecutionDoesNotExist")], [None])
    assert aws.watch()[-1].status == "UNKNOWN"
    assert aws.slept < 60


def test_who_stopped_the_execution_gets_the_time_to_settle_the_record() -> None:
    aws = FakeAws(["ABORTED"], [run_record(), run_record(), run_record(JobStatus.ABANDONED, error="stopped by bob")])
    last = aws.watch()[-1]
    assert (last.status, last.error) == ("ABANDONED", "stopped by bob")


@pytest.mark.parametrize("execution", ["TIMED_OUT", "ABORTED", "FAILED"])
def test_a_job_that_could_not_say_how_it_ended_has_its_executions_status(execution: str) -> None:
    last = FakeAws([execution], [run_record()]).watch()[-1]
    assert last.status == execution


def test_an_execution_that_failed_before_it_was_opened_says_why() -> None:
    last = FakeAws(["FAILED"], [None]).watch()[-1]
    assert (last.status, last.error) == ("FAILED", "Oh: no")


@pytest.mark.parametrize(
    ("observation", "code"),
    [
        (job.Observation(JOB_ID, "SUCCEEDED", None, run_record(JobStatus.SUCCEEDED)), 0),
        (job.Observation(JOB_ID, "SUCCEEDED", None, run_record(JobStatus.COMPLETED_WITH_FAILURES)), 0),
        (job.Observation(JOB_ID, "FAILED", None, run_record(JobStatus.FAILED)), 1),
        (job.Observation(JOB_ID, "ABORTED", None, run_record(JobStatus.ABANDONED)), 1),
        (job.Observation(JOB_ID, "ABORTED", None, run_record()), 1),
        (job.Observation(JOB_ID, "TIMED_OUT", None, run_record()), 1),
        (job.Observation(JOB_ID, "FAILED", None, None), 1),
        (job.Observation(JOB_ID, "SUCCEEDED", None, run_record(JobStatus.SKIPPED)), 3),
    ],
    ids=lambda value: f"{value.execution_status}-{value.status}" if isinstance(value, job.Observation) else str(value),
)
def test_the_exit_code_says_how_the_job_ended(
    observation: job.Observation,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws = FakeAws(["RUNNING"], [None])
    aws.start_execution = lambda **_request: None  # type: ignore[attr-defined]
    monkeypatch.setattr(job, "find_deployment", lambda _options: aws)
    monkeypatch.setattr(job, "_watched", lambda *_arguments: observation)
    assert job.commands().main(["run"]) == code
    assert observation.status in capsys.readouterr().out


def interrupted(*_arguments: object) -> job.Observation:
    raise KeyboardInterrupt


def test_ctrl_c_says_how_to_follow_the_job_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = FakeAws(["RUNNING"], [None])
    started: list[str] = []
    aws.start_execution = lambda **request: started.append(request["name"])  # type: ignore[attr-defined]
    monkeypatch.setattr(job, "find_deployment", lambda _options: aws)
    monkeypatch.setattr(job, "_watched", interrupted)
    assert job.commands().main(["run", "--local", "--stack", "my shop"]) == 130
    assert capsys.readouterr().err == (
        f"job {started[0]} goes on; follow it with: "
        f".venv/bin/python scripts/job.py show {started[0]} --follow --local --stack 'my shop'\n"
    )


def test_an_error_while_watching_says_how_to_follow_the_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = FakeAws([refused("ExpiredTokenException")], [None])
    aws.start_execution = lambda **_request: None  # type: ignore[attr-defined]
    monkeypatch.setattr(job, "find_deployment", lambda _options: aws)
    assert job.commands().main(["run"]) == 2
    following, problem = capsys.readouterr().err.splitlines()
    assert "goes on; follow it with: .venv/bin/python scripts/job.py show manual-" in following
    assert problem == "error: the AWS credentials have expired (no): sign in again"


@pytest.mark.parametrize("arguments", [[], ["--scope", "due"], ["--as-of", "2026-01-05T13:00:00+01:00", "--dry-run"]])
def test_the_execution_is_named_like_the_job_and_gets_what_was_asked_for(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = FakeAws(["SUCCEEDED"], [run_record(JobStatus.SUCCEEDED)])
    requests: list[dict[str, str]] = []
    aws.start_execution = lambda **request: requests.append(request)  # type: ignore[attr-defined]
    monkeypatch.setattr(job, "find_deployment", lambda _options: aws)
    assert job.commands().main(["run", *arguments]) == 0
    (request,) = requests
    assert request["stateMachineArn"] == MACHINE_ARN
    assert request["name"].startswith("manual-20")
    wanted = '{"scope": "due", "trigger": "manual"'
    assert request["input"] == (
        wanted + (f', "as_of": "{AT_NOON}", "dry_run": true}}' if "--dry-run" in arguments else "}")
    )
