"""Connections against an endpoint on this machine that keeps, breaks and delays them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from inventory_updater.dynamodb.connections import Answer, Connections
from tests.fakes.certificates import Certificate, certificate
from tests.fakes.endpoint import CLOSED, HOST, RESET, SILENT, Act, Endpoint, endpoint, http

HEADERS = {"Host": "somewhere", "X-Amz-Target": "Target"}

Serve = Callable[..., Endpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts endpoints; each argument is an act of its script."""
    with ExitStack() as stack:

        def start(*acts: Act, tls: ssl.SSLContext | None = None) -> Endpoint:
            return stack.enter_context(endpoint(acts, tls))

        yield start


def connect(to: Endpoint | str, read_timeout: float = 30.0, keep: int = 4, ca_bundle: str | None = None) -> Connections:
    url = to if isinstance(to, str) else f"{to.url}/"
    return Connections(url, connect_timeout=30.0, read_timeout=read_timeout, ca_bundle=ca_bundle, keep=keep)


def says(content: bytes = b"{}", **headers: str) -> Act:
    return Act((http(content, headers={name.replace("_", "-"): value for name, value in headers.items()}),))


# What is sent and what comes back


def test_a_request_is_a_post_to_the_root_with_its_headers_and_its_length(serve: Serve) -> None:
    server = serve(says())

    connect(server).exchange(HEADERS, b"content \x00\xff")

    (request,) = server.requests
    assert request.line == "POST / HTTP/1.1"
    assert request.headers == {"host": "somewhere", "x-amz-target": "Target", "content-length": "10"}
    assert request.body == b"content \x00\xff"


def test_an_answer_is_its_status_its_headers_in_small_letters_and_its_content(serve: Serve) -> None:
    server = serve(Act((http(b"gone", 410, {"X-Amzn-RequestId": " R1 ", "X-Colon": "a:b"}),)))

    answer = connect(server).exchange(HEADERS, b"{}")

    assert answer == Answer(410, {"content-length": "4", "x-amzn-requestid": "R1", "x-colon": "a:b"}, b"gone")


def test_an_answer_may_be_empty(serve: Serve) -> None:
    assert connect(serve(says(b""))).exchange(HEADERS, b"{}").content == b""


def test_an_answer_may_come_in_many_small_segments(serve: Serve) -> None:
    content = http(b'{"Items":[]}', headers={"x-amz-crc32": "1"})
    server = serve(Act(tuple(content[at : at + 1] for at in range(len(content)))), says(b"second"))
    connections = connect(server)

    assert connections.exchange(HEADERS, b"{}").content == b'{"Items":[]}'
    assert connections.exchange(HEADERS, b"{}").content == b"second"


def test_requests_and_answers_may_be_large(serve: Serve) -> None:
    large = bytes(range(256)) * 40_000
    server = serve(says(large), says(b"second"))
    connections = connect(server)

    assert connections.exchange(HEADERS, large).content == large
    assert connections.exchange(HEADERS, b"{}").content == b"second"
    assert server.requests[0].body == large


# Reuse


def test_a_connection_is_used_again(serve: Serve) -> None:
    server = serve(*[says()] * 5)
    connections = connect(server)

    for _ in range(5):
        connections.exchange(HEADERS, b"{}")

    assert [request.connection for request in server.requests] == [0] * 5


def test_a_connection_that_the_server_closed_while_it_was_idle_is_replaced(serve: Serve) -> None:
    closes_after_its_answer = Act((http(),), closes=True)
    server = serve(closes_after_its_answer, closes_after_its_answer, says())
    connections = connect(server)

    for _ in range(2):
        connections.exchange(HEADERS, b"{}")
        server.wait_until_one_is_closed()
    connections.exchange(HEADERS, b"{}")

    assert [request.connection for request in server.requests] == [0, 1, 2]


def test_every_idle_connection_that_the_server_closed_is_replaced(serve: Serve) -> None:
    # All of them are closed at once, as by a server that restarts.
    everybody_has_asked = threading.Barrier(3)
    closes_after_its_answer = Act((http(),), closes=True, waits=lambda: everybody_has_asked.wait(30))
    server = serve(*[closes_after_its_answer] * 3, says())
    connections = connect(server)

    with ThreadPoolExecutor(3) as executor:
        list(executor.map(lambda _: connections.exchange(HEADERS, b"{}"), range(3)))
    for _ in range(3):
        server.wait_until_one_is_closed()

    assert connections.exchange(HEADERS, b"{}").content == b"{}"
    assert [request.connection for request in server.requests[-1:]] == [3]


def test_a_connection_is_not_used_again_where_the_answer_says_so(serve: Serve) -> None:
    # The server keeps it open: only what it said counts.
    server = serve(says(Connection="Close"), says())
    connections = connect(server)

    connections.exchange(HEADERS, b"{}")
    server.wait_until_one_is_closed()
    connections.exchange(HEADERS, b"{}")

    assert [request.connection for request in server.requests] == [0, 1]


def test_threads_do_not_share_a_connection_at_the_same_time(serve: Serve) -> None:
    server = serve(*[says(str(number).encode()) for number in range(200)])
    connections = connect(server)

    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(lambda _: connections.exchange(HEADERS, b"{}").content, range(200)))

    assert sorted(map(int, answers)) == list(range(200))
    assert server.connections <= 4


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_no_more_connections_than_wanted_stay_open(serve: Serve, keep: int) -> None:
    everybody_has_asked, may_answer = threading.Barrier(4), threading.Semaphore(0)

    def wait() -> None:
        everybody_has_asked.wait(30)
        may_answer.acquire(timeout=30)

    server = serve(*[Act((http(),), waits=wait)] * 4, says(), says())
    connections = connect(server, keep=keep)

    with ThreadPoolExecutor(4) as executor:
        under_way = {executor.submit(connections.exchange, HEADERS, b"{}") for _ in range(4)}
        while under_way:
            may_answer.release()
            _, under_way = futures.wait(under_way, return_when=futures.FIRST_COMPLETED)

    ended = {server.wait_until_one_is_closed() for _ in range(4 - keep)}
    connections.exchange(HEADERS, b"{}")
    assert server.connections == (4 if keep else 5)
    assert server.requests[-1].connection not in ended


# What breaks


@pytest.mark.parametrize(
    "act",
    [
        CLOSED,
        RESET,
        Act((b"HTTP/1.1 20",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\n",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\nContent-Le",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\nContent-Length: 2",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",), closes=True),
        Act((http(b'{"Items":', length=1000),), closes=True),
        Act((http(b'{"Items":', length=1000),), resets=True),
        Act((b"HTTP/1.1 200 OK\r\n\r\n{}",), closes=True),
        Act((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",)),
        Act((http(headers={"Content-Length": "two"}),)),
        Act((http(length=-2),)),
        Act((b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\n{}",)),
        Act((b"SSH-2.0-OpenSSH_9.6\r\n",)),
    ],
    ids=[
        "closed without an answer",
        "reset without an answer",
        "closed in the status line",
        "closed after the status line",
        "closed in the name of a header",
        "closed in the value of a header",
        "closed in the head",
        "closed before the body",
        "closed in the body",
        "reset in the body",
        "no length",
        "chunks",
        "a length that is no number",
        "a negative length",
        "no status",
        "not HTTP",
    ],
)
def test_an_answer_that_does_not_come_whole_is_a_closed_connection(serve: Serve, act: Act) -> None:
    server = serve(act, says(b"second"))
    connections = connect(server)

    with pytest.raises(ConnectionClosedError) as caught:
        connections.exchange(HEADERS, b"{}")

    assert server.url in str(caught.value)
    # What is left of the broken one must not be taken for the next answer.
    assert connections.exchange(HEADERS, b"{}").content == b"second"
    assert [request.connection for request in server.requests] == [0, 1]


@pytest.mark.parametrize(
    "parts", [(), (b"HTTP/1.1 200 OK\r\n",), (http(b"{", length=2),)], ids=["nothing", "half a head", "half a body"]
)
def test_a_server_that_falls_silent_is_given_up(serve: Serve, parts: tuple[bytes, ...]) -> None:
    server = serve(Act(parts), says(b"second"))
    connections = connect(server, read_timeout=0.05)

    with pytest.raises(ReadTimeoutError):
        connections.exchange(HEADERS, b"{}")
    # Given up is closed: the answer that may still come belongs to nobody.
    server.wait_until_one_is_closed()


def test_where_nobody_listens_there_is_no_connection(serve: Serve) -> None:
    server = serve()
    server.close()

    with pytest.raises(EndpointConnectionError) as caught:
        connect(server).exchange(HEADERS, b"{}")
    assert server.url in str(caught.value)


def test_a_host_without_an_address_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", mock.Mock(side_effect=socket.gaierror("Name or service not known")))

    with pytest.raises(EndpointConnectionError):
        connect("http://nowhere.invalid/").exchange(HEADERS, b"{}")


def test_whoever_interrupts_a_request_leaves_no_half_read_connection_behind(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    server = serve(says(b"first"), says(b"second"))
    connections = connect(server)

    def interrupt(*_content: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("inventory_updater.dynamodb.connections.Answer", interrupt)
        with pytest.raises(Interrupted):
            connections.exchange(HEADERS, b"{}")

    assert connections.exchange(HEADERS, b"{}").content == b"second"
    assert [request.connection for request in server.requests] == [0, 1]


# TLS


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("right"), HOST)


@pytest.fixture(scope="module")
def of_another_host(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("other"), "127.0.0.2")


def test_a_server_with_the_right_certificate_is_asked_over_one_connection(serve: Serve, right: Certificate) -> None:
    server = serve(*[says()] * 3, tls=right.server)
    connections = connect(server, ca_bundle=right.bundle)

    for _ in range(3):
        assert connections.exchange(HEADERS, b"content").content == b"{}"

    # The tickets that TLS 1.3 sends after a handshake are no sign of an end.
    assert [(request.connection, request.body) for request in server.requests] == [(0, b"content")] * 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_large_answers_come_over_tls_too(serve: Serve, tmp_path: Path, version: ssl.TLSVersion) -> None:
    large = bytes(range(256)) * 4_000
    own = certificate(tmp_path, HOST)
    own.server.maximum_version = version
    server = serve(says(large), says(b"second"), tls=own.server)
    connections = connect(server, ca_bundle=own.bundle)

    assert connections.exchange(HEADERS, large).content == large
    assert connections.exchange(HEADERS, b"{}").content == b"second"
    assert [request.connection for request in server.requests] == [0, 0]


def test_a_tls_connection_that_the_server_closed_while_it_was_idle_is_replaced(
    serve: Serve, right: Certificate
) -> None:
    server = serve(Act((http(),), closes=True), says(b"second"), tls=right.server)
    connections = connect(server, ca_bundle=right.bundle)

    connections.exchange(HEADERS, b"{}")
    server.wait_until_one_is_closed()

    assert connections.exchange(HEADERS, b"{}").content == b"second"


@pytest.mark.parametrize(
    "cut", [CLOSED, RESET, Act((http(b"{", length=9),), closes=True)], ids=["closed", "reset", "cut"]
)
def test_an_answer_that_does_not_come_whole_over_tls_is_a_closed_connection(
    serve: Serve, right: Certificate, cut: Act
) -> None:
    server = serve(cut, tls=right.server)

    with pytest.raises(ConnectionClosedError):
        connect(server, ca_bundle=right.bundle).exchange(HEADERS, b"{}")


def test_a_silent_server_is_given_up_over_tls_too(serve: Serve, right: Certificate) -> None:
    server = serve(SILENT, tls=right.server)

    with pytest.raises(ReadTimeoutError):
        connect(server, ca_bundle=right.bundle, read_timeout=0.05).exchange(HEADERS, b"{}")


def test_nothing_is_sent_to_a_server_with_the_certificate_of_another_host(
    serve: Serve, of_another_host: Certificate
) -> None:
    server = serve(says(), tls=of_another_host.server)

    with pytest.raises(SSLError) as caught:
        connect(server, ca_bundle=of_another_host.bundle).exchange(HEADERS, b"secret")

    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert "mismatch" in caught.value.__cause__.verify_message
    server.wait_until_one_is_closed()
    assert server.requests == []


@pytest.mark.parametrize("trusts", ["the system's", "another one's"])
def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(
    serve: Serve, right: Certificate, of_another_host: Certificate, trusts: str
) -> None:
    server = serve(says(), tls=right.server)
    bundle = None if trusts == "the system's" else of_another_host.bundle

    with pytest.raises(SSLError) as caught:
        connect(server, ca_bundle=bundle).exchange(HEADERS, b"secret")

    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    server.wait_until_one_is_closed()
    assert server.requests == []
