"""Which parameters cannot work together."""

import argparse
import re
from pathlib import Path

import pytest

from cli.engine import CHECKOUT
from cli.errors import InputError
from cli.parameters import (
    TEMPLATE,
    check_parameters,
    declared_parameters,
    parse_override,
    read_parameters,
    wanted_parameters,
)
from cli.targets import ENVIRONMENTS
from tests.cloudformation import load_template, parameter_values

DECLARED = load_template()["Parameters"]
BOTH_BY_RATE = {"AllScheduleExpression": "rate(1 day)"}


def check(**given: str) -> list[str]:
    return check_parameters(parameter_values(**BOTH_BY_RATE | given), DECLARED)


def test_the_parameters_of_the_template_are_read_with_their_largest_values() -> None:
    assert {name: declared.get("MaxValue") for name, declared in DECLARED.items()} == {
        name: declared.get("MaxValue") for name, declared in declared_parameters(TEMPLATE).items()
    }


def test_the_parameters_of_every_environment_work() -> None:
    for environment in ENVIRONMENTS:
        given = read_parameters(CHECKOUT / "parameters" / f"{environment}.json")
        assert check(**given) == [], environment


# The parameters to be changed, and what is said of them.
PROBLEMS: dict[str, tuple[dict[str, str], str]] = {
    "due": (
        {"DueScheduleExpression": "rate(31 minutes)"},
        "DueSilenceMinutes=60 is too short for rate(31 minutes): one late job would be an alarm. It needs at least 62",
    ),
    "all": ({"AllSilenceHours": "47"}, "AllSilenceHours=47 is too short for rate(1 day): .* at least 48"),
    "rounded up": ({"AllScheduleExpression": "rate(1501 minutes)"}, "AllSilenceHours=50 .* at least 51"),
    "more than allowed": (
        {"AllScheduleExpression": "rate( 40 days )", "AllSilenceHours": "1500"},
        "AllSilenceHours=1500 .* at least 1920; the parameter allows at most 1500",
    ),
    "concurrency": ({"ReservedConcurrency": "3"}, "ReservedConcurrency=3 is less than Segments=4: .*"),
    "wait": ({"AllWaitMinutes": "360"}, "JobTimeoutSeconds=21600 is over before a job has waited for AllWaitMinutes"),
    "call": (
        {"JobTimeoutSeconds": "300", "AllWaitMinutes": "0", "AlarmJobDurationSeconds": "200"},
        "JobTimeoutSeconds=300 is not more than FunctionTimeoutSeconds",
    ),
    "duration": (
        {"AlarmJobDurationSeconds": "21600"},
        "AlarmJobDurationSeconds must be less than .*=21600, or .* late",
    ),
    "no numbers": (
        {"DueSilenceMinutes": "half an hour", "PageSize": ""},
        "PageSize: expected a whole number, not ''; DueSilenceMinutes: expected a whole number, not 'half an hour'",
    ),
    "two at once": (
        {"ReservedConcurrency": "3", "AllWaitMinutes": "360"},
        "ReservedConcurrency.*; JobTimeoutSeconds.*",
    ),
}


@pytest.mark.parametrize(("given", "error"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_cannot_work_names_every_parameter_at_once(given: dict[str, str], error: str) -> None:
    with pytest.raises(InputError) as refused:
        check(**given)
    assert re.fullmatch(re.escape(error).replace(r"\.\*", ".*"), str(refused.value))


def test_what_just_works_is_let_through() -> None:
    for given in (
        {"DueScheduleExpression": "rate(30 minutes)"},
        {"DueScheduleExpression": "rate(12 hours)", "DueSilenceMinutes": "1440"},
        {"AllSilenceHours": "48"},
        {"ReservedConcurrency": "4"},
        # Without a schedule there is no alarm, whatever the window.
        {"DueScheduleExpression": "rate(12 hours)", "DueScheduleState": "DISABLED"},
    ):
        assert check(**given) == [], given


@pytest.mark.parametrize("expression", ["cron(0/10 * * * ? *)", "rate(1 fortnight)", "at(2026-11-22T00:00:00)"])
def test_what_is_not_a_rate_is_said_not_to_be_compared(expression: str) -> None:
    (note,) = check(DueScheduleExpression=expression)
    assert note == (
        f"DueSilenceMinutes=60 was not compared with {expression}: "
        "it should be at least twice the longest time between two jobs"
    )


def test_a_parameter_on_the_command_line_wins_over_the_file_and_what_neither_says_has_the_default() -> None:
    wanted = wanted_parameters("dev", [("Segments", "8"), ("Owner", "a=b")], DECLARED)

    assert ("8", "a=b", "dev", "60") == tuple(
        wanted[name] for name in ("Segments", "Owner", "EnvironmentSuffix", "DueSilenceMinutes")
    )
    assert DECLARED.keys() - wanted.keys() == {"CodeBucket", "CodeKey", "PackageVersion"}


def test_all_names_that_the_template_does_not_have_are_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"template\.yaml has no parameter Colour, Segment$"):
        wanted_parameters("dev", [("Segment", "8"), ("Colour", "red")], DECLARED)


def test_a_value_may_hold_an_equals_sign_and_may_be_empty() -> None:
    assert [parse_override("Owner=a=b"), parse_override("Owner=")] == [("Owner", "a=b"), ("Owner", "")]
    for text in ("Owner", "=x", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="is not Name=Value"):
            parse_override(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Parameters": 1}', "no json"])
def test_a_file_that_holds_no_parameters_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dev.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=r"dev\.json: not a parameter file"):
        read_parameters(file)
