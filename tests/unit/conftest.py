"""What unit tests of several rooms share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from tests.fakes.warehouse import Warehouse

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before asking again."""
    monkeypatch.setattr("inventory_updater.dynamodb.pacing.random.uniform", lambda _low, _high: 0.0)


@pytest.fixture(scope="module")
def moto_client() -> "Iterator[DynamoDBClient]":
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse()
