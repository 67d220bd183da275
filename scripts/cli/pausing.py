"""Pausing: the two schedules switched off and on again without a deployment.

    ENABLED  ── pause ──▶  PAUSED: off, and marked  ── resume ──▶  ENABLED
    DISABLED ── pause, resume ──▶  DISABLED: off by its parameter, or by hand; it stays as it is

The mark stands in the schedule's description. So it is written in the same request as the state, whoever resumes from
wherever finds it. A deployment that writes the schedule anew forgets both together, so deploy.py pauses it again.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from cli.deployments import Deployment
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


def request_for(schedule: "GetScheduleOutputTypeDef", target: ScheduleState) -> "UpdateScheduleInputTypeDef | None":
    """The UpdateSchedule that pauses a schedule that is on, or resumes a paused one; None for any other.

    It sends back all that it does not change: what is missing, UpdateSchedule resets to its default.
    https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
    """
    pauses = target is ScheduleState.PAUSED
    if state_of(schedule) is not (ScheduleState.ENABLED if pauses else ScheduleState.PAUSED):
        return None
    request = {name: value for name, value in schedule.items() if name not in NOT_SENT_BACK}
    request["State"] = "DISABLED" if pauses else "ENABLED"
    request["Description"] = schedule.get("Description", "").removesuffix(MARK) + (MARK if pauses else "")
    return cast("UpdateScheduleInputTypeDef", request)


class Schedules:
    """The two schedules of a stack, by the scope of the jobs that they start."""

    def __init__(self, client: "EventBridgeSchedulerClient", group: str, environment: str) -> None:
        self._client = client
        self._group = group
        self._environment = environment

    def states(self) -> dict[str, ScheduleState]:
        return {scope: state_of(self._get(scope)) for scope in SCOPES}

    def pause(self, scopes: Iterable[str] = SCOPES) -> Mapping[str, ScheduleState]:
        """Switch off what is on; returns the states before."""
        return self._update(ScheduleState.PAUSED, scopes)

    def resume(self) -> Mapping[str, ScheduleState]:
        """Switch on what was paused; returns the states before."""
        return self._update(ScheduleState.ENABLED, SCOPES)

    def _update(self, target: ScheduleState, scopes: Iterable[str]) -> Mapping[str, ScheduleState]:
        before = {}
        for scope in scopes:
            schedule = self._get(scope)
            before[scope] = state_of(schedule)
            request = request_for(schedule, target)
            if request is not None:
                self._client.update_schedule(**request)
        return before

    def _get(self, scope: str) -> "GetScheduleOutputTypeDef":
        name = f"inventory-updater-{scope}-{self._environment}"
        return self._client.get_schedule(GroupName=self._group, Name=name)


def schedules_of(deployment: Deployment) -> Schedules:
    """The schedules of a deployment."""
    return Schedules(
        deployment.session.client("scheduler"),
        deployment.output("ScheduleGroupName"),
        deployment.output("Environment"),
    )
