"""A shop on each engine, with tables of its own for every test."""

from typing import TYPE_CHECKING

import pytest

from tests.engines import Tables
from tests.shop import ClientKind, Shop, open_shop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def client_kind() -> ClientKind:
    """The client of the shop: the function's, where a test is not parametrized with both."""
    return "JSON"


@pytest.fixture
def shop(dynamodb_client: "DynamoDBClient", tables: Tables, client_kind: ClientKind) -> Shop:
    """A shop with two segments; `set_up_with` gives it other settings."""
    return open_shop(dynamodb_client.meta.endpoint_url, tables, client_kind, segments=2)
