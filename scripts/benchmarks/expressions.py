"""The product's `Update` as update and condition expressions, for the peers that have no PartiQL; pure."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from benchmarks.shelves import AS_OF
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import InvalidItem, read_item
from inventory_updater.stock.planning import Plan, Policy, Update, plan


def decide(attributes: Attributes) -> Update | None:
    """What the product would write to an item: the same decision for every peer."""
    item = read_item(attributes)
    if isinstance(item, InvalidItem):
        return None
    decision = plan(item, as_of=AS_OF, now=AS_OF, policy=Policy(), job_id="benchmark")
    return decision.write if isinstance(decision, Plan) else None


def update_request(update: Update, convert: Callable[[object], Any] = lambda value: value) -> dict[str, Any]:
    """What `UpdateItem` and an `Update` of `TransactWriteItems` take, but for the table's name."""
    known = {name: value for name, value in update.guard.items() if value is not None}
    absent = tuple(name for name in update.guard if name not in known)
    values = {f":set_{name}": convert(value) for name, value in update.sets.items()}
    return {
        "Key": {name: convert(value) for name, value in update.key._asdict().items()},
        "ExpressionAttributeValues": values | {f":old_{name}": convert(value) for name, value in known.items()},
        **_texts(tuple(update.sets), update.removes, tuple(known), absent),
    }


# Kept from item to item, since there is only a handful of them: whoever knows what texts cost does so.
@lru_cache(maxsize=1024)
def _texts(
    sets: tuple[str, ...], removes: tuple[str, ...], present: tuple[str, ...], absent: tuple[str, ...]
) -> dict[str, object]:
    update = "SET " + ", ".join(f"#{name} = :set_{name}" for name in sets)
    if removes:
        update += " REMOVE " + ", ".join(f"#{name}" for name in removes)
    conditions = [f"#{name} = :old_{name}" for name in present]
    conditions += [f"attribute_not_exists(#{name})" for name in absent]
    return {
        "UpdateExpression": update,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {f"#{name}": name for name in (*sets, *removes, *present, *absent)},
    }
