"""A deployed stack for the end-to-end tests."""

from collections.abc import Iterator

import pytest

from cli.engine import Engine
from tests.engines import private_ministack
from tests.stacks import Stack, deploy_stack


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An embedded engine of this module's own."""
    with private_ministack(tmp_path_factory.mktemp("server")) as engine:
        yield engine


@pytest.fixture(scope="module")
def stack(server: Engine) -> Stack:
    """The template, deployed to this module's engine with both schedules off."""
    return deploy_stack(server, "inventory-updater-test")
