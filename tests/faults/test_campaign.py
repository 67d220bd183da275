"""The campaign in short, and what it is worth: a broken product does not get through it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.engine import Engine as Ministack
from tests.faults.breakages import BREAKAGES
from tests.faults.campaign import FAULTS, STATES, run_campaign, write_report
from tests.faults.findings import ZEROS
from tests.faults.gate import REQUEST_FAULTS, STATEMENT_FAULTS
from tests.faults.model import Model
from tests.faults.wire import Engine

SECONDS = 8.0


@pytest.mark.slow_on("dynamodb_local")
def test_a_short_campaign_loses_nothing_and_doubles_nothing(engine: Engine, tmp_path: Path) -> None:
    history = tmp_path / "faults-history.jsonl"

    campaign = run_campaign([engine], seconds=SECONDS, seed="make test", history=history, rounds_at_once=6)

    assert campaign.total.problems == []
    assert campaign.total.is_clean
    assert campaign.total.hits.total() > 20
    write_report(campaign, tmp_path)
    report = json.loads((tmp_path / "faults.json").read_text(encoding="utf-8"))
    assert report["hits"] == sum(report["by_fault"].values()) == campaign.hits
    assert {name: report[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert set(report["by_fault"]) <= set(FAULTS)
    assert set(report["reached"]) == set(STATES)
    assert follow(history) > 20


def follow(history: Path) -> int:
    """Work the stock out again from the history alone; how many closing items were compared."""
    models: dict[int, Model] = {}
    compared = 0
    for line in history.read_text(encoding="utf-8").splitlines():
        event: dict[str, Any] = json.loads(line)
        model = models.setdefault(event["round"], Model())
        if event["event"] != "closing":
            model.follow(event)
            continue
        key, closing = (event["item"][0], event["item"][1]), event["attributes"]
        assert event["records"] == {name: record.status for name, record in model.records[key].items()}
        item = model.items.pop(key, None)
        assert (item is None) == (closing is None)
        if item is not None:
            assert Decimal(closing["on_hand"]) == item.figures["on_hand"]
            assert Decimal(closing["available"]) == item.derived["available"]
            assert set(closing.get("windows", {})) == set(item.windows)
            compared += 1
    assert not any(model.items for model in models.values()), "an item is gone that nobody deleted"
    return compared


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_product_is_caught(ministack: Ministack, breakage: str) -> None:
    engine = Engine("ministack", ministack.endpoint_url)

    campaign = run_campaign([engine], seconds=120.0, seed="make test", breakage=breakage, rounds_at_once=8)

    assert not campaign.total.is_clean
    assert BREAKAGES[breakage].finding in campaign.total.kinds


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_longer_campaign_loses_nothing_and_doubles_nothing(engine: Engine) -> None:
    campaign = run_campaign([engine], seconds=60.0, seed="make test-all")

    assert campaign.total.problems == []
    assert campaign.total.is_clean
    statements_and_requests = {*REQUEST_FAULTS, *STATEMENT_FAULTS}
    assert {fault for fault in statements_and_requests if not campaign.total.hits[fault]} == set()
