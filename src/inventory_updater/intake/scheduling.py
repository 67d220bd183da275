"""Scheduling: changes that somebody asks for become records that wait.

One pass over the rows checks, and only if it finds no refusal another one writes. The rows are never all in memory; of
each there is a handful of bytes, so that the second pass writes what the first one did not find. What another writer
puts there in between is met by the condition of the write. Sent again, a file writes what is missing, nothing else.

The check reads eventually consistently, for half the price. A record that it does not see yet, the write will meet;
what it says of a record is right, since the content of one never changes. An item that it does not see is looked for
again, consistently; an item that was deleted a moment ago is as one that is deleted a moment later: a job tells of it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from inventory_updater.dynamodb.batches import BATCH_LIMIT
from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, batched, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.dynamodb.statements import statement
from inventory_updater.intake.refusals import Names, Refusal, Refusals, TellRefusal, Unwritten
from inventory_updater.intake.writing import NotWritten, Progress, no_progress, told, write_each
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.loading import new_item
from inventory_updater.stock.numbers import ZERO
from inventory_updater.stock.scheduling import differences, taken_message
from inventory_updater.tables.change_table import ChangeTable, Name
from inventory_updater.tables.inventory_table import InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

_ORIGIN_BYTES: Final = 64
"""How much of an actor's or a source's name a record keeps: its end, which says most. A record stays under 1 KB."""

_NEW, _KNOWN, _NEEDS_ITEM = range(3)


class Row(Protocol):
    """A change that somebody asks for, and the item it is for."""

    @property
    def key(self) -> ItemKey: ...

    @property
    def change(self) -> Change: ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What became of the changes.

    Attributes:
        added: how many there are now that were not there before.
        known: how many were there already, with the same content, by their status.
        items: how many items they concern.
        items_made: how many items were made for them.
    """

    added: int
    known: Mapping[str, int]
    items: int
    items_made: int = 0


@dataclass(slots=True)
class _Checked:
    """What the first pass leaves to the second: a few bytes for each row, some dozens for each item."""

    names: Names = field(default_factory=Names)
    verdicts: bytearray = field(default_factory=bytearray)
    known: Counter[str] = field(default_factory=Counter)
    is_there: dict[int, bool | None] = field(default_factory=dict)
    """By the hash of an item's key: whether the item is there; None where nothing had to be known about it."""


@dataclass(frozen=True, slots=True)
class _Scheduling(Generic[RowT]):
    client: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    rows: Callable[[], Iterable[RowT]]
    given: Mapping[str, str]
    now: str
    allow_old: bool
    create_missing: bool
    progress: Progress
    checked: _Checked = field(default_factory=_Checked)

    # The first pass

    def check(self, refusals: Refusals) -> None:
        forgotten_until = "" if self.allow_old else self.changes.forgotten_until(self.now)
        rows = told(self.rows(), "checking", self.progress)
        for chunk, stored, there in side_by_side(self._read, batched(rows, READ_LIMIT)):
            for key, is_there in there.items():
                # Another chunk may have said so already, and an item that is to be made counts as there since.
                if self.checked.is_there.get(hash(key)) is None:
                    self.checked.is_there[hash(key)] = is_there
            for row in chunk:
                self._check(row, stored.get((row.key, row.change.change_id)), forgotten_until, refusals)
        for row in self.checked.names.twice(self.rows, _name_of):
            refusals.add(Refusal(row, "TWICE", f"change {row.change.change_id} of {row.key} comes twice"))

    def _read(self, chunk: Sequence[RowT]) -> tuple[Sequence[RowT], Mapping[Name, Attributes], Mapping[ItemKey, bool]]:
        """The records of these rows, and whether the items of the others are there, as far as that is not known."""
        limits = Limits.for_seconds(PATIENCE_SECONDS)
        names = [_name_of(row) for row in chunk]
        stored = patiently(partial(self.changes.stored, names, is_consistent=False), limits)
        keys = dict.fromkeys(key for key, change_id in names if (key, change_id) not in stored)
        wanted = [key for key in keys if self.checked.is_there.get(hash(key)) is None]
        there = self._there(wanted, limits, is_consistent=False)
        if not self.create_missing:
            there |= self._there([key for key, is_there in there.items() if not is_there], limits, is_consistent=True)
        return chunk, stored, there

    def _there(self, keys: Sequence[ItemKey], limits: Limits, *, is_consistent: bool) -> dict[ItemKey, bool]:
        found = patiently(partial(self.inventory.read_many, keys, is_consistent=is_consistent), limits)
        return {key: key in found for key in keys}

    def _check(self, row: RowT, stored: Attributes | None, forgotten_until: str, refusals: Refusals) -> None:
        checked, change, item = self.checked, row.change, hash(row.key)
        checked.names.add(_name_of(row))
        is_there = checked.is_there.setdefault(item, None)
        verdict = _NEW
        if stored is not None:
            verdict = _KNOWN
            checked.known[str(stored.get("status"))] += 1
            if differences(change, stored):
                refusals.add(Refusal(row, "CHANGE_ID_TAKEN", taken_message(change, row.key, stored)))
        else:
            if not is_there and self.create_missing:
                verdict = _NEEDS_ITEM
                checked.is_there[item] = True
            elif not is_there:
                refusals.add(Refusal(row, "UNKNOWN_ITEM", f"there is no item {row.key}"))
            if change.effective_at <= forgotten_until:
                refusals.add(Refusal(row, "TOO_OLD", _too_old_message(row, forgotten_until)))
        checked.verdicts.append(verdict)

    # The second pass

    def make_items(self) -> int:
        """Make the items that are missing, before anything waits for them."""
        if _NEEDS_ITEM not in self.checked.verdicts:
            return 0
        made, unwritten = 0, Unwritten("item")
        missing = (row.key for row in self._rows_with(_NEEDS_ITEM, "making items"))
        for results in side_by_side(self._make, batched(missing, BATCH_LIMIT)):
            for key, result in results.items():
                if isinstance(result, NotWritten):
                    unwritten.add(str(key), result.message)
                else:
                    made += result
        unwritten.refuse_any()
        return made

    def _make(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, bool | NotWritten]:
        creations = {key: statement(self.inventory.name, new_item(key, Figures(ZERO), {}, self.now)) for key in keys}
        # Whoever has made it meanwhile: it is there.
        return write_each(self.client, creations, landed=True, decide=lambda conflicts: dict.fromkeys(conflicts, False))

    def write(self) -> tuple[int, Counter[str]]:
        """Put the records that were not there; how many, and what was there by now, by its status."""
        added, known, unwritten = 0, Counter[str](), Unwritten("change")
        rows = self._rows_with(_NEW, "writing")
        for results in side_by_side(self._put, batched(rows, BATCH_LIMIT)):
            for (key, change_id), result in results.items():
                if isinstance(result, NotWritten):
                    unwritten.add(f"{change_id} of {key}", result.message)
                elif result:
                    known[result] += 1
                else:
                    added += 1
        unwritten.refuse_any()
        return added, known

    def _put(self, rows: Sequence[RowT]) -> Mapping[Name, str | NotWritten]:
        """Put these records; of each the status that it had already, empty where it was not there."""
        by_name = {_name_of(row): row for row in rows}

        def decide(names: Sequence[Name]) -> "Mapping[Name, BatchStatementRequestTypeDef | str | NotWritten]":
            stored = self.changes.stored(names)
            return {
                name: self._met(by_name[name], stored[name]) if name in stored else statements[name] for name in names
            }

        statements = {name: self.changes.insertion(row.key, row.change, self.given) for name, row in by_name.items()}
        return write_each(self.client, statements, landed="", decide=decide)

    def _met(self, row: RowT, stored: Attributes) -> str | NotWritten:
        """What it means that there is a record already: ours where only the answer was lost."""
        if differences(row.change, stored):
            return NotWritten(taken_message(row.change, row.key, stored))
        is_ours = self.given.items() <= stored.items()
        return "" if is_ours else str(stored.get("status"))

    def _rows_with(self, verdict: int, phase: str) -> Iterator[RowT]:
        """The rows that the first pass judged like this; a row whose item had to be made is a new one since."""
        wanted = (_NEW, _NEEDS_ITEM) if verdict == _NEW else (verdict,)
        rows = told(self.rows(), phase, self.progress)
        for place, row in self.checked.names.met_again(rows, _name_of):
            if self.checked.verdicts[place] in wanted:
                yield row


def schedule_changes(
    client: "DynamoDBClient",
    inventory: InventoryTable,
    changes: ChangeTable,
    rows: Callable[[], Iterable[RowT]],
    now: str,
    *,
    actor: str,
    source: str,
    allow_old: bool = False,
    create_missing: bool = False,
    tell_refusal: TellRefusal = lambda _refusal: None,
    progress: Progress = no_progress,
) -> Scheduled:
    """Schedule changes: all of them, or none where one of them cannot be taken.

    Args:
        client: of both tables.
        inventory: whose items they are for.
        changes: where they wait.
        rows: gives the rows from the beginning each time that it is called: the same ones, in the same order.
        now: stored time by the clock.
        actor: who asks for it.
        source: which file or message brought it.
        allow_old: take changes so old that they may have been settled and forgotten.
        create_missing: make items that are not there, with nothing on hand.
        tell_refusal: told every refusal; the error keeps the first thousand.
        progress: told how far it is.

    Raises:
        RefusedError: where a change cannot be taken; nothing was written then.
        UnfinishedError: where the tables did not take every write.
        RowsChangedError: where the rows are others the second time; some may have been written.
    """
    given = {"actor": origin_of(actor), "source": origin_of(source), "scheduled_at": now}
    scheduling = _Scheduling(client, inventory, changes, rows, given, now, allow_old, create_missing, progress)
    refusals = Refusals(tell_refusal)
    scheduling.check(refusals)
    refusals.refuse_any()
    items_made = scheduling.make_items()
    added, met = scheduling.write()
    checked = scheduling.checked
    return Scheduled(added, dict(checked.known + met), len(checked.is_there), items_made)


def _name_of(row: Row) -> Name:
    return row.key, row.change.change_id


def _too_old_message(row: Row, forgotten_until: str) -> str:
    return (
        f"change {row.change.change_id} of {row.key} is not later than {forgotten_until}: it may have been settled and "
        "forgotten (--allow-old takes it all the same)"
    )


def origin_of(text: str) -> str:
    """As much of an actor's or a source's name as a record keeps."""
    return text.encode()[-_ORIGIN_BYTES:].decode(errors="ignore")
