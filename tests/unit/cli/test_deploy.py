"""scripts/deploy.py: what it packages, and what it hands to the AWS CLI."""

import argparse
import json
import os
import re
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from cli import deploying as deploy
from cli.errors import InputError

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_stepfunctions.client import SFNClient


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "inventory_updater"
    (package / "__pycache__").mkdir(parents=True)
    (package / "handler.py").write_text("def handle(): ...\n", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__pycache__" / "handler.cpython-313.pyc").write_bytes(b"compiled")
    return tmp_path / "src"


def test_equal_files_make_equal_packages_whenever_and_however_they_were_written(sources: Path, tmp_path: Path) -> None:
    first = deploy.build_package(tmp_path / "first", sources)
    handler = sources / "inventory_updater" / "handler.py"
    handler.chmod(0o600)
    os.utime(handler, (time.time() + 86400, time.time() + 86400))
    second = deploy.build_package(tmp_path / "second", sources)

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.key == second.key


def test_new_code_is_a_new_key(sources: Path, tmp_path: Path) -> None:
    before = deploy.build_package(tmp_path / "build", sources)
    (sources / "inventory_updater" / "handler.py").write_text("def handle(): return 1\n", encoding="utf-8")
    after = deploy.build_package(tmp_path / "build", sources)

    assert before.key != after.key
    assert re.fullmatch(r"inventory-updater/[0-9a-f]{64}\.zip", after.key)


def test_a_package_holds_the_code_and_nothing_else_readable_by_lambda(sources: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(deploy.build_package(tmp_path / "build", sources).path) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == ["inventory_updater/__init__.py", "inventory_updater/handler.py"]
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_the_template_always_goes_through_a_bucket_and_carries_tags() -> None:
    definition = deploy.StackDefinition(
        stack="inventory-updater-dev", parameters={"Owner": "stock team", "Segments": "4", "Project": "inventory"}
    )
    command = deploy.deploy_command(definition, "code-bucket")

    assert command[2:8] == ["-m", "awscli", "cloudformation", "deploy", "--stack-name", "inventory-updater-dev"]
    assert command[command.index("--s3-bucket") + 1] == "code-bucket"
    assert command[command.index("--parameter-overrides") + 1 :] == [
        "Owner=stock team",
        "Project=inventory",
        "Segments=4",
        "--tags",
        "Owner=stock team",
        "Project=inventory",
    ]


def test_a_parameter_may_hold_an_equals_sign_and_may_be_empty() -> None:
    assert deploy.parse_override("Owner=a=b") == ("Owner", "a=b")
    assert deploy.parse_override("Owner=") == ("Owner", "")


@pytest.mark.parametrize("text", ["Owner", "=x", ""])
def test_a_parameter_without_name_or_equals_sign_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not Name=Value"):
        deploy.parse_override(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Parameters": 1}', "no json"])
def test_a_file_that_holds_no_parameters_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dev.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=r"dev\.json: not a parameter file"):
        deploy.read_parameters(file)


def test_if_exists_without_delete_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.commands().main(["--if-exists"]) == 2
    assert capsys.readouterr().err == "error: --if-exists goes with --delete\n"


def test_a_region_that_is_not_set_is_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert deploy.commands().main([]) == 2
    assert "no AWS region is set" in capsys.readouterr().err


def test_credentials_that_are_missing_are_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert deploy.commands().main(["--delete"]) == 2
    assert "credentials" in capsys.readouterr().err


def test_a_stack_that_cannot_be_reached_is_told_in_one_line_and_either_name_of_the_region_will_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    assert deploy.commands().main(["--delete"]) == 2
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-3"
    assert capsys.readouterr().err.startswith("error: AWS does not answer: ")


class OneStack:
    """Stands in for CloudFormation: knows one stack."""

    def __init__(self, status: str) -> None:
        self.status = status

    def describe_stacks(self, **_request: str) -> dict[str, Any]:
        given = [{"ParameterKey": "Segments", "ParameterValue": "4"}]
        return {"Stacks": [{"StackStatus": self.status, "Parameters": given}]}


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_can_be_updated_keeps_the_parameters_that_are_not_given(status: str) -> None:
    client = cast("CloudFormationClient", OneStack(status))

    assert {"Segments": "4"} == deploy.deployed_parameters(client, "shop")


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_aws_would_not_update_is_told_with_the_way_out(status: str) -> None:
    client = cast("CloudFormationClient", OneStack(status))

    with pytest.raises(InputError, match=f"shop is in {status} .*scripts/deploy.py --stack shop --delete"):
        deploy.deployed_parameters(client, "shop")


def test_a_stack_that_nobody_has_made_yet_is_a_first_deployment() -> None:
    assert None is deploy.deployed_parameters(cast("CloudFormationClient", OneStack("REVIEW_IN_PROGRESS")), "shop")


class StartedExecutions:
    """Stands in for Step Functions: keeps what it was asked to start."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def start_execution(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {}


@pytest.mark.parametrize(
    ("due", "every", "scopes"),
    [
        ("ENABLED", "ENABLED", ["due", "all"]),
        ("ENABLED", "DISABLED", ["due"]),
        ("DISABLED", "ENABLED", ["all"]),
        ("DISABLED", "DISABLED", []),
    ],
)
def test_a_first_job_is_started_for_each_schedule_that_is_on(due: str, every: str, scopes: list[str]) -> None:
    client = StartedExecutions()
    jobs = deploy.start_first_jobs(
        cast("SFNClient", client), "machine", {"DueScheduleState": due, "AllScheduleState": every}
    )

    assert [json.loads(request["input"]) for request in client.requests] == [
        {"scope": scope, "trigger": "manual"} for scope in scopes
    ]
    assert [request["name"] for request in client.requests] == jobs
    assert {request["stateMachineArn"] for request in client.requests} <= {"machine"}
