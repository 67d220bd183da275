"""A shop on each engine, with tables of its own for every test, and a desk in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.desk import Desk, desk_in
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


@pytest.fixture
def desk(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """Where commands about the shop are typed, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with desk_in(shop, capsys) as desk:
        yield desk
