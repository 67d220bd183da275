import os
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber

from cli import deployments
from cli.command_line import CommandLine
from cli.deployments import Deployment, find_deployment
from cli.engine import Engine
from cli.errors import InputError

SCRIPT = CommandLine("A script.", lambda _options: 0)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test may change the whole environment; it is put back afterwards."""
    before = dict(os.environ)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield
    os.environ.clear()
    os.environ.update(before)


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
    assert deployments.stack_outputs(client, "shop") == {"InventoryTableName": "inventory-shop"}  # type: ignore[arg-type]


def test_a_stack_that_does_not_exist_is_told() -> None:
    client, _ = cloudformation(None)
    with pytest.raises(InputError) as caught:
        deployments.stack_outputs(client, "shop")  # type: ignore[arg-type]
    assert str(caught.value) == "there is no stack shop in eu-west-1: deploy it, or name another one with --stack"


def test_a_stack_of_something_else_is_told() -> None:
    with pytest.raises(InputError) as caught:
        Deployment("shop", boto3.Session(region_name="eu-west-1"), {}).output("JobsTableName")
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
    arguments: list[str], named: str | None, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is not None:
        monkeypatch.setenv("INVENTORY_UPDATER_STACK", named)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(deployments, "running_engine", lambda: Engine(port=1, pid=1))
    monkeypatch.setattr(deployments, "stack_outputs", lambda _client, _name: {})
    assert find_deployment(SCRIPT.parse(arguments)).stack == stack


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
    monkeypatch.setattr(deployments, "running_engine", lambda: Engine(port=4321, pid=1))
    monkeypatch.setattr(deployments, "stack_outputs", lambda _client, _name: {})

    deployment = find_deployment(SCRIPT.parse(["--local"]))
    client = deployment.session.client("dynamodb")
    credentials = deployment.session.get_credentials()

    assert client.meta.endpoint_url == "http://127.0.0.1:4321"
    assert client.meta.region_name == "eu-west-1"
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("test", None)
    assert os.environ["NO_PROXY"] == "127.0.0.1"
