"""scripts/parameter_checks.py: which parameters cannot work together."""

from datetime import date

import pytest

from cli.command_line import InputError
from cli.deploying import ENVIRONMENTS, read_parameters, template_parameters
from cli.engine import CHECKOUT
from cli.parameter_checks import SILENCE_WINDOWS, check_parameters
from tests.cloudformation import load_template

TODAY = date(2026, 11, 22)


def parameters(**given: str) -> dict[str, str]:
    return template_parameters() | given


def test_the_defaults_work() -> None:
    assert check_parameters(parameters(), TODAY) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_parameters_of_every_environment_work(environment: str) -> None:
    file = CHECKOUT / "parameters" / f"{environment}.json"

    assert check_parameters(parameters(**read_parameters(file)), TODAY) == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"DueScheduleExpression": "rate(31 minutes)"},
            r"DueSilenceMinutes=60 is too short for rate\(31 minutes\): up to 31 minutes .* at least 62$",
        ),
        (
            {"DueScheduleExpression": "cron(0/10 6-22 * * ? *)", "DueSilenceMinutes": "859"},
            r"DueSilenceMinutes=859 .*: up to 7\.167 hours .* at least 860$",
        ),
        ({"AllSilenceHours": "47"}, r"AllSilenceHours=47 .* at least 48$"),
        ({"ScheduleTimeZone": "Europe/Berlin", "AllSilenceHours": "49"}, r"AllSilenceHours=49 .* at least 50$"),
        (
            {"AllScheduleExpression": "cron(0 3 ? * SUN *)", "AllSilenceHours": "168"},
            r"AllSilenceHours=168 .* at least 336; CloudWatch allows at most 168$",
        ),
        ({"ReservedConcurrency": "3"}, "ReservedConcurrency=3 is less than Segments=4"),
        ({"AllWaitMinutes": "360"}, "JobTimeoutSeconds=21600 is over before .* AllWaitMinutes"),
        (
            {"JobTimeoutSeconds": "300", "AllWaitMinutes": "0", "AlarmJobDurationSeconds": "200"},
            "JobTimeoutSeconds=300 is not more than FunctionTimeoutSeconds",
        ),
        ({"AlarmJobDurationSeconds": "21600"}, "AlarmJobDurationSeconds has to be less than JobTimeoutSeconds=21600"),
        ({"DueSilenceMinutes": "half an hour"}, "DueSilenceMinutes=half an hour is not a whole number"),
    ],
)
def test_what_cannot_work_names_its_parameter(given: dict[str, str], error: str) -> None:
    with pytest.raises(InputError, match=error):
        check_parameters(parameters(**given), TODAY)


@pytest.mark.parametrize(
    "given",
    [
        {"DueScheduleExpression": "rate(30 minutes)"},
        {"DueScheduleExpression": "cron(0/10 6-22 * * ? *)", "DueSilenceMinutes": "860"},
        {"ReservedConcurrency": "4"},
        {"ScheduleTimeZone": "Europe/Berlin"},
        # Without a schedule there is no alarm, whatever the window.
        {"DueScheduleExpression": "rate(12 hours)", "DueScheduleState": "DISABLED"},
    ],
)
def test_what_just_works_is_let_through(given: dict[str, str]) -> None:
    assert check_parameters(parameters(**given), TODAY) == []


def test_what_cannot_be_worked_out_is_said_and_not_refused() -> None:
    [note] = check_parameters(parameters(DueScheduleExpression="rate(1 fortnight)"), TODAY)

    assert note.startswith("DueSilenceMinutes was not compared with the schedule: rate(1 fortnight) is neither")


def test_the_windows_are_as_long_as_the_template_lets_them_be() -> None:
    declared = load_template()["Parameters"]

    assert {window.parameter: window.largest for window in SILENCE_WINDOWS} == {
        window.parameter: declared[window.parameter]["MaxValue"] for window in SILENCE_WINDOWS
    }
