"""The job: open it, update its segments, close it.

The timeline of one update call::

    begin ──page──save──page──save──(time left < reserve)──▶ end       the next call goes on from the saved cursor
              │
              └ read ahead: while one page is planned and written, the next one is being read

Each step may be repeated: progress is only in the SEGMENT records, a change that was applied is no longer pending,
and every step of closing is marked when it is done.
"""

import logging
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, TypedDict, cast

from inventory_updater import telemetry
from inventory_updater.inventory_table import (
    BatchReport,
    InventoryTable,
    Limits,
    OutOfTimeError,
    Page,
    Scope,
    WritePace,
    WriteResult,
    batched,
)
from inventory_updater.job_table import JobTable, LeaseLostError, SegmentTakenError
from inventory_updater.planning import GUARDED, Plan, Unchanged, plan
from inventory_updater.records import FAILURES_A_JOB, Failure, JobStatus, LastAlert, Run, Segment, Tally, failure_sum
from inventory_updater.settings import Settings
from inventory_updater.stock import (
    Attributes,
    InvalidItem,
    ItemKey,
    format_time,
    is_stored_time,
    parse_time,
    read_item,
    read_key,
    read_time,
)

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_sns import SNSClient

CALLS_A_JOB: Final = 2_500
"""How many update calls a job makes: an execution's history holds 25,000 events, and a call takes up to ten.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

SAMPLES_A_JOB: Final = 20
"""How many before/after samples a dry run keeps."""

_RESERVE_PER_SLOWEST_PAGE: Final = 1.5
_CLOSING_SECONDS: Final = 1.0
_CLOSING_SHARE: Final = 0.1

_log = logging.getLogger(__name__)

Planned = Plan | Unchanged | InvalidItem


class NoProgressError(Exception):
    """A call ended before it could finish one page."""


class UnknownJobError(LookupError):
    """There is no such job."""


class AlertError(Exception):
    """People could not be told; the RUN record says why."""


class BadRequestError(ValueError):
    """A job was asked for in a way that makes no sense; the message names the field."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is to be done, by whom it was asked, and since when the job runs (stored times)."""

    job_id: str
    started_at: str
    scope: Scope
    as_of: str
    dry_run: bool = False
    trigger: str = "manual"

    @classmethod
    def from_input(cls, job_id: str, started_at: str, wanted: Mapping[str, object]) -> "JobRequest":
        """The request in an execution's input; ``as_of`` defaults to the execution's start.

        Raises:
            BadRequestError: naming the field that is missing, unknown or bad.
        """
        unknown = set(wanted) - {"scope", "as_of", "dry_run", "trigger"}
        if unknown:
            raise BadRequestError(f"input: unknown field {min(unknown)!r}")
        scope = wanted.get("scope")
        if scope not in ("due", "all"):
            raise BadRequestError('input: scope must be "due" or "all"')
        dry_run = wanted.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise BadRequestError("input: dry_run must be true or false")
        trigger = wanted.get("trigger", "manual")
        if trigger not in ("manual", "schedule"):
            raise BadRequestError('input: trigger must be "manual" or "schedule"')
        started = _time_of("started_at", started_at)
        as_of = started if wanted.get("as_of") is None else _time_of("input: as_of", wanted["as_of"])
        return cls(job_id, started, scope, as_of, dry_run, trigger)


class Opened(TypedDict, total=False):
    """What ``open_job`` answers: the segments to update where the outcome is ``OPENED``."""

    outcome: Literal["OPENED", "WAIT", "SKIPPED"]
    segments: list[int]


@dataclass(frozen=True, slots=True)
class Services:
    """What a job works with; without a client for alerts nobody is told."""

    inventory: InventoryTable
    jobs: JobTable
    metrics: "CloudWatchClient"
    settings: Settings
    alerts: "SNSClient | None" = None
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic

    def now(self) -> str:
        return format_time(self.clock())


def open_job(services: Services, request: JobRequest) -> Opened:
    """Take the lease, write the RUN record and say which segments there are.

    Where another job holds the lease, scope ``due`` ends ``SKIPPED`` and scope ``all`` is told to wait, until it has
    waited ``all_wait_minutes``. A dry run needs no lease.
    """
    settings, jobs = services.settings, services.jobs
    existing = jobs.run(request.job_id)
    if existing is not None and existing.is_settled:
        return {"outcome": "SKIPPED"}
    if not request.dry_run:
        lease = jobs.take_lease(request.job_id, settings.lease_seconds)
        if lease.holder != request.job_id:
            waited = services.clock() - read_time(request.started_at)
            if request.scope == "all" and waited < timedelta(minutes=settings.all_wait_minutes):
                _log.info("waiting for the lease", extra={"job_id": request.job_id, "holder": lease.holder})
                return {"outcome": "WAIT"}
            error = f"job {lease.holder} holds the lease until {lease.held_until}"
            skipped = replace(
                _new_run(services, request), status=JobStatus.SKIPPED, error=error, finished_at=services.now()
            )
            telemetry.log_run(jobs.start_run(skipped))
            return {"outcome": "SKIPPED"}
        for job_id in sorted(lease.displaced):
            _settle_displaced(services, job_id, f"found without a live lease by {request.job_id}")
    run = jobs.start_run(_new_run(services, request))
    return {"outcome": "OPENED", "segments": list(range(run.segments))}


def update_segment(
    services: Services, job_id: str, number: int, seconds_left: Callable[[], float] = lambda: 900.0
) -> bool:
    """Work on one segment, page by page, until it is done or the time is nearly up.

    Args:
        services: what to work with.
        job_id: a job that is open.
        number: which segment, from 0.
        seconds_left: the time that remains for this call, in seconds.

    Returns:
        Whether this segment needs no further call.

    Raises:
        UnknownJobError: where there is no such job.
        NoProgressError: where the time was up before one page was finished.
    """
    run = services.jobs.run(job_id)
    if run is None or not 0 <= number < run.segments:
        raise UnknownJobError(f"there is no job {job_id} with a segment {number}")
    if run.is_settled:
        return True
    try:
        segment = services.jobs.begin_call(job_id, number)
    except SegmentTakenError:
        return False
    if segment.is_done or segment.was_cut_short:
        return True
    try:
        return _Call(services, run, segment, seconds_left).work()
    except SegmentTakenError as error:
        _log.warning("another call took the segment over: %s", error, extra={"job_id": job_id, "segment": number})
        return False
    except LeaseLostError as error:
        _log.warning("the lease is lost", extra={"job_id": job_id, "segment": number})
        services.jobs.note_segment_error(segment, str(error))
        return True
    except Exception as error:
        services.jobs.note_segment_error(segment, f"{type(error).__name__}: {error}"[:1000])
        raise


def close_job(
    services: Services,
    request: JobRequest,
    error: str = "",
    seconds_left: Callable[[], float] = lambda: 60.0,
) -> JobStatus:
    """Settle the run, publish its metrics, alert people, free the lease.

    Each step is marked, so that a repeated close skips what is done.

    Args:
        services: what to work with.
        request: the job, as it was opened.
        error: what made the job end early; empty where nothing did.
        seconds_left: the time that remains for this call, in seconds.

    Raises:
        AlertError: where people could not be told, once everything else is done.
    """
    jobs = services.jobs
    run = jobs.run(request.job_id)
    if run is None:
        run = jobs.start_run(_new_run(services, request))
    if not run.is_settled:
        run = jobs.settle_run(_settled(services, run, error, seconds_left))
        telemetry.log_run(run)
    if telemetry.has_metrics(run) and run.metrics_published_at is None:
        run = _publish_metrics(services, run)
    run = _alert(services, run)
    if not run.dry_run:
        jobs.free_lease(run.job_id)
    if run.alert_error and run.alerted_at is None:
        raise AlertError(run.alert_error)
    return run.status


def abandon_job(services: Services, job_id: str, reason: str) -> Run | None:
    """Settle a job that will not close itself as ``ABANDONED``; one that has ended already stays as it is.

    Returns:
        The run as it stands then; ``None`` where there is none.
    """
    run = services.jobs.run(job_id)
    if run is None or run.is_settled:
        return run
    abandoned = replace(_added_up(services, run), status=JobStatus.ABANDONED, error=reason)
    run = services.jobs.settle_run(abandoned)
    telemetry.log_run(run)
    return run


def run_job(
    services: Services,
    request: JobRequest,
    *,
    call_seconds: float | None = None,
) -> Run:
    """The whole job in this process: open, update every segment, close.

    Args:
        services: what to work with.
        request: the job.
        call_seconds: how long one update call may take, as a Lambda time-out would limit it; ``None`` for no limit.
    """
    outcome = open_job(services, request)
    if outcome["outcome"] == "OPENED":
        for number in outcome["segments"]:
            while not update_segment(services, request.job_id, number, _countdown(services, call_seconds)):
                pass
        close_job(services, request)
    run = services.jobs.run(request.job_id)
    if run is None:
        raise UnknownJobError(f"job {request.job_id} is waiting for the lease")
    return run


class _HeldLease:
    """The lease in the hands of one worker, renewed when a third of it has passed."""

    def __init__(self, services: Services, job_id: str) -> None:
        self._services = services
        self._job_id = job_id
        self._lock = threading.Lock()
        self._renew_at = datetime.min.replace(tzinfo=UTC)

    def check(self) -> None:
        """Make sure that this job may write.

        Raises:
            LeaseLostError: where another job holds the lease.
        """
        with self._lock:
            if self._services.clock() < self._renew_at:
                return
            seconds = self._services.settings.lease_seconds
            until = self._services.jobs.renew_lease(self._job_id, seconds)
            self._renew_at = until - timedelta(seconds=seconds * 2 / 3)


class _Call:
    """One update call: the pages it works on and what it keeps between them."""

    def __init__(self, services: Services, run: Run, segment: Segment, seconds_left: Callable[[], float]) -> None:
        settings = services.settings
        self._services = services
        self._run = run
        self._segment = segment
        self._write_id = f"{run.job_id}/{segment.number}/{segment.call}"
        closing_seconds = min(_CLOSING_SECONDS, seconds_left() * _CLOSING_SHARE)
        self._seconds_left: Callable[[], float] = lambda: seconds_left() - closing_seconds
        self._failures_left = max(1, FAILURES_A_JOB // run.segments) - segment.tally.failures_recorded
        self._samples_left = SAMPLES_A_JOB - len(segment.samples)
        self._limits = Limits(
            seconds_left=self._seconds_left,
            check=(lambda: None) if run.dry_run else _HeldLease(services, run.job_id).check,
            pace=WritePace(settings.write_rate_of_one_worker),
        )

    def work(self) -> bool:
        """Page after page until the segment is done or the time is nearly up; whether no further call is needed."""
        self._limits.check()
        pages = 0
        with (
            ThreadPoolExecutor(1) as reader,
            ThreadPoolExecutor(self._services.settings.write_concurrency) as writers,
        ):
            reading: Future[Page] | None = None
            while True:
                started = self._services.monotonic()
                page = (reading or reader.submit(self._read, self._segment.cursor)).result()
                has_time_for_another = self._seconds_left() > 2 * self._reserve(self._segment.slowest_page_seconds)
                reading = reader.submit(self._read, page.cursor) if page.cursor and has_time_for_another else None
                try:
                    results, tally = self._write(page, writers)
                except OutOfTimeError as error:
                    if pages == 0:
                        raise NoProgressError(
                            f"a page of {len(page.items)} items did not fit into one call: lower PageSize or raise "
                            f"FunctionTimeoutSeconds ({error})"
                        ) from error
                    # What other threads have written of this page is not counted: the call stays open, and the next
                    # one will say that the tally is not exact.
                    return False
                self._segment = self._after(page, results, tally, self._services.monotonic() - started)
                pages += 1
                if not self._segment.call_is_open:
                    return self._segment.is_done or self._segment.was_cut_short

    def _read(self, cursor: Mapping[str, object] | None) -> Page:
        settings = self._services.settings
        return self._services.inventory.scan_page(
            cast(Scope, self._run.scope),
            self._run.as_of,
            segment=self._segment.number,
            segments=self._run.segments,
            limit=settings.items_per_page,
            cursor=cursor,
            limits=self._limits,
        )

    @staticmethod
    def _reserve(slowest_page_seconds: float) -> float:
        """How much time must be left for another page, in seconds."""
        return slowest_page_seconds * _RESERVE_PER_SLOWEST_PAGE

    def _decide(self, key: ItemKey, attributes: Attributes | None) -> Planned:
        if attributes is None:
            return InvalidItem(key, "ITEM_DELETED", "the item was deleted while its changes were being applied")
        item = read_item(attributes)
        if isinstance(item, InvalidItem):
            return item
        decision = plan(
            item,
            as_of=self._run.as_of,
            now=self._services.now(),
            policy=self._services.settings.policy,
            job_id=self._run.job_id,
        )
        if not isinstance(decision, Plan):
            return decision
        signed = replace(decision.write, sets={**decision.write.sets, "last_write_id": self._write_id})
        return replace(decision, write=signed)

    def _landed(self, decision: Planned, attributes: Attributes) -> bool:
        """Whether the item that a failed condition brought back is what this very decision made of it."""
        if not isinstance(decision, Plan) or attributes.get("last_write_id") != self._write_id:
            return False
        pending = attributes.get("pending_changes", {})
        settled = {
            *(change.change_id for change in (*decision.applied, *decision.superseded)),
            *(rejection.change.change_id for rejection in decision.rejected),
        }
        return isinstance(pending, dict) and settled.isdisjoint(pending)

    def _write(self, page: Page, writers: ThreadPoolExecutor) -> tuple[list[WriteResult[Planned]], Tally]:
        """Decide for every item of a page and write what was decided, in batches."""
        decisions: dict[ItemKey, Planned] = {}
        for attributes in page.items:
            key = read_key(attributes)
            decisions[key] = self._decide(key, attributes)
        if self._run.dry_run:
            rehearsed = [
                WriteResult(key, decision, written=isinstance(decision, Plan)) for key, decision in decisions.items()
            ]
            return rehearsed, Tally()
        to_write = {key: decision for key, decision in decisions.items() if isinstance(decision, Plan)}
        results = [
            WriteResult(key, decision, written=False) for key, decision in decisions.items() if key not in to_write
        ]
        tally = Tally()
        for report in self._write_batches(to_write, writers):
            results += report.results
            tally += Tally(conflicts=report.conflicts, throttles=report.throttles, write_units=report.write_units)
        return results, tally

    def _write_batches(
        self, to_write: Mapping[ItemKey, Planned], writers: ThreadPoolExecutor
    ) -> list[BatchReport[Planned]]:
        futures = [
            writers.submit(self._services.inventory.write_batch, dict(batch), self._decide, self._limits, self._landed)
            for batch in batched(to_write.items(), self._services.settings.batch_size)
        ]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _after(self, page: Page, results: Iterable[WriteResult[Planned]], tally: Tally, seconds: float) -> Segment:
        """Record the page's failures and save the segment, its call closed where no time is left for another page."""
        results = list(results)
        failures = [failure for result in results for failure in _failures_of(result)]
        recorded = failures[: max(0, self._failures_left)]
        self._services.jobs.record_failures(self._run.job_id, self._segment.number, recorded)
        self._failures_left -= len(recorded)
        next_changes = {read_key(attributes): attributes.get("next_change_at") for attributes in page.items}
        tally += Tally(
            items_scanned=page.scanned,
            read_units=page.read_units,
            memory_used=_peak_memory_megabytes(),
            failures_recorded=len(recorded),
            failure_sum=failure_sum(failures),
        )
        for result in results:
            tally += _tally_of(result, next_changes.get(result.key), self._run.as_of)
        samples = self._samples(page, results) if self._run.dry_run else ()
        slowest = max(self._segment.slowest_page_seconds, seconds)
        is_done = page.cursor is None
        has_time = self._seconds_left() > self._reserve(slowest)
        calls_are_used_up = self._segment.call >= max(1, CALLS_A_JOB // self._run.segments)
        return self._services.jobs.save_segment(
            replace(
                self._segment,
                cursor=page.cursor,
                is_done=is_done,
                tally=self._segment.tally + tally,
                call_is_open=not is_done and has_time,
                slowest_page_seconds=slowest,
                was_cut_short=not is_done and not has_time and calls_are_used_up,
                samples=(*self._segment.samples, *samples),
            )
        )

    def _samples(self, page: Page, results: Iterable[WriteResult[Planned]]) -> list[Attributes]:
        """Before and after of items that a dry run would have written."""
        before = {read_key(attributes): attributes for attributes in page.items}
        samples = [
            _sample(before[result.key], result.decision) for result in results if isinstance(result.decision, Plan)
        ][: max(0, self._samples_left)]
        self._samples_left -= len(samples)
        return samples


def _sample(before: Attributes, decision: Plan) -> Attributes:
    figures = [name for name in GUARDED if name in decision.write.sets or name in decision.write.removes]
    return {
        "sku": decision.write.key.sku,
        "location_id": decision.write.key.location_id,
        "before": {name: before[name] for name in figures if name in before},
        "after": {name: decision.write.sets[name] for name in figures if name in decision.write.sets},
        "applied": [change.change_id for change in decision.applied],
        "superseded": [change.change_id for change in decision.superseded],
        "rejected": [rejection.change.change_id for rejection in decision.rejected],
    }


def _failures_of(result: WriteResult[Planned]) -> list[Failure]:
    """What to record of one item: the item itself where it failed, else each of its changes that was rejected."""
    if result.code is not None:
        return [Failure(*result.key, None, result.code, result.message)]
    match result.decision:
        case InvalidItem() as invalid:
            return [Failure(*result.key, None, invalid.code, invalid.message)]
        case Plan() as planned:
            return [
                Failure(*result.key, rejection.change.change_id, rejection.code, rejection.message)
                for rejection in planned.rejected
            ]
        case Unchanged():
            return []


def _tally_of(result: WriteResult[Planned], next_change: object, as_of: str) -> Tally:
    if result.code is not None or isinstance(result.decision, InvalidItem):
        is_overdue = is_stored_time(next_change) and next_change <= as_of
        return Tally(
            items_failed=1,
            items_with_work=1,
            items_troubled=1,
            oldest_overdue=str(next_change) if is_overdue else None,
        )
    if not isinstance(result.decision, Plan):
        return Tally()
    return Tally(
        items_updated=1,
        items_with_work=1,
        items_troubled=1 if result.decision.rejected else 0,
        changes_applied=len(result.decision.applied),
        changes_rejected=len(result.decision.rejected),
        changes_superseded=len(result.decision.superseded),
    )


def _new_run(services: Services, request: JobRequest) -> Run:
    return Run(
        job_id=request.job_id,
        status=JobStatus.RUNNING,
        scope=request.scope,
        trigger=request.trigger,
        dry_run=request.dry_run,
        as_of=request.as_of,
        started_at=request.started_at,
        segments=services.settings.segments,
    )


def _added_up(services: Services, run: Run) -> Run:
    """The run with its segments' tallies, as it would end now."""
    segments = services.jobs.segments(run.job_id, run.segments)
    tally = sum((segment.tally for segment in segments), Tally())
    finished = services.clock()
    return replace(
        run,
        tally=tally,
        tally_is_exact=all(segment.tally_is_exact and not segment.call_is_open for segment in segments),
        failure_rate=tally.failure_rate,
        finished_at=format_time(finished),
        duration_seconds=max(0.0, (finished - read_time(run.started_at)).total_seconds()),
        samples=[sample for segment in segments for sample in segment.samples][:SAMPLES_A_JOB],
    )


def _settled(services: Services, run: Run, error: str, seconds_left: Callable[[], float]) -> Run:
    """The run with its final status, from what its segments say."""
    segments = services.jobs.segments(run.job_id, run.segments)
    failed = [segment for segment in segments if not segment.is_done and not segment.was_cut_short]
    run = _added_up(services, run)
    problems = [error] if error else []
    problems += [f"segment {segment.number}: {segment.error or 'never finished'}" for segment in failed]
    was_cut_short = any(segment.was_cut_short for segment in segments)
    if was_cut_short:
        problems.append(f"stopped after {CALLS_A_JOB:,} calls; the next job takes up what is left")
    if len(failed) == run.segments:
        status, run = JobStatus.FAILED, replace(run, failure_rate=100.0)
    elif failed or run.tally.items_failed or run.tally.changes_rejected:
        status = JobStatus.COMPLETED_WITH_FAILURES
    else:
        status = JobStatus.SUCCEEDED
    if (failed or was_cut_short) and not run.dry_run:
        unread = _oldest_overdue(services, run.as_of, seconds_left)
        run = replace(run, tally=run.tally + Tally(oldest_overdue=unread))
    return replace(run, status=status, error="; ".join(problems)[:4000] or None)


def _oldest_overdue(services: Services, as_of: str, seconds_left: Callable[[], float]) -> str | None:
    """The earliest change that is pending and due, as far as the index can be read in half of the time left."""
    enough = seconds_left() / 2
    oldest: str | None = None
    for attributes in services.inventory.scan("due", as_of):
        next_change = attributes.get("next_change_at")
        if is_stored_time(next_change):
            oldest = next_change if oldest is None else min(oldest, next_change)
        if seconds_left() < enough:
            break
    return oldest


def _publish_metrics(services: Services, run: Run) -> Run:
    data = telemetry.metric_data(run, services.settings.environment, services.clock())
    try:
        telemetry.publish_metrics(services.metrics, data)
    except Exception as error:  # noqa: BLE001  # metrics may be lost, but not silently, and the job must close
        _log.exception("publishing metrics failed", extra={"job_id": run.job_id})
        return services.jobs.mark_run(run, metrics_error=f"{type(error).__name__}: {error}"[:1000])
    return services.jobs.mark_run(run, metrics_published_at=services.now())


def _alert(services: Services, run: Run) -> Run:
    """Tell people about a run that did not end clean, unless the last job of its scope failed with just the same.

    What is not news is sent again only after ``alert_repeat_hours``.
    """
    settings, jobs = services.settings, services.jobs
    if services.alerts is None or run.dry_run or run.status is JobStatus.SKIPPED or run.alerted_at is not None:
        return run
    signature = telemetry.failure_signature(run)
    last = jobs.last_alert(run.scope)
    repeat_before = format_time(services.clock() - timedelta(hours=settings.alert_repeat_hours))
    is_news = bool(signature) and (signature != last.signature or last.sent_at < repeat_before)
    try:
        if is_news:
            failures = islice(jobs.failures(run.job_id), telemetry.FAILURES_AN_ALERT)
            alert = telemetry.alert_of(run, failures, settings.environment)
            telemetry.send_alert(services.alerts, settings.alert_topic_arn, alert)
    except Exception as error:  # noqa: BLE001  # the rest of closing comes first; close_job raises then
        _log.exception("alerting failed", extra={"job_id": run.job_id})
        return jobs.mark_run(run, alert_error=f"{type(error).__name__}: {error}"[:1000])
    if is_news or signature != last.signature:
        jobs.save_alert(run.scope, LastAlert(signature, services.now() if is_news else ""))
    return jobs.mark_run(run, alerted_at=services.now())


def _settle_displaced(services: Services, job_id: str, reason: str) -> None:
    """Settle a job that lost its lease without closing and tell people; it stays on the lease until both are done."""
    run = abandon_job(services, job_id, reason)
    if run is not None and run.status is JobStatus.ABANDONED:
        run = _alert(services, run)
        if run.alert_error and run.alerted_at is None:
            return
    services.jobs.forget_displaced(job_id)


def _countdown(services: Services, seconds: float | None) -> Callable[[], float]:
    if seconds is None:
        return lambda: 900.0
    end = services.monotonic() + seconds
    return lambda: end - services.monotonic()


def _time_of(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a time like 2026-01-31T08:00:00Z")
    try:
        return parse_time(value)
    except ValueError as error:
        raise BadRequestError(f"{name} {error}") from None


def _peak_memory_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
