"""An endpoint of AWS on this machine, down to its connections: it does with each request what a script says."""

import contextlib
import json
import socket
import socketserver
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import parse_headers
from typing import Any, Final

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Act:
    """What the endpoint does with one request: it sends ``content``.

    Then it ``closes`` the connection, or ``resets`` it, or reads the next request. One that ``is_silent`` does nothing
    at all until the client goes.
    """

    content: bytes = b""
    closes: bool = False
    resets: bool = False
    is_silent: bool = False


CLOSED: Final = Act(closes=True)
RESET: Final = Act(resets=True)
SILENT: Final = Act(is_silent=True)


@dataclass(frozen=True, slots=True)
class Request:
    """What came; the names of ``headers`` are in small letters."""

    line: str
    headers: Mapping[str, str]
    body: bytes


def http(
    body: bytes = b"{}", status: int = 200, headers: Mapping[str, str] | None = None, length: int | None = None
) -> bytes:
    """An answer of HTTP, as long as it says it is unless ``length`` says otherwise."""
    named = {"Content-Length": str(len(body) if length is None else length)} | dict(headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + body


def answer(content: object, status: int = 200, **headers: str) -> Act:
    """An answer as DynamoDB gives it, with its checksum; text and bytes stand for themselves."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    checksum = str(zlib.crc32(body))
    usual = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "R-1", "x-amz-crc32": checksum}
    return Act(http(body, status, usual | {name.replace("_", "-"): value for name, value in headers.items()}))


def refusal(code: str, message: str = "no", status: int = 400, **members: object) -> Act:
    """A refusal as DynamoDB gives it."""
    return answer({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message} | members, status)


class Endpoint(socketserver.ThreadingTCPServer):
    """A server that plays one script over all its connections; when the script is over it closes them unanswered."""

    def __init__(self, script: Iterable[Act]) -> None:
        super().__init__((HOST, 0), _Conversation)
        self.url = f"http://{HOST}:{self.server_address[1]}"
        self.requests: list[Request] = []
        self._script = iter(script)
        self._lock = threading.Lock()
        self._connections: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without the farewell that a connection that is reset does not have

    def act_on(self, request: Request) -> Act:
        with self._lock:
            self.requests.append(request)
            return next(self._script, CLOSED)

    def end(self) -> None:
        """End every connection and every thread."""
        self.shutdown()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Conversation(socketserver.StreamRequestHandler):
    server: Endpoint

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while (request := self._read_request()) is not None:
                act = self.server.act_on(request)
                if act.is_silent:
                    self.rfile.read(1)
                    return
                self.connection.sendall(act.content)
                if act.resets:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if act.resets or act.closes:
                    return

    def _read_request(self) -> Request | None:
        line = self.rfile.readline()
        if not line.endswith(b"\r\n"):
            return None
        headers = {name.lower(): value for name, value in parse_headers(self.rfile).items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        return Request(line.decode().rstrip(), headers, body)


@contextlib.contextmanager
def endpoint(script: Iterable[Act]) -> Iterator[Endpoint]:
    """An endpoint on a free port of 127.0.0.1, ended when the context is left."""
    server = Endpoint(script)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield server
    finally:
        server.end()
