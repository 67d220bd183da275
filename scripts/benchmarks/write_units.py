"""What an engine reports for one conditional update, by each of the ways to make it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from benchmarks.engine_places import RealPlace
from benchmarks.expressions import decide, update_request
from benchmarks.figures import Entry
from inventory_updater.dynamodb.statements import statement
from inventory_updater.dynamodb.values import to_attribute_value

_ITEMS: Final = 25


def reported_write_units(place: RealPlace) -> list[Entry]:
    """The table's write units an item of `UpdateItem`, a batch and a transaction; what is not reported has no entry."""
    table, shelf = place.order.inventory, place.shelf
    updates = [update for number in range(_ITEMS) if (update := decide(shelf.item(number))) is not None]
    requests = [{"TableName": table, **update_request(update, to_attribute_value)} for update in updates]
    wanted: dict[str, Any] = {"ReturnConsumedCapacity": "INDEXES"}
    client: Any = place.client
    place.place.restore()
    single = [client.update_item(**request, **wanted).get("ConsumedCapacity", {}) for request in requests]
    place.place.restore()
    batch = client.batch_execute_statement(
        Statements=[statement(table, update).to_request() for update in updates], **wanted
    )
    place.place.restore()
    # One at a time: of several DynamoDB Local reports one item's.
    transactions = [
        reported
        for request in requests
        for reported in client.transact_write_items(TransactItems=[{"Update": request}], **wanted)["ConsumedCapacity"]
    ]
    used = {
        "UpdateItem": single,
        f"BatchExecuteStatement of {_ITEMS}": batch.get("ConsumedCapacity", []),
        "TransactWriteItems": transactions,
    }
    units = {name: table_units(reported) / len(updates) for name, reported in used.items()}
    return [
        Entry("write_units", place.place.engine, name, "write_units_per_item", value, units["UpdateItem"] / value)
        for name, value in units.items()
        if value
    ]


def table_units(reported: Iterable[Mapping[str, Any]]) -> float:
    """The units of the table alone.

    The engines report the index beside it, in the sum, or not at all: for a batch ministack leaves it out.
    """
    return sum(
        float(each.get("Table", each).get("WriteCapacityUnits", each.get("Table", each).get("CapacityUnits", 0.0)))
        for each in reported
    )
