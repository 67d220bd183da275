"""Writes as values: what is to be written, and on what condition. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory_updater.stock.items import ItemKey


@dataclass(frozen=True, slots=True)
class Update:
    """A conditional write of one item, as a value.

    ``guard`` names every attribute that must still hold the value it had, ``None`` standing for "is missing".
    """

    key: ItemKey
    sets: Mapping[str, object]
    removes: tuple[str, ...]
    guard: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Creation:
    """A write that makes an item and fails where there is one already."""

    key: ItemKey
    attributes: Mapping[str, object]
