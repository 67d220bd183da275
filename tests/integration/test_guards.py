"""Files that are unusual, through `changes.py`: held with exactly the rows that are, and taken when they are meant."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from cli import change_verbs, previewing
from cli.exit_codes import EXIT_DONE, EXIT_HELD
from tests.builders import NEXT_YEAR, USUAL_GUARDS, item_attributes
from tests.shop import Shop, put_items

ITEMS: Final = 3_000
CENTS: Final = {f"SKU-{number:04}": 1_000 + number for number in range(ITEMS)}

Command = Callable[..., int]


@pytest.fixture
def command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Command:
    services = shop.services
    deployed = SimpleNamespace(
        dynamodb=lambda: services.dynamodb,
        inventory=lambda: services.inventory,
        changes=lambda: services.changes,
        guards=lambda: USUAL_GUARDS,
        caller=lambda: "ann",
        parameters={"AllowNegativeStock": "false"},
    )
    for verbs in (change_verbs, previewing):
        monkeypatch.setattr(verbs, "find_deployment", lambda _options: deployed)
    return lambda *arguments: change_verbs.commands().main(arguments)


def test_a_price_list_with_one_percent_of_its_prices_100_times_too_high_is_held_with_exactly_these_rows(
    shop: Shop, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_items(
        shop.client,
        shop.tables.inventory,
        [item_attributes(sku=sku, unit_price=f"{cents / 100:.2f}") for sku, cents in CENTS.items()],
    )
    raised = {sku: f"{cents * 1.05 / 100:.2f}" for sku, cents in CENTS.items()}
    wrong = {sku: raised[sku].replace(".", "") for sku in list(raised)[7::100]}
    lines = [line for line, sku in enumerate(raised, start=2) if sku in wrong]
    path = tmp_path / "prices.csv"
    rows = [f"p1,{sku},DC1,price,{price},{NEXT_YEAR}" for sku, price in (raised | wrong).items()]
    path.write_text("\n".join(["change_id,sku,location_id,kind,value,effective_at", *rows, ""]), encoding="utf-8")
    file = str(path)

    assert command("schedule", file) == EXIT_HELD
    screen = capsys.readouterr()
    assert command("--json", "schedule", file) == EXIT_HELD
    document = json.loads(capsys.readouterr().out)

    *named, last = screen.err.splitlines()
    assert [int(line) for each in named for line in re.findall(r"line (\d+), column value: ", each)] == lines
    assert named[0].endswith("1057 is 10,396.6 % above the price of 10.07; MaxPriceChangePercent is 50"), named[0]
    assert last == (
        "30 rows are unusual, and nothing was written; if that is meant, send the file again with --accept-unusual"
    )
    assert (document["held"], document["rows"], document["good"], document["problems"]) == (True, ITEMS, ITEMS, [])
    assert [(each["line"], each["code"]) for each in document["unusual"]] == [(each, "PRICE_CHANGE") for each in lines]
    assert list(shop.services.changes.waiting()) == []

    assert command("--json", "preview", file) == EXIT_DONE
    preview = json.loads(capsys.readouterr().out)
    assert preview["unusual_by_code"] == {"PRICE_CHANGE": 30}
    for option in ("--csv", "--utc"):
        assert command("preview", option, file) == EXIT_DONE
        assert "30 PRICE_CHANGE" in "".join(capsys.readouterr())
    assert command("schedule", "--accept-unusual", "--plan-id", preview["plan_id"], file) == EXIT_DONE
    assert command("schedule", file) == EXIT_DONE
    assert capsys.readouterr().out.splitlines() == [
        "3,000 changes added for 3,000 items",
        "0 changes added for 3,000 items; 3,000 known already: 3,000 PENDING",
    ]
