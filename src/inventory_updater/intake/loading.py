"""Loading: the rows of a stock file become items, or set the columns of those that are there.

One pass over the rows checks, and only if it finds no refusal another one writes; the rows are never all in memory. The
check reads eventually consistently: what it does not see, the condition of the write meets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from inventory_updater.dynamodb.batches import BATCH_LIMIT
from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, batched, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.dynamodb.statements import statement
from inventory_updater.intake.refusals import Names, Refusal, Refusals, TellRefusal, Unwritten
from inventory_updater.intake.writing import NotWritten, Progress, no_progress, told, write_each
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import Figures, InvalidItem, ItemKey
from inventory_updater.stock.loading import TooPreciseError, new_item, replaced_item
from inventory_updater.stock.writes import Creation, Update
from inventory_updater.tables.inventory_table import InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef


class Row(Protocol):
    """What a stock file says of one item."""

    @property
    def key(self) -> ItemKey: ...
    @property
    def on_hand(self) -> Decimal: ...
    @property
    def reserved(self) -> Decimal: ...
    @property
    def safety_stock(self) -> Decimal: ...
    @property
    def reorder_point(self) -> Decimal: ...
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
    progress: Progress = no_progress
    left_out: Set[int] = frozenset()
    names: Names = field(default_factory=Names)

    def check(self, refusals: Refusals) -> None:
        """Tell what of the rows cannot be taken."""
        rows = told(self.rows(), "checking", self.progress)
        for chunk, stored in side_by_side(self._read, batched(rows, READ_LIMIT)):
            for row in chunk:
                self.names.add(row.key)
                decided = self._decide(row, stored.get(row.key))
                if isinstance(decided, _Refused):
                    refusals.add(Refusal(row, decided.code, decided.message))
        for row in self.names.twice(self.rows, _key_of):
            refusals.add(Refusal(row, "TWICE", f"item {row.key} comes twice"))

    def _read(self, chunk: Sequence[RowT]) -> tuple[Sequence[RowT], Mapping[ItemKey, Attributes]]:
        read = partial(self.inventory.read_many, [row.key for row in chunk], is_consistent=False)
        return chunk, patiently(read, Limits.for_seconds(PATIENCE_SECONDS))

    def refused_items(self, keys: Sequence[ItemKey]) -> Mapping[ItemKey, tuple[str, str]]:
        """Of rows that have another problem: what is wrong with their items, as code and message."""
        if self.replace:
            return {}
        found = patiently(partial(self.inventory.read_many, keys), Limits.for_seconds(PATIENCE_SECONDS))
        return {key: ("ITEM_EXISTS", _exists(key)) for key in found}

    def write(self) -> int:
        """Write what was taken; how many items.

        Raises:
            UnfinishedError: where the table did not take every write.
            RowsChangedError: where the rows are others than those that were checked; some may have been written.
        """
        written, unwritten = 0, Unwritten("item")
        rows = self.names.met_again(told(self.rows(), "writing", self.progress), _key_of)
        taken = (row for _, row in rows if hash(row.key) not in self.left_out)
        for results in side_by_side(self._write, batched(taken, BATCH_LIMIT)):
            for key, result in results.items():
                if isinstance(result, NotWritten):
                    unwritten.add(str(key), result.message)
                else:
                    written += 1
        unwritten.refuse_any()
        return written

    def _write(self, rows: Sequence[RowT]) -> Mapping[ItemKey, bool | NotWritten]:
        by_key = {row.key: row for row in rows}
        wanted: dict[ItemKey, Creation | Update] = {}
        results: dict[ItemKey, bool | NotWritten] = {}

        def decide(keys: Sequence[ItemKey]) -> "Mapping[ItemKey, BatchStatementRequestTypeDef | bool | NotWritten]":
            limits = Limits.for_seconds(PATIENCE_SECONDS)
            items = patiently(partial(self.inventory.read_many, keys), limits)
            return {key: each(key, items.get(key)) for key in keys}

        def each(key: ItemKey, item: Attributes | None) -> "BatchStatementRequestTypeDef | bool | NotWritten":
            if item is not None and key in wanted and _is_of(wanted[key], item):
                return True
            decided = self._decide(by_key[key], item)
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
        return results | (write_each(self.client, statements, landed=True, decide=decide) if statements else {})

    def _decide(self, row: RowT, item: Attributes | None) -> Creation | Update | _Refused:
        figures = Figures(row.on_hand, row.reserved, row.safety_stock, row.reorder_point, row.unit_price)
        texts = {"currency": row.currency, "description": row.description}
        try:
            if item is None:
                return new_item(row.key, figures, texts, self.now)
            if not self.replace:
                return _Refused("ITEM_EXISTS", _exists(row.key))
            state = read_state(item)
            if isinstance(state, InvalidItem):
                return _Refused(state.code, f"item {row.key} cannot be replaced: {state.message}")
            return replaced_item(state, item, figures, texts, self.now)
        except TooPreciseError as error:
            return _Refused(error.code, str(error))


def load_stock(
    client: "DynamoDBClient",
    inventory: InventoryTable,
    rows: Callable[[], Iterable[RowT]],
    now: str,
    *,
    replace: bool = False,
    tell_refusal: TellRefusal = lambda _refusal: None,
    progress: Progress = no_progress,
) -> int:
    """Make items, or set the columns of those that are there; how many.

    Args:
        client: of the table.
        inventory: where the items are.
        rows: gives the rows from the beginning each time that it is called: the same ones, in the same order.
        now: stored time by the clock.
        replace: whether items that are there may be replaced.
        tell_refusal: told every refusal; the error keeps the first thousand.
        progress: told how far it is.

    Raises:
        RefusedError: where a row cannot be taken; nothing was written then.
        UnfinishedError: where the table did not take every write. Without ``replace`` the same again is refused.
        RowsChangedError: where the rows are others the second time; some may have been written.
    """
    loading = Loading(client, inventory, rows, now, replace, progress)
    refusals = Refusals(tell_refusal)
    loading.check(refusals)
    refusals.refuse_any()
    return loading.write()


def _exists(key: ItemKey) -> str:
    return f"item {key} is already there (--replace sets its columns)"


def _key_of(row: Row) -> ItemKey:
    return row.key


def _is_of(write: Creation | Update, item: Attributes) -> bool:
    """Whether an item is what this very write made of it, its answer lost: version and moment are its own.

    The figures do not tell: others may have sold from it since, and to set them again would take that back.
    """
    wanted = write.attributes if isinstance(write, Creation) else write.sets
    return all(item.get(name) == wanted[name] for name in ("version", "updated_at"))
