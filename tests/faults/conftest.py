"""The engines of this process as the campaign knows them."""

import pytest

from cli.engine import Engine as Ministack
from tests.faults.wire import Engine


@pytest.fixture(scope="session", params=["ministack", "dynamodb_local"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn: a test that takes it runs twice."""
    found: Ministack | str = request.getfixturevalue(request.param)
    return Engine(request.param, found.endpoint_url if isinstance(found, Ministack) else found)
