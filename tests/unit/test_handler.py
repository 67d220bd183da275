"""The Lambda entry: which event leads to which step, and what is said of a bad one."""

import gc
import logging
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import boto3
import pytest

from inventory_updater import __version__, handler
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.settings import Settings, SettingsError
from inventory_updater.jobs.worker import NoProgressError
from inventory_updater.reports.reporter import Reporter
from inventory_updater.reports.results import ResultsBus, ResultsTopic
from inventory_updater.tables.records import JobStatus
from tests.builders import moment
from tests.refusals import refusal

BEGIN = {"job_id": "job-1", "started_at": "2026-03-02T08:00:00.5Z", "input": {"scope": "due"}}
OPEN = {"action": "open", **BEGIN}
UPDATE = {"action": "update", "job_id": "job-1", "segment": 3}
CLOSE = {"action": "close", **BEGIN, "error": {"Error": "", "Cause": ""}}

REQUEST = JobRequest("job-1", moment("08:00:00.500000"), "due", moment("08:00:00.500000"))


NAMES = ("inventory-test", "inventory-changes-test", "inventory-jobs-test")
CONTEXT = SimpleNamespace(
    get_remaining_time_in_millis=lambda: 12_500,
    aws_request_id="11111111-2222-3333-4444-555555555555",
    function_name="inventory-updater-test",
)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Stands in for the steps, and keeps what they were called with."""
    steps = Mock()
    for name in ("open_job", "update_segment", "close_job", "watch"):
        monkeypatch.setattr(handler, name, getattr(steps, name))
    monkeypatch.setattr(handler, "services", lambda: "the services")
    steps.close_job.return_value = JobStatus.SUCCEEDED
    return steps


def test_open_answers_with_the_segments_or_that_the_job_is_done_or_waits_or_is_skipped(steps: Mock) -> None:
    for opened in (
        {"outcome": "OPENED", "segments": [0, 1]},
        *({"outcome": end} for end in ("DONE", "WAIT", "SKIPPED")),
    ):
        steps.open_job.return_value = opened
        assert handler.handle(OPEN, CONTEXT) == opened
        *asked, seconds_left = steps.open_job.call_args.args
        assert (asked, seconds_left()) == (["the services", REQUEST], 12.5)


def test_update_says_whether_the_segment_is_done(steps: Mock) -> None:
    for is_done in (True, False):
        steps.update_segment.return_value = is_done
        assert handler.handle(UPDATE, CONTEXT) == {"done": is_done}
        *asked, seconds_left = steps.update_segment.call_args.args
        assert (asked, seconds_left()) == (["the services", "job-1", 3], 12.5)


def test_close_answers_with_the_status(steps: Mock) -> None:
    assert handler.handle(CLOSE, CONTEXT) == {"status": "SUCCEEDED"}
    *asked, seconds_left = steps.close_job.call_args.args
    assert (asked, seconds_left()) == (["the services", REQUEST, ""], 12.5)


def test_close_is_told_what_the_state_machine_caught(steps: Mock) -> None:
    caught: list[tuple[dict[str, object], str]] = [
        ({"error": {"Error": "States.Timeout", "Cause": "too slow"}}, "States.Timeout: too slow"),
        ({"error": {"Error": "States.Timeout"}}, "States.Timeout: "),
        ({"error": {"Error": "E", "Cause": "x" * 5000}}, "E: " + "x" * 997),
        ({"error": {"Error": "E", "Cause": "half \ud800"}}, "E: half ?"),
        ({"error": {}}, ""),
        ({"error": None}, ""),
        ({"error": "broken"}, ""),
        ({}, ""),
    ]
    for error, _ in caught:
        handler.handle({"action": "close", **BEGIN, **error}, CONTEXT)

    assert [call.args[2] for call in steps.close_job.call_args_list] == [told for _, told in caught]


def test_watch_answers_with_the_silence_of_each_scope_in_seconds(steps: Mock) -> None:
    steps.watch.return_value = {"due": timedelta(minutes=5), "all": timedelta(hours=1)}
    assert handler.handle({"action": "watch"}, CONTEXT) == {"due": 300.0, "all": 3600.0}


def test_a_failure_goes_up_as_it_is(steps: Mock) -> None:
    steps.update_segment.side_effect = NoProgressError("a page did not fit")

    with pytest.raises(NoProgressError, match="a page did not fit"):
        handler.handle(UPDATE, CONTEXT)


def test_a_bad_event_is_refused_with_the_field_that_is_bad(steps: Mock) -> None:
    no_action = "action must be one of open, update, close, watch, schedule, cancel, status, show"
    no_segment = "segment must be a whole number"
    bad: list[tuple[object, str]] = [
        *((event, "the event must be an object") for event in (None, "open", ["open"], 7)),
        *((event, no_action) for event in ({}, {"action": "begin"}, {"action": ["open"]})),
        *(({**OPEN, "input": value}, "input must be an object") for value in (None, "due")),
        ({**CLOSE, "input": None}, "input must be an object"),
        *(({**OPEN, "job_id": value}, "job_id must be text") for value in ("", 7)),
        ({**UPDATE, "job_id": None}, "job_id must be text"),
        ({**OPEN, "job_id": "x" * 129}, "job_id must be at most 128 printable characters"),
        ({**UPDATE, "job_id": "half \ud800"}, "job_id must be at most 128 printable characters"),
        ({**OPEN, "started_at": None}, "started_at must be text"),
        ({**OPEN, "input": {"scope": "some"}}, 'input: scope must be "due" or "all"'),
        *(({**UPDATE, "segment": value}, no_segment) for value in (None, "3", True, 1.5)),
    ]

    assert [refusal(handler.handle, event, CONTEXT) for event, _ in bad] == [message for _, message in bad]
    assert steps.mock_calls == []


def test_the_services_are_those_that_the_settings_name() -> None:
    settings = Settings("test", *NAMES, write_concurrency=6)

    services = handler.make_services(settings, boto3.Session(region_name="eu-central-1"))

    assert (services.inventory.name, services.changes.name, services.jobs.name) == NAMES
    assert services.settings == settings
    assert isinstance(services.reports, Reporter)
    assert services.reports.cloudwatch.meta.service_model.service_name == "cloudwatch"
    assert services.reports.notifies_people
    assert (services.reports.environment, services.reports.topic_arn) == ("test", settings.alert_topic_arn)


def test_results_go_to_the_topic_or_to_the_bus_that_the_settings_name() -> None:
    places = {
        "arn:aws:sns:eu-central-1:123456789012:results": ResultsTopic,
        "arn:aws:events:eu-central-1:123456789012:event-bus/sns": ResultsBus,
    }
    for arn, kind in places.items():
        settings = Settings("test", *NAMES, results_arn=arn)
        reports = handler.make_services(settings, boto3.Session(region_name="eu-central-1")).reports

        assert isinstance(reports, Reporter)
        assert isinstance(reports.results, kind)


def test_the_collector_of_garbage_is_asked_rarely_and_not_for_what_the_start_has_left() -> None:
    thresholds = gc.get_threshold()
    try:
        handler.spare_garbage_collector()

        assert gc.isenabled()
        assert gc.get_threshold()[0] > thresholds[0]
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_a_function_without_its_environment_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENVIRONMENT", "INVENTORY_TABLE", "CHANGES_TABLE", "JOBS_TABLE"):
        monkeypatch.delenv(name, raising=False)
    handler.services.cache_clear()

    missing = "ENVIRONMENT is missing; INVENTORY_TABLE is missing; CHANGES_TABLE is missing; JOBS_TABLE is missing"
    with pytest.raises(SettingsError, match=missing):
        handler.handle(UPDATE, CONTEXT)


def test_the_log_says_once_which_version_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings("test", *NAMES)
    monkeypatch.setattr(Settings, "from_environment", lambda _environment: settings)
    monkeypatch.setattr(handler, "spare_garbage_collector", lambda: None)
    handler.services.cache_clear()

    with caplog.at_level(logging.INFO, "inventory_updater"):
        assert handler.services() is handler.services()

    handler.services.cache_clear()
    assert [vars(record)["version"] for record in caplog.records] == [__version__]
