"""A server that answers as DynamoDB does, from memory and at once: what is left to measure is the client.

Its inventory tables are shelves: every scan finds the same items, every write succeeds and changes nothing, so a run
can be repeated. Its jobs tables remember what is put into them.

Run as a program, with the milliseconds that every answer waits, it prints its port and serves until its standard
input ends.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
import zlib
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from benchmarks.jobs_store import JobsStore
from benchmarks.shelves import DUE_AT, Shelf, rendering
from cli.engine import HOST

_PAGE_BYTES: Final = 1_048_576
_READ_UNIT: Final = 4096
_WRITE_UNIT: Final = 1024
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TABLE: Final = re.compile(rb'"TableName" ?: ?"([^"]+)"|UPDATE \\"([^"\\]+)\\"')
_EACH_UPDATE: Final = {
    b"UpdateItem": b'"UpdateExpression"',
    b"BatchExecuteStatement": b'"Statement"',
    b"TransactWriteItems": b'"Update"',
}
"""What stands in a body once for each update."""


class Answers:
    """What is answered to which request, and how much was asked for."""

    def __init__(self) -> None:
        self._jobs = JobsStore()
        self._requests = 0
        self._write_units = 0

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """The body of the answer to one request; ValueError or KeyError where nobody can answer it."""
        self._requests += 1
        if operation == b"Scan":
            return scan_answer(body)
        if operation in _EACH_UPDATE and b'"jobs-' not in body:
            return self._write(operation, body)
        return _json(self._jobs.answer(operation.decode(), body))

    def counts(self) -> bytes:
        """What was asked for so far."""
        return _json({"requests": self._requests, "write_units": self._write_units})

    def _write(self, operation: bytes, body: bytes) -> bytes:
        match = _TABLE.search(body)
        if match is None:
            raise ValueError("the request names no table")
        table, updates = (match[1] or match[2]).decode(), body.count(_EACH_UPDATE[operation])
        # A transaction takes twice the units.
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        self._write_units += updates * write_units(table) * (2 if operation == b"TransactWriteItems" else 1)
        return _write_answer(operation, table, updates, b'"ReturnConsumedCapacity"' in body)


def write_units(table_name: str) -> int:
    """The table's units for one update of one of its items; those of the index come on top, whoever writes."""
    return -(-Shelf.of_table(table_name).item_bytes // _WRITE_UNIT)


@lru_cache(maxsize=64)
def scan_answer(body: bytes) -> bytes:
    """A page of a scan of a shelf or of its sparse index."""
    request = json.loads(body)
    shelf = Shelf.of_table(request["TableName"])
    is_index = "IndexName" in request
    step, count = (shelf.step, shelf.due) if is_index else (1, shelf.stored)
    segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
    first, end = count * segment // segments, count * (segment + 1) // segments
    if "ExclusiveStartKey" in request:
        first = int(request["ExclusiveStartKey"]["sku"]["S"].removeprefix("SKU-")) // step + 1
    last = min(end, first + min(request.get("Limit", count), max(1, _PAGE_BYTES // shelf.item_bytes)))
    items, read_bytes = [], 0
    for number in range(first * step, last * step, step):
        template, numbers, size = rendering(shelf.is_due(number), shelf.padding)
        items.append(template % ((number,) * numbers))
        read_bytes += size
    parts = [b'{"Count":%d,"ScannedCount":%d,"Items":[%s]' % (len(items), len(items), b",".join(items))]
    if last < end:
        key = {"sku": {"S": f"SKU-{(last - 1) * step:08}"}, "location_id": {"S": "DC-01"}}
        if is_index:
            key["next_change_at"] = {"S": DUE_AT}
        parts.append(b',"LastEvaluatedKey":' + _json(key))
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        units = -(-read_bytes // _READ_UNIT) * (1.0 if request.get("ConsistentRead") else 0.5)
        parts.append(b',"ConsumedCapacity":' + _json({"TableName": shelf.table_name, "CapacityUnits": units}))
    return b"".join([*parts, b"}"])


@lru_cache(maxsize=256)
def _write_answer(operation: bytes, table: str, updates: int, has_capacity: bool) -> bytes:
    capacity = {"TableName": table, "CapacityUnits": float(updates * write_units(table))}
    match operation:
        case b"BatchExecuteStatement":
            answer: dict[str, object] = {"Responses": [{"TableName": table}] * updates}
            return _json(answer | {"ConsumedCapacity": [capacity]} if has_capacity else answer)
        case b"UpdateItem" if has_capacity:
            return _json({"ConsumedCapacity": capacity})
    return b"{}"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _response(answers: Answers, head: bytes, body: bytes) -> bytes:
    target, status = _TARGET.search(head), b"200 OK"
    try:
        answer = answers.answer(target[1], body) if target else answers.counts()
    except (ValueError, KeyError) as error:
        status = b"400 Bad Request"
        answer = _json({"__type": "com.amazon.coral.validate#ValidationException", "message": repr(error)})
    return (
        b"HTTP/1.1 %s\r\nServer: Server\r\nDate: %s\r\nContent-Type: application/x-amz-json-1.0\r\n"
        b"Content-Length: %d\r\nConnection: keep-alive\r\n"
        b"x-amzn-RequestId: %052d\r\nx-amz-crc32: %d\r\n\r\n%s"
        % (status, _date(int(time.time())), len(answer), id(answer), zlib.crc32(answer), answer)
    )


async def serve(milliseconds: int) -> None:
    """Serve until standard input ends, every answer after so many milliseconds."""
    answers = Answers()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client that keeps its connection open."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # it has gone
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                response = _response(answers, head, await reader.readexactly(int(length[1]) if length else 0))
                if milliseconds:
                    await asyncio.sleep(milliseconds / 1000)
                writer.write(response)
        writer.close()

    server = await asyncio.start_server(talk, HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
