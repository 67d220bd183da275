"""The engines of this process as the campaign knows them, and a shop on each of them."""

from typing import TYPE_CHECKING

import pytest

from cli.engine import Engine as Ministack
from tests.engines import Tables
from tests.faults.wire import Engine
from tests.shop import Shop, open_shop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="session", params=["ministack", "dynamodb_local"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn: a test that takes it runs twice."""
    found: Ministack | str = request.getfixturevalue(request.param)
    return Engine(request.param, found.endpoint_url if isinstance(found, Ministack) else found)


@pytest.fixture
def shop(dynamodb_client: "DynamoDBClient", tables: Tables) -> Shop:
    """A shop on each engine, with one segment."""
    return open_shop(dynamodb_client.meta.endpoint_url, tables, segments=1)
