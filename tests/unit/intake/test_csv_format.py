"""Files as people send them: read exactly, and all that is wrong told with line, column and what would be right."""

import csv
import io
import os
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake.cells import first_invisible, looks_like
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import (
    CLOSED_TOO_EARLY,
    LINES_A_MARK,
    LONE_CARRIAGE_RETURN,
    LONE_QUOTATION_MARK,
    MAXIMUM_LINE_BYTES,
    NEVER_CLOSED,
    PROBLEMS_SHOWN,
    Clash,
    CsvError,
    Note,
    read_count_sheet,
    read_stock_file,
)
from inventory_updater.intake.text_rows import (
    CHANGE_COLUMNS,
    DERIVED_COLUMNS,
    REQUIRED_CHANGE_COLUMNS,
    STOCK_COLUMNS,
    ChangeRow,
    CountRow,
    Problem,
    Reading,
    StockRow,
)
from inventory_updater.stock.change_records import WINDOW_KINDS
from inventory_updater.stock.changes import KINDS, Change
from inventory_updater.stock.items import ItemKey

Row = Mapping[str, object]
T = TypeVar("T")

CHANGE_HEADER = ",".join(CHANGE_COLUMNS)
STOCK_HEADER = ",".join(STOCK_COLUMNS)
GOOD_CHANGE = "c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,,,,sale,order 7"
CHANGE: Row = next(csv.DictReader([CHANGE_HEADER, GOOD_CHANGE]))
PRICE: Row = {**CHANGE, "kind": "price", "value": "2.50"}
COUNT: Row = {**CHANGE, "kind": "count", "value": "40"}
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


def good(path: Path, read: Iterable[T | Problem | Note]) -> list[T]:
    """What is read, where nothing is wrong with it; else as the scripts tell it."""
    rows, problems = [], []
    for row in read:
        if isinstance(row, Problem):
            problems.append(row)
        elif not isinstance(row, Note):
            rows.append(row)
    if problems:
        raise CsvError(path, problems)
    return rows


def changes(path: Path, *rows: Row) -> list[ChangeRow | Clash]:
    return good(path, read_change_file(written(path, csv_text(CHANGE_COLUMNS, rows))))


def stock(path: Path, *rows: Row) -> list[StockRow]:
    return good(path, read_stock_file(written(path, csv_text(STOCK_COLUMNS, rows))))


def one_change(path: Path, row: Row) -> Change:
    (read,) = changes(path, row)
    assert isinstance(read, ChangeRow)
    return read.change


def told(read: Callable[[], object], path: Path) -> list[str]:
    """What is told of a file, problem by problem, without its folder and name in front; nothing where it is read."""
    try:
        read()
    except CsvError as error:
        return [line.removeprefix(f"{path.parent}{os.sep}{path.name}: ") for line in str(error).split("\n")]
    return []


def said_of_cells(path: Path, cells: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What is said of a good row of either file in which one cell is another: (column, text) -> message."""

    def said(column: str, text: str) -> str:
        row = {**(CHANGE if column in CHANGE else STOCK), column: text}
        problems = told(lambda: changes(path, row) if row.keys() == CHANGE.keys() else stock(path, row), path)
        return "; ".join(problem.removeprefix(f"line 2, column {column}: ") for problem in problems)

    return {(column, text): said(column, text) for column, text in cells}


# What is read


def test_only_a_file_that_replaces_may_leave_out_what_is_on_hand(path: Path) -> None:
    prices = "sku,location_id,unit_price\nMUG,LEEDS,4\n"
    empty = "sku,location_id,on_hand,unit_price\nMUG,LEEDS,,4\n"
    for text in (prices, empty):
        (row,) = read_stock_file(written(path, text), Reading(replaces=True))
        assert row == StockRow(2, ItemKey("MUG", "LEEDS"), None, unit_price=Decimal(4))
        assert told(lambda: good(path, read_stock_file(path)), path) != []


def test_a_description_may_have_two_thousand_characters_whatever_they_are(path: Path) -> None:
    (row,) = stock(path, {**STOCK, "description": "😀" * 2_000})
    assert row.description == "😀" * 2_000


def test_a_count_sheet_says_what_was_counted_and_on_hand_is_that_only_without_it(path: Path) -> None:
    mug, cup = ItemKey("MUG", "LEEDS"), ItemKey("CUP", "LEEDS")
    sheets = {
        "sku,location_id,on_hand\nMUG,LEEDS,7\nCUP,LEEDS,": [CountRow(2, mug, Decimal(7)), CountRow(3, cup, None)],
        "counted,on_hand,sku,location_id,available\n3,7,MUG,LEEDS,1\n,7,CUP,LEEDS,1": [
            CountRow(2, mug, Decimal(3)),
            CountRow(3, cup, None),
        ],
    }
    for text, rows in sheets.items():
        assert list(read_count_sheet(written(path, text))) == rows


def test_what_is_wrong_with_a_count_sheet_is_told(path: Path) -> None:
    sheets = {
        "sku,location_id\nMUG,LEEDS": "line 1, column on_hand: the header lacks it; ",
        "counted,location_id\n1,LEEDS": "line 1, column sku: the header lacks it; ",
        "sku,location_id,counted\nMUG,LEEDS,-1": "line 2, column counted: '-1' is negative; it wants 0 or more",
        "sku,location_id,counted\nMUG,LEEDS,1\nMUG,LEEDS,1": "line 3, column sku: duplicate item 'MUG' at location ",
    }
    said = {text: told(lambda: good(path, read_count_sheet(written(path, text))), path)[0] for text in sheets}  # noqa: B023
    assert {text: line.startswith(sheets[text]) for text, line in said.items()} == dict.fromkeys(sheets, True), said


def test_a_change_file_gives_its_changes(path: Path) -> None:
    noon = "2026-01-05T12:00:00.000000Z"
    change = Change("c1", "adjustment", Decimal(-12), noon, reason="sale", reference="order 7")
    sale = {
        **PRICE,
        "change_id": "c2",
        "until": "2026-01-06T00:00:00+01:00",
        "expected": "3.50",
        "not_after": "2026-01-05T12:00:00Z",
    }
    window = Change(
        *("c2", "price", Decimal("2.50"), noon),
        until="2026-01-05T23:00:00.000000Z",
        expected=Decimal("3.50"),
        not_after=noon,
        reason="sale",
        reference="order 7",
    )
    mug = ItemKey("MUG", "LEEDS")
    assert changes(path, CHANGE, sale) == [ChangeRow(2, mug, change), ChangeRow(3, mug, window)]


def test_a_stock_file_gives_its_items(path: Path) -> None:
    figures = Decimal(40), Decimal(2), Decimal(5), Decimal(10), Decimal("3.50")
    assert stock(path, STOCK) == [StockRow(2, ItemKey("MUG", "LEEDS"), *figures, "GBP", "Mug, blue")]


def test_empty_cells_and_columns_that_are_not_there_say_nothing(path: Path) -> None:
    bare = StockRow(2, ItemKey("MUG", "LEEDS"), Decimal("-3.5"))
    change = Change("c1", "count", Decimal(3), "2026-01-05T12:00:00.000000Z")
    cells = "c1,MUG,LEEDS,count,3,2026-01-05T12:00:00Z"
    bare_changes = ",".join(REQUIRED_CHANGE_COLUMNS)
    for text in (f"{STOCK_HEADER}\nMUG,LEEDS,-3.5,,,,,,", "sku,location_id,on_hand,stock_value\nMUG,LEEDS,-3.5,junk"):
        assert list(read_stock_file(written(path, text))) == [bare]
    for text in (f"{bare_changes}\n{cells}", f"{CHANGE_HEADER}\n{cells},,,,,"):
        assert list(read_change_file(written(path, text))) == [ChangeRow(2, bare.key, change)]


def test_every_kind_is_read(path: Path) -> None:
    read = [one_change(path, {**CHANGE, "kind": kind, "value": "0"}).kind for kind in KINDS]
    assert read == list(KINDS)


def test_a_time_with_an_offset_becomes_utc(path: Path) -> None:
    change = one_change(path, {**CHANGE, "effective_at": "2026-01-05T00:30:00.25+01:00"})
    assert change.effective_at == "2026-01-04T23:30:00.250000Z"


def test_a_file_of_only_a_header_holds_nothing(path: Path) -> None:
    for end in ("", "\n", "\r\n", "\n\n\r\n\n"):
        assert not list(read_change_file(written(path, CHANGE_HEADER + end)))
        assert not list(read_stock_file(written(path, STOCK_HEADER + end)))


def test_text_is_taken_as_it_is_formulas_too_up_to_the_longest_that_is_allowed(path: Path) -> None:
    (row,) = changes(
        path, {**CHANGE, "change_id": "é" * 32, "sku": "=1+1", "reason": "r" * 128, "reference": "@SUM(A1)"}
    )
    assert isinstance(row, ChangeRow)

    assert (row.key.sku, row.change.reference) == ("=1+1", "@SUM(A1)")
    assert (row.change.change_id, row.change.reason) == ("é" * 32, "r" * 128)


def test_a_row_is_where_it_starts_also_after_a_line_break_in_a_cell(path: Path) -> None:
    broken = {"A": "two\nlines", "B": "and\r\n\r\nmore"}
    rows = [{**STOCK, "sku": sku, "description": text} for sku, text in broken.items()]

    read = stock(path, *rows, {**STOCK, "sku": "C"})

    assert [(row.line, row.key.sku) for row in read] == [(2, "A"), (4, "B"), (7, "C")]
    assert read[0].description == "two\nlines"
    (problem,) = told(lambda: stock(path, *rows, {**STOCK, "on_hand": "many"}), path)
    assert problem.startswith("line 7, column on_hand: ")


def test_every_problem_of_every_row_is_told_and_the_good_rows_between_are_read(path: Path) -> None:
    bad = {**CHANGE, "sku": "", "kind": "sale", "value": "ten", "effective_at": "tomorrow", "reason": "r" * 129}
    text = csv_text(CHANGE_COLUMNS, [CHANGE, bad]) + "c2\n\n" + f'{GOOD_CHANGE.replace("c1", "c3")}\nc4,1" nail\n'

    read = list(read_change_file(written(path, text + GOOD_CHANGE)))

    problems = [(row.line, row.column, row.code, row.value) for row in read if isinstance(row, Problem)]
    assert problems == [
        (3, "sku", "EMPTY", ""),
        (3, "kind", "UNKNOWN_KIND", "sale"),
        (3, "value", "NOT_A_NUMBER", "ten"),
        (3, "effective_at", "NO_TIME", "tomorrow"),
        (3, "reason", "TOO_LONG", "r" * 40 + "..."),
        *((4, column, "EMPTY", "") for column in ("sku", "location_id", "kind", "value", "effective_at")),
        (7, None, "NOT_QUOTED", None),
        (8, "change_id", "DUPLICATE_ID", "c1"),
    ]
    assert [row.line for row in read if isinstance(row, ChangeRow)] == [2, 6]


def test_what_is_read_before_a_file_breaks_off_is_there(path: Path) -> None:
    rows = read_change_file(written(path, f"{CHANGE_HEADER}\n{GOOD_CHANGE}\nc2,M\0G\n"))

    first = next(rows)

    assert isinstance(first, ChangeRow)
    assert told(lambda: next(rows), path) == ["line 3: has a NUL byte; is this a CSV file in UTF-8?"]


def test_an_error_shows_the_first_problems_and_how_many_there_are_besides(path: Path) -> None:
    problems = [Problem(line, None, "CODE", "is wrong") for line in range(PROBLEMS_SHOWN + 2)]

    shown = str(CsvError(path, problems)).split("\n")

    assert (len(shown), shown[0], shown[-1]) == (51, f"{path}: line 0: is wrong", "... and 2 more problems")
    assert str(CsvError(path, problems[: PROBLEMS_SHOWN + 1])).endswith("\n... and 1 more problem")
    assert "more" not in str(CsvError(path, problems[:PROBLEMS_SHOWN]))
    assert [str(Problem(None, None, "CODE", "is wrong")), str(Problem(3, "sku", "CODE", "is wrong"))] == [
        "is wrong",
        "line 3, column sku: is wrong",
    ]


# Cells that are refused

IDS = ("change_id", "sku", "location_id")
REMARKS = ("reason", "reference")
FIGURES = ("reserved", "safety_stock", "reorder_point", "unit_price")
NO_NUMBER = "is not a number in plain notation; it wants a number such as -12 or 3.50"


def test_a_text_that_is_empty_too_long_or_holds_control_characters_is_refused(path: Path) -> None:
    refused: dict[tuple[str, str], str] = {}
    for column in IDS:
        made = " (--ids-from or --number-rows make ids for rows without one)" if column == "change_id" else ""
        refused[column, ""] = f"is empty; it wants 1 to 64 bytes of text{made}"
        refused[column, "x" * 65] = f"'{'x' * 40}'... is 65 bytes long; at most 64 are allowed"
        refused[column, "é" * 33] = f"'{'é' * 33}' is 66 bytes long; at most 64 are allowed"
        refused[column, "😀" * 17] = f"'{'😀' * 17}' is 68 bytes long; at most 64 are allowed"
    for column in REMARKS:
        refused[column, "r" * 129] = f"'{'r' * 40}'... is 129 bytes long; at most 128 are allowed"
    refused["description", "é" * 2001] = f"'{'é' * 40}'... is 2,001 characters long; at most 2,000 are allowed"
    for column in (*IDS, *REMARKS):
        breaks = () if column == "reason" else ("a\nb",)
        for text in ("a\tb", *breaks, "a\x1bb", "a\x7fb", "a\x85b"):
            refused[column, text] = f"{text!r} holds a control character; it wants text without any"
    refused["description", "a\x1b[2J"] = "'a\\x1b[2J' holds a control character; it wants text without any"

    assert said_of_cells(path, refused) == refused


def test_what_is_not_a_number_is_refused(path: Path) -> None:
    texts = ("ten", "NaN", "-Infinity", "1.2.3", "--1", "1-2")
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
        row = {**CHANGE, "kind": kind, "value": "-1"}
        said = told(partial(changes, path, row), path)
        assert said == [f"line 2, column value: '-1' is negative; a {kind} wants 0 or more"]


def test_an_unknown_kind_time_or_currency_is_refused(path: Path) -> None:
    no_kind = "is not a kind of change; it wants one of adjustment, count, price, reorder_point, safety_stock"
    no_time = "is not a time like 2026-01-31T08:00:00Z"
    no_zone = (
        "has no time zone: add Z or an offset like +01:00, or read the file with --time-zone, such as "
        "--time-zone Europe/Berlin"
    )
    no_currency = "is not a currency; it wants three capital letters, such as EUR"
    no_day = "is not a time that exists (day is out of range for month)"
    refused = {
        ("kind", "sale"): f"'sale' {no_kind}",
        ("kind", "Prise"): f"'Prise' {no_kind} (did you mean price?)",
        **{("currency", text): f"{text!r} {no_currency}" for text in ("gbp", "GBPX", "G1P", "£")},
        ("kind", ""): f"an empty cell {no_kind}",
        ("effective_at", ""): f"an empty cell {no_time}",
        ("effective_at", "tomorrow"): f"'tomorrow' {no_time}",
        ("effective_at", "2026-01-05T12:00:00.1234567Z"): f"'2026-01-05T12:00:00.1234567Z' {no_time}",
        ("effective_at", "2026-01-05T12:00:00"): f"'2026-01-05T12:00:00' {no_zone}",
        ("effective_at", "2026-02-30T12:00:00Z"): f"'2026-02-30T12:00:00Z' {no_day}",
    }

    assert said_of_cells(path, refused) == refused


def test_an_end_a_last_moment_or_an_expectation_that_the_change_cannot_have_is_refused(path: Path) -> None:
    no_end = "has no end; only price, reorder_point, safety_stock have"
    at, before, after = "2026-01-05T12:00:00Z", "2026-01-05T12:59:59+01:00", "2026-01-05T12:00:00.000001Z"
    no_expectation = "expected: an adjustment expects nothing; leave it empty, or use a count"
    no_time = "is not a time like 2026-01-31T08:00:00Z"
    told_of: list[tuple[Row, list[str]]] = [
        ({**CHANGE, "until": after}, [f"until: a change of kind adjustment {no_end}"]),
        ({**COUNT, "until": after}, [f"until: a change of kind count {no_end}"]),
        ({**PRICE, "until": after, "not_after": at}, []),
        ({**PRICE, "until": at}, [f"until: '{at}' is not later than effective_at; a window ends later"]),
        ({**PRICE, "until": before}, [f"until: '{before}' is not later than effective_at; a window ends later"]),
        ({**PRICE, "until": "soon", "not_after": "x"}, [f"until: 'soon' {no_time}", f"not_after: 'x' {no_time}"]),
        (
            {**CHANGE, "not_after": before},
            [f"not_after: '{before}' is before effective_at; it would never be applied"],
        ),
        ({**CHANGE, "expected": "3"}, [no_expectation]),
        ({**COUNT, "expected": "-3"}, []),
        ({**PRICE, "expected": "-3"}, ["expected: '-3' is negative; a price wants 0 or more"]),
        ({**PRICE, "expected": "3f1"}, [f"expected: '3f1' {NO_NUMBER}"]),
        # What cannot be read is told once, and nothing that would follow from it.
        (
            {**PRICE, "kind": "x", "value": "-1", "effective_at": "x", "until": at, "expected": "-1", "not_after": at},
            [
                "kind: 'x' is not a kind of change; it wants one of " + ", ".join(KINDS),
                f"effective_at: 'x' {no_time}",
            ],
        ),
    ]

    said = [(row, told(partial(changes, path, row), path)) for row, _ in told_of]

    assert said == [(row, [f"line 2, column {problem}" for problem in problems]) for row, problems in told_of]


def test_what_is_there_twice_is_refused_naming_both_lines(path: Path) -> None:
    twice = [
        CHANGE,
        {**CHANGE, "change_id": "c2"},
        {**CHANGE, "sku": "BOWL"},
        CHANGE,
        {**CHANGE, "value": "x"},
    ]
    items = [{**STOCK, "description": "two\nlines"}, {**STOCK, "location_id": "YORK"}, {**STOCK, "on_hand": "1"}]

    of_changes = "column change_id: duplicate change id 'c1' (first used on line 2); an id is unique within its item"
    assert told(lambda: changes(path, *twice), path) == [
        f"line 5, {of_changes}",
        f"line 6, column value: 'x' {NO_NUMBER}",
        f"line 6, {of_changes}",
    ]
    assert told(lambda: stock(path, *items), path) == [
        "line 5, column sku: duplicate item 'MUG' at location 'LEEDS' (first used on line 2); an item has one row"
    ]


def test_a_line_far_back_is_found_again_whatever_the_lines_between_are(path: Path) -> None:
    rows = [{**STOCK, "sku": f"{n}", "description": "two\r\nlines" if n % 3 else "é"} for n in range(4 * LINES_A_MARK)]
    text = csv_text(STOCK_COLUMNS, [*rows, *reversed(rows)], "\r\n")

    read = list(read_stock_file(written(path, b"\xef\xbb\xbf" + text.encode())))

    lines = {row.key.sku: row.line for row in read if isinstance(row, StockRow)}
    problems = [row for row in read if isinstance(row, Problem)]
    assert [row.value for row in problems] == [row["sku"] for row in reversed(rows)]
    assert all(f"(first used on line {lines[row.value or '']})" in row.message for row in problems)


def test_two_settings_of_one_kind_in_one_instant_are_told_of_and_read(path: Path) -> None:
    later, end = "2026-01-05T12:00:00.5Z", "2026-01-06T12:00:00Z"
    rows: list[Row] = [
        PRICE,
        {**PRICE, "effective_at": "2026-01-05T13:00:00+01:00"},
        {**PRICE, "effective_at": later},
        {**PRICE, "sku": "BOWL"},
        {**PRICE, "until": end},
        {**PRICE, "until": "2026-01-07T12:00:00Z"},
        COUNT,
        {**COUNT, "expected": "3"},
        {**COUNT, "expected": "3"},
        CHANGE,
        CHANGE,
        COUNT,
        PRICE,
    ]

    read = changes(path, *({**row, "change_id": f"c{line}"} for line, row in enumerate(rows, 2)))

    assert [row.line for row in read if isinstance(row, ChangeRow)] == list(range(2, 2 + len(rows)))
    clashes = [row for row in read if isinstance(row, Clash)]
    assert [(clash.line, clash.first_line) for clash in clashes] == [(3, 2), (7, 6), (13, 8), (14, 2)]
    assert str(clashes[0]) == (
        "line 3: sets the price of the same item at the same moment as line 2; the one whose id sorts last wins"
    )


def test_rows_are_not_kept(path: Path) -> None:
    rows = 20_000
    written(path, f"{CHANGE_HEADER}\n" + "".join(f"{GOOD_CHANGE.replace('c1', f'c{n}')}\n" for n in range(rows)))

    tracemalloc.start()
    try:
        read = sum(1 for _ in read_change_file(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert read == rows
    assert peak < rows * 60


# Files as spreadsheets make them


def test_rows_are_read_whatever_separates_the_cells_and_stands_around_them(path: Path) -> None:
    expected = changes(path, CHANGE)
    noon = "2026-01-05T12:00:00Z"
    alike = {
        "semicolons": CHANGE_HEADER.replace(",", ";") + "\n" + GOOD_CHANGE.replace(",", ";"),
        "tabs": CHANGE_HEADER.replace(",", "\t") + "\n" + GOOD_CHANGE.replace(",", "\t"),
        "bars": CHANGE_HEADER.replace(",", "|") + "\n" + GOOD_CHANGE.replace(",", "|"),
        "capitals": CHANGE_HEADER.upper().replace(",", " , ") + "\n" + GOOD_CHANGE,
        "spaces": CHANGE_HEADER + "\n" + GOOD_CHANGE.replace(",", " \u00a0,\u3000 ") + "  ",
        "quoted after a space": CHANGE_HEADER + "\n" + ", ".join(f'"{cell}"' for cell in GOOD_CHANGE.split(",")),
        "kind in capitals": CHANGE_HEADER + "\n" + GOOD_CHANGE.replace("adjustment", "ADJUSTMENT"),
        "cells that are missing and too many but empty": (
            f"reason,reference,{','.join(REQUIRED_CHANGE_COLUMNS)},until\n"
            f"sale,order 7,c1,MUG,LEEDS,adjustment,-12,{noon}"
        ),
        "too many, but empty": f"{CHANGE_HEADER}\n{GOOD_CHANGE},,,",
        "a header with empty names": f"{CHANGE_HEADER},,\n{GOOD_CHANGE},,",
    }
    assert {name: good(path, read_change_file(written(path, text))) for name, text in alike.items()} == dict.fromkeys(
        alike, expected
    )


def test_blank_rows_and_the_line_that_names_the_separator_keep_their_numbers(path: Path) -> None:
    text = f"sep=;\n;;;\n\n{CHANGE_HEADER}\n ; ; \n{GOOD_CHANGE}\n;;\n\n".replace(",", ";")
    (row,) = good(path, read_change_file(written(path, text)))
    assert isinstance(row, ChangeRow)
    assert row.line == 6


def test_what_was_understood_and_is_ignored_is_noted_with_the_nearest_name(path: Path) -> None:
    header = f"{','.join(REQUIRED_CHANGE_COLUMNS)},Untill,code,message,,colour".replace(",", ";")
    notes = [str(row) for row in read_change_file(written(path, header)) if isinstance(row, Note)]
    assert notes == [
        "its cells are separated by semicolons",
        "the column 'Untill' is unknown and ignored (did you mean until?)",
        "the column 'colour' is unknown and ignored",
    ]


def test_what_nobody_sees_is_refused_by_name_and_place(path: Path) -> None:
    seen = "which nobody sees; delete it"
    cells = {
        ("sku", "M\u200bUG"): f"'M\\u200bUG' holds U+200B ZERO WIDTH SPACE after 'M', {seen}",
        ("change_id", "\ufeffc1"): f"'\\ufeffc1' holds U+FEFF BYTE ORDER MARK at the beginning, {seen}",
        ("kind", "price\u200e"): f"'price\\u200e' holds U+200E LEFT-TO-RIGHT MARK after 'price', {seen}",
        ("value", "12\u00ad"): f"'12\\xad' holds U+00AD SOFT HYPHEN after '12', {seen}",
        ("effective_at", "\u2800"): f"'\u2800' holds U+2800 BRAILLE PATTERN BLANK at the beginning, {seen}",
        ("reason", "a\u200bb"): f"'a\\u200bb' holds U+200B ZERO WIDTH SPACE after 'a', {seen}",
        # At home in how emojis and some scripts are written.
        ("reason", "\U0001f469\u200d\U0001f373"): "",
    }
    assert said_of_cells(path, cells) == cells
    twice_marked = b"\xef\xbb\xbf" * 2 + f"{CHANGE_HEADER}\n".encode()
    assert told_of_changes(written(path, twice_marked)) == (
        "line 1, column change_id: is written '\\ufeffchange_id', with U+FEFF BYTE ORDER MARK at the beginning, "
        "which nobody sees; delete it"
    )


def test_ids_that_look_the_same_and_are_not_are_refused_whatever_their_items(path: Path) -> None:
    ids = ["E11", "E12", "cafe\u0301", "E11 ", " E12", "caf\u00e9", "E 13", "E  13", "E11"]
    rows = [{**CHANGE, "change_id": change_id, "sku": f"S{number}"} for number, change_id in enumerate(ids)]
    read = list(read_change_file(written(path, csv_text(CHANGE_COLUMNS, rows))))
    problems = [(row.line, row.code) for row in read if isinstance(row, Problem)]
    assert problems == [(line, "LOOKS_LIKE_ANOTHER") for line in (5, 6, 7, 9)]
    first = next(row for row in read if isinstance(row, Problem))
    assert first.message == (
        "'E11 ' differs from 'E11' on line 2 only in what nobody sees; write both alike, or give one another id"
    )


def test_ids_that_are_left_out_follow_from_cells_or_from_the_file_and_the_line(path: Path) -> None:
    columns = [*CHANGE_COLUMNS, "order"]
    rows: list[Row] = [
        {**CHANGE, "change_id": "", "order": "7"},
        {**CHANGE, "change_id": "", "order": "x" * 60},
        {**CHANGE, "change_id": "own", "order": "7"},
        {**CHANGE, "change_id": "", "sku": "a/b", "order": "7"},
    ]

    def made(reading: Reading, text: str = csv_text(columns, rows)) -> list[str]:
        read = good(path, read_change_file(written(path, text), reading))
        return [row.change.change_id for row in read if isinstance(row, ChangeRow)]

    from_cells = made(Reading(ids_from=("sku", "order")))
    assert (from_cells[0], from_cells[2], [len(each) for each in from_cells]) == ("MUG/7", "own", [5, 32, 3, 32])
    numbered = made(Reading(number_rows="monday"))
    assert [each.split("-")[::2] for each in numbered[:2]] == [["monday", "2"], ["monday", "3"]]
    assert numbered == made(Reading(number_rows="monday"))
    of_another_file = made(Reading(number_rows="monday"), csv_text(columns, rows[:3]))
    assert {*numbered} & {*of_another_file} == {"own"}
    (problem,) = told(lambda: made(Reading(ids_from=("colour",)), csv_text(columns, rows)), path)
    assert problem.startswith("line 1, column colour: the header lacks it")


def test_decimal_commas_and_times_without_zone_are_read_where_that_is_said(path: Path) -> None:
    row = {**PRICE, "value": "26,87", "effective_at": "2026-01-05 13:00"}
    text = csv_text(CHANGE_COLUMNS, [row])
    reading = Reading(decimal_comma=True, zone=ZoneInfo("Europe/Berlin"))
    (read,) = good(path, read_change_file(written(path, text), reading))
    assert isinstance(read, ChangeRow)
    assert (read.change.value, read.change.effective_at) == (Decimal("26.87"), "2026-01-05T12:00:00.000000Z")


# Files that are refused

WANTED_OF_CHANGES = (
    "a change file has the columns change_id,sku,location_id,kind,value,effective_at "
    "and may have until,expected,not_after,reason,reference"
)
WANTED_OF_STOCK = (
    "a stock file has the columns sku,location_id,on_hand and may have reserved,safety_stock,reorder_point,unit_price,"
    "currency,description,available,stock_status,stock_value"
)


def told_of_changes(path: Path) -> str:
    return "\n".join(told(lambda: good(path, read_change_file(path)), path))


def told_of_stock(path: Path) -> str:
    return "\n".join(told(lambda: good(path, read_stock_file(path)), path))


def test_a_change_file_of_another_form_is_refused(path: Path) -> None:
    refused = {
        CHANGE_HEADER.replace("value", "quantity") + ",sku\n": (
            "line 1, column sku: is in the header twice; delete or rename one of them\n"
            f"line 1, column value: the header lacks it; {WANTED_OF_CHANGES}"
        ),
        "c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,,\n": (
            "line 1: is no header, 'c1,MUG,LEEDS,adjustment,-12,2026-01-05T1'... names none of the columns; "
            f"{WANTED_OF_CHANGES}"
        ),
        f"{CHANGE_HEADER}\n{GOOD_CHANGE},x\n": (
            'line 2: has 12 cells; the header has 11 columns: a cell that holds a separator needs "..." around it'
        ),
        f'{CHANGE_HEADER}\nc1,"MUG,LEEDS\nc2,BOWL,LEEDS\n': f"line 2: {NEVER_CLOSED}",
        f'{CHANGE_HEADER}\nc1,"MUG' + "\nc2,BOWL" * 20_000: f"line 2: {NEVER_CLOSED}",
        f'{CHANGE_HEADER}\n"' + '\n","' * 300_000 + '"\n': f"line 2: {NEVER_CLOSED}",
        f'{CHANGE_HEADER}\nc1,"MUG\nc2,"BOWL",LEEDS\n': f"line 2: {CLOSED_TOO_EARLY}",
        f'{CHANGE_HEADER}\nc1,"12" ruler",LEEDS\nc2,M\rG,YORK\n': (
            f"line 2: {LONE_QUOTATION_MARK}\nline 3: {LONE_CARRIAGE_RETURN}"
        ),
        f'{CHANGE_HEADER}\nc1,12" ruler,LEEDS,count,1,2026-01-05T12:00:00Z,,,,,\n': f"line 2: {LONE_QUOTATION_MARK}",
        f"{CHANGE_HEADER}\nc1,M\0G,,,,,,\n": "line 2: has a NUL byte; is this a CSV file in UTF-8?",
        csv_text(CHANGE_COLUMNS, [CHANGE], "\r"): f"line 1: {LONE_CARRIAGE_RETURN}",
        CHANGE_HEADER.replace("sku", "Sku Number").replace("location_id", "Location ID"): (
            f"line 1, column sku: the header lacks it; {WANTED_OF_CHANGES}\n"
            "line 1, column location_id: the header lacks it; is 'Location ID' meant to be it?"
        ),
        "x" * (MAXIMUM_LINE_BYTES + 1): f"line 1: is longer than {MAXIMUM_LINE_BYTES} bytes; is this a CSV file?",
    }

    assert {text: told_of_changes(written(path, text)) for text in refused} == refused


def test_a_stock_file_of_another_form_is_refused(path: Path) -> None:
    nothing = f"is empty; a stock file starts with a header such as {STOCK_HEADER},{','.join(DERIVED_COLUMNS)}"
    refused = {
        **dict.fromkeys((b"", b"\xef\xbb\xbf", b"\n\n"), nothing),
        b"sku,safety_stock,reorder_point,unit_price,description\n": "\n".join(
            f"line 1, column {name}: the header lacks it; {WANTED_OF_STOCK}" for name in ("location_id", "on_hand")
        ),
        csv_text(STOCK_COLUMNS, [{**STOCK, "description": "Café"}]).encode("latin-1"): (
            "line 2: is not in UTF-8; save the file in this encoding"
        ),
    }

    assert {text: told_of_stock(written(path, text)) for text in refused} == refused


def test_what_is_no_file_is_refused(path: Path) -> None:
    assert told_of_changes(path) == "does not exist"
    path.mkdir()
    assert told_of_stock(path) == "is a directory, not a file"
    below = written(path / "a file", "") / "changes.csv"
    assert told_of_changes(below) == "cannot be read: Not a directory"


def test_a_pipe_is_refused_because_it_cannot_be_read_a_second_time() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "wb"):
        path = Path(f"/dev/fd/{reading}")
        assert told_of_changes(path) == "is a pipe, which cannot be read twice; write it to a file first"


# What is written

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16).filter(
    lambda text: text == looks_like(text) and not first_invisible(text)
)
NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=3).map(lambda number: number + 0)
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z")
START = "2026-01-05T12:00:00.000000Z"
LATER = TIMES.filter(lambda time: time > START)
ANY_REMARKS = {"reason": st.none() | TEXT, "reference": st.none() | TEXT}
CHANGES = st.builds(Change, TEXT, st.just("adjustment"), NUMBERS, TIMES, **ANY_REMARKS) | st.builds(
    Change,
    TEXT,
    st.sampled_from(WINDOW_KINDS),
    NUMBERS.map(abs),
    st.just(START),
    until=st.none() | LATER,
    expected=st.none() | NUMBERS.map(abs),
    not_after=st.none() | LATER,
    **ANY_REMARKS,
)
CHANGE_ROWS = st.lists(
    st.builds(ChangeRow, st.just(0), st.builds(ItemKey, TEXT, TEXT), CHANGES),
    unique_by=lambda row: (row.key, row.change.change_id),
    max_size=5,
)


@given(CHANGE_ROWS, st.permutations(CHANGE_COLUMNS), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_changes_come_back_as_they_were_written_whatever_the_columns_order_the_line_ends_and_the_mark(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ChangeRow], columns: list[str], line_end: str, marked: bool
) -> None:
    text = csv_text(columns, [row.key._asdict() | asdict(row.change) for row in rows], line_end)
    path = tmp_path_factory.getbasetemp() / "changes.csv"
    path.write_bytes(text.encode("utf-8-sig" if marked else "utf-8"))

    read = [row for row in read_change_file(path) if not isinstance(row, Clash)]
    assert read == [replace(row, line=line) for line, row in enumerate(rows, 2)]
