"""What would become of an item and its changes, if a job looked at it at these moments: pure, nothing is written.

It is ``settle`` over and over, each time on what the time before would have left, so a preview cannot say anything else
than the job does. A hot item has thousands of moments: at each, only the records are gone through that matter then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from heapq import heapify, heappop, heappush

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status
from inventory_updater.stock.item_states import Decision, ItemState, read_state
from inventory_updater.stock.items import InvalidItem, ItemKey, StockItem
from inventory_updater.stock.settling import Moment, NeedsAllRecords, settle
from inventory_updater.stock.times import LAST_MOMENT
from inventory_updater.stock.writes import Update


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one item.

    Attributes:
        before: the item as it is.
        after: the item as it would be.
        decided: what would be decided, in this order; a window comes twice, when it opens and when it closes.
        version: of the item as it is.
    """

    before: StockItem
    after: StockItem
    decided: Sequence[tuple[ChangeRecord, Decision]]
    version: Decimal | None

    @property
    def key(self) -> ItemKey:
        return self.before.key

    @property
    def differs(self) -> bool:
        """Whether anything of the item would be another."""
        return self.before != self.after


def moments_of(records: Iterable[ChangeRecord], now: str, as_of: str, *, allow_negative_stock: bool) -> list[Moment]:
    """When a job would look: now, and whenever something is due from then on until ``as_of``.

    Of the past there is one moment: the next job settles all of it at once.
    """
    if as_of <= now:
        return [Moment(as_of, now, allow_negative_stock)]
    times = {time for each in records for time in (each.effective_at, each.until) if time and now < time < as_of}
    return [Moment(time, time, allow_negative_stock) for time in sorted({now, *times, as_of})]


def foresee(
    attributes: Attributes, records: Iterable[ChangeRecord], moments: Iterable[Moment], *, are_all: bool = False
) -> Foreseen | NeedsAllRecords | InvalidItem:
    """What would become of an item.

    Args:
        attributes: the item as it was read.
        records: those that will be due and those that the item has decided, at least.
        moments: when a job would look, in order.
        are_all: whether these are all records of the item that may decide something.

    Returns:
        What would become of it; or that all records are needed; or why the item cannot be settled.
    """
    first = read_state(attributes)
    if isinstance(first, InvalidItem):
        return first
    state = first
    known = _Records(records)
    decided: list[tuple[ChangeRecord, Decision]] = []
    for moment in moments:
        is_finished = False
        while not is_finished:
            settled = settle(state, known.that_matter(state, moment), moment, are_all=are_all)
            if isinstance(settled, NeedsAllRecords | InvalidItem):
                return settled
            decided += [(known.by_id[change_id], decision) for change_id, decision in settled.decided.items()]
            for mark in settled.marks:
                known.put(_marked(mark.record, mark.decision))
            if settled.write is not None:
                attributes = _written(attributes, settled.write)
                written = read_state(attributes)
                assert isinstance(written, ItemState), "the product has written what it cannot read"
                state = written
            is_finished = settled.is_finished
    return Foreseen(first.item, state.item, decided, first.version)


class _Records:
    """The records of an item while it is settled at one moment after the other: those that wait in order of time."""

    def __init__(self, records: Iterable[ChangeRecord]) -> None:
        self.by_id = {record.change_id: record for record in records}
        self._waiting = [(each.due_at, change_id) for change_id, each in self.by_id.items() if not each.status.is_final]
        heapify(self._waiting)
        self._due: set[str] = set()

    def put(self, record: ChangeRecord) -> None:
        """Put what a record says by now in the place of what it said."""
        self.by_id[record.change_id] = record
        self._due.discard(record.change_id)
        if not record.status.is_final:
            heappush(self._waiting, (record.due_at, record.change_id))

    def that_matter(self, state: ItemState, moment: Moment) -> list[ChangeRecord]:
        """Those that ``settle`` looks at in this moment: what is due, and what the item has decided.

        Where a count is due that does not know what it was compared with, all that were applied after it as well.
        """
        while self._waiting and self._waiting[0][0] <= moment.as_of:
            self._due.add(heappop(self._waiting)[1])
        named = self._due.union(state.decided.keys() & self.by_id.keys())
        counted_at = min(
            (self.by_id[each].effective_at for each in named if self.by_id[each].is_waiting_count), default=LAST_MOMENT
        )
        if counted_at != LAST_MOMENT:
            named |= {name for name, each in self.by_id.items() if each.is_booking and each.effective_at > counted_at}
        return [self.by_id[each] for each in named]


def _marked(record: ChangeRecord, decision: Decision) -> ChangeRecord:
    """The record as it would be marked."""
    attempt = decision.attempt + (decision.outcome is Status.OPEN)
    stored = (decision.outcome.value, Decimal(attempt))
    return replace(record, status=decision.outcome, attempt=attempt, stored=stored)


def _written(attributes: Attributes, write: Update) -> Mapping[str, object]:
    kept = {name: value for name, value in attributes.items() if name not in write.removes}
    return {**kept, **write.sets}
