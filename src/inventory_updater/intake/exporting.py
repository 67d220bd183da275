"""Exporting: levels become a stock file, sorted, which says with its own columns what loading it again would set."""

import csv
import errno
import os
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from decimal import Decimal
from sqlite3 import SQLITE_FULL, OperationalError, connect
from typing import Final, TextIO

from inventory_updater.intake.text_rows import DERIVED_COLUMNS, STOCK_COLUMNS
from inventory_updater.stock.levels import Level
from inventory_updater.stock.numbers import ZERO, plain

LEVEL_COLUMNS: Final = (*STOCK_COLUMNS, *DERIVED_COLUMNS)

_NUMBER: Final = re.compile(r"[+-]?\d+([.,]\d+)?", re.ASCII)
_FORMULA: Final = re.compile(
    r"^(?=[ ]*[=+\-@\t\r\n＝＋－＠])|(?<=[;\t\r\n])(?=[ ]*[=+\-@＝＋－＠])"  # noqa: RUF001  # full-width is meant
)
"""Where a spreadsheet would begin a formula: in a cell, or behind what ends one for it, where semicolons part cells.

https://owasp.org/www-community/attacks/CSV_Injection
"""


def write_levels(file: TextIO, levels: Iterable[Level], *, spreadsheet: bool = False) -> int:
    """Write levels as CSV, sorted as text by sku and location, and return how many there are.

    Numbers are in plain notation, an absent price or text is an empty cell, lines end in LF. Open the file with
    `newline=""` and in UTF-8. The lines are sorted on disk where they are many, so any number of them can be written.

    Args:
        file: where to.
        levels: what to write.
        spreadsheet: whether texts that a spreadsheet would take for formulas get an apostrophe in front.
    """
    line_of = _line_writer()
    text_of: Callable[[str], str] = harmless if spreadsheet else str
    lines = ((*level.key, line_of(*_cells(level, text_of))) for level in levels)
    try:
        # A database without a name is in memory, and in a temporary file as it grows.
        with closing(connect("")) as database:
            database.execute("CREATE TABLE line (sku TEXT, location_id TEXT, line TEXT)")
            database.executemany("INSERT INTO line VALUES (?, ?, ?)", lines)
            file.write(line_of(*LEVEL_COLUMNS))
            # It compares texts by their UTF-8: by code points, as DynamoDB and Python do.
            file.writelines(line for (line,) in database.execute("SELECT line FROM line ORDER BY sku, location_id"))
            ((count,),) = database.execute("SELECT count(*) FROM line")
            return int(count)
    except OperationalError as error:
        if error.sqlite_errorcode != SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; a plain number is none."""
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub("'", text)


def _cells(level: Level, text_of: Callable[[str], str]) -> tuple[str, ...]:
    figures, derived = level.figures, level.derived
    return (
        text_of(level.key.sku),
        text_of(level.key.location_id),
        _number(figures.on_hand),
        _number(figures.reserved),
        _number(figures.safety_stock),
        _number(figures.reorder_point),
        _number(figures.unit_price),
        text_of(level.currency or ""),
        text_of(level.description or ""),
        _number(derived.available),
        derived.stock_status.value,
        _number(derived.stock_value),
    )


def _number(number: Decimal | None) -> str:
    # A zero is read without an exponent.
    return "" if number is None else plain(number or ZERO)


def _line_writer() -> Callable[..., str]:
    """Makes one CSV line after the other; csv.writer hands each to the `write` of the object it was given."""
    lines: list[str] = []

    class Lines:
        write = lines.append

    # A carriage return has to be quoted too, and csv quotes what is in its line end.
    writer = csv.writer(Lines(), lineterminator="\r\n")

    def line_of(*cells: str) -> str:
        writer.writerow(cells)
        return f"{lines.pop()[:-2]}\n"

    return line_of
