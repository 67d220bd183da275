"""The deployed alarms: what breaches them reaches a queue that is subscribed to the topic, and so does the all-clear.

The engine evaluates alarms when metrics come in, by their namespace and name: it pools the whole window, and knows
neither dimensions nor units, M of N or missing data. So this shows that metrics, thresholds and actions belong
together, on a server of its own. Dimensions are compared with AWS's documentation, and missing data is evaluated by
CloudWatch's rules, in tests/unit/template/test_alarms.py.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from cli.engine import Engine
from inventory_updater.tables.records import JobStatus
from tests.builders import change, item_attributes
from tests.cloudformation import resources_of_type
from tests.stacks import AlarmNews, Inbox, Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricAlarmTypeDef, MetricDatumTypeDef

SILENCE: Final = {"inventory-updater-due-silence-local", "inventory-updater-all-silence-local"}
FAILURE_RATE: Final = "inventory-updater-due-failure-rate-local"

# How long a breaching value stays in an alarm's window: it is put in with a time shortly before the window's end.
BREACH_SECONDS: Final = 8.0


@pytest.fixture(scope="module")
def stack(server: Engine) -> Stack:
    """The template with both schedules on, for without a schedule there is no alarm of its silence; neither fires."""
    return deploy_stack(
        server,
        "inventory-updater-test",
        DueScheduleState="ENABLED",
        DueScheduleExpression="rate(12 hours)",
        DueSilenceMinutes="1440",
        AllScheduleState="ENABLED",
        AllScheduleExpression="rate(1 day)",
        AlarmFailedItems="1",
    )


@pytest.fixture
def inbox(stack: Stack) -> Inbox:
    return Inbox(stack)


def alarms(stack: Stack) -> dict[str, "MetricAlarmTypeDef"]:
    client: CloudWatchClient = stack.client("cloudwatch")
    pages = client.get_paginator("describe_alarms").paginate(AlarmNamePrefix="inventory-updater-")
    return {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}


def states(stack: Stack) -> dict[str, str]:
    return {name: alarm["StateValue"] for name, alarm in alarms(stack).items()}


def datum(alarm: "MetricAlarmTypeDef", value: float, moment: datetime) -> "MetricDatumTypeDef":
    """A value of the metric that an alarm watches."""
    return {
        "MetricName": alarm["MetricName"],
        "Dimensions": alarm["Dimensions"],
        "Timestamp": moment,
        "Value": value,
    }


def breach(alarm: "MetricAlarmTypeDef") -> "MetricDatumTypeDef":
    """A value past the threshold that leaves the window soon."""
    assert alarm["ComparisonOperator"] in ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    return datum(alarm, alarm["Threshold"] + 1, datetime.now(UTC) - timedelta(seconds=window - BREACH_SECONDS))


def all_is_well(alarm: "MetricAlarmTypeDef") -> "MetricDatumTypeDef":
    return datum(alarm, 0.0, datetime.now(UTC))


def report(
    stack: Stack,
    watched: Iterable["MetricAlarmTypeDef"],
    value_of: Callable[["MetricAlarmTypeDef"], "MetricDatumTypeDef"],
) -> None:
    """Put a value into the metric of each of these alarms, in one request for a namespace."""
    client: CloudWatchClient = stack.client("cloudwatch")
    by_namespace: dict[str, list[MetricDatumTypeDef]] = {}
    for alarm in watched:
        by_namespace.setdefault(alarm["Namespace"], []).append(value_of(alarm))
    for namespace, data in by_namespace.items():
        client.put_metric_data(Namespace=namespace, MetricData=data)


def test_every_alarm_of_the_template_is_there_and_speaks_through_the_topic(stack: Stack) -> None:
    deployed = alarms(stack)
    topic = [stack.outputs["AlertTopicArn"]]

    assert len(deployed) == len(resources_of_type("AWS::CloudWatch::Alarm"))
    assert set(deployed) >= SILENCE
    for name, alarm in deployed.items():
        assert (alarm["ActionsEnabled"], alarm["AlarmActions"], alarm["OKActions"]) == (True, topic, topic), name


def test_a_metric_that_breaches_is_one_message_and_one_more_when_it_is_over(stack: Stack, inbox: Inbox) -> None:
    deployed = {name: alarm for name, alarm in alarms(stack).items() if name not in SILENCE}

    def all_are(state: str, value_of: Callable[["MetricAlarmTypeDef"], "MetricDatumTypeDef"]) -> bool:
        """Whether all are in this state, after a value for those that were not: the engine looks when one comes."""
        before = states(stack)
        report(stack, [alarm for name, alarm in deployed.items() if before[name] != state], value_of)
        after = states(stack)
        return all(after[name] == state for name in deployed)

    wait_until(lambda: all_are("ALARM", breach), "not every alarm goes off")
    wait_until(lambda: all_are("OK", all_is_well), "not every alarm ends")
    _, news = inbox.take()
    for name in deployed:
        assert [each.state for each in news if each.name == name] == ["ALARM", "OK"], name


@pytest.mark.parametrize("name", sorted(SILENCE))
def test_silence_reaches_people_and_so_does_its_end(stack: Stack, inbox: Inbox, name: str) -> None:
    client: CloudWatchClient = stack.client("cloudwatch")

    # The engine never evaluates missing data; on AWS it is missing data that leads here.
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="no job has finished")
    client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a job has finished")

    _, news = inbox.take()
    assert news == [AlarmNews(name, "ALARM"), AlarmNews(name, "OK")]


def items(count: int, *, bad: int) -> list[dict[str, object]]:
    """Items that each have a change that is due, of which so many cannot be read."""
    found = [item_attributes(10, sku=f"sku-{n}", pending=[change("c1")]) for n in range(count)]
    return [item | {"on_hand": "many"} if n < bad else item for n, item in enumerate(found)]


@pytest.mark.slow
def test_a_job_with_bad_items_raises_the_alarm_once_and_a_good_one_ends_it(stack: Stack, inbox: Inbox) -> None:
    stack.put(*items(10, bad=1))
    bad = stack.run_job()
    messages, news = inbox.take()

    assert bad.run is not None
    assert (bad.run.status, bad.run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 10.0)
    assert states(stack)[FAILURE_RATE] == "ALARM"
    assert [each.state for each in news if each.name == FAILURE_RATE] == ["ALARM"]
    assert [bad.job_id in message.text for message in messages] == [True]

    # The item that stays broken fails again, and is neither a new failure nor a new message.
    again = stack.run_job()
    assert again.run is not None
    assert (again.run.status, again.run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 0.0)
    messages, later = inbox.take()
    assert messages == []

    stack.put(*items(10, bad=0))
    good = stack.run_job()
    assert good.run is not None
    assert (good.run.status, good.run.failure_rate) == (JobStatus.SUCCEEDED, 0.0)

    # The engine pools the window: the bad job has to leave it, and a good one has to come then.
    def the_next_job_ends_it() -> bool:
        stack.run_job()
        return states(stack)[FAILURE_RATE] == "OK"

    wait_until(the_next_job_ends_it, "a good job does not end the alarm")
    messages, last = inbox.take()
    assert (messages, [each.state for each in later + last if each.name == FAILURE_RATE]) == ([], ["OK"])
