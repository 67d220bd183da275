"""How jobs look: pure functions of what was observed and of the view."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from cli.output import View, cell_text, counted, figures_screen, rows_screen
from cli.watching import COUNTS, FINDINGS, WAITING, Observation, late_seconds
from inventory_updater.stock.times import read_time
from inventory_updater.tables.records import Segment

JOB_COLUMNS: Final = (
    "job_id",
    "status",
    "scope",
    "trigger",
    "started_at",
    "seconds",
    "updated",
    "applied",
    "rejected",
    "failed",
)
SETTLED_COLUMNS: Final = ("sku", "location_id", "change_id", "outcome")
FAILURE_COLUMNS: Final = ("sku", "location_id", "change_id", "code", "message")


def job_row(seen: Observation) -> Sequence[object]:
    """A job as a row of `JOB_COLUMNS`."""
    job, tally = seen.as_document(), seen.tally
    given = (job.get(name) for name in ("job_id", "status", "scope", "trigger", "started_at"))
    counts = (tally.items_updated, tally.changes_applied, tally.changes_rejected, tally.items_failed)
    return (*given, job.get("duration_seconds"), *counts)


def job_screen(seen: Observation, view: View) -> RenderableType:
    """All of a job, but for its failures."""
    tally, job = seen.tally, seen.run
    figures: list[tuple[str, object]] = [("status", seen.status)]
    if job is not None:
        figures += [
            ("scope", job.scope),
            ("trigger", job.trigger),
            ("as of", job.as_of),
            ("started at", job.started_at),
            ("finished at", job.finished_at),
            ("seconds", job.duration_seconds),
        ]
    figures += [(name.replace("_", " "), getattr(tally, name)) for name in COUNTS]
    figures += [(name.replace("_", " "), getattr(tally, name) or None) for name in FINDINGS]
    if tally.lateness.counts:
        figures += [(f"seconds late, {name}", seconds) for name, seconds in late_seconds(tally).items()]
    if not seen.tally_is_exact:
        figures.append(("note", "the counts are lower bounds: a worker was lost before it could save its own"))
    if job is not None and job.is_settled:
        figures.append(("failure rate", f"{job.failure_rate:.1f} %"))
    figures += [
        ("conflicts", tally.conflicts or None),
        ("throttles", tally.throttles or None),
        ("read units", tally.read_units),
        ("write units", tally.write_units),
        ("megabytes of memory", tally.memory_used or None),
        ("error", seen.error),
    ]
    parts: list[RenderableType] = [figures_screen(figures, view, f"Job {seen.job_id}")]
    if seen.segments:
        parts += ["", _segments_screen(seen.segments, view)]
    return Group(*parts)


def live_screen(seen: Observation, view: View, now: datetime) -> RenderableType:
    """What is shown while a job is watched, again and again."""
    parts: list[RenderableType] = [Text(headline(seen, now), style="bold")]
    if seen.segments:
        parts.append(_segments_screen(seen.segments, view))
    return Group(*parts)


def headline(seen: Observation, now: datetime) -> str:
    """How far a job has come, in a line."""
    started = read_time(seen.started_at) if seen.started_at else now
    elapsed = timedelta(seconds=max(0, int((now - started).total_seconds())))
    if seen.run is None:
        return f"Job {seen.job_id}: {WAITING} for {elapsed} to be opened"
    tally = seen.tally
    return (
        f"Job {seen.job_id}: {seen.status} for {elapsed}, {counted(tally.items_scanned, 'item')} scanned, "
        f"{tally.items_updated:,} updated, {counted(tally.changes_applied, 'change')} applied, "
        f"{tally.changes_rejected:,} rejected"
    )


def _segments_screen(segments: Sequence[Segment], view: View) -> RenderableType:
    columns = ("#", "state", *(name.partition("_")[2] for name in COUNTS), "calls")
    rows = [
        (
            segment.number,
            _state(segment),
            # Most jobs have nothing to say in most columns, and those are left out.
            *(getattr(segment.tally, name) or None for name in COUNTS),
            segment.tally.calls,
        )
        for segment in segments
    ]
    errors = [
        Text(f"segment {segment.number} failed and will be tried again: {cell_text(segment.error)}")
        for segment in segments
        if segment.error and not segment.is_done
    ]
    return Group(rows_screen(columns, rows, view), *errors)


def _state(segment: Segment) -> str:
    if segment.is_done:
        return "done"
    if segment.was_cut_short:
        return "cut short"
    if segment.error:
        return "failed"
    return "working" if segment.call else "to begin"
