"""A job's work in pages: what is due of a shard, or what is wrong in a slice of the table.

The lanes of a job: the 64 shards of what is due and, of scope ``all``, as many slices of the inventory table. No lane
waits for another, because no item's write depends on which lane came first.
"""

import resource
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError, WritePace, batched, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import RENEWAL_SHARE
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import InvalidItem, ItemKey
from inventory_updater.stock.settling import Moment, Settled, settle
from inventory_updater.stock.times import read_time
from inventory_updater.tables.change_table import SHARDS, DuePage
from inventory_updater.tables.job_table import LeaseLostError
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.protocol import Due, Report
from inventory_updater.tables.records import Failure, Run, SettledChange, Tally, failure_sum

SLICES: Final = len(SHARDS)
"""In how many slices scope ``all`` scans the table."""

NEGATIVE: Final = "NEGATIVE_FIGURE"
"""The code of a finding: no failure of this job, and nothing to be silent about."""

_LOOK_SECONDS: Final = 1.0


class JobStoppedError(Exception):
    """The job was stopped: no further batch may be written."""


ENDINGS: Final = (OutOfTimeError, LeaseLostError, JobStoppedError)
"""What ends a call between two batches, and leaves its tally exact."""


def lanes_of(run: Run, segment: int) -> list[int]:
    """The lanes that a segment works on, in a row: shards, and from 64 on slices."""
    lanes = len(SHARDS) + (SLICES if run.scope == "all" else 0)
    return list(range(segment, lanes, run.segments))


class Permission:
    """Whether this worker may write: the job goes on, and holds the lease, which is renewed while it does."""

    def __init__(self, services: Services, job_id: str, *, lease_is_fresh: bool) -> None:
        self._services = services
        self._job_id = job_id
        self._lock = threading.Lock()
        self._renew_at = self._renewal(services.clock()) if lease_is_fresh else services.clock()
        self._look_at = services.monotonic() + _LOOK_SECONDS

    def check(self) -> None:
        """Look at the job again where a second has passed, and renew the lease where a share of it has.

        Raises:
            JobStoppedError: where the job was stopped or has ended.
            LeaseLostError: where another job holds the lease.
        """
        with self._lock:
            services = self._services
            if services.monotonic() >= self._look_at:
                if not services.jobs.may_go_on(self._job_id):
                    raise JobStoppedError(f"job {self._job_id} was stopped")
                self._look_at = services.monotonic() + _LOOK_SECONDS
            if services.clock() >= self._renew_at:
                services.jobs.renew_lease(self._job_id, services.settings.lease_seconds)
                self._renew_at = self._renewal(services.clock())

    def _renewal(self, moment: datetime) -> datetime:
        """When a lease that is taken at this moment is to be renewed."""
        return moment + timedelta(seconds=float(self._services.settings.lease_seconds * RENEWAL_SHARE))


@dataclass(frozen=True, slots=True)
class PageResult:
    """What became of a page.

    Attributes:
        report: what the protocol did; where ``ending`` cut it short, what it had done by then.
        failures: what failed, and findings; of a page that was cut short only the changes that were rejected, because
            all else will be met again.
        scanned: how many items were looked at.
        repaired: whether its writes are repairs of derived figures, with nothing due.
        earliest: since when the first change of each item has been due.
        cursor: where the lane goes on; None after its last page.
        ending: what cut it short, if anything did.
    """

    report: Report
    failures: tuple[Failure, ...]
    scanned: int
    repaired: bool
    earliest: Mapping[ItemKey, str]
    cursor: Attributes | None
    ending: Exception | None = None

    @property
    def has_done_anything(self) -> bool:
        return self.ending is None or bool(self.report.written or self.report.marked)

    @property
    def settled(self) -> list[SettledChange]:
        return [
            SettledChange(key, mark.record.change_id, mark.decision.outcome.value) for key, mark in self.report.marked
        ]

    def tally(self, stuck: Collection[ItemKey]) -> Tally:
        """What the page adds up to.

        Items that an earlier job had failed on already (``stuck``) fail again, but neither raise nor dilute the failure
        rate: they are overdue, not a new failure every five minutes.
        """
        report = self.report
        failed = {each.key for each in self.failures if each.change_id is None and each.code != NEGATIVE}
        outcomes = Counter(mark.decision.outcome for _, mark in report.marked)
        touched = report.written | {key for key, _ in report.marked}
        troubled = {key for key, mark in report.marked if mark.decision.outcome is Status.REJECTED}
        newly_failed = failed - set(stuck)
        overdue = failed | report.invalid.keys()
        took_effect = [
            (read_time(mark.decision.settled_at) - read_time(mark.record.due_at)).total_seconds()
            for _, mark in report.marked
            # A window that another writer left open without an end has no time at all.
            if mark.decision.outcome in (Status.APPLIED, Status.OPEN) and mark.record.due_at
        ]
        return Tally(
            items_scanned=self.scanned,
            items_updated=len(report.written),
            items_repaired=len(report.written) if self.repaired else 0,
            items_negative=sum(1 for each in self.failures if each.code == NEGATIVE),
            items_failed=len(failed),
            items_with_work=len(touched | newly_failed),
            items_troubled=len(troubled | newly_failed),
            changes_applied=outcomes[Status.APPLIED],
            changes_opened=outcomes[Status.OPEN],
            changes_rejected=outcomes[Status.REJECTED],
            changes_superseded=outcomes[Status.SUPERSEDED],
            conflicts=report.conflicts,
            throttles=report.throttles,
            read_units=report.read_units,
            write_units=report.write_units,
            memory_used=_peak_memory_megabytes(),
            failure_sum=failure_sum(each for each in self.failures if each.code != NEGATIVE),
            oldest_overdue=min((self.earliest[key] for key in overdue & self.earliest.keys()), default=None),
            lateness=Lateness.of(took_effect),
        )


class Pages:
    """The pages of one call, each settled by itself; may be asked by several threads at once.

    Args:
        services: what to work with.
        run: the job, as it is now.
        seconds_left: the time that remains for requests, in seconds.
        lease_is_fresh: whether this very call has taken the lease.
    """

    def __init__(
        self, services: Services, run: Run, seconds_left: Callable[[], float], *, lease_is_fresh: bool = False
    ) -> None:
        settings = services.settings
        self._services = services
        self._run = run
        self._protocol = services.protocol(run.job_id)
        self._limits = Limits(
            seconds_left=seconds_left,
            check=Permission(services, run.job_id, lease_is_fresh=lease_is_fresh).check,
            pace=WritePace(settings.write_rate_of_one_worker, services.monotonic, services.sleep),
            sleep=services.sleep,
        )

    def of_lane(self, lane: int, cursor: Attributes | None) -> PageResult:
        """Settle the next page of a lane."""
        try:
            # Where nothing is to be written too: the lease is renewed in it.
            self._limits.check()
        except ENDINGS as ending:
            return PageResult(Report(), (), 0, False, {}, cursor, ending)
        return self._of_shard(lane, cursor) if lane < len(SHARDS) else self._of_slice(lane - len(SHARDS), cursor)

    def _of_shard(self, shard: int, cursor: Attributes | None) -> PageResult:
        return self.settle(patiently(lambda: due_page(self._services, self._run.as_of, shard, cursor), self._limits))

    def settle(self, page: DuePage) -> PageResult:
        """Settle what is due."""
        report = Report(read_units=page.read_units)
        ending = self._settle(page.changes, report)
        failures = _rejections(report)
        if ending is None:
            failures += [
                Failure(
                    item, "", None, "MISNAMED_ITEM", f"change {change_id} stands under an item that is no item's name"
                )
                for item, change_id in page.misnamed
            ]
            failures += _failures_of(report, is_scanned_too=self._run.scope == "all")
        return PageResult(report, tuple(failures), len(page.changes), False, page.earliest, page.cursor, ending)

    def _of_slice(self, number: int, cursor: Attributes | None) -> PageResult:
        """Repair the derived figures of a page of the table."""
        services = self._services
        limit = services.settings.items_per_page
        page = services.inventory.scan_page(
            segment=number, segments=SLICES, limit=limit, cursor=cursor, limits=self._limits
        )
        report = Report(read_units=page.read_units)
        moment = self._moment()
        wrong: dict[ItemKey, tuple[str, ...]] = {}
        for attributes in page.items:
            state = read_state(attributes)
            if not isinstance(state, InvalidItem):
                if state.is_negative(may_be=moment.allow_negative_stock):
                    report.negative.add(state.key)
                settled = settle(state, (), moment)
                if isinstance(settled, Settled) and settled.write is not None:
                    wrong[state.key] = ()
                elif isinstance(settled, InvalidItem):
                    state = settled
            if isinstance(state, InvalidItem):
                report.invalid[state.key] = (state.code, state.message)
        ending = self._settle(wrong, report)
        failures = _rejections(report) + ([] if ending else _failures_of(report, is_scanned_too=False))
        return PageResult(report, tuple(failures), len(page.items), True, {}, page.cursor, ending)

    def _settle(self, due: Due, report: Report) -> Exception | None:
        try:
            for keys in batched(due, READ_LIMIT):
                self._protocol.settle({key: due[key] for key in keys}, self._moment(), self._limits, report=report)
        except ENDINGS as ending:
            return ending
        return None

    def _moment(self) -> Moment:
        services = self._services
        return Moment(self._run.as_of, services.now(), services.settings.allow_negative_stock)


def due_page(services: Services, as_of: str, shard: int, cursor: Attributes | None = None) -> DuePage:
    """The next page of what is due in a shard."""
    limit = services.settings.items_per_page
    return services.changes.due_page(SHARDS[shard], as_of, limit=limit, cursor=cursor)


def _rejections(report: Report) -> list[Failure]:
    return [
        Failure(*key, mark.record.change_id, mark.decision.code or "", mark.decision.message or "")
        for key, mark in report.marked
        if mark.decision.outcome is Status.REJECTED
    ]


def _failures_of(report: Report, *, is_scanned_too: bool) -> list[Failure]:
    """What to record of a page; of scope ``all`` it is the scan that names what is wrong with an item, once."""
    failed = report.failures if is_scanned_too else {**report.failures, **report.invalid}
    negative = set() if is_scanned_too else report.negative - failed.keys()
    return [
        *(Failure(*key, None, code, message) for key, (code, message) in failed.items()),
        *(Failure(*key, None, NEGATIVE, "another writer left it") for key in negative),
    ]


def _peak_memory_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
