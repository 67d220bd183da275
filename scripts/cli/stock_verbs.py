"""Stock: make a sample, load a file, export the levels, show an item."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from cli import sample
from cli.command_line import (
    EXIT_DONE,
    CommandLine,
    InputError,
    error_console,
    find_deployment,
    now,
    print_figures,
    print_json,
    print_table,
    progress,
)
from inventory_updater.intake.csv_format import CsvError, read_stock_file, write_levels
from inventory_updater.intake.operations import RefusedError, load_stock, told_while_reading
from inventory_updater.stock.items import Figures, InvalidItem, ItemKey, StockItem, read_item
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
    "next_change_at",
    "settled_before",
    "version",
    "updated_at",
    "last_write_id",
)
MAPS: Final = ("pending_changes", "settled_changes", "rejected_changes", "last_set")


def make_sample(options: argparse.Namespace) -> int:
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
    if options.json:
        print_json(
            {
                "stock_file": str(made.stock_file),
                "changes_file": str(made.changes_file),
                "items": made.items,
                "changes": made.changes,
                "changes_applied": made.applied,
                "changes_rejected": made.rejected,
                "changes_pending": made.future,
            }
        )
    else:
        print(
            f"{made.items:,} items in {made.stock_file}, {made.changes:,} changes in {made.changes_file}: a job will "
            f"apply {made.applied:,}, reject {made.rejected:,} and leave {made.future:,} pending"
        )
    return EXIT_DONE


def load(options: argparse.Namespace) -> int:
    with progress() as tell:
        tell("reading the file", 0)
        rows = read_stock_file(options.file)
    inventory = find_deployment(options).inventory()
    items = (
        (
            row.key,
            Figures(row.on_hand, row.reserved, row.safety_stock, row.reorder_point, row.unit_price),
            {"currency": row.currency, "description": row.description},
        )
        for row in rows
    )
    with progress(len(rows)) as tell:
        try:
            loaded = load_stock(inventory, items, now, replace=options.replace, progress=tell)
        except RefusedError as error:
            line_of_key = {row.key: row.line for row in rows}
            raise CsvError(options.file, str(error), line_of_key[error.refusal.key]) from None
    if options.json:
        print_json({"items": loaded})
    else:
        print(f"{loaded:,} items loaded")
    return EXIT_DONE


def export(options: argparse.Namespace) -> int:
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
        error_console().print(f"left out: item {invalid.key} cannot be read: {invalid.message}")
    if len(items.invalid) > INVALID_ITEMS_NAMED:
        error_console().print(f"left out: {len(items.invalid) - INVALID_ITEMS_NAMED:,} more")
    if options.json:
        print_json({"items": count, "left_out": len(items.invalid), "file": str(options.file)})
    elif options.file is not None:
        print(f"{count:,} items exported to {options.file}")
    return EXIT_DONE


class _ReadableItems:
    """The items of the table that can be read; those that cannot are in `invalid` afterwards."""

    def __init__(self, inventory: InventoryTable) -> None:
        self._inventory = inventory
        self.invalid: list[InvalidItem] = []

    def __iter__(self) -> Iterator[StockItem]:
        with progress() as tell:
            for attributes in told_while_reading(self._inventory.scan("all"), tell):
                item = read_item(attributes)
                if isinstance(item, StockItem):
                    yield item
                else:
                    self.invalid.append(item)


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


def show(options: argparse.Namespace) -> int:
    key = ItemKey(options.sku, options.location_id)
    attributes = find_deployment(options).inventory().read(key)
    if attributes is None:
        raise InputError(f"there is no item {key}")
    item = read_item(attributes)
    if options.json:
        print_json({**attributes, "problem": item.message if isinstance(item, InvalidItem) else None})
        return EXIT_DONE
    others = sorted(attributes.keys() - {*FIGURES, *MAPS, "sku", "location_id"})
    print_figures(((name, attributes.get(name)) for name in (*FIGURES, *others)), title=f"Item {key}")
    if isinstance(item, InvalidItem):
        print(f"This item cannot be read, so jobs leave it alone: {item.message}")
    else:
        _print_changes(item)
    return EXIT_DONE


def _print_changes(item: StockItem) -> None:
    changes = item.changes
    if changes.pending:
        print_table(
            ("change_id", "kind", "value", "effective_at", "reason", "reference"),
            [
                (change.change_id, change.kind, change.value, change.effective_at, change.reason, change.reference)
                for change in sorted(changes.pending.values(), key=lambda change: change.effective_at)
            ],
            title="Pending changes",
        )
    if changes.settled:
        print_table(
            ("change_id", "effective_at", "settled_at"),
            [
                (change_id, settlement.effective_at, settlement.settled_at)
                for change_id, settlement in sorted(changes.settled.items(), key=lambda entry: entry[1].effective_at)
            ],
            title="Settled changes (applied or superseded)",
        )
    if changes.rejected:
        print_table(
            ("change_id", "kind", "value", "effective_at", "code", "message", "job_id"),
            [
                (
                    rejection.change.change_id,
                    rejection.change.kind,
                    rejection.change.value,
                    rejection.change.effective_at,
                    rejection.code,
                    rejection.message,
                    rejection.job_id,
                )
                for rejection in sorted(changes.rejected.values(), key=lambda rejection: rejection.rejected_at)
            ],
            title="Rejected changes",
        )


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
    verb.add_argument("file", type=Path, metavar="FILE", help="the stock file")
    verb.add_argument(
        "--replace",
        action="store_true",
        help="set the columns of the file in items that are there; their changes are left alone",
    )

    verb = line.add_verb(
        "export", export, "write the levels of all items as CSV", "Sorted as text by sku and location."
    )
    verb.add_argument("file", type=Path, nargs="?", metavar="FILE", help="where to (default: standard output)")

    verb = line.add_verb("show", show, "show an item: figures, pending, settled and rejected changes")
    verb.add_argument("sku", metavar="SKU")
    verb.add_argument("location_id", metavar="LOCATION")
    return line
