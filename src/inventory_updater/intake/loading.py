"""Loading: the rows of a stock file become items, or set the columns of those that are there.

One pass over the rows checks, and only if it finds no refusal another one writes; the rows are never all in memory. The
check reads eventually consistently: what it does not see, the condition of the write meets.

An item that is as its row says is known and left alone, so a load that was broken off goes on when it is sent again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from decimal import Decimal
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from inventory_updater.dynamodb.batches import BATCH_LIMIT
from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import batched, in_a_minute
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.dynamodb.statements import statement
from inventory_updater.intake.refusals import Names, Refusal, Refusals, TellRefusal, Unwritten
from inventory_updater.intake.writing import NotWritten, Progress, no_progress, told, write_each
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import Figures, InvalidItem, ItemKey, item_id
from inventory_updater.stock.loading import CLEARABLE, TooPreciseError, differences, new_item, replaced_item
from inventory_updater.stock.numbers import ZERO, counted
from inventory_updater.stock.writes import Creation, Update
from inventory_updater.tables.change_table import SHARDS, ChangeTable, shard_of
from inventory_updater.tables.inventory_table import InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef


_COLUMNS: Final = ("on_hand", *CLEARABLE)


class Row(Protocol):
    """What a stock file says of one item; None is what it does not say."""

    @property
    def key(self) -> ItemKey: ...
    @property
    def on_hand(self) -> Decimal | None: ...
    @property
    def reserved(self) -> Decimal | None: ...
    @property
    def safety_stock(self) -> Decimal | None: ...
    @property
    def reorder_point(self) -> Decimal | None: ...
    @property
    def unit_price(self) -> Decimal | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class _Refused:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the rows of a stock file.

    Attributes:
        made: items that were not there.
        replaced: items that were there and of which something was set.
        known: items that were there as their rows say, and were left alone.
        waiting: for how many of the items changes wait that will still be applied on top; None if nobody asked.
    """

    made: int = 0
    replaced: int = 0
    known: int = 0
    waiting: int | None = None

    @property
    def written(self) -> int:
        return self.made + self.replaced


class LoadInterrupted(KeyboardInterrupt):
    """Ctrl-C: what is written stays written, and the same again goes on."""

    def __init__(self, loaded: Loaded) -> None:
        written = f"{counted(loaded.written, 'item')} written, the same again goes on"
        super().__init__(written if loaded.written else "nothing was written")
        self.loaded = loaded


class _Tally:
    """What several threads have written."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.loaded = Loaded()

    def add(self, *, made: int = 0, replaced: int = 0, known: int = 0) -> None:
        with self._lock:
            done = self.loaded
            self.loaded = Loaded(done.made + made, done.replaced + replaced, done.known + known)


@dataclass(frozen=True, slots=True)
class Loading(Generic[RowT]):
    """Items on their way into the table: ``check`` asks the table, and only then ``write`` writes what was taken.

    The attributes are the arguments of ``load_stock``; of the items in ``left_out``, hashes of their keys, nothing is
    written.
    """

    client: "DynamoDBClient"
    inventory: InventoryTable
    rows: Callable[[], Iterable[RowT]]
    now: str
    replace: bool = False
    clear: Collection[str] = ()
    progress: Progress = no_progress
    left_out: Set[int] = frozenset()
    names: Names = field(default_factory=Names)
    known: bytearray = field(default_factory=bytearray)
    """Of each row, whether its item was seen to be as it says."""
    tally: _Tally = field(default_factory=_Tally)

    def check(self, refusals: Refusals) -> None:
        """Tell what of the rows cannot be taken."""
        rows = told(self.rows(), "checking", self.progress)
        for chunk, stored in side_by_side(self._read, batched(rows, READ_LIMIT)):
            for row in chunk:
                self.names.add(row.key)
                decided = self._decide(row, stored.get(row.key))
                # What is to be replaced is read again: this read may not have seen the latest write.
                self.known.append(decided is None and not self.replace)
                if isinstance(decided, _Refused):
                    refusals.add(Refusal(row, decided.code, decided.message))
        for row in self.names.twice(self.rows, _key_of):
            refusals.add(Refusal(row, "TWICE", f"item {row.key} comes twice"))

    def _read(self, chunk: Sequence[RowT]) -> tuple[Sequence[RowT], Mapping[ItemKey, Attributes]]:
        read = partial(self.inventory.read_many, [row.key for row in chunk], is_consistent=False)
        return chunk, in_a_minute(read)

    def refused_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, tuple[str, str]]:
        """Of rows that have another problem: what is wrong with their items, as code and message."""
        # An item that is there may be as its row will say once that is corrected.
        del keys
        return {}

    def write(self) -> Loaded:
        """Write what was taken.

        Raises:
            UnfinishedError: where the table did not take every write.
            RowsChangedError: where the rows are others than those that were checked; some may have been written.
            LoadInterrupted: where somebody presses Ctrl-C.
        """
        unwritten = Unwritten("item")
        rows = self.names.met_again(told(self.rows(), "writing", self.progress), _key_of)
        taken = ((place, row) for place, row in rows if hash(row.key) not in self.left_out)
        try:
            for not_written in side_by_side(self._write, batched(self._unknown(taken), BATCH_LIMIT)):
                for key, result in not_written.items():
                    unwritten.add(str(key), result.message)
        except KeyboardInterrupt:
            raise LoadInterrupted(self.tally.loaded) from None
        unwritten.refuse_any()
        return self.tally.loaded

    def _unknown(self, rows: Iterable[tuple[int, RowT]]) -> Iterator[RowT]:
        """The rows whose items were not seen to be as they say."""
        known = 0
        for place, row in rows:
            if self.known[place]:
                known += 1
            else:
                yield row
        self.tally.add(known=known)

    def _write(self, rows: Sequence[RowT]) -> Mapping[ItemKey, NotWritten]:
        """Write a batch, tally it, and return what was not written."""
        by_key = {row.key: row for row in rows}
        wanted: dict[ItemKey, Creation | Update] = {}
        results: dict[ItemKey, bool | NotWritten] = {}

        def decide(keys: Sequence[ItemKey]) -> "Mapping[ItemKey, BatchStatementRequestTypeDef | bool | NotWritten]":
            items = in_a_minute(partial(self.inventory.read_many, keys))
            return {key: each(key, items.get(key)) for key in keys}

        def each(key: ItemKey, item: Attributes | None) -> "BatchStatementRequestTypeDef | bool | NotWritten":
            if item is not None and key in wanted and _is_of(wanted[key], item):
                return True
            decided = self._decide(by_key[key], item)
            if decided is None:
                return False
            if isinstance(decided, _Refused):
                return NotWritten(decided.message)
            wanted[key] = decided
            return statement(self.inventory.name, decided)

        # Where nothing may be replaced, the condition of the write says what a read would.
        first = decide(tuple(by_key)) if self.replace else {key: each(key, None) for key in by_key}
        statements: dict[ItemKey, BatchStatementRequestTypeDef] = {}
        for key, decided in first.items():
            if isinstance(decided, dict):
                statements[key] = decided
            else:
                results[key] = decided
        if statements:
            results |= write_each(self.client, statements, landed=True, decide=decide)
        made = sum(result is True and isinstance(wanted[key], Creation) for key, result in results.items())
        written = sum(result is True for result in results.values())
        known = sum(result is False for result in results.values())
        self.tally.add(made=made, replaced=written - made, known=known)
        return {key: result for key, result in results.items() if isinstance(result, NotWritten)}

    def _decide(self, row: RowT, item: Attributes | None) -> Creation | Update | _Refused | None:
        """What to write; None where the item is as the row says."""
        try:
            if item is None:
                return self._new(row)
            state = read_state(item)
            if isinstance(state, InvalidItem):
                message = f"item {row.key} is already there and cannot be read: {state.message}"
                return _Refused(state.code if self.replace else "ITEM_EXISTS", message)
            said = {name: value for name in _COLUMNS if (value := getattr(row, name)) is not None}
            if self.replace:
                return replaced_item(state, item, dict.fromkeys(self.clear) | said, self.now)
        except TooPreciseError as error:
            return _Refused(error.code, str(error))
        if not (differ := differences(state, item, said)):
            return None
        another = " and ".join(differ)
        message = f"item {row.key} is already there with another {another}; --replace sets what the file has"
        return _Refused("ITEM_EXISTS", message)

    def _new(self, row: RowT) -> Creation | _Refused:
        if row.on_hand is None:
            return _Refused("NO_QUANTITY", f"item {row.key} is not there, and a new one needs an on_hand")
        figures = Figures(
            row.on_hand, row.reserved or ZERO, row.safety_stock or ZERO, row.reorder_point or ZERO, row.unit_price
        )
        return new_item(row.key, figures, {"currency": row.currency, "description": row.description}, self.now)

    def count_waiting(self, changes: ChangeTable) -> int:
        """For how many of the items changes wait: read from the index, of the shards where theirs are."""
        shards: set[str] = set()
        for row in self.rows():
            shards.add(shard_of(item_id(row.key)))
            if len(shards) == len(SHARDS):
                break
        waiting = (key for key, _ in changes.waiting(shards=sorted(shards)))
        return self.names.count_of(key for key in waiting if hash(key) not in self.left_out)


def load_stock(
    client: "DynamoDBClient",
    inventory: InventoryTable,
    rows: Callable[[], Iterable[RowT]],
    now: str,
    *,
    replace: bool = False,
    clear: Collection[str] = (),
    changes: ChangeTable | None = None,
    tell_refusal: TellRefusal = lambda _refusal: None,
    progress: Progress = no_progress,
) -> Loaded:
    """Make items, or set in those that are there what their rows say.

    Args:
        client: of the table.
        inventory: where the items are.
        rows: gives the rows from the beginning each time that it is called: the same ones, in the same order.
        now: stored time by the clock.
        replace: whether items that are there may be replaced: what a row does not say stays as it is.
        clear: columns that a row empties where it does not say them; only with ``replace``.
        changes: where to look for how many of the items changes wait; None to leave that out.
        tell_refusal: told every refusal; the error keeps the first thousand.
        progress: told how far it is.

    Raises:
        RefusedError: where a row cannot be taken; nothing was written then.
        UnfinishedError: where the table did not take every write; the same again goes on.
        RowsChangedError: where the rows are others the second time; some may have been written.
        LoadInterrupted: where somebody presses Ctrl-C.
    """
    loading = Loading(client, inventory, rows, now, replace, clear, progress)
    refusals = Refusals(tell_refusal)
    loading.check(refusals)
    refusals.refuse_any()
    loaded = loading.write()
    return loaded if changes is None else with_fields(loaded, waiting=loading.count_waiting(changes))


def _key_of(row: Row) -> ItemKey:
    return row.key


def _is_of(write: Creation | Update, item: Attributes) -> bool:
    """Whether an item is what this very write made of it, its answer lost: version and moment are its own.

    The figures do not tell: others may have sold from it since, and to set them again would take that back.
    """
    wanted = write.attributes if isinstance(write, Creation) else write.sets
    return all(item.get(name) == wanted[name] for name in ("version", "updated_at"))
