"""What a job is asked to do, and the run that begins with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory_updater.stock.times import parse_time
from inventory_updater.tables.inventory_table import Scope
from inventory_updater.tables.records import JobStatus, Run


class BadRequestError(ValueError):
    """A job was asked for in a way that makes no sense; the message names the field."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is to be done, by whom it was asked, and since when the job runs (stored times)."""

    job_id: str
    started_at: str
    scope: Scope
    as_of: str
    trigger: str = "manual"

    @classmethod
    def from_input(cls, job_id: str, started_at: str, wanted: Mapping[str, object]) -> "JobRequest":
        """The request in an execution's input; ``as_of`` defaults to the execution's start.

        Raises:
            BadRequestError: naming the field that is missing, unknown or bad.
        """
        unknown = set(wanted) - {"scope", "as_of", "trigger"}
        if unknown:
            raise BadRequestError(f"input: unknown field {min(unknown)[:64]!r}")
        scope = wanted.get("scope")
        if scope not in ("due", "all"):
            raise BadRequestError('input: scope must be "due" or "all"')
        trigger = wanted.get("trigger", "manual")
        if trigger not in ("manual", "schedule"):
            raise BadRequestError('input: trigger must be "manual" or "schedule"')
        started = _time_of("started_at", started_at)
        as_of = started if wanted.get("as_of") is None else _time_of("input: as_of", wanted["as_of"])
        if as_of > started:
            # An item would refuse every count and price between now and then.
            raise BadRequestError("input: as_of must not lie after the job's start")
        return cls(job_id, started, scope, as_of, trigger)

    def new_run(self, segments: int) -> Run:
        """The run that begins with this request, over so many segments."""
        return Run(
            job_id=self.job_id,
            status=JobStatus.RUNNING,
            scope=self.scope,
            trigger=self.trigger,
            as_of=self.as_of,
            started_at=self.started_at,
            segments=segments,
        )


def _time_of(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a time like 2026-01-31T08:00:00Z")
    try:
        return parse_time(value)
    except ValueError as error:
        raise BadRequestError(f"{name} {error}") from None
