"""What a run of taskcat uploads, and what it leaves behind."""

import secrets
import shutil
import string
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from botocore.exceptions import ClientError

from cli.engine import CHECKOUT

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

CONFIGURATION: Final = CHECKOUT / ".taskcat.yml"
PROJECT: Final = "inventory-updater"
"""The name of the project in .taskcat.yml: the prefix of all it uploads."""

PACKAGE: Final = Path("build") / "inventory-updater.zip"
TEMPLATE: Final = Path("template.yaml")

SUFFIX_LETTERS: Final = 18
"""As many as fit into the name of a bucket in every region; taskcat draws twenty."""


def random_suffix(_letters: int = SUFFIX_LETTERS) -> str:
    """What stands in for taskcat's random text, however long that is to be."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(SUFFIX_LETTERS))


def copy_project(directory: Path) -> None:
    """Put what a stack needs into `directory`, at the places that it has in the checkout, and nothing else.

    taskcat uploads a whole project to every region, all but hidden files; this is the project that it is given.
    Raises FileNotFoundError where the package has not been built.
    """
    for file in (TEMPLATE, PACKAGE):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / file, directory / file)


def regional_bucket(account: str, region: str) -> str:
    """The bucket that taskcat makes in a region where `s3_regional_buckets` is set.

    It belongs to the account and the region, not to the run: all projects that use taskcat share it.
    https://github.com/aws-ia/taskcat/pull/504
    """
    return f"tcat-{uuid5(UUID(int=0), account).hex}-{region}"


# taskcat has no types: `configuration` is the `config` of its CFNTest.
def regions_of(configuration: Any, wanted: str) -> list[str]:
    """The regions of .taskcat.yml, or those of them that are wanted: names with commas between them, or ALL.

    ValueError names one that is wanted and not in the file.
    """
    return _chosen({region for test in configuration.config.tests.values() for region in test.regions}, wanted)


def tests_of(configuration: Any, wanted: str) -> list[str]:
    """The parameter sets of .taskcat.yml, chosen as `regions_of` does it."""
    return _chosen(set(configuration.config.tests), wanted)


def _chosen(known: set[str], wanted: str) -> list[str]:
    chosen = known if wanted == "ALL" else set(wanted.split(","))
    if not chosen <= known:
        unknown = ", ".join(sorted(chosen - known))
        raise ValueError(f"{CONFIGURATION.name} has no {unknown}: it has {', '.join(sorted(known))}")
    return sorted(chosen)


def remove_buckets(configuration: Any, names: Collection[str]) -> list[str]:
    """Remove this project's files from the regional buckets, and the buckets where nothing else is in them.

    taskcat itself leaves them, since another run may be using them. Returns what became of each, as sentences.
    """
    regions = {name: region for test in configuration.get_regions().values() for name, region in test.items()}
    return [
        _remove_bucket(regions[name].client("s3"), regional_bucket(regions[name].account_id, name)) for name in names
    ]


def _remove_bucket(client: "S3Client", bucket: str) -> str:
    removed = 0
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{PROJECT}/"):
            for found in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=found["Key"])
                removed += 1
        client.delete_bucket(Bucket=bucket)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchBucket":
                return f"{bucket}: was not there"
            case "BucketNotEmpty":
                return f"{bucket}: {removed} files removed; kept, since another project has files in it"
        raise
    return f"{bucket}: removed, with {removed} files"
