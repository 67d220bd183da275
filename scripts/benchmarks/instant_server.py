"""A server that answers as DynamoDB does, from memory and at once: what is left to measure is the client.

Its inventory tables are shelves: every scan finds the same items, every write succeeds and changes nothing, so a run
can be repeated. Its jobs tables remember what is put into them.

Run as a program it prints its port and serves until its standard input ends; `--latency 0.01` makes it wait before it
sends an answer, as a network would.
"""

import argparse
import asyncio
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

from benchmarks.jobs_store import JobsStore
from benchmarks.shelves import DUE_AT, Shelf, number_of, rendering, sku_of

HOST: Final = "127.0.0.1"

_PAGE_BYTES: Final = 1_048_576
_READ_UNIT: Final = 4096
_WRITE_UNIT: Final = 1024
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TABLE: Final = re.compile(rb'"TableName" ?: ?"([^"]+)"')
_SKU: Final = re.compile(rb'"SKU-(\d+)"')
_UPDATED_TABLE: Final = re.compile(rb'UPDATE \\"([^"\\]+)\\"')


class Answers:
    """What is answered to which request, and how often each operation was asked for."""

    def __init__(self) -> None:
        self.jobs = JobsStore()
        self.requests: Counter[str] = Counter()
        self.write_units = 0.0
        self._writes: dict[bytes, Callable[[bytes], bytes]] = {
            b"UpdateItem": self._update_item,
            b"BatchExecuteStatement": self._batch_execute_statement,
            b"TransactWriteItems": self._transact_write_items,
        }

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """The body of the answer to one request."""
        self.requests[operation.decode()] += 1
        write = self._writes.get(operation)
        if write is not None and b'"jobs-' not in body:
            return write(body)
        if operation == b"Scan":
            return scan_answer(body)
        return self.jobs.answer(operation.decode(), body)

    def counts(self) -> bytes:
        """What was asked for so far."""
        return json.dumps({"requests": self.requests, "write_units": self.write_units}).encode()

    def _update_item(self, body: bytes) -> bytes:
        table = _named_table(body)
        units = write_units(table)
        self.write_units += units
        if b'"ReturnValues"' in body:  # PynamoDB asks for the item as it is then
            return _item_alone(table, body)
        return _capacity_alone(table, units) if b'"ReturnConsumedCapacity"' in body else b"{}"

    def _batch_execute_statement(self, body: bytes) -> bytes:
        match = _UPDATED_TABLE.search(body)
        if match is None:
            raise ValueError("the first statement updates no table")
        table, statements = match[1].decode(), body.count(b'"Statement"')
        self.write_units += statements * write_units(table)
        return _statement_answers(table, statements, b'"ReturnConsumedCapacity"' in body)

    def _transact_write_items(self, body: bytes) -> bytes:
        # A transaction takes twice the units.
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        self.write_units += body.count(b'"Update"') * 2 * write_units(_named_table(body))
        return b"{}"


def write_units(table_name: str) -> int:
    """The table's units for one update of one of its items; those of the index come on top, whoever writes."""
    _, _, size = rendering(True, Shelf.of_table(table_name).padding)
    return -(-size // _WRITE_UNIT)


@lru_cache(maxsize=64)
def scan_answer(body: bytes) -> bytes:
    """A page of a scan of a shelf or of its sparse index."""
    request = json.loads(body)
    shelf = Shelf.of_table(request["TableName"])
    is_index = "IndexName" in request
    step = shelf.step if is_index else 1
    count = shelf.due if is_index else shelf.stored
    segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
    first, end = count * segment // segments, count * (segment + 1) // segments
    if "ExclusiveStartKey" in request:
        first = number_of(request["ExclusiveStartKey"]["sku"]["S"]) // step + 1
    _, _, size = rendering(True, shelf.padding)
    last = min(end, first + min(request.get("Limit", count), max(1, _PAGE_BYTES // size)))
    items, read_bytes = [], 0
    for number in range(first * step, last * step, step):
        template, numbers, size = rendering(shelf.is_due(number), shelf.padding)
        items.append(template % ((number,) * numbers))
        read_bytes += size
    parts = [b'{"Count":%d,"ScannedCount":%d,"Items":[%s]' % (len(items), len(items), b",".join(items))]
    if last < end:
        key = {"sku": {"S": sku_of((last - 1) * step)}, "location_id": {"S": "DC-01"}}
        if is_index:
            key["next_change_at"] = {"S": DUE_AT}
        parts.append(b',"LastEvaluatedKey":' + json.dumps(key).encode())
    if request.get("ReturnConsumedCapacity", "NONE") != "NONE":
        units = -(-read_bytes // _READ_UNIT) * (1.0 if request.get("ConsistentRead") else 0.5)
        parts.append(b',"ConsumedCapacity":' + json.dumps(_capacity(shelf.table_name, units)).encode())
    return b"".join([*parts, b"}"])


@lru_cache(maxsize=256)
def _statement_answers(table: str, statements: int, has_capacity: bool) -> bytes:
    answer: dict[str, object] = {"Responses": [{"TableName": table}] * statements}
    if has_capacity:
        answer["ConsumedCapacity"] = [_capacity(table, float(statements * write_units(table)))]
    return _json(answer)


def _capacity(table: str, units: float) -> dict[str, object]:
    return {"TableName": table, "CapacityUnits": units}


def _capacity_alone(table: str, units: float) -> bytes:
    return _json({"ConsumedCapacity": _capacity(table, float(units))})


def _item_alone(table: str, body: bytes) -> bytes:
    match = _SKU.search(body)
    if match is None:
        raise ValueError("the request names no item of a shelf")
    template, numbers, _ = rendering(True, Shelf.of_table(table).padding)
    return b'{"Attributes":%s}' % (template % ((int(match[1]),) * numbers))


def _named_table(body: bytes) -> str:
    match = _TABLE.search(body)
    if match is None:
        raise ValueError("the request names no table")
    return match[1].decode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Connection(asyncio.Protocol):
    """One connection of a client that keeps it open."""

    def __init__(self, answers: Answers, latency_seconds: float = 0.0) -> None:
        self._answers = answers
        self._latency_seconds = latency_seconds
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._wanted = 0
        """How much must have come before it makes sense to look again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._received and len(self._received) >= self._wanted:
            head_end = self._received.find(b"\r\n\r\n")
            if head_end < 0:
                return
            head = bytes(self._received[: head_end + 2])
            length = _LENGTH.search(head)
            self._wanted = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < self._wanted:
                return
            body = bytes(self._received[head_end + 4 : self._wanted])
            del self._received[: self._wanted]
            self._wanted = 0
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        target = _TARGET.search(head)
        status = b"200 OK"
        if target is None:
            answer = self._answers.counts()
        else:
            try:
                answer = self._answers.answer(target[1], body)
            except (ValueError, KeyError) as error:
                status = b"400 Bad Request"
                answer = _json({"__type": "com.amazon.coral.validate#ValidationException", "message": repr(error)})
        content = (
            b"HTTP/1.1 %s\r\nServer: Server\r\nDate: %s\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"Content-Length: %d\r\nConnection: keep-alive\r\n"
            b"x-amzn-RequestId: %052d\r\nx-amz-crc32: %d\r\n\r\n%s"
            % (status, _date(int(time.time())), len(answer), id(answer), zlib.crc32(answer), answer)
        )
        if self._latency_seconds:
            asyncio.get_running_loop().call_later(self._latency_seconds, self._transport.write, content)
        else:
            self._transport.write(content)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


async def serve(latency_seconds: float) -> None:
    """Serve until standard input ends."""
    answers = Answers()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers, latency_seconds), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    asyncio.run(serve(parser.parse_args().latency))
