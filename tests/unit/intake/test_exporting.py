"""Exports: sorted, loadable again without a change, and harmless in a spreadsheet if asked."""

import csv
import io
import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake import exporting
from inventory_updater.intake.cells import first_invisible, looks_like
from inventory_updater.intake.csv_format import read_stock_file
from inventory_updater.intake.exporting import LEVEL_COLUMNS, harmless, write_levels
from inventory_updater.intake.loading import Loaded, load_stock
from inventory_updater.intake.text_rows import StockRow
from inventory_updater.stock.levels import Level, read_level
from tests.builders import NOW, item_attributes
from tests.fakes.warehouse import Warehouse

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Z"]), min_size=1, max_size=16).filter(
    lambda text: not first_invisible(text)
)
LINES = st.lists(TEXT, max_size=3).map("\r\n".join) | TEXT
QUANTITIES = st.none() | st.decimals(0, 10**9, places=3).map(lambda number: number + 0)
ATTRIBUTES = st.builds(
    lambda sku, location, on_hand, quantities, texts: (
        item_attributes(
            *(on_hand,), sku=sku, location_id=location, **quantities, available=99, stock_status=None, stock_value=None
        )
        | {name: text for name, text in texts.items() if text}
    ),
    TEXT,
    TEXT,
    st.decimals(-(10**9), 10**9, places=3).map(lambda number: number + 0),
    st.fixed_dictionaries(dict.fromkeys(("reserved", "safety_stock", "reorder_point", "unit_price"), QUANTITIES)),
    st.fixed_dictionaries({"currency": st.none() | st.just("EUR"), "description": st.none() | LINES}),
)


def levels(*attributes: dict[str, object], shown: bool = False) -> list[Level]:
    read = [read_level(each, shown=shown) for each in attributes]
    assert all(isinstance(each, Level) for each in read), read
    return [each for each in read if isinstance(each, Level)]


def exported(found: Iterable[Level], *, spreadsheet: bool = False) -> str:
    file = io.StringIO(newline="")
    write_levels(file, found, spreadsheet=spreadsheet)
    return file.getvalue()


def test_levels_are_sorted_as_text_with_every_column_that_a_load_takes() -> None:
    found = levels(
        item_attributes("1E+3", sku="B", location_id="10", unit_price=None),
        item_attributes(1, sku="a", location_id="1", reserved=None),
        item_attributes("1E-7", sku="B,1", location_id="2") | {"currency": "EUR", "description": 'An "odd"\none'},
        item_attributes(0, sku="B", location_id="9", reserved=2, safety_stock=1, reorder_point=5),
    )
    assert exported(found) == (
        "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description,"
        "available,stock_status,stock_value\n"
        "B,10,1000,0,0,0,,,,1000,IN_STOCK,\n"
        "B,9,0,2,1,5,2.50,,,-3,OUT_OF_STOCK,0\n"
        '"B,1",2,0.0000001,0,0,0,2.50,EUR,"An ""odd""\none",0.0000001,IN_STOCK,0.000000250\n'
        "a,1,1,0,0,0,2.50,,,1,IN_STOCK,2.50\n"
    )


def names_as_seen(attributes: dict[str, object]) -> tuple[str, ...]:
    return tuple(looks_like(str(attributes[name])) for name in ("sku", "location_id"))


@given(st.lists(ATTRIBUTES, unique_by=names_as_seen, max_size=5))
def test_an_export_that_is_loaded_and_exported_has_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, stored: list[dict[str, object]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "exported.csv"
    warehouse = Warehouse()
    services = warehouse.services

    def exports() -> str:
        return exported(levels(*map(dict, services.inventory.scan())))

    def rows() -> Iterable[StockRow]:
        for row in read_stock_file(file):
            assert isinstance(row, StockRow), row
            yield row

    warehouse.put(*stored)
    first = exports()
    file.write_bytes(first.encode())
    warehouse.clear()

    assert load_stock(services.dynamodb, services.inventory, rows, NOW) == Loaded(made=len(stored))
    assert exports() == first
    assert load_stock(services.dynamodb, services.inventory, rows, NOW, replace=True) == Loaded(known=len(stored))


def test_cells_that_a_spreadsheet_would_take_for_formulas_are_told_from_the_others() -> None:
    dangerous = ("=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\r=x", "\n=x", " =x", "＝1", "=HYPERLINK(1)")  # noqa: RUF001
    plain = ("", "-12", "+4.5", "-0,5", "Mug - blue", "a=b", "'=x", "two\r\nlines", "a; b", "1-2")
    assert [text for text in dangerous if not harmless(text).startswith("'")] == []
    assert [text for text in plain if harmless(text) != text] == []
    # Where semicolons part cells, a comma does not, and so no quotation mark behind one protects.
    assert harmless("a;=1\n@x; +y") == "a;'=1\n'@x;' +y"


def test_only_an_export_for_a_spreadsheet_has_apostrophes_and_numbers_stay_numbers() -> None:
    found = levels(item_attributes(-3, sku="=A1", location_id="-7") | {"description": "@here", "currency": "+"})

    (row,) = csv.DictReader(io.StringIO(exported(found, spreadsheet=True)))
    assert [row[name] for name in ("sku", "location_id", "on_hand", "currency", "description")] == [
        *("'=A1", "-7", "-3", "'+", "'@here")
    ]
    (row,) = csv.DictReader(io.StringIO(exported(found)))
    assert (row["sku"], row["description"]) == ("=A1", "@here")


def test_nothing_is_written_before_every_level_has_been_read() -> None:
    def broken() -> Iterable[Level]:
        yield from levels(item_attributes())
        raise TimeoutError

    file = io.StringIO(newline="")
    with pytest.raises(TimeoutError):
        write_levels(file, broken())
    assert file.getvalue() == ""


def test_a_full_disk_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(_name: str) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:")
        database.execute("PRAGMA max_page_count = 2")
        return database

    monkeypatch.setattr(exporting, "connect", tiny)
    with pytest.raises(OSError, match="No space left on device"):
        exported(levels(*(item_attributes(sku=f"mug-{number}") | {"description": "x" * 2_000} for number in range(9))))


def test_the_columns_are_those_of_a_stock_file(tmp_path: Path) -> None:
    file = tmp_path / "exported.csv"
    file.write_text(exported(levels(item_attributes())), encoding="utf-8")
    (row,) = read_stock_file(file)
    assert isinstance(row, StockRow)
    assert (row.on_hand, row.reserved, len(LEVEL_COLUMNS)) == (Decimal(10), Decimal(0), 12)
