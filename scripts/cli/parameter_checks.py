"""Which of the template's parameters cannot work together. The template cannot say it: it has no arithmetic."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cli.errors import InputError

UNITS: Final = {name: timedelta(**{f"{name}s": 1}) for name in ("minute", "hour", "day")}

SILENCE_WINDOWS: Final = {
    "due": ("DueSilenceMinutes", UNITS["minute"]),
    "all": ("AllSilenceHours", UNITS["hour"]),
}
"""After how long without a finished job of a scope there is an alarm: the parameter and its unit."""

# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
RATE: Final = re.compile(r"rate\(\s*([1-9]\d*)\s+(minute|hour|day)s?\s*\)")


def is_on(parameters: Mapping[str, str], scope: str) -> bool:
    """Whether the schedule of a scope is on."""
    return parameters[f"{scope.capitalize()}ScheduleState"] == "ENABLED"


def check_parameters(parameters: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Compare every parameter, with the value that it will have, with the others.

    Args:
        parameters: the values by name, defaults included.
        declared: the section Parameters of the template.

    Returns:
        What could not be checked, as sentences.

    Raises:
        InputError: naming the parameter that cannot work.
    """
    unchecked = []
    for scope, (window, unit) in SILENCE_WINDOWS.items():
        if not is_on(parameters, scope):
            continue  # then there is no alarm either
        expression = parameters[f"{scope.capitalize()}ScheduleExpression"]
        rate = RATE.fullmatch(expression)
        if rate is None:
            unchecked.append(
                f"{window}={parameters[window]} was not compared with {expression}: "
                "it should be at least twice the longest time between two jobs"
            )
            continue
        given, needed = _number(parameters, window), -(-2 * int(rate[1]) * UNITS[rate[2]] // unit)
        largest = declared[window]["MaxValue"]
        if given < needed:
            limit = f"; the parameter allows at most {largest}" if needed > largest else ""
            raise InputError(
                f"{window}={given} is too short for {expression}: one late job would be an alarm. "
                f"It needs at least {needed}{limit}"
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
            f"AlarmJobDurationSeconds must be less than JobTimeoutSeconds={timeout}, or the alarm comes too late"
        )
    return unchecked


def _number(parameters: Mapping[str, str], name: str) -> int:
    try:
        return int(parameters[name])
    except ValueError:
        raise InputError(f"{name}: expected a whole number, not {parameters[name]!r}") from None
