"""The alarms of the template: what they watch, what they say, and when they go off."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from inventory_updater.reports.metrics import NAMESPACE, SILENCE_METRICS, metric_data, silence_data
from inventory_updater.tables.records import JobStatus, Run
from tests.alarms import ALARM, OK, AlarmRule, next_state, states
from tests.builders import NOW, with_every_figure
from tests.cloudformation import TEMPLATE, extremes, is_true, parameter_values, properties, resources_of_type

ALARMS: Final = resources_of_type("AWS::CloudWatch::Alarm")
OPERATIONS: Final = TEMPLATE.parent / "docs" / "operations.md"

Data = list[tuple[int, float]]

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# The metrics of AWS that the template may name, by the dimensions with which AWS documents them.
CAPACITY: Final = "ReadThrottleEvents WriteThrottleEvents ConsumedReadCapacityUnits ConsumedWriteCapacityUnits"
DOCUMENTED: Final = {
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    ("AWS/DynamoDB", frozenset({"TableName"})): CAPACITY,
    ("AWS/DynamoDB", frozenset({"TableName", "GlobalSecondaryIndexName"})): CAPACITY,
    ("AWS/DynamoDB", frozenset({"TableName", "Operation"})): "SystemErrors ThrottledRequests",
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    ("AWS/States", frozenset({"StateMachineArn"})): """ExecutionsStarted ExecutionsSucceeded ExecutionsFailed
        ExecutionsTimedOut ExecutionsAborted""",
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", frozenset({"FunctionName"})): "Errors Throttles Invocations Duration ConcurrentExecutions",
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    ("AWS/SQS", frozenset({"QueueName"})): """ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesVisible
        ApproximateNumberOfMessagesNotVisible""",
}


IDLE: Final = Run("job", JobStatus.SUCCEEDED, "due", "schedule", NOW, NOW, 4)


OF_FILES: Final = dict.fromkeys(("FilesAccepted", "FilesHeld", "FilesRefused"), frozenset({"Environment"}))
"""What the function of the intake publishes: the metric's name -> its dimensions."""


def published() -> dict[str, frozenset[str]]:
    """What a job and the watch publish: the metric's name -> its dimensions."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    run = with_every_figure(IDLE)
    of_the_watch = silence_data(dict.fromkeys(SILENCE_METRICS, timedelta(0)), "dev", moment)
    return {
        str(datum["MetricName"]): frozenset(dimension["Name"] for dimension in datum["Dimensions"])
        for datum in metric_data(run, "dev", moment) + of_the_watch
    }


def exists(namespace: str, metric: str, dimensions: frozenset[str]) -> bool:
    """Whether somebody publishes the metric with exactly these dimensions: a function, or AWS as it documents."""
    if namespace == NAMESPACE:
        return (published() | OF_FILES).get(metric) == dimensions
    return metric in DOCUMENTED.get((namespace, dimensions), "").split()


def rule(name: str, **parameters: str) -> AlarmRule:
    return AlarmRule.of(properties(name, **parameters))


def metric(name: str) -> tuple[str, str, dict[str, str]]:
    """The namespace, the name and the dimensions of what an alarm watches."""
    found = properties(name)
    assert "Metrics" not in found, name
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in found["Dimensions"]}
    return found["Namespace"], found["MetricName"], dimensions


# What they watch


def test_there_are_nineteen_alarms_all_on_what_people_would_notice() -> None:
    of_jobs = {
        "FailureRate": "FailureRateToAlarm",
        "JobsFailed": "JobsFailed",
        "Overdue": "OldestOverdueSeconds",
        "JobDuration": "JobDuration",
    }
    of_scopes = [(scope, what, found) for scope in ("due", "all") for what, found in of_jobs.items()]
    of_scopes += [(scope, "Silence", found) for scope, (found, _) in SILENCE_METRICS.items()]
    machine, function = {"StateMachineArn": "StateMachine"}, {"FunctionName": "Function"}
    intake, age = {"FunctionName": "IntakeFunction"}, "ApproximateAgeOfOldestMessage"
    undelivered, queue, dead = (
        {"QueueName": f"{name}.QueueName"} for name in ("UndeliveredQueue", "IntakeQueue", "IntakeDeadLetterQueue")
    )

    assert {name: metric(name) for name in ALARMS} == {
        f"{scope.capitalize()}{what}Alarm": (NAMESPACE, found, {"Environment": "dev", "Scope": scope})
        for scope, what, found in of_scopes
    } | {
        "ExecutionsFailedAlarm": ("AWS/States", "ExecutionsFailed", machine),
        "ExecutionsTimedOutAlarm": ("AWS/States", "ExecutionsTimedOut", machine),
        "ExecutionsAbortedAlarm": ("AWS/States", "ExecutionsAborted", machine),
        "FunctionErrorsAlarm": ("AWS/Lambda", "Errors", function),
        "FunctionThrottlesAlarm": ("AWS/Lambda", "Throttles", function),
        "UndeliveredStartsAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", undelivered),
        "IntakeAgeAlarm": ("AWS/SQS", age, queue),
        "IntakeDeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", dead),
        "IntakeErrorsAlarm": ("AWS/Lambda", "Errors", intake),
    }


def test_an_alarm_watches_a_metric_that_somebody_publishes() -> None:
    watched = {name: metric(name) for name in ALARMS}

    assert [] == [found for found in watched.values() if not exists(found[0], found[1], frozenset(found[2]))]


# What they say and whom they notify


def test_an_alarm_notifies_the_topic_when_it_goes_off_and_when_it_is_over() -> None:
    notified = [(found["AlarmActions"], found["OKActions"]) for found in map(properties, ALARMS)]

    assert notified == [(["AlertTopic"], ["AlertTopic"])] * len(ALARMS)
    assert [] == [name for name in ALARMS if properties(name).get("ActionsEnabled", True) is not True]


def is_runbook(anchor: str) -> bool:
    """Whether that section of docs/operations.md says what it means, where to look and which command to run."""
    _, *sections = re.split(r"(?m)^#{2,4} (?=.+$)", OPERATIONS.read_text(encoding="utf-8"))
    text = {heading.lower().replace(" ", "-"): text for heading, _, text in (each.partition("\n") for each in sections)}
    parts = r"(?s)\*\*Means:\*\* .+\*\*Look at:\*\* .+\*\*Do:\*\* .+\n```sh\n.+\n```\n"
    return re.search(parts, text.get(anchor, "")) is not None


def test_an_alarm_says_what_happened_and_leads_to_its_runbook() -> None:
    found = {name: properties(name)["AlarmDescription"] for name in ALARMS}
    anchors = {name: re.findall(r"See docs/operations\.md#([a-z-]+)(?=$|, or run: )", found[name]) for name in ALARMS}

    assert [] == [name for name in ALARMS if not 60 <= len(found[name]) <= 1024]
    assert [] == [name for name in ALARMS if len(anchors[name]) != 1 or not is_runbook(anchors[name][0])]


def test_the_table_of_the_alarms_in_the_docs_names_each_with_what_it_watches_and_its_threshold() -> None:
    page = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| \[.+?\) \| (.+?) \| (.+?) \| \S+ `(\w+)` \|", page)

    assert sorted((name, *row) for names, *row in rows for name in re.findall(r"`([a-z-]+)`", names)) == sorted(
        (
            properties(name)["AlarmName"].removeprefix("inventory-updater-").removesuffix("-dev"),
            " ".join(metric(name)[:2]),
            found["Properties"]["Threshold"]["Ref"],
        )
        for name, found in ALARMS.items()
    )


# Limits of PutMetricAlarm
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html


@pytest.mark.parametrize("bound", ["MinValue", "MaxValue"])
def test_an_alarm_is_within_the_limits_of_cloudwatch_whatever_the_parameters(bound: str) -> None:
    rules = {name: rule(name, **extremes(bound)) for name in ALARMS}

    assert [] == [
        (name, found)
        for name, found in rules.items()
        if found.period % MINUTE
        or found.period * found.evaluation_periods > (7 * DAY if found.period >= HOUR else DAY)
        or not 1 <= found.datapoints_to_alarm <= found.evaluation_periods
    ]


def test_every_threshold_is_a_parameter_that_says_so() -> None:
    thresholds = {name: found["Properties"]["Threshold"]["Ref"] for name, found in ALARMS.items()}

    assert [] == [name for name in thresholds.values() if not re.match("Alarm|DueSilence|AllSilence", name)]


@pytest.mark.parametrize("scope", ["Due", "All"])
def test_a_schedule_that_is_off_has_no_alarm_for_its_silence(scope: str) -> None:
    [on, off] = (parameter_values(**{f"{scope}ScheduleState": state}) for state in ("ENABLED", "DISABLED"))
    condition = ALARMS[f"{scope}SilenceAlarm"]["Condition"]

    assert (is_true(condition, on), is_true(condition, off)) == (True, False)


# The evaluator, held against the tables of AWS's page on missing data: "-" is missing, "X" breaching, "0" not
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html


@pytest.mark.parametrize(
    ("points", "datapoints_to_alarm", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", 3, OK, OK, OK),
        ("0----", 3, OK, OK, OK),
        ("-----", 3, "as before", ALARM, OK),
        ("0XX-X", 3, ALARM, ALARM, ALARM),
        ("--X--", 3, "as before", ALARM, OK),
        ("0-X-X", 2, ALARM, ALARM, ALARM),
        ("00X0X", 2, ALARM, ALARM, ALARM),
        ("0-X--", 2, OK, ALARM, OK),
        ("----0", 2, OK, ALARM, OK),
        ("---X-", 2, "as before", ALARM, OK),
    ],
)
def test_the_evaluator_decides_as_aws_documents(
    points: str, datapoints_to_alarm: int, ignore: str, breaching: str, not_breaching: str
) -> None:
    values = [{"-": None, "X": 1.0, "0": 0.0}[point] for point in points]
    rules = [
        AlarmRule("Sum", 60, 3, datapoints_to_alarm, "GreaterThanThreshold", 0.5, missing)
        for missing in ("ignore", "breaching", "notBreaching")
    ]
    decided = [next_state(rule, values, "as before") for rule in rules]

    assert decided == [ignore, breaching, not_breaching]


# The dead man's switch over days of jobs. AWS looks at a few more points than it evaluates, but does not say how many:
# what is shown here holds for none and for five.

EXTRA_POINTS: Final = pytest.mark.parametrize("extra_points", [0, 5])

WATCH: Final = 5 * MINUTE
LATE: Final = 4 * WATCH
"""How long after the window the alarm may go off: three periods, and the one that has begun."""


def watched(scope: str, finished: Iterable[int], until: int) -> Data:
    """What the watch publishes, from second 0 on, of jobs that finish at these seconds."""
    _, unit = SILENCE_METRICS[scope]
    ends = sorted(finished)
    return [
        (now, (now - max((end for end in ends if end <= now), default=0)) / unit.total_seconds())
        for now in range(0, until, WATCH)
    ]


def after_the_start(name: str, data: Data, until: int, extra_points: int, **window: str) -> list[tuple[int, str]]:
    """When an alarm changes to which state, from the state OK on."""
    changes = states(rule(name, **window), data, until, extra_points)
    return [(second, state) for second, state in changes.items() if second > LATE]


def silence_of(scope: str, finished: Iterable[int], until: int, extra: int, **window: str) -> list[tuple[int, str]]:
    return after_the_start(f"{scope.capitalize()}SilenceAlarm", watched(scope, finished, until), until, extra, **window)


def every(interval: int, until: int, *, start: int = MINUTE) -> list[int]:
    return list(range(start, until, interval))


@EXTRA_POINTS
@pytest.mark.parametrize(
    ("scope", "interval", "window"),
    [
        ("due", 5 * MINUTE, {}),
        ("due", DAY, {"DueSilenceMinutes": str(2 * 24 * 60)}),
        pytest.param("due", 31 * DAY, {"DueSilenceMinutes": str(2 * 31 * 24 * 60)}, marks=pytest.mark.slow),
        ("all", DAY, {}),
        ("all", 7 * DAY, {"AllSilenceHours": str(2 * 7 * 24)}),
        pytest.param("all", 31 * DAY, {"AllSilenceHours": str(2 * 31 * 24)}, marks=pytest.mark.slow),
    ],
)
def test_a_schedule_of_minutes_or_of_a_month_may_miss_one_job_and_not_more(
    scope: str, interval: int, window: dict[str, str], extra_points: int
) -> None:
    jobs = every(interval, 6 * interval)
    one_missing, stopped = jobs[:3] + jobs[4:], jobs[:3]
    threshold = float(properties(f"{scope.capitalize()}SilenceAlarm", **window)["Threshold"])
    limit = int(threshold * SILENCE_METRICS[scope][1].total_seconds())

    assert silence_of(scope, one_missing, 6 * interval, extra_points, **window) == []
    [(off, state)] = silence_of(scope, stopped, jobs[2] + limit + DAY, extra_points, **window)
    assert state == ALARM
    assert limit <= off - jobs[2] <= limit + LATE


@EXTRA_POINTS
def test_silence_ends_with_the_next_job_that_finishes(extra_points: int) -> None:
    stop, again = 6 * HOUR, 9 * HOUR
    jobs = every(5 * MINUTE, stop) + every(5 * MINUTE, DAY, start=again)

    (off, alarmed), (on, ended) = silence_of("due", jobs, DAY, extra_points)

    assert (alarmed, ended) == (ALARM, OK)
    assert 60 * MINUTE <= off - max(each for each in jobs if each < stop) <= 60 * MINUTE + LATE
    assert again <= on <= again + LATE


@EXTRA_POINTS
def test_a_job_that_is_late_or_takes_ten_times_as_long_is_no_silence(extra_points: int) -> None:
    late = [second for second in every(5 * MINUTE, DAY) if not 6 * HOUR < second < 6 * HOUR + 55 * MINUTE]

    assert silence_of("due", late, DAY, extra_points) == []


@EXTRA_POINTS
def test_a_night_of_twenty_five_hours_is_no_silence_even_when_the_one_before_was_missed(extra_points: int) -> None:
    nights = [3 * HOUR + night * DAY for night in range(8)]
    summer_ends = [second + (HOUR if night >= 4 else 0) for night, second in enumerate(nights) if night != 3]

    assert silence_of("all", summer_ends, 8 * DAY, extra_points) == []


@EXTRA_POINTS
def test_a_watch_that_stops_is_an_alarm_and_one_that_misses_a_turn_is_none(extra_points: int) -> None:
    published = watched("due", every(5 * MINUTE, DAY), DAY)
    missed = [datum for datum in published if datum[0] != 6 * HOUR]
    stopped = [datum for datum in published if datum[0] < 6 * HOUR]

    assert after_the_start("DueSilenceAlarm", missed, DAY, extra_points) == []
    [(when, state)] = after_the_start("DueSilenceAlarm", stopped, DAY, extra_points)
    assert state == ALARM
    assert when <= 6 * HOUR + LATE + extra_points * WATCH


# The other alarms


def test_what_an_alarm_watches_of_jobs_is_sent_by_every_job_and_keeps_its_state_between_them() -> None:
    of_jobs = {name for name in ALARMS if metric(name)[0] == NAMESPACE and "Silence" not in name}
    always = {datum["MetricName"] for datum in metric_data(IDLE, "dev", datetime(2026, 1, 1, tzinfo=UTC))}

    assert {metric(name)[1] for name in of_jobs} == always
    assert {properties(name)["TreatMissingData"] for name in of_jobs} == {"ignore"}


@EXTRA_POINTS
def test_a_bad_job_is_one_alarm_until_a_good_one_however_long_that_takes(extra_points: int) -> None:
    rates = [(MINUTE, 0.0), (HOUR, 10.0), (HOUR + 5 * MINUTE, 12.0), (5 * HOUR, 9.0), (9 * HOUR, 2.0)]
    changes = states(rule("DueFailureRateAlarm"), rates, DAY, extra_points)

    assert list(changes.values()) == [OK, ALARM, OK]
    late = [when - job for when, job in zip(changes, (MINUTE, HOUR, 9 * HOUR), strict=True)]
    assert max(map(abs, late)) <= 2 * MINUTE


@EXTRA_POINTS
def test_executions_that_fail_every_five_minutes_are_one_alarm(extra_points: int) -> None:
    failures = [(second, 1.0) for second in every(5 * MINUTE, 4 * HOUR, start=2 * HOUR)]
    changes = states(rule("ExecutionsFailedAlarm"), failures, 8 * HOUR, extra_points)

    assert list(changes.values()) == [OK, ALARM, OK]


def test_what_lambda_and_step_functions_do_not_report_is_no_alarm() -> None:
    quiet = [name for name in ALARMS if metric(name)[0] in ("AWS/Lambda", "AWS/States")]

    assert {properties(name)["TreatMissingData"] for name in quiet} == {"notBreaching"}


def test_a_queue_that_nobody_asks_keeps_its_alarm_and_one_that_lambda_asks_is_empty_without_data() -> None:
    queues = {properties(name)["Dimensions"][0]["Value"]: name for name in ALARMS if metric(name)[0] == "AWS/SQS"}
    missing = {queue.partition(".")[0]: properties(name)["TreatMissingData"] for queue, name in queues.items()}

    assert missing == {"UndeliveredQueue": "ignore", "IntakeDeadLetterQueue": "ignore", "IntakeQueue": "notBreaching"}
