"""A shop on each engine, with tables of its own for every test."""

from typing import TYPE_CHECKING

import pytest

from tests.engines import Tables
from tests.shop import Shop, Transport, open_shop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def transport() -> Transport:
    """How the shop talks to its engine: the direct way, where a test is not parametrized with both."""
    return "direct"


@pytest.fixture
def shop(dynamodb_client: "DynamoDBClient", tables: Tables, transport: Transport) -> Shop:
    """A shop with two segments; `set_up_with` gives it other settings."""
    return open_shop(dynamodb_client.meta.endpoint_url, tables, transport, segments=2)
