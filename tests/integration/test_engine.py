"""The embedded engine: started, found again, stopped."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.engine import EngineNotRunning, running_engine, start_engine, stop_engine
from tests.engines import make_client, private_ministack

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient


def test_an_engine_is_started_found_again_and_stopped(tmp_path: Path) -> None:
    with private_ministack(tmp_path) as engine:
        client: STSClient = make_client("sts", engine.endpoint_url)

        assert running_engine(tmp_path) == start_engine(tmp_path) == engine
        assert client.get_caller_identity()["Account"] == "000000000000"

    with pytest.raises(EngineNotRunning, match="start it with `make run`"):
        running_engine(tmp_path)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(engine.endpoint_url, timeout=5)
    assert not stop_engine(tmp_path), "stopping what does not run is fine"


def test_a_memory_of_an_engine_that_is_gone_is_recognised_even_if_its_number_now_is_another_process(
    tmp_path: Path,
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as another:
        (tmp_path / "engine.json").write_text(json.dumps({"port": 1, "pid": another.pid}), encoding="utf-8")

        with pytest.raises(EngineNotRunning, match="on port 1 is gone"):
            running_engine(tmp_path)
        assert not stop_engine(tmp_path)
        assert another.poll() is None
        another.communicate(b"\n")


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"port": "x", "pid": 1}'])
def test_a_memory_that_cannot_be_read_is_no_engine(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine.json").write_text(text, encoding="utf-8")

    with pytest.raises(EngineNotRunning):
        running_engine(tmp_path)


def test_the_environment_of_an_engine_leads_nowhere_else(tmp_path: Path) -> None:
    with private_ministack(tmp_path) as engine:
        environment = engine.environment(
            {"PATH": "/bin", "AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "t", "AWS_CA_BUNDLE": "/ca.pem"}
        )

    assert (environment["PATH"], environment["AWS_CA_BUNDLE"]) == ("/bin", "/ca.pem")
    assert environment["AWS_ENDPOINT_URL"] == engine.endpoint_url
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(environment)
