"""Scheduling: changes that somebody asks for become records that wait.

One pass over the rows checks, and only if it finds no refusal another one writes. The rows are never all in memory; of
each there is a handful of bytes, so that the second pass writes what the first one did not find. What another writer
puts there in between is met by the condition of the write. Sent again, a file writes what is missing, nothing else.

The check reads eventually consistently, for half the price. A record that it does not see yet, the write will meet;
what it says of a record is right, since the content of one never changes. An item that it does not see is looked for
again, consistently; an item that was deleted a moment ago is as one that is deleted a moment later: a job tells of it.

Guards look at what this check reads anyway. What they need of an item is kept for the rows of it that follow, of so
many items that memory is bounded: only a file that comes back to an item after that many others has it read once more.
A row that is known was taken once, and one so old that it may be forgotten is history that is booked late: neither is a
decision that what the item is today could be held against, so guards see only the rows that are new and later.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic

from inventory_updater.dynamodb.batches import BATCH_LIMIT
from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, batched, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.dynamodb.statements import statement
from inventory_updater.intake.guarding import Guarding
from inventory_updater.intake.look_alikes import LookAlikes, other_unicode_form
from inventory_updater.intake.refusals import Names, Refusal, Refusals, TellRefusal, Unwritten
from inventory_updater.intake.rows import Row, RowT
from inventory_updater.intake.writing import NotWritten, Progress, no_progress, told, write_each
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.guards import NOTHING, Before, Guards, before_of
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

_GUARDED_ITEMS_KEPT: Final = 20_000
"""Of how many items what guards need is kept: some ten megabytes."""

_NEW, _KNOWN, _NEEDS_ITEM = range(3)

TellOutcome = Callable[[Name, str], object]
"""Told the status that a change had already; empty where it was added."""


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
    lately: OrderedDict[int, Before] = field(default_factory=OrderedDict)
    """By the same: what guards need, of the items that were read last."""


@dataclass(frozen=True, slots=True)
class _Chunk(Generic[RowT]):
    """Some rows, and what the tables say of them.

    Attributes:
        records: by the names of the rows, and by ids that another form in Unicode makes of theirs.
        there: of the rows without a record, the items that were read; None where there is none.
        befores: what guards need of the items of these rows, as far as they are there.
        hints: what an item may be that is not there.
    """

    rows: Sequence[RowT]
    records: Mapping[Name, Attributes]
    there: Mapping[ItemKey, Before | None]
    befores: Mapping[ItemKey, Before]
    hints: Mapping[ItemKey, str]


@dataclass(frozen=True, slots=True)
class Scheduling(Generic[RowT]):
    """Changes on their way into the tables: ``check`` asks the tables, and only then ``write`` writes what was taken.

    The attributes are the arguments of ``schedule_changes``. Of the items in ``left_out``, hashes of their keys,
    nothing is written. ``tell`` is told of each change that is there now. ``old_hint`` is said of what is too old: what
    could be done about it there where the rows came from.
    """

    client: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    rows: Callable[[], Iterable[RowT]]
    now: str
    actor: str
    source: str
    allow_old: bool = False
    create_missing: bool = False
    guards: Guards | None = None
    progress: Progress = no_progress
    tell: TellOutcome = lambda _name, _status: None
    left_out: Set[int] = frozenset()
    old_hint: str = ""
    checked: _Checked = field(default_factory=_Checked)
    look_alikes: LookAlikes = field(default_factory=LookAlikes)

    # The first pass

    def check(self, refusals: Refusals) -> None:
        """Tell what of the rows cannot be taken, or is unusual."""
        guarding = None if self.guards is None else Guarding(self.guards, self.now)
        forgotten_until = self.changes.forgotten_until(self.now)
        rows = told(self.rows(), "checking", self.progress)
        for chunk in side_by_side(self._read, batched(rows, READ_LIMIT)):
            for key, before in chunk.there.items():
                # Another chunk may have said so already, and an item that is to be made counts as there since.
                if self.checked.is_there.get(hash(key)) is None:
                    self.checked.is_there[hash(key)] = before is not None
                if guarding is not None:
                    self.checked.lately[hash(key)] = before or NOTHING
            while len(self.checked.lately) > _GUARDED_ITEMS_KEPT:
                self.checked.lately.popitem(last=False)
            for row in chunk.rows:
                is_new = self._check(row, chunk, forgotten_until, refusals)
                if guarding is not None and is_new and row.change.effective_at > forgotten_until:
                    guarding.look_at(row, chunk.befores.get(row.key, NOTHING), refusals)
        for row in self.checked.names.twice(self.rows, _name_of):
            refusals.add(Refusal(row, "TWICE", f"change {row.change.change_id} of {row.key} comes twice"))
        if guarding is not None:
            guarded = partial(self._new_later_than, forgotten_until)
            guarding.look_back(guarded, len(self.checked.is_there), refusals)

    def _new_later_than(self, forgotten_until: str) -> Iterator[RowT]:
        return (row for row in self._rows_with(_NEW, "checking") if row.change.effective_at > forgotten_until)

    def _read(self, rows: Sequence[RowT]) -> _Chunk[RowT]:
        limits = Limits.for_seconds(PATIENCE_SECONDS)
        names = [_name_of(row) for row in rows]
        others = [(key, other) for key, change_id in names if (other := other_unicode_form(change_id))]
        stored = patiently(partial(self.changes.stored, [*names, *others], is_consistent=False), limits)
        keys = dict.fromkeys(key for key, change_id in names if (key, change_id) not in stored)
        known = {key: before for key in keys if (before := self.checked.lately.get(hash(key))) is not None}
        wanted = [key for key in keys if key not in known and self._is_to_be_read(key)]
        there = self._there(wanted, limits, is_consistent=False)
        if not self.create_missing:
            there |= self._there([key for key, before in there.items() if before is None], limits, is_consistent=True)
        missing = () if self.create_missing else [key for key, before in there.items() if before is None]
        befores = known | {key: before for key, before in there.items() if before is not None}
        hints = {key: self.look_alikes.hint(self.inventory, key, limits) for key in missing}
        return _Chunk(rows, stored, there, befores, hints)

    def _is_to_be_read(self, key: ItemKey) -> bool:
        is_there = self.checked.is_there.get(hash(key))
        return is_there is None or (is_there and self.guards is not None)

    def _there(self, keys: Sequence[ItemKey], limits: Limits, *, is_consistent: bool) -> dict[ItemKey, Before | None]:
        """What guards need of each of these items; None where it is not there."""
        found = patiently(partial(self.inventory.read_many, keys, is_consistent=is_consistent), limits)
        return {key: before_of(found[key]) if key in found else None for key in keys}

    def _check(self, row: RowT, chunk: _Chunk[RowT], forgotten_until: str, refusals: Refusals) -> bool:
        """Tell what is wrong with a row, and say whether it is a new one."""
        checked, change, item = self.checked, row.change, hash(row.key)
        stored = chunk.records.get(_name_of(row))
        checked.names.add(_name_of(row))
        is_there = checked.is_there.setdefault(item, None)
        verdict = _NEW
        if stored is not None:
            verdict = _KNOWN
            if differences(change, stored):
                refusals.add(Refusal(row, "CHANGE_ID_TAKEN", taken_message(change, row.key, stored)))
            else:
                status = str(stored.get("status"))
                checked.known[status] += 1
                self.tell(_name_of(row), status)
        else:
            if not is_there and self.create_missing:
                verdict = _NEEDS_ITEM
                checked.is_there[item] = True
            elif not is_there:
                refusals.add(Refusal(row, "UNKNOWN_ITEM", f"there is no item {row.key}{chunk.hints.get(row.key, '')}"))
            other = other_unicode_form(change.change_id)
            if other and (row.key, other) in chunk.records:
                message = (
                    f"change {change.change_id!r} of {row.key} is known in another form in Unicode; write it alike"
                )
                refusals.add(Refusal(row, "CHANGE_ID_TAKEN", message))
            if change.effective_at <= forgotten_until and not self.allow_old:
                refusals.add(Refusal(row, "TOO_OLD", _too_old_message(row, forgotten_until) + self.old_hint))
        checked.verdicts.append(verdict)
        return verdict != _KNOWN

    def refused_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, tuple[str, str]]:
        """Of rows that have another problem: what is wrong with their items (at most 100), as code and message."""
        if self.create_missing:
            return {}
        limits = Limits.for_seconds(PATIENCE_SECONDS)
        missing = [key for key, before in self._there(keys, limits, is_consistent=True).items() if before is None]
        return {
            key: ("UNKNOWN_ITEM", f"there is no item {key}{self.look_alikes.hint(self.inventory, key, limits)}")
            for key in missing
        }

    # The second pass

    def write(self) -> Scheduled:
        """Write what was taken.

        Raises:
            UnfinishedError: where the tables did not take every write.
            RowsChangedError: where the rows are others than those that were checked; some may have been written.
        """
        items_made = self._make_items()
        added, met = self._write_records()
        items = sum(item not in self.left_out for item in self.checked.is_there)
        return Scheduled(added, dict(self.checked.known + met), items, items_made)

    def _make_items(self) -> int:
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

    def _write_records(self) -> tuple[int, Counter[str]]:
        """Put the records that were not there; how many, and what was there by now, by its status."""
        added, known, unwritten = 0, Counter[str](), Unwritten("change")
        rows = self._rows_with(_NEW, "writing")
        for results in side_by_side(self._put, batched(rows, BATCH_LIMIT)):
            for (key, change_id), result in results.items():
                if isinstance(result, NotWritten):
                    unwritten.add(f"{change_id} of {key}", result.message)
                    continue
                self.tell((key, change_id), result)
                if result:
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

        given = self._given()
        statements = {name: self.changes.insertion(row.key, row.change, given) for name, row in by_name.items()}
        return write_each(self.client, statements, landed="", decide=decide)

    def _met(self, row: RowT, stored: Attributes) -> str | NotWritten:
        """What it means that there is a record already: ours where only the answer was lost."""
        if differences(row.change, stored):
            return NotWritten(taken_message(row.change, row.key, stored))
        is_ours = self._given().items() <= stored.items()
        return "" if is_ours else str(stored.get("status"))

    def _given(self) -> Mapping[str, str]:
        return {"actor": origin_of(self.actor), "source": origin_of(self.source), "scheduled_at": self.now}

    def _rows_with(self, verdict: int, phase: str) -> Iterator[RowT]:
        """The rows that the first pass judged like this; a row whose item had to be made is a new one since."""
        wanted = (_NEW, _NEEDS_ITEM) if verdict == _NEW else (verdict,)
        rows = told(self.rows(), phase, self.progress)
        for place, row in self.checked.names.met_again(rows, _name_of):
            if self.checked.verdicts[place] in wanted and hash(row.key) not in self.left_out:
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
    guards: Guards | None = None,
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
        guards: refuse what is unusual by them too; None where it is meant.
        tell_refusal: told every refusal; the error keeps the first thousand.
        progress: told how far it is.

    Raises:
        RefusedError: where a change cannot be taken; nothing was written then.
        UnfinishedError: where the tables did not take every write.
        RowsChangedError: where the rows are others the second time; some may have been written.
    """
    scheduling = Scheduling(
        *(client, inventory, changes, rows, now, actor, source), allow_old, create_missing, guards, progress
    )
    refusals = Refusals(tell_refusal)
    scheduling.check(refusals)
    refusals.refuse_any()
    return scheduling.write()


def _name_of(row: Row) -> Name:
    return row.key, row.change.change_id


def _too_old_message(row: Row, forgotten_until: str) -> str:
    return (
        f"change {row.change.change_id} of {row.key} is not later than {forgotten_until}: "
        "it may have been settled and forgotten"
    )


def origin_of(text: str) -> str:
    """As much of an actor's or a source's name as a record keeps."""
    return text.encode()[-_ORIGIN_BYTES:].decode(errors="ignore")
