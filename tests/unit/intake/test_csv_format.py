import csv
import io
import os
from collections.abc import Callable, Iterable
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

CHANGE = {
    "change_id": "c1",
    "sku": "MUG",
    "location_id": "LEEDS",
    "kind": "adjustment",
    "value": "-12",
    "effective_at": "2026-01-05T12:00:00Z",
    "reason": "sale",
    "reference": "order 7",
}
STOCK = {
    "sku": "MUG",
    "location_id": "LEEDS",
    "on_hand": "40",
    "reserved": "2",
    "safety_stock": "5",
    "reorder_point": "10",
    "unit_price": "3.50",
    "currency": "GBP",
    "description": "Mug, blue",
}
CHANGE_HEADER = ",".join(CHANGE_COLUMNS)
STOCK_HEADER = ",".join(STOCK_COLUMNS)

Row = dict[str, str]


def csv_text(columns: Iterable[str], rows: Iterable[Row], line_end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "file.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Write = Callable[[str | bytes], Path]


def message_of(read: Callable[[Path], object], path: Path) -> str:
    """The message about the file, without the folder in front."""
    with pytest.raises(CsvError) as caught:
        read(path)
    return str(caught.value).removeprefix(f"{path.parent}{os.sep}")


def change_message(file: Write, **cells: str) -> str:
    return message_of(read_change_file, file(csv_text(CHANGE_COLUMNS, [CHANGE | cells])))


def stock_message(file: Write, **cells: str) -> str:
    return message_of(read_stock_file, file(csv_text(STOCK_COLUMNS, [STOCK | cells])))


# What is read


def test_a_change_file_gives_its_changes(file: Write) -> None:
    assert [
        ChangeRow(
            line=2,
            key=ItemKey("MUG", "LEEDS"),
            change=Change("c1", "adjustment", Decimal(-12), "2026-01-05T12:00:00.000000Z", "sale", "order 7"),
        )
    ] == read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE])))


def test_a_stock_file_gives_its_items(file: Write) -> None:
    assert [
        StockRow(
            line=2,
            key=ItemKey("MUG", "LEEDS"),
            on_hand=Decimal(40),
            reserved=Decimal(2),
            safety_stock=Decimal(5),
            reorder_point=Decimal(10),
            unit_price=Decimal("3.50"),
            currency="GBP",
            description="Mug, blue",
        )
    ] == read_stock_file(file(csv_text(STOCK_COLUMNS, [STOCK])))


def test_empty_cells_are_zero_for_quantities_and_absent_for_the_rest(file: Write) -> None:
    assert [
        StockRow(2, ItemKey("MUG", "LEEDS"), Decimal(40), Decimal(0), Decimal(0), Decimal(0), None, None, None)
    ] == read_stock_file(file(f"{STOCK_HEADER}\nMUG,LEEDS,40,,,,,,\n"))


def test_empty_reason_and_reference_are_absent(file: Write) -> None:
    (row,) = read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE | {"reason": "", "reference": ""}])))
    assert (row.change.reason, row.change.reference) == (None, None)


def test_on_hand_may_be_negative(file: Write) -> None:
    (row,) = read_stock_file(file(csv_text(STOCK_COLUMNS, [STOCK | {"on_hand": "-3.5"}])))
    assert Decimal("-3.5") == row.on_hand


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(file: Write, kind: str) -> None:
    (row,) = read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE | {"kind": kind, "value": "0"}])))
    assert kind == row.change.kind


def test_a_time_with_an_offset_becomes_utc(file: Write) -> None:
    (row,) = read_change_file(
        file(csv_text(CHANGE_COLUMNS, [CHANGE | {"effective_at": "2026-01-05T00:30:00.25+01:00"}])),
    )
    assert row.change.effective_at == "2026-01-04T23:30:00.250000Z"


@pytest.mark.parametrize(("read", "header"), [(read_change_file, CHANGE_HEADER), (read_stock_file, STOCK_HEADER)])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\r\n\n"])
def test_a_file_of_only_a_header_holds_nothing(
    file: Write, read: Callable[[Path], list[object]], header: str, end: str
) -> None:
    assert read(file(header + end)) == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [CHANGE_COLUMNS, CHANGE_COLUMNS[::-1]])
def test_mark_line_ends_and_order_of_columns_make_no_difference(
    file: Write, mark: bytes, line_end: str, columns: tuple[str, ...]
) -> None:
    plain_rows = read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE])))
    assert plain_rows == read_change_file(file(mark + csv_text(columns, [CHANGE], line_end).encode()))


def test_a_formula_is_text(file: Write) -> None:
    (row,) = read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE | {"sku": "=1+1", "reason": "@SUM(A1)"}])))
    assert (row.key.sku, row.change.reason) == ("=1+1", "@SUM(A1)")


def test_a_row_is_where_it_starts_also_after_a_line_break_in_a_cell(file: Write) -> None:
    rows = [STOCK | {"sku": "A", "description": "two\nlines"}, STOCK | {"sku": "B", "description": "and\r\n\r\nmore"}]
    rows += [STOCK | {"sku": "C"}]
    read = read_stock_file(file(csv_text(STOCK_COLUMNS, rows)))
    assert [(row.line, row.key.sku) for row in read] == [(2, "A"), (4, "B"), (7, "C")]
    assert read[0].description == "two\nlines"


def test_the_line_of_a_problem_counts_line_breaks_in_cells(file: Write) -> None:
    rows = [STOCK | {"sku": "A", "description": "two\nlines"}, STOCK | {"sku": "B", "on_hand": "many"}]
    assert message_of(read_stock_file, file(csv_text(STOCK_COLUMNS, rows))).startswith(
        "file.csv: line 4, column on_hand: "
    )


def test_ids_may_be_as_long_as_is_allowed(file: Write) -> None:
    longest = "é" * 32
    (row,) = read_change_file(file(csv_text(CHANGE_COLUMNS, [CHANGE | {"change_id": longest, "reason": "r" * 128}])))
    assert longest == row.change.change_id


# What is refused


@pytest.mark.parametrize("column", ["change_id", "sku", "location_id"])
def test_an_empty_id_is_refused(file: Write, column: str) -> None:
    assert f"file.csv: line 2, column {column}: is empty; it wants 1 to 64 bytes of text" == change_message(
        file, **{column: ""}
    )


@pytest.mark.parametrize("column", ["change_id", "sku", "location_id"])
@pytest.mark.parametrize("text", ["x" * 65, "é" * 33, "😀" * 17])
def test_an_id_that_is_too_long_is_refused(file: Write, column: str, text: str) -> None:
    start = "x" * 40 + "'..." if text[0] == "x" else text + "'"
    assert (
        f"file.csv: line 2, column {column}: '{start} is {len(text.encode())} bytes long; at most 64 are allowed"
        == change_message(file, **{column: text})
    )


@pytest.mark.parametrize("column", ["change_id", "sku", "location_id", "reason", "reference"])
@pytest.mark.parametrize("character", ["\t", "\n", "\x1b", "\x7f", "\x85"])
def test_a_control_character_is_refused(file: Write, column: str, character: str) -> None:
    assert (
        f"file.csv: line 2, column {column}: {f'a{character}b'!r} holds a control character; it wants text without any"
        == change_message(file, **{column: f"a{character}b"})
    )


@pytest.mark.parametrize("column", ["reason", "reference"])
def test_a_remark_that_is_too_long_is_refused(file: Write, column: str) -> None:
    assert (
        f"file.csv: line 2, column {column}: '{'r' * 40}'... is 129 bytes long; at most 128 are allowed"
        == change_message(file, **{column: "r" * 129})
    )


def test_a_description_that_is_too_long_is_refused(file: Write) -> None:
    assert (
        f"file.csv: line 2, column description: '{'d' * 40}'... is 257 bytes long; at most 256 are allowed"
        == stock_message(file, description="d" * 257)
    )


def test_a_control_character_in_a_description_is_refused(file: Write) -> None:
    assert (
        stock_message(file, description="a\x1b[2J")
    ) == "file.csv: line 2, column description: 'a\\x1b[2J' holds a control character; it wants text without any"


@pytest.mark.parametrize(("kind", "found"), [("sale", "'sale'"), ("COUNT", "'COUNT'"), ("", "an empty cell")])
def test_an_unknown_kind_is_refused(file: Write, kind: str, found: str) -> None:
    assert (
        f"file.csv: line 2, column kind: {found} is not a kind of change; "
        "it wants one of adjustment, count, price, reorder_point, safety_stock"
    ) == change_message(file, kind=kind)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ten", "'ten'"),
        ("", "an empty cell"),
        ("1e3", "'1e3'"),
        ("1,5", "'1,5'"),
        (" 1", "' 1'"),
        ("NaN", "'NaN'"),
        ("-Infinity", "'-Infinity'"),
        ("\uff11", "'\uff11'"),
        ("=1+1", "'=1+1'"),
    ],
)
def test_what_is_not_a_number_is_refused(file: Write, value: str, found: str) -> None:
    problem = f"{found} is not a number in plain notation; it wants a number such as -12 or 3.50"
    assert f"file.csv: line 2, column value: {problem}" == change_message(file, value=value)


@pytest.mark.parametrize("column", ["on_hand", "reserved", "safety_stock", "reorder_point", "unit_price"])
def test_what_is_not_a_number_in_a_stock_file_is_refused(file: Write, column: str) -> None:
    problem = "'many' is not a number in plain notation; it wants a number such as -12 or 3.50"
    assert f"file.csv: line 2, column {column}: {problem}" == stock_message(file, **{column: "many"})


def test_a_stock_row_needs_on_hand(file: Write) -> None:
    problem = "an empty cell is not a number in plain notation; it wants a number such as -12 or 3.50"
    assert f"file.csv: line 2, column on_hand: {problem}" == stock_message(file, on_hand="")


def test_a_number_of_39_digits_is_refused(file: Write) -> None:
    assert (
        f"file.csv: line 2, column value: '{'1' * 39}' needs more than 38 digits, or is too large or too small for "
        "DynamoDB; it wants a number such as -12 or 3.50"
    ) == change_message(file, value="1" * 39)


@pytest.mark.parametrize("kind", ["count", "price", "reorder_point", "safety_stock"])
def test_a_negative_setting_is_refused(file: Write, kind: str) -> None:
    assert f"file.csv: line 2, column value: '-1' is negative; a {kind} wants 0 or more" == change_message(
        file, kind=kind, value="-1"
    )


@pytest.mark.parametrize("column", ["reserved", "safety_stock", "reorder_point", "unit_price"])
def test_a_negative_figure_is_refused(file: Write, column: str) -> None:
    assert f"file.csv: line 2, column {column}: '-0.01' is negative; it wants 0 or more" == stock_message(
        file, **{column: "-0.01"}
    )


def test_a_time_without_a_zone_is_refused(file: Write) -> None:
    problem = "'2026-01-05T12:00:00' has no time zone: add Z or an offset like +01:00"
    assert change_message(file, effective_at="2026-01-05T12:00:00") == (
        f"file.csv: line 2, column effective_at: {problem}"
    )


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("", "an empty cell"),
        ("tomorrow", "'tomorrow'"),
        ("2026-01-05", "'2026-01-05'"),
        ("2026-01-05T12:00:00.1234567Z", "'2026-01-05T12:00:00.1234567Z'"),
    ],
)
def test_what_is_not_a_time_is_refused(file: Write, time: str, found: str) -> None:
    assert f"file.csv: line 2, column effective_at: {found} is not a time like 2026-01-31T08:00:00Z" == change_message(
        file, effective_at=time
    )


def test_a_day_that_does_not_exist_is_refused(file: Write) -> None:
    assert change_message(file, effective_at="2026-02-30T12:00:00Z").startswith(
        "file.csv: line 2, column effective_at: '2026-02-30T12:00:00Z' is not a time that exists"
    )


@pytest.mark.parametrize("currency", ["gbp", "GBPX", "G1P", "£"])
def test_what_is_not_a_currency_is_refused(file: Write, currency: str) -> None:
    problem = f"{currency!r} is not a currency; it wants three capital letters, such as EUR"
    assert f"file.csv: line 2, column currency: {problem}" == stock_message(file, currency=currency)


def test_a_change_id_that_stands_twice_is_refused_naming_both_lines(file: Write) -> None:
    rows = [CHANGE, CHANGE | {"change_id": "c2"}, CHANGE | {"sku": "BOWL"}]
    assert (
        message_of(read_change_file, file(csv_text(CHANGE_COLUMNS, rows)))
    ) == "file.csv: line 4, column change_id: 'c1' stands in line 2 already; a change id stands once in a file"


def test_an_item_that_stands_twice_is_refused_naming_both_lines(file: Write) -> None:
    rows = [STOCK, STOCK | {"location_id": "YORK"}, STOCK | {"on_hand": "1"}]
    assert message_of(read_stock_file, file(csv_text(STOCK_COLUMNS, rows))) == (
        "file.csv: line 4, column sku: 'MUG' at location 'LEEDS' stands in line 2 already; "
        "an item stands once in a file"
    )


# The header


def test_an_unknown_column_is_refused(file: Write) -> None:
    assert message_of(read_change_file, file(CHANGE_HEADER.replace("value", "quantity"))) == (
        "file.csv: line 1: the column 'quantity' is unknown; "
        "a change file has the columns change_id,sku,location_id,kind,value,effective_at,reason,reference"
    )


def test_missing_columns_are_refused(file: Write) -> None:
    assert message_of(
        read_stock_file, file("sku,location_id,on_hand,safety_stock,reorder_point,unit_price,description\n")
    ) == (
        "file.csv: line 1: the header lacks reserved, currency; a stock file has the columns "
        "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description"
    )


def test_a_column_that_stands_twice_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f"{CHANGE_HEADER},sku\n"))
        == "file.csv: line 1, column sku: stands twice in the header"
    )


def test_a_file_without_a_header_is_refused(file: Write) -> None:
    assert message_of(read_change_file, file("c1,MUG,LEEDS,adjustment,-12,2026-01-05T12:00:00Z,,\n")) == (
        "file.csv: line 1: is no header, 'c1,MUG,LEEDS,adjustment,-12,2026-01-05T1'... names none of the columns; "
        "a change file has the columns change_id,sku,location_id,kind,value,effective_at,reason,reference"
    )


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_an_empty_file_is_refused(file: Write, content: bytes) -> None:
    assert f"file.csv: is empty; a stock file starts with the header {STOCK_HEADER}" == message_of(
        read_stock_file, file(content)
    )


# The form


def test_a_row_with_too_few_cells_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f"{CHANGE_HEADER}\nc1\n"))
        == "file.csv: line 2: has 1 cell; the header has 8 columns"
    )


def test_a_row_with_too_many_cells_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f"{CHANGE_HEADER}\nc1,MUG,LEEDS,adjustment,1,2026-01-05T12:00:00Z,,,\n"))
        == "file.csv: line 2: has 9 cells; the header has 8 columns"
    )


def test_a_blank_line_between_rows_is_refused(file: Write) -> None:
    header, row = csv_text(CHANGE_COLUMNS, [CHANGE]).splitlines()
    assert (
        message_of(read_change_file, file(f"{header}\n\n\n{row}\n"))
        == "file.csv: line 2: is blank; blank lines may only stand at the end"
    )


def test_a_quotation_mark_that_is_never_closed_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f'{CHANGE_HEADER}\nc1,"MUG,LEEDS\nc2,BOWL,LEEDS\n'))
        == "file.csv: line 2: has a quotation mark that is never closed"
    )


def test_a_quotation_mark_left_open_before_much_text_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f'{CHANGE_HEADER}\nc1,"MUG' + "\nc2,BOWL" * 20_000))
        == "file.csv: line 2: has a cell of more than 131072 characters; is a quotation mark left open?"
    )


def test_text_behind_a_closing_quotation_mark_is_refused(file: Write) -> None:
    assert message_of(read_change_file, file(f'{CHANGE_HEADER}\nc1,"12" ruler",LEEDS\n')) == (
        "file.csv: line 2: has text behind a closing quotation mark; a quotation mark inside a quoted cell is doubled"
    )


def test_a_quotation_mark_in_an_unquoted_cell_is_refused(file: Write) -> None:
    assert message_of(
        read_change_file, file(f'{CHANGE_HEADER}\nc1,12" ruler,LEEDS,count,1,2026-01-05T12:00:00Z,,\n')
    ) == (
        "file.csv: line 2: has a quotation mark in a cell that is not quoted; "
        'write "..." around the cell and double the mark'
    )


def test_a_lone_carriage_return_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(csv_text(CHANGE_COLUMNS, [CHANGE], "\r")))
        == "file.csv: line 1: has a carriage return without a line feed; lines end in CRLF or LF"
    )


def test_a_nul_byte_is_refused(file: Write) -> None:
    assert (
        message_of(read_change_file, file(f"{CHANGE_HEADER}\nc1,M\0G,,,,,,\n"))
        == "file.csv: line 2: has a NUL byte; is this a CSV file in UTF-8?"
    )


def test_another_encoding_is_refused(file: Write) -> None:
    assert (
        message_of(read_stock_file, file(csv_text(STOCK_COLUMNS, [STOCK | {"description": "Café"}]).encode("latin-1")))
        == "file.csv: line 2: is not in UTF-8; save the file in this encoding"
    )


def test_a_line_without_end_is_refused_before_it_fills_the_memory(file: Write) -> None:
    assert f"file.csv: line 1: is longer than {MAXIMUM_LINE_BYTES} bytes; is this a CSV file?" == message_of(
        read_change_file, file("x" * (MAXIMUM_LINE_BYTES + 1))
    )


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert message_of(read_change_file, tmp_path / "file.csv") == "file.csv: does not exist"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.csv").mkdir()
    assert message_of(read_stock_file, tmp_path / "file.csv") == "file.csv: is a directory, not a file"


def test_a_file_below_a_file_is_refused(file: Write) -> None:
    path = file("") / "changes.csv"
    assert message_of(read_change_file, path) == "changes.csv: cannot be read: Not a directory"


# Round trips

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16)
NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=3).map(lambda number: number + 0)
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z")


@given(
    st.lists(
        st.builds(
            ChangeRow,
            st.just(0),
            st.builds(ItemKey, TEXT, TEXT),
            st.builds(Change, TEXT, st.just("adjustment"), NUMBERS, TIMES, st.none() | TEXT, st.none() | TEXT),
        ),
        unique_by=lambda row: row.change.change_id,
        max_size=5,
    ),
    st.permutations(CHANGE_COLUMNS),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_changes_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[ChangeRow], columns: list[str], line_end: str, marked: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "changes.csv"
    written = [
        {
            "change_id": row.change.change_id,
            "sku": row.key.sku,
            "location_id": row.key.location_id,
            "kind": str(row.change.kind),
            "value": str(row.change.value),
            "effective_at": row.change.effective_at,
            "reason": str(row.change.reason or ""),
            "reference": str(row.change.reference or ""),
        }
        for row in rows
    ]
    path.write_bytes(csv_text(columns, written, line_end).encode("utf-8-sig" if marked else "utf-8"))

    read = read_change_file(path)

    assert [(row.key, row.change) for row in rows] == [(row.key, row.change) for row in read]
    assert list(range(2, len(rows) + 2)) == [row.line for row in read]


@given(st.lists(st.tuples(TEXT, TEXT, NUMBERS), unique_by=lambda row: row[:2], max_size=5))
def test_levels_come_back_as_they_were_written(rows: list[tuple[str, str, Decimal]]) -> None:
    file = io.StringIO(newline="")
    count = write_levels(file, (StockItem(ItemKey(sku, location), number) for sku, location, number in rows))
    file.seek(0)
    header, *read = csv.reader(file)
    assert len(rows) == count
    assert header == ["sku", "location_id", "on_hand", "available", "stock_status", "unit_price", "stock_value"]
    assert [[sku, location, plain(number), "", "", "", ""] for sku, location, number in sorted(rows)] == read


# What is written


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


def test_no_items_give_a_file_of_only_the_header() -> None:
    file = io.StringIO(newline="")
    assert write_levels(file, []) == 0
    assert file.getvalue() == "sku,location_id,on_hand,available,stock_status,unit_price,stock_value\n"
