"""aiobotocore as a peer: one thread, many updates under way at once."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from benchmarks.expressions import decide, update_request
from benchmarks.peers import Order, Outcome, Peer
from inventory_updater.stock.planning import Update

IN_FLIGHT: Final = 50

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


def aiobotocore_tasks(_orders: Sequence[Order]) -> Peer:
    """A client that lives as long as the process, and as many updates at once as there are tasks."""
    runner = asyncio.Runner()
    # Its connections last as long as the client, which nobody closes before the process ends.
    client: Any = runner.run(_client())
    return lambda order: runner.run(_run(client, order))


async def _client() -> object:
    return await get_session().create_client("dynamodb", config=AioConfig(max_pool_connections=IN_FLIGHT)).__aenter__()


async def _run(client: Any, order: Order) -> Outcome:
    waiting: asyncio.Queue[Update | None] = asyncio.Queue(maxsize=2 * IN_FLIGHT)
    updated = 0

    async def write() -> None:
        nonlocal updated
        while (update := await waiting.get()) is not None:
            await client.update_item(TableName=order.inventory, **update_request(update, _serialize))
            updated += 1

    scanned = 0
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(write())
        async for page in client.get_paginator("scan").paginate(TableName=order.inventory, ConsistentRead=True):
            for stored in page["Items"]:
                scanned += 1
                update = decide({name: _deserialize(value) for name, value in stored.items()})
                if update is not None:
                    await waiting.put(update)
        for _ in range(IN_FLIGHT):
            await waiting.put(None)
    return Outcome(scanned, updated)
