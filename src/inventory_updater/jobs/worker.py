"""One update call: the pages of one segment, until it is done or the time is nearly up.

The timeline::

    begin ──page──save──page──save──(time left < reserve)──▶ end       the next call goes on from the saved cursor
              │
              └ read ahead: while one page is planned and written, the next one is being read

A page may be repeated: progress is only in the SEGMENT record, and a change that was applied is no longer pending.
"""

import logging
import resource
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError, WritePace, batched
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import RENEWAL_SHARE
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import InvalidItem, ItemKey, read_item, read_key
from inventory_updater.stock.planning import GUARDED, Plan, Unchanged, plan
from inventory_updater.stock.times import is_stored_time
from inventory_updater.tables.inventory_table import BatchReport, Page, Scope, WriteResult
from inventory_updater.tables.job_table import LeaseLostError, SegmentTakenError
from inventory_updater.tables.records import FAILURES_A_JOB, Failure, Run, Segment, Tally, failure_sum

CALLS_A_JOB: Final = 2_000
"""How many update calls a job makes: an execution's history holds 25,000 events, and a call takes up to ten.

A fifth of them is left for calls that are tried again and for an hour of waiting for the lease.

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


class _PageCutError(Exception):
    """The time was up when some of a page's batches had been written and some had not."""


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


class _HeldLease:
    """The lease in the hands of one worker, renewed when a share of it has passed."""

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
            self._renew_at = until - timedelta(seconds=float(seconds * (1 - RENEWAL_SHARE)))


class _Call:
    """One update call: the pages it works on and what it keeps between them."""

    def __init__(self, services: Services, run: Run, segment: Segment, seconds_left: Callable[[], float]) -> None:
        settings = services.settings
        self._services = services
        self._run = run
        self._segment = segment
        self._policy = settings.policy
        self._write_id = f"{run.job_id}/{segment.number}/{segment.call}"
        closing_seconds = min(_CLOSING_SECONDS, seconds_left() * _CLOSING_SHARE)
        self._seconds_left: Callable[[], float] = lambda: seconds_left() - closing_seconds
        self._failures_left = max(1, FAILURES_A_JOB // run.segments) - segment.tally.failures_recorded
        self._samples_left = SAMPLES_A_JOB - len(segment.samples)
        self._limits = Limits(
            seconds_left=self._seconds_left,
            check=(lambda: None) if run.dry_run else _HeldLease(services, run.job_id).check,
            pace=WritePace(settings.write_rate_of_one_worker, services.monotonic, services.sleep),
            sleep=services.sleep,
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
                except (OutOfTimeError, _PageCutError) as error:
                    if isinstance(error, OutOfTimeError):
                        # Nothing of this page was written. Of one that was cut something is not counted: then the call
                        # stays open, and the next one will say that the tally is not exact.
                        self._segment = self._services.jobs.save_segment(
                            replace(self._segment, call_is_open=False, was_cut_short=self._was_last_call())
                        )
                    if pages == 0:
                        raise NoProgressError(
                            f"a page of {len(page.items)} items did not fit into one call: lower PageSize or raise "
                            f"FunctionTimeoutSeconds ({error})"
                        ) from error
                    return self._segment.was_cut_short
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

    def _was_last_call(self) -> bool:
        """Whether this segment has used up its share of the job's calls."""
        return self._segment.call >= max(1, CALLS_A_JOB // self._run.segments)

    @staticmethod
    def _reserve(slowest_page_seconds: float) -> float:
        """How much time must be left for another page, in seconds."""
        return slowest_page_seconds * _RESERVE_PER_SLOWEST_PAGE

    def _decide(self, key: ItemKey, attributes: Attributes | None) -> Planned:
        return self._decide_at(self._services.now(), key, attributes)

    def _decide_at(self, now: str, key: ItemKey, attributes: Attributes | None) -> Planned:
        if attributes is None:
            return InvalidItem(key, "ITEM_DELETED", "the item was deleted while its changes were being applied")
        item = read_item(attributes)
        if isinstance(item, InvalidItem):
            return item
        return plan(
            item,
            as_of=self._run.as_of,
            now=now,
            policy=self._policy,
            job_id=self._run.job_id,
            write_id=self._write_id,
        )

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
        now = self._services.now()
        decisions: dict[ItemKey, Planned] = {}
        for attributes in page.items:
            key = read_key(attributes)
            decisions[key] = self._decide_at(now, key, attributes)
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
            if report.is_in_doubt:
                self._segment = replace(self._segment, tally_is_exact=False)
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
        except BaseException as error:
            for future in futures:
                future.cancel()
            wait(futures)
            # Only a batch that was out of time before its first request is known to have written nothing.
            was_written = any(
                not future.cancelled() and not isinstance(future.exception(), OutOfTimeError) for future in futures
            )
            if isinstance(error, OutOfTimeError) and was_written:
                raise _PageCutError(str(error)) from error
            raise

    def _after(self, page: Page, results: Sequence[WriteResult[Planned]], tally: Tally, seconds: float) -> Segment:
        """Record the page's failures and save the segment, its call closed where no time is left for another page."""
        failures = [failure for result in results for failure in _failures_of(result)]
        stuck, recorded, recording_error = self._record(failures)
        tally += _tally_of(results, page, self._run.as_of, stuck)
        tally += Tally(
            items_scanned=page.scanned,
            read_units=page.read_units,
            memory_used=_peak_memory_megabytes(),
            failures_recorded=recorded,
            failure_sum=failure_sum(failures),
        )
        samples = self._samples(page, results) if self._run.dry_run else ()
        slowest = max(self._segment.slowest_page_seconds, seconds)
        is_done = page.cursor is None
        has_time = self._seconds_left() > self._reserve(slowest)
        return self._services.jobs.save_segment(
            replace(
                self._segment,
                cursor=page.cursor,
                is_done=is_done,
                tally=self._segment.tally + tally,
                call_is_open=not is_done and has_time,
                slowest_page_seconds=slowest,
                was_cut_short=not is_done and not has_time and self._was_last_call(),
                recording_error=recording_error or self._segment.recording_error,
                samples=(*self._segment.samples, *samples),
            )
        )

    def _record(self, failures: Sequence[Failure]) -> tuple[set[ItemKey], int, str | None]:
        """Record failures, as many as a job keeps.

        Returns:
            The items that an earlier job had failed on too, how many failures were recorded, and what prevented it.

        The page is written by now: if this raised, nobody would count it, and a job whose changes were all rejected
        would end well.
        """
        recorded = failures[: max(0, self._failures_left)]
        try:
            stuck = set() if self._run.dry_run else self._services.jobs.note_stuck(recorded)
            self._services.jobs.record_failures(self._run.job_id, self._segment.number, recorded)
        except Exception as error:  # noqa: BLE001  # closing reports it; the counts come first
            where = {"job_id": self._run.job_id, "segment": self._segment.number}
            _log.exception("recording failures failed", extra=where)
            return set(), 0, f"{type(error).__name__}: {error}"[:1000]
        self._failures_left -= len(recorded)
        return stuck, len(recorded), None

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


def _tally_of(results: Sequence[WriteResult[Planned]], page: Page, as_of: str, stuck: Collection[ItemKey]) -> Tally:
    """What the results of a page add up to.

    Items that an earlier job had failed on already (``stuck``) fail again, but neither raise nor dilute the failure
    rate: they are overdue, not a new failure every five minutes.
    """
    failed = [result for result in results if result.code is not None or isinstance(result.decision, InvalidItem)]
    written = [result.decision for result in results if result.code is None and isinstance(result.decision, Plan)]
    newly_failed = sum(1 for result in failed if result.key not in stuck)
    troubled = sum(1 for decision in written if decision.rejected)
    return Tally(
        items_updated=len(written),
        items_failed=len(failed),
        items_with_work=newly_failed + len(written),
        items_troubled=newly_failed + troubled,
        changes_applied=sum(len(decision.applied) for decision in written),
        changes_rejected=sum(len(decision.rejected) for decision in written),
        changes_superseded=sum(len(decision.superseded) for decision in written),
        oldest_overdue=_oldest_overdue(failed, page, as_of) if failed else None,
    )


def _oldest_overdue(failed: Iterable[WriteResult[Planned]], page: Page, as_of: str) -> str | None:
    """The earliest due change of the items that failed."""
    next_changes = {read_key(attributes): attributes.get("next_change_at") for attributes in page.items}
    due = [next_changes.get(result.key) for result in failed]
    return min((time for time in due if is_stored_time(time) and time <= as_of), default=None)


def _peak_memory_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
