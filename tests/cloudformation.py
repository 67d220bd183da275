"""template.yaml as the tests read it: parsed, and with its references put in."""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE: Final = Path(__file__).resolve().parent.parent / "template.yaml"

PSEUDO_PARAMETERS: Final[Mapping[str, str]] = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "inventory-updater-test",
    "AWS::URLSuffix": "amazonaws.com",
}

# A template is JSON-like without a fixed shape: `Any` is what it is.
Template = dict[str, Any]


class TemplateLoader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long forms: `!Ref X` as `{"Ref": "X"}`."""


def _function(loader: TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


TemplateLoader.add_multi_constructor("!", _function)


@cache
def load_template() -> Template:
    """The template; shared by all who ask, so nobody may change it."""
    template: Template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), TemplateLoader)
    return template


def template_before_alarms() -> str:
    """The template as it would be without alarms, their topic, the dashboard and a version, as JSON."""
    template: Template = json.loads(json.dumps(load_template()))
    alerting = ("AWS::CloudWatch::", "AWS::SNS::")
    template["Resources"] = resources = {
        name: found for name, found in template["Resources"].items() if not found["Type"].startswith(alerting)
    }
    for table in ("InventoryTable", "JobsTable"):
        del resources[table]["Properties"]["SSESpecification"]
    for variable in ("ALERT_TOPIC_ARN", "RESULTS_ARN"):
        del resources["Function"]["Properties"]["Environment"]["Variables"][variable]
    role = resources["FunctionRole"]["Properties"]
    publishing = ("NotifyPeopleOfFailures", "TellSystemsHowJobsEnd")
    role["Policies"] = [policy for policy in role["Policies"] if policy.get("PolicyName") not in publishing]
    for output in ("AlertTopicArn", "ResultsTopicArn", "Version"):
        del template["Outputs"][output]
    del template["Parameters"]["PackageVersion"]
    del template["Conditions"]["HasPackageVersion"]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    for group in groups:
        group["Parameters"] = [name for name in group["Parameters"] if name in template["Parameters"]]
    return json.dumps(template)


def resources_of_type(resource_type: str) -> dict[str, Template]:
    """The resources of one type by their logical ids."""
    return {
        name: resource for name, resource in load_template()["Resources"].items() if resource["Type"] == resource_type
    }


def parameter_values(**overrides: str) -> dict[str, str]:
    """A value for every parameter of the template: the override, else the default, else its own name in lower case."""
    return {
        name: str(overrides.get(name, parameter.get("Default", name.lower())))
        for name, parameter in load_template()["Parameters"].items()
    }


def resolve(value: Any, parameters: Mapping[str, str]) -> Any:
    """`value` with the functions of CloudFormation put in, as far as the template uses them.

    A parameter gives its value; a resource gives its logical id, or `Id.Attribute`, where AWS would give name or ARN.
    What is `AWS::NoValue` is left out.
    """
    known = dict(PSEUDO_PARAMETERS) | dict(parameters)
    match value:
        case {"Ref": name}:
            return _NO_VALUE if name == "AWS::NoValue" else known.get(name, name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return _substitute(text, known)
        case {"Fn::Sub": [text, variables]}:
            return _substitute(text, known | {name: resolve(given, known) for name, given in variables.items()})
        case {"Fn::If": [condition, then, otherwise]}:
            return resolve(then if is_true(condition, known) else otherwise, known)
        case {"Fn::FindInMap": [mapping, *keys]}:
            first, second = (resolve(key, known) for key in keys)
            return load_template()["Mappings"][mapping][first][second]
        case dict():
            resolved = {key: resolve(inner, known) for key, inner in value.items()}
            return {key: inner for key, inner in resolved.items() if inner is not _NO_VALUE}
        case list():
            return [found for found in (resolve(inner, known) for inner in value) if found is not _NO_VALUE]
        case _:
            return value


def is_true(condition: str, parameters: Mapping[str, str]) -> bool:
    """Whether a condition of the template holds with these parameters."""
    return _holds(load_template()["Conditions"][condition], parameters)


def _holds(expression: Any, parameters: Mapping[str, str]) -> bool:
    match expression:
        case {"Condition": name}:
            return is_true(name, parameters)
        case {"Fn::Equals": [left, right]}:
            return bool(resolve(left, parameters) == resolve(right, parameters))
        case {"Fn::Not": [inner]}:
            return not _holds(inner, parameters)
        case {"Fn::And": list(inner)}:
            return all(_holds(one, parameters) for one in inner)
        case {"Fn::Or": list(inner)}:
            return any(_holds(one, parameters) for one in inner)
        case {"Fn::Contains": [choices, value]}:
            return resolve(value, parameters) in resolve(choices, parameters)
    raise AssertionError(f"no condition: {expression}")


def properties(name: str, **parameters: str) -> Any:
    """A resource's properties with these parameters, and the defaults of the others, put in."""
    return resolve(load_template()["Resources"][name]["Properties"], parameter_values(**parameters))


def statements(role: str, **parameters: str) -> list[Any]:
    """The statements of all policies of a role."""
    policies = properties(role, **parameters)["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def granted(statements: Iterable[Any]) -> set[tuple[str, str]]:
    """Every action with a resource that it is granted on."""
    return {
        pair for each in statements for pair in itertools.product(as_list(each["Action"]), as_list(each["Resource"]))
    }


def as_list(value: Any) -> list[Any]:
    """What a policy may write as one value or as a list of values."""
    return value if isinstance(value, list) else [value]


def extremes(bound: str) -> dict[str, str]:
    """Every parameter that has such a bound, `MinValue` or `MaxValue`, at it."""
    return {name: str(found[bound]) for name, found in load_template()["Parameters"].items() if bound in found}


def violated_rules(parameters: Mapping[str, str]) -> list[str]:
    """The rules of the template that refuse these parameters."""
    return [
        name
        for name, rule in load_template()["Rules"].items()
        if ("RuleCondition" not in rule or _holds(rule["RuleCondition"], parameters))
        and not all(_holds(assertion["Assert"], parameters) for assertion in rule["Assertions"])
    ]


def _substitute(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([^}!]+)\}", lambda found: known.get(found[1], found[1]), text)


_NO_VALUE: Final = object()
