"""A table's items, the log of the writes that landed, and its indexes, which may lag behind.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.simulation.schema import Index, KeyValues, Schema
from tests.simulation.sizes import index_write_units, item_size, write_units
from tests.simulation.values import Item


class Landed(NamedTuple):
    """A write that was made: the item as it was and as it is since; ``None`` where there is none."""

    at: float
    table: str
    operation: str
    key: Item
    before: Item | None
    after: Item | None


@dataclass(frozen=True, slots=True)
class Cost:
    """Units that a request consumed, of the table and of its indexes."""

    table: float = 0.0
    indexes: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return self.table + sum(self.indexes.values())

    def __add__(self, other: "Cost") -> "Cost":
        names = {**self.indexes, **other.indexes}
        sums = {name: self.indexes.get(name, 0.0) + other.indexes.get(name, 0.0) for name in names}
        return Cost(self.table + other.table, sums)


@dataclass
class _View:
    """What an index shows: the entries after so many of the table's writes."""

    index: Index
    entries: dict[KeyValues, Item] = field(default_factory=dict)
    seen: int = 0


class Table:
    """One table. Items are never changed in place, so that old versions can be kept."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.items: dict[KeyValues, Item] = {}
        self.landed: list[Landed] = []
        self._views = {name: _View(index) for name, index in schema.indexes.items()}

    def write(self, landed: Landed) -> Cost:
        """Make a write, and say what it costs."""
        key = self.schema.keys.values_of(landed.key)
        self.landed.append(landed)
        if landed.after is None:
            self.items.pop(key, None)
        else:
            self.items[key] = landed.after
        indexes = {name: self._index_units(index, landed) for name, index in self.schema.indexes.items()}
        size = max(item_size(landed.before), item_size(landed.after))
        return Cost(write_units(size), {name: units for name, units in indexes.items() if units})

    def _index_units(self, index: Index, landed: Landed) -> float:
        before, after = index.entry(landed.before), index.entry(landed.after)
        same_key = bool(before and after and index.keys.values_of(before) == index.keys.values_of(after))
        return index_write_units(before, after, same_key=same_key)

    def rows(self, stale: int = 0) -> Mapping[KeyValues, Item]:
        """All items; with ``stale``, as they were before so many of the latest writes."""
        if not stale:
            return self.items
        seen = dict(self.items)
        for landed in reversed(self.landed[-stale:]):
            key = self.schema.keys.values_of(landed.key)
            if landed.before is None:
                seen.pop(key, None)
            else:
                seen[key] = landed.before
        return seen

    def entries(self, index: str, lag: int) -> Mapping[KeyValues, Item]:
        """What an index shows while it lacks the latest ``lag`` writes; what it has shown it does not forget.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.Writes
        """
        view = self._views[index]
        for landed in self.landed[view.seen : max(view.seen, len(self.landed) - lag)]:
            key = self.schema.keys.values_of(landed.key)
            entry = view.index.entry(landed.after)
            if entry is None:
                view.entries.pop(key, None)
            else:
                view.entries[key] = entry
            view.seen += 1
        return view.entries
