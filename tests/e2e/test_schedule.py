"""The schedule itself starts jobs: nobody else does, in a stack of its own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from cli.engine import Engine
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

STOCK: Final = "sku,location_id,on_hand,reserved,safety_stock,reorder_point,unit_price,currency,description\n"
CHANGES: Final = "change_id,sku,location_id,kind,value,effective_at,reason,reference\n"


def jobs_that_applied_something(stack: Stack) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = stack.script("job", "list", "--json").answer["jobs"]
    return [job for job in jobs if job["status"] == "SUCCEEDED" and job["changes_applied"]]


@pytest.mark.slow
def test_a_schedule_of_one_minute_applies_what_is_due(server: Engine, tmp_path: Path) -> None:
    next_year = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    often = {"DueScheduleExpression": "rate(1 minute)", "DueScheduleState": "ENABLED"}
    stack = deploy_stack(server, "inventory-updater-test", **often)
    stock, changes = tmp_path / "stock.csv", tmp_path / "changes.csv"
    stock.write_text(f"{STOCK}MUG,GB-DC1,10,,,,2.5,GBP,Mug\n", encoding="utf-8")
    changes.write_text(
        f"{CHANGES}c1,MUG,GB-DC1,adjustment,-3,2026-03-02T09:00:00Z,sale,\n"
        f"c2,MUG,GB-DC1,adjustment,-3,{next_year},sale,\n",
        encoding="utf-8",
    )
    assert stack.script("stock", "load", str(stock)).status == 0
    assert stack.script("changes", "schedule", "--allow-old", str(changes)).status == 0

    wait_until(lambda: jobs_that_applied_something(stack), "the schedule does not fire")

    applied = jobs_that_applied_something(stack)
    assert [(run["trigger"], run["scope"], run["changes_applied"]) for run in applied] == [("schedule", "due", 1)]
    levels = stack.script("stock", "export").output.splitlines()
    assert levels[1:] == ["MUG,GB-DC1,7,0,0,0,2.5,GBP,Mug,7,IN_STOCK,17.5"]
