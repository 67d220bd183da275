"""template.yaml as the tests read it: parsed, and with its references put in."""

import re
from collections.abc import Mapping
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
}

# A template is JSON-like without a fixed shape: `Any` is what it is.
Template = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long forms: `!Ref X` as `{"Ref": "X"}`."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
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


_Loader.add_multi_constructor("!", _function)


@cache
def load_template() -> Template:
    """The template; shared by all who ask, so nobody may change it."""
    template: Template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)
    return template


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
    """`value` with Ref, Fn::GetAtt and Fn::Sub put in.

    A parameter gives its value; a resource gives its logical id, or `Id.Attribute`, where AWS would give name or ARN.
    """
    known = dict(PSEUDO_PARAMETERS) | dict(parameters)
    match value:
        case {"Ref": name}:
            return known.get(name, name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}!]+)\}", lambda found: known.get(found[1], found[1]), text)
        case dict():
            return {key: resolve(inner, parameters) for key, inner in value.items()}
        case list():
            return [resolve(inner, parameters) for inner in value]
        case _:
            return value
