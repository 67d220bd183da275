"""What one core can sign and send: a batch that is ready, its signature, a socket, and nothing else.

Signature Version 4 by hand, with the key of the day derived once:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

import hmac
import json
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from benchmarks.expressions import decide
from benchmarks.peers import Order, Outcome, Peer
from benchmarks.shelves import Shelf
from inventory_updater.statements import statement

BATCH: Final = 25

_TARGET: Final = "DynamoDB_20120810.BatchExecuteStatement"
_SIGNED: Final = "content-type;host;x-amz-date;x-amz-target"


def signed_batches(orders: Sequence[Order]) -> Peer:
    """The same batch, ready as a body, signed and sent until as many items were named as the shelf stores."""
    bodies = {order.inventory: _body(order.inventory) for order in orders}

    def run(order: Order) -> Outcome:
        batches = Shelf.of_table(order.inventory).stored // BATCH
        sender = _Sender()
        for _ in range(batches):
            sender.send(bodies[order.inventory])
        return Outcome(0, batches * BATCH)

    return run


def _body(table: str) -> bytes:
    shelf = Shelf.of_table(table)
    updates = [update for number in range(BATCH) if (update := decide(shelf.item(number))) is not None]
    statements = [statement(table, update) for update in updates]
    return json.dumps({"Statements": statements, "ReturnConsumedCapacity": "TOTAL"}).encode()


class _Sender:
    """One connection, and the key that its requests are signed with."""

    def __init__(self) -> None:
        address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        self._host = address.netloc
        self._socket = socket.create_connection((address.hostname or "", address.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        day = datetime.now(UTC).strftime("%Y%m%d")
        self._scope = f"{day}/{os.environ['AWS_DEFAULT_REGION']}/dynamodb/aws4_request"
        secret = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
        self._key = reduce(lambda key, part: hmac.digest(key, part.encode(), "sha256"), self._scope.split("/"), secret)

    def send(self, body: bytes) -> None:
        """Sign a body, send it and read the whole answer.

        Raises:
            ConnectionError: where the answer is not a success or ends early.
        """
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        request = "\n".join(
            (
                "POST",
                "/",
                "",
                "content-type:application/x-amz-json-1.0",
                f"host:{self._host}",
                f"x-amz-date:{moment}",
                f"x-amz-target:{_TARGET}",
                "",
                _SIGNED,
                sha256(body).hexdigest(),
            )
        )
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{self._scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{self._scope}"
        head = (
            f"POST / HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"X-Amz-Date: {moment}\r\nX-Amz-Target: {_TARGET}\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={_SIGNED}, "
            f"Signature={signature}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        self._read_answer()

    def _read_answer(self) -> None:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        if not received.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(received[:200].decode(errors="replace"))
        length = int(received.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        missing = end + 4 + length - len(received)
        while missing > 0:
            missing -= len(self._receive())

    def _receive(self) -> bytes:
        part = self._socket.recv(1 << 16)
        if not part:
            raise ConnectionError("the answer ended early")
        return part
