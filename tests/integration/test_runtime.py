"""The handler under Lambda's own runtime for Python, against a stand-in of the Runtime API.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from cli.engine import CHECKOUT, Engine
from inventory_updater.stock.times import format_time
from tests.builders import ENVIRONMENT
from tests.engines import Tables, create_tables, make_client
from tests.fakes.runtime_api import RuntimeApi, runtime_api

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TOKEN: Final = "a-session-token-that-belongs-in-no-log"
"""What every request is signed with, and no line may hold."""

START_SECONDS: Final = 60.0
SECRET: Final = "a-secret-key-that-belongs-in-no-log"


@pytest.fixture(scope="module")
def tables(ministack: Engine) -> Tables:
    client: DynamoDBClient = make_client("dynamodb", ministack.endpoint_url)
    return create_tables(client, "runtime")


def environment(engine: Engine, tables: Tables, log_level: str) -> dict[str, str]:
    """The environment that Lambda would give the function: its variables, its keys, its runtime's settings."""
    names = {
        "INVENTORY_TABLE": tables.inventory,
        "CHANGES_TABLE": tables.changes,
        "JOBS_TABLE": tables.jobs,
        "SEGMENTS": "1",
    }
    lambdas = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_LAMBDA_FUNCTION_NAME": "inventory-updater-test",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": log_level,
        "PYTHONPATH": str(CHECKOUT / "src"),
    }
    return engine.environment() | ENVIRONMENT | names | lambdas


def step(job_id: str, scope: str) -> dict[str, object]:
    """What opening and closing are told of a job."""
    return {"job_id": job_id, "started_at": format_time(datetime.now(UTC)), "input": {"scope": scope}}


@contextmanager
def runtime(engine: Engine, tables: Tables, log: Path, log_level: str = "DEBUG") -> Iterator[RuntimeApi]:
    """The function, cold; what it logs goes to ``log``."""
    with runtime_api() as api, log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "inventory_updater.handler.handle"],
            env=environment(engine, tables, log_level) | {"AWS_LAMBDA_RUNTIME_API": api.address},
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            assert api.asked.wait(START_SECONDS)
            yield api
        finally:
            process.terminate()
            process.wait(timeout=10)


def test_at_debug_jobs_log_fields_at_the_top_level_and_no_key_of_their_role(
    ministack: Engine, tables: Tables, tmp_path: Path
) -> None:
    log = tmp_path / "function.log"

    with runtime(ministack, tables, log) as api:
        due, every = step("job-due", "due"), step("job-all", "all")
        assert api.invoke({"action": "open"} | due) == {"outcome": "DONE"}
        assert api.invoke({"action": "open"} | every) == {"outcome": "OPENED", "segments": [0]}
        assert api.invoke({"action": "update", "job_id": "job-all", "segment": 0}) == {"done": True}
        assert api.invoke({"action": "close"} | every) == {"status": "SUCCEEDED"}

    text = log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    ended = [line for line in lines if line.get("message") == "job SUCCEEDED"]
    assert [(line["job_id"], line["scope"], line["level"], line["items_scanned"]) for line in ended] == [
        ("job-due", "due", "INFO", 0),
        ("job-all", "all", "INFO", 0),
    ]
    assert TOKEN not in text
    assert SECRET not in text
    assert [line["logger"] for line in lines if line["logger"].startswith(("boto", "urllib3"))] == []


def test_a_handler_that_fails_says_so_to_the_runtime(ministack: Engine, tables: Tables, tmp_path: Path) -> None:
    with (
        runtime(ministack, tables, tmp_path / "function.log") as api,
        pytest.raises(RuntimeError, match=r"error: .*action must be"),
    ):
        api.invoke({"action": "nothing"})
