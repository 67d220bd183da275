"""One update call: the lanes of one segment, several at once, until they are done or the time is nearly up.

The timeline::

    begin ─┬─page──page──page──▶ done ──▶ next lane          │
           ├─page──page──────────▶ done ──▶ next lane        ├──▶ end: the next call goes on from the saved cursors
           └─page──page──page──page──(time left < reserve)───│
                         save, now and then

A page may be repeated: progress is only in the SEGMENT record, and what is settled is no longer due.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Final

from inventory_updater.dynamodb.pacing import OutOfTimeError
from inventory_updater.jobs.pages import NEGATIVE, PageResult, Pages, lanes_of
from inventory_updater.jobs.services import Services
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.job_table import SegmentTakenError
from inventory_updater.tables.records import FAILURES_A_JOB, Run, Segment, Tally, error_text

CALLS_A_JOB: Final = 2_000
"""How many update calls a job makes: an execution's history holds 25,000 events, and a call takes up to ten.

A fifth of them is left for calls that are tried again and for an hour of waiting for the lease.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

_RESERVE_PER_SLOWEST_PAGE: Final = 1.5
_CLOSING_SECONDS: Final = 1.0
_CLOSING_SHARE: Final = 0.1
_SAVE_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class NoProgressError(Exception):
    """A call ended before it could settle anything."""


class UnknownJobError(LookupError):
    """There is no such job."""


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
        NoProgressError: where the time was up before anything was settled.
    """
    run = services.jobs.run(job_id)
    if run is None or not 0 <= number < run.segments:
        raise UnknownJobError(f"there is no job {job_id} with a segment {number}")
    if run.is_settled or run.stop_reason is not None:
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
    except Exception as error:
        services.jobs.note_segment_error(segment, error_text(error))
        raise


class _Call:
    """One update call: the lanes that it works on, and what it has not saved yet."""

    def __init__(self, services: Services, run: Run, segment: Segment, seconds_left: Callable[[], float]) -> None:
        closing_seconds = min(_CLOSING_SECONDS, seconds_left() * _CLOSING_SHARE)
        self._seconds_left: Callable[[], float] = lambda: seconds_left() - closing_seconds
        self._services = services
        self._run = run
        self._segment = segment
        self._lanes = lanes_of(run, segment.number)
        self._pages = Pages(services, run, self._seconds_left)
        self._cursors: dict[int, Attributes] = dict(segment.cursors)
        self._waiting = list(segment.cursors)
        self._begun = segment.lanes_begun
        self._unsaved: list[PageResult] = []
        self._saved_at = services.monotonic()
        self._slowest = segment.slowest_page_seconds
        self._has_done_anything = False
        self._ending: Exception | None = None
        self._failures_left = max(1, FAILURES_A_JOB // run.segments) - segment.tally.failures_recorded

    def work(self) -> bool:
        """Page after page until the segment is done or the time is nearly up; whether no further call is needed."""
        running: dict[Future[tuple[PageResult, float]], int] = {}
        with ThreadPoolExecutor(self._services.settings.write_concurrency) as pool:
            while True:
                while len(running) < self._services.settings.write_concurrency and (place := self._next()) is not None:
                    running[pool.submit(self._page, place)] = place
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._take(running.pop(future), *future.result())
                if self._is_worth_saving():
                    self._save(call_is_open=True)
        self._save(call_is_open=False)
        if self._ending is not None and not isinstance(self._ending, OutOfTimeError):
            where = {"job_id": self._run.job_id, "segment": self._segment.number}
            _log.warning("the call ends early: %s", self._ending, extra=where)
            self._services.jobs.note_segment_error(self._segment, str(self._ending))
            return True
        if not self._has_done_anything and not self._segment.is_done:
            raise NoProgressError(
                "not one batch fitted into a call: lower PageSize or raise FunctionTimeoutSeconds "
                f"({self._ending or 'no time was left'})"
            )
        return self._segment.is_done or self._segment.was_cut_short

    def _next(self) -> int | None:
        """The place of the lane to go on with, those first that have begun; None where no page may begin."""
        is_first = not self._has_done_anything and not self._unsaved
        if self._ending is not None or not (is_first or self._seconds_left() > self._reserve):
            return None
        if self._waiting:
            return self._waiting.pop()
        if self._begun == len(self._lanes):
            return None
        self._cursors[self._begun] = {}
        self._begun += 1
        return self._begun - 1

    @property
    def _reserve(self) -> float:
        """How much time must be left for another page, in seconds."""
        return self._slowest * _RESERVE_PER_SLOWEST_PAGE

    def _page(self, place: int) -> tuple[PageResult, float]:
        started = self._services.monotonic()
        result = self._pages.of_lane(self._lanes[place], self._cursors[place])
        return result, self._services.monotonic() - started

    def _take(self, place: int, page: PageResult, seconds: float) -> None:
        """Take a page that is done, or was cut short: then its lane goes on from where it stood."""
        self._unsaved.append(page)
        self._slowest = max(self._slowest, seconds)
        self._has_done_anything |= page.has_done_anything
        if page.ending is not None:
            self._ending = page.ending
        elif page.cursor is None:
            del self._cursors[place]
        else:
            self._cursors[place] = page.cursor
            self._waiting.append(place)

    def _is_worth_saving(self) -> bool:
        settled = sum(len(page.report.marked) for page in self._unsaved)
        is_time = self._services.monotonic() - self._saved_at >= _SAVE_SECONDS
        return settled >= self._services.settings.page_size or is_time

    def _save(self, *, call_is_open: bool) -> None:
        """Record what the pages since the last save came to, and how far the segment is."""
        pages, self._unsaved = self._unsaved, []
        tally, is_exact, recording_error = recorded(
            self._services, self._segment, pages, failures_left=self._failures_left
        )
        self._failures_left -= tally.failures_recorded
        is_done = not call_is_open and not self._cursors and self._begun == len(self._lanes)
        was_last_call = self._segment.call >= max(1, CALLS_A_JOB // self._run.segments)
        self._segment = self._services.jobs.save_segment(
            replace(
                self._segment,
                lanes_begun=self._begun,
                cursors=dict(self._cursors),
                is_done=is_done,
                tally=self._segment.tally + tally,
                tally_is_exact=self._segment.tally_is_exact and is_exact,
                call_is_open=call_is_open,
                slowest_page_seconds=self._slowest,
                was_cut_short=not call_is_open and not is_done and was_last_call,
                recording_error=recording_error or self._segment.recording_error,
            )
        )
        self._saved_at = self._services.monotonic()


def recorded(
    services: Services, segment: Segment, pages: Sequence[PageResult], *, failures_left: int
) -> tuple[Tally, bool, str | None]:
    """Record which changes these pages settled and what failed; what they add up to, whether that is exact, and what
    prevented the recording.

    The pages are written by now: if this raised, nobody would count them, and a job whose changes were all rejected
    would end well.
    """
    failures = [failure for page in pages for failure in page.failures][: max(0, failures_left)]
    settled = [change for page in pages for change in page.settled]
    stuck: set[ItemKey] = set()
    error: str | None = None
    try:
        services.jobs.record_settled(segment, settled)
        stuck = services.jobs.note_stuck(failure for failure in failures if failure.code != NEGATIVE)
        services.jobs.record_failures(segment.job_id, segment.number, failures)
    except Exception as problem:  # noqa: BLE001  # closing reports it; the counts come first
        _log.exception("recording failures failed", extra={"job_id": segment.job_id, "segment": segment.number})
        failures, error = [], error_text(problem)
    tally = sum((page.tally(stuck) for page in pages), Tally(failures_recorded=len(failures)))
    return tally, all(page.report.is_exact for page in pages), error
