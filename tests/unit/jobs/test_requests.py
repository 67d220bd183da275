"""What an execution's input asks for."""

from inventory_updater.jobs.requests import JobRequest
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import moment
from tests.refusals import refusal

STARTED = "2026-03-02T08:00:00.5Z"
NO_DAY = "is not a time that exists (day is out of range for month)"
NO_SCOPE = 'input: scope must be "due" or "all"'


def test_the_input_says_what_is_to_be_done() -> None:
    wanted = {"scope": "all", "as_of": "2026-03-02T09:00:00+01:00", "trigger": "schedule"}

    assert JobRequest.from_input("job-1", STARTED, wanted) == JobRequest(
        "job-1", moment("08:00:00.500000"), "all", moment("08:00"), "schedule"
    )


def test_what_is_due_is_what_was_due_at_the_start_unless_the_input_says_otherwise() -> None:
    for wanted in ({"scope": "due"}, {"scope": "due", "as_of": None}):
        request = JobRequest.from_input("job-1", STARTED, wanted)
        assert (request.as_of, request.trigger) == (moment("08:00:00.500000"), "manual")


def test_bad_input_is_refused_with_the_field_that_is_bad() -> None:
    bad: list[tuple[dict[str, object], str]] = [
        ({}, NO_SCOPE),
        ({"scope": "some"}, NO_SCOPE),
        ({"scope": ["due"]}, NO_SCOPE),
        ({"scope": "due", "asof": "x", "zone": 1}, "input: unknown field 'asof'"),
        ({"scope": "due", "x" * 1_000: 1}, f"input: unknown field {'x' * 64!r}"),
        ({"scope": "due", "dry_run": True}, "input: unknown field 'dry_run'"),
        ({"scope": "due", "trigger": "cron"}, 'input: trigger must be "manual" or "schedule"'),
        ({"scope": "due", "as_of": 5}, "input: as_of must be a time like 2026-01-31T08:00:00Z"),
        ({"scope": "due", "as_of": "2026-02-30T00:00:00Z"}, f"input: as_of {NO_DAY}"),
        ({"scope": "due", "as_of": "2026-03-02T08:00:00.6Z"}, "input: as_of must not lie after the job's start"),
    ]

    said = [refusal(JobRequest.from_input, "job-1", STARTED, wanted) for wanted, _ in bad]

    assert said == [message for _, message in bad]


def test_a_start_that_is_no_time_is_refused() -> None:
    refused = {
        "now": "started_at is not a time like 2026-01-31T08:00:00Z",
        STARTED[:-1]: "started_at has no time zone: add Z or an offset like +01:00",
    }

    assert {start: refusal(JobRequest.from_input, "job-1", start, {"scope": "due"}) for start in refused} == refused


def test_the_run_of_a_request_is_running() -> None:
    request = JobRequest("job-1", moment("08:00"), "all", moment("07:00"), trigger="schedule")

    assert request.new_run(3) == Run(
        "job-1", JobStatus.RUNNING, "all", "schedule", moment("07:00"), moment("08:00"), segments=3
    )
