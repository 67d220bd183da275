"""Worker processes that can be killed: each is forked from one that has everything loaded, and talks through a gate."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError

from inventory_updater.jobs.settings import Settings
from tests.faults.gate import Gate, Reply, Worker, WorkerGone
from tests.faults.wire import JSON, Engine, headers_of, operation_of

HOST: Final = "127.0.0.1"
_WORKER: Final = "X-Worker"
_CALL_SECONDS: Final = 60.0


class Process:
    """One update call in a process of its own."""

    def __init__(self, gate: Gate, worker: Worker, engine: Engine) -> None:
        self.gate = gate
        self.worker = worker
        self.engine = engine
        self.pid = 0
        self.answer: bool | str | None = None
        self.ended = threading.Event()
        worker.kill = self.kill

    def kill(self) -> None:
        """End it with SIGKILL, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)
        self.ended.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Pass over connections that end with their process: that is what they are here for."""


class Nursery:
    """Starts worker processes and lets them through to the engines."""

    def __init__(self, breakage: str | None = None) -> None:
        self._processes: dict[str, Process] = {}
        self._lock = threading.Lock()
        nursery = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name that http.server calls
                content = self.rfile.read(int(self.headers["Content-Length"]))
                process = nursery._processes.get(self.headers[_WORKER], None)  # its own
                if process is None:
                    self.close_connection = True
                elif self.path == "/done":
                    process.answer = json.loads(content)
                    process.ended.set()
                    self._reply(Reply(200, b"{}"))
                else:
                    self._pass_on(process, content)

            def _pass_on(self, process: Process, content: bytes) -> None:
                headers = {name: value for name, value in self.headers.items() if name not in ("Host", _WORKER)}
                url, operation = process.engine.endpoint_url + "/", operation_of(self.headers)
                request = AWSPreparedRequest("POST", url, headers_of(headers), content, False)
                try:
                    reply = process.gate.exchange(
                        process.worker, operation, content, lambda changed: process.engine.send(request, changed)
                    )
                except (BotoCoreError, WorkerGone):
                    self.close_connection = True
                    return
                self._reply(reply)

            def _reply(self, reply: Reply) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", JSON)
                self.send_header("Content-Length", str(len(reply.content)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(reply.content)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server((HOST, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker_process", *([breakage] if breakage else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def call(
        self, gate: Gate, worker: Worker, engine: Engine, settings: Settings, segment: int, ahead_seconds: float
    ) -> bool | None:
        """Make one update call in a new process: its answer, or ``None`` where it was killed.

        Raises:
            RuntimeError: where the call failed; the message is the call's.
        """
        process = Process(gate, worker, engine)
        name = f"{id(gate)}/{worker.name}"
        order: dict[str, object] = {"name": name, "endpoint_url": self.endpoint_url, "settings": asdict(settings)}
        order |= {"job_id": worker.run, "segment": segment, "ahead_seconds": ahead_seconds}
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with self._lock:
            self._processes[name] = process
            self._parent.stdin.write(json.dumps(order) + "\n")
            self._parent.stdin.flush()
            process.pid = int(self._parent.stdout.readline())
            # Only now may it go on: whoever kills it has to know its number.
            self._parent.stdin.write("\n")
            self._parent.stdin.flush()
        if not process.ended.wait(_CALL_SECONDS):
            process.kill()
            raise RuntimeError(f"{worker.name} did not end within {_CALL_SECONDS:.0f} seconds")
        with self._lock:
            del self._processes[name]
        if isinstance(process.answer, str):
            raise RuntimeError(process.answer)
        return process.answer

    def close(self) -> None:
        """End everything."""
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(10)
        self._server.shutdown()
        self._server.server_close()
