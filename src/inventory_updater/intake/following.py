"""What became of changes that somebody sent: each row of a file, and the record that it has by now."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import batched, in_a_minute
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.rows import Row
from inventory_updater.intake.writing import Progress, no_progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.scheduling import TAKEN, Standing, standing
from inventory_updater.tables.change_table import ChangeTable

RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Followed(Generic[RowT]):
    """A row and what became of it.

    Attributes:
        record: None where there is none, and where that of its id is about another change.
    """

    row: RowT
    standing: Standing
    record: Attributes | None


def follow(changes: ChangeTable, rows: Iterable[RowT], *, progress: Progress = no_progress) -> Iterator[Followed[RowT]]:
    """What became of each row, in their order, as it is now; any number: they are read as they are taken.

    ``progress`` is told how far it is.
    """

    def read(batch: Sequence[RowT]) -> list[Followed[RowT]]:
        names = [(row.key, row.change.change_id) for row in batch]
        found = in_a_minute(partial(changes.stored, names))
        return [_followed(row, found.get(name)) for row, name in zip(batch, names, strict=True)]

    for followed in side_by_side(read, batched(told(rows, "reading", progress), READ_LIMIT)):
        yield from followed


def _followed(row: RowT, record: Attributes | None) -> Followed[RowT]:
    where = standing(row.change, row.key, record)
    return Followed(row, where, None if where.status == TAKEN else record)
