"""Real trade through everything a user touches: the scripts, the deployed template and its state machine."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from cli.engine import CHECKOUT
from tests.engines import private_ministack
from tests.stacks import Stack, deploy_stack

DATA: Final = CHECKOUT.parent / "shared" / "data" / "online-retail"
NUMBERS: Final = ("on_hand", "available", "unit_price", "stock_value")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the Online Retail files are not beside this checkout")


@pytest.fixture
def fresh_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with private_ministack(tmp_path_factory.mktemp("server")) as server:
        yield deploy_stack(server, "inventory-updater-test")


def levels(text: str, *, without: tuple[str, ...] = ()) -> list[dict[str, object]]:
    return [
        {name: Decimal(cell) if name in NUMBERS else cell for name, cell in row.items() if name not in without}
        for row in csv.DictReader(io.StringIO(text))
    ]


@pytest.mark.parametrize(
    ("folder", "applied", "rejected"),
    [("day-2011-09-20", 1_940, 92), pytest.param("week-2011-09-19", 17_189, 330, marks=pytest.mark.slow)],
)
def test_real_trade_leads_to_its_closing_stock_once(
    fresh_stack: Stack, folder: str, applied: int, rejected: int, tmp_path: Path
) -> None:
    trade = DATA / folder
    assert fresh_stack.script("stock", "load", str(trade / "opening_stock.csv")).status == 0
    scheduled = fresh_stack.script("changes", "--json", "schedule", "--allow-old", str(trade / "changes.csv")).answer
    assert (scheduled["added"], scheduled["known"]) == (applied + rejected, 0)

    first = fresh_stack.script("job", "run", "--json").answer

    assert (first["status"], first["tally_is_exact"]) == ("COMPLETED_WITH_FAILURES", True)
    assert (first["changes_applied"], first["changes_rejected"]) == (applied, rejected)
    exported = tmp_path / "levels.csv"
    assert fresh_stack.script("stock", "export", str(exported)).status == 0
    closing = exported.read_text(encoding="utf-8")
    expected = (trade / "closing_stock.csv").read_text(encoding="utf-8")
    only_exported = ("reserved", "safety_stock", "reorder_point", "currency", "description")
    assert levels(closing, without=only_exported) == levels(expected, without=("applied", "rejected"))

    again = fresh_stack.script("changes", "--json", "schedule", "--allow-old", str(trade / "changes.csv")).answer
    second = fresh_stack.script("job", "run", "--json").answer

    assert (again["added"], again["known"]) == (0, applied + rejected)
    assert (second["status"], second["changes_applied"], second["items_updated"]) == ("SUCCEEDED", 0, 0)
    assert fresh_stack.script("stock", "export").output == closing
