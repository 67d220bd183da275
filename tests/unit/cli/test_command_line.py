import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)
from botocore.stub import Stubber

from cli import command_line
from cli.command_line import CommandLine, Deployment, InputError, explain, find_deployment, print_json, print_table
from cli.engine import Engine, EngineNotRunning
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.operations import RefusedError, UnfinishedError
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.scheduling import Refusal


def commands(run: object = None) -> CommandLine:
    line = CommandLine("A script.")
    verb = line.add_verb("do", run or (lambda _options: 0), "do it")  # type: ignore[arg-type]
    verb.add_argument("things", nargs="*")
    return line


def raising(error: BaseException) -> CommandLine:
    def run(_options: argparse.Namespace) -> int:
        raise error

    return commands(run)


def refused(code: str, message: str, operation: str = "Scan") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test may change the whole environment; it is put back afterwards."""
    before = dict(os.environ)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    os.environ.clear()
    os.environ.update(before)


# Options


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local", "--stack", "shop", "--json", "do", "a"],
        ["do", "a", "--local", "--stack", "shop", "--json"],
        ["--stack", "shop", "do", "--json", "--local", "a"],
        ["--local", "--json", "do", "--stack=shop", "a"],
    ],
)
def test_shared_options_stand_before_or_after_the_verb(arguments: list[str]) -> None:
    options = commands().parse(arguments)
    assert (options.local, options.stack, options.json, options.things) == (True, "shop", True, ["a"])


def test_shared_options_have_defaults() -> None:
    options = commands().parse(["do"])
    assert (options.local, options.stack, options.json) == (False, None, False)


def test_an_option_after_the_verb_wins_over_the_same_one_before() -> None:
    assert commands().parse(["--stack", "one", "do", "--stack", "two"]).stack == "two"


@pytest.mark.parametrize("arguments", [[], ["dont"], ["do", "--no-such-option"], ["do", "--loc"], ["--stack"]])
def test_bad_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        commands().main(arguments)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["do", "--help"]):
        with pytest.raises(SystemExit) as end:
            commands().main(arguments)
        assert end.value.code == 0
        assert "Exit codes: 0 done; 1 the job failed" in " ".join(capsys.readouterr().out.split())


def test_what_the_verb_returns_is_the_exit_code() -> None:
    assert commands(lambda _options: 3).main(["do"]) == 3


# Errors


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("no such thing"), "no such thing"),
        (CsvError(Path("a.csv"), "is bad", 3, "sku"), "a.csv: line 3, column sku: is bad"),
        (EngineNotRunning("start it"), "start it"),
        (
            RefusedError(Refusal(ItemKey("A", "B"), "UNKNOWN_ITEM", "there is no item A at B")),
            "there is no item A at B",
        ),
        (
            NoCredentialsError(),
            (
                "no complete AWS credentials were found (Unable to locate credentials): sign in as for the AWS CLI, "
                "or use --local for the embedded engine"
            ),
        ),
        (
            PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            (
                "no complete AWS credentials were found (Partial credentials found in env, missing: "
                "AWS_SECRET_ACCESS_KEY): sign in as for the AWS CLI, or use --local for the embedded engine"
            ),
        ),
        (NoRegionError(), "no AWS region is set: set AWS_REGION, or a region in the profile, or use --local"),
        (ProfileNotFound(profile="shop"), "The config profile (shop) could not be found"),
        (
            UnauthorizedSSOTokenError(),
            (
                "the sign-in to AWS has ended (The SSO session associated with this profile has expired or is "
                "otherwise invalid. To refresh this SSO session run aws sso login with the corresponding profile.): "
                "run `aws sso login`"
            ),
        ),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1/"),
            'AWS does not answer: Could not connect to the endpoint URL: "http://127.0.0.1:1/"',
        ),
        (
            ConnectTimeoutError(endpoint_url="http://127.0.0.1:1/"),
            'AWS does not answer: Connect timeout on endpoint URL: "http://127.0.0.1:1/"',
        ),
        (
            refused("ExpiredTokenException", "The security token is expired"),
            "the AWS credentials have expired (The security token is expired): sign in again",
        ),
        (
            refused("UnrecognizedClientException", "The security token is invalid."),
            "AWS does not know these credentials (The security token is invalid.)",
        ),
        (
            refused("AccessDeniedException", "User bob is not authorized"),
            "these credentials may not do Scan (User bob is not authorized)",
        ),
        (
            refused("ResourceNotFoundException", "Requested resource not found"),
            "AWS refused Scan: ResourceNotFoundException: Requested resource not found",
        ),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_exit_code_2(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error).main(["do"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {sentence}\n"
    assert captured.out == ""


def test_an_error_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(InputError("first\n  second")).main(["do"]) == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_what_was_written_only_in_part_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(UnfinishedError("2 of 3 items were not written")).main(["do"]) == 1
    assert capsys.readouterr().err == "error: 2 of 3 items were not written\n"


def test_an_interruption_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()).main(["do"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_keeps_its_traceback() -> None:
    assert explain(KeyError("oops")) is None
    with pytest.raises(KeyError):
        raising(KeyError("oops")).main(["do"])


def test_a_reader_who_leaves_is_no_error() -> None:
    script = (
        "import sys; from cli.command_line import CommandLine\n"
        "line = CommandLine('x'); line.add_verb('do', lambda options: print('y\\n' * 100000) or 0, 'do it')\n"
        "sys.exit(line.main())"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", script, "do"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# Deployments


def cloudformation(outputs: dict[str, str] | None) -> tuple[object, Stubber]:
    client = boto3.client(
        "cloudformation", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    stub = Stubber(client)
    if outputs is None:
        stub.add_client_error("describe_stacks", "ValidationError", "Stack with id shop does not exist")
    else:
        stack = {
            "StackName": "shop",
            "CreationTime": "2026-01-05T12:00:00Z",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
        }
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "shop"})
    stub.activate()
    return client, stub


def test_outputs_are_those_of_the_stack() -> None:
    client, _ = cloudformation({"InventoryTableName": "inventory-shop"})
    assert command_line.stack_outputs(client, "shop") == {"InventoryTableName": "inventory-shop"}  # type: ignore[arg-type]


def test_a_stack_that_does_not_exist_is_told() -> None:
    client, _ = cloudformation(None)
    with pytest.raises(InputError) as caught:
        command_line.stack_outputs(client, "shop")  # type: ignore[arg-type]
    assert str(caught.value) == "there is no stack shop in eu-west-1: deploy it, or name another one with --stack"


def test_a_stack_of_something_else_is_told() -> None:
    with pytest.raises(InputError) as caught:
        Deployment("shop", boto3.Session(region_name="eu-west-1"), {}).output("JobsTableName")
    assert str(caught.value) == "the stack shop has no output JobsTableName: is it this product, and deployed?"


@pytest.mark.parametrize(
    ("arguments", "stack"),
    [
        (["do"], "inventory-updater-dev"),
        (["do", "--local"], "inventory-updater-local"),
        (["do", "--stack", "shop"], "shop"),
        (["do", "--stack", "shop", "--local"], "shop"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_the_usual_stack_depends_on_where(arguments: list[str], stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(command_line, "running_engine", lambda: Engine(port=1, pid=1))
    monkeypatch.setattr(command_line, "stack_outputs", lambda _client, _name: {})
    assert find_deployment(commands().parse(arguments)).stack == stack


@pytest.mark.usefixtures("environment")
def test_local_is_the_running_engine_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL": "https://elsewhere.example",
        "AWS_ENDPOINT_URL_DYNAMODB": "https://elsewhere.example",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "us-east-1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTP_PROXY": "http://proxy.example:3128",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(command_line, "running_engine", lambda: Engine(port=4321, pid=1))
    monkeypatch.setattr(command_line, "stack_outputs", lambda _client, _name: {})

    deployment = find_deployment(commands().parse(["--local", "do"]))
    client = deployment.session.client("dynamodb")
    credentials = deployment.session.get_credentials()

    assert client.meta.endpoint_url == "http://127.0.0.1:4321"
    assert client.meta.region_name == "eu-west-1"
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("test", None)
    assert os.environ["NO_PROXY"] == "127.0.0.1"


# Output


def test_json_is_one_document_with_counts_as_numbers_and_quantities_as_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"items": 3, "on_hand": Decimal("1E+3"), "price": Decimal("2.50"), "ids": {"b", "a"}, "none": None})
    assert json.loads(capsys.readouterr().out) == {
        "items": 3,
        "on_hand": "1000",
        "price": "2.50",
        "ids": ["a", "b"],
        "none": None,
    }


def test_a_table_shows_text_as_it_is_and_cannot_be_made_to_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["sku", "on_hand"], [["[red]MUG[/red]\x1b[2J", Decimal("1E+3")], [":smile:", None]])
    shown = capsys.readouterr().out
    assert "[red]MUG[/red]\\x1b[2J" in shown
    assert "1000" in shown
    assert ":smile:" in shown


def test_quick_work_shows_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with command_line.progress(total=2) as tell:
        tell("writing", 1)
    assert capsys.readouterr().err == ""


def test_progress_appears_when_the_work_takes_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich believe in a terminal
    monkeypatch.setattr(command_line, "SECONDS_WITHOUT_PROGRESS", 0.01)
    with command_line.progress(total=2) as tell:
        tell("writing", 1)
        time.sleep(0.3)
    captured = capsys.readouterr()
    assert "writing" in captured.err
    assert captured.out == ""
