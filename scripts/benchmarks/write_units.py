"""What an engine reports for one conditional update, by each of the ways to make it."""

from typing import Any, Final

from benchmarks.engine_places import RealPlace
from benchmarks.expressions import decide, update_request
from benchmarks.figures import Entry
from inventory_updater.attribute_values import to_attribute_value
from inventory_updater.statements import statement

_ITEMS: Final = 25


def reported_write_units(place: RealPlace) -> list[Entry]:
    """Write units an item of `UpdateItem`, a batch and a transaction; what an engine does not report has no entry."""
    table, shelf = place.order.inventory, place.shelf
    updates = [update for number in range(_ITEMS) if (update := decide(shelf.item(number))) is not None]
    requests = [{"TableName": table, **update_request(update, to_attribute_value)} for update in updates]
    total: dict[str, Any] = {"ReturnConsumedCapacity": "TOTAL"}
    client: Any = place.client
    place.place.restore()
    single = [client.update_item(**request, **total)["ConsumedCapacity"] for request in requests]
    place.place.restore()
    batch = client.batch_execute_statement(Statements=[statement(table, update) for update in updates], **total)
    place.place.restore()
    transaction = client.transact_write_items(TransactItems=[{"Update": request} for request in requests], **total)
    used = {
        "UpdateItem": single,
        f"BatchExecuteStatement of {_ITEMS}": batch.get("ConsumedCapacity", []),
        f"TransactWriteItems of {_ITEMS}": transaction.get("ConsumedCapacity", []),
    }
    units = {name: sum(each["CapacityUnits"] for each in reported) / len(updates) for name, reported in used.items()}
    single_units = units["UpdateItem"]
    return [
        Entry("write_units", place.place.engine, name, "write_units_per_item", value, single_units / value)
        for name, value in units.items()
        if value
    ]
