"""The deployed alarms: what breaches them reaches a queue that is subscribed to the topic, and so does the all-clear.

The engine evaluates alarms when metrics come in, by their namespace and name: it pools the whole window, and knows
neither dimensions nor units, M of N or missing data. So this shows that metrics, thresholds and actions belong
together, on a server of its own. Dimensions are compared with AWS's documentation, and missing data is evaluated by
CloudWatch's rules, in tests/unit/template/test_alarms.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from cli.engine import Engine
from inventory_updater.tables.records import JobStatus
from tests.builders import Stocked, change, unreadable, with_a_sale
from tests.cloudformation import resources_of_type
from tests.stacks import AlarmNews, EndedJob, Inbox, Stack, deploy_stack
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


def report(stack: Stack, alarm: "MetricAlarmTypeDef", value: float, moment: datetime) -> None:
    """Put a value into the metric that an alarm watches."""
    client: CloudWatchClient = stack.client("cloudwatch")
    metric, dimensions = alarm["MetricName"], alarm["Dimensions"]
    datum: MetricDatumTypeDef = {"MetricName": metric, "Dimensions": dimensions, "Timestamp": moment, "Value": value}
    client.put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])


def breach(stack: Stack, alarm: "MetricAlarmTypeDef") -> None:
    """Report a value past the threshold that leaves the window soon."""
    assert alarm["ComparisonOperator"] in ("GreaterThanThreshold", "GreaterThanOrEqualToThreshold")
    window = alarm["Period"] * alarm["EvaluationPeriods"]
    moment = datetime.now(UTC) - timedelta(seconds=window - BREACH_SECONDS)
    report(stack, alarm, alarm["Threshold"] + 1, moment)


def all_is_well(stack: Stack, alarm: "MetricAlarmTypeDef") -> None:
    report(stack, alarm, 0.0, datetime.now(UTC))


def test_every_alarm_of_the_template_is_there_and_speaks_through_the_topic(stack: Stack) -> None:
    deployed = alarms(stack)
    topic = [stack.outputs["AlertTopicArn"]]

    assert len(deployed) == len(resources_of_type("AWS::CloudWatch::Alarm"))
    assert set(deployed) >= SILENCE
    for name, alarm in deployed.items():
        assert (alarm["ActionsEnabled"], alarm["AlarmActions"], alarm["OKActions"]) == (True, topic, topic), name


@pytest.mark.slow
def test_a_metric_that_breaches_is_one_message_and_one_more_when_it_is_over(stack: Stack, inbox: Inbox) -> None:
    deployed = {name: alarm for name, alarm in alarms(stack).items() if name not in SILENCE}

    def all_are(state: str, say: Callable[[Stack, "MetricAlarmTypeDef"], None]) -> bool:
        """Whether all are in this state, after a value for those that were not: the engine looks when one comes."""
        before = states(stack)
        for name, alarm in deployed.items():
            if before[name] != state:
                say(stack, alarm)
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


def items(count: int, *, bad: int) -> list[Stocked]:
    """Items that each have a change that is due, of which so many cannot be read."""
    return [unreadable(f"sku-{n}", change("c1")) if n < bad else with_a_sale(f"sku-{n}") for n in range(count)]


def outcome(job: EndedJob) -> tuple[JobStatus, float]:
    assert job.run is not None
    return job.run.status, job.run.failure_rate


def news_of_the_rate(news: list[AlarmNews]) -> list[str]:
    return [each.state for each in news if each.name == FAILURE_RATE]


@pytest.mark.slow
def test_a_job_with_bad_items_raises_the_alarm_once_and_a_good_one_ends_it(stack: Stack, inbox: Inbox) -> None:
    stack.put(*items(10, bad=1))
    bad, (messages, news) = stack.run_job(), inbox.take()

    assert outcome(bad) == (JobStatus.COMPLETED_WITH_FAILURES, 10.0)
    assert states(stack)[FAILURE_RATE] == "ALARM"
    assert news_of_the_rate(news) == ["ALARM"]
    assert [bad.job_id in message.text for message in messages] == [True]

    # The item that stays broken fails again, and is neither a new failure nor a new message.
    assert outcome(stack.run_job()) == (JobStatus.COMPLETED_WITH_FAILURES, 0.0)
    messages, later = inbox.take()
    assert messages == []

    stack.put(*items(10, bad=0))
    assert outcome(stack.run_job()) == (JobStatus.SUCCEEDED, 0.0)

    # The engine pools the window: the bad job has to leave it, and a good one has to come then.
    def the_next_job_ends_it() -> bool:
        stack.run_job()
        return states(stack)[FAILURE_RATE] == "OK"

    wait_until(the_next_job_ends_it, "a good job does not end the alarm")
    messages, last = inbox.take()
    assert (messages, news_of_the_rate(later + last)) == ([], ["OK"])
