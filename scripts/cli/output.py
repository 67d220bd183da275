"""What the scripts print: JSON, CSV, and screens, which are pure functions of rows, width and time zone.

A screen for a terminal is a table where the terminal is wide enough, else a block an entry. No id, number or time is
ever broken over two lines; only prose is.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal
from itertools import compress
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from inventory_updater.stock.attributes import as_json
from inventory_updater.stock.numbers import plain
from inventory_updater.stock.times import is_stored_time, read_time

COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("SUCCEEDED", "APPLIED", "IN_STOCK", "ACCEPTED"), "green"),
    **dict.fromkeys(("RUNNING", "WAITING", "OPEN"), "cyan"),
    **dict.fromkeys(("COMPLETED_WITH_FAILURES", "SKIPPED", "LOW_STOCK", "PARTLY_ACCEPTED", "HELD"), "yellow"),
    **dict.fromkeys(("FAILED", "ABANDONED", "ABORTED", "TIMED_OUT", "REJECTED", "OUT_OF_STOCK", "REFUSED"), "red"),
}
"""Of the values of columns that are called status."""

_TIMES: Final = ("_at", "_after", "as_of", "from", "until")
"""How the names of columns end that hold times."""

# A text of more than so many characters may be folded, and keeps so many.
PROSE: Final = 40
NARROWEST_PROSE: Final = 24
WITHOUT_TERMINAL: Final = 100_000


@dataclass(frozen=True, slots=True)
class View:
    """How a screen is laid out.

    Attributes:
        width: the terminal's; None where there is none: then an entry is one line, however long.
        zone: of the times; None is the terminal's, and in UTC they are shown as they are stored.
    """

    width: int | None = None
    zone: tzinfo | None = UTC

    @property
    def columns(self) -> int:
        """How wide a line may be: the last column stays free, so that no terminal breaks it."""
        return WITHOUT_TERMINAL if self.width is None else self.width - 1


def view_of(options: argparse.Namespace, *, is_error: bool = False) -> View:
    """The view of whoever typed the command."""
    console = console_of(is_error=is_error)
    return View(console.width if console.is_terminal else None, UTC if options.utc else None)


def console_of(*, is_error: bool = False) -> Console:
    """Standard output; or standard error, where progress belongs."""
    return Console(stderr=is_error, markup=False, emoji=False, highlight=False)


def counted(number: int, noun: str) -> str:
    """`1 change`, `1,600 changes`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def statuses_text(counts: Mapping[str, int]) -> str:
    """`17,000 APPLIED, 519 PENDING`: the most frequent first."""
    return ", ".join(f"{count:,} {status}" for status, count in Counter(counts).most_common())


# Printing


def print_json(document: Mapping[str, object], options: argparse.Namespace) -> None:
    """Print one JSON document, and in it where the stack is, if it is about one.

    Quantities and money are text in plain notation, so that no reader rounds them.
    """
    print(json.dumps({**options.where, **document}, indent=2, default=as_json))


def print_json_rows(
    lists: Mapping[str, Iterable[Mapping[str, object]]],
    rest: Callable[[], Mapping[str, object]],
    options: argparse.Namespace,
) -> None:
    """Print one JSON document with lists by their names, each row printed as it comes: there may be any number of them.

    ``rest`` is what else is in it, asked for after the last row.
    """
    print("{")
    for key, value in options.where.items():
        print(f"  {json.dumps(key)}: {json.dumps(value)},")
    before_list = ""
    for name, rows in lists.items():
        print(f"{before_list}  {json.dumps(name)}: [", end="")
        before, after = "\n    ", "]"
        for row in rows:
            print(before + json.dumps(row, default=as_json), end="")
            before, after = ",\n    ", "\n  ]"
        print(after, end="")
        before_list = ",\n"
    for key, value in rest().items():
        print(f",\n  {json.dumps(key)}: {json.dumps(value, default=as_json)}", end="")
    print("\n}")


def print_answer(document: Mapping[str, object], sentence: str, options: argparse.Namespace) -> None:
    """Print what a command has done: the document with --json, else the sentence."""
    if options.json:
        print_json(document, options)
    else:
        print(sentence)


def note(text: str) -> None:
    """Say on standard error what is not part of the answer."""
    print(cell_text(text), file=sys.stderr)


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], options: argparse.Namespace, title: str = ""
) -> None:
    """Print rows: with --csv as RFC 4180 has it, times and numbers as they are stored; else as a screen."""
    if not options.csv:
        print_screen(rows_screen(columns, rows, view_of(options), title), view_of(options))
        return
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # standard output is a file
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_csv_text(value) for value in row] for row in rows)


def _csv_text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return plain(value)
    return str(value)


def print_figures(figures: Iterable[tuple[str, object]], options: argparse.Namespace, title: str = "") -> None:
    """Print names and values below each other; what is None is left out."""
    print_screen(figures_screen(figures, view_of(options), title), view_of(options))


def print_screen(screen: RenderableType, view: View) -> None:
    """Print a screen on standard output, coloured on a terminal."""
    console = console_of()
    console.width = view.columns
    console.print(screen)


def text_of(screen: RenderableType, view: View) -> str:
    """A screen as the text that it is without colours."""
    console = Console(width=view.columns, color_system=None)
    with console.capture() as captured:
        console.print(screen)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


# Screens


def rows_screen(
    columns: Sequence[str], rows: Iterable[Sequence[object]], view: View, title: str = ""
) -> RenderableType:
    """Rows as a table where it fits, else as blocks; what is False is empty, and an empty column is left out."""
    values = [[None if value is False else value for value in row] for row in rows]
    if not values:
        return Group(*_heading(title), "none")
    are_used = [any(row[number] not in (None, "") for row in values) for number in range(len(columns))]
    columns = list(compress(columns, are_used))
    values = [list(compress(row, are_used)) for row in values]
    texts = [[_cell(name, value, view) for name, value in zip(columns, row, strict=True)] for row in values]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, cells, entries in zip(columns, zip(*texts, strict=True), zip(*values, strict=True), strict=True):
        is_prose = any(cell.cell_len > PROSE and " " in cell.plain for cell in cells)
        table.add_column(
            name,
            justify="right" if all(_is_number(entry) for entry in entries) else "left",
            no_wrap=not is_prose,
            # A cell that is not folded may have spaces, and rich would count its longest word only.
            min_width=NARROWEST_PROSE if is_prose else max(cell_len(name), *(cell.cell_len for cell in cells)),
        )
    for row in texts:
        table.add_row(*row)
    needed = Console(width=WITHOUT_TERMINAL).measure(table).minimum
    body = [table] if needed <= view.columns else [_block(columns, row, view) for row in texts]
    return Group(*_heading(title), *body)


def _block(names: Sequence[str], cells: Sequence[Text], view: View) -> RenderableType:
    """The first cell as a headline; below it the others that hold something, as many a line as fit."""
    headline = cells[0].copy()
    headline.stylize("bold")
    has_status = len(names) > 1 and names[1].endswith("status")
    if has_status and headline.cell_len + 2 + cells[1].cell_len <= view.columns:
        names, cells = [names[0], *names[2:]], [headline.append("  ").append_text(cells[1]), *cells[2:]]
    lines = [Text()]
    for name, cell in zip(names[1:], cells[1:], strict=True):
        if not cell.plain:
            continue
        entry = Text.assemble((f"{name}: ", "dim"), cell)
        if not lines[-1].plain:
            lines[-1].append_text(entry)
        elif lines[-1].cell_len + 3 + entry.cell_len <= view.columns - 2:
            lines[-1].append("   ").append_text(entry)
        else:
            lines.append(entry)
    return Group(headline, Padding(Group(*lines), (0, 0, 0, 2)))


def figures_screen(figures: Iterable[tuple[str, object]], view: View, title: str = "") -> RenderableType:
    """Names and values below each other; what is None is left out."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in figures:
        if value is not None:
            table.add_row(name, _cell(name, value, view))
    return Group(*_heading(title), table)


def _heading(title: str) -> list[Text]:
    return [Text(cell_text(title), style="bold")] if title else []


def _cell(name: str, value: object, view: View) -> Text:
    """A value as it is shown; its colour and whether it is a time go by the name of its column."""
    text = cell_text(value)
    if name.replace(" ", "_").endswith(_TIMES):
        text = time_text(text, view.zone)
    return Text(text, style=COLOURS.get(text, "") if name.endswith("status") else "")


def cell_text(value: object) -> str:
    """A value as it is shown: whatever an item holds, it cannot move the cursor or colour the terminal."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case Decimal():
            return plain(value)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )


def time_text(stored: str, zone: tzinfo | None) -> str:
    """A stored time to the second by the clock of a zone (None: the terminal's); in UTC, or if it is none, as it is."""
    if zone is UTC or not is_stored_time(stored):
        return stored
    try:
        return read_time(stored).astimezone(zone).isoformat(" ", "seconds")
    except OverflowError:  # the last day of the calendar ends earlier elsewhere
        return stored


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float, Decimal)) and not isinstance(value, bool))
