"""The files that a command reads: all that is wrong with one is told at once, with the lines that it is on.

A file is read several times, so what can be read only once, such as standard input, goes into a temporary file first.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Generic, TypeVar

from cli.errors import PROBLEMS_SHOWN, ProblemsFound
from cli.output import note
from cli.progress import progress
from inventory_updater.intake.csv_format import ChangeRow, Clash, CountRow, CsvError, Problem, StockRow
from inventory_updater.intake.refusals import RefusedError, RowsChangedError
from inventory_updater.intake.writing import told

STANDARD_INPUT: Final = Path("/dev/stdin")

RowT = TypeVar("RowT", ChangeRow, StockRow, CountRow)


@dataclass(frozen=True, slots=True)
class InputFile(Generic[RowT]):
    """A file whose rows can be read again and again.

    Attributes:
        path: where it can be read.
        name: what whoever typed the command calls it.
        read: reads a file of its kind.
    """

    path: Path
    name: str
    read: Callable[[Path], Iterator[RowT | Problem | Clash]]

    @property
    def source(self) -> str:
        """What a change's record calls it."""
        return Path(self.name).name

    def check(self) -> int:
        """Read it all, note what clashes in it, and return how many rows it has.

        Raises:
            ProblemsFound: where anything is wrong with it.
        """
        problems, clashes, rows = _FirstLines(), _FirstLines(), 0
        with progress() as tell:
            try:
                for row in told(self.read(self.path), "reading the file", tell):
                    if isinstance(row, Problem):
                        problems.add(f"{self.name}: {row}")
                    elif isinstance(row, Clash):
                        clashes.add(f"note: {self.name}: {row}")
                    else:
                        rows += 1
            except CsvError as error:
                for problem in error.problems:
                    problems.add(f"{self.name}: {problem}")
        if problems.count:
            raise ProblemsFound(problems.kept, problems.count)
        for clash in clashes.kept:
            note(clash)
        if clashes.count > len(clashes.kept):
            note(f"note: {self.name}: {clashes.count - len(clashes.kept):,} more such lines")
        return rows

    def rows(self) -> Iterator[RowT]:
        """The rows of a file that has been checked.

        Raises:
            RowsChangedError: where it is another one by now.
        """
        for row in self.read(self.path):
            if isinstance(row, Problem):
                raise RowsChangedError
            if not isinstance(row, Clash):
                yield row

    @contextmanager
    def telling_lines(self) -> Iterator[None]:
        """Tell what is refused within this context with the lines that it is on."""
        try:
            yield
        except RefusedError as error:
            rows = [(refusal.row, refusal.message) for refusal in error.refusals]
            lines = sorted((row.line, message) for row, message in rows if isinstance(row, ChangeRow | StockRow))
            raise ProblemsFound(
                [f"{self.name}: line {line}: {message}" for line, message in lines], error.count
            ) from None


@contextmanager
def input_file(path: Path, read: Callable[[Path], Iterator[RowT | Problem | Clash]]) -> Iterator[InputFile[RowT]]:
    """The file of a command line, whether it can be read once or again and again."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    if path.is_file() or path.is_dir() or not path.exists():
        yield InputFile(path, name, read)
        return
    with NamedTemporaryFile(prefix="inventory-updater-") as copy, path.open("rb") as original:
        shutil.copyfileobj(original, copy)
        copy.flush()
        yield InputFile(Path(copy.name), name, read)


class _FirstLines:
    """The first of many lines, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.kept) < PROBLEMS_SHOWN:
            self.kept.append(line)
