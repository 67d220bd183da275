"""What a job is and did: frozen values, no I/O."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.lateness import Lateness

FAILURES_A_JOB: Final = 1_000
"""How many failures a job records at most, shared out over its segments; the RUN counts them all."""


class JobStatus(StrEnum):
    """How a job stands or ended."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    COMPLETED_WITH_FAILURES = "COMPLETED_WITH_FAILURES"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    ABANDONED = "ABANDONED"


# The largest power of two whose numbers DynamoDB holds exactly.
_FAILURE_SUM_LIMIT: Final = 2**126


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one page, segment or job; ``+`` adds them, the peak and the earliest time as such.

    ``items_with_work`` are those that were settled or failed; ``items_troubled`` those of them that failed or had a
    change rejected. ``items_repaired`` had wrong derived figures and nothing due; ``items_negative`` have a negative
    figure that another writer left. ``memory_used`` is in megabytes, ``oldest_overdue`` the earliest moment at which
    something of the items that failed was due. ``failure_sum`` stands for the set of what failed: it
    adds up a number for each item and code, so that the order does not matter and two jobs can be compared.
    """

    items_scanned: int = 0
    items_updated: int = 0
    items_failed: int = 0
    items_with_work: int = 0
    items_troubled: int = 0
    items_repaired: int = 0
    items_negative: int = 0
    changes_applied: int = 0
    changes_opened: int = 0
    changes_rejected: int = 0
    changes_superseded: int = 0
    conflicts: int = 0
    throttles: int = 0
    failures_recorded: int = 0
    calls: int = 0
    failure_sum: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    memory_used: float = 0.0
    oldest_overdue: str | None = None
    lateness: Lateness = field(default_factory=Lateness)

    def __add__(self, other: "Tally") -> "Tally":
        sums = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        known = [time for time in (self.oldest_overdue, other.oldest_overdue) if time is not None]
        return Tally(
            **sums,
            failure_sum=(self.failure_sum + other.failure_sum) % _FAILURE_SUM_LIMIT,
            memory_used=max(self.memory_used, other.memory_used),
            oldest_overdue=min(known, default=None),
            lateness=self.lateness + other.lateness,
        )

    @property
    def failure_rate(self) -> float:
        """The share, in percent, of the items with something to do that failed or had a change rejected."""
        return 100.0 * self.items_troubled / self.items_with_work if self.items_with_work else 0.0

    def to_map(self) -> dict[str, object]:
        stored = {name: getattr(self, name) for name in _FIGURES} | {"lateness": self.lateness.to_map()}
        return {
            name: Decimal(str(value)) if isinstance(value, float) else value
            for name, value in stored.items()
            if value is not None
        }

    @classmethod
    def from_map(cls, stored: Mapping[str, object]) -> "Tally":
        """The tally that was stored; figures that are not there are 0."""
        values: dict[str, object] = {}
        for name in _FIGURES:
            value = stored.get(name)
            if isinstance(value, Decimal):
                values[name] = float(value) if name in _MEASURED else int(value)
            elif isinstance(value, Mapping):
                values[name] = Lateness.from_map(value)
            elif value is not None:
                values[name] = value
        return cls(**values)  # type: ignore[arg-type]  # each value has the type of its field


_FIGURES = tuple(field.name for field in fields(Tally))
_MEASURED = frozenset(field.name for field in fields(Tally) if isinstance(field.default, float))
_NOT_ADDED = frozenset({"failure_sum", "memory_used", "oldest_overdue", "lateness"})
_ADDED = tuple(name for name in _FIGURES if name not in _NOT_ADDED)


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease as it stands: who holds it until when, and which jobs lost it without closing."""

    holder: str | None = None
    held_until: str = ""
    displaced: frozenset[str] = frozenset()

    def is_open_to(self, job_id: str, now: str) -> bool:
        """Whether ``job_id`` may take it: it is free, its own, or expired."""
        return self.holder in (None, job_id) or self.held_until < now


@dataclass(frozen=True, slots=True)
class Run:
    """The RUN record of a job. Times are stored times, ``duration_seconds`` goes by the clock."""

    job_id: str
    status: JobStatus
    scope: str
    trigger: str
    as_of: str
    started_at: str
    segments: int
    finished_at: str | None = None
    duration_seconds: float | None = None
    tally: Tally = field(default_factory=Tally)
    tally_is_exact: bool = True
    failure_rate: float = 0.0
    error: str | None = None
    stop_reason: str | None = None
    metrics_published_at: str | None = None
    metrics_error: str | None = None
    alerted_at: str | None = None
    alert_error: str | None = None
    result_published_at: str | None = None
    result_error: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.status is not JobStatus.RUNNING

    @property
    def has_finished(self) -> bool:
        """Whether it came to its end, with failures or without."""
        return self.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES)

    @property
    def has_metrics(self) -> bool:
        """Whether metrics speak of it: it has begun and ended."""
        return self.status not in (JobStatus.RUNNING, JobStatus.SKIPPED)

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped it for good, who knows how it ended."""
        return self.status is JobStatus.ABANDONED and self.stop_reason is not None

    @property
    def has_result(self) -> bool:
        """Whether other systems hear of it: it settled something, did not end clean, or may have settled more."""
        tally = self.tally
        settled = tally.changes_applied + tally.changes_opened + tally.changes_rejected + tally.changes_superseded
        is_clean = self.status is JobStatus.SUCCEEDED and self.tally_is_exact
        return self.has_metrics and (settled > 0 or not is_clean)

    @property
    def failure_signature(self) -> str:
        """What it failed with, to compare runs: its status and the set of items and codes; empty if clean."""
        if self.status not in (JobStatus.FAILED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.ABANDONED):
            return ""
        return f"{self.status.value}:{self.tally.failure_sum:x}"

    @property
    def alert_is_owed(self) -> bool:
        """Whether people should have been told and could not be."""
        return self.alert_error is not None and self.alerted_at is None

    @property
    def result_is_owed(self) -> bool:
        """Whether other systems should have heard of it and could not."""
        return self.result_error is not None and self.result_published_at is None


@dataclass(frozen=True, slots=True)
class Segment:
    """The SEGMENT record: how far one worker's share has come.

    A share is a row of lanes, shards of what is due and slices of the table. ``lanes_begun`` of them were begun;
    ``cursors`` says where those of them go on that are not done, by their place in the row; empty is the beginning.

    ``call_is_open`` says that a call has begun and not ended: if another one finds it so, the first one died or is
    being overtaken, and what it wrote since its last save is not in the tally. ``recording_error`` is why failures that
    the tally counts have no record.
    """

    job_id: str
    number: int
    lanes_begun: int = 0
    cursors: Mapping[int, Attributes] = field(default_factory=dict)
    is_done: bool = False
    tally: Tally = field(default_factory=Tally)
    tally_is_exact: bool = True
    call: int = 0
    call_is_open: bool = False
    call_token: str = ""
    saves: int = 0
    slowest_page_seconds: float = 0.0
    was_cut_short: bool = False
    error: str | None = None
    recording_error: str | None = None
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that failed, or one of its changes that was rejected (``change_id``)."""

    sku: str
    location_id: str
    change_id: str | None
    code: str
    message: str

    @property
    def key(self) -> ItemKey:
        return ItemKey(self.sku, self.location_id)

    @property
    def digest(self) -> str:
        """Names what failed, so that a repeated page records it once."""
        return _sha256([self.sku, self.location_id, self.change_id]).hex()[:32]


def failure_sum(failures: Iterable[Failure]) -> int:
    """The set of these failures' items and codes as one number; see ``Tally``."""
    named = {(failure.sku, failure.location_id, failure.code) for failure in failures}
    return sum(int.from_bytes(_sha256(list(names))) for names in named) % _FAILURE_SUM_LIMIT


@dataclass(frozen=True, slots=True)
class LastAlert:
    """What the last job of a scope had failed with, and when that was last sent to people (a stored time)."""

    signature: str = ""
    sent_at: str = ""


def _sha256(names: Sequence[str | None]) -> bytes:
    return hashlib.sha256(json.dumps(names).encode()).digest()


def error_text(error: Exception) -> str:
    """What a record says of an exception, in at most 1,000 characters."""
    return f"{type(error).__name__}: {error}"[:1000]


RUN: Final = "RUN"


def run_attributes(run: Run) -> dict[str, object]:
    attributes: dict[str, object | None] = {
        "job_id": run.job_id,
        "record": RUN,
        "record_type": RUN,
        "status": run.status.value,
        "scope": run.scope,
        "trigger": run.trigger,
        "as_of": run.as_of,
        "started_at": run.started_at,
        "segments": run.segments,
        "finished_at": run.finished_at,
        "duration_seconds": None if run.duration_seconds is None else Decimal(str(round(run.duration_seconds, 6))),
        "tally": run.tally.to_map(),
        "tally_is_exact": run.tally_is_exact,
        "failure_rate": Decimal(str(round(run.failure_rate, 6))),
        "error": run.error,
        "stop_reason": run.stop_reason,
        "metrics_published_at": run.metrics_published_at,
        "metrics_error": run.metrics_error,
        "alerted_at": run.alerted_at,
        "alert_error": run.alert_error,
        "result_published_at": run.result_published_at,
        "result_error": run.result_error,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def read_run(stored: Attributes) -> Run:
    duration = stored.get("duration_seconds")
    return Run(
        job_id=str(stored["job_id"]),
        status=JobStatus(str(stored["status"])),
        scope=str(stored["scope"]),
        trigger=str(stored["trigger"]),
        as_of=str(stored["as_of"]),
        started_at=str(stored["started_at"]),
        segments=int(stored["segments"]),  # type: ignore[call-overload]
        finished_at=optional_text(stored, "finished_at"),
        duration_seconds=None if duration is None else float(duration),  # type: ignore[arg-type]
        tally=Tally.from_map(stored.get("tally", {})),  # type: ignore[arg-type]
        tally_is_exact=bool(stored.get("tally_is_exact", True)),
        failure_rate=float(stored.get("failure_rate", 0)),  # type: ignore[arg-type]
        error=optional_text(stored, "error"),
        stop_reason=optional_text(stored, "stop_reason"),
        metrics_published_at=optional_text(stored, "metrics_published_at"),
        metrics_error=optional_text(stored, "metrics_error"),
        alerted_at=optional_text(stored, "alerted_at"),
        alert_error=optional_text(stored, "alert_error"),
        result_published_at=optional_text(stored, "result_published_at"),
        result_error=optional_text(stored, "result_error"),
    )


def segment_attributes(segment: Segment) -> dict[str, object]:
    attributes: dict[str, object | None] = {
        "job_id": segment.job_id,
        "record": segment_record(segment.number),
        "number": segment.number,
        "lanes_begun": segment.lanes_begun,
        "cursors": {str(lane): cursor for lane, cursor in segment.cursors.items()},
        "is_done": segment.is_done,
        "tally": segment.tally.to_map(),
        "tally_is_exact": segment.tally_is_exact,
        "call": segment.call,
        "call_is_open": segment.call_is_open,
        "call_token": segment.call_token,
        "saves": segment.saves,
        "slowest_page_seconds": Decimal(str(round(segment.slowest_page_seconds, 6))),
        "was_cut_short": segment.was_cut_short,
        "error": segment.error,
        "recording_error": segment.recording_error,
        "updated_at": segment.updated_at,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def read_segment(stored: Attributes) -> Segment:
    return Segment(
        job_id=str(stored["job_id"]),
        number=int(stored["number"]),  # type: ignore[call-overload]
        lanes_begun=int(stored["lanes_begun"]),  # type: ignore[call-overload]
        cursors={int(lane): cursor for lane, cursor in stored["cursors"].items()},  # type: ignore[attr-defined]
        is_done=bool(stored["is_done"]),
        tally=Tally.from_map(stored["tally"]),  # type: ignore[arg-type]
        tally_is_exact=bool(stored["tally_is_exact"]),
        call=int(stored["call"]),  # type: ignore[call-overload]
        call_is_open=bool(stored["call_is_open"]),
        call_token=str(stored["call_token"]),
        saves=int(stored["saves"]),  # type: ignore[call-overload]
        slowest_page_seconds=float(stored["slowest_page_seconds"]),  # type: ignore[arg-type]
        was_cut_short=bool(stored["was_cut_short"]),
        error=optional_text(stored, "error"),
        recording_error=optional_text(stored, "recording_error"),
        updated_at=str(stored["updated_at"]),
    )


@dataclass(frozen=True, slots=True)
class SettledChange:
    """A change that a job settled, and its outcome."""

    key: ItemKey
    change_id: str
    outcome: str


def segment_record(number: int) -> str:
    return f"SEGMENT#{number:03}"


def optional_text(stored: Attributes, name: str) -> str | None:
    return None if stored.get(name) is None else str(stored[name])
