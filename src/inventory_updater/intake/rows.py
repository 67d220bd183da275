"""The rows that a door is given."""

from typing import Protocol, TypeVar

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey


class Row(Protocol):
    """A change that somebody asks for, and the item it is for."""

    @property
    def key(self) -> ItemKey: ...

    @property
    def change(self) -> Change: ...


RowT = TypeVar("RowT", bound=Row)
