"""The product's `Update` as update and condition expressions, for the peers that have no PartiQL; pure.

Texts are kept from item to item, since there is only a handful of them: whoever knows what they cost does so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from benchmarks.shelves import AS_OF
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import InvalidItem, read_item
from inventory_updater.stock.planning import Plan, Policy, Update, plan


@dataclass(frozen=True, slots=True)
class Expressions:
    """The texts of one conditional update, and what their names stand for."""

    update: str
    condition: str
    names: Mapping[str, str]


def decide(attributes: Attributes) -> Update | None:
    """What the product would write to an item: the same decision for every peer."""
    item = read_item(attributes)
    if isinstance(item, InvalidItem):
        return None
    decision = plan(item, as_of=AS_OF, now=AS_OF, policy=Policy(), job_id="benchmark")
    return decision.write if isinstance(decision, Plan) else None


def expressions(update: Update) -> Expressions:
    """The texts of a conditional update."""
    present = tuple(name for name, value in update.guard.items() if value is not None)
    absent = tuple(name for name, value in update.guard.items() if value is None)
    return _expressions(tuple(update.sets), update.removes, present, absent)


def expression_values(update: Update, convert: Callable[[object], Any] = lambda value: value) -> dict[str, Any]:
    """The values that stand in the texts of ``expressions``, each as ``convert`` makes it."""
    values = {f":set_{name}": convert(value) for name, value in update.sets.items()}
    values |= {f":old_{name}": convert(value) for name, value in update.guard.items() if value is not None}
    return values


def update_request(update: Update, convert: Callable[[object], Any] = lambda value: value) -> dict[str, Any]:
    """What `UpdateItem` and an `Update` of `TransactWriteItems` take, but for the table's name."""
    texts = expressions(update)
    return {
        "Key": {name: convert(value) for name, value in update.key._asdict().items()},
        "UpdateExpression": texts.update,
        "ConditionExpression": texts.condition,
        "ExpressionAttributeNames": texts.names,
        "ExpressionAttributeValues": expression_values(update, convert),
    }


@lru_cache(maxsize=1024)
def _expressions(
    sets: tuple[str, ...], removes: tuple[str, ...], present: tuple[str, ...], absent: tuple[str, ...]
) -> Expressions:
    update = "SET " + ", ".join(f"#{name} = :set_{name}" for name in sets)
    if removes:
        update += " REMOVE " + ", ".join(f"#{name}" for name in removes)
    conditions = [f"#{name} = :old_{name}" for name in present]
    conditions += [f"attribute_not_exists(#{name})" for name in absent]
    names = dict.fromkeys((*sets, *removes, *present, *absent))
    return Expressions(update, " AND ".join(conditions), {f"#{name}": name for name in names})
