"""Check a stock file and a change file: `make run` does so before it deletes what is there."""

import sys
from pathlib import Path

from inventory_updater.intake.csv_format import CsvError, read_change_file, read_stock_file


def main() -> int:
    """Check the two files that the command line names; return 0, or 2 where one cannot be used."""
    stock_file, change_file = (Path(name) for name in sys.argv[1:])
    try:
        items = {row.key for row in read_stock_file(stock_file)}
        for row in read_change_file(change_file):
            if row.key not in items:
                raise CsvError(change_file, f"{stock_file} has no item {row.key}", row.line)
    except CsvError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
