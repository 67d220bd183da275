"""The job beside other writers, through faults, and what it leaves behind, on each engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import count
from typing import Any, Final, NamedTuple

import pytest
from botocore.exceptions import ReadTimeoutError

from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.intake.scheduling import Scheduled, schedule_changes
from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.worker import update_segment
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey, item_id
from inventory_updater.stock.settling import Moment
from inventory_updater.tables.change_table import REJECTED_SHARD, SHARDS, shard_of
from inventory_updater.tables.records import Failure, JobStatus, Lease, SettledChange, Tally
from tests.builders import Stocked, change, item_attributes, moment, mugs, stocked, unreadable, with_a_sale
from tests.engines import table_definition
from tests.fakes.dynamodb import WRITE, failed_request
from tests.shop import Interposed, Shop, just_before, stored_items
from tests.simulation.faults import ProcessDied

# The second opinion on jobs; that of the protocol, the doors and the table in memory is quick.
pytestmark = pytest.mark.slow_on("dynamodb_local")

FUTURE: Final = "2099-01-01T00:00:00.000000Z"
MUG: Final = ItemKey("mug", "DC1")


def failures(shop: Shop, job_id: str) -> set[tuple[str, str | None, str]]:
    return {(each.sku, each.change_id, each.code) for each in shop.services.jobs.failures(job_id)}


def on_hand(shop: Shop) -> dict[str, object]:
    return {sku: item["on_hand"] for (sku, _), item in shop.items().items()}


def each_was_sold_once(shop: Shop) -> bool:
    """Whether every item is as one write with its sale of 3 leaves it, and its record says so."""
    items, records = shop.items(), stored_items(shop.client, shop.tables.changes)
    assert {(item["on_hand"], item["version"]) for item in items.values()} == {(7, 8)}
    assert {record["status"] for record in records.values()} == {"APPLIED"}
    return items.keys() == records.keys()


# What a job does


@pytest.mark.parametrize("client_kind", ["JSON", "botocore"])
def test_a_job_settles_what_is_due_and_says_what_it_did(shop: Shop) -> None:
    late, last_set = change("late", "count", 3, "08:00"), {"count": ("09:00", "c0")}
    untouched = item_attributes(10, sku="d")
    shop.put(
        stocked(change("in", "adjustment", 5, reason="delivery"), sku="a"),
        stocked(change("out", "adjustment", -11), change("price", "price", 4), sku="b"),
        stocked(late, sku="c", last_set=last_set),
        Stocked(untouched, (change("future", "count", 3, FUTURE),)),
        item_attributes(10, sku="e"),
    )

    run = shop.run("job-1")

    found = {sku: item for (sku, _), item in shop.items().items()}
    assert (found["a"]["on_hand"], found["a"]["available"], found["a"]["stock_value"]) == (15, 15, Decimal("37.5"))
    assert (found["b"]["on_hand"], found["b"]["unit_price"], found["b"]["stock_value"]) == (10, 4, 40)
    assert (found["c"]["on_hand"], found["d"]) == (10, untouched)
    assert {sku: shop.statuses(sku) for sku in "abcd"} == {
        "a": {"in": "APPLIED"},
        "b": {"out": "REJECTED", "price": "APPLIED"},
        "c": {"late": "SUPERSEDED"},
        "d": {"future": "PENDING"},
    }
    assert (run.status, run.tally_is_exact, run.error) == (JobStatus.COMPLETED_WITH_FAILURES, True, None)
    assert (run.tally.items_updated, run.tally.items_failed, run.tally.items_with_work) == (3, 0, 3)
    assert (run.tally.changes_applied, run.tally.changes_rejected, run.tally.changes_superseded) == (2, 1, 1)
    assert run.failure_rate == pytest.approx(100 / 3)
    assert failures(shop, "job-1") == {("b", "out", "INSUFFICIENT_STOCK")}
    assert shop.services.jobs.lease().holder is None


def test_a_record_says_how_it_ended_and_the_job_which_changes_it_settled(shop: Shop) -> None:
    sale, too_much = (
        change("sale", "adjustment", -3, reference="order 7"),
        change("too much", "adjustment", -8, "10:00"),
    )
    shop.put(stocked(sale, too_much))

    shop.run("job-1")

    sold, rejected = shop.records()["sale"], shop.records()["too much"]
    settled_at = shop.item()["updated_at"]
    said = {"job_id": "job-1", "settled_at": settled_at, "attempt": 1, "before": 10, "after": 7}
    assert sold == {**sold, **said, "status": "APPLIED", "reference": "order 7"}
    assert {"due_shard", "due_at", "code"}.isdisjoint(sold)
    said |= {"before": 7, "after": 7, "due_shard": REJECTED_SHARD, "due_at": settled_at}
    assert rejected == {**rejected, **said, "code": "INSUFFICIENT_STOCK"}
    assert rejected["message"] == "on hand is 7, the adjustment -8"
    assert set(shop.services.jobs.settled("job-1")) == {
        SettledChange(MUG, "sale", "APPLIED"),
        SettledChange(MUG, "too much", "REJECTED"),
    }


def test_a_job_is_recorded_with_what_was_asked_and_how_it_ended(shop: Shop) -> None:
    shop.put(with_a_sale())

    run = shop.run("job-1", trigger="schedule", as_of="2026-03-02T10:00:00+01:00")

    assert shop.services.jobs.run("job-1") == run
    assert (run.scope, run.trigger, run.as_of) == ("due", "schedule", moment("09:00"))
    assert run.status == JobStatus.SUCCEEDED
    assert run.started_at < (run.finished_at or "")
    assert (run.duration_seconds or 0) > 0
    assert [each.job_id for each in shop.services.jobs.runs()] == ["job-1"]


def test_what_fits_into_a_page_is_settled_in_one_call_and_what_does_not_by_every_segment(shop: Shop) -> None:
    shop = shop.set_up_with(segments=3, page_size=5)
    shop.put(*mugs(5))
    small = shop.run()
    shop.put(*mugs(40))

    large = shop.run("large")

    assert (small.tally.calls, small.tally.changes_applied) == (1, 5)
    assert (large.tally.changes_applied, large.tally.items_updated, large.tally_is_exact) == (40, 40, True)
    segments = shop.services.jobs.segments("large", 3)
    assert [(each.is_done, each.tally.changes_applied > 0) for each in segments] == [(True, True)] * 3
    assert each_was_sold_once(shop)


def test_a_deadline_so_short_that_a_segment_needs_many_calls_changes_nothing(shop: Shop) -> None:
    shop = shop.set_up_with(segments=2, page_size=5)
    shop.put(*mugs(60))
    # A watch that goes on by being looked at is the same on every machine.
    looks = count()
    shop = replace(shop, services=replace(shop.services, monotonic=lambda: next(looks) / 100))

    run = shop.run(call_seconds=0.5)

    assert (run.status, run.tally.changes_applied, run.tally_is_exact) == (JobStatus.SUCCEEDED, 60, True)
    assert run.tally.calls > 5 * run.segments
    assert each_was_sold_once(shop)


def test_only_a_job_of_scope_all_repairs_what_other_writers_left_behind(shop: Shop) -> None:
    shop.put(
        item_attributes(10, sku="stale", available=99, stock_status="OUT_OF_STOCK", stock_value=None),
        item_attributes(10, sku="right"),
    )

    due, every = shop.run(scope="due"), shop.run(scope="all")

    assert (due.tally.items_scanned, due.tally.items_updated) == (0, 0)
    assert (every.tally.items_scanned, every.tally.items_updated, every.tally.items_repaired) == (2, 1, 1)
    found = {sku: (item["available"], item["stock_status"]) for (sku, _), item in shop.items().items()}
    assert found == {"stale": (10, "IN_STOCK"), "right": (10, "IN_STOCK")}


def test_a_job_of_scope_all_settles_what_is_due_as_well(shop: Shop) -> None:
    shop.put(*mugs(3))

    run = shop.run(scope="all")

    assert (run.tally.changes_applied, run.tally.items_updated, run.tally.items_repaired) == (3, 3, 0)
    assert each_was_sold_once(shop)


def test_a_negative_figure_that_another_writer_left_is_a_finding_and_no_failure(shop: Shop) -> None:
    shop.put(item_attributes(-1, sku="a"), item_attributes(10, sku="b", reserved=-2), with_a_sale("c", reserved=-1))

    due, every = shop.run("due"), shop.run("all", scope="all")

    assert (due.status, due.tally.items_negative, due.tally.changes_applied) == (JobStatus.SUCCEEDED, 1, 1)
    assert failures(shop, "due") == {("c", None, "NEGATIVE_FIGURE")}
    assert (every.status, every.tally.items_negative, every.failure_rate) == (JobStatus.SUCCEEDED, 3, 0)
    assert failures(shop, "all") == {(sku, None, "NEGATIVE_FIGURE") for sku in "abc"}


def two_items_of_each_shard(name: str) -> list[str]:
    """Skus that begin with this name: what a query without an answer costs, the engines do not agree on."""
    found: dict[str, list[str]] = {shard: [] for shard in SHARDS}
    skus = (f"{name}-{number:04}" for number in count())
    while any(len(of_shard) < 2 for of_shard in found.values()):
        sku = next(skus)
        found[shard_of(item_id(ItemKey(sku, "DC1")))].append(sku)
    return [sku for of_shard in found.values() for sku in of_shard[:2]]


def test_what_a_job_reads_follows_what_is_due_and_not_what_waits_for_later(shop: Shop) -> None:
    shop = shop.set_up_with(page_size=100)
    later = [change(f"later-{number}", "price", 3, FUTURE) for number in range(20)]
    shop.put(*map(with_a_sale, two_items_of_each_shard("none")))
    none = shop.run()
    shop.put(*(stocked(change("sale", "adjustment", -3), *later, sku=sku) for sku in two_items_of_each_shard("many")))

    many = shop.run()

    assert none.tally.changes_applied == many.tally.changes_applied == 128
    assert none.tally.read_units == many.tally.read_units > 0
    assert (none.tally.write_units, none.tally.calls) == (many.tally.write_units, many.tally.calls)


# What a trading day comes to


def test_a_count_and_a_sale_after_it_come_to_the_same_whichever_is_known_first(shop: Shop) -> None:
    counted, sale = change("count", "count", 10, "08:00"), change("sale", "adjustment", -3, "08:30")
    for sku, first, second in (("count first", counted, sale), ("sale first", sale, counted)):
        shop.put(stocked(first, sku=sku, on_hand=4))
        shop.run()
        shop.schedule(ItemKey(sku, "DC1"), second)
    shop.put(stocked(counted, sale, sku="at once", on_hand=4))

    shop.run()

    assert on_hand(shop) == {"count first": 7, "sale first": 7, "at once": 7}


def test_a_base_price_that_is_raised_during_an_offer_shows_when_the_offer_ends(shop: Shop) -> None:
    offer = change("offer", "price", 12, "08:00", until="18:00")
    shop.put(stocked(offer, unit_price=20))
    found: list[tuple[object, ...]] = []

    for at in ("09:00", "13:00", "19:00"):
        run = shop.run(as_of=moment(at))
        found.append((shop.item()["unit_price"], shop.statuses()["offer"], run.tally.changes_opened))
        if at == "09:00":
            shop.schedule(MUG, change("new base", "price", 25, "12:00"))

    assert found == [(12, "OPEN", 1), (12, "OPEN", 0), (25, "APPLIED", 0)]
    assert {"windows", "base_unit_price"}.isdisjoint(shop.item())


def test_an_offer_that_nobody_looked_at_before_its_end_is_never_shown(shop: Shop) -> None:
    shop.put(stocked(change("offer", "price", 12, "08:00", until="18:00"), unit_price=20))

    shop.run(as_of=moment("19:00"))

    assert (shop.item()["unit_price"], shop.records()["offer"]["code"]) == (20, "MISSED")


def test_a_count_that_says_what_it_expected_books_the_difference(shop: Shop) -> None:
    shop.put(stocked(change("count", "count", 10, expected=12), on_hand=9))

    shop.run()

    assert (shop.item()["on_hand"], shop.records()["count"]["before"], shop.records()["count"]["after"]) == (7, 9, 7)


class Sold(NamedTuple):
    key: ItemKey
    change: Change


def test_the_many_sales_of_a_busy_item_sent_again_with_a_late_one_among_them_book_the_late_one(shop: Shop) -> None:
    sales = [Sold(MUG, change(f"sale-{n:03}", "adjustment", -1, f"{9 + n // 60:02}:{n % 60:02}")) for n in range(600)]
    late = Sold(MUG, change("late", "adjustment", -1, "08:59"))
    services = shop.services

    def send(given: Sequence[Sold]) -> Scheduled:
        places = services.dynamodb, services.inventory, services.changes
        return schedule_changes(*places, lambda: given, services.now(), actor="shop", source="day.csv", allow_old=True)

    shop.put(item_attributes(600))
    assert send(sales) == Scheduled(600, {}, items=1)
    run = shop.run()

    assert (shop.item()["on_hand"], run.tally.changes_applied) == (0, 600)
    assert shop.item()["version"] == 7 + 3 + 3 + 2, "a hundred changes a write, pages of 250 without their last moment"
    assert run.tally.items_updated == 3, "once for each page"
    shop.update("SET on_hand = :delivered", delivered=5)
    assert send([*sales[:300], late, *sales[301:]]) == Scheduled(1, {"APPLIED": 599}, items=1)
    assert shop.run().tally.changes_applied == 1
    assert (shop.item()["on_hand"], send([*sales, late])) == (4, Scheduled(0, {"APPLIED": 601}, items=1))


# What cannot be read


def test_items_that_cannot_be_read_are_failures_of_those_items_alone_until_they_are_mended(shop: Shop) -> None:
    sale = change("sale", "adjustment", -3)
    spoilt = {
        "text": item_attributes(sku="text") | {"on_hand": "many"},
        "missing": item_attributes(None, sku="missing", available=1, stock_status=None, stock_value=None),
        "null": item_attributes(sku="null") | {"reserved": True},
        "list": item_attributes(sku="list") | {"decided": ["sale"]},
        "window": item_attributes(sku="window") | {"windows": {"offer": {"kind": "count"}}},
    }
    shop.put(*(Stocked(attributes, (sale,)) for attributes in spoilt.values()), *mugs(3))

    run = shop.run("job-1")

    after = {sku: item for (sku, _), item in shop.items().items()}
    assert {sku: after[sku] for sku in spoilt} == spoilt
    assert {sku: shop.statuses(sku) for sku in spoilt} == {sku: {"sale": "PENDING"} for sku in spoilt}
    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 62.5)
    assert (run.tally.items_failed, run.tally.items_updated, run.tally.changes_applied) == (5, 3, 3)
    no_time = "is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ"
    assert set(shop.services.jobs.failures("job-1")) == {
        Failure("text", "DC1", None, "WRONG_TYPE", "on_hand is not a number"),
        Failure("missing", "DC1", None, "MISSING_QUANTITY", "on_hand is missing"),
        Failure("null", "DC1", None, "WRONG_TYPE", "reserved is not a number"),
        Failure("list", "DC1", None, "WRONG_TYPE", "decided is not a map"),
        Failure("window", "DC1", None, "WRONG_TYPE", "windows.offer.from " + no_time),
    }
    again = shop.run()
    assert (again.tally.items_failed, again.failure_rate, again.tally.oldest_overdue) == (5, 0, moment("09:00"))
    shop.update("SET on_hand = :number", "text", number=10)
    mended = shop.run()
    assert (mended.tally.changes_applied, shop.item("text")["on_hand"]) == (1, 7)


def test_a_change_that_another_system_has_spoilt_is_rejected_alone(shop: Shop) -> None:
    shop.put(stocked(change("sale", "adjustment", -3)))
    common = {"kind": "adjustment", "value": Decimal(1), "effective_at": moment("09:00")}
    for change_id, spoilt in {
        "no value": {"value": "one"},
        "no kind": {"kind": "gift"},
        "no time": {"effective_at": "today", "due_at": moment("09:00")},
        "short time": {"effective_at": "2026-03-02T09:00:00Z"},
    }.items():
        shop.services.changes.put(MUG, {"change_id": change_id, **common, **spoilt})

    shop.run("job-1")

    codes = {name: record.get("code", record["status"]) for name, record in shop.records().items()}
    assert codes == {
        "sale": "APPLIED",
        "short time": "APPLIED",
        "no value": "NOT_A_NUMBER",
        "no kind": "UNKNOWN_KIND",
        "no time": "NO_TIME",
    }
    assert shop.item()["on_hand"] == 8


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


def test_a_sale_between_the_item_and_its_records_changes_nothing_of_what_they_say(shop: Shop) -> None:
    shop.put(with_a_sale())

    def sell_after(real: Callable[..., Any], **request: Any) -> Any:
        answer = real(**request)
        shop.update("SET on_hand = on_hand - :number", number=1)
        return answer

    run = shop.set_up_with(Interposed(shop.client, WRITE, sell_after)).run()

    record = shop.records()["sale"]
    assert (shop.item()["on_hand"], record["before"], record["after"]) == (6, 10, 7)
    assert (run.tally.changes_applied, run.tally.conflicts, run.tally_is_exact) == (1, 0, True)


def test_a_change_scheduled_while_the_page_is_being_written_is_the_next_jobs(shop: Shop) -> None:
    shop.put(with_a_sale())
    comes = just_before(shop.client, WRITE, lambda: shop.schedule(MUG, change("new", "adjustment", 5)))

    first, second = shop.set_up_with(comes).run(), shop.run()

    assert (first.tally.changes_applied, second.tally.changes_applied) == (1, 1)
    assert (shop.item()["on_hand"], shop.statuses()) == (12, {"sale": "APPLIED", "new": "APPLIED"})


def test_a_change_cancelled_while_the_page_is_being_written_is_not_applied(shop: Shop) -> None:
    shop.put(with_a_sale())

    def cancel() -> None:
        now = shop.services.now()
        operator = shop.services.protocol("operator")
        operator.settle({}, Moment(now, now), Limits.for_seconds(60), cancelled={MUG: ["sale"]})

    run = shop.set_up_with(just_before(shop.client, WRITE, cancel)).run("job-1")

    assert (shop.item()["on_hand"], shop.statuses()) == (10, {"sale": "CANCELLED"})
    assert (run.status, run.tally.changes_applied, run.tally.items_updated) == (JobStatus.SUCCEEDED, 0, 0)
    assert run.tally.conflicts == 1


def test_an_item_deleted_while_the_page_is_being_written_is_not_made_again(shop: Shop) -> None:
    shop.put(*mugs(3))
    key = {"sku": {"S": "mug-001"}, "location_id": {"S": "DC1"}}
    delete = just_before(
        shop.client, WRITE, lambda: shop.client.delete_item(TableName=shop.services.inventory.name, Key=key)
    )

    run = shop.set_up_with(delete).run("job-1")

    assert on_hand(shop) == {"mug-000": 7, "mug-002": 7}
    assert (run.status, run.tally.items_failed, run.tally.changes_applied) == (JobStatus.COMPLETED_WITH_FAILURES, 1, 2)
    assert list(shop.services.jobs.failures("job-1")) == [
        Failure("mug-001", "DC1", None, "UNKNOWN_ITEM", "there is no item mug-001 at DC1")
    ]
    assert shop.statuses("mug-001") == {"sale": "PENDING"}


def test_an_item_spoilt_while_the_page_is_being_written_fails_alone(shop: Shop) -> None:
    shop.put(*mugs(3))
    spoil = just_before(shop.client, WRITE, lambda: shop.update("SET on_hand = :text", sku="mug-001", text="many"))

    run = shop.set_up_with(spoil).run("job-1")

    assert on_hand(shop) == {"mug-000": 7, "mug-001": "many", "mug-002": 7}
    assert (run.tally.items_failed, run.tally.changes_applied) == (1, 2)
    assert failures(shop, "job-1") == {("mug-001", None, "WRONG_TYPE")}


# Faults


def test_a_write_whose_answer_is_lost_takes_effect_once(shop: Shop) -> None:
    shop.put(*mugs(30))

    def lose(real: Callable[..., Any], **request: Any) -> Any:
        real(**request)
        raise ReadTimeoutError(endpoint_url="somewhere")

    run = shop.set_up_with(Interposed(shop.client, WRITE, lose, times=2)).run()

    assert each_was_sold_once(shop)
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 30)
    assert not run.tally_is_exact, "whether it was this job that wrote the items, nobody knows"


def test_throttled_writes_are_sent_again(shop: Shop) -> None:
    shop.put(*mugs(30))

    def throttle(_real: Callable[..., Any], **_request: Any) -> Any:
        raise failed_request("ThrottlingException")

    run = shop.set_up_with(Interposed(shop.client, WRITE, throttle, times=3)).run()

    assert each_was_sold_once(shop)
    assert (run.status, run.tally.changes_applied, run.tally_is_exact) == (JobStatus.SUCCEEDED, 30, True)
    assert run.tally.throttles > 25


def test_a_worker_that_dies_between_item_and_record_leaves_to_the_next_job_only_the_record(shop: Shop) -> None:
    shop.put(*mugs(3))

    def die(_real: Callable[..., Any], **request: Any) -> Any:
        if shop.tables.changes in request["Statements"][0]["Statement"]:
            raise ProcessDied
        return _real(**request)

    with pytest.raises(ProcessDied):
        shop.set_up_with(Interposed(shop.client, WRITE, die, times=None)).run("dead")
    decided = shop.items()
    assert {(item["on_hand"], len(item["decided"])) for item in decided.values()} == {(7, 1)}  # type: ignore[arg-type]
    assert shop.statuses("mug-000") == {"sale": "PENDING"}
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)

    run = shop.run("next")

    assert each_was_sold_once(shop)
    assert shop.items() == decided
    assert (run.tally.items_updated, run.tally.changes_applied) == (0, 3)


def test_what_an_item_has_decided_is_forgotten_with_its_next_write(shop: Shop) -> None:
    shop.put(with_a_sale())
    shop.run()
    shop.schedule(MUG, change("next", "adjustment", 1))

    shop.run()

    assert shop.item()["decided"] == {"next": shop.item()["decided"]["next"]}  # type: ignore[index]


def test_a_statement_that_the_table_refuses_for_good_is_a_failure_of_its_item_until_the_next_job(shop: Shop) -> None:
    shop.put(*mugs(5))
    refusal = {"Error": {"Code": "ItemCollectionSizeLimitExceeded", "Message": "no"}}

    def refuse_the_first(real: Callable[..., Any], **request: Any) -> Any:
        answer = real(**request | {"Statements": request["Statements"][1:]})
        return answer | {"Responses": [refusal, *answer["Responses"]]}

    run = shop.set_up_with(Interposed(shop.client, WRITE, refuse_the_first)).run("job-1")

    assert sorted(map(str, on_hand(shop).values())) == ["10", "7", "7", "7", "7"]
    assert (run.status, run.tally.items_failed, run.tally.changes_applied) == (JobStatus.COMPLETED_WITH_FAILURES, 1, 4)
    assert [each[1:] for each in failures(shop, "job-1")] == [(None, "ItemCollectionSizeLimitExceeded")]
    assert shop.run().tally.changes_applied == 1
    assert each_was_sold_once(shop)


@pytest.mark.parametrize("logical_id", ["InventoryTable", "ChangesTable"])
def test_a_table_that_is_gone_is_named_in_the_error_of_the_job_with_its_way_back(shop: Shop, logical_id: str) -> None:
    shop.put(with_a_sale())
    definition = table_definition(logical_id, shop.tables.jobs.removeprefix("inventory-jobs-"))
    table = definition["TableName"]
    shop.client.delete_table(TableName=table)
    try:
        run = shop.run("job-1")
    finally:
        shop.client.create_table(**definition)

    assert run.status is JobStatus.FAILED
    assert f"table {table} is gone, see docs/operations.md#gone-the-table-was-deleted: " in (run.error or "")
    assert shop.services.jobs.lease().holder is None


# The lease


def test_while_a_job_works_one_of_scope_due_is_skipped_and_one_of_scope_all_waits(shop: Shop) -> None:
    shop = shop.set_up_with(page_size=1)
    shop.put(*mugs(2))
    first, third = shop.request("first"), shop.request("third", scope="all")
    open_job(shop.services, first)
    before = shop.items()

    second = shop.run("second")

    assert (second.status, "first" in (second.error or "")) == (JobStatus.SKIPPED, True)
    assert open_job(shop.services, third) == {"outcome": "WAIT"}
    assert (shop.services.jobs.lease().holder, shop.services.jobs.run("third")) == ("first", None)
    assert (shop.items(), shop.metrics.published) == (before, [])
    close_job(shop.services, first)
    assert open_job(shop.services, third) == {"outcome": "OPENED", "segments": [0, 1]}


def test_an_expired_lease_is_taken_over_and_the_old_job_becomes_abandoned(shop: Shop) -> None:
    open_job(shop.services, shop.request("dead", scope="all"))
    shop.put(*mugs(4))
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
    dead, following = (shop.request(job_id, scope="all") for job_id in ("dead", "next"))
    open_job(shop.services, dead)
    shop.clock.goes_on(shop.services.settings.lease_seconds + 1)
    open_job(shop.services, following)
    before = shop.items()

    assert all(update_segment(shop.services, "dead", number) for number in (0, 1))
    assert close_job(shop.services, dead) == JobStatus.ABANDONED
    assert shop.items() == before
    assert shop.services.jobs.lease().holder == "next"


def test_a_long_job_renews_its_lease(shop: Shop) -> None:
    shop = shop.set_up_with(segments=1, page_size=1, write_concurrency=1)
    shop.put(*mugs(4))
    held: list[bool] = []

    def watch(real: Callable[..., Any], **request: Any) -> Any:
        shop.clock.goes_on(shop.services.settings.lease_seconds / 3)
        held.append(shop.services.jobs.take_lease("other", 60).holder == "long")
        return real(**request)

    run = shop.set_up_with(Interposed(shop.client, WRITE, watch, times=None)).run("long")

    assert held == [True] * 8, "a batch of the item and one of its record each"
    assert (run.status, run.tally.changes_applied) == (JobStatus.SUCCEEDED, 4)


def test_a_job_that_is_stopped_writes_no_further_batch_and_the_next_one_goes_on(shop: Shop) -> None:
    shop = shop.set_up_with(segments=2, page_size=1, write_concurrency=1)
    shop.put(*mugs(12))
    # The watch says that a second has passed whenever it is looked at, so that every batch asks whether it may.
    seconds = count()
    impatient = replace(shop.services, monotonic=lambda: float(next(seconds)))
    stop = just_before(shop.client, WRITE, lambda: shop.services.jobs.request_stop("stopped", "by hand"))

    run = replace(shop, services=impatient).set_up_with(stop).run("stopped")

    sold = list(on_hand(shop).values()).count(Decimal(7))
    assert (run.status, run.tally.changes_applied, sold, run.tally_is_exact) == (JobStatus.FAILED, 1, 1, True)
    assert (run.stop_reason, shop.services.jobs.lease().holder) == ("by hand", None)
    assert shop.run().tally.changes_applied == 11
    assert each_was_sold_once(shop)


# Closing


def test_the_metrics_of_a_job_say_what_it_did(shop: Shop) -> None:
    shop.put(*mugs(4), unreadable("bad", change("sale", "adjustment", -3)))

    shop.run()

    figures = shop.metrics.figures()
    # The sale of the item that cannot be read has been due since 2 March 2026.
    assert figures.pop("OldestOverdueSeconds") > 86_400
    assert figures.pop("JobDuration") > 0
    assert figures == {"ChangesApplied": 4, "ItemsFailed": 1, "FailureRateToAlarm": 20, "JobsFailed": 0}


def test_jobs_started_at_once_settle_every_change_once(shop: Shop) -> None:
    shop = shop.set_up_with(page_size=20)
    shop.put(*mugs(60))

    with ThreadPoolExecutor(3) as threads:
        runs = list(threads.map(shop.run, ["job-1", "job-2", "job-3"]))

    assert each_was_sold_once(shop)
    assert sum((run.tally for run in runs), Tally()).changes_applied == 60
    assert {run.status for run in runs} <= {JobStatus.SUCCEEDED, JobStatus.SKIPPED}
