"""Check a stock file and a change file: `make run` does so before it deletes what is there."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import Clash, CsvError, Note, read_stock_file
from inventory_updater.intake.sheets import opened_sheet
from inventory_updater.intake.text_rows import ChangeRow, Problem, StockRow
from inventory_updater.stock.items import ItemKey

T = TypeVar("T", ChangeRow, StockRow)


def main() -> int:
    """Check the two files that the command line names; return 0, or 2 where one cannot be used."""
    stock_file, change_file = (Path(name) for name in sys.argv[1:])
    items: set[ItemKey] = set()

    def add_item(row: StockRow) -> None:
        items.add(row.key)

    is_stock_usable = _is_usable(stock_file, read_stock_file, add_item)

    def lack_of_item(row: ChangeRow) -> Problem | None:
        # Where stock could not be read, nobody knows which items there are.
        if row.key in items or not is_stock_usable:
            return None
        return Problem(row.line, None, "NO_ITEM", f"{stock_file} has no item {row.key}")

    are_changes_usable = _is_usable(change_file, read_change_file, lack_of_item)
    return 0 if is_stock_usable and are_changes_usable else 2


def _is_usable(
    path: Path,
    read: Callable[[Path], Iterable[T | Problem | Clash | Note]],
    problem_with: Callable[[T], Problem | None],
) -> bool:
    """Print what is wrong with a file, and say whether it is nothing."""
    problems: list[Problem] = []
    try:
        with opened_sheet(path) as sheet:
            for text in sheet.notes:
                print(f"note: {path}: {text}", file=sys.stderr)
            for row in read(sheet.path):
                if isinstance(row, Clash | Note):
                    print(f"{'warning' if isinstance(row, Clash) else 'note'}: {path}: {row}", file=sys.stderr)
                elif problem := row if isinstance(row, Problem) else problem_with(row):
                    problems.append(problem)
    except CsvError as error:
        problems += error.problems
    if problems:
        print(f"error: {CsvError(path, problems)}", file=sys.stderr)
    return not problems


if __name__ == "__main__":
    sys.exit(main())
