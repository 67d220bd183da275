"""The product's own botocore client, with a gate in its event ``before-send``."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast
from unittest import mock

import botocore.endpoint
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from inventory_updater.dynamodb import pacing
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.jobs import closing, opening, pages
from inventory_updater.tables import change_table
from tests.engines import session
from tests.faults.gate import Gate, Reply, Worker

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

REGION: Final = "eu-west-1"
JSON: Final = "application/x-amz-json-1.0"
_SHARDS: Final = 4
HURRY: Final = 100.0
"""How many times faster than in reality pauses between retries pass in a campaign."""


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Let the pauses of botocore and of the product pass faster: their number stays as it is.

    A worker looks more often whether its job was stopped, and there are fewer shards to look into.
    """
    sleep = time.sleep
    quick = SimpleNamespace(time=time.time, sleep=lambda seconds: sleep(seconds / HURRY))
    with (
        mock.patch.object(botocore.endpoint, "time", quick),
        mock.patch.object(pacing, "_BACKOFF_BASE_SECONDS", 0.05 / HURRY),
        mock.patch.object(pacing, "_BACKOFF_LIMIT_SECONDS", 5.0 / HURRY),
        mock.patch.object(pages, "_LOOK_SECONDS", 0.05),
        mock.patch.object(pages, "SLICES", _SHARDS),
        contextlib.ExitStack() as stack,
    ):
        for module in (change_table, pages, opening, closing):
            stack.enter_context(mock.patch.object(module, "SHARDS", change_table.SHARDS[:_SHARDS]))
        yield


class Engine:
    """An engine, and the connections to it that the gates share."""

    def __init__(self, name: str, endpoint_url: str) -> None:
        self.name = name
        self.endpoint_url = endpoint_url
        self.http = URLLib3Session(max_pool_connections=32)
        self._lock = threading.Lock()
        self._free: list[_Wire] = []
        self.calm = self.client(32)
        """A client that nothing disturbs, for every round."""

    def send(self, request: AWSPreparedRequest, content: bytes) -> Reply:
        """Send a request, with this content, to the engine itself."""
        headers = {**dict(request.headers.items()), "Content-Length": str(len(content))}
        answer = self.http.send(
            AWSPreparedRequest(request.method, request.url, headers_of(headers), content, request.stream_output)
        )
        return Reply(answer.status_code, answer.content)

    def client(self, write_concurrency: int) -> "DynamoDBClient":
        """A client as the function makes it."""
        return dynamodb_client(session(), write_concurrency, self.endpoint_url)

    @contextlib.contextmanager
    def gated(self, gate: Gate, worker: Worker) -> Iterator["DynamoDBClient"]:
        """A client of the same kind of which every request goes through a gate."""
        with self._lock:
            wire = self._free.pop() if self._free else _Wire(self)
        wire.gate, wire.worker = gate, worker
        try:
            yield wire.client
        finally:
            with self._lock:
                self._free.append(wire)


class _Wire:
    """A client and the gate that it leads through at the moment. Making a client is dear, so they are used again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.gate: Gate | None = None
        self.worker: Worker | None = None
        self.client = engine.client(4)
        self.client.meta.events.register("before-send.dynamodb", cast("Any", self._before_send))

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        assert self.gate is not None
        assert self.worker is not None
        reply = self.gate.exchange(
            self.worker,
            operation_of(request.headers),
            cast("bytes", request.body),
            lambda content: self._engine.send(request, content),
        )
        return raw_answer(request, Reply(reply.status, reply.content, {"Content-Type": JSON, **reply.headers}))


def raw_answer(request: AWSPreparedRequest, reply: Reply) -> AWSResponse:
    """What botocore takes for the answer to a request."""
    raw: Any = SimpleNamespace(stream=lambda: iter([reply.content]))  # all of it that botocore uses
    return AWSResponse(request.url, reply.status, headers_of(reply.headers), raw)


def headers_of(names: Mapping[str, str]) -> Any:
    """Headers as botocore takes them: a plain dictionary will do, whatever its types say."""
    return dict(names)


def operation_of(headers: Any) -> str:
    """The operation that a request of DynamoDB's protocol names."""
    target = headers["X-Amz-Target"]
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2]
