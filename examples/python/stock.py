"""Write stock beside the job: on_hand and reserved, and in the same write what follows from them.

docs/contract.md tells what the write is. Needs Python 3.11 and boto3.
"""

from collections.abc import Callable
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any, Final

READ: Final = ("on_hand", "reserved", "safety_stock", "reorder_point", "unit_price")
"""What the derived figures follow from."""

EXACT: Final = Context(prec=38, traps=[Inexact])
"""What a number of DynamoDB holds: nothing is rounded without a word."""

Decide = Callable[[Decimal, Decimal, Decimal], tuple[Decimal, Decimal]]
"""What on_hand and reserved become, from on_hand, reserved and available."""


class NotEnoughError(Exception):
    """There is less than this would take; nothing was written."""


def add(table: Any, key: dict[str, str], *, on_hand: Decimal | int = 0, reserved: Decimal | int = 0) -> None:
    """Add to what is there: a sale (on_hand -3), a reservation (reserved 3), its release, goods received.

    Raises:
        NotEnoughError: where on_hand or reserved would fall below zero, or available would by this.
        KeyError: where there is no such item.
    """

    def added(was_on_hand: Decimal, was_reserved: Decimal, available: Decimal) -> tuple[Decimal, Decimal]:
        after = was_on_hand + on_hand, was_reserved + reserved
        if min(after) < 0 or available + on_hand - reserved < min(available, Decimal(0)):
            raise NotEnoughError
        return after

    write(table, key, added)


def set_on_hand(table: Any, key: dict[str, str], on_hand: Decimal | int) -> None:
    """Say what is there now, whatever was there before."""
    write(table, key, lambda _on_hand, reserved, _available: (Decimal(on_hand), reserved))


def write(table: Any, key: dict[str, str], decide: Decide) -> None:
    """Write what ``decide`` says; it is asked again where somebody else was faster."""
    while True:
        item = table.get_item(Key=key, ConsistentRead=True).get("Item")
        if item is None:
            raise LookupError(f"there is no item {key['sku']} at {key['location_id']}")
        sets, condition = planned(item, decide)
        update = "SET " + ", ".join(f"{name} = :{name}" for name in sets)
        try:
            table.update_item(
                Key=key,
                UpdateExpression=update if "stock_value" in sets else f"{update} REMOVE stock_value",
                ConditionExpression=condition,
                ExpressionAttributeValues={f":{name}": value for name, value in sets.items()}
                | {f":was_{name}": item[name] for name in READ if name in item},
            )
        except table.meta.client.exceptions.ConditionalCheckFailedException:
            continue
        return


def planned(item: dict[str, Any], decide: Decide) -> tuple[dict[str, Any], str]:
    """What is to be written to an item, and on which condition."""
    reserved, safety_stock, reorder_point = (
        item.get(name, Decimal(0)) for name in ("reserved", "safety_stock", "reorder_point")
    )
    with localcontext(EXACT):
        on_hand, reserved = decide(item["on_hand"], reserved, item["on_hand"] - reserved - safety_stock)
        available = on_hand - reserved - safety_stock
        sets = {"on_hand": on_hand, "reserved": reserved, "available": available}
        if available <= 0:
            sets["stock_status"] = "OUT_OF_STOCK"
        elif available <= reorder_point:
            sets["stock_status"] = "LOW_STOCK"
        else:
            sets["stock_status"] = "IN_STOCK"
        if "unit_price" in item:
            sets["stock_value"] = on_hand * item["unit_price"]
    held = [f"{name} = :was_{name}" if name in item else f"attribute_not_exists({name})" for name in READ]
    return sets, " AND ".join(held)
