"""Previews: what a job, or a file of changes, would do to the stock, read and planned as a job plans, without a write.

What is to be looked at is gathered by item in a file of its own, so that a preview of any size takes the memory of a
hundred items.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import batched, in_a_minute
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.gathering import Gathered
from inventory_updater.intake.rows import RowT
from inventory_updater.intake.writing import Progress, no_progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status, read_record
from inventory_updater.stock.changes import Change
from inventory_updater.stock.item_states import ItemState, read_state
from inventory_updater.stock.items import InvalidItem, ItemKey, read_key
from inventory_updater.stock.previewing import Foreseen, foresee, moments_of
from inventory_updater.stock.scheduling import content
from inventory_updater.stock.settling import NeedsAllRecords
from inventory_updater.stock.times import LAST_MOMENT
from inventory_updater.tables.change_table import ChangeTable, Name
from inventory_updater.tables.inventory_table import InventoryTable

Told = Foreseen | InvalidItem


@dataclass(frozen=True, slots=True)
class Preview:
    """Where the stock is and at which moment it is looked at.

    Attributes:
        as_of: up to when changes are due. In the future the item is looked at whenever something of it is due until
            then, as the schedule's jobs will do.
        now: stored time by the clock.
    """

    inventory: InventoryTable
    changes: ChangeTable
    as_of: str
    now: str
    allow_negative_stock: bool = False
    progress: Progress = no_progress

    def of_job(self, *, is_scanned: bool = False) -> Iterator[Told]:
        """What jobs would do until then, by item; ``is_scanned``: also what scope ``all`` would mend."""
        with Gathered() as gathered:
            gathered.add((name, None) for name in told(self._waiting(), "looking for what is due", self.progress))
            yield from self._foreseen(gathered)
            if is_scanned:
                yield from self._mended(gathered)

    def of_rows(self, rows: Iterable[RowT]) -> Iterator[Told]:
        """What these changes would do until then, beside what waits for the same items already, by item."""
        with Gathered() as gathered:
            gathered.add(((row.key, row.change.change_id), row.change) for row in told(rows, "reading", self.progress))
            waiting = told(self._waiting(), "looking for what is due", self.progress)
            gathered.add((name, None) for name in waiting if gathered.has(name[0]))
            yield from self._foreseen(gathered)

    def _waiting(self) -> Iterator[Name]:
        return self.changes.waiting(self.as_of)

    def _foreseen(self, gathered: Gathered) -> Iterator[Told]:
        items = told(gathered.by_item(), "planning", self.progress)
        for batch in side_by_side(self._plan, batched(items, READ_LIMIT)):
            yield from batch

    def _plan(self, batch: Sequence[tuple[ItemKey, Mapping[str, Change | None]]]) -> list[Told]:
        """Plan items as a job does: each is read before its records."""
        items = in_a_minute(partial(self.inventory.read_many, [key for key, _ in batch]))
        names = [(key, each) for key, named in batch for each in {**named, **_decided_of(items.get(key))}]
        records = in_a_minute(partial(self.changes.read, names))
        return [self._of_item(key, items.get(key), records.get(key, []), named) for key, named in batch]

    def _of_item(
        self, key: ItemKey, item: Attributes | None, found: Sequence[ChangeRecord], named: Mapping[str, Change | None]
    ) -> Told:
        if item is None:
            return InvalidItem(key, "UNKNOWN_ITEM", f"there is no item {key}")
        known = {record.change_id for record in found}
        asked = [_as_record(change) for name, change in named.items() if change is not None and name not in known]
        foreseen = self._foresee(item, [*found, *asked])
        if isinstance(foreseen, NeedsAllRecords):
            since = min((each.effective_at for each in asked if each.is_waiting_count), default=LAST_MOMENT)
            found = in_a_minute(partial(self.changes.all_that_count, key, since=since))
            foreseen = self._foresee(item, [*found, *asked], are_all=True)
        assert not isinstance(foreseen, NeedsAllRecords)
        return foreseen

    def _foresee(
        self, item: Attributes, records: Sequence[ChangeRecord], *, are_all: bool = False
    ) -> Foreseen | InvalidItem | NeedsAllRecords:
        moments = moments_of(records, self.now, self.as_of, allow_negative_stock=self.allow_negative_stock)
        return foresee(item, records, moments, are_all=are_all)

    def _mended(self, gathered: Gathered) -> Iterator[Told]:
        """The items that nothing is due for, and whose derived figures are wrong."""
        for item in told(self.inventory.scan(), "reading the stock", self.progress):
            if not gathered.has(read_key(item)):
                foreseen = self._foresee(item, ())
                if isinstance(foreseen, InvalidItem) or (isinstance(foreseen, Foreseen) and foreseen.differs):
                    yield foreseen


def _decided_of(item: Attributes | None) -> dict[str, None]:
    """What an item has decided, and its records may not say yet."""
    state = None if item is None else read_state(item)
    return dict.fromkeys(state.decided) if isinstance(state, ItemState) else {}


def _as_record(change: Change) -> ChangeRecord:
    waits = {"change_id": change.change_id, "status": Status.PENDING.value, "attempt": Decimal(1)}
    return read_record({**content(change), **waits})
