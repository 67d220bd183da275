"""What one core can sign and send: a batch that is ready, its signature, a connection, and nothing else."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from benchmarks.expressions import decide
from benchmarks.peers import Order, Outcome, Peer
from benchmarks.shelves import Shelf
from inventory_updater.dynamodb.connections import Connections
from inventory_updater.dynamodb.signature import Credentials, Destination, signed_headers
from inventory_updater.dynamodb.statements import batch_json, statement

BATCH: Final = 25

_TARGET: Final = "DynamoDB_20120810.BatchExecuteStatement"


def signed_batches(orders: Sequence[Order]) -> Peer:
    """The same batch, ready as a body, signed and sent until as many items were named as the shelf stores."""
    bodies = {order.inventory: _body(order.inventory) for order in orders}
    url = os.environ["AWS_ENDPOINT_URL"]
    destination = Destination(urlsplit(url).netloc, os.environ["AWS_DEFAULT_REGION"], "dynamodb")
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], None)
    connections = Connections(url, connect_timeout=3, read_timeout=10, ca_bundle=None, keep=1)

    def run(order: Order) -> Outcome:
        batches = Shelf.of_table(order.inventory).stored // BATCH
        body = bodies[order.inventory]
        for _ in range(batches):
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            answer = connections.exchange(signed_headers(destination, _TARGET, body, credentials, moment), body)
            if answer.status_code != 200:
                raise RuntimeError(f"HTTP {answer.status_code}: {answer.content[:200]!r}")
        return Outcome(0, batches * BATCH)

    return run


def _body(table: str) -> bytes:
    shelf = Shelf.of_table(table)
    updates = [update for number in range(BATCH) if (update := decide(shelf.item(number))) is not None]
    return batch_json([statement(table, update) for update in updates]).encode()
