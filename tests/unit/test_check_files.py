"""What `make run` looks at before it deletes the stack that is there."""

from pathlib import Path

import pytest

import check_files

STOCK = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description\nmug,DC1,5,,,,,,\n"
CHANGES = "change_id,sku,location_id,kind,value,effective_at\nc1,mug,DC1,count,3,2026-03-02T08:00:00Z\n"


def test_all_that_is_wrong_with_both_files_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad_number = "is not a number in plain notation; it wants a number such as -12 or 3.50"
    bad_stock = [f"error: stock.csv: line 2, column on_hand: 'five' {bad_number}"]
    clash = "sets the count of the same item at the same moment as line 2; the one whose id sorts last wins"
    kinds = "adjustment, count, price, reorder_point, safety_stock"
    empty = "is empty; it wants 1 to 64 bytes of text"
    no_item = "error: changes.csv: line 2: stock.csv has no item mug at DC9"
    elsewhere = CHANGES.replace("DC1", "DC9")
    expected: dict[tuple[str, str], tuple[int, list[str]]] = {
        (STOCK, CHANGES): (0, []),
        (STOCK, elsewhere): (2, [no_item]),
        (STOCK.replace("5,", "five,"), elsewhere): (2, bad_stock),
        (STOCK.replace("5,", "five,"), CHANGES.replace("3,", "three,")): (
            2,
            [*bad_stock, f"error: changes.csv: line 2, column value: 'three' {bad_number}"],
        ),
        (STOCK, elsewhere + "c2\nc3\0\n"): (
            2,
            [
                no_item,
                f"changes.csv: line 3, column sku: {empty}",
                f"changes.csv: line 3, column location_id: {empty}",
                f"changes.csv: line 3, column kind: an empty cell is not a kind of change; it wants one of {kinds}",
                f"changes.csv: line 3, column value: an empty cell {bad_number}",
                "changes.csv: line 3, column effective_at: an empty cell is not a time like 2026-01-31T08:00:00Z",
                "changes.csv: line 4: has a NUL byte; is this a CSV file in UTF-8?",
            ],
        ),
        (STOCK, CHANGES + CHANGES.splitlines()[1].replace("c1", "c2")): (
            0,
            [f"warning: changes.csv: line 3: {clash}"],
        ),
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["check_files.py", "stock.csv", "changes.csv"])

    def checked(stock: str, changes: str) -> tuple[int, list[str]]:
        Path("stock.csv").write_text(stock, encoding="utf-8")
        Path("changes.csv").write_text(changes, encoding="utf-8")
        return check_files.main(), capsys.readouterr().err.splitlines()

    assert {files: checked(*files) for files in expected} == expected
