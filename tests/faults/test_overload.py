"""Poison and overload: what the product does when everything is bad, and that it comes back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus
from tests.builders import change, mugs, unreadable
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import WRITE, failed_request
from tests.fakes.sns import RecordingTopic
from tests.shop import Interposed, Shop


def test_pages_full_of_bad_items_do_not_stop_the_good_ones(shop: Shop) -> None:
    topic = RecordingTopic("arn:aws:sns:eu-west-1:123456789012:alerts")
    reports = Reporter("test", shop.metrics.client, topic.client, topic.arn)
    shop = shop.set_up_with(page_size=5)
    shop = replace(shop, services=replace(shop.services, reports=reports))
    shop.put(*(unreadable(f"bad-{number:03}", change("sale", "adjustment", -3)) for number in range(40)), *mugs(10))
    before = shop.items()

    run = shop.run("job-1", scope="all")

    after = shop.items()
    assert {sku for sku, dc in after if after[sku, dc] != before[sku, dc]} == {f"mug-{n:03}" for n in range(10)}
    assert {item["on_hand"] for (sku, _), item in after.items() if sku.startswith("mug")} == {7}
    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 80.0)
    assert (run.tally.items_failed, len(list(shop.services.jobs.failures("job-1")))) == (40, 40)
    assert len(topic.sent) == 1


def throttled(shop: Shop, watch: Clock, throttle: Callable[..., Any]) -> Shop:
    """The shop with a table that throttles writes, and a job whose time is that of the watch."""
    slow = shop.set_up_with(Interposed(shop.client, WRITE, throttle, times=None), segments=1)
    return replace(slow, services=replace(slow.services, monotonic=watch.monotonic, sleep=watch.sleep))


def test_a_table_that_throttles_for_a_minute_and_recovers_costs_time_only(shop: Shop) -> None:
    watch = Clock()
    shop.put(*mugs(30))

    def throttle(real: Callable[..., Any], **request: Any) -> Any:
        if watch.seconds < 60:
            watch.seconds += 0.2
            raise failed_request("ThrottlingException")
        return real(**request)

    run = throttled(shop, watch, throttle).run(call_seconds=300.0)

    assert {(item["on_hand"], item["version"]) for item in shop.items().values()} == {(7, 8)}
    assert 60 <= watch.seconds < 120
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 30)


def test_a_table_that_throttles_for_longer_than_a_call_leaves_the_rest_to_the_next_job(shop: Shop) -> None:
    watch = Clock()
    shop.put(*mugs(6))

    def throttle(_real: Callable[..., Any], **request: Any) -> Any:
        watch.seconds += 0.2
        refused = {"Error": {"Code": "ThrottlingError", "Message": "too fast"}}
        return {"Responses": [refused] * len(request["Statements"])}

    run = throttled(shop, watch, throttle).run("job-1", call_seconds=60.0)

    assert (run.status, run.tally.items_failed) == (JobStatus.COMPLETED_WITH_FAILURES, 6)
    assert {each.code for each in shop.services.jobs.failures("job-1")} == {"ThrottlingError"}
    assert shop.metrics.figures()["OldestOverdueSeconds"] > 0
    assert shop.run().tally.changes_applied == 6


def test_a_jobs_table_that_is_gone_fails_the_job_before_it_writes(shop: Shop) -> None:
    shop.put(*mugs(4))
    before = shop.items()

    def refuse(_real: Callable[..., Any], **_request: Any) -> Any:
        raise failed_request("ResourceNotFoundException")

    broken = cast("Any", Interposed(shop.client, "put_item", refuse, times=None))
    name = shop.services.jobs.name
    jobs = JobTable(broken, name, retention_days=30, clock=shop.clock, sleep=lambda _: None)

    with pytest.raises(ClientError):
        replace(shop, services=replace(shop.services, jobs=jobs)).run("job-1")
    assert shop.items() == before
