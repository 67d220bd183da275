"""What `make run` looks at before it deletes the stack that is there."""

from pathlib import Path

import pytest

import check_files

STOCK = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description\nmug,DC1,5,,,,,,\n"
CHANGES = (
    "change_id,sku,location_id,kind,value,effective_at,reason,reference\nc1,mug,DC1,count,3,2026-03-02T08:00:00Z,,\n"
)


@pytest.mark.parametrize(
    ("stock", "changes", "status", "message"),
    [
        (STOCK, CHANGES, 0, ""),
        (STOCK.replace(",5,", ",five,"), CHANGES, 2, "error: stock.csv: line 2, column on_hand:"),
        (STOCK, CHANGES.replace("count", "recount"), 2, "error: changes.csv: line 2, column kind:"),
        (STOCK, CHANGES.replace("DC1", "DC9"), 2, "error: changes.csv: line 2: stock.csv has no item mug at DC9"),
    ],
)
def test_both_files_are_read_and_every_change_has_its_item(
    stock: str,
    changes: str,
    status: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stock.csv").write_text(stock, encoding="utf-8")
    Path("changes.csv").write_text(changes, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["check_files.py", "stock.csv", "changes.csv"])

    assert check_files.main() == status
    errors = capsys.readouterr().err
    assert errors.startswith(message)
    assert bool(errors) == bool(message)
