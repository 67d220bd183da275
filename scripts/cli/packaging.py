"""The function's package: built from the sources, and uploaded to the account's bucket for code and templates."""

import hashlib
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from cli.engine import CHECKOUT

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

SOURCES: Final = CHECKOUT / "src"
BUILD_DIRECTORY: Final = CHECKOUT / "build"

_FIRST_TIME_OF_ZIP: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_READABLE_BY_ALL: Final = 0o100644


@dataclass(frozen=True, slots=True)
class Package:
    """The function's code, ready for Lambda."""

    path: Path
    key: str


def build_package(directory: Path = BUILD_DIRECTORY, sources: Path = SOURCES) -> Package:
    """Zip the package `inventory_updater`; equal files make an equal archive, byte by byte, wherever and whenever.

    The key holds the hash of the archive, so that new code is a new key and CloudFormation sees the difference.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "inventory-updater.zip"
    unfinished = path.with_suffix(f".{os.getpid()}.zip")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(_package_files(sources), key=lambda file: file.relative_to(sources).as_posix()):
            entry = zipfile.ZipInfo(file.relative_to(sources).as_posix(), _FIRST_TIME_OF_ZIP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is: it decides how the mode is read
            entry.external_attr = _REGULAR_FILE_READABLE_BY_ALL << 16
            archive.writestr(entry, file.read_bytes())
    unfinished.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(path=path, key=f"inventory-updater/{digest}.zip")


def _package_files(sources: Path) -> Iterable[Path]:
    return (
        file for file in (sources / "inventory_updater").rglob("*") if file.suffix == ".py" or file.name == "py.typed"
    )


def code_bucket(account: str, region: str) -> str:
    """The name of an account's bucket for code and templates."""
    return f"inventory-updater-code-{account}-{region}"


def ensure_code_bucket(s3: "S3Client", account: str, region: str) -> str:
    """The name of this account's bucket for code and templates; made in the region if missing.

    A new bucket is encrypted and closed to the public:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    """
    bucket = code_bucket(account, region)
    try:
        # With the owner named, since anybody could have made a bucket of this name.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
        return bucket
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
    try:
        if region == "us-east-1":  # the one region that must not be named
            s3.create_bucket(Bucket=bucket)
        else:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item]  # any region
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass  # another deployment was faster
    return bucket


def upload_package(s3: "S3Client", package: Package, bucket: str, account: str) -> None:
    """Put the package under its key; one that lies there has the same content and stays."""
    try:
        s3.head_object(Bucket=bucket, Key=package.key, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise
        s3.put_object(Bucket=bucket, Key=package.key, Body=package.path.read_bytes(), ExpectedBucketOwner=account)
