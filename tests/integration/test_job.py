"""The job beside other writers, through faults, and what it leaves behind, on each engine."""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.worker import update_segment
from inventory_updater.tables.records import Failure, JobStatus, Lease, Tally
from tests.builders import change, item_attributes, moment, mugs, with_a_sale
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import WRITE
from tests.shop import Interposed, Shop, just_before

pytestmark = pytest.mark.parametrize("client_kind", ["JSON", "botocore"])


def failures(shop: Shop, job_id: str) -> set[tuple[str, str | None, str]]:
    return {(each.sku, each.change_id, each.code) for each in shop.services.jobs.failures(job_id)}


def stays_as_it_is(shop: Shop) -> Callable[[], bool]:
    before = shop.items()
    return lambda: shop.items() == before


# What a job does


def test_a_job_applies_what_is_due_and_says_what_it_did(shop: Shop) -> None:
    shop.put(
        item_attributes(10, sku="a", pending=[change("in", "adjustment", 5)]),
        item_attributes(10, sku="b", pending=[change("out", "adjustment", -11), change("price", "price", 4)]),
        item_attributes(
            10, sku="c", pending=[change("late", "count", 3, "08:00")], last_set={"count": ("09:00", "c0")}
        ),
        item_attributes(10, sku="d", pending=[change("future", "count", 3, "2099-01-01T00:00:00.000000Z")]),
        item_attributes(10, sku="e"),
    )

    run = shop.run("job-1")

    found = {sku: item for (sku, _), item in shop.items().items()}
    assert (found["a"]["on_hand"], found["a"]["available"], found["a"]["stock_value"]) == (15, 15, Decimal("37.5"))
    assert (found["b"]["on_hand"], found["b"]["unit_price"], found["b"]["stock_value"]) == (10, 4, 40)
    assert found["c"]["on_hand"] == 10
    assert "next_change_at" not in found["a"]
    assert found["d"] == item_attributes(
        10, sku="d", pending=[change("future", "count", 3, "2099-01-01T00:00:00.000000Z")]
    )
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
    assert run.finished_at is not None
    assert run.finished_at > run.started_at
    assert run.duration_seconds is not None
    assert run.duration_seconds > 0
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
    future = [change("future", "count", 3, "2099-01-01T00:00:00.000000Z")]
    shop.put(*mugs(12, pending=future), with_a_sale("due"))

    run = shop.run()

    assert (run.tally.items_scanned, run.tally.changes_applied) == (13, 1)


def test_the_write_rate_is_capped_across_the_job(shop: Shop) -> None:
    shop = shop.set_up_with(max_write_rate=40, segments=1, batch_size=5)
    shop.put(*mugs(40))

    run = shop.run()

    assert run.duration_seconds is not None
    assert run.duration_seconds > 0.8
    assert run.tally.changes_applied == 40


# Items that cannot be read


def test_items_that_cannot_be_read_are_failures_of_those_items_alone(shop: Shop) -> None:
    spoilt: dict[str, dict[str, object]] = {
        "text": {"on_hand": "many"},
        "missing": {"on_hand": None},
        "null": {"reserved": True},
        "list": {"pending_changes": ["sale"]},
        "huge": {"version": Decimal("1E+40")},
    }
    for sku, attributes in spoilt.items():
        stored = with_a_sale(sku) | attributes
        shop.put({name: value for name, value in stored.items() if value is not None})
    shop.put(*mugs(3))
    before = shop.items()

    run = shop.run("job-1")

    after = shop.items()
    assert {key: after[key] for key in after if key[0] in spoilt} == {
        key: before[key] for key in before if key[0] in spoilt
    }
    assert all(after[key]["on_hand"] == 7 for key in after if key[0] not in spoilt)
    assert run.status == JobStatus.COMPLETED_WITH_FAILURES
    assert (run.tally.items_failed, run.tally.items_updated, run.tally.changes_applied) == (5, 3, 3)
    assert run.failure_rate == pytest.approx(100 * 5 / 8)
    assert set(shop.services.jobs.failures("job-1")) == {
        Failure("text", "DC1", None, "WRONG_TYPE", "on_hand is not a number"),
        Failure("missing", "DC1", None, "MISSING_QUANTITY", "on_hand is missing"),
        Failure("null", "DC1", None, "WRONG_TYPE", "reserved is not a number"),
        Failure("list", "DC1", None, "WRONG_TYPE", "pending_changes is not a map"),
        Failure("huge", "DC1", None, "TOO_PRECISE", "version cannot be raised by one within 38 digits"),
    }


# Other writers


def test_a_sale_made_while_the_page_is_being_written_is_not_lost(shop: Shop) -> None:
    shop.put(with_a_sale())
    beside = just_before(shop.client, WRITE, lambda: shop.update("SET on_hand = on_hand - :sold", sold=2))

    run = shop.set_up_with(beside).run()

    assert (shop.item()["on_hand"], shop.item()["available"]) == (5, 5)
    assert (run.tally.changes_applied, run.tally.conflicts, run.tally_is_exact) == (1, 1, True)
    assert run.status == JobStatus.SUCCEEDED


def test_a_reservation_made_while_the_page_is_being_written_is_not_lost(shop: Shop) -> None:
    shop.put(with_a_sale(reserved=None))
    beside = just_before(shop.client, WRITE, lambda: shop.update("SET reserved = :reserved", reserved=4))

    shop.set_up_with(beside).run()

    assert (shop.item()["on_hand"], shop.item()["reserved"], shop.item()["available"]) == (7, 4, 3)


def test_a_change_is_judged_again_by_the_stock_that_another_writer_left(shop: Shop) -> None:
    shop.put(with_a_sale())
    beside = just_before(shop.client, WRITE, lambda: shop.update("SET on_hand = :rest", rest=2))

    run = shop.set_up_with(beside).run("job-1")

    assert (shop.item()["on_hand"], shop.item()["available"]) == (2, 2)
    assert (run.tally.changes_applied, run.tally.changes_rejected) == (0, 1)
    assert failures(shop, "job-1") == {("mug", "sale", "INSUFFICIENT_STOCK")}


def test_a_change_scheduled_while_the_page_is_being_written_stays_pending(shop: Shop) -> None:
    shop.put(with_a_sale())
    added = change("new", "price", 9, "2099-01-01T00:00:00.000000Z")

    def schedule() -> None:
        shop.update(
            "SET pending_changes.new_1 = :change, version = version + :one",
            change=added.to_map(),
            one=1,
        )

    run = shop.set_up_with(just_before(shop.client, WRITE, schedule)).run()

    assert shop.item()["on_hand"] == 7
    assert shop.item()["pending_changes"] == {"new_1": added.to_map()}
    assert shop.item()["next_change_at"] == "2099-01-01T00:00:00.000000Z"
    assert run.tally.changes_applied == 1


def test_a_change_cancelled_while_the_page_is_being_written_is_not_applied(shop: Shop) -> None:
    shop.put(with_a_sale())

    def cancel() -> None:
        shop.update("REMOVE next_change_at SET pending_changes = :none, version = version + :one", none={}, one=1)

    run = shop.set_up_with(just_before(shop.client, WRITE, cancel)).run()

    assert shop.item()["on_hand"] == 10
    assert (run.tally.changes_applied, run.tally.items_updated, run.tally.items_with_work) == (0, 0, 0)
    assert run.status == JobStatus.SUCCEEDED


def test_an_item_deleted_while_the_page_is_being_written_is_not_made_again(shop: Shop) -> None:
    shop.put(*mugs(3))

    def delete() -> None:
        shop.client.delete_item(
            TableName=shop.services.inventory.name, Key={"sku": {"S": "mug-001"}, "location_id": {"S": "DC1"}}
        )

    run = shop.set_up_with(just_before(shop.client, WRITE, delete), segments=1).run("job-1")

    assert {sku: item["on_hand"] for (sku, _), item in shop.items().items()} == {"mug-000": 7, "mug-002": 7}
    assert (run.status, run.tally.items_failed) == (JobStatus.COMPLETED_WITH_FAILURES, 1)
    assert run.tally.changes_applied == 2
    assert list(shop.services.jobs.failures("job-1")) == [
        Failure("mug-001", "DC1", None, "ITEM_DELETED", "the item was deleted while its changes were being applied")
    ]


def test_an_item_spoilt_while_the_page_is_being_written_fails_alone(shop: Shop) -> None:
    shop.put(*mugs(3))
    spoil = just_before(shop.client, WRITE, lambda: shop.update("SET on_hand = :text", sku="mug-001", text="many"))

    run = shop.set_up_with(spoil).run("job-1")

    assert {sku: item["on_hand"] for (sku, _), item in shop.items().items()} == {
        "mug-000": 7,
        "mug-001": "many",
        "mug-002": 7,
    }
    assert (run.tally.items_failed, run.tally.changes_applied) == (1, 2)
    assert failures(shop, "job-1") == {("mug-001", None, "WRONG_TYPE")}


# Faults


def test_a_lost_answer_is_counted_once(shop: Shop) -> None:
    shop.put(*mugs(30))

    def lose(real: Callable[..., Any], **request: Any) -> Any:
        real(**request)
        raise ReadTimeoutError(endpoint_url="somewhere")

    run = shop.set_up_with(Interposed(shop.client, WRITE, lose, times=2)).run()

    assert {item["on_hand"] for item in shop.items().values()} == {7}
    assert {item["version"] for item in shop.items().values()} == {8}
    assert (run.tally.changes_applied, run.tally.items_updated, run.tally_is_exact) == (30, 30, True)
    assert run.status == JobStatus.SUCCEEDED


def refusing_one_statement(shop: Shop, code: str) -> Shop:
    """The shop with a table that refuses the first statement of the first batch with this code."""

    def refuse(real: Callable[..., Any], **request: Any) -> Any:
        _, *others = request["Statements"]
        answer = real(**request | {"Statements": others})
        return answer | {"Responses": [{"Error": {"Code": code, "Message": "no"}}, *answer["Responses"]]}

    return shop.set_up_with(Interposed(shop.client, WRITE, refuse), segments=1)


def test_a_throttled_statement_is_sent_again(shop: Shop) -> None:
    shop.put(*mugs(5))

    run = refusing_one_statement(shop, "ThrottlingError").run()

    assert {item["on_hand"] for item in shop.items().values()} == {7}
    assert (run.status, run.tally.throttles, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 1, 5)


def test_a_statement_that_the_table_refuses_for_good_is_a_failure_of_its_item(shop: Shop) -> None:
    shop.put(*mugs(5))

    run = refusing_one_statement(shop, "ItemCollectionSizeLimitExceeded").run("job-1")

    assert sorted(str(item["on_hand"]) for item in shop.items().values()) == ["10", "7", "7", "7", "7"]
    assert (run.status, run.tally.items_failed, run.tally.changes_applied) == (JobStatus.COMPLETED_WITH_FAILURES, 1, 4)
    ((_, change_id, code),) = failures(shop, "job-1")
    assert (change_id, code) == (None, "ItemCollectionSizeLimitExceeded")
    assert shop.run().tally.changes_applied == 1


# Short of time


def test_a_segment_takes_as_many_calls_as_its_deadline_asks_for(shop: Shop) -> None:
    shop.put(*mugs(40))
    watch = Clock()

    def read(real: Callable[..., Any], **request: Any) -> Any:
        watch.goes_on(1.0)
        return real(**request)

    slow = shop.set_up_with(Interposed(shop.client, "scan", read, times=None), segments=2, page_size=1)
    run = replace(slow, services=replace(slow.services, monotonic=watch.monotonic)).run(call_seconds=6.0)

    assert {item["on_hand"] for item in shop.items().values()} == {7}
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert (run.tally.items_scanned, run.tally.changes_applied) == (40, 40)
    assert run.tally.calls >= 40 / 6


# A dry run


def test_a_dry_run_counts_like_a_real_one_and_writes_nothing(shop: Shop) -> None:
    shop.put(*mugs(5), *mugs(8, pending=[change("sale", "adjustment", -11)])[5:], item_attributes(9) | {"on_hand": "x"})
    unchanged = stays_as_it_is(shop)

    rehearsed = shop.run("rehearsal", scope="all", dry_run=True)
    assert unchanged()
    real = shop.run("real", scope="all")

    compared = ("items_scanned", "items_updated", "items_failed", "changes_applied", "changes_rejected")
    assert [getattr(rehearsed.tally, name) for name in compared] == [9, 8, 1, 5, 3]
    assert [getattr(real.tally, name) for name in compared] == [9, 8, 1, 5, 3]
    assert (rehearsed.dry_run, real.dry_run) == (True, False)
    assert rehearsed.status == real.status == JobStatus.COMPLETED_WITH_FAILURES
    assert failures(shop, "rehearsal") == failures(shop, "real")


# The lease


def test_a_job_of_scope_due_is_skipped_while_another_one_works(shop: Shop) -> None:
    shop.put(with_a_sale())
    open_job(shop.services, shop.request("first"))
    unchanged = stays_as_it_is(shop)

    second = shop.run("second")

    assert second.status == JobStatus.SKIPPED
    assert second.error is not None
    assert "first" in second.error
    assert unchanged()
    assert shop.services.jobs.lease().holder == "first"
    assert shop.metrics.published == []


def test_a_job_of_scope_all_waits_for_the_lease_and_then_works(shop: Shop) -> None:
    first, second = shop.request("first"), shop.request("second", scope="all")
    open_job(shop.services, first)

    assert open_job(shop.services, second) == {"outcome": "WAIT"}
    assert shop.services.jobs.run("second") is None
    close_job(shop.services, first)
    assert open_job(shop.services, second) == {"outcome": "OPENED", "segments": [0, 1]}


def test_an_expired_lease_is_taken_over_and_the_old_job_becomes_abandoned(shop: Shop) -> None:
    shop.put(*mugs(4))
    dead = shop.request("dead")
    open_job(shop.services, dead)
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)

    run = shop.run("next")

    abandoned = shop.services.jobs.run("dead")
    assert abandoned is not None
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 4)
    assert abandoned.status == JobStatus.ABANDONED
    assert abandoned.error is not None
    assert "next" in abandoned.error
    assert abandoned.finished_at is not None
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
        lease = shop.services.jobs.take_lease("other", 60)
        held.append(lease.holder == "long")
        return real(**request)

    run = shop.set_up_with(Interposed(shop.client, WRITE, watch, times=None)).run("long")

    assert held == [True] * 8
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 8)


# Closing


def test_the_metrics_of_a_job_say_what_it_did(shop: Shop) -> None:
    shop.put(*mugs(4), with_a_sale("bad") | {"on_hand": "x"})

    shop.run()

    figures = shop.metrics.figures()
    expected = {
        "ItemsScanned": 5,
        "ItemsUpdated": 4,
        "ItemsFailed": 1,
        "ChangesApplied": 4,
        "ChangesRejected": 0,
        "FailureRate": 20,
        "JobsFinished": 1,
        "JobsSucceeded": 0,
        "JobsFailed": 0,
    }
    assert {name: figures[name] for name in expected} == expected
    # The sale of the item that cannot be read has been due since 2 March 2026.
    assert figures["OldestOverdueSeconds"] > 86_400
    assert figures["MemoryUsed"] > 10


def test_two_jobs_started_at_once_apply_every_change_once(shop: Shop) -> None:
    shop.put(*mugs(60))
    runs = []

    def work(job_id: str) -> None:
        runs.append(shop.run(job_id))

    threads = [threading.Thread(target=work, args=(f"job-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {item["on_hand"] for item in shop.items().values()} == {7}
    assert {item["version"] for item in shop.items().values()} == {8}
    assert sum((run.tally for run in runs), Tally()).changes_applied == 60
    assert {run.status for run in runs} <= {JobStatus.SUCCEEDED, JobStatus.SKIPPED}
