"""PynamoDB as a peer: a model, and `Model.update` with actions and a condition."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import reduce
from operator import and_
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pynamodb.attributes import Attribute, UnicodeAttribute
from pynamodb.models import Model

from benchmarks.expressions import decide
from benchmarks.peers import Order, Outcome, Peer
from inventory_updater.stock.planning import Update

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class _ExactNumber(Attribute):  # type: ignore[misc]  # PynamoDB is not here when types are checked
    """A number without loss: PynamoDB's own is a float."""

    attr_type = "N"

    def serialize(self, value: Decimal) -> str:
        return str(value)

    def deserialize(self, value: str) -> Decimal:
        return Decimal(value)


class _ExactMap(Attribute):  # type: ignore[misc]  # PynamoDB is not here when types are checked
    """A map as a `dict`, with numbers without loss."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, object]) -> Any:
        return _serialize(value)["M"]

    def deserialize(self, value: Mapping[str, Any]) -> Any:
        return _deserialize({"M": value})


def _model(table: str) -> Any:
    class StockItem(Model):  # type: ignore[misc]  # PynamoDB is not here when types are checked
        class Meta:
            table_name = table

        sku = UnicodeAttribute(hash_key=True)
        location_id = UnicodeAttribute(range_key=True)
        on_hand = _ExactNumber()
        reserved = _ExactNumber(null=True)
        safety_stock = _ExactNumber(null=True)
        reorder_point = _ExactNumber(null=True)
        unit_price = _ExactNumber(null=True)
        currency = UnicodeAttribute(null=True)
        description = UnicodeAttribute(null=True)
        available = _ExactNumber(null=True)
        stock_status = UnicodeAttribute(null=True)
        stock_value = _ExactNumber(null=True)
        pending_changes = _ExactMap(null=True)
        settled_changes = _ExactMap(null=True)
        rejected_changes = _ExactMap(null=True)
        last_set = _ExactMap(null=True)
        next_change_at = UnicodeAttribute(null=True)
        settled_before = UnicodeAttribute(null=True)
        version = _ExactNumber(null=True)
        updated_at = UnicodeAttribute(null=True)
        last_write_id = UnicodeAttribute(null=True)

    return StockItem


def pynamodb_model(orders: Sequence[Order]) -> Peer:
    """A model of each table, and its items updated one by one."""
    models = {order.inventory: _model(order.inventory) for order in orders}

    def run(order: Order) -> Outcome:
        model = models[order.inventory]
        scanned = updated = 0
        for item in model.scan(consistent_read=True):
            scanned += 1
            update = decide(item.attribute_values)
            if update is not None:
                _write(model, item, update)
                updated += 1
        return Outcome(scanned, updated)

    return run


def _write(model: Any, item: Any, update: Update) -> None:
    actions = [getattr(model, name).set(value) for name, value in update.sets.items()]
    actions += [getattr(model, name).remove() for name in update.removes]
    conditions = (
        getattr(model, name).does_not_exist() if value is None else getattr(model, name) == value
        for name, value in update.guard.items()
    )
    item.update(actions=actions, condition=reduce(and_, conditions))
