"""The parameters of a deployment: what file, command line and template say, and what cannot work together."""

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from cli.engine import CHECKOUT
from cli.errors import InputError

TEMPLATE: Final = CHECKOUT / "template.yaml"
SET_BY_DEPLOYING: Final = ("CodeBucket", "CodeKey", "PackageVersion")
"""What no parameter file says: where the package of this deployment is, and its version."""

UNITS: Final = {name: timedelta(**{f"{name}s": 1}) for name in ("minute", "hour", "day")}

SILENCE_WINDOWS: Final = {
    "due": ("DueSilenceMinutes", UNITS["minute"]),
    "all": ("AllSilenceHours", UNITS["hour"]),
}
"""After how long without a finished job of a scope there is an alarm: the parameter and its unit."""

# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
RATE: Final = re.compile(r"rate\(\s*([1-9]\d*)\s+(minute|hour|day)s?\s*\)")


def read_parameters(file: Path) -> dict[str, str]:
    """The parameters of a file in the form that `aws cloudformation deploy` reads: `{"Parameters": {name: value}}`."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in document["Parameters"].items()}
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f'{file}: not a parameter file, which is {{"Parameters": {{"Name": "value"}}}}') from None


def declared_parameters(template: Path = TEMPLATE) -> dict[str, dict[str, Any]]:
    """The section Parameters of the template."""

    class Loader(yaml.SafeLoader):
        """Passes over CloudFormation's own tags, such as !Ref."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    declared: dict[str, dict[str, Any]] = yaml.load(template.read_text(encoding="utf-8"), Loader)["Parameters"]
    return declared


def parse_override(text: str) -> tuple[str, str]:
    """`Name=Value` as a pair; raises argparse.ArgumentTypeError where there is no `=` or no name."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not Name=Value")
    return name, value


def wanted_parameters(
    environment: str, overrides: Iterable[tuple[str, str]], declared: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """What the file of an environment and the command line make of the template's parameters.

    What neither says has the template's default, whatever the stack has now: what was tried once does not stay.
    `SET_BY_DEPLOYING` are left out.
    """
    given = read_parameters(CHECKOUT / "parameters" / f"{environment}.json") | dict(overrides)
    # The AWS CLI drops a name that the template does not have in silence.
    if unknown := sorted(given.keys() - declared.keys()):
        raise InputError(f"{TEMPLATE.name} has no parameter {', '.join(unknown)}")
    defaults = {name: str(declaration.get("Default", "")) for name, declaration in declared.items()}
    return {name: value for name, value in (defaults | given).items() if name not in SET_BY_DEPLOYING}


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
        InputError: naming every parameter that cannot work.
    """
    numbers = _numbers(parameters, declared)
    problems, unchecked = [], []
    for scope, (window, unit) in SILENCE_WINDOWS.items():
        if not is_on(parameters, scope):
            continue  # then there is no alarm either
        expression = parameters[f"{scope.capitalize()}ScheduleExpression"]
        rate = RATE.fullmatch(expression)
        if rate is None:
            unchecked.append(
                f"{window}={numbers[window]} was not compared with {expression}: "
                "it should be at least twice the longest time between two jobs"
            )
            continue
        needed, largest = -(-2 * int(rate[1]) * UNITS[rate[2]] // unit), declared[window]["MaxValue"]
        if numbers[window] < needed:
            limit = f"; the parameter allows at most {largest}" if needed > largest else ""
            problems.append(
                f"{window}={numbers[window]} is too short for {expression}: one late job would be an alarm. "
                f"It needs at least {needed}{limit}"
            )
    segments, reserved, timeout = (numbers[name] for name in ("Segments", "ReservedConcurrency", "JobTimeoutSeconds"))
    if 0 < reserved < segments:
        problems.append(f"ReservedConcurrency={reserved} is less than Segments={segments}: workers would be refused")
    if timeout <= 60 * numbers["AllWaitMinutes"]:
        problems.append(f"JobTimeoutSeconds={timeout} is over before a job has waited for AllWaitMinutes")
    if timeout <= numbers["FunctionTimeoutSeconds"]:
        problems.append(f"JobTimeoutSeconds={timeout} is not more than FunctionTimeoutSeconds")
    if numbers["AlarmJobDurationSeconds"] >= timeout:
        problems.append(
            f"AlarmJobDurationSeconds must be less than JobTimeoutSeconds={timeout}, or the alarm comes too late"
        )
    if problems:
        raise InputError("; ".join(problems))
    return unchecked


def _numbers(parameters: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    numbers, problems = {}, []
    for name, declaration in declared.items():
        if declaration["Type"] == "Number":
            try:
                numbers[name] = int(parameters[name])
            except ValueError:
                problems.append(f"{name}: expected a whole number, not {parameters[name]!r}")
    if problems:
        raise InputError("; ".join(problems))
    return numbers
