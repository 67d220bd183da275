"""The parent of worker processes: loads everything once, then forks a child for each order on its standard input.

The child makes one update call, tells how it ended, and is gone; or it is killed in the midst of it.
"""

import contextlib
import json
import os
import sys
import urllib.request
from datetime import UTC, datetime
from typing import Any, cast

from botocore.awsrequest import AWSPreparedRequest

from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.jobs.worker import update_segment
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from tests.engines import session
from tests.fakes.clock import Clock
from tests.faults.breakages import broken
from tests.faults.wire import hurried


def call(order: dict[str, Any]) -> bool | str:
    """One update call as the order says: its answer, or why it failed."""
    settings = Settings(**order["settings"])
    client = dynamodb_client(session(), settings.write_concurrency, order["endpoint_url"])

    def name_the_worker(request: AWSPreparedRequest, **_: Any) -> None:
        request.headers["X-Worker"] = order["name"]

    client.meta.events.register("before-send.dynamodb", name_the_worker)
    clock = Clock(lambda: datetime.now(UTC), seconds=order["ahead_seconds"])
    services = Services(
        client,
        InventoryTable(client, settings.inventory_table),
        ChangeTable(client, settings.changes_table, retention_days=settings.change_retention_days),
        JobTable(client, settings.jobs_table, retention_days=30, clock=clock, sleep=lambda _seconds: None),
        cast("Any", None),  # an update call publishes nothing
        settings,
        clock=clock,
    )
    try:
        return update_segment(services, order["job_id"], order["segment"])
    except Exception as error:  # noqa: BLE001  # told to who gave the order
        return f"{type(error).__name__}: {error}"


def tell(order: dict[str, Any], answer: bool | str) -> None:
    """Tell who gave the order how the call ended."""
    request = urllib.request.Request(  # the address of this very machine
        order["endpoint_url"] + "/done", json.dumps(answer).encode(), {"X-Worker": order["name"]}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), opener.open(request, timeout=10):
        pass


def main(breakage: str | None) -> None:
    """Fork a child for each line of standard input, until it is closed."""
    with hurried(), broken(breakage):
        for line in iter(sys.stdin.readline, ""):
            order = json.loads(line)
            read_end, write_end = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(write_end)
                os.read(read_end, 1)
                try:
                    tell(order, call(order))
                finally:
                    os._exit(0)
            os.close(read_end)
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()
            sys.stdin.readline()
            os.write(write_end, b".")
            os.close(write_end)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
