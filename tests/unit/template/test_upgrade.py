"""An upgrade from the template before the alarms, as AWS would do it: the embedded engine replaces in other cases."""

from typing import Any, Final

import pytest
import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.cloudformation import TEMPLATE, TemplateLoader, load_template, parameter_values, resolve

OLDER: Final[Any] = yaml.load(
    (TEMPLATE.parent / "tests" / "e2e" / "templates" / "before-alarms.yaml").read_text(encoding="utf-8"), TemplateLoader
)


@pytest.mark.parametrize("name", sorted(OLDER["Resources"]))
def test_an_upgrade_replaces_nothing(name: str) -> None:
    older, newer = OLDER["Resources"][name], load_template()["Resources"][name]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", newer["Type"]).schema
    replacing = {path.removeprefix("/properties/").split("/")[0] for path in schema.get("createOnlyProperties", [])}
    parameters = parameter_values(CustomerKey="none")
    before, after = resolve(older["Properties"], parameters), resolve(newer["Properties"], parameters)

    assert older["Type"] == newer["Type"]
    assert {key: before.get(key) for key in replacing} == {key: after.get(key) for key in replacing}


def test_a_parameter_file_of_before_still_works() -> None:
    assert OLDER["Parameters"].keys() <= load_template()["Parameters"].keys()
    assert OLDER["Outputs"].keys() <= load_template()["Outputs"].keys()
