"""An answer of HTTP 200 that did not come through whole is no answer: asked for again, never taken for success."""

import zlib
from collections.abc import Mapping
from typing import Any, Final, cast

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import HTTPClientError

from tests.faults.gate import Reply
from tests.faults.wire import Engine, hurried, raw_answer

REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "scan": {"TableName": "a"},
    "batch_execute_statement": {"Statements": []},
    "put_item": {"TableName": "a", "Item": {}},
    "update_item": {"TableName": "a", "Key": {}},
    "get_item": {"TableName": "a", "Key": {}},
    "batch_get_item": {"RequestItems": {"a": {"Keys": []}}},
    "batch_write_item": {"RequestItems": {"a": []}},
    "query": {"TableName": "a"},
}
"""One of each operation that the product asks for."""
WHOLE: Final = b'{"Items": [], "Count": 0, "ScannedCount": 0}'
OF_ANOTHER: Final = {"x-amz-crc32": str(zlib.crc32(b"another answer"))}


def client_that_is_answered(*answers: tuple[bytes, Mapping[str, str]]) -> Any:
    """The product's client, of which each request gets the next answer, and the last one for ever."""
    client = Engine("none", "http://127.0.0.1:9").calm
    waiting = list(answers)

    def before_send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        content, headers = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return raw_answer(request, Reply(200, content, headers))

    client.meta.events.register("before-send.dynamodb", cast("Any", before_send))
    return client


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize(
    "answer",
    [(WHOLE[:20], {}), (WHOLE[:20], OF_ANOTHER), (b"", {}), (WHOLE, OF_ANOTHER)],
    ids=["cut off", "cut off, with its checksum", "empty", "refuted by its checksum"],
)
def test_a_damaged_answer_is_never_taken_for_success(operation: str, answer: tuple[bytes, Mapping[str, str]]) -> None:
    client = client_that_is_answered(answer)

    with hurried(), pytest.raises(HTTPClientError):
        getattr(client, operation)(**REQUESTS[operation])


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_damaged_answer_is_asked_for_again(operation: str) -> None:
    good = {"x-amz-crc32": str(zlib.crc32(WHOLE))}
    client = client_that_is_answered((WHOLE, OF_ANOTHER), (WHOLE[:20], good), (WHOLE, good))

    with hurried():
        answer = getattr(client, operation)(**REQUESTS[operation])

    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
