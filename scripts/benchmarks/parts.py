"""What the cost of an update consists of: every pure step of the product on the same page, each timed by itself."""

import gc
import json
import time
import zlib
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Final

from benchmarks.floor import BATCH
from benchmarks.shelves import AS_OF, Shelf
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.signature import Credentials, Destination, signed_headers
from inventory_updater.dynamodb.statements import batch_json, statement
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.items import StockItem, read_item
from inventory_updater.stock.planning import Plan, Policy, plan

PAGE: Final = 250

_TIMES_A_ROUND: Final = 20
_DESTINATION: Final = Destination("localhost", "eu-west-1", "dynamodb")
_CREDENTIALS: Final = Credentials("AKIDEXAMPLE", "secret", None)


def cost_of_parts(rounds: int) -> dict[str, float]:
    """Microseconds of processor time an item for each step, in the order of a page; medians of ``rounds``."""
    steps = _steps(Shelf(PAGE, PAGE))
    taken: dict[str, list[float]] = {name: [] for name in steps}
    gc.collect()
    gc.disable()  # nearly so does the product
    try:
        for _ in range(rounds):
            for name, step in steps.items():
                started = time.process_time()
                for _ in range(_TIMES_A_ROUND):
                    step()
                taken[name].append((time.process_time() - started) / _TIMES_A_ROUND / PAGE * 1e6)
    finally:
        gc.enable()
    return {name: median(figures) for name, figures in taken.items()}


def _steps(shelf: Shelf) -> Mapping[str, Callable[[], object]]:
    """Each step on what the one before it has made."""
    stored = [to_attribute_values(shelf.item(number)) for number in range(shelf.stored)]
    answer = json.dumps({"Items": stored}).encode()
    typed: list[Any] = json.loads(answer)["Items"]
    attributes = [from_attribute_values(item) for item in typed]
    items = [item for item in map(read_item, attributes) if isinstance(item, StockItem)]
    decisions = [_decide(item) for item in items]
    plans = [decision for decision in decisions if isinstance(decision, Plan)]
    batches = list(batched([statement(shelf.table_name, each.write) for each in plans], BATCH))
    bodies = [batch_json(batch).encode() for batch in batches]
    assert len(plans) == PAGE
    return {
        "check and read the JSON of a page": lambda: (zlib.crc32(answer), json.loads(answer)),
        "its attribute values as Python values": lambda: [from_attribute_values(item) for item in typed],
        "these as stock items": lambda: [read_item(each) for each in attributes],
        "plan": lambda: [_decide(item) for item in items],
        "plans as statements": lambda: [statement(shelf.table_name, each.write) for each in plans],
        "statements as JSON": lambda: [batch_json(batch).encode() for batch in batches],
        "sign": lambda: [
            signed_headers(
                _DESTINATION, "DynamoDB_20120810.BatchExecuteStatement", body, _CREDENTIALS, "20260302T180000Z"
            )
            for body in bodies
        ],
    }


def _decide(item: StockItem) -> object:
    return plan(item, as_of=AS_OF, now=AS_OF, policy=Policy(), job_id="benchmark", write_id="benchmark/0/1")
