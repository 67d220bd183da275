"""The schedule itself starts jobs: nobody else does, in a stack of its own."""

import time
from pathlib import Path
from typing import Any, Final

import pytest

from engine import Engine
from tests.stacks import Stack, deploy_stack

STOCK: Final = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description\n"
CHANGES: Final = "change_id,sku,location_id,kind,value,effective_at,reason,reference\n"

# A rate of one minute fires within one; the rest is for a busy machine.
FIRES_WITHIN_SECONDS: Final = 240.0


@pytest.fixture
def every_minute(server: Engine) -> Stack:
    return deploy_stack(
        server, "inventory-updater-test", DueScheduleExpression="rate(1 minute)", DueScheduleState="ENABLED"
    )


def finished_jobs(stack: Stack) -> list[dict[str, Any]]:
    return [run for run in stack.script("job", "list", "--json").answer["jobs"] if run["status"] == "SUCCEEDED"]


def test_a_schedule_of_one_minute_applies_what_is_due(every_minute: Stack, tmp_path: Path) -> None:
    stock, changes = tmp_path / "stock.csv", tmp_path / "changes.csv"
    stock.write_text(f"{STOCK}MUG,GB-DC1,10,,,,2.5,GBP,Mug\n", encoding="utf-8")
    changes.write_text(
        f"{CHANGES}c1,MUG,GB-DC1,adjustment,-3,2026-03-02T09:00:00Z,sale,\n"
        f"c2,MUG,GB-DC1,adjustment,-3,2999-03-02T09:00:00Z,sale,\n",
        encoding="utf-8",
    )
    assert every_minute.script("stock", "load", str(stock)).status == 0
    assert every_minute.script("changes", "schedule", str(changes)).status == 0

    deadline = time.monotonic() + FIRES_WITHIN_SECONDS
    applied: list[dict[str, Any]] = []
    while not applied and time.monotonic() < deadline:
        applied = [run for run in finished_jobs(every_minute) if run["changes_applied"]]
        time.sleep(1)

    assert [(run["trigger"], run["scope"], run["changes_applied"]) for run in applied] == [("schedule", "due", 1)]
    levels = every_minute.script("stock", "export").output.splitlines()
    assert levels[1:] == ["MUG,GB-DC1,7,7,IN_STOCK,2.5,17.5"]
