"""Files as people send them: read exactly, or refused with line, column and what would be right."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake.csv_format import (
    CHANGE_COLUMNS,
    MAXIMUM_LINE_BYTES,
    STOCK_COLUMNS,
    ChangeRow,
    CsvError,
    StockRow,
    read_change_file,
    read_stock_file,
    write_levels,
)
from inventory_updater.stock.changes import KINDS, Change
from inventory_updater.stock.items import ItemKey, StockItem
from inventory_updater.stock.numbers import plain

Row = Mapping[str, object]

CHANGE_HEADER = ",".join(CHANGE_COLUMNS)
STOCK_HEADER = ",".join(STOCK_COLUMNS)
GOOD_CHANGE = "c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,sale,order 7"
CHANGE: Row = next(csv.DictReader([CHANGE_HEADER, GOOD_CHANGE]))
STOCK: Row = next(csv.DictReader([STOCK_HEADER, 'MUG,LEEDS,40,2,5,10,3.50,GBP,"Mug, blue"']))


def csv_text(columns: Iterable[str], rows: Iterable[Row], line_end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def changes(path: Path, *rows: Row) -> list[ChangeRow]:
    return read_change_file(written(path, csv_text(CHANGE_COLUMNS, rows)))


def stock(path: Path, *rows: Row) -> list[StockRow]:
    return read_stock_file(written(path, csv_text(STOCK_COLUMNS, rows)))


def message_of(read: Callable[..., object], path: Path, *rows: Row) -> str:
    """The message about a file, without its folder and name in front; empty where the file is read."""
    try:
        read(path, *rows)
    except CsvError as error:
        return str(error).removeprefix(f"{path.parent}{os.sep}{path.name}: ")
    return ""


def said_of_cells(path: Path, cells: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What is said of a good row of either file in which one cell is another: (column, text) -> message."""

    def said(column: str, text: str) -> str:
        read, row = (changes, CHANGE) if column in CHANGE else (stock, STOCK)
        return message_of(read, path, {**row, column: text}).removeprefix(f"line 2, column {column}: ")

    return {(column, text): said(column, text) for column, text in cells}


# What is read


def test_a_change_file_gives_its_changes(path: Path) -> None:
    change = Change("c1", "adjustment", Decimal(-12), "2026-01-05T12:00:00.000000Z", "sale", "order 7")
    assert changes(path, CHANGE) == [ChangeRow(2, ItemKey("MUG", "LEEDS"), change)]


def test_a_stock_file_gives_its_items(path: Path) -> None:
    figures = Decimal(40), Decimal(2), Decimal(5), Decimal(10), Decimal("3.50")
    assert stock(path, STOCK) == [StockRow(2, ItemKey("MUG", "LEEDS"), *figures, "GBP", "Mug, blue")]


def test_empty_cells_are_zero_for_quantities_and_absent_for_the_rest(path: Path) -> None:
    assert read_stock_file(written(path, f"{STOCK_HEADER}\nMUG,LEEDS,-3.5,,,,,,\n")) == [
        StockRow(2, ItemKey("MUG", "LEEDS"), Decimal("-3.5"), Decimal(0), Decimal(0), Decimal(0), None, None, None)
    ]
    (row,) = changes(path, {**CHANGE, "reason": "", "reference": ""})
    assert (row.change.reason, row.change.reference) == (None, None)


def test_every_kind_is_read(path: Path) -> None:
    rows = changes(path, *({**CHANGE, "change_id": kind, "kind": kind, "value": "0"} for kind in KINDS))
    assert [row.change.kind for row in rows] == list(KINDS)


def test_a_time_with_an_offset_becomes_utc(path: Path) -> None:
    (row,) = changes(path, {**CHANGE, "effective_at": "2026-01-05T00:30:00.25+01:00"})
    assert row.change.effective_at == "2026-01-04T23:30:00.250000Z"


def test_a_file_of_only_a_header_holds_nothing(path: Path) -> None:
    for end in ("", "\n", "\r\n", "\n\n\r\n\n"):
        assert read_change_file(written(path, CHANGE_HEADER + end)) == []
        assert read_stock_file(written(path, STOCK_HEADER + end)) == []


def test_text_is_taken_as_it_is_formulas_too_up_to_the_longest_that_is_allowed(path: Path) -> None:
    (row,) = changes(
        path, {**CHANGE, "change_id": "é" * 32, "sku": "=1+1", "reason": "r" * 128, "reference": "@SUM(A1)"}
    )

    assert (row.key.sku, row.change.reference) == ("=1+1", "@SUM(A1)")
    assert (row.change.change_id, row.change.reason) == ("é" * 32, "r" * 128)


def test_a_row_is_where_it_starts_also_after_a_line_break_in_a_cell(path: Path) -> None:
    broken = {"A": "two\nlines", "B": "and\r\n\r\nmore"}
    rows = [{**STOCK, "sku": sku, "description": text} for sku, text in broken.items()]

    read = stock(path, *rows, {**STOCK, "sku": "C"})

    assert [(row.line, row.key.sku) for row in read] == [(2, "A"), (4, "B"), (7, "C")]
    assert read[0].description == "two\nlines"
    assert message_of(stock, path, *rows, {**STOCK, "on_hand": "many"}).startswith("line 7, column on_hand: ")


# Cells that are refused

IDS = ("change_id", "sku", "location_id")
REMARKS = ("reason", "reference")
FIGURES = ("reserved", "safety_stock", "reorder_point", "unit_price")
NO_NUMBER = "is not a number in plain notation; it wants a number such as -12 or 3.50"


def test_a_text_that_is_empty_too_long_or_holds_control_characters_is_refused(path: Path) -> None:
    refused: dict[tuple[str, str], str] = {}
    for column in IDS:
        refused[column, ""] = "is empty; it wants 1 to 64 bytes of text"
        refused[column, "x" * 65] = f"'{'x' * 40}'... is 65 bytes long; at most 64 are allowed"
        refused[column, "é" * 33] = f"'{'é' * 33}' is 66 bytes long; at most 64 are allowed"
        refused[column, "😀" * 17] = f"'{'😀' * 17}' is 68 bytes long; at most 64 are allowed"
    for column in REMARKS:
        refused[column, "r" * 129] = f"'{'r' * 40}'... is 129 bytes long; at most 128 are allowed"
    refused["description", "d" * 257] = f"'{'d' * 40}'... is 257 bytes long; at most 256 are allowed"
    for column in (*IDS, *REMARKS):
        for text in ("a\tb", "a\nb", "a\x1bb", "a\x7fb", "a\x85b"):
            refused[column, text] = f"{text!r} holds a control character; it wants text without any"
    refused["description", "a\x1b[2J"] = "'a\\x1b[2J' holds a control character; it wants text without any"

    assert said_of_cells(path, refused) == refused


def test_what_is_not_a_number_is_refused(path: Path) -> None:
    texts = ("ten", "1e3", "1,5", " 1", "NaN", "-Infinity", "\uff11", "=1+1")
    refused = {("value", text): f"{text!r} {NO_NUMBER}" for text in texts}
    refused |= {(column, "many"): f"'many' {NO_NUMBER}" for column in ("on_hand", *FIGURES)}
    refused |= {(column, ""): f"an empty cell {NO_NUMBER}" for column in ("value", "on_hand")}
    refused["value", "1" * 39] = (
        f"'{'1' * 39}' needs more than 38 digits, or is too large or too small for DynamoDB; "
        "it wants a number such as -12 or 3.50"
    )

    assert said_of_cells(path, refused) == refused


def test_a_negative_figure_or_setting_is_refused(path: Path) -> None:
    refused = {(column, "-0.01"): "'-0.01' is negative; it wants 0 or more" for column in FIGURES}

    assert said_of_cells(path, refused) == refused
    for kind in ("count", "price", "reorder_point", "safety_stock"):
        said = message_of(changes, path, {**CHANGE, "kind": kind, "value": "-1"})
        assert said == f"line 2, column value: '-1' is negative; a {kind} wants 0 or more"


def test_an_unknown_kind_time_or_currency_is_refused(path: Path) -> None:
    no_kind = "is not a kind of change; it wants one of adjustment, count, price, reorder_point, safety_stock"
    no_time = "is not a time like 2026-01-31T08:00:00Z"
    no_zone = "has no time zone: add Z or an offset like +01:00"
    no_currency = "is not a currency; it wants three capital letters, such as EUR"
    no_day = "is not a time that exists (day is out of range for month)"
    refused = {
        **{("kind", text): f"{text!r} {no_kind}" for text in ("sale", "COUNT")},
        **{("currency", text): f"{text!r} {no_currency}" for text in ("gbp", "GBPX", "G1P", "£")},
        ("kind", ""): f"an empty cell {no_kind}",
        ("effective_at", ""): f"an empty cell {no_time}",
        ("effective_at", "tomorrow"): f"'tomorrow' {no_time}",
        ("effective_at", "2026-01-05"): f"'2026-01-05' {no_time}",
        ("effective_at", "2026-01-05T12:00:00.1234567Z"): f"'2026-01-05T12:00:00.1234567Z' {no_time}",
        ("effective_at", "2026-01-05T12:00:00"): f"'2026-01-05T12:00:00' {no_zone}",
        ("effective_at", "2026-02-30T12:00:00Z"): f"'2026-02-30T12:00:00Z' {no_day}",
    }

    assert said_of_cells(path, refused) == refused


def test_what_stands_twice_is_refused_naming_both_lines(path: Path) -> None:
    twice = [CHANGE, {**CHANGE, "change_id": "c2"}, {**CHANGE, "sku": "BOWL"}]
    items = [STOCK, {**STOCK, "location_id": "YORK"}, {**STOCK, "on_hand": "1"}]

    assert [message_of(changes, path, *twice), message_of(stock, path, *items)] == [
        "line 4, column change_id: duplicate change id 'c1' (first used on line 2)",
        "line 4, column sku: duplicate item 'MUG' at location 'LEEDS' (first used on line 2)",
    ]


# Files that are refused

WANTED_OF_CHANGES = "a change file has the columns change_id,sku,location_id,kind,value,effective_at,reason,reference"
WANTED_OF_STOCK = (
    "a stock file has the columns "
    "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description"
)
NO_CSV = "cannot be read as CSV"


def test_a_change_file_of_another_form_is_refused(path: Path) -> None:
    refused = {
        CHANGE_HEADER.replace("value", "quantity"): f"line 1: the column 'quantity' is unknown; {WANTED_OF_CHANGES}",
        f"{CHANGE_HEADER},sku\n": "line 1, column sku: is in the header twice",
        "c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,,\n": (
            "line 1: is no header, 'c1,MUG,LEEDS,adjustment,-12,2026-01-05T1'... names none of the columns; "
            f"{WANTED_OF_CHANGES}"
        ),
        f"{CHANGE_HEADER}\nc1\n": "line 2: has 1 cell; the header has 8 columns",
        f"{CHANGE_HEADER}\n{GOOD_CHANGE},\n": "line 2: has 9 cells; the header has 8 columns",
        f"{CHANGE_HEADER}\n\n\n{GOOD_CHANGE}\n": "line 2: is blank; blank lines may only stand at the end",
        f'{CHANGE_HEADER}\nc1,"MUG,LEEDS\nc2,BOWL,LEEDS\n': f"line 2: {NO_CSV}: unexpected end of data",
        f'{CHANGE_HEADER}\nc1,"MUG' + "\nc2,BOWL" * 20_000: f"line 2: {NO_CSV}: field larger than field limit (131072)",
        f'{CHANGE_HEADER}\nc1,"12" ruler",LEEDS\n': f"line 2: {NO_CSV}: ',' expected after '\"'",
        f'{CHANGE_HEADER}\nc1,12" ruler,LEEDS,count,1,2026-01-05T12:00:00Z,,\n': (
            'line 2: has a quotation mark in a cell that is not quoted; write "..." around the cell and double the mark'
        ),
        csv_text(CHANGE_COLUMNS, [CHANGE], "\r"): (
            f"line 1: {NO_CSV}: new-line character seen in unquoted field - "
            "do you need to open the file in universal-newline mode?"
        ),
        f"{CHANGE_HEADER}\nc1,M\0G,,,,,,\n": "line 2: has a NUL byte; is this a CSV file in UTF-8?",
        "x" * (MAXIMUM_LINE_BYTES + 1): f"line 1: is longer than {MAXIMUM_LINE_BYTES} bytes; is this a CSV file?",
    }

    assert {text: message_of(read_change_file, written(path, text)) for text in refused} == refused


def test_a_stock_file_of_another_form_is_refused(path: Path) -> None:
    nothing = f"is empty; a stock file starts with the header {STOCK_HEADER}"
    refused = {
        **dict.fromkeys((b"", b"\xef\xbb\xbf", b"\n\n"), nothing),
        b"sku,location_id,on_hand,safety_stock,reorder_point,unit_price,description\n": (
            f"line 1: the header lacks reserved, currency; {WANTED_OF_STOCK}"
        ),
        csv_text(STOCK_COLUMNS, [{**STOCK, "description": "Café"}]).encode("latin-1"): (
            "line 2: is not in UTF-8; save the file in this encoding"
        ),
    }

    assert {text: message_of(read_stock_file, written(path, text)) for text in refused} == refused


def test_what_is_no_file_is_refused(path: Path) -> None:
    assert message_of(read_change_file, path) == "does not exist"
    path.mkdir()
    assert message_of(read_stock_file, path) == "is a directory, not a file"
    below = written(path / "a file", "") / "changes.csv"
    assert message_of(read_change_file, below) == "cannot be read: Not a directory"


# What is written

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16)
NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=3).map(lambda number: number + 0)
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z")
CHANGES = st.builds(Change, TEXT, st.just("adjustment"), NUMBERS, TIMES, st.none() | TEXT, st.none() | TEXT)
CHANGE_ROWS = st.lists(
    st.builds(ChangeRow, st.just(0), st.builds(ItemKey, TEXT, TEXT), CHANGES),
    unique_by=lambda row: row.change.change_id,
    max_size=5,
)


@given(CHANGE_ROWS, st.permutations(CHANGE_COLUMNS), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_changes_come_back_as_they_were_written_whatever_the_columns_order_the_line_ends_and_the_mark(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ChangeRow], columns: list[str], line_end: str, marked: bool
) -> None:
    text = csv_text(columns, [row.key._asdict() | asdict(row.change) for row in rows], line_end)
    path = tmp_path_factory.getbasetemp() / "changes.csv"
    path.write_bytes(text.encode("utf-8-sig" if marked else "utf-8"))

    assert read_change_file(path) == [replace(row, line=line) for line, row in enumerate(rows, 2)]


@given(st.lists(st.tuples(TEXT, TEXT, NUMBERS), unique_by=lambda row: row[:2], max_size=5))
def test_levels_come_back_as_they_were_written(rows: list[tuple[str, str, Decimal]]) -> None:
    file = io.StringIO(newline="")
    count = write_levels(file, (StockItem(ItemKey(sku, location), number) for sku, location, number in rows))
    file.seek(0)
    header, *read = csv.reader(file)
    assert len(rows) == count
    assert header == ["sku", "location_id", "on_hand", "available", "stock_status", "unit_price", "stock_value"]
    assert [[sku, location, plain(number), "", "", "", ""] for sku, location, number in sorted(rows)] == read


def test_levels_are_sorted_as_text_in_plain_notation_with_empty_cells_where_absent() -> None:
    file = io.StringIO(newline="")
    items = [
        StockItem(ItemKey("B", "10"), Decimal("1E+3"), available=Decimal("-0.50"), stock_status="OUT_OF_STOCK"),
        StockItem(ItemKey("a", "1"), Decimal(1)),
        StockItem(ItemKey("B,1", "2"), Decimal("1E-7"), unit_price=Decimal("2.50"), stock_value=Decimal("0.00")),
        StockItem(ItemKey("B", "9"), Decimal(0)),
    ]
    assert write_levels(file, items) == 4
    assert file.getvalue() == (
        "sku,location_id,on_hand,available,stock_status,unit_price,stock_value\n"
        "B,10,1000,-0.50,OUT_OF_STOCK,,\n"
        "B,9,0,,,,\n"
        '"B,1",2,0.0000001,,,2.50,0.00\n'
        "a,1,1,,,,\n"
    )
