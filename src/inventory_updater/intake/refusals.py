"""Why nothing was written, or not all: a refusal is a row, a code and a sentence."""

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

from inventory_updater.stock.numbers import counted

REFUSALS_KEPT: Final = 1_000
"""How many refusals an error keeps; a file may have millions."""

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row, or a change, cannot be taken.

    Attributes:
        row: the row as it came, or the name of the change.
        code: for programs: ``UNKNOWN_ITEM``, ``CHANGE_ID_TAKEN``, ``TOO_OLD``, ``TWICE``, ``ITEM_EXISTS``,
            ``NO_QUANTITY``, ``TOO_PRECISE``, ``UNKNOWN_CHANGE``, ``AMBIGUOUS_CHANGE``, ``NOT_REJECTED``, or what
            is wrong with an item that cannot be read. What is only unusual has one of ``guards.UNUSUAL``.
        message: for people.
        column: the attribute that it is about, where the code alone does not say it.
    """

    row: object
    code: str
    message: str
    column: str | None = None


TellRefusal = Callable[[Refusal], object]
"""Told every refusal, in the order of the rows."""


class RefusedError(ValueError):
    """Nothing was written.

    Attributes:
        refusals: the first thousand.
        count: how many there are; whoever wants to hear of all of them gives a function that is told each.
    """

    def __init__(self, refusals: "Refusals") -> None:
        more = f" (and {refusals.count - 1:,} more)" if refusals.count > 1 else ""
        super().__init__(refusals.kept[0].message + more)
        self.refusals = tuple(refusals.kept)
        self.count = refusals.count


class UnfinishedError(Exception):
    """Some was written and some was not; doing the same again writes the rest."""


class RowsChangedError(UnfinishedError):
    """The rows are others than those that were checked."""

    def __init__(self) -> None:
        super().__init__("the rows changed while they were read; leave them as they are and do the same again")


@dataclass(slots=True)
class Unwritten:
    """How much was not written: ``noun`` says of what."""

    noun: str
    count: int = 0
    first: str = ""

    def add(self, name: str, why: str) -> None:
        self.first = self.first or f"{name} ({why})"
        self.count += 1

    def refuse_any(self) -> None:
        """
        Raises:
            UnfinishedError: where there is any.
        """
        if self.count:
            were = "was" if self.count == 1 else "were"
            raise UnfinishedError(
                f"{counted(self.count, self.noun)} {were} not written, the first is {self.first}; "
                "do the same again to write the rest"
            )


@dataclass(slots=True)
class Refusals:
    """The refusals that were found."""

    tell: TellRefusal = lambda _refusal: None
    kept: list[Refusal] = field(default_factory=list)
    count: int = 0

    def add(self, refusal: Refusal) -> None:
        self.tell(refusal)
        self.count += 1
        if len(self.kept) < REFUSALS_KEPT:
            self.kept.append(refusal)

    def refuse_any(self) -> None:
        """
        Raises:
            RefusedError: where there are any.
        """
        if self.count:
            raise RefusedError(self)


class Names:
    """The names of a file's rows, in eight bytes each: enough to see one that comes twice, or a file that changes.

    Two names may have the same eight bytes, so a name that seems to come twice is looked at again.
    """

    def __init__(self) -> None:
        self._seen = array("q")

    def add(self, name: Hashable) -> None:
        self._seen.append(hash(name))

    def met_again(self, rows: Iterable[RowT], name_of: Callable[[RowT], Hashable]) -> Iterator[tuple[int, RowT]]:
        """The rows of another pass, each with its place.

        Raises:
            RowsChangedError: where they are not the rows of the first one.
        """
        place = -1
        for place, row in enumerate(rows):  # the last place counts as well
            if place == len(self._seen) or self._seen[place] != hash(name_of(row)):
                raise RowsChangedError
            yield place, row
        if place + 1 != len(self._seen):
            raise RowsChangedError

    def count_of(self, names: Iterable[Hashable]) -> int:
        """How many of the file's names are among ``names``."""
        wanted = set(map(hash, names))
        return sum(each in wanted for each in self._seen)

    def twice(self, rows: Callable[[], Iterable[RowT]], name_of: Callable[[RowT], Hashable]) -> Iterator[RowT]:
        """The rows whose name a row before them has as well."""
        suspects = {one for one, other in pairwise(sorted(self._seen)) if one == other}
        if not suspects:
            return
        met: set[Hashable] = set()
        for row in rows():
            name = name_of(row)
            if hash(name) in suspects:
                if name in met:
                    yield row
                met.add(name)
