"""A stand-in for Lambda's Runtime API: it hands out events one by one and keeps what the runtime says of them.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any, Final

ARN: Final = "arn:aws:lambda:eu-west-1:123456789012:function:inventory-updater-test"
_CALL_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 60.0


class RuntimeApi:
    """The API of one function; ``address`` is what ``AWS_LAMBDA_RUNTIME_API`` names."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.events: Queue[dict[str, object]] = Queue()
        self.results: Queue[tuple[str, Any]] = Queue()
        self.asked = threading.Event()

    def invoke(self, event: dict[str, object]) -> Any:
        """What the handler answers to ``event``.

        Raises:
            RuntimeError: with what the runtime reported, where the handler or its import failed.
        """
        self.events.put(event)
        outcome, answer = self.results.get(timeout=_PATIENCE_SECONDS)
        if outcome != "response":
            raise RuntimeError(f"{outcome}: {answer}")
        return answer


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """The API on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            api.asked.set()
            event = api.events.get()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{id(event)}")
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + _CALL_SECONDS) * 1000)))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", ARN)
            self._end(json.dumps(event).encode())

        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # .../invocation/ID/response, .../invocation/ID/error or .../init/error
            api.results.put((self.path.rsplit("/", 1)[1], json.loads(body)))
            self.send_response(202)
            self._end(b"{}")

        def _end(self, body: bytes) -> None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = RuntimeApi(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
