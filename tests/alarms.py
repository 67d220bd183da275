"""CloudWatch's rules for metric alarms, missing data included: no engine here evaluates missing data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OK: Final = "OK"
ALARM: Final = "ALARM"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"

_STATISTICS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {"Sum": sum, "Maximum": max, "Minimum": min}
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """What decides the state of an alarm; `period` in seconds."""

    statistic: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    comparison: str
    threshold: float
    missing: str

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "AlarmRule":
        """The rule of an alarm of the template, its parameters put in."""
        evaluation_periods = int(properties["EvaluationPeriods"])
        return cls(
            statistic=properties["Statistic"],
            period=int(properties["Period"]),
            evaluation_periods=evaluation_periods,
            datapoints_to_alarm=int(properties.get("DatapointsToAlarm", evaluation_periods)),
            comparison=properties["ComparisonOperator"],
            threshold=float(properties["Threshold"]),
            missing=properties["TreatMissingData"],
        )


def next_state(rule: AlarmRule, points: Sequence[float | None], state: str) -> str:
    """The state after an evaluation of the data points of the evaluation range, oldest first, `None` where missing.

    The range is longer than the evaluation periods. Real data points come first, the newest of them; missing ones are
    filled in only as far as the real ones do not suffice.
    """
    real = [point for point in points if point is not None][-rule.evaluation_periods :]
    lacking = rule.evaluation_periods - len(real)
    breaching = sum(_COMPARISONS[rule.comparison](point, rule.threshold) for point in real)
    if lacking and rule.missing == "ignore":
        if breaching >= rule.datapoints_to_alarm:
            return ALARM
        return OK if breaching < len(real) else state
    if rule.missing == "breaching":
        breaching += lacking
    return ALARM if breaching >= rule.datapoints_to_alarm else OK


def states(rule: AlarmRule, data: Iterable[tuple[int, float]], seconds: int, extra_points: int) -> dict[int, str]:
    """When the alarm changes to which state: second -> state, from an alarm made at second 0 on.

    Args:
        rule: the alarm.
        data: (second, value) of each datum.
        seconds: how long to look.
        extra_points: by how many points the evaluation range is longer than the evaluation periods; AWS does not say.
    """
    by_minute: dict[int, list[float]] = {}
    for second, value in data:
        by_minute.setdefault(second // 60, []).append(value)
    minutes = rule.period // 60
    changes: dict[int, str] = {}
    state = INSUFFICIENT_DATA
    for now in range(minutes, seconds // 60 + 1, minutes):
        points = []
        for end in range(now - (rule.evaluation_periods + extra_points - 1) * minutes, now + minutes, minutes):
            values = [value for minute in range(end - minutes, end) for value in by_minute.get(minute, [])]
            points.append(_STATISTICS[rule.statistic](values) if values else None)
        found = next_state(rule, points, state)
        if found != state:
            changes[now * 60] = state = found
    return changes
