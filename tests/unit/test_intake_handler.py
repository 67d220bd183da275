"""The Lambda entry of the intake: what it is wired with, and what it answers."""

import json
import os
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from inventory_updater import intake_handler
from inventory_updater.intake_handler import IntakeSettings, folder_of_files, make_intake, make_room_for_files
from inventory_updater.jobs.settings import SettingsError, read_settings
from tests.builders import ENVIRONMENT
from tests.fakes.doorstep import Doorstep
from tests.fakes.warehouse import Warehouse

VARIABLES = {
    **ENVIRONMENT,
    "INTAKE_BUCKET": "inventory-intake-staging",
    "INTAKE_QUEUE_URL": "https://sqs.example/inventory-updater-intake-staging",
}
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)


def settings() -> IntakeSettings:
    return read_settings(IntakeSettings, VARIABLES)


def test_the_intake_is_wired_as_its_variables_say() -> None:
    intake = make_intake(settings(), boto3.Session(region_name="eu-central-1"))

    assert (intake.bucket.name, intake.queue_url) == (VARIABLES["INTAKE_BUCKET"], VARIABLES["INTAKE_QUEUE_URL"])
    assert (intake.stores.inventory.name, intake.stores.changes.name) == (
        *(VARIABLES["INVENTORY_TABLE"], VARIABLES["CHANGES_TABLE"]),
    )
    assert intake.stores.guards is not None
    assert intake.stores.guards.max_price_change_percent == 40
    assert intake.stores.allow_negative_stock is (VARIABLES["ALLOW_NEGATIVE_STOCK"] == "true")
    assert intake.files.bucket is intake.bucket


def test_every_variable_that_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(IntakeSettings, {})
    wanted = ["ENVIRONMENT", "INVENTORY_TABLE", "CHANGES_TABLE", "CHANGE_RETENTION_DAYS", "GUARDS"]
    wanted += ["ALERT_TOPIC_ARN", "INTAKE_BUCKET", "INTAKE_QUEUE_URL", "STACK_NAME", "ALLOW_NEGATIVE_STOCK"]
    assert str(refused.value) == "; ".join(f"{each} is missing" for each in wanted)


def test_a_batch_is_answered_with_the_messages_that_come_again_and_the_disk_is_cleared_before(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_handler, "intake", Doorstep(warehouse).intake)
    monkeypatch.setattr(intake_handler, "folder_of_files", lambda: tmp_path)
    left = tmp_path / "left"
    left.write_text("of a call that was killed")
    os.utime(left, (time.time() - 1_000,) * 2)
    sent = {"body": json.dumps({"changes": []}), "attributes": {"SenderId": "AROA:shop"}}
    first, second = ([{"messageId": f"{batch}{each}", **sent} for each in range(2)] for batch in "ab")
    late = SimpleNamespace(get_remaining_time_in_millis=lambda: 1_000)

    assert intake_handler.handle({"Records": first}, CONTEXT) == {"batchItemFailures": []}
    assert intake_handler.handle({"Records": second}, late) == {"batchItemFailures": [{"itemIdentifier": "b1"}]}
    assert not left.exists()


def test_what_a_killed_call_has_left_on_the_disk_goes_and_what_a_call_works_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = folder_of_files.__wrapped__()
    left = [Path(tempfile.mkdtemp()), Path(tempfile.mkstemp()[1])]
    (left[0] / "file").write_text("of a call that was killed")
    for each in left:
        os.utime(each, (time.time() - 1_000,) * 2)
    in_use = Path(tempfile.mkdtemp())

    make_room_for_files(folder)

    assert list(folder.iterdir()) == [in_use]
