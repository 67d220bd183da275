"""The Lambda entry of the intake: wire, and hand over the messages of the queue."""

import gc
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from inventory_updater import __version__
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.dynamodb.concurrency import IN_FLIGHT
from inventory_updater.intake.bucket import Bucket
from inventory_updater.intake.bucket_files import FileDoor
from inventory_updater.intake.queue import Intake
from inventory_updater.intake.stores import Stores
from inventory_updater.jobs.settings import read_settings
from inventory_updater.process import Context, keep_sdk_quiet, seconds_left_of
from inventory_updater.reports.files import FileReporter
from inventory_updater.stock.guards import Guards
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable

_LONGEST_CALL_SECONDS: Final = 900
"""No function runs longer: what is older belongs to no call."""

_log = logging.getLogger(__name__)

keep_sdk_quiet()


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """What the template says, one field for each environment variable of the same name."""

    environment: str
    inventory_table: str
    changes_table: str
    change_retention_days: int
    guards: Guards | None
    alert_topic_arn: str
    intake_bucket: str
    intake_queue_url: str
    stack_name: str
    allow_negative_stock: bool = False


@cache
def intake() -> Intake:
    """The intake of this function's environment, made once a process."""
    _log.info("inventory-updater's intake starts", extra={"version": __version__})
    made = make_intake(read_settings(IntakeSettings, os.environ), boto3.Session())
    gc.collect()
    gc.freeze()
    return made


@cache
def folder_of_files() -> Path:
    """Where files are worked on, from now on."""
    folder = Path(tempfile.gettempdir()) / "inventory-updater-intake"
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)
    return folder


def make_room_for_files(folder: Path) -> None:
    """Remove what a call has left in this folder that was killed.

    Lambda does not clear the disk after a call that timed out, whose copies would fill it one day. The process that
    follows may start a moment later, when nobody can tell yet whether the call is over: so each call looks again.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    for left in folder.iterdir():
        with suppress(FileNotFoundError):  # on a computer where several processes share the folder
            if time.time() - left.stat().st_mtime > _LONGEST_CALL_SECONDS:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def make_intake(settings: IntakeSettings, session: boto3.Session) -> Intake:
    """Wire the services that ``settings`` name."""
    dynamodb = dynamodb_client(session, IN_FLIGHT)
    config = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=3, read_timeout=20)
    bucket = Bucket(session.client("s3", config=config), settings.intake_bucket)
    stores = Stores(
        dynamodb,
        InventoryTable(dynamodb, settings.inventory_table),
        ChangeTable(dynamodb, settings.changes_table, retention_days=settings.change_retention_days),
        settings.guards,
        lambda: format_time(datetime.now(UTC)),
        settings.allow_negative_stock,
    )
    reporter = FileReporter(
        settings.environment,
        settings.stack_name,
        settings.intake_bucket,
        session.client("cloudwatch", config=config),
        session.client("sns", config=config),
        settings.alert_topic_arn,
        lambda: datetime.now(UTC),
    )
    queue = session.client("sqs", config=config)
    return Intake(bucket, stores, FileDoor(bucket, stores), queue, settings.intake_queue_url, reporter.tell)


def handle(event: Mapping[str, Any], context: Context) -> dict[str, object]:
    """Take a batch of messages, and name those that have to come again.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    make_room_for_files(folder_of_files())
    return intake().take(event["Records"], seconds_left_of(context))
