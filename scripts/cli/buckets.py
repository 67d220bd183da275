"""A bucket that goes with its stack, or stays."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


def remove_bucket(client: "S3Client", bucket: str, *, with_files: bool = False) -> bool:
    """Delete a bucket; False where files are in it, and stay.

    Args:
        with_files: delete all versions of all files first.
    """
    try:
        if with_files:
            for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=bucket)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchBucket":
                return True  # a deployment that failed took it along
            case "BucketNotEmpty":
                return False
        raise
    return True
