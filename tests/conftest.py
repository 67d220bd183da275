"""What every test stands on: an environment that leads to no AWS account, and the engines."""

import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from cli.engine import REGION, Engine
from tests.engines import (
    Tables,
    create_tables,
    delete_tables,
    make_client,
    private_dynamodb_local,
    private_ministack,
    reason_without_dynamodb_local,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


# A deadline for an example would be a timed assertion: it fails on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # before those that are not wanted are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is so on the engine that it would run on."""
    for item in items:
        for mark in item.iter_markers("slow_on"):
            if isinstance(item, pytest.Function) and mark.args[0] in item.callspec.params.values():
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def no_way_to_aws() -> Iterator[None]:
    """Nothing that a test does by mistake reaches an account: the user's AWS configuration is out of sight."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_") and name != "AWS_CA_BUNDLE":
                patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """A script that runs within a test turns the whole process to its engine: the next test does not see it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded engine, one for each worker of pytest: what a test leaves there, the next one sees."""
    with private_ministack(tmp_path_factory.mktemp("ministack")) as engine:
        yield engine


@pytest.fixture(scope="session")
def dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of DynamoDB Local, AWS's own engine; skips where it cannot run."""
    reason = reason_without_dynamodb_local()
    if reason is not None:
        pytest.skip(reason)
    with private_dynamodb_local(tmp_path_factory.mktemp("dynamodb-local")) as endpoint_url:
        yield endpoint_url


@pytest.fixture(scope="session", params=["ministack", "dynamodb_local"])
def dynamodb_client(request: pytest.FixtureRequest) -> Iterator["DynamoDBClient"]:
    """A client of each engine in turn: a test that takes it runs twice."""
    engine: Engine | str = request.getfixturevalue(request.param)
    client: DynamoDBClient = make_client("dynamodb", engine.endpoint_url if isinstance(engine, Engine) else engine)
    yield client
    client.close()


_suffixes = itertools.count(1)


@pytest.fixture
def tables(dynamodb_client: "DynamoDBClient") -> Iterator[Tables]:
    """Both tables, empty and this test's own, on the engine of `dynamodb_client`."""
    made = create_tables(dynamodb_client, f"test-{next(_suffixes)}")
    yield made
    delete_tables(dynamodb_client, made)
