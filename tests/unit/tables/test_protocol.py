"""The protocol's loop: what is read and written in which order, what begins again, and what a report tells.

That it holds through any order of requests, deaths and lost answers is for ``tests/simulation/test_protocol.py``.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError, WritePace
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.settling import Moment
from inventory_updater.tables.job_table import LeaseLostError
from inventory_updater.tables.protocol import Report
from tests.builders import change, item_attributes, moment, record_attributes, stocked, unreadable
from tests.fakes.dynamodb import WRITE
from tests.fakes.warehouse import MUG, Warehouse, items_with_work, mug
from tests.shop import put_items
from tests.simulation.faults import Dies, Fault, ProcessDied, Refused, RefusedInPart, Request

CUP = ItemKey("cup", "DC1")
NOON = Moment(moment("12:00"), moment("12:00"))


@dataclass
class Table:
    """A warehouse, and the protocol of ``job-1`` on it."""

    warehouse: Warehouse = field(default_factory=Warehouse)

    def put(self, *records: Attributes) -> None:
        put_items(self.warehouse.dynamodb.client, self.warehouse.tables.changes, records)

    def settle(
        self,
        *,
        seconds: float = 60.0,
        check: Callable[[], None] = lambda: None,
        items_a_second: float = 0.0,
        report: Report | None = None,
        cancelled: Mapping[ItemKey, list[str]] | None = None,
        named: Collection[str] = (),
    ) -> Report:
        """Settle all that waits and is due at noon, or of it only what is ``named``."""
        due: dict[ItemKey, list[str]] = {}
        for change_id, record in self.warehouse.records().items():
            if named and change_id not in named:
                continue
            if record["status"] in ("PENDING", "OPEN") and str(record["due_at"]) <= NOON.as_of:
                due.setdefault(ItemKey(str(record["sku"]), str(record["location_id"])), []).append(change_id)
        clock = self.warehouse.clock
        pace = WritePace(items_a_second, clock.monotonic, clock.sleep)
        limits = Limits(clock.countdown(seconds), check, pace, clock.sleep)
        protocol = self.warehouse.services.protocol("job-1")
        return protocol.settle(due, NOON, limits, report=report, cancelled=cancelled)

    def requests(self) -> list[str]:
        """What is asked of which table from now on, in order; the list fills itself."""
        asked: list[str] = []
        names = {self.warehouse.tables.inventory: "items", self.warehouse.tables.changes: "records"}

        def note(operation: str, request: Request) -> None:
            text = str(request)
            (name,) = [name for table, name in names.items() if f"'{table}'" in text or f'"{table}"' in text]
            asked.append(f"{'write' if operation == WRITE else 'read'} {name}")

        self.warehouse.happens = note
        return asked

    def refuse(self, answer: Callable[[list[str]], Fault | None], *, of_records: bool = False) -> None:
        """Let this become of a batch, by the skus in it (of records: by their change ids)."""

        def happens(operation: str, request: Request) -> Fault | None:
            if operation != WRITE or self.warehouse.is_write(operation, request) is of_records:
                return None
            texts = [[value["S"] for value in each["Parameters"] if "S" in value] for each in request["Statements"]]
            return answer([text for each in texts for text in each])

        self.warehouse.happens = happens


@pytest.fixture
def table(warehouse: Warehouse) -> Table:
    warehouse.configure(batch_size=25)
    return Table(warehouse)


def outcomes(report: Report) -> dict[str, str]:
    return {mark.record.change_id: mark.decision.outcome.value for _, mark in report.marked}


def codes(report: Report) -> dict[str, str]:
    return {key.sku: code for key, (code, _) in (report.failures | report.invalid).items()}


# In which order


def test_items_are_read_before_their_records_and_written_before_them(table: Table) -> None:
    table.warehouse.put(*items_with_work(30))
    asked = table.requests()

    report = table.settle()

    assert asked == ["read items", "read records", *["write items"] * 2, *["write records"] * 2]
    assert (len(report.written), Counter(outcomes(report).values())) == (30, {"APPLIED": 30})
    assert (len(report.marked), table.warehouse.on_hand()) == (30, {15})
    assert (report.read_units, report.write_units, report.is_exact) == (60.0, 30 + 2 * 30, True)


def test_a_record_says_what_became_of_its_change_and_waits_only_for_what_is_still_to_happen(table: Table) -> None:
    table.warehouse.put(
        mug(
            change("sold", "adjustment", -3, "09:00"),
            change("too-much", "adjustment", -99, "10:00"),
            change("sale", "price", 2, "11:00", until="18:00"),
        )
    )
    table.settle()

    records = table.warehouse.records()
    told = ("status", "attempt", "due_shard", "due_at", "settled_at", "code", "before", "after", "job_id", "expires_at")
    shard, expires_at = records["sale"]["due_shard"], Decimal(1775044800 + 86_400)  # 31 days after noon
    noon, by = moment("12:00"), "job-1"
    assert {name: tuple(record.get(each) for each in told) for name, record in records.items()} == {
        "sold": ("APPLIED", 1, None, None, noon, None, 10, 7, by, expires_at),
        "too-much": ("REJECTED", 1, "REJECTED", noon, noon, "INSUFFICIENT_STOCK", 7, 7, by, expires_at),
        "sale": ("OPEN", 2, shard, moment("18:00"), None, None, Decimal("2.5"), 2, by, None),
    }


def test_a_worker_that_died_before_it_marked_leaves_only_that_to_the_next_one(table: Table) -> None:
    table.warehouse.put(mug(change("c1", "adjustment", 5)))
    table.refuse(lambda _changes: Dies(is_done=False), of_records=True)
    with pytest.raises(ProcessDied):
        table.settle()
    asked = table.requests()

    report = table.settle()

    assert asked == ["read items", "read records", "write records"]
    assert (report.written, outcomes(report), table.warehouse.on_hand()) == (set(), {"c1": "APPLIED"}, {15})


def test_what_an_item_has_decided_is_marked_and_kept_though_the_call_is_about_another_change(table: Table) -> None:
    table.warehouse.put(mug(change("c1", "adjustment", 5), change("c2", "adjustment", 1)))
    table.refuse(lambda _changes: Dies(is_done=False), of_records=True)
    with pytest.raises(ProcessDied):
        table.settle(named=["c1"])
    table.warehouse.all_is_well()

    report = table.settle(named=["c2"])

    assert (outcomes(report), table.warehouse.on_hand()) == ({"c1": "APPLIED", "c2": "APPLIED"}, {16})


def test_an_item_forgets_what_it_has_decided_with_the_next_write_once_the_record_says_so(table: Table) -> None:
    table.warehouse.put(mug())
    for change_id in ("c1", "c2"):
        table.warehouse.schedule(MUG, change(change_id))
        table.settle()
        assert set(table.warehouse.items()[MUG]["decided"]) == {change_id}  # type: ignore[call-overload]  # a map


def test_all_records_are_read_where_a_late_count_or_a_rejection_hangs_on_them(table: Table) -> None:
    table.warehouse.put(mug(change("sold", "adjustment", -3, "10:00")))
    table.settle()
    table.warehouse.schedule(MUG, change("counted", "count", 40, "09:30"))

    assert outcomes(table.settle()) == {"counted": "APPLIED"}
    assert table.warehouse.on_hand() == {37}


def test_what_is_not_wanted_any_more_is_cancelled_due_or_not(table: Table) -> None:
    table.warehouse.put(mug(change("due"), change("later", at="20:00")), stocked(change("other"), sku="cup"))

    report = table.settle(cancelled={MUG: ["due", "later"]})

    assert outcomes(report) == {"due": "CANCELLED", "later": "CANCELLED", "other": "APPLIED"}
    assert table.warehouse.items()[MUG]["on_hand"] == 10


def test_a_hot_item_takes_a_write_for_every_hundred_changes(table: Table) -> None:
    table.warehouse.put(mug(*[change(f"c{number:03}", "adjustment", 1) for number in range(250)]))

    report = table.settle()

    assert (table.warehouse.writes, report.written) == ({MUG: 3}, {MUG})
    assert (len(report.marked), table.warehouse.on_hand()) == (250, {260})
    assert set(table.warehouse.statuses().values()) == {"APPLIED"}


# What begins again


def test_a_conflict_begins_again_at_once_from_the_item_and_the_records_as_they_are(table: Table) -> None:
    table.warehouse.put(mug(change("c1", "adjustment", 5), change("c2", "adjustment", 1)))

    def sold_and_cancelled() -> None:
        table.warehouse.put(item_attributes(4, version=8))
        table.put(record_attributes(MUG, change("c1", "adjustment", 5), status="CANCELLED"))

    table.warehouse.before_write(sold_and_cancelled)

    report = table.settle()

    assert (table.warehouse.on_hand(), outcomes(report)) == ({5}, {"c2": "APPLIED"})
    assert (report.conflicts, table.warehouse.clock.pauses) == (1, [])


def test_what_is_refused_for_a_while_is_begun_again_after_pauses_alone(table: Table) -> None:
    table.warehouse.put(*items_with_work(3))
    refusals = iter([RefusedInPart(frozenset({1})), Refused(), None])
    sent: list[int] = []

    def answer(skus: list[str]) -> Fault | None:
        sent.append(len([text for text in skus if text.startswith("sku-")]))
        return next(refusals)

    table.refuse(answer)
    report = table.settle()

    assert (sent, len(report.written), table.warehouse.on_hand()) == ([3, 1, 1], 3, {15})
    assert (report.throttles, len(table.warehouse.clock.pauses)) == (2, 2)


def test_what_is_refused_until_the_time_is_up_fails_with_its_code_and_stays_for_the_next_call(table: Table) -> None:
    table.warehouse.put(*items_with_work(2))

    def answer(skus: list[str]) -> Fault:
        # The statements of a batch are those of its skus, in their order.
        return RefusedInPart(frozenset({[sku for sku in skus if sku.startswith("sku-")].index("sku-001")}))

    table.refuse(answer)
    report = table.settle(seconds=20)

    assert codes(report) == {"sku-001": "ThrottlingError"}
    assert len(report.written) == 1
    assert 15 < table.warehouse.clock.seconds <= 20
    assert Counter(table.warehouse.statuses().values()) == {"APPLIED": 1, "PENDING": 1}


def test_an_item_that_others_change_every_time_fails_when_the_rounds_are_up(table: Table) -> None:
    table.warehouse.put(mug(change("c1")), *items_with_work(1))
    versions = iter(range(8, 1_000))

    def sold(skus: list[str]) -> None:
        if "mug" in skus:
            table.warehouse.put(item_attributes(4, version=next(versions)))

    table.refuse(sold)
    report = table.settle()

    assert (codes(report), report.conflicts) == ({"mug": "ConditionalCheckFailed"}, 200)
    assert outcomes(report) == {"c0": "APPLIED"}


def test_marks_that_are_refused_are_made_later_and_else_by_the_next_call_which_counts_them(table: Table) -> None:
    table.warehouse.put(*items_with_work(2))
    table.refuse(lambda _changes: Refused(), of_records=True)
    first = table.settle(seconds=5)
    assert (len(first.written), first.marked, first.is_exact) == (2, [], False)
    assert set(codes(first).values()) == {"ThrottlingException"}

    refusals = iter([RefusedInPart(frozenset({0})), None])
    table.refuse(lambda _changes: next(refusals), of_records=True)
    second = table.settle()
    assert (len(second.written), len(second.marked), second.is_exact) == (0, 2, True)


# What is refused for good


def test_what_is_refused_for_good_or_cannot_be_settled_is_a_failure_of_that_item_alone(table: Table) -> None:
    table.warehouse.put(
        *items_with_work(2), unreadable("cup", change("c2")), stocked(change("c3"), sku="pot", reserved=-1)
    )
    table.put(record_attributes(ItemKey("gone", "DC1"), change("c4")))
    table.refuse(lambda _skus: RefusedInPart(frozenset({0}), "ItemCollectionSizeLimitExceeded"))

    report = table.settle()

    refused = {key.sku for key in report.failures} - {"gone"}
    assert len(refused) == 1
    assert codes(report) == {
        "gone": "UNKNOWN_ITEM",
        "cup": "WRONG_TYPE",
        **dict.fromkeys(refused, "ItemCollectionSizeLimitExceeded"),
    }
    assert (len(report.written), report.negative) == (2, {ItemKey("pot", "DC1")})


def test_a_batch_that_is_refused_as_a_whole_is_sent_one_by_one(table: Table) -> None:
    table.warehouse.put(*items_with_work(3))
    table.refuse(lambda skus: Refused("ValidationException") if skus.count("DC1") > 1 or "sku-001" in skus else None)

    report = table.settle()

    assert (codes(report), len(report.written)) == ({"sku-001": "ValidationException"}, 2)


def test_a_request_that_aws_refuses_for_good_raises_once_the_records_say_what_was_written(table: Table) -> None:
    table.warehouse.configure(batch_size=1)
    table.warehouse.put(*items_with_work(2))
    table.warehouse.before_write(lambda: None, lambda: Refused("AccessDeniedException"))
    report = Report()

    with pytest.raises(ClientError, match="AccessDeniedException"):
        table.settle(report=report)

    assert (len(report.written), len(report.marked)) == (1, 1)
    assert Counter(table.warehouse.statuses().values()) == {"APPLIED": 1, "PENDING": 1}


# Time, pace and permission


def test_records_say_what_their_items_have_decided_though_the_call_ends_between_two_batches(table: Table) -> None:
    def lost() -> None:
        if table.warehouse.writes:
            raise LeaseLostError("the lease is held by job-2")

    full = {"check": lost}, {"items_a_second": 0.1, "seconds": 5.0}
    for bounds, ending in zip(full, (LeaseLostError, OutOfTimeError), strict=True):
        table.warehouse = Warehouse()
        table.warehouse.configure(batch_size=1)
        table.warehouse.put(*items_with_work(3))
        report = Report()

        with pytest.raises(ending):
            table.settle(report=report, **bounds)  # type: ignore[arg-type]  # each has its type

        assert (sum(table.warehouse.writes.values()), len(report.written), len(report.marked)) == (1, 1, 1)
        assert report.is_exact


def test_a_hot_item_for_which_the_time_is_up_says_so_and_what_it_has_settled(table: Table) -> None:
    table.warehouse.put(mug(*[change(f"c{number:03}", "adjustment", 1) for number in range(150)]))
    table.warehouse.every_write_takes(10)
    report = Report()

    with pytest.raises(OutOfTimeError, match="in the midst of an item's changes"):
        table.settle(seconds=10, report=report)

    assert (len(report.marked), table.warehouse.on_hand()) == (100, {110})
