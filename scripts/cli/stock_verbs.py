"""Stock: make a sample, load a file, export and add up levels, show an item and its history, compare a count sheet."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from heapq import nlargest
from itertools import chain
from pathlib import Path
from typing import Final

from cli import sample
from cli.change_screens import ROWS_OF_AN_ITEM, document_of, item_changes_screen
from cli.command_line import CommandLine, filled, input_path, time_of
from cli.deployments import find_deployment, now
from cli.errors import InputError
from cli.exit_codes import EXIT_DONE
from cli.history import add_history
from cli.input_files import (
    add_checking_options,
    add_reading_options,
    check_outputs,
    input_file,
    print_taken,
    reading_of,
    settle_problems,
)
from cli.output import (
    counted,
    note,
    print_answer,
    print_figures,
    print_json,
    print_json_rows,
    print_rows,
    print_screen,
    view_of,
)
from cli.output_files import output_file
from cli.progress import progress
from cli.stock_screens import (
    FIGURES,
    PLACE_COLUMNS,
    TOTAL_COLUMNS,
    VARIANCE_COLUMNS,
    difference_documents,
    places_screen,
    stale_sentence,
    total_cells,
    totals_screen,
    variance_document,
    variance_screen,
)
from inventory_updater.intake.comparing import Comparison, Finding, Variance
from inventory_updater.intake.csv_format import read_count_sheet, read_stock_file
from inventory_updater.intake.exporting import write_levels
from inventory_updater.intake.loading import Loaded, Loading
from inventory_updater.intake.writing import told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem, ItemKey, StockStatus
from inventory_updater.stock.levels import Level, item_document, read_level, totals
from inventory_updater.stock.loading import CLEARABLE
from inventory_updater.stock.times import read_time
from inventory_updater.tables.inventory_table import InventoryTable

INVALID_ITEMS_NAMED: Final = 10
VARIANCES_SHOWN: Final = 50

MAPS: Final = ("windows", "decided", "last_set")


def make_sample(options: argparse.Namespace) -> None:
    around = read_time(time_of("--around", options.around)) if options.around else sample.AROUND
    with progress() as tell:
        tell("making the sample", 0)
        try:
            made = sample.write_sample(options.directory, options.items, options.changes, options.seed, around)
        except ValueError as error:
            raise InputError(str(error)) from None
    document = {
        "stock_file": made.stock_file,
        "changes_file": made.changes_file,
        "delivery_file": made.delivery_file,
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
        f"{made.rejected:,} and leave {made.pending:,} pending; a delivery for later in {made.delivery_file}"
    )
    print_answer(document, sentence, options)


def load(options: argparse.Namespace) -> int:
    if options.clear and not options.replace:
        raise InputError("--clear needs --replace: a new item has nothing to empty")
    check_outputs(options)
    with input_file(options.file, read_stock_file, reading_of(options)) as file:
        if not file.begins_well():
            settle_problems(file, options)
        deployment = find_deployment(options)
        loading = Loading(
            deployment.dynamodb(), deployment.inventory(), file.rows, now(), options.replace, options.clear
        )
        with progress() as tell:
            file.check_with(replace(loading, progress=tell))
        left_out = settle_problems(file, options)
        if options.check:
            return EXIT_DONE
        with progress(file.good) as tell:
            loading = replace(loading, progress=tell, left_out=left_out)
            loaded = loading.write()
        if options.replace:
            loaded = replace(loaded, waiting=loading.count_waiting(deployment.changes()))
    return print_taken({"items": loaded.written, **asdict(loaded)}, _loaded_sentence(loaded), file, options)


def _loaded_sentence(loaded: Loaded) -> str:
    parts = [f"{counted(loaded.written, 'item')} loaded"]
    if loaded.replaced:
        parts[0] += f", {loaded.replaced:,} of them in place of what was there"
    if loaded.known:
        parts.append(f"{counted(loaded.known, 'item')} known already and left alone")
    if loaded.waiting:
        parts.append(f"changes wait for {counted(loaded.waiting, 'item')} and will be applied on top")
    return "; ".join(parts)


def export(options: argparse.Namespace) -> None:
    if options.json and options.file is None:
        raise InputError("--json needs FILE: without it, standard output is for the CSV")
    levels = _Levels(find_deployment(options).inventory(), options)
    if options.file is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]  # standard output is a file
        count = write_levels(sys.stdout, levels, spreadsheet=options.spreadsheet)
    else:
        with output_file(options.file) as file:
            count = write_levels(file, levels, spreadsheet=options.spreadsheet)
    levels.say_what_is_odd()
    if options.file is not None:
        document = {"items": count, **levels.odd, "file": options.file}
        print_answer(document, f"{counted(count, 'item')} exported to {options.file}", options)


def total(options: argparse.Namespace) -> None:
    levels = _Levels(find_deployment(options).inventory(), options)
    by_place, by_currency = totals(levels)
    levels.say_what_is_odd()
    if options.json:
        places = [
            _named(("currency", "location_id", *TOTAL_COLUMNS), [currency or None, location, *total_cells(each)])
            for (currency, location), each in by_place.items()
        ]
        currencies = [
            _named(("currency", *TOTAL_COLUMNS), [currency or None, *total_cells(each)])
            for currency, each in by_currency.items()
        ]
        print_json({"by_currency_and_location": places, "by_currency": currencies, **levels.odd}, options)
    elif options.csv:
        rows = [[*place, *total_cells(each)] for place, each in by_place.items()]
        print_rows(("currency", "location_id", *TOTAL_COLUMNS), rows, options)
    else:
        print_screen(totals_screen(by_place, by_currency, view_of(options)), view_of(options))


def _named(names: Sequence[str], values: Sequence[object]) -> dict[str, object]:
    return dict(zip(names, values, strict=True))


class _Levels:
    """The levels that the options want; what is odd about them is known once they have been read."""

    def __init__(self, inventory: InventoryTable, options: argparse.Namespace) -> None:
        self._inventory = inventory
        self._skus = frozenset(options.sku)
        self._locations = frozenset(options.location)
        self._statuses = frozenset(
            [
                *([StockStatus.LOW_STOCK] if options.low else []),
                *([StockStatus.OUT_OF_STOCK] if options.out else []),
            ]
        )
        self._shown = options.shown
        self._invalid: list[InvalidItem] = []
        self.odd = {"left_out": 0, "stale": 0, "with_open_window": 0}

    def __iter__(self) -> Iterator[Level]:
        with progress() as tell:
            for attributes in told(self._stored(), "reading", tell):
                level = read_level(attributes, shown=self._shown)
                if self._locations and level.key.location_id not in self._locations:
                    continue
                if isinstance(level, InvalidItem):
                    self.odd["left_out"] += 1
                    if len(self._invalid) < INVALID_ITEMS_NAMED:
                        self._invalid.append(level)
                elif not self._statuses or level.derived.stock_status in self._statuses:
                    self.odd["stale"] += level.is_stale
                    self.odd["with_open_window"] += level.has_window
                    yield level

    def _stored(self) -> Iterable[Attributes]:
        if self._skus:
            return chain.from_iterable(map(self._inventory.items_of_sku, sorted(self._skus)))
        return self._inventory.scan()

    def say_what_is_odd(self) -> None:
        for invalid in self._invalid:
            note(f"left out: item {invalid.key} cannot be read: {invalid.message}")
        if more := self.odd["left_out"] - len(self._invalid):
            note(f"left out: {more:,} more")
        if stale := self.odd["stale"]:
            note(
                f"stored derived figures of {counted(stale, 'item')} are stale: here they are as they follow from the "
                "figures; a job over all items repairs what is stored"
            )
        if (windows := self.odd["with_open_window"]) and not self._shown:
            note(
                f"{counted(windows, 'item')} with an open window: here is what the figure is without it; "
                "--shown tells what it shows"
            )


def _output_file(text: str) -> Path | None:
    return None if filled(text) == "-" else Path(text)


def show(options: argparse.Namespace) -> None:
    deployment = find_deployment(options)
    if options.location_id is None or options.csv:
        _show_places(deployment.inventory(), options)
        return
    key = ItemKey(options.sku, options.location_id)
    attributes = deployment.inventory().read(key)
    if attributes is None:
        raise InputError(f"there is no item {key}")
    state = read_state(attributes)
    # After the item: what it has decided, a record may say by now.
    records = deployment.changes().stored_of(key)
    changes = [document_of((key, str(record["change_id"])), record) for record in records]
    document = item_document(attributes)
    problem = document["problem"] or (state.message if isinstance(state, InvalidItem) else None)
    if options.json:
        print_json({**document, "problem": problem, "changes": changes}, options)
        return
    others = sorted(attributes.keys() - {*FIGURES, *MAPS, "sku", "location_id"})
    print_figures(((name, document.get(name)) for name in (*FIGURES, *others)), options, title=f"Item {key}")
    if problem:
        print(f"This item cannot be read, so jobs leave it alone: {problem}")
    if stale := stale_sentence([document]):
        note(stale)
    limit = None if options.all else ROWS_OF_AN_ITEM
    known = None if isinstance(state, InvalidItem) else state
    print_screen(item_changes_screen(known, changes, view_of(options), limit), view_of(options))


def _show_places(inventory: InventoryTable, options: argparse.Namespace) -> None:
    """An item at every location, or at the one that is named."""
    stored = inventory.items_of_sku(options.sku)
    documents = [item_document(each) for each in stored if options.location_id in (None, each["location_id"])]
    if not documents:
        raise InputError(f"there is no item {options.sku} at {options.location_id or 'any location'}")
    if options.json:
        print_json({"sku": options.sku, "items": documents}, options)
        return
    if options.csv:
        columns = ("sku", *PLACE_COLUMNS)
        print_rows(columns, ([each.get(name) for name in columns] for each in documents), options)
    else:
        print_screen(places_screen(options.sku, documents, view_of(options)), view_of(options))
    if stale := stale_sentence(documents):
        note(stale)


def variance(options: argparse.Namespace) -> None:
    with input_file(options.file, read_count_sheet, reading_of(options)) as file:
        rows = file.check()
        inventory = find_deployment(options).inventory()
        with progress(rows) as tell:
            comparison = Comparison(inventory, file.rows, tell)
            found = comparison.variances()
            worst: list[Variance] = []
            if options.json:

                def rest() -> Mapping[str, object]:
                    findings = {finding.lower(): comparison.findings[finding] for finding in Finding}
                    missing = sum(1 for _ in comparison.missing())
                    return {**findings, "missing": missing, "differences": difference_documents(comparison)}

                print_json_rows({"rows": map(variance_document, found)}, rest, options)
                return
            if options.csv:
                print_rows(VARIANCE_COLUMNS, (list(variance_document(each).values()) for each in found), options)
            else:
                differing = (each for each in found if each.finding is not Finding.MATCHES)
                worst = nlargest(VARIANCES_SHOWN, differing, key=lambda each: each.weight)
            missing = sum(1 for _ in comparison.missing())
    if options.csv:
        note(f"{counted(missing, 'item')} at these locations that the sheet lacks")
    else:
        print_screen(variance_screen(comparison, worst, missing, view_of(options), file.name), view_of(options))


def _columns(text: str) -> tuple[str, ...]:
    """The type of --clear."""
    names = tuple([name.strip() for name in filled(text).split(",")])
    for name in names:
        if name not in CLEARABLE:
            raise argparse.ArgumentTypeError(f"{name!r} cannot be emptied; what can is {', '.join(CLEARABLE)}")
    return names


def _add_filters(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--low", action="store_true", help="only what is low in stock (with --out: or out of stock)")
    verb.add_argument("--out", action="store_true", help="only what is out of stock")
    verb.add_argument("--sku", type=filled, action="append", default=[], metavar="SKU", help="only this; repeatable")
    verb.add_argument(
        "--location", type=filled, action="append", default=[], metavar="LOCATION", help="only there; repeatable"
    )
    verb.add_argument(
        "--shown", action="store_true", help="what items show under their open windows, not what they are without them"
    )


def commands() -> CommandLine:
    line = CommandLine(
        "Make sample stock, load a stock file, export the levels, add them up, show an item, compare a count sheet."
    )
    verb = line.add_verb(
        "sample",
        make_sample,
        "write sample stock and changes",
        "The same numbers and seed always give the same three files: stock.csv, changes.csv and, small, delivery.csv.",
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
        "The whole file is checked first: one problem, and nothing is written. An item that is there already as the "
        "file says is left alone, so a load that was broken off goes on when it is sent again; one that differs is a "
        "problem, unless --replace is given.",
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the stock file; - is standard input")
    verb.add_argument(
        "--replace",
        action="store_true",
        help="in items that are there set what the file has: a column that it lacks and an empty cell leave the item "
        "as it is; changes and open windows are left alone",
    )
    verb.add_argument(
        "--clear",
        type=_columns,
        default=(),
        metavar="COLUMN,...",
        help="with --replace: empty these columns where the file has nothing for them; a quantity becomes 0",
    )
    add_checking_options(verb)
    add_reading_options(verb, of_changes=False)

    verb = line.add_verb(
        "export",
        export,
        "write the levels of items as CSV",
        "A stock file, which can be loaded again, with the derived figures as they follow from the others; sorted as "
        "text by sku and location.",
    )
    verb.add_argument(
        "file", type=_output_file, nargs="?", metavar="FILE", help="where to (default, and -: standard output)"
    )
    _add_filters(verb)
    verb.add_argument(
        "--spreadsheet",
        action="store_true",
        help="put an apostrophe before what a spreadsheet would take for a formula; to be looked at, not to be loaded",
    )

    verb = line.add_verb(
        "totals",
        total,
        "add up the stock",
        "By currency and location, and by currency.",
        has_rows=True,
    )
    _add_filters(verb)

    verb = line.add_verb(
        "show",
        show,
        "show an item: its figures, and its pending, settled and rejected changes",
        "Without a location, its figures at every one.",
        has_rows=True,
    )
    verb.add_argument("sku", type=filled, metavar="SKU")
    verb.add_argument("location_id", type=filled, nargs="?", metavar="LOCATION")
    verb.add_argument("--all", action="store_true", help=f"more than {ROWS_OF_AN_ITEM} changes of each sort")

    verb = line.add_verb(
        "variance",
        variance,
        "compare a count sheet with what is stored",
        "A count sheet is a CSV file with sku, location_id and counted (or, without that, on_hand); an empty cell was "
        "not counted. Nothing is written.",
        has_rows=True,
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the count sheet; - is standard input")
    add_reading_options(verb, of_changes=False)
    add_history(line)
    return line
