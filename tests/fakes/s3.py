"""A stand-in for S3's client: one versioned bucket in memory."""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


class Stored(NamedTuple):
    """A version of an object."""

    content: bytes
    metadata: Mapping[str, str]
    put_at: datetime


class Exceptions(NamedTuple):
    ClientError: type[ClientError] = ClientError


class FakeBucket:
    """What S3 does with objects of one bucket. ``happens`` says what goes wrong with a request."""

    exceptions = Exceptions()

    def __init__(self, name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.name = name
        self._clock = clock
        self.objects: dict[str, dict[str, Stored]] = {}
        self.happens: Callable[[str, Callable[[], Any]], Any] = lambda _operation, do: do()
        """Does a request, or not, or dies before or after it."""
        self._versions = itertools.count(1)
        self.client: Any = self  # as what it stands in for

    def store(self, key: str, content: bytes, metadata: Mapping[str, str] | None = None) -> str:
        version = f"version.{next(self._versions):06}"
        self.objects.setdefault(key, {})[version] = Stored(content, metadata or {}, self._clock())
        return version

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for key, versions in self.objects.items() if key.startswith(prefix) and versions)

    def content(self, key: str) -> bytes:
        """The latest version."""
        return list(self.objects[key].values())[-1].content

    # What the client of boto3 can do

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803  # AWS's names
        stored = self.happens("get_object", lambda: self._found(Bucket, Key, VersionId))
        body = StreamingBody(io.BytesIO(stored.content), len(stored.content))
        said = {"ContentLength": len(stored.content), "LastModified": stored.put_at, "Metadata": stored.metadata}
        return {"Body": body, **said}

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **more: Any) -> None:  # noqa: N803  # AWS's names
        content = Body if isinstance(Body, bytes) else Body.read()

        def put() -> None:
            assert Bucket == self.name
            assert len(Key.encode()) <= 1024
            if more.get("IfNoneMatch") == "*" and self.objects.get(Key):
                raise _error("PutObject", "PreconditionFailed")
            self.store(Key, content)

        self.happens("put_object", put)

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803  # AWS's names
        assert Bucket == self.name
        self.happens("delete_object", lambda: self.objects.pop(Key, None))

    def get_paginator(self, operation: str) -> "FakeBucket":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        yield self.list_objects_v2(**request)

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803  # AWS's names
        assert Bucket == self.name
        keys = self.happens("list_objects_v2", lambda: self.keys(Prefix))
        return {"Contents": [{"Key": key} for key in keys]} if keys else {}

    def _found(self, bucket: str, key: str, version: str | None) -> Stored:
        assert bucket == self.name
        versions = self.objects.get(key, {})
        if not versions:
            raise _error("GetObject", "NoSuchKey")
        if version is not None and version not in versions:
            raise _error("GetObject", "NoSuchVersion")
        return versions[version] if version is not None else list(versions.values())[-1]


def _error(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said no"}}, operation)
