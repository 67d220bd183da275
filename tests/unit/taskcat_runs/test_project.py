"""What .taskcat.yml says, held against the template, and what is uploaded and removed for it."""

import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
import pytest
import yaml
from moto import mock_aws

from cli.packaging import build_package
from cli.parameters import check_parameters
from taskcat_runs.project import (
    CONFIGURATION,
    PROJECT,
    copy_project,
    random_suffix,
    regional_bucket,
    regions_of,
    remove_buckets,
)
from tests.cloudformation import load_template, parameter_values, violated_rules

ACCOUNT: Final = "123456789012"
SAME_AS_DEFAULT: Final = {
    "DueScheduleState": "it is on",
    "AllScheduleState": "it is on",
    "DeletionProtection": "the stack could not be deleted",
    "ResultsBusArn": "no account's bus has an ARN that is known before",
    "PermissionsBoundary": "no policy that would do is in every account",
}


PARAMETERS: Final[dict[str, Any]] = load_template()["Parameters"]
CONFIGURED: Final[dict[str, Any]] = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))


def given_parameters(test: str) -> dict[str, Any]:
    return {**CONFIGURED["project"]["parameters"], **CONFIGURED["tests"][test].get("parameters", {})}


def test_the_project_has_four_regions_and_buckets_in_each() -> None:
    project = CONFIGURED["project"]
    assert (project["name"], project["template"]) == (PROJECT, "template.yaml")
    assert (len(set(project["regions"])), project["s3_regional_buckets"], project["package_lambda"]) == (4, True, False)


def test_minimal_gives_only_what_has_no_default_and_a_suffix() -> None:
    without_default = {name for name, one in PARAMETERS.items() if "Default" not in one}
    assert set(given_parameters("minimal")) == without_default | {"EnvironmentSuffix"}


def test_everything_gives_every_parameter_another_value_than_its_default() -> None:
    given = given_parameters("everything")
    assert given.keys() == PARAMETERS.keys()
    same = {name for name, value in given.items() if str(value) == str(PARAMETERS[name].get("Default"))}
    assert same == set(SAME_AS_DEFAULT)


def test_every_default_is_text() -> None:
    """taskcat does not see a parameter with another default, and leaves out what .taskcat.yml gives for it."""
    assert {name: one for name, one in PARAMETERS.items() if not isinstance(one.get("Default", ""), str)} == {}


@pytest.mark.parametrize("test", ["minimal", "everything"])
def test_the_parameters_can_work_together(test: str) -> None:
    given = given_parameters(test)
    # taskcat makes text of them, and `True` of a bare true.
    assert [value for value in given.values() if isinstance(value, bool)] == []
    complete = parameter_values(**{name: str(value) for name, value in given.items()})
    assert violated_rules(complete) == []
    check_parameters(complete, PARAMETERS)  # raises where they cannot


def test_the_suffix_is_random_text_which_just_fits_instead_of_taskcats_own() -> None:
    suffix, drawn = PARAMETERS["EnvironmentSuffix"], random_suffix(20)
    assert {given_parameters(test)["EnvironmentSuffix"] for test in CONFIGURED["tests"]} == {"$[taskcat_random-string]"}
    assert len(drawn) == suffix["MaxLength"]
    assert re.fullmatch(suffix["AllowedPattern"], drawn)
    assert random_suffix(20) != drawn


def test_only_the_template_and_the_package_are_uploaded(tmp_path: Path) -> None:
    package = build_package()
    copy_project(tmp_path)
    files = {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    template = CONFIGURATION.with_name("template.yaml").read_bytes()
    assert files == {"template.yaml": template, "build/inventory-updater.zip": package.path.read_bytes()}
    assert given_parameters("minimal")["CodeKey"] == "$[taskcat_project_name]/build/inventory-updater.zip"


def configured(*regions: str) -> Any:
    by_name = {
        name: SimpleNamespace(account_id=ACCOUNT, client=partial(boto3.client, region_name=name)) for name in regions
    }
    tests = {"minimal": SimpleNamespace(regions=regions)}
    return SimpleNamespace(config=SimpleNamespace(tests=tests), get_regions=lambda: {"minimal": by_name})


@mock_aws
def test_only_our_files_go_and_only_the_buckets_of_the_wanted_regions_with_nothing_else_in_them() -> None:
    ours, another = (
        [f"{PROJECT}/build/inventory-updater.zip", f"{PROJECT}/template.yaml"],
        f"{PROJECT}-two/template.yaml",
    )
    held = {"eu-west-1": ours, "us-east-1": [*ours, another], "us-west-2": ours}
    client = boto3.client("s3", region_name="us-east-1")
    for region, keys in held.items():
        client.create_bucket(Bucket=regional_bucket(ACCOUNT, region))
        for key in keys:
            client.put_object(Bucket=regional_bucket(ACCOUNT, region), Key=key)

    said = remove_buckets(configured(*held, "ap-east-1"), ["ap-east-1", "eu-west-1", "us-east-1"])

    left = {
        bucket["Name"]: [found["Key"] for found in client.list_objects_v2(Bucket=bucket["Name"])["Contents"]]
        for bucket in client.list_buckets()["Buckets"]
    }
    assert left == {regional_bucket(ACCOUNT, "us-east-1"): [another], regional_bucket(ACCOUNT, "us-west-2"): ours}
    assert [sentence.split(": ", 1)[1] for sentence in said] == [
        "was not there",
        "removed, with 2 files",
        "2 files removed; kept, since another project has files in it",
    ]


def test_a_region_that_is_not_in_the_file_is_refused() -> None:
    known = configured("eu-west-1", "us-east-1")
    assert regions_of(known, "ALL") == ["eu-west-1", "us-east-1"]
    assert regions_of(known, "us-east-1") == ["us-east-1"]
    with pytest.raises(ValueError, match=r"has no mars-west-1: it has eu-west-1, us-east-1"):
        regions_of(known, "eu-west-1,mars-west-1")
