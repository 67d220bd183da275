"""How changes look, and what an item knows of them: pure functions of records and of the view."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from rich.console import Group, RenderableType

from cli.output import View, figures_screen, rows_screen
from inventory_updater.intake.text_rows import CHANGE_COLUMNS
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.item_states import Decision, ItemState
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import Name

Document = Mapping[str, object]
"""A change as people and programs are told of it; by the names of its record's attributes."""

CONTENT: Final = (*("kind", "value", "effective_at", "until", "expected", "not_after", "reason", "reference"),)
LIST_COLUMNS: Final = (*("change_id", "status", "sku", "location_id", *CONTENT, "code", "message", "job_id"),)
CSV_COLUMNS: Final = (*CHANGE_COLUMNS, "status", "code", "message", "job_id")
"""Those of a change file first, so that what was rejected can be corrected and sent again."""
LIFE: Final = (
    *("status", "attempt", "sku", "location_id", *CONTENT, "actor", "source", "scheduled_at", "due_at"),
    *("opened_at", "opened_before", "opened_after", "settled_at", "job_id", "cancelled_by", "code", "message"),
    *("before", "after", "dismissed_at", "dismissed_by", "expires_at"),
)
"""What a change's record may say, in the order in which it happens."""

ROWS_OF_AN_ITEM: Final = 20

_ONLY_FOR_THE_TABLE: Final = ("item", "due_shard")


def document_of(name: Name, attributes: Attributes) -> Document:
    """A record as it is told, whoever wrote it: its item by name, every time as a time."""
    key, change_id = name
    told: dict[str, object] = {"change_id": change_id, **key._asdict()}
    told |= {each: value for each, value in attributes.items() if each not in (*told, *_ONLY_FOR_THE_TABLE)}
    if isinstance(attempt := attributes.get("attempt"), Decimal):
        told["attempt"] = int(attempt)
    if isinstance(expires := attributes.get("expires_at"), Decimal):
        with suppress(ValueError, OverflowError):  # another system may have put any number there
            told["expires_at"] = format_time(datetime.fromtimestamp(int(expires), UTC))
    if _status(told).is_final:
        told.pop("due_at", None)  # the index needs it for what was rejected
    return told


def change_screen(document: Document, view: View) -> RenderableType:
    """The whole life of a change."""
    others = sorted(document.keys() - {*LIFE, "change_id"})
    figures = ((name, document.get(name)) for name in (*LIFE, *others))
    return figures_screen(figures, view, f"Change {document['change_id']}")


def item_changes_screen(
    state: ItemState | None, documents: Iterable[Document], view: View, limit: int | None = ROWS_OF_AN_ITEM
) -> RenderableType:
    """What an item has to do with changes, each sort that there is under its own title; at most ``limit`` of each.

    ``state`` is None where the item cannot be read.
    """
    by_start = sorted(documents, key=lambda each: str(each.get("effective_at")))
    newest_first = sorted(by_start, key=lambda each: str(each.get("settled_at")), reverse=True)
    windows, bases, decided = (state.windows, state.bases, state.decided) if state else ({}, {}, {})
    by_id = {each["change_id"]: each for each in by_start}
    open_ones: list[Document] = [
        {"change_id": name, **by_id.get(name, {}), **window.to_map(), "base": bases[window.kind]}
        for name, window in windows.items()
    ]
    sections: Mapping[str, tuple[list[Document], tuple[str, ...]]] = {
        "Open windows, and what the figure is without them": (
            open_ones,
            ("kind", "value", "from", "until", "base", "reason", "reference"),
        ),
        "Decided, and the records do not say so yet": (
            list(_unmarked(decided, by_start)),
            ("outcome", "kind", "value", "settled_at", "before", "after", "code", "message"),
        ),
        "Pending changes": (
            [each for each in by_start if not _status(each).is_final and each["change_id"] not in windows],
            ("status", *CONTENT),
        ),
        "Settled changes, the newest first": (
            [each for each in newest_first if _status(each).is_final and _status(each) is not Status.REJECTED],
            ("status", "kind", "value", "effective_at", "settled_at", "before", "after", "job_id"),
        ),
        "Rejected changes, the newest first": (
            [each for each in newest_first if _status(each) is Status.REJECTED],
            ("kind", "value", "effective_at", "code", "message", "job_id", "dismissed_at"),
        ),
    }
    return Group(
        *(
            _section(title, ("change_id", *columns), each, view, limit)
            for title, (each, columns) in sections.items()
            if each
        )
    )


def _section(
    title: str, columns: Iterable[str], listed: list[Document], view: View, limit: int | None
) -> RenderableType:
    columns = tuple(columns)
    rows = [[each.get(name) for name in columns] for each in listed[:limit]]
    hidden = len(listed) - len(rows)
    more = [f"{hidden:,} more: --all shows them"] if hidden else []
    return Group(rows_screen(columns, rows, view, title), *more)


def _unmarked(decided: Mapping[str, Decision], documents: Iterable[Document]) -> Iterable[Document]:
    """What the item has decided and the records do not say yet."""
    for each in documents:
        record, decision = read_record(each), decided.get(str(each["change_id"]))
        if decision is not None and not record.status.is_final and record.attempt == decision.attempt:
            yield {**each, **decision.to_map()}


def _status(document: Document) -> Status:
    return read_record(document).status
