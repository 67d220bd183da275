"""Pausing: the two schedules switched off and on again without a deployment.

    ENABLED  ── pause ──▶  PAUSED: off, and marked  ── resume ──▶  ENABLED
    DISABLED ── pause, resume ──▶  DISABLED: off by its parameter, or by hand; it stays as it is

The mark stands in the schedule's description. So it is written in the same request as the state, whoever resumes from
wherever finds it, and a deployment that writes the schedule anew forgets state and mark together.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from inventory_updater.tables.inventory_table import SCOPES

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient
    from types_boto3_scheduler.type_defs import GetScheduleOutputTypeDef, UpdateScheduleInputTypeDef

MARK: Final = " (paused by job.py)"

# All that GetSchedule answers and UpdateSchedule does not take.
NOT_SENT_BACK: Final = frozenset({"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"})


class ScheduleState(StrEnum):
    """Whether a schedule starts jobs, and if not, whether `resume` would change that."""

    ENABLED = "ENABLED"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"


def state_of(schedule: "GetScheduleOutputTypeDef") -> ScheduleState:
    """The state of a schedule as GetSchedule describes it."""
    if schedule["State"] == "ENABLED":
        return ScheduleState.ENABLED
    return ScheduleState.PAUSED if schedule.get("Description", "").endswith(MARK) else ScheduleState.DISABLED


def request_to_pause(schedule: "GetScheduleOutputTypeDef") -> "UpdateScheduleInputTypeDef | None":
    """The UpdateSchedule that pauses a schedule; None where it is off already."""
    if state_of(schedule) is not ScheduleState.ENABLED:
        return None
    request = _as_it_is(schedule)
    request["State"] = "DISABLED"
    request["Description"] = _unmarked(schedule) + MARK
    return request


def request_to_resume(schedule: "GetScheduleOutputTypeDef") -> "UpdateScheduleInputTypeDef | None":
    """The UpdateSchedule that takes a pause back; None where the schedule was not paused."""
    if state_of(schedule) is not ScheduleState.PAUSED:
        return None
    request = _as_it_is(schedule)
    request["State"] = "ENABLED"
    request["Description"] = _unmarked(schedule)
    return request


def _as_it_is(schedule: "GetScheduleOutputTypeDef") -> "UpdateScheduleInputTypeDef":
    """A request that changes nothing: what is not sent back, UpdateSchedule resets to its default.

    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
    """
    request = {name: value for name, value in schedule.items() if name not in NOT_SENT_BACK}
    return cast("UpdateScheduleInputTypeDef", request)


def _unmarked(schedule: "GetScheduleOutputTypeDef") -> str:
    return schedule.get("Description", "").removesuffix(MARK)


class Schedules:
    """The two schedules of a stack, by the scope of the jobs that they start."""

    def __init__(self, client: "EventBridgeSchedulerClient", group: str, environment: str) -> None:
        self._client = client
        self._group = group
        self._environment = environment

    def states(self) -> dict[str, ScheduleState]:
        return {scope: state_of(self._get(scope)) for scope in SCOPES}

    def pause(self) -> Mapping[str, ScheduleState]:
        """Switch off what is on; returns the states before."""
        return self._update(request_to_pause)

    def resume(self) -> Mapping[str, ScheduleState]:
        """Switch on what was paused; returns the states before."""
        return self._update(request_to_resume)

    def _update(
        self, request_for: Callable[["GetScheduleOutputTypeDef"], "UpdateScheduleInputTypeDef | None"]
    ) -> Mapping[str, ScheduleState]:
        before = {}
        for scope in SCOPES:
            schedule = self._get(scope)
            before[scope] = state_of(schedule)
            request = request_for(schedule)
            if request is not None:
                self._client.update_schedule(**request)
        return before

    def _get(self, scope: str) -> "GetScheduleOutputTypeDef":
        name = f"inventory-updater-{scope}-{self._environment}"
        return self._client.get_schedule(GroupName=self._group, Name=name)
