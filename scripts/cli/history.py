"""`stock.py history`: what was settled of an item, and what its figures were at a moment."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import nlargest
from itertools import starmap
from typing import Final

from rich.console import Group, RenderableType

from cli.change_screens import document_of
from cli.command_line import CommandLine, filled, time_of
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError
from cli.long_answers import ROWS_SHOWN, add_limit, limit_of, print_first
from cli.output import View, note, print_json, print_rows, print_screen, rows_screen, time_text, view_of
from cli.progress import progress
from inventory_updater.intake.writing import Progress, told
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.history import FIGURES, FigureThen, Settlement, figures_at, settlements
from inventory_updater.stock.item_states import ItemState, read_state
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.stock.numbers import ZERO
from inventory_updater.tables.change_table import ChangeTable

HISTORY_COLUMNS: Final = (
    *("settled_at", "status", "change_id", "sku", "location_id", "kind", "value", "before", "after", "effective_at"),
    *("until", "reason", "reference", "actor", "source", "job_id", "cancelled_by", "code", "message"),
)
THEN_COLUMNS: Final = (
    *("figure", "value", "sku", "location_id", "found_by", "found_at", "last_by", "last_at", "last_after"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it was read, before its records; ``attributes`` are None where it is gone."""

    key: ItemKey
    attributes: Attributes | None

    @property
    def present(self) -> Mapping[str, Decimal | None]:
        """Its figures as they are now; an absent quantity is 0."""
        if self.attributes is None:
            return {}
        usual = dict.fromkeys(FIGURES, ZERO) | {"unit_price": None, "on_hand": None}
        found = {name: self.attributes.get(name) for name in FIGURES}
        return usual | {name: value for name, value in found.items() if isinstance(value, Decimal)}

    def settled(self, changes: ChangeTable) -> Iterator[tuple[Settlement, Attributes]]:
        """Everything that was settled of it, each with the record that says so."""
        state = None if self.attributes is None else read_state(self.attributes)
        decided = state.decided if isinstance(state, ItemState) else {}
        for record in changes.stored_of(self.key):
            for each in settlements(record, decided.get(str(record["change_id"]))):
                yield each, record


def history(options: argparse.Namespace) -> None:
    limit = limit_of(options)
    moment = None if options.at is None else _moment(options.at)
    deployment = find_deployment(options)
    if moment is None:
        _print_history(deployment, limit, options)
    else:
        _print_figures(deployment, moment, options)


def _items(deployment: Deployment, options: argparse.Namespace) -> list[Item]:
    """The items that are meant.

    Raises:
        InputError: where there is none, and no record of one.
    """
    inventory = deployment.inventory()
    if options.location_id is None:
        found = [Item(read_key(attributes), attributes) for attributes in inventory.items_of_sku(options.sku)]
        if not found:
            raise InputError(f"there is no item {options.sku}; one that is gone is found with its LOCATION")
        return found
    key = ItemKey(options.sku, options.location_id)
    item = Item(key, inventory.read(key))
    if item.attributes is None and next(deployment.changes().stored_of(key), None) is None:
        raise InputError(f"there is no item {key}, and no record of one")
    return [item]


# What was settled


def _print_history(deployment: Deployment, limit: int | None, options: argparse.Namespace) -> None:
    items, changes = _items(deployment, options), deployment.changes()

    def documents(tell: Progress) -> Iterator[Mapping[str, object]]:
        settled = ((item.key, each, record) for item in items for each, record in item.settled(changes))
        return starmap(settled_document, _newest(told(settled, "reading", tell), limit))

    print_first("settled", documents, HISTORY_COLUMNS, limit, options, lambda count: f"{count:,} settled")


Found = tuple[ItemKey, Settlement, Attributes]


def _newest(settled: Iterable[Found], limit: int | None) -> list[Found]:
    """As many as are wanted, of however many there are, and one more, which tells whether there are more."""

    def order(found: Found) -> tuple[object, ...]:
        key, each, _record = found
        return *each.order, key

    return sorted(settled, key=order, reverse=True) if limit is None else nlargest(limit + 1, settled, key=order)


def settled_document(key: ItemKey, settlement: Settlement, record: Attributes) -> dict[str, object]:
    """A settlement as people and programs are told of it: what is not known of it is left out."""
    document = document_of((key, settlement.change_id), record)
    said: dict[str, object] = {
        "settled_at": settlement.settled_at,
        "status": settlement.outcome.value,
        "before": settlement.before,
        "after": settlement.after,
        "code": settlement.code,
        "message": settlement.message,
    }
    if settlement.outcome is Status.OPEN and record.get("status") != Status.OPEN:
        # Who closed the window has written over who opened it.
        said |= {"job_id": None, "cancelled_by": None}
    told = {name: (said if name in said else document).get(name) for name in HISTORY_COLUMNS}
    return {name: value for name, value in told.items() if value is not None}


# What it was then


def _moment(text: str) -> str:
    moment = time_of("--at", text)
    if moment > now():
        raise InputError(f"--at: {text} lies in the future")
    return moment


def _print_figures(deployment: Deployment, moment: str, options: argparse.Namespace) -> None:
    changes = deployment.changes()
    since = changes.forgotten_until(now())
    if moment < since:
        raise InputError(f"--at: what was settled before {since} may have been forgotten (ChangeRetentionDays)")
    then: list[tuple[Item, Mapping[str, FigureThen]]] = []
    with progress() as tell:
        for item in _items(deployment, options):
            settled = (each for each, _record in told(item.settled(changes), "reading", tell))
            then.append((item, figures_at(moment, item.present, settled)))
    if options.json:
        documents = [
            {**item.key._asdict(), "figures": {name: figure_document(each) for name, each in figures.items()}}
            for item, figures in then
        ]
        print_json({"at": moment, "records_since": since, "items": documents, "notes": notes(since, then)}, options)
        return
    if options.csv:
        rows = [row for item, figures in then for row in figure_rows(item.key, figures, THEN_COLUMNS)]
        print_rows(THEN_COLUMNS, rows, options)
        for each in notes(since, then):
            note(each)
        return
    print_screen(figures_then_screen(moment, then, notes(since, then), view_of(options)), view_of(options))


def figures_then_screen(
    moment: str, then: Sequence[tuple[Item, Mapping[str, FigureThen]]], said: Iterable[str], view: View
) -> RenderableType:
    """What each item was at a moment, and how far that is known."""
    columns = [name for name in THEN_COLUMNS if name not in ItemKey._fields]
    at = time_text(moment, view.zone)
    screens = [
        rows_screen(columns, figure_rows(item.key, figures, columns), view, f"Item {item.key}, at {at}")
        for item, figures in then
    ]
    return Group(*screens, *said)


def figure_document(figure: FigureThen) -> dict[str, object]:
    """A figure as programs are told of it."""
    first, last = figure.first, figure.last
    return {
        "value": figure.value,
        "found_by": first.change_id if first else None,
        "found_at": first.settled_at if first else None,
        "last_by": last.change_id if last else None,
        "last_at": last.settled_at if last else None,
        "last_after": last.after if last else None,
        "changed_by_others": figure.changed_by_others,
    }


def figure_rows(key: ItemKey, figures: Mapping[str, FigureThen], columns: Sequence[str]) -> Iterator[list[object]]:
    for name, figure in figures.items():
        told = {"figure": name, **key._asdict(), **figure_document(figure)}
        yield [told.get(column) for column in columns]


def notes(since: str, then: Iterable[tuple[Item, Mapping[str, FigureThen]]]) -> list[str]:
    """How far it is known what an item was."""
    gone = [str(item.key) for item, _figures in then if item.attributes is None]
    found = (
        "found_by is the first change that was settled after that time: it found this value. Without one, the value is "
        "that of now. last_by is the last one that was settled until then."
    )
    others = (
        "Updates of other writers (checkouts, stock.py load) are not in the records, nor when an item was made. Where "
        "last_after differs from the value, others changed it in between, before that time or after it."
    )
    kept = f"Records are kept for ChangeRetentionDays after a change was settled: all are there since {since}."
    return [found, others, kept, *(f"Item {key} is gone: what no change has found is not known." for key in gone)]


def add_history(line: CommandLine) -> None:
    verb = line.add_verb(
        "history",
        history,
        "list what was settled of an item, the newest first, or say what it was at a time",
        f"A screen has the newest {ROWS_SHOWN}, --csv and --json have all of them. A window is there twice: when it "
        "opened, and when it ended.",
        has_rows=True,
    )
    verb.add_argument("sku", type=filled, metavar="SKU")
    verb.add_argument("location_id", nargs="?", type=filled, metavar="LOCATION", help="without it: at every location")
    add_limit(verb, "newest").add_argument(
        "--at",
        metavar="TIME",
        help="say what on hand, price, reorder point and safety stock were then, as far as the records know",
    )
