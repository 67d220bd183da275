"""Connections to one endpoint of AWS, kept open between requests and shared by threads.

They speak what DynamoDB speaks of HTTP/1.1 and no more: one request after the other, answers that say their length in
advance. What breaks is told in botocore's errors, so that botocore's rules of retrying hold.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import socket
import ssl
from collections.abc import Mapping
from queue import Empty, LifoQueue
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util.wait import wait_for_read

_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What came back, under the names that botocore's responses have; the names of ``headers`` are in small letters."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class Connections:
    """Connections to the endpoint at ``url``, at most ``keep`` of them idle; time-outs are in seconds."""

    def __init__(
        self, url: str, *, connect_timeout: float, read_timeout: float, ca_bundle: str | None, keep: int
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._connect_timeout, self._read_timeout = connect_timeout, read_timeout
        self._tls = ssl.create_default_context(cafile=ca_bundle) if parts.scheme == "https" else None
        self._idle: LifoQueue[_Connection] = LifoQueue()
        self._keep = keep

    def exchange(self, headers: Mapping[str, str], content: bytes) -> Answer:
        """POST ``content`` to the root and return the answer.

        Raises:
            botocore.exceptions.ConnectionError: where no connection could be made, or it was closed before the end.
            botocore.exceptions.ReadTimeoutError: where the answer did not come in time.
        """
        connection = self._idle_one() or self._new_one()
        try:
            answer = connection.exchange(headers, content)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, ValueError) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
        except BaseException:
            connection.close()
            raise
        if answer.headers.get("connection", "").lower() == "close" or self._idle.qsize() >= self._keep:
            connection.close()
        else:
            self._idle.put(connection)
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while (connection := self._idle_one()) is not None:
            connection.close()

    def _idle_one(self) -> "_Connection | None":
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                return None
            if not connection.has_ended():
                return connection
            connection.close()

    def _new_one(self) -> "_Connection":
        try:
            connection = socket.create_connection((self._host, self._port), self._connect_timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                # What fails to be wrapped is closed.
                connection = self._tls.wrap_socket(connection, server_hostname=self._host)
        except ssl.SSLError as error:
            raise SSLError(endpoint_url=self._url, error=error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=self._url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        connection.settimeout(self._read_timeout)
        return _Connection(connection)


class _Connection:
    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._answers = connection.makefile("rb")

    def exchange(self, headers: Mapping[str, str], content: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            OSError: where the connection broke; ``TimeoutError`` where nothing came in time.
            ValueError: where what came is no answer that this module understands.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(head.encode("latin-1") + content)
        status_line = self._answers.readline()
        if not status_line.startswith(b"HTTP/1."):
            raise ValueError("the connection was closed without an answer")
        found: dict[str, str] = {}
        while (line := self._answers.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            found[name.lower()] = value.strip()
        length = int(found.get("content-length", "-1"))
        body = self._answers.read(length) if length >= 0 else b""
        if len(body) != length:
            raise ValueError("the answer was cut off, or its length is unknown")
        return Answer(int(status_line[9:12]), found, body)

    def has_ended(self) -> bool:
        """Whether the other side has closed it: with nothing asked, there is nothing else to be read."""
        return wait_for_read(self._socket, timeout=0)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
