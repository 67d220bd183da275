"""What of the template's parameters cannot work together, and the template cannot say: it has no arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from cli.command_line import InputError
from cli.schedule import UnknownExpression, longest_gap


@dataclass(frozen=True, slots=True)
class SilenceWindow:
    """After how long without a finished job of a scope people are told: a parameter, its unit and its largest value."""

    scope: str
    parameter: str
    unit: timedelta
    largest: int

    def needed_for(self, gap: timedelta) -> int:
        """The smallest value that is twice the gap between two firings of the schedule."""
        return -(-2 * gap // self.unit)


SILENCE_WINDOWS: Final = (
    SilenceWindow("due", "DueSilenceMinutes", timedelta(minutes=1), 1440),
    SilenceWindow("all", "AllSilenceHours", timedelta(hours=1), 168),
)


def is_on(parameters: Mapping[str, str], scope: str) -> bool:
    """Whether the schedule of a scope is on."""
    return parameters[f"{scope.capitalize()}ScheduleState"] == "ENABLED"


def check_parameters(parameters: Mapping[str, str], today: date) -> list[str]:
    """What the template cannot compare: it has no arithmetic and cannot read a schedule.

    Args:
        parameters: every parameter with the value that it will have.
        today: from the first of January before it the firings of a cron() expression are worked out.

    Returns:
        What could not be checked, as sentences.

    Raises:
        InputError: naming the parameter that cannot work.
    """
    unchecked = []
    for window in SILENCE_WINDOWS:
        if not is_on(parameters, window.scope):
            continue  # then there is no alarm either
        expression = parameters[f"{window.scope.capitalize()}ScheduleExpression"]
        try:
            gap = longest_gap(expression, parameters["ScheduleTimeZone"], today)
        except UnknownExpression as problem:
            unchecked.append(f"{window.parameter} was not compared with the schedule: {problem}")
            continue
        given, needed = _number(parameters, window.parameter), window.needed_for(gap)
        if given < needed:
            limit = f"; CloudWatch allows at most {window.largest}" if needed > window.largest else ""
            raise InputError(
                f"{window.parameter}={given} is too short for {expression}: up to {_duration(gap)} pass between two "
                f"jobs, so one late job would be an alarm. It needs at least {needed}{limit}"
            )
    segments, reserved = _number(parameters, "Segments"), _number(parameters, "ReservedConcurrency")
    if 0 < reserved < segments:
        raise InputError(f"ReservedConcurrency={reserved} is less than Segments={segments}: workers would be refused")
    timeout = _number(parameters, "JobTimeoutSeconds")
    if timeout <= 60 * _number(parameters, "AllWaitMinutes"):
        raise InputError(f"JobTimeoutSeconds={timeout} is over before a job has waited for AllWaitMinutes")
    if timeout <= _number(parameters, "FunctionTimeoutSeconds"):
        raise InputError(f"JobTimeoutSeconds={timeout} is not more than FunctionTimeoutSeconds")
    if _number(parameters, "AlarmJobDurationSeconds") >= timeout:
        raise InputError(
            f"AlarmJobDurationSeconds has to be less than JobTimeoutSeconds={timeout}, or it comes too late"
        )
    return unchecked


def _number(parameters: Mapping[str, str], name: str) -> int:
    try:
        return int(parameters[name])
    except ValueError:
        raise InputError(f"{name}={parameters[name]} is not a whole number") from None


def _duration(span: timedelta) -> str:
    minutes = -(-span // timedelta(minutes=1))
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.4g} hours"
