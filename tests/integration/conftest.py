"""A shop on each engine, with tables of its own for every test."""

from typing import TYPE_CHECKING

import pytest

from tests.engines import Tables
from tests.shop import Shop, open_shop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def shop(dynamodb_client: "DynamoDBClient", tables: Tables) -> Shop:
    """A shop with two segments; `set_up_with` gives it other settings."""
    return open_shop(dynamodb_client.meta.endpoint_url, tables, segments=2)
