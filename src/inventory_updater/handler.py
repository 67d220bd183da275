"""The Lambda entry: wire and dispatch, let failures raise."""

import gc
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import boto3
from botocore.config import Config

from inventory_updater import __version__
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import BadRequestError, JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.jobs.watching import watch
from inventory_updater.jobs.worker import update_segment
from inventory_updater.process import Context, keep_sdk_quiet, seconds_left_of
from inventory_updater.reports.reporter import Reporter
from inventory_updater.reports.results import Results, ResultsBus, ResultsTopic
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable

if TYPE_CHECKING:
    from inventory_updater.intake.calls import Desk

_ACTIONS: Final = ("open", "update", "close", "watch", "schedule", "cancel", "status", "show")
_JOB_ID_LENGTH: Final = 128
_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000

_log = logging.getLogger(__name__)

keep_sdk_quiet()


class CallContext(Context, Protocol):
    """What the handler uses of the context object."""

    @property
    def aws_request_id(self) -> str: ...

    @property
    def function_name(self) -> str: ...


@cache
def services() -> Services:
    """The services of this function's environment, made once a process."""
    _log.info("inventory-updater starts", extra={"version": __version__})
    made = make_services(Settings.from_environment(os.environ), boto3.Session())
    spare_garbage_collector()
    return made


def spare_garbage_collector() -> None:
    """Keep Python from looking for garbage every few items: what a page leaves behind is in no cycle, and goes at once.

    What the start has left behind stays for good. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def make_services(settings: Settings, session: boto3.Session) -> Services:
    """Wire the services that ``settings`` name."""
    dynamodb = dynamodb_client(session, settings.write_concurrency)
    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=10)
    sns = session.client("sns", config=config)
    results: Results = ResultsTopic(sns, settings.results_arn)
    if ":event-bus/" in settings.results_arn:
        results = ResultsBus(session.client("events", config=config), settings.results_arn)
    return Services(
        dynamodb,
        InventoryTable(dynamodb, settings.inventory_table),
        ChangeTable(dynamodb, settings.changes_table, retention_days=settings.change_retention_days),
        JobTable(
            dynamodb,
            settings.jobs_table,
            retention_days=settings.job_retention_days,
            clock=lambda: datetime.now(UTC),
        ),
        Reporter(
            settings.environment,
            session.client("cloudwatch", config=config),
            sns,
            settings.alert_topic_arn,
            settings.stack_name,
            settings.alarm_failed_items,
            results,
        ),
        settings,
    )


def handle(event: object, context: CallContext) -> dict[str, object]:
    """One step of the state machine, the watch for silence, or what another system asks for.

    Raises:
        BadRequestError: naming the field of the event that is missing or bad.
        BadCallError: naming each of them.
    """
    if not isinstance(event, Mapping):
        raise BadRequestError("the event must be an object")
    seconds_left = seconds_left_of(context)
    match event.get("action"):
        case "open":
            return dict(open_job(services(), _request(event), seconds_left))
        case "update":
            segment = event.get("segment")
            if not isinstance(segment, int) or isinstance(segment, bool):
                raise BadRequestError("segment must be a whole number")
            return {"done": update_segment(services(), _job_id(event), segment, seconds_left)}
        case "close":
            return {"status": close_job(services(), _request(event), _error(event), seconds_left).value}
        case "watch":
            return {scope: silence.total_seconds() for scope, silence in watch(services()).items()}
        case "schedule" | "cancel" | "status" | "show":
            return _desk(services(), context).answer(event)
        case _:
            raise BadRequestError(f"action must be one of {', '.join(_ACTIONS)}")


def _desk(services: Services, context: CallContext) -> "Desk":
    """What answers other systems. What a record says of where it comes from is never taken from what they send."""
    # Only here: the doors are an eighth of what a job's cold start would have to import.
    from inventory_updater.intake.calls import Desk

    return Desk(
        services.dynamodb,
        services.inventory,
        services.changes,
        services.settings.guards,
        services.now,
        actor=f"function:{context.function_name}",
        source=f"invocation:{context.aws_request_id}",
    )


def _request(event: Mapping[str, object]) -> JobRequest:
    wanted = event.get("input")
    if not isinstance(wanted, Mapping):
        raise BadRequestError("input must be an object")
    return JobRequest.from_input(_job_id(event), _text(event, "started_at"), wanted)


def _text(event: Mapping[str, object], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"{name} must be text")
    return value


def _job_id(event: Mapping[str, object]) -> str:
    """The name of the job; an execution's is at most 80 characters long."""
    job_id = _text(event, "job_id")
    if len(job_id) > _JOB_ID_LENGTH or not job_id.isprintable():
        raise BadRequestError(f"job_id must be at most {_JOB_ID_LENGTH} printable characters")
    return job_id


def _error(event: Mapping[str, object]) -> str:
    """What the state machine caught before it came to closing; empty where nothing went wrong."""
    caught = event.get("error")
    if not isinstance(caught, Mapping) or not caught.get("Error"):
        return ""
    said = f"{caught['Error']}: {caught.get('Cause', '')}"[:1000]
    # JSON can hold half of a character, and DynamoDB cannot.
    return said.encode(errors="replace").decode()
