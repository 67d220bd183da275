"""The embedded engine: a private ministack server on this machine, started, found again and stopped.

A server belongs to a directory. That directory holds `engine.json` (port and process id), the server's log and its
temporary files, so that two checkouts, or a checkout and a test, never meet.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
LOCAL_DIRECTORY: Final = CHECKOUT / ".local"
"""Where the server of `make run` lives."""

REGION: Final = "eu-west-1"
HOST: Final = "127.0.0.1"

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0
_PORTS_TO_TRY: Final = 3


class EngineNotRunning(Exception):
    """No engine is running where one was looked for; the text says how to start it."""


class EngineFailed(Exception):
    """The engine did not start, or did not stop; the text says why and where its log is."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A running server."""

    port: int
    pid: int

    @property
    def endpoint_url(self) -> str:
        """Where every AWS service of this engine answers."""
        return f"http://{HOST}:{self.port}"

    @property
    def region(self) -> str:
        """The region that `environment` names."""
        return REGION

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment (`base`, else this process's) in which the AWS CLI and boto3 talk to this engine only.

        Nothing of the user's own AWS configuration gets through: no profile, no session token, no file.
        """
        return _without_aws(os.environ if base is None else base) | {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            # The engine takes any credentials; these belong to nobody.
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            # A proxy for the outside world knows nothing of this machine's ports.
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }


def running_engine(directory: Path = LOCAL_DIRECTORY) -> Engine:
    """The engine that lives in `directory`; EngineNotRunning where there is none, or the remembered one is gone."""
    engine = _remembered_engine(directory)
    if engine is not None and _is_ministack(engine.pid) and _is_healthy(engine.port):
        return engine
    found, what_to_do = (
        ("is not running", "start it") if engine is None else (f"on port {engine.port} is gone", "start it again")
    )
    raise EngineNotRunning(f"the embedded engine {found}: {what_to_do} with `make run` or `scripts/local.py start`")


def start_engine(directory: Path = LOCAL_DIRECTORY, overrides: Mapping[str, str] | None = None) -> Engine:
    """Start a server in `directory` on a free port of 127.0.0.1 and return when it is healthy.

    `overrides` go into the server's environment, for example `{"AUTH": "true"}`. Where one is running already, that one
    is returned as it is. Raises EngineFailed when the server ends or is not healthy within a minute.
    """
    with contextlib.suppress(EngineNotRunning):
        return running_engine(directory)
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    for tries_left in reversed(range(_PORTS_TO_TRY)):
        try:
            engine = _start_on_port(_free_port(), directory, overrides or {})
            break
        except EngineFailed:
            # Between looking for a free port and using it another process may have taken it.
            if not tries_left:
                raise
    _memory(directory).write_text(json.dumps(asdict(engine)) + "\n", encoding="utf-8")
    return engine


def stop_engine(directory: Path = LOCAL_DIRECTORY) -> bool:
    """Stop the server that lives in `directory`, its workers included; False where there is none to stop."""
    engine = _remembered_engine(directory)
    _memory(directory).unlink(missing_ok=True)
    if engine is None or not _is_ministack(engine.pid):
        return False
    _end(engine.pid)
    return True


def _start_on_port(port: int, directory: Path, overrides: Mapping[str, str]) -> Engine:
    log = directory / "engine.log"
    # The Lambda workers inherit it, so nothing in it may lead them elsewhere.
    environment = _without_aws(os.environ) | {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "TMPDIR": str(directory / "tmp"),
        "S3_DATA_DIR": str(directory / "s3"),
        "STATE_DIR": str(directory / "state"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("PYTHONPATH", None)  # or a function would import the checkout and not its own package
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=directory,
            env=environment | dict(overrides),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it, and its workers end with it
        )
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(port):
        if process.poll() is not None:
            raise EngineFailed(f"the embedded engine ended with status {process.returncode}: see {log}")
        if time.monotonic() > deadline:
            _end(process.pid)
            raise EngineFailed(f"the embedded engine was not healthy within {_START_SECONDS:.0f} seconds: see {log}")
        time.sleep(0.05)
    return Engine(port=port, pid=process.pid)


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what tells the AWS SDKs who and where they are; the certificates to trust stay."""
    return {
        name: value for name, value in environment.items() if not name.startswith("AWS_") or name == "AWS_CA_BUNDLE"
    }


def _memory(directory: Path) -> Path:
    return directory / "engine.json"


def _remembered_engine(directory: Path) -> Engine | None:
    try:
        remembered = json.loads(_memory(directory).read_text(encoding="utf-8"))
        return Engine(port=int(remembered["port"]), pid=int(remembered["pid"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _is_healthy(port: int) -> bool:
    # Without a proxy handler: a proxy for the outside world knows nothing of this machine's ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}/_ministack/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_ministack(pid: int) -> bool:
    """Whether the process still is the server: the system gives the number of an ended process to another one."""
    try:
        # Empty for a zombie.
        return b"ministack" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        if Path("/proc/self").exists():
            return False
    listing = ["ps", "-ww", "-p", str(pid), "-o", "command="]
    return b"ministack" in subprocess.run(listing, capture_output=True, check=False).stdout


def _end(pid: int) -> None:
    """End the server's process group, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # a child of ours would stay a zombie
            if not _is_ministack(pid):
                return
            time.sleep(0.05)
    raise EngineFailed(f"the embedded engine, process {pid}, does not end")
