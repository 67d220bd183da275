"""Where the intake schedules what came in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inventory_updater.intake.rows import RowT
from inventory_updater.intake.scheduling import Scheduling
from inventory_updater.stock.guards import Guards
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Stores:
    """The tables, what changes may do without a second word, and the stored time."""

    client: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    guards: Guards | None
    clock: Callable[[], str]
    allow_negative_stock: bool = False

    def forgotten_until(self) -> str:
        return self.changes.forgotten_until(self.clock())

    def scheduling(
        self, rows: Callable[[], Iterable[RowT]], actor: str, source: str, *, is_approved: bool = False
    ) -> Scheduling[RowT]:
        """What schedules these rows; those that somebody has approved however unusual or old they are."""
        return Scheduling(
            *(self.client, self.inventory, self.changes, rows, self.clock(), actor, source),
            allow_old=is_approved,
            guards=None if is_approved else self.guards,
        )
