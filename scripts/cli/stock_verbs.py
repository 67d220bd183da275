"""Stock: make a sample, load a file, export the levels, show an item and its history."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from cli import sample
from cli.change_screens import ROWS_OF_AN_ITEM, document_of, item_changes_screen
from cli.command_line import CommandLine, filled, input_path
from cli.deployments import find_deployment, now
from cli.errors import InputError
from cli.history import add_history
from cli.input_files import input_file
from cli.output import counted, note, print_answer, print_figures, print_json, print_screen, view_of
from cli.progress import progress
from inventory_updater.intake.csv_format import read_stock_file, write_levels
from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.writing import told
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem, ItemKey, StockItem, read_item
from inventory_updater.stock.times import parse_time, read_time
from inventory_updater.tables.inventory_table import InventoryTable

INVALID_ITEMS_NAMED: Final = 10

# In the order in which they are shown; what else an item holds follows them.
FIGURES: Final = (
    "description",
    "on_hand",
    "reserved",
    "safety_stock",
    "available",
    "stock_status",
    "reorder_point",
    "unit_price",
    "currency",
    "stock_value",
    "version",
    "updated_at",
)
MAPS: Final = ("windows", "decided", "last_set")


def make_sample(options: argparse.Namespace) -> None:
    try:
        around = read_time(parse_time(options.around)) if options.around else sample.AROUND
    except ValueError as error:
        raise InputError(f"--around: {options.around!r} {error}") from None
    with progress() as tell:
        tell("making the sample", 0)
        try:
            made = sample.write_sample(options.directory, options.items, options.changes, options.seed, around)
        except ValueError as error:
            raise InputError(str(error)) from None
    document = {
        "stock_file": made.stock_file,
        "changes_file": made.changes_file,
        "items": made.items,
        "changes": made.changes,
        "changes_applied": made.applied,
        "changes_opened": made.opened,
        "changes_rejected": made.rejected,
        "changes_pending": made.pending,
    }
    sentence = (
        f"{counted(made.items, 'item')} in {made.stock_file}, {counted(made.changes, 'change')} in "
        f"{made.changes_file}: a job will apply {made.applied:,}, open {made.opened:,} price windows, reject "
        f"{made.rejected:,} and leave {made.pending:,} pending"
    )
    print_answer(document, sentence, options)


def load(options: argparse.Namespace) -> None:
    with input_file(options.file, read_stock_file) as file:
        rows = file.check()
        deployment = find_deployment(options)
        with progress(rows) as tell, file.telling_lines():
            loaded = load_stock(
                deployment.dynamodb(),
                deployment.inventory(),
                file.rows,
                now(),
                replace=options.replace,
                progress=tell,
            )
    print_answer({"items": loaded}, f"{counted(loaded, 'item')} loaded", options)


def export(options: argparse.Namespace) -> None:
    if options.json and options.file is None:
        raise InputError("--json needs FILE: without it, standard output is for the CSV")
    items = _ReadableItems(find_deployment(options).inventory())
    if options.file is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # standard output is a file
        count = write_levels(sys.stdout, items)
    else:
        with _replaced(options.file) as file:
            count = write_levels(file, items)
    for invalid in items.invalid[:INVALID_ITEMS_NAMED]:
        note(f"left out: item {invalid.key} cannot be read: {invalid.message}")
    if len(items.invalid) > INVALID_ITEMS_NAMED:
        note(f"left out: {len(items.invalid) - INVALID_ITEMS_NAMED:,} more")
    if options.file is not None:
        document = {"items": count, "left_out": len(items.invalid), "file": options.file}
        print_answer(document, f"{counted(count, 'item')} exported to {options.file}", options)


class _ReadableItems:
    """The items of the table that can be read; those that cannot are in `invalid` afterwards."""

    def __init__(self, inventory: InventoryTable) -> None:
        self._inventory = inventory
        self.invalid: list[InvalidItem] = []

    def __iter__(self) -> Iterator[StockItem]:
        with progress() as tell:
            for attributes in told(self._inventory.scan(), "reading", tell):
                item = read_item(attributes)
                if isinstance(item, StockItem):
                    yield item
                else:
                    self.invalid.append(item)


def _output_file(text: str) -> Path | None:
    return None if filled(text) == "-" else Path(text)


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` once it is complete: a failure leaves what was there before."""
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except FileNotFoundError:
        raise InputError(f"{path}: its folder does not exist") from None
    finally:
        unfinished.unlink(missing_ok=True)


def show(options: argparse.Namespace) -> None:
    key = ItemKey(options.sku, options.location_id)
    deployment = find_deployment(options)
    attributes = deployment.inventory().read(key)
    if attributes is None:
        raise InputError(f"there is no item {key}")
    state = read_state(attributes)
    # After the item: what it has decided, a record may say by now.
    records = deployment.changes().stored_of(key)
    changes = [document_of((key, str(record["change_id"])), record) for record in records]
    problem = state.message if isinstance(state, InvalidItem) else None
    if options.json:
        print_json({**attributes, "problem": problem, "changes": changes}, options)
        return
    others = sorted(attributes.keys() - {*FIGURES, *MAPS, "sku", "location_id"})
    print_figures(((name, attributes.get(name)) for name in (*FIGURES, *others)), options, title=f"Item {key}")
    if problem:
        print(f"This item cannot be read, so jobs leave it alone: {problem}")
    limit = None if options.all else ROWS_OF_AN_ITEM
    known = None if isinstance(state, InvalidItem) else state
    print_screen(item_changes_screen(known, changes, view_of(options), limit), view_of(options))


def commands() -> CommandLine:
    line = CommandLine("Make sample stock, load a stock file, export the levels, show an item.")
    verb = line.add_verb(
        "sample",
        make_sample,
        "write sample stock and changes",
        "The same numbers and seed always give the same two files, stock.csv and changes.csv.",
    )
    verb.add_argument("--items", type=int, default=1_000, metavar="N", help="how many stock items (default: 1000)")
    verb.add_argument("--changes", type=int, default=1_600, metavar="N", help="how many changes (default: 1600)")
    verb.add_argument("--seed", type=int, default=1, metavar="S", help="another seed gives another sample (default: 1)")
    verb.add_argument(
        "--around",
        metavar="TIME",
        help=f"the moment by which all but the future changes are due (default: {sample.AROUND:%Y-%m-%dT%H:%M:%SZ})",
    )
    verb.add_argument("directory", type=Path, metavar="OUT_DIR", help="where to; made if missing")

    verb = line.add_verb(
        "load",
        load,
        "load a stock file",
        "The whole file is checked first: one problem, and nothing is written. An item that is already there is a "
        "problem, unless --replace is given.",
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the stock file; - is standard input")
    verb.add_argument(
        "--replace",
        action="store_true",
        help="set the columns of the file in items that are there; their changes and open windows are left alone",
    )

    verb = line.add_verb(
        "export", export, "write the levels of all items as CSV", "Sorted as text by sku and location."
    )
    verb.add_argument(
        "file", type=_output_file, nargs="?", metavar="FILE", help="where to (default, and -: standard output)"
    )

    verb = line.add_verb("show", show, "show an item: its figures, and its pending, settled and rejected changes")
    verb.add_argument("sku", type=filled, metavar="SKU")
    verb.add_argument("location_id", type=filled, metavar="LOCATION")
    verb.add_argument("--all", action="store_true", help=f"more than {ROWS_OF_AN_ITEM} changes of each sort")

    add_history(line)
    return line
