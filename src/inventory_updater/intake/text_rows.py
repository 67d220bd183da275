"""Rows as text, whichever door they came through: cells become values, and all that is wrong with one row is told."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from inventory_updater.intake.cells import first_invisible, read_comma_number, read_moment, read_number
from inventory_updater.intake.refusals import Refusal
from inventory_updater.stock.change_records import WINDOW_KINDS
from inventory_updater.stock.changes import KINDS, MAXIMUM_ID_BYTES, Change, ChangeKind
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.numbers import ZERO

REQUIRED_CHANGE_COLUMNS: Final = ("change_id", "sku", "location_id", "kind", "value", "effective_at")
CHANGE_COLUMNS: Final = (*REQUIRED_CHANGE_COLUMNS, "until", "expected", "not_after", "reason", "reference")
STOCK_COLUMNS: Final = (
    *("sku", "location_id", "on_hand", "reserved", "safety_stock", "reorder_point", "unit_price"),
    *("currency", "description"),
)
DERIVED_COLUMNS: Final = ("available", "stock_status", "stock_value")
"""What an export has beside the columns of a stock file: it follows from them, and is not read."""

MAXIMUM_REMARK_BYTES: Final = 128
MAXIMUM_DESCRIPTION_CHARACTERS: Final = 2_000
LONGEST_TEXT_SHOWN: Final = 40
MADE_IDS: Final = " (--ids-from or --number-rows make ids for rows without one)"
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CURRENCY: Final = re.compile(r"[A-Z]{3}")

ADJUSTMENT: Final = ChangeKind.ADJUSTMENT.value
COUNT: Final = ChangeKind.COUNT.value


@dataclass(frozen=True, slots=True)
class Reading:
    """How cells are to be understood that do not say it by themselves.

    Attributes:
        decimal_comma: numbers have a decimal comma.
        zone: of times that have none.
        ids_from: the columns whose cells an id follows from, where it is left out.
        number_rows: what the ids begin with that follow from the file's content and the line, where they are left out.
        replaces: a stock file is for items that are there, and may leave out what is on hand.
    """

    decimal_comma: bool = False
    zone: ZoneInfo | None = None
    ids_from: tuple[str, ...] = ()
    number_rows: str | None = None
    replaces: bool = False

    @property
    def makes_ids(self) -> bool:
        return bool(self.ids_from) or self.number_rows is not None


AS_IT_STANDS: Final = Reading()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        line: the line (from 1) on which its row starts; None where it is the whole file.
        column: None where it is the whole row.
        code: what is wrong, for programs.
        message: what is wrong and what would be right, for people; it does not repeat where.
        value: the cell, cut short where it is long.
    """

    line: int | None
    column: str | None
    code: str
    message: str
    value: str | None = None

    def __str__(self) -> str:
        line = [] if self.line is None else [f"line {self.line}"]
        column = [] if self.column is None else [f"column {self.column}"]
        return ": ".join(filter(None, (", ".join(line + column), self.message)))


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change to schedule, the item it is for, and the line of the file (from 1) on which its row starts."""

    line: int
    key: ItemKey
    change: Change


@dataclass(frozen=True, slots=True)
class StockRow:
    """What a file says of one item, and the line (from 1) on which its row starts; None is what it does not say."""

    line: int
    key: ItemKey
    on_hand: Decimal | None
    reserved: Decimal | None = None
    safety_stock: Decimal | None = None
    reorder_point: Decimal | None = None
    unit_price: Decimal | None = None
    currency: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class CountRow:
    """What was counted of one item, and the line (from 1) on which its row starts; None is what was not counted."""

    line: int
    key: ItemKey
    counted: Decimal | None


def shown(text: str) -> str:
    """Return the text in quotation marks, unprintable characters escaped, cut short where it is long."""
    return repr(text) if len(text) <= LONGEST_TEXT_SHOWN else repr(text[:LONGEST_TEXT_SHOWN]) + "..."


def cut_short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT_SHOWN else text[:LONGEST_TEXT_SHOWN] + "..."


@dataclass(slots=True)
class TextRow:
    """One row as text: it turns its cells into values and collects what is wrong with them.

    Where a cell cannot be turned into a value, a value of the same type stands in for it: empty text or zero.
    """

    id_hint: ClassVar[str] = MADE_IDS
    """What else could be done where there is no id."""

    line: int
    cells: dict[str, str]
    columns: list[str]
    came: Sequence[str]
    """The cells as they came, with the spaces around them, in the order of the columns."""
    reading: Reading
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, column: str, code: str, message: str) -> None:
        cell = self.cells[column]
        # Whatever else is said of a cell, what nobody sees in it explains it.
        if code not in _ABOUT_WHOLE_CELLS and (invisible := first_invisible(cell)):
            code, message = "INVISIBLE_CHARACTER", f"{shown(cell)} holds {invisible}, which nobody sees; delete it"
        self.problems.append(Problem(self.line, column, code if cell else "EMPTY", message, cut_short(cell)))

    def told(self) -> Iterable[Problem]:
        """What is to be said of its problems."""
        return self.problems

    def as_it_came(self, column: str) -> str:
        try:
            return self.came[self.columns.index(column)]
        except (ValueError, IndexError):  # there is no such column, or the row ends before it
            return ""

    def key(self) -> ItemKey:
        return ItemKey(self.identifier("sku"), self.identifier("location_id"))

    def identifier(self, column: str) -> str:
        if not self.cells[column]:
            wanted = f"is empty; it wants 1 to {MAXIMUM_ID_BYTES} bytes of text"
            self.refuse(column, "EMPTY", wanted + (self.id_hint if column == "change_id" else ""))
        return self.text(column, MAXIMUM_ID_BYTES) or ""

    def text(self, column: str, maximum_bytes: int, *, line_breaks: bool = False) -> str | None:
        text = self.cells[column]
        # Most cells are like this, and nothing can be wrong with them.
        if text.isascii() and text.isprintable() and len(text) <= maximum_bytes:
            return text or None
        if (size := len(text.encode())) > maximum_bytes:
            self.refuse(column, "TOO_LONG", f"{shown(text)} is {size} bytes long; at most {maximum_bytes} are allowed")
            return None
        # What is printable has no control character, and most cells are.
        if not text.isprintable() and CONTROL_CHARACTER.search(re.sub("[\r\n]", "", text) if line_breaks else text):
            self.refuse(
                column, "CONTROL_CHARACTER", f"{shown(text)} holds a control character; it wants text without any"
            )
            return None
        if not text.isascii() and (invisible := first_invisible(text, prose=line_breaks)):
            message = f"{shown(text)} holds {invisible}, which nobody sees; delete it"
            self.refuse(column, "INVISIBLE_CHARACTER", message)
            return None
        return text or None

    def kind(self, column: str) -> str:
        text = self.cells[column]
        if text in KINDS or (text := text.casefold()) in KINDS:
            return text
        kinds = ", ".join(KINDS)
        message = f"{self.found(column)} is not a kind of change; it wants one of {kinds}{nearest(text, KINDS)}"
        self.refuse(column, "UNKNOWN_KIND", message)
        return ""

    def number(self, column: str) -> Decimal:
        try:
            return (read_comma_number if self.reading.decimal_comma else read_number)(self.cells[column])
        except ValueError as error:
            self.refuse(column, "NOT_A_NUMBER", f"{self.found(column)} {error}")
            return ZERO

    def number_or_none(self, column: str) -> Decimal | None:
        return self.number(column) if self.cells[column] else None

    def figure(self, column: str) -> Decimal | None:
        number = self.number_or_none(column)
        if number is not None and number < 0:
            self.refuse_negative(column, "it")
        return number

    def refuse_negative(self, column: str, what: str) -> None:
        self.refuse(column, "NEGATIVE_VALUE", f"{self.found(column)} is negative; {what} wants 0 or more")

    def time(self, column: str) -> str:
        try:
            return read_moment(self.cells[column], self.reading.zone)
        except ValueError as error:
            self.refuse(column, "NO_TIME", f"{self.found(column)} {error}")
            return ""

    def time_or_none(self, column: str) -> str | None:
        return self.time(column) if self.cells[column] else None

    def currency(self, column: str) -> str | None:
        text = self.cells[column]
        if text and not CURRENCY.fullmatch(text):
            self.refuse(
                column,
                "NO_CURRENCY",
                f"{shown(text)} is not a currency; it wants three capital letters, such as EUR",
            )
        return text or None

    def found(self, column: str) -> str:
        return shown(self.cells[column]) if self.cells[column] else "an empty cell"


_ABOUT_WHOLE_CELLS: Final = frozenset({"DUPLICATE_ID", "DUPLICATE_ITEM", "LOOKS_LIKE_ANOTHER", "INVISIBLE_CHARACTER"})


def nearest(name: str, names: Iterable[str]) -> str:
    """` (did you mean NAME?)`, where one of the names is near."""
    near = get_close_matches(name, list(names), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def change_row(row: TextRow, id_of: Callable[[TextRow], str] | None = None) -> ChangeRow:
    if id_of is not None and not row.cells["change_id"]:
        row.cells["change_id"] = id_of(row)
    change_id, key = row.identifier("change_id"), row.key()
    change = Change(
        change_id=change_id,
        kind=row.kind("kind"),
        value=row.number("value"),
        effective_at=row.time("effective_at"),
        until=row.time_or_none("until"),
        expected=row.number_or_none("expected"),
        not_after=row.time_or_none("not_after"),
        reason=row.text("reason", MAXIMUM_REMARK_BYTES, line_breaks=True),
        reference=row.text("reference", MAXIMUM_REMARK_BYTES),
    )
    _check_together(row, change)
    return ChangeRow(row.line, key, change)


def _check_together(row: TextRow, change: Change) -> None:
    """Refuse what only cells together show; what stands in for an unreadable cell is not refused again."""
    kind = change.kind
    if change.value < 0 and kind not in ("", ADJUSTMENT):
        row.refuse_negative("value", f"a {kind}")
    if change.until is not None and kind not in ("", *WINDOW_KINDS):
        row.refuse("until", "NO_WINDOW", f"a change of kind {kind} has no end; only {', '.join(WINDOW_KINDS)} have")
    elif change.until and change.until <= change.effective_at:
        row.refuse("until", "EMPTY_WINDOW", f"{row.found('until')} is not later than effective_at; a window ends later")
    if change.expected is not None and kind == ADJUSTMENT:
        row.refuse("expected", "NO_EXPECTED", "an adjustment expects nothing; leave it empty, or use a count")
    # A system may show less than nothing on hand, but no negative price.
    elif change.expected is not None and change.expected < 0 and kind not in ("", COUNT):
        row.refuse_negative("expected", f"a {kind}")
    if change.not_after and change.not_after < change.effective_at:
        row.refuse(
            "not_after", "EXPIRED", f"{row.found('not_after')} is before effective_at; it would never be applied"
        )


def stock_row(row: TextRow) -> StockRow:
    return StockRow(
        line=row.line,
        key=row.key(),
        on_hand=row.number_or_none("on_hand") if row.reading.replaces else row.number("on_hand"),
        reserved=row.figure("reserved"),
        safety_stock=row.figure("safety_stock"),
        reorder_point=row.figure("reorder_point"),
        unit_price=row.figure("unit_price"),
        currency=row.currency("currency"),
        description=_description(row),
    )


def _description(row: TextRow) -> str | None:
    text = row.cells["description"]
    if len(text) > MAXIMUM_DESCRIPTION_CHARACTERS:
        most = f"at most {MAXIMUM_DESCRIPTION_CHARACTERS:,} are allowed"
        row.refuse("description", "TOO_LONG", f"{shown(text)} is {len(text):,} characters long; {most}")
        return None
    return row.text("description", 4 * MAXIMUM_DESCRIPTION_CHARACTERS, line_breaks=True)


_COLUMN_OF: Final[Mapping[str, str]] = {
    "UNKNOWN_ITEM": "sku",
    "ITEM_EXISTS": "sku",
    "CHANGE_ID_TAKEN": "change_id",
    "TWICE": "change_id",
    "TOO_OLD": "effective_at",
}
"""Which cell is to be corrected; what is not here is about the row as a whole."""


def problem_of(refusal: Refusal) -> Problem:
    """A refusal of a row that was read, with the place that it has there."""
    row = refusal.row
    assert isinstance(row, ChangeRow | StockRow)
    column = refusal.column or _COLUMN_OF.get(refusal.code)
    cells = {**row.key._asdict(), **(asdict(row.change) if isinstance(row, ChangeRow) else {})}
    value = str(cells[column]) if column in cells else None
    return Problem(row.line, column, refusal.code, refusal.message, value)
