"""`stock.py load` on tables in memory: all that is wrong with a file at once, and what is good of it."""

import csv
import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import stock_verbs
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED
from inventory_updater.intake.text_rows import STOCK_COLUMNS
from inventory_updater.stock.items import ItemKey
from tests.builders import item_attributes
from tests.fakes.warehouse import Warehouse

HEADER = ";".join(STOCK_COLUMNS)
FILE = gzip.compress(
    f"{HEADER}\nmug;DC1;99;;;;;;\ncup;DC1;1.234,5;;;;2,50;EUR;\npot;DC1;many;;;;x;;\npan;DC1;3;;;;;;\npan;DC1;4;;;;;;\n".encode()
)


def test_all_that_is_wrong_with_stock_is_told_at_once_and_what_is_good_can_be_taken(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    services = warehouse.services
    warehouse.put(item_attributes())
    deployed = SimpleNamespace(
        dynamodb=lambda: services.dynamodb, inventory=lambda: services.inventory, changes=lambda: services.changes
    )
    monkeypatch.setattr(stock_verbs, "find_deployment", lambda _options: deployed)
    file, rest = tmp_path / "stock.csv.gz", tmp_path / "rest.csv"
    file.write_bytes(FILE)

    def load(*arguments: str) -> int:
        return stock_verbs.commands().main(["load", "--decimal-comma", *arguments])

    assert load("--check", "--json", str(file)) == EXIT_BAD_INPUT
    answer = json.loads(capsys.readouterr().out)
    assert [(each["line"], each["column"], each["code"]) for each in answer["problems"]] == [
        (2, "sku", "ITEM_EXISTS"),
        (3, "on_hand", "NOT_A_NUMBER"),
        (4, "on_hand", "NOT_A_NUMBER"),
        (4, "unit_price", "NOT_A_NUMBER"),
        (6, "sku", "DUPLICATE_ITEM"),
    ]
    assert (answer["rows"], answer["good"]) == (5, 1)
    file.write_bytes(gzip.compress(gzip.decompress(FILE).replace(b"1.234,5", b"1234,5")))

    assert load("--accept-good", str(rest), "--json", str(file)) == EXIT_FAILED
    assert json.loads(capsys.readouterr().out)["given_back"] == 4
    keys = [ItemKey(sku, "DC1") for sku in ("cup", "pot", "pan")]
    (item,) = services.inventory.read_many(keys).values()
    assert (item["sku"], str(item["on_hand"]), str(item["unit_price"])) == ("cup", "1234.5", "2.5")

    with rest.open(encoding="utf-8", newline="") as text:
        assert [row[0] for row in csv.reader(text, delimiter=";")] == ["sku", "mug", "pot", "pan", "pan"]
    corrected = rest.read_text(encoding="utf-8").splitlines()
    del corrected[4], corrected[1]
    rest.write_text("\n".join(corrected).replace("many", "1").replace(";x;", ";;"), encoding="utf-8")
    assert load(str(rest)) == EXIT_DONE
    assert len(services.inventory.read_many(keys)) == 3
