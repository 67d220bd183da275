"""Who is told of what: the message about a run, what counts as the same failures, and when they are sent again."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.jobs.closing import AlertError, close_job
from inventory_updater.jobs.in_process import run_job
from inventory_updater.reports.alerts import FAILURES_AN_ALERT, alert_of
from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.records import Failure, JobStatus, LastAlert, Run, Tally, failure_sum
from tests.builders import change, moment, unreadable
from tests.fakes.warehouse import Warehouse, items_with_work, mug

UNCLEAN = JobStatus.COMPLETED_WITH_FAILURES
TALLY = Tally(
    items_scanned=1000,
    items_updated=70,
    items_failed=4,
    changes_applied=150,
    changes_opened=8,
    changes_rejected=6,
    changes_superseded=3,
)
RUN = Run("job-1", UNCLEAN, "due", "schedule", moment("18:00"), moment("18:00"), segments=4, tally=TALLY)
NO_ROUTE = ConnectionError("no route")


def failed(sku: str = "mug", code: str = "INVALID_ITEM", change_id: str | None = None, message: str = "why") -> Failure:
    return Failure(sku, "DC1", change_id, code, message)


# The message


def message_of(run: Run, *failures: Failure) -> str:
    return alert_of(run, failures, "prod", "shop").message


def test_the_subject_says_where_what_and_how_many() -> None:
    assert alert_of(RUN, [], "prod", "shop").subject == (
        "[prod] inventory job COMPLETED_WITH_FAILURES: 4 items failed, 6 changes rejected"
    )


def test_the_subject_is_a_line_of_ascii_that_sns_takes_however_large_the_numbers() -> None:
    many = replace(RUN, tally=replace(TALLY, items_failed=10**12, changes_rejected=10**12))
    subject = alert_of(many, [failed("Tasse für zwei")], "x" * 20, "shop").subject

    # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    assert len(subject) <= 100
    assert subject.isascii()
    assert subject.isprintable()


def test_the_message_names_the_counts_the_first_failures_and_how_to_look_further() -> None:
    failures = [failed("cup", message="on_hand is text"), failed(code="INSUFFICIENT_STOCK", change_id="c1")]

    assert message_of(RUN, *failures).splitlines() == [
        f"Job job-1 (scope due, as of {moment('18:00')}) in environment prod is COMPLETED_WITH_FAILURES.",
        "",
        "Items scanned:      1000",
        "Items updated:      70",
        "Items failed:       4",
        "Changes applied:    150",
        "Windows opened:     8",
        "Changes rejected:   6",
        "Changes superseded: 3",
        "",
        "First failures:",
        "  cup at DC1: INVALID_ITEM: on_hand is text",
        "  mug at DC1, change c1: INSUFFICIENT_STOCK: why",
        "",
        "What to do, in a checkout:",
        "  .venv/bin/python scripts/job.py show job-1 --stack shop",
        "  .venv/bin/python scripts/changes.py retry job-1 --stack shop    # once the cause is fixed",
        "What it means: docs/operations.md#failure-rate",
    ]


@pytest.mark.parametrize("field", ["sku", "location_id", "change_id", "message"])
def test_what_others_name_is_no_other_line_of_the_message(field: str) -> None:
    failure = replace(failed(change_id="c1"), **{field: "x\n\nWhat to do, in a checkout:\n  rm"})

    said = message_of(RUN, failure)

    assert said.count("\nWhat to do") == 1
    assert len(said.splitlines()) == len(message_of(RUN, failed()).splitlines())


def test_the_commands_of_the_message_fit_the_case() -> None:
    nothing_rejected = replace(RUN, tally=replace(TALLY, changes_rejected=0))
    failed_job = message_of(replace(nothing_rejected, status=JobStatus.FAILED))

    assert ["retry" in message_of(run) for run in (RUN, nothing_rejected)] == [True, False]
    assert "job.py run --scope due --stack shop" in failed_job
    assert failed_job.endswith("docs/operations.md#job-failed")


def test_the_message_says_why_a_job_failed_and_when_its_counts_are_lower_bounds() -> None:
    run = replace(RUN, status=JobStatus.FAILED, error="segment 0: ClientError: no", tally_is_exact=False)

    assert "Error: segment 0: ClientError: no" in message_of(run).splitlines()
    assert ["lower bounds" in message_of(each) for each in (run, RUN)] == [True, False]


# The same failures


def test_only_a_run_that_did_not_end_clean_has_a_signature_its_status_and_its_failures() -> None:
    run = replace(RUN, tally=Tally(failure_sum=255))

    assert {status.value: replace(run, status=status).failure_signature for status in JobStatus} == {
        **dict.fromkeys(("RUNNING", "SKIPPED", "SUCCEEDED"), ""),
        **{status: f"{status}:ff" for status in ("FAILED", "COMPLETED_WITH_FAILURES", "ABANDONED")},
    }


FAILURES = st.builds(
    Failure,
    sku=st.sampled_from(["mug", "cup", "pot"]),
    location_id=st.sampled_from(["DC1", "DC2"]),
    change_id=st.none() | st.sampled_from(["c1", "c2"]),
    code=st.sampled_from(["INVALID_ITEM", "INSUFFICIENT_STOCK"]),
    message=st.text(max_size=5),
)


def named(failures: Iterable[Failure]) -> set[tuple[str, str, str]]:
    """What makes failures the same: item and code."""
    return {(failure.sku, failure.location_id, failure.code) for failure in failures}


@given(st.lists(FAILURES, max_size=8), st.lists(FAILURES, max_size=8))
def test_two_jobs_have_the_same_sum_exactly_when_the_same_items_failed_with_the_same_codes_in_any_order(
    first: list[Failure], second: list[Failure]
) -> None:
    assert (failure_sum(first) == failure_sum(second)) == (named(first) == named(second))
    assert (failure_sum(first), failure_sum([])) == (failure_sum(first[::-1]), 0)


def test_pages_and_segments_add_up_to_the_sum_of_the_job() -> None:
    pages = [[failed(f"sku-{n}") for n in range(start, 100, 7)] for start in range(7)]
    added = sum((Tally(failure_sum=failure_sum(page)) for page in pages), Tally())

    assert added.failure_sum == failure_sum([failure for page in pages for failure in page])
    # DynamoDB holds numbers of 38 digits.
    assert len(str(added.failure_sum)) <= 38


# Telling people


def poison(warehouse: Warehouse, *skus: str) -> None:
    """These items, and no others, cannot be read by any job."""
    warehouse.clear()
    warehouse.put(*(unreadable(sku, change("c1")) for sku in skus))


def told(warehouse: Warehouse) -> list[str]:
    """The jobs that messages are about: the second word of each."""
    return [sent.message.split()[1] for sent in warehouse.topic.sent]


def test_a_run_with_failures_is_one_message_and_the_run_says_that_it_was_sent(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", -99)), unreadable("cup", change("c2")))

    ended = warehouse.run_job()

    (sent,) = warehouse.topic.sent
    assert sent.subject == "[test] inventory job COMPLETED_WITH_FAILURES: 1 item failed, 1 change rejected"
    assert "mug at DC1, change c1: INSUFFICIENT_STOCK" in sent.message
    assert "cup at DC1: " in sent.message
    assert (ended.alerted_at, ended.alert_error) == (moment("12:00"), None)
    assert warehouse.jobs.last_alert("due") == LastAlert(ended.failure_signature, moment("12:00"))


def test_the_message_names_only_the_first_failures(warehouse: Warehouse) -> None:
    poison(warehouse, *(f"sku-{n:02}" for n in range(FAILURES_AN_ALERT + 5)))

    warehouse.run_job()

    (sent,) = warehouse.topic.sent
    assert "15 items failed" in sent.subject
    assert sent.message.count(" at DC1: ") == FAILURES_AN_ALERT


def test_a_clean_and_a_skipped_run_tell_nobody_and_are_not_remembered(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(3))
    clean = warehouse.run_job()
    poison(warehouse, "cup")
    warehouse.open("job-0", "all")
    skipped = warehouse.run_job("job-2")

    assert [each.status for each in (clean, skipped)] == [JobStatus.SUCCEEDED, JobStatus.SKIPPED]
    assert (warehouse.topic.sent, warehouse.jobs.last_alert("due")) == ([], LastAlert())


def test_without_anybody_to_tell_a_job_closes_all_the_same(warehouse: Warehouse) -> None:
    poison(warehouse, "cup")
    services = replace(warehouse.services, reports=Reporter("test", warehouse.metrics.client))

    ended = run_job(services, warehouse.request())

    assert (ended.status, ended.alerted_at) == (UNCLEAN, None)


def test_the_same_failures_are_not_told_of_twice_in_whatever_order_they_are_found(warehouse: Warehouse) -> None:
    poison(warehouse, "cup", "mug", "pot")
    ended = [warehouse.run_job("job-1"), warehouse.run_job("job-2")]
    warehouse.configure(segments=3, page_size=1)
    ended.append(warehouse.run_job("job-3"))

    assert told(warehouse) == ["job-1"]
    assert {(each.status, each.alerted_at) for each in ended} == {(UNCLEAN, moment("12:00"))}


def test_other_failures_are_news(warehouse: Warehouse) -> None:
    for number, poisoned in enumerate([("cup",), ("cup", "pot"), ("pot",)], 1):
        poison(warehouse, *poisoned)
        warehouse.run_job(f"job-{number}")
    warehouse.put(mug(change("c1", "adjustment", -99), sku="pot"))  # the same item with another code
    warehouse.run_job("job-4")

    assert told(warehouse) == ["job-1", "job-2", "job-3", "job-4"]


def test_after_a_clean_run_the_same_failures_are_news_again(warehouse: Warehouse) -> None:
    poison(warehouse, "cup")
    warehouse.run_job("job-1")
    warehouse.run_job("job-2")
    poison(warehouse)
    warehouse.run_job("job-3")
    poison(warehouse, "cup")
    warehouse.run_job("job-4")

    assert told(warehouse) == ["job-1", "job-4"]


def test_each_scope_has_its_own_news(warehouse: Warehouse) -> None:
    poison(warehouse, "cup")
    for job_id, scope in {"job-1": "due", "job-2": "all", "job-3": "due", "job-4": "all"}.items():
        warehouse.run_job(job_id, scope)

    assert told(warehouse) == ["job-1", "job-2"]


def test_the_same_failures_are_told_of_again_after_some_hours_and_then_once(warehouse: Warehouse) -> None:
    warehouse.configure(alert_repeat_hours=2)
    poison(warehouse, "cup")
    for job_id, passes in {"job-1": 0, "job-2": 2 * 3600, "job-3": 1, "job-4": 0}.items():
        warehouse.clock.goes_on(passes)
        warehouse.run_job(job_id)

    assert told(warehouse) == ["job-1", "job-3"]


def test_a_job_that_failed_is_told_of_with_its_reason(warehouse: Warehouse) -> None:
    warehouse.open(scope="all")

    assert warehouse.close("States.Timeout: too slow").status is JobStatus.FAILED

    (sent,) = warehouse.topic.sent
    assert "inventory job FAILED" in sent.subject
    assert "Error: States.Timeout: too slow; segment 0: never finished" in sent.message


def test_an_abandoned_job_is_told_of_by_the_job_that_finds_it(warehouse: Warehouse) -> None:
    warehouse.open(scope="all")
    warehouse.clock.goes_on(841)

    warehouse.run_job("job-2")

    (sent,) = warehouse.topic.sent
    assert "inventory job ABANDONED" in sent.subject
    assert "Error: found without a live lease by job-2" in sent.message
    assert warehouse.run().alerted_at == moment("12:14:01")


# When telling fails


def test_an_alert_that_fails_fails_the_call_once_all_else_is_done_and_the_call_repeated_does_only_that(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    poison(warehouse, "cup", "mug", "pot")
    warehouse.open()
    warehouse.update()
    warehouse.topic.error = NO_ROUTE

    with pytest.raises(AlertError, match="ConnectionError: no route"):
        warehouse.close()

    ended = warehouse.run()
    assert (ended.status, ended.metrics_published_at) == (UNCLEAN, moment("12:00"))
    assert (ended.alert_error, ended.alerted_at) == ("ConnectionError: no route", None)
    assert (warehouse.jobs.lease().holder, warehouse.jobs.last_alert("due")) == (None, LastAlert())
    assert "alerting failed" in caplog.text

    warehouse.topic.error = None
    assert [close_job(warehouse.services, warehouse.request()) for _ in range(2)] == [UNCLEAN, UNCLEAN]
    assert (len(warehouse.topic.sent), len(warehouse.metrics.published)) == (1, 1)
    assert warehouse.run().alerted_at == moment("12:00")


def test_what_could_not_be_sent_stays_news_for_the_next_job(warehouse: Warehouse) -> None:
    poison(warehouse, "cup")
    warehouse.topic.error = NO_ROUTE
    with pytest.raises(AlertError):
        warehouse.run_job("job-1")
    warehouse.topic.error = None

    warehouse.run_job("job-2")

    assert told(warehouse) == ["job-2"]


def test_a_clean_job_closes_though_nobody_could_be_told(warehouse: Warehouse) -> None:
    warehouse.topic.error = NO_ROUTE
    ended = warehouse.run_job()

    assert (ended.status, ended.alert_error) == (JobStatus.SUCCEEDED, None)


def test_an_abandoned_job_stays_on_the_lease_until_people_were_told(warehouse: Warehouse) -> None:
    warehouse.open(scope="all")
    warehouse.clock.goes_on(841)
    warehouse.topic.error = NO_ROUTE

    assert warehouse.run_job("job-2").status is JobStatus.SUCCEEDED
    assert warehouse.jobs.lease().displaced == {"job-1"}
    warehouse.topic.error = None
    warehouse.run_job("job-3")

    assert (told(warehouse), warehouse.jobs.lease().displaced) == (["job-1"], frozenset())
