"""scripts/deploy.py: what it refuses before it asks AWS, and what it hands to the AWS CLI."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from cli import deploying
from cli.deploying import change_set_command, commands, deploy
from cli.errors import InputError
from cli.targets import Target, agreed
from tests.fakes.cloudformation import STACK, FakeCloudFormation

if TYPE_CHECKING:
    import boto3


def test_the_template_always_goes_through_a_bucket_to_the_scripts_own_region_and_carries_tags() -> None:
    parameters = {"Owner": "stock team", "Segments": "4", "Project": "inventory"}
    command = change_set_command("inventory-updater-dev", "eu-west-3", parameters, "code-bucket")

    assert command[2:6] == ["-m", "awscli", "cloudformation", "deploy"]
    given = dict(pairwise(command))
    assert [given[name] for name in ("--stack-name", "--region", "--s3-bucket")] == [
        "inventory-updater-dev",
        "eu-west-3",
        "code-bucket",
    ]
    assert command[command.index("--parameter-overrides") + 1 :] == [
        *("Owner=stock team", "Project=inventory", "Segments=4"),
        *("--tags", "Owner=stock team", "Project=inventory"),
    ]


@pytest.mark.parametrize(
    ("arguments", "without", "problem"),
    [
        (["--if-exists"], (), "error: --if-exists goes with --delete\n"),
        ([], ("AWS_DEFAULT_REGION",), "no AWS region is set"),
        (["--delete"], ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "credentials"),
    ],
)
def test_what_is_missing_is_bad_input(
    arguments: list[str],
    without: tuple[str, ...],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in without:
        monkeypatch.delenv(name)

    assert commands().main(arguments) == 2
    assert problem in capsys.readouterr().err


def test_a_stack_that_cannot_be_reached_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    assert commands().main(["--delete"]) == 2
    assert capsys.readouterr().err.startswith("error: AWS does not answer: ")


@pytest.mark.parametrize(
    ("status", "arguments", "problem"),
    [
        ("UPDATE_ROLLBACK_FAILED", ["--yes"], "aws cloudformation continue-update-rollback --stack-name " + STACK),
        ("UPDATE_IN_PROGRESS", ["--yes"], "is in UPDATE_IN_PROGRESS: wait until that has ended"),
        (
            "UPDATE_COMPLETE",
            ["--yes", "inventory-updater-prod"],
            "--yes inventory-updater-prod: the stack that is to be",
        ),
        ("UPDATE_COMPLETE", ["--yes", "show"], "--yes show: the stack that is to be deployed is " + STACK),
    ],
)
def test_what_cannot_be_deployed_now_or_is_not_meant_is_refused_before_anything_is_asked(
    status: str, arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        region_name = "eu-west-1"

        def client(self, service: str) -> Any:
            assert service == "cloudformation", "nothing else is asked"
            return FakeCloudFormation(status=status)

    target = Target("staging", STACK, cast("boto3.Session", Session()))
    monkeypatch.setattr(deploying, "target_of", lambda _options: target)
    with pytest.raises(InputError, match=re.escape(problem)):
        deploy(commands().parse(["--environment", "staging", *arguments]))


def test_who_says_nothing_at_the_question_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> str:
        raise EOFError

    for answer, expected in ((lambda: "y", True), (lambda: "", False), (nothing, False)):
        monkeypatch.setattr("builtins.input", answer)
        assert agreed("Deploy this?", ("y", "yes")) is expected
