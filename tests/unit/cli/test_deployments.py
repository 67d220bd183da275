"""The deployment that a command is about: which stack, in which account and region."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from cli import deployments
from cli.command_line import CommandLine
from cli.deployments import Deployment, find_deployment
from cli.engine import Engine
from cli.errors import InputError
from cli.output import print_json
from cli.stacks import Stack
from tests.fakes.cloudformation import ARN

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient

SCRIPT = CommandLine("A script.", lambda _options: 0)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test may change the whole environment; it is put back afterwards."""
    before = dict(os.environ)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The names that were asked for; every stack is there."""
    asked: dict[str, str] = {}

    def find(client: "CloudFormationClient", name: str) -> Stack:
        asked[name] = client.meta.region_name
        return Stack(ARN, "CREATE_COMPLETE", {}, {}, has_termination_protection=False)

    monkeypatch.setattr(deployments, "running_engine", lambda: Engine(port=4321, pid=1))
    monkeypatch.setattr(deployments, "find_stack", find)
    return asked


def test_a_stack_that_does_not_exist_is_told_with_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "find_stack", lambda _client, _name: None)
    with pytest.raises(InputError) as caught:
        find_deployment(SCRIPT.parse(["--stack", "shop"]))
    assert str(caught.value) == "there is no stack shop in eu-west-1: deploy it, or name another with --stack"


@pytest.mark.usefixtures("environment")
def test_the_region_is_that_of_the_aws_cli_whatever_boto3_reads(
    found: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html"""
    profile = tmp_path / "config"
    profile.write_text("[default]\nregion = eu-south-1\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    for name, (aws_region, default_region) in {
        "eu-west-3": ("eu-west-3", "eu-west-1"),
        "eu-north-1": ("eu-north-1", None),
        "eu-west-2": ("", "eu-west-2"),
        "eu-south-1": (None, None),
    }.items():
        for variable, value in (("AWS_REGION", aws_region), ("AWS_DEFAULT_REGION", default_region)):
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
        deployment = find_deployment(SCRIPT.parse(["--stack", name]))
        assert deployment.session.region_name == name == found[name]


@pytest.mark.usefixtures("found")
def test_every_script_says_in_which_account_and_region_it_works(capsys: pytest.CaptureFixture[str]) -> None:
    options = SCRIPT.parse(["--stack", "shop"])
    find_deployment(options)
    assert capsys.readouterr().err == "stack shop, account 123456789012, region eu-west-1\n"

    options = SCRIPT.parse(["--stack", "shop", "--json"])
    find_deployment(options)
    print_json({"items": 1}, options)
    printed = capsys.readouterr()
    answer = {"stack": "shop", "account": "123456789012", "region": "eu-west-1", "items": 1}
    assert (json.loads(printed.out), printed.err) == (answer, "")


def test_a_stack_of_something_else_is_told() -> None:
    with pytest.raises(InputError) as caught:
        Deployment("shop", boto3.Session(region_name="eu-west-1"), {}, {}).output("JobsTableName")
    assert str(caught.value) == "the stack shop has no output JobsTableName: is it this product, and deployed?"


@pytest.mark.parametrize(
    ("arguments", "named", "stack"),
    [
        ([], None, "inventory-updater-dev"),
        ([], "", "inventory-updater-dev"),
        ([], "mine", "mine"),
        (["--local"], "mine", "inventory-updater-local"),
        (["--stack", "shop"], "mine", "shop"),
        (["--stack", "shop", "--local"], "mine", "shop"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_the_stack_is_the_named_one_or_depends_on_where(
    arguments: list[str], named: str | None, stack: str, found: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("INVENTORY_UPDATER_STACK", named)
    assert find_deployment(SCRIPT.parse(arguments)).stack == stack
    assert [*found] == [stack]


@pytest.mark.usefixtures("environment", "found")
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

    deployment = find_deployment(SCRIPT.parse(["--local"]))
    client = deployment.session.client("dynamodb")
    credentials = deployment.session.get_credentials()

    assert client.meta.endpoint_url == "http://127.0.0.1:4321"
    assert client.meta.region_name == "eu-west-1"
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("test", None)
    assert os.environ["NO_PROXY"] == "127.0.0.1"
