"""How receipts, files that are held and dead letters look: pure functions of documents and of the view."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType

from cli.errors import PROBLEMS_SHOWN
from cli.output import View, figures_screen, rows_screen, statuses_text

Document = Mapping[str, Any]

RESULTS: Final = ("added", "known", "held", "refused", "not_written")
FILE_COLUMNS: Final = ("key", "status", "put_at", "taken_at", "rows", *RESULTS, "problem_count", "version")
HELD_COLUMNS: Final = ("key", "status", "taken_at", "rows", "held", "version", "newer_version")
LETTER_COLUMNS: Final = ("message_id", "about", "sent_at", "receives", "sender")

_PLACES: Final = ("line", "column", "index", "field")
"""Where a problem is: in a file, or among the changes of a message."""
PROBLEM_COLUMNS: Final = (*_PLACES, "value", "code", "message")
CHANGE_COLUMNS: Final = ("change_id", "result", "status", "sku", "location_id")


def receipt_screen(receipt: Document, view: View, bucket: str) -> RenderableType:
    """All that a receipt says, with the first problems; ``bucket`` is where the rest of it is."""
    title = f"Message {receipt['message_id']}" if "message_id" in receipt else f"File {receipt['key']}"
    parts: list[RenderableType] = [figures_screen(_figures(receipt, bucket), view, title)]
    parts += _of_preview(receipt.get("preview") or {}, view)
    if changes := receipt.get("changes"):
        parts.append(_rows(CHANGE_COLUMNS, changes, view, "Changes"))
    if problems := receipt.get("problems"):
        parts.append(_rows(PROBLEM_COLUMNS, problems[:PROBLEMS_SHOWN], view, "Problems"))
        if (more := receipt["problem_count"] - PROBLEMS_SHOWN) > 0:
            parts.append(f"... and {more:,} more")
    return Group(*parts)


def _figures(receipt: Document, bucket: str) -> Iterator[tuple[str, object]]:
    yield "status", receipt["status"]
    yield "version", receipt.get("version")
    yield "put at", receipt.get("put_at")
    yield "taken at", receipt.get("taken_at")
    yield "rows", receipt.get("rows")
    for name in RESULTS:
        yield name.replace("_", " "), receipt.get(name) or None
    yield "known already", statuses_text(receipt.get("known_by_status") or {}) or None
    for text in receipt.get("notes", ()):
        yield "note", text
    for name in ("problems", "rejects"):
        if key := receipt.get(f"{name}_key"):
            yield f"all {name}", f"s3://{bucket}/{key}"


def _of_preview(preview: Document, view: View) -> Iterator[RenderableType]:
    """What a held file would do: figures first, then each list."""
    lists: dict[str, Sequence[Document]] = {}
    figures: list[tuple[str, object]] = []
    for name, value in _flat(preview):
        if isinstance(value, list):
            lists[name] = value
        else:
            figures.append((name, value))
    if figures:
        yield figures_screen(figures, view, "What it would do")
    for name, rows in lists.items():
        if rows:
            yield _rows(tuple(rows[0]), rows, view, name.capitalize())


def _flat(document: Document, before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        # A code stays as it is: it is looked up.
        told = before + (name if name.isupper() else name.replace("_", " "))
        if isinstance(value, Mapping):
            yield from _flat(value, f"{told}: ")
        elif value or value == 0:
            yield told, value


def _rows(columns: Sequence[str], documents: Sequence[Document], view: View, title: str) -> RenderableType:
    return rows_screen(columns, [[each.get(name) for name in columns] for each in documents], view, title)


def letter_screen(letter: Document, view: View) -> RenderableType:
    """A dead letter, and what it says."""
    figures = [(name.replace("_", " "), letter.get(name)) for name in (*LETTER_COLUMNS[1:], "first_received_at")]
    attributes = ((f"attribute {name}", value) for name, value in letter["attributes"].items())
    return figures_screen([*figures, *attributes, ("body", letter["body"])], view, f"Message {letter['message_id']}")
