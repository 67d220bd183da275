"""Poison and overload: what the product does when everything is bad, and that it comes back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.attributes import Attributes
from inventory_updater.tables.records import JobStatus
from tests.builders import change, item_attributes
from tests.engines import Tables
from tests.fakes.dynamodb import failed_request
from tests.shop import Interposed, Shop, open_shop

WRITE = "batch_execute_statement"


@pytest.fixture
def shop(dynamodb_client: Any, tables: Tables) -> Shop:
    """A shop on each engine, with two segments."""
    return open_shop(dynamodb_client.meta.endpoint_url, tables, segments=2)


@dataclass
class Topic:
    """Stands for SNS: keeps what was sent."""

    messages: list[str]

    def publish(self, *, Message: str, **_rest: str) -> None:  # noqa: N803  # AWS's name
        self.messages.append(Message)


@dataclass
class Stopwatch:
    """The time of a call, which passes only where somebody waits."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def with_alerts(shop: Shop) -> tuple[Shop, Topic]:
    topic = Topic([])
    reports = Reporter("test", cast("Any", shop.metrics), cast("Any", topic))
    return replace(shop, services=replace(shop.services, reports=reports)), topic


def mugs(count: int) -> list[Attributes]:
    return [item_attributes(10, sku=f"mug-{n:03}", pending=[change("sale", "adjustment", -3)]) for n in range(count)]


def test_pages_full_of_bad_items_do_not_stop_the_good_ones(shop: Shop) -> None:
    shop, topic = with_alerts(shop.set_up_with(page_size=5))
    bad = [{**item, "sku": f"bad-{n:03}", "on_hand": "many"} for n, item in enumerate(mugs(40))]
    shop.put(*bad, *mugs(10))
    before = shop.items()

    run = shop.run("job-1", scope="all")

    after = shop.items()
    assert {key: after[key] for key in after if key[0].startswith("bad")} == {
        key: before[key] for key in before if key[0].startswith("bad")
    }
    assert {after[key]["on_hand"] for key in after if key[0].startswith("mug")} == {7}
    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 80.0)
    assert (run.tally.items_failed, len(list(shop.services.jobs.failures("job-1")))) == (40, 40)
    assert len(topic.messages) == 1


def test_a_table_that_throttles_for_a_minute_and_recovers_costs_time_only(shop: Shop) -> None:
    watch = Stopwatch()
    shop.put(*mugs(30))

    def throttle(real: Callable[..., Any], **request: Any) -> Any:
        if watch.seconds < 60:
            watch.seconds += 0.2
            raise failed_request("ThrottlingException")
        return real(**request)

    throttled = shop.set_up_with(Interposed(shop.client, WRITE, throttle, times=None), segments=1)
    throttled = replace(throttled, services=replace(throttled.services, monotonic=watch, sleep=watch.sleep))
    run = throttled.run(call_seconds=300.0)

    assert {item["on_hand"] for item in shop.items().values()} == {7}
    assert 60 <= watch.seconds < 120
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 30)
    assert {item["version"] for item in shop.items().values()} == {8}


def test_a_table_that_throttles_for_longer_than_a_call_leaves_the_rest_to_the_next_job(shop: Shop) -> None:
    watch = Stopwatch()
    shop.put(*mugs(6))

    def throttle(_real: Callable[..., Any], **request: Any) -> Any:
        watch.seconds += 0.2
        refused = {"Error": {"Code": "ThrottlingError", "Message": "too fast"}}
        return {"Responses": [refused] * len(request["Statements"])}

    throttled = shop.set_up_with(Interposed(shop.client, WRITE, throttle, times=None), segments=1)
    throttled = replace(throttled, services=replace(throttled.services, monotonic=watch, sleep=watch.sleep))

    run = throttled.run("job-1", call_seconds=60.0)

    assert (run.status, run.tally.items_failed) == (JobStatus.COMPLETED_WITH_FAILURES, 6)
    assert {each.code for each in shop.services.jobs.failures("job-1")} == {"ThrottlingError"}
    assert shop.metrics.figures()["OldestOverdueSeconds"] > 0
    assert shop.run().tally.changes_applied == 6


def test_a_job_of_which_every_segment_fails_says_so_once_and_gives_its_lease_back(shop: Shop) -> None:
    shop, topic = with_alerts(shop)
    shop.put(*mugs(10))
    before = shop.items()

    def refuse(_real: Callable[..., Any], **_request: Any) -> Any:
        raise failed_request("AccessDeniedException")

    run = shop.set_up_with(Interposed(shop.client, "scan", refuse, times=None)).run("job-1")

    assert (run.status, run.failure_rate, run.tally.changes_applied) == (JobStatus.FAILED, 100.0, 0)
    assert run.error is not None
    assert "AccessDenied" in run.error
    assert shop.items() == before
    assert shop.services.jobs.lease().holder is None
    assert shop.metrics.figures()["JobsFailed"] == 1
    (message,) = topic.messages
    assert "job-1" in message
    assert shop.run().tally.changes_applied == 10


def test_a_job_that_cannot_get_its_lease_for_an_hour_is_skipped_and_writes_nothing(shop: Shop) -> None:
    shop.put(*mugs(4))
    before = shop.items()
    busy, nightly = shop.request("busy"), shop.request("nightly", scope="all")
    open_job(shop.services, busy)

    asked = 0
    while (answer := open_job(shop.services, nightly)) == {"outcome": "WAIT"}:
        asked += 1
        shop.clock.goes_on(60)
        shop.services.jobs.renew_lease("busy", shop.services.settings.lease_seconds)

    assert (answer, asked) == ({"outcome": "SKIPPED"}, 60)
    run = shop.services.jobs.run("nightly")
    assert run is not None
    assert (run.status, shop.services.jobs.lease().holder) == (JobStatus.SKIPPED, "busy")
    assert shop.items() == before
    close_job(shop.services, busy)
    assert shop.run().tally.changes_applied == 4


def test_a_jobs_table_that_is_gone_fails_the_job_before_it_writes(shop: Shop) -> None:
    shop.put(*mugs(4))
    before = shop.items()

    def refuse(_real: Callable[..., Any], **_request: Any) -> Any:
        raise failed_request("ResourceNotFoundException")

    jobs = shop.services.jobs
    broken = Interposed(shop.client, "put_item", refuse, times=None)
    services = replace(
        shop.services,
        jobs=type(jobs)(cast("Any", broken), jobs.name, retention_days=30, clock=shop.clock, sleep=lambda _: None),
    )

    with pytest.raises(ClientError):
        replace(shop, services=services).run("job-1")
    assert shop.items() == before
