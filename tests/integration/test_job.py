"""The job beside other writers, through faults, and what it leaves behind, on each engine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.worker import update_segment
from inventory_updater.tables.records import Failure, JobStatus, Lease, Tally
from tests.builders import change, item_attributes, moment, mugs, with_a_sale
from tests.engines import table_definition
from tests.fakes.dynamodb import WRITE
from tests.shop import Interposed, Shop, just_before

pytestmark = pytest.mark.parametrize("client_kind", ["JSON", "botocore"])


def failures(shop: Shop, job_id: str) -> set[tuple[str, str | None, str]]:
    return {(each.sku, each.change_id, each.code) for each in shop.services.jobs.failures(job_id)}


def stays_as_it_is(shop: Shop) -> Callable[[], bool]:
    before = shop.items()
    return lambda: shop.items() == before


# What a job does


FUTURE = change("future", "count", 3, "2099-01-01T00:00:00.000000Z")


def test_a_job_applies_what_is_due_and_says_what_it_did(shop: Shop) -> None:
    late, last_set = change("late", "count", 3, "08:00"), {"count": ("09:00", "c0")}
    untouched = item_attributes(10, sku="d", pending=[FUTURE])
    shop.put(
        item_attributes(10, sku="a", pending=[change("in", "adjustment", 5)]),
        item_attributes(10, sku="b", pending=[change("out", "adjustment", -11), change("price", "price", 4)]),
        item_attributes(10, sku="c", pending=[late], last_set=last_set),
        untouched,
        item_attributes(10, sku="e"),
    )

    run = shop.run("job-1")

    found = {sku: item for (sku, _), item in shop.items().items()}
    assert (found["a"]["on_hand"], found["a"]["available"], found["a"]["stock_value"]) == (15, 15, Decimal("37.5"))
    assert (found["b"]["on_hand"], found["b"]["unit_price"], found["b"]["stock_value"]) == (10, 4, 40)
    assert (found["c"]["on_hand"], found["d"], "next_change_at" in found["a"]) == (10, untouched, False)
    assert (run.status, run.tally_is_exact, run.error) == (JobStatus.COMPLETED_WITH_FAILURES, True, None)
    assert (run.tally.items_updated, run.tally.items_failed, run.tally.items_with_work) == (3, 0, 3)
    assert (run.tally.changes_applied, run.tally.changes_rejected, run.tally.changes_superseded) == (2, 1, 1)
    assert run.failure_rate == pytest.approx(100 / 3)
    assert failures(shop, "job-1") == {("b", "out", "INSUFFICIENT_STOCK")}
    assert shop.services.jobs.lease().holder is None


def test_a_job_is_recorded_with_what_was_asked_and_how_it_ended(shop: Shop) -> None:
    shop.put(with_a_sale())

    run = shop.run("job-1", trigger="schedule", as_of="2026-03-02T10:00:00+01:00")

    assert shop.services.jobs.run("job-1") == run
    assert (run.scope, run.trigger, run.dry_run, run.as_of) == ("due", "schedule", False, moment("09:00"))
    assert run.status == JobStatus.SUCCEEDED
    assert run.started_at < (run.finished_at or "")
    assert (run.duration_seconds or 0) > 0
    assert [each.job_id for each in shop.services.jobs.runs()] == ["job-1"]


def test_only_a_job_of_scope_all_repairs_what_other_writers_left_behind(shop: Shop) -> None:
    shop.put(
        item_attributes(10, sku="stale", available=99, stock_status="OUT_OF_STOCK", stock_value=None),
        with_a_sale("hidden", next_change_at=None),
        item_attributes(10, sku="right"),
    )

    due, every = shop.run(scope="due"), shop.run(scope="all")

    assert (due.tally.items_scanned, due.tally.items_updated) == (0, 0)
    assert (every.tally.items_scanned, every.tally.items_updated, every.tally.changes_applied) == (3, 2, 1)
    found = {sku: (item["available"], item["stock_status"]) for (sku, _), item in shop.items().items()}
    assert found == {"stale": (10, "IN_STOCK"), "hidden": (7, "IN_STOCK"), "right": (10, "IN_STOCK")}


def test_pages_that_the_filter_empties_are_passed_over(shop: Shop) -> None:
    shop = shop.set_up_with(page_size=1, segments=1)
    shop.put(*mugs(12, pending=[FUTURE]), with_a_sale("due"))

    run = shop.run()

    assert (run.tally.items_scanned, run.tally.changes_applied) == (13, 1)


# Items that cannot be read


def test_items_that_cannot_be_read_are_failures_of_those_items_alone(shop: Shop) -> None:
    spoilt = [
        with_a_sale("text") | {"on_hand": "many"},
        item_attributes(None, sku="missing", pending=[change("sale", "adjustment", -3)]),
        with_a_sale("null") | {"reserved": True},
        with_a_sale("list") | {"pending_changes": ["sale"]},
        with_a_sale("huge", version="1E+40"),
    ]
    shop.put(*spoilt, *mugs(3))
    before = shop.items()

    run = shop.run("job-1")

    after = shop.items()
    assert {sku for sku, location in after if after[sku, location] == before[sku, location]} == {
        *(item["sku"] for item in spoilt)
    }
    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 62.5)
    assert (run.tally.items_failed, run.tally.items_updated, run.tally.changes_applied) == (5, 3, 3)
    assert set(shop.services.jobs.failures("job-1")) == {
        Failure("text", "DC1", None, "WRONG_TYPE", "on_hand is not a number"),
        Failure("missing", "DC1", None, "MISSING_QUANTITY", "on_hand is missing"),
        Failure("null", "DC1", None, "WRONG_TYPE", "reserved is not a number"),
        Failure("list", "DC1", None, "WRONG_TYPE", "pending_changes is not a map"),
        Failure("huge", "DC1", None, "TOO_PRECISE", "version cannot be raised by one within 38 digits"),
    }


# Other writers


@pytest.mark.parametrize(
    ("expression", "figures", "counted"),
    [
        ("SET on_hand = on_hand - :number", {"on_hand": 6, "available": 6}, {"changes_applied": 1}),
        ("SET reserved = :number", {"on_hand": 7, "reserved": 1, "available": 6}, {"changes_applied": 1}),
        ("SET on_hand = :number", {"on_hand": 1, "available": 1}, {"changes_applied": 0, "changes_rejected": 1}),
    ],
    ids=["sale", "reservation", "count that leaves too little for the change"],
)
def test_what_another_writer_does_while_the_page_is_being_written_is_kept_and_the_change_is_judged_by_it(
    shop: Shop, expression: str, figures: dict[str, int], counted: dict[str, int]
) -> None:
    shop.put(with_a_sale(reserved=None))

    run = shop.set_up_with(just_before(shop.client, WRITE, lambda: shop.update(expression, number=1))).run("job-1")

    assert shop.item() == {**shop.item(), **figures}
    assert asdict(run.tally) == asdict(run.tally) | counted | {"conflicts": 1}
    assert run.tally_is_exact
    assert failures(shop, "job-1") == ({("mug", "sale", "INSUFFICIENT_STOCK")} if run.tally.changes_rejected else set())


def test_a_change_scheduled_while_the_page_is_being_written_stays_pending(shop: Shop) -> None:
    shop.put(with_a_sale())
    added = change("new", "price", 9, "2099-01-01T00:00:00.000000Z").to_map()
    new = "SET pending_changes.new_1 = :change, version = version + :one"

    run = shop.set_up_with(just_before(shop.client, WRITE, lambda: shop.update(new, change=added, one=1))).run()

    kept = {"on_hand": 7, "pending_changes": {"new_1": added}, "next_change_at": added["effective_at"]}
    assert shop.item() == {**shop.item(), **kept}
    assert run.tally.changes_applied == 1


def test_a_change_cancelled_while_the_page_is_being_written_is_not_applied(shop: Shop) -> None:
    shop.put(with_a_sale())
    gone = "REMOVE next_change_at SET pending_changes = :none, version = version + :one"

    run = shop.set_up_with(just_before(shop.client, WRITE, lambda: shop.update(gone, none={}, one=1))).run()

    assert (shop.item()["on_hand"], run.status) == (10, JobStatus.SUCCEEDED)
    assert (run.tally.changes_applied, run.tally.items_updated, run.tally.items_with_work) == (0, 0, 0)


def test_an_item_deleted_while_the_page_is_being_written_is_not_made_again(shop: Shop) -> None:
    shop.put(*mugs(3))
    key = {"sku": {"S": "mug-001"}, "location_id": {"S": "DC1"}}
    delete = just_before(
        shop.client, WRITE, lambda: shop.client.delete_item(TableName=shop.services.inventory.name, Key=key)
    )

    run = shop.set_up_with(delete, segments=1).run("job-1")

    assert {sku: item["on_hand"] for (sku, _), item in shop.items().items()} == {"mug-000": 7, "mug-002": 7}
    assert (run.status, run.tally.items_failed, run.tally.changes_applied) == (JobStatus.COMPLETED_WITH_FAILURES, 1, 2)
    assert list(shop.services.jobs.failures("job-1")) == [
        Failure("mug-001", "DC1", None, "ITEM_DELETED", "the item was deleted while its changes were being applied")
    ]


def test_an_item_spoilt_while_the_page_is_being_written_fails_alone(shop: Shop) -> None:
    shop.put(*mugs(3))
    spoil = just_before(shop.client, WRITE, lambda: shop.update("SET on_hand = :text", sku="mug-001", text="many"))

    run = shop.set_up_with(spoil).run("job-1")

    on_hand = {sku: item["on_hand"] for (sku, _), item in shop.items().items()}
    assert on_hand == {"mug-000": 7, "mug-001": "many", "mug-002": 7}
    assert (run.tally.items_failed, run.tally.changes_applied) == (1, 2)
    assert failures(shop, "job-1") == {("mug-001", None, "WRONG_TYPE")}


# Faults


def test_a_lost_answer_is_counted_once(shop: Shop) -> None:
    shop.put(*mugs(30))

    def lose(real: Callable[..., Any], **request: Any) -> Any:
        real(**request)
        raise ReadTimeoutError(endpoint_url="somewhere")

    run = shop.set_up_with(Interposed(shop.client, WRITE, lose, times=2)).run()

    assert {(item["on_hand"], item["version"]) for item in shop.items().values()} == {(7, 8)}
    assert (run.tally.changes_applied, run.tally.items_updated, run.tally_is_exact) == (30, 30, True)
    assert run.status == JobStatus.SUCCEEDED


def test_a_statement_that_the_table_refuses_for_good_is_a_failure_of_its_item_until_the_next_job(shop: Shop) -> None:
    shop.put(*mugs(5))
    refusal = {"Error": {"Code": "ItemCollectionSizeLimitExceeded", "Message": "no"}}

    def refuse_the_first(real: Callable[..., Any], **request: Any) -> Any:
        answer = real(**request | {"Statements": request["Statements"][1:]})
        return answer | {"Responses": [refusal, *answer["Responses"]]}

    run = shop.set_up_with(Interposed(shop.client, WRITE, refuse_the_first), segments=1).run("job-1")

    assert sorted(str(item["on_hand"]) for item in shop.items().values()) == ["10", "7", "7", "7", "7"]
    assert (run.status, run.tally.items_failed, run.tally.changes_applied) == (JobStatus.COMPLETED_WITH_FAILURES, 1, 4)
    assert [each[1:] for each in failures(shop, "job-1")] == [(None, "ItemCollectionSizeLimitExceeded")]
    assert shop.run().tally.changes_applied == 1


# A dry run


def test_a_table_that_is_gone_is_named_in_the_error_of_the_job_with_its_way_back(shop: Shop) -> None:
    table = shop.services.inventory.name
    shop.client.delete_table(TableName=table)
    try:
        run = shop.run("job-1")
    finally:
        shop.client.create_table(**table_definition("InventoryTable", table.removeprefix("inventory-")))

    assert run.status is JobStatus.FAILED
    assert f"table {table} is gone, see docs/operations.md#gone-the-table-was-deleted: " in (run.error or "")


def test_a_dry_run_counts_like_a_real_one_and_writes_nothing(shop: Shop) -> None:
    shop.put(*mugs(5), *mugs(8, pending=[change("sale", "adjustment", -11)])[5:], item_attributes(9) | {"on_hand": "x"})
    unchanged = stays_as_it_is(shop)

    rehearsed = shop.run("rehearsal", scope="all", dry_run=True)
    assert unchanged()
    real = shop.run("real", scope="all")

    for run in (rehearsed, real):
        assert (run.tally.items_scanned, run.tally.items_updated, run.tally.items_failed) == (9, 8, 1)
        assert (run.tally.changes_applied, run.tally.changes_rejected) == (5, 3)
    assert (rehearsed.dry_run, real.dry_run) == (True, False)
    assert rehearsed.status == real.status == JobStatus.COMPLETED_WITH_FAILURES
    assert failures(shop, "rehearsal") == failures(shop, "real")


# The lease


def test_while_a_job_works_one_of_scope_due_is_skipped_and_one_of_scope_all_waits(shop: Shop) -> None:
    shop.put(with_a_sale())
    first, third = shop.request("first"), shop.request("third", scope="all")
    open_job(shop.services, first)
    unchanged = stays_as_it_is(shop)

    second = shop.run("second")

    assert (second.status, "first" in (second.error or "")) == (JobStatus.SKIPPED, True)
    assert open_job(shop.services, third) == {"outcome": "WAIT"}
    assert (shop.services.jobs.lease().holder, shop.services.jobs.run("third")) == ("first", None)
    assert (unchanged(), shop.metrics.published) == (True, [])
    close_job(shop.services, first)
    assert open_job(shop.services, third) == {"outcome": "OPENED", "segments": [0, 1]}


def test_an_expired_lease_is_taken_over_and_the_old_job_becomes_abandoned(shop: Shop) -> None:
    shop.put(*mugs(4))
    open_job(shop.services, shop.request("dead"))
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)

    run = shop.run("next")

    abandoned = shop.services.jobs.run("dead")
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 4)
    assert abandoned is not None
    assert (abandoned.status, abandoned.finished_at is None) == (JobStatus.ABANDONED, False)
    assert "next" in (abandoned.error or "")
    assert shop.services.jobs.lease() == Lease()


def test_a_job_that_comes_back_to_life_writes_nothing_and_frees_nothing(shop: Shop) -> None:
    shop.put(*mugs(4))
    dead = shop.request("dead")
    open_job(shop.services, dead)
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)
    open_job(shop.services, shop.request("next"))
    unchanged = stays_as_it_is(shop)

    assert all(update_segment(shop.services, "dead", number) for number in (0, 1))
    assert close_job(shop.services, dead) == JobStatus.ABANDONED
    assert unchanged()
    assert shop.services.jobs.lease().holder == "next"


def test_a_long_job_renews_its_lease(shop: Shop) -> None:
    shop = shop.set_up_with(segments=1, page_size=1)
    shop.put(*mugs(8))
    held: list[bool] = []

    def watch(real: Callable[..., Any], **request: Any) -> Any:
        shop.clock.goes_on(shop.services.settings.lease_seconds / 3)
        held.append(shop.services.jobs.take_lease("other", 60).holder == "long")
        return real(**request)

    run = shop.set_up_with(Interposed(shop.client, WRITE, watch, times=None)).run("long")

    assert held == [True] * 8
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 8)


# Closing


def test_the_metrics_of_a_job_say_what_it_did(shop: Shop) -> None:
    shop.put(*mugs(4), with_a_sale("bad") | {"on_hand": "x"})

    shop.run()

    figures = shop.metrics.figures()
    expected = {"ItemsScanned": 5, "ItemsUpdated": 4, "ItemsFailed": 1, "ChangesApplied": 4, "ChangesRejected": 0}
    expected |= {"FailureRate": 20, "JobsFinished": 1, "JobsSucceeded": 0, "JobsFailed": 0}
    assert figures == figures | expected
    # The sale of the item that cannot be read has been due since 2 March 2026.
    assert figures["OldestOverdueSeconds"] > 86_400
    assert figures["MemoryUsed"] > 10


def test_two_jobs_started_at_once_apply_every_change_once(shop: Shop) -> None:
    shop.put(*mugs(60))

    with ThreadPoolExecutor(3) as threads:
        runs = list(threads.map(shop.run, ["job-1", "job-2", "job-3"]))

    assert {(item["on_hand"], item["version"]) for item in shop.items().values()} == {(7, 8)}
    assert sum((run.tally for run in runs), Tally()).changes_applied == 60
    assert {run.status for run in runs} <= {JobStatus.SUCCEEDED, JobStatus.SKIPPED}
