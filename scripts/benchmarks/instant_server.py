"""A server that answers as DynamoDB does, from memory and at once: what is left to measure is the client.

Its inventory and changes tables are shelves: every read finds the same, every write succeeds and changes nothing, so a
run can be repeated. Its jobs tables remember what is put into them, and so do a pair of others, ``KEPT``.

Run as a program, with the milliseconds that every answer waits and the partitions of each table (0: as many as it
takes), it prints its port and serves until its standard
input ends.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

from benchmarks.memory import CHANGES, INVENTORY, JOBS, Memory
from benchmarks.shelves import SHARDS, Made, Shelf, due_entry, due_record, rendering, stock_item
from benchmarks.units import PAGE_BYTES, read_units, write_units
from cli.engine import HOST

KEPT: Final = ("inventory-kept", "changes-kept", "jobs-shelf")
"""Tables of an environment that starts empty."""

_TARGET: Final = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TABLE: Final = re.compile(rb'"TableName" ?: ?"([^"]+)"')
_WRITTEN: Final = re.compile(rb'"TableName" ?: ?"([^"]+)"|(?:UPDATE|INSERT INTO) \\"([^"\\]+)\\"')
_READ: Final = re.compile(rb'"RequestItems" ?: ?{ ?"([^"]+)"')
_SKU: Final = re.compile(rb'"SKU-(\d{8})"')
_CHANGE: Final = re.compile(rb'"change-(\d{8})"')
_NUMBERED: Final = re.compile(r"SKU-(\d{8})")
UNITS_A_SECOND: Final = 1_000
_BUCKET_SECONDS: Final = 1.0
_IS_CONSISTENT: Final = re.compile(rb'"ConsistentRead" ?: ?true')
_WRITES: Final = frozenset({b"UpdateItem", b"BatchExecuteStatement", b"TransactWriteItems"})


class Partitions:
    """Where writes go: each partition takes 1,000 units a second, and no more than that at once.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._full_at: dict[tuple[str, int], float] = {}
        """When a partition, of an index or of a table, has taken all that it was given."""

    def take(self, keys: Sequence[tuple[str, int]]) -> bool:
        """Take a unit for each of these numbers of a table or an index, or nothing where a partition is busy."""
        now = self._clock()
        places = [(table, zlib.crc32(f"{table} {number}".encode()) % self._count) for table, number in keys]
        if any(self._full_at.get(place, 0.0) > now + _BUCKET_SECONDS for place in places):
            return False
        for place in places:
            self._full_at[place] = max(self._full_at.get(place, 0.0), now) + 1 / UNITS_A_SECOND
        return True


class Answers:
    """What is answered to which request, and how much was asked for."""

    def __init__(self, partitions: int = 0) -> None:
        self._partitions = Partitions(partitions) if partitions else None
        kept = Memory(dict(zip(KEPT, (INVENTORY, CHANGES, JOBS), strict=True)))
        self._kept: Mapping[bytes, Callable[..., dict[str, Any]]] = {
            b"GetItem": kept.get_item,
            b"PutItem": kept.put_item,
            b"UpdateItem": kept.update_item,
            b"Query": kept.query,
            b"BatchGetItem": kept.batch_get_item,
            b"BatchWriteItem": kept.batch_write_item,
            b"BatchExecuteStatement": kept.batch_execute_statement,
        }
        self._requests = 0
        self._write_units = 0

    def answer(self, operation: bytes, body: bytes) -> bytes:
        """The body of the answer to one request; ValueError or KeyError where nobody can answer it."""
        self._requests += 1
        if b'"jobs-' in body or b"-kept" in body:
            return _json(self._kept[operation](**json.loads(body)))
        if operation in _WRITES:
            return self._write(operation, body)
        match operation:
            case b"Scan":
                return scan_answer(body)
            case b"Query":
                return due_answer(body)
            case b"BatchGetItem":
                return _batch_answer(body)
            case b"GetItem":
                return _item_answer(body)
        raise ValueError(f"the instant server knows no {operation.decode()} of a shelf")

    def counts(self) -> bytes:
        """What was asked for so far."""
        return _json({"requests": self._requests, "write_units": self._write_units})

    def _write(self, operation: bytes, body: bytes) -> bytes:
        if self._partitions is not None and operation == b"BatchExecuteStatement":
            return self._write_to_partitions(self._partitions, json.loads(body)["Statements"])
        tables = [(plain or quoted).decode() for plain, quoted in _WRITTEN.findall(body)]
        units = sum(map(units_of_a_write, tables))
        # A transaction takes twice the units.
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        self._write_units += units * (2 if operation == b"TransactWriteItems" else 1)
        if operation != b"BatchExecuteStatement":
            return b"{}"
        capacity = [{"TableName": tables[0], "CapacityUnits": float(units)}]
        return _json({"Responses": [{"TableName": table} for table in tables], "ConsumedCapacity": capacity})

    def _write_to_partitions(self, partitions: Partitions, statements: Sequence[Mapping[str, Any]]) -> bytes:
        answers: list[Mapping[str, Any]] = []
        units = 0
        for statement in statements:
            table = statement["Statement"].split('"', 2)[1]
            number = int(
                next(filter(None, (_NUMBERED.match(each.get("S", "")) for each in statement["Parameters"])))[1]
            )
            # A record leaves its shard of the index by that write.
            also = [(f"{table} due", number % SHARDS)] if table.startswith("changes-") else []
            if partitions.take([(table, number), *also]):
                answers.append({"TableName": table})
                units += units_of_a_write(table)
            else:
                answers.append({"Error": {"Code": "ThrottlingError", "Message": "the partition is busy"}})
        self._write_units += units
        return _json({"Responses": answers, "ConsumedCapacity": [{"CapacityUnits": float(units)}]})


@lru_cache(maxsize=64)
def units_of_a_write(table: str) -> int:
    """What a write of an item takes, or one of a record together with the index, where it is made or deleted by it."""
    shelf = Shelf.of_table(table)
    return write_units(shelf.item_bytes) if table == shelf.table_name else 2


@lru_cache(maxsize=64)
def scan_answer(body: bytes) -> bytes:
    """A page of a scan of a shelf."""
    request = json.loads(body)
    shelf = Shelf.of_table(request["TableName"])
    segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
    first, end = shelf.stored * segment // segments, shelf.stored * (segment + 1) // segments
    if "ExclusiveStartKey" in request:
        first = int(request["ExclusiveStartKey"]["sku"]["S"].removeprefix("SKU-")) + 1
    last = min(end, first + min(request.get("Limit", shelf.stored), max(1, PAGE_BYTES // shelf.item_bytes)))
    items, size = _rendered(stock_item, range(first, last), shelf.padding)
    cursor = b"{}"
    if last < end:
        cursor = _json({"sku": {"S": f"SKU-{last - 1:08}"}, "location_id": {"S": "DC-01"}})
    return _page(request, items, size, cursor)


@lru_cache(maxsize=64)
def due_answer(body: bytes) -> bytes:
    """A page of a shard of what is due."""
    request = json.loads(body)
    shelf = Shelf.of_table(request["TableName"])
    due = shelf.due_in(int(request["ExpressionAttributeValues"][":shard"]["S"]))
    if "ExclusiveStartKey" in request:
        due = due[due.index(int(request["ExclusiveStartKey"]["change_id"]["S"].removeprefix("change-"))) + 1 :]
    limit = request.get("Limit", len(due))
    items, size = _rendered(due_entry, due[:limit])
    cursor = _rendered(due_entry, due[limit - 1 : limit])[0] if len(due) > limit else b"{}"
    return _page(request, items, size, cursor)


def _page(request: dict[str, object], items: bytes, size: int, cursor: bytes) -> bytes:
    units = read_units(size, is_consistent=bool(request.get("ConsistentRead")))
    return b'{"Items":[%s],"ConsumedCapacity":{"CapacityUnits":%.1f}%s}' % (
        items,
        units,
        b"" if cursor == b"{}" else b',"LastEvaluatedKey":' + cursor,
    )


def _batch_answer(body: bytes) -> bytes:
    match = _READ.search(body)
    if match is None:
        raise ValueError("the request names no table")
    found, size, keys = _found(match[1].decode(), body)
    units = keys * read_units(size, is_consistent=_IS_CONSISTENT.search(body) is not None)
    return b'{"Responses":{"%s":[%s]},"ConsumedCapacity":[{"CapacityUnits":%.1f}]}' % (match[1], found, units)


def _item_answer(body: bytes) -> bytes:
    match = _TABLE.search(body)
    if match is None:
        raise ValueError("the request names no table")
    found, _, _ = _found(match[1].decode(), body)
    return b'{"Item":%s}' % found if found else b"{}"


def _found(table: str, body: bytes) -> tuple[bytes, int, int]:
    """What is there of the keys that a request names, the size of one of them, and how many keys there are."""
    shelf = Shelf.of_table(table)
    if table == shelf.table_name:
        made: Made = stock_item
        numbers, there, padding = _SKU.findall(body), shelf.stored, shelf.padding
    else:
        made = due_record
        numbers, there, padding = _CHANGE.findall(body), shelf.due, 0
    found, _ = _rendered(made, (number for number in map(int, numbers) if number < there), padding)
    return found, rendering(made, padding)[2], len(numbers)


def _rendered(made: Made, numbers: Iterable[int], padding: int = 0) -> tuple[bytes, int]:
    """The JSON of these, with commas between them, and their size in all."""
    template, times, size = rendering(made, padding)
    rendered = [template % ((number,) * times) for number in numbers]
    return b",".join(rendered), size * len(rendered)


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


async def serve(milliseconds: int, partitions: int) -> None:
    """Serve until standard input ends, every answer after so many milliseconds, from so many partitions."""
    answers = Answers(partitions)

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
    asyncio.run(serve(*map(int, sys.argv[1:])))
