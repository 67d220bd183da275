"""An endpoint of AWS on this machine, down to its connections: it does with each request what a script says."""

import contextlib
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HOST: Final = "127.0.0.1"

_PATIENCE_SECONDS: Final = 30.0


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


def answer(content: object, status: int = 200, request_id: str = "REQUEST-1", **headers: str) -> Act:
    """An answer as DynamoDB gives it, with its checksum; text and bytes stand for themselves."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    usual = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-RequestId": request_id,
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return Act(http(body, status, usual | {name.replace("_", "-"): value for name, value in headers.items()}))


def refusal(code: str, message: str = "no", status: int = 400, **members: object) -> Act:
    """A refusal as DynamoDB gives it."""
    return answer({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message} | members, status)


@dataclass
class Endpoint:
    """A server that plays one script over all its connections; when the script is over it closes them unanswered."""

    script: Iterator[Act]
    requests: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        """End every connection and every thread."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _start(self, target: Any, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._converse(connection)
        with self._lock:
            self._open.discard(connection)
            connection.close()

    def _converse(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (request := _read_request(stream)) is not None:
                with self._lock:
                    self.requests.append(request)
                    act = next(self.script, CLOSED)
                if act.is_silent:
                    stream.read(1)
                    return
                connection.sendall(act.content)
                if act.resets:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if act.resets or act.closes:
                    return


def _read_request(stream: Any) -> Request | None:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        return None
    headers: dict[str, str] = {}
    while (header := stream.readline().rstrip(b"\r\n")) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Request(line.decode().rstrip(), headers, body)


@contextlib.contextmanager
def endpoint(script: Iterable[Act]) -> Iterator[Endpoint]:
    """An endpoint on a free port of 127.0.0.1, ended when the context is left."""
    made = Endpoint(iter(script))
    try:
        yield made
    finally:
        made.close()
