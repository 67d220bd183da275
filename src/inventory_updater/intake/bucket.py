"""The intake bucket: what is put there, and what the intake puts beside it.

In ``incoming/`` and ``approved/`` is what others put. ``receipts/`` says what became of it, ``held/`` has a marker for
each file that waits for a decision, and ``working/`` is what one call leaves to the next.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from inventory_updater.intake.sheets import PIECE
from inventory_updater.stock.attributes import as_json
from inventory_updater.stock.times import format_time

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

INCOMING: Final = "incoming/"
APPROVED: Final = "approved/"
RECEIPTS: Final = "receipts/"
HELD: Final = "held/"
WORKING: Final = "working/"
MESSAGES: Final = "messages/"

NO_VERSION: Final = "null"
"""What S3 calls the version of an object that was put while the bucket had no versions."""

MOST_BYTES: Final = 256 << 20
"""Of a file as it comes: it, what it unpacks to and what is noted of it fit into 2,048 MB on the function's disk."""

LONGEST_KEY_BYTES: Final = 1_024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

LONGEST_NAME_BYTES: Final = 937
"""Of a name within a receipt's key: the longest of its keys has as many bytes as S3 allows, with a version of 64."""

_DIGEST_BYTES: Final = 8
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})
"""The last one is said of a version that is a delete marker: it allows no GET."""

_CONFLICTS: Final = 5
"""So many attempts to put a receipt while somebody else does."""


class BadObjectError(Exception):
    """An object that is not taken, whatever is in it; the text goes on behind its name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file in the bucket.

    Attributes:
        key: of the object.
        version: what S3 calls the version.
    """

    key: str
    version: str

    @property
    def name(self) -> str:
        """What whoever has put it calls it."""
        return self.key.partition("/")[2]

    @property
    def is_approved(self) -> bool:
        return self.key.startswith(APPROVED)

    @property
    def receipt_key(self) -> str:
        return self._key(RECEIPTS, ".json")

    @property
    def problems_key(self) -> str:
        return self._key(RECEIPTS, ".problems.csv")

    @property
    def rejects_key(self) -> str:
        return self._key(RECEIPTS, ".rejects.csv")

    @property
    def held_key(self) -> str:
        return self._key(HELD, ".json")

    @property
    def held_prefix(self) -> str:
        """What the markers of all versions of this file begin with, and those of some other files."""
        return f"{HELD}{short_name(self.name)}."

    def working_key(self, what: str) -> str:
        return f"{WORKING}{sha256(f'{self.key}@{self.version}'.encode()).hexdigest()}/{what}"

    def _key(self, folder: str, end: str) -> str:
        return f"{folder}{short_name(self.name)}.{self.version}{end}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version of a file as S3 has it.

    Attributes:
        metadata: that it was put with.
        digest: of its content and its metadata.
        put_at: when it was put, as a stored time.
    """

    metadata: Mapping[str, str]
    digest: str
    put_at: str


def short_name(name: str) -> str:
    """A name as receipts have it: of one that is too long, the beginning and a digest of it all."""
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME_BYTES:
        return name
    digest = blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
    return f"{encoded[: LONGEST_NAME_BYTES - 1 - len(digest)].decode(errors='ignore')}~{digest}"


def message_receipt_key(message_id: str) -> str:
    return f"{RECEIPTS}{MESSAGES}{message_id}.json"


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bucket as the intake uses it; an error of S3 goes up, unless something is not there that need not be."""

    client: "S3Client"
    name: str

    def fetch(self, file: FileVersion, path: Path) -> "Fetched | None":
        """Write a version to ``path``; None where it is gone.

        Raises:
            BadObjectError: where it is larger than ``MOST_BYTES`` or archived; nothing of it was read then.
        """
        try:
            answer = self._if_there(
                lambda: self.client.get_object(Bucket=self.name, Key=file.key, VersionId=file.version), _GONE
            )
        except self.client.exceptions.ClientError as error:
            # https://docs.aws.amazon.com/botocore/latest/reference/services/s3/client/exceptions/InvalidObjectState.html
            if _code_of(error) != "InvalidObjectState":
                raise
            message = "is archived; put it in a storage class that can be read at once, such as STANDARD"
            raise BadObjectError("ARCHIVED", message) from None
        if answer is None:
            return None
        with answer["Body"] as body:
            if answer["ContentLength"] > MOST_BYTES:
                message = f"is larger than {MOST_BYTES >> 20} MB; split it, or pack it with gzip"
                raise BadObjectError("TOO_LARGE", message)
            digest = sha256()
            with path.open("wb") as copy:
                while piece := body.read(PIECE):
                    copy.write(piece)
                    digest.update(piece)
        metadata = dict(answer["Metadata"])
        digest.update(json.dumps(metadata, sort_keys=True).encode())
        return Fetched(metadata, digest.hexdigest(), format_time(answer["LastModified"]))

    def put_first(self, key: str, document: Mapping[str, object]) -> bool:
        """Put a document where there is none, and say so; one that is there stays.

        While another request writes this key, S3 refuses with a conflict and wants to be asked again.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        for attempts_left in reversed(range(_CONFLICTS)):
            try:
                self._put(key, encoded(document), IfNoneMatch="*")
            except self.client.exceptions.ClientError as error:
                if _code_of(error) == "PreconditionFailed":
                    break
                if _code_of(error) != "ConditionalRequestConflict" or not attempts_left:
                    raise
            else:
                return True
        return False

    def put(self, key: str, document: Mapping[str, object]) -> None:
        self._put(key, encoded(document))

    def put_file(self, key: str, file: IO[bytes], content_type: str) -> None:
        file.seek(0)
        self._put(key, file, content_type)

    def _put(self, key: str, body: "bytes | IO[bytes]", content_type: str = "application/json", **more: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=content_type, **more)

    def document(self, key: str) -> dict[str, Any] | None:
        """A document that the intake has put; None where it is not there."""
        answer = self._if_there(lambda: self.client.get_object(Bucket=self.name, Key=key), _GONE)
        return None if answer is None else json.loads(answer["Body"].read())

    def lines(self, key: str) -> Iterator[bytes] | None:
        """The lines of an object that the intake has put; None where it is not there."""
        answer = self._if_there(lambda: self.client.get_object(Bucket=self.name, Key=key), _GONE)
        return None if answer is None else answer["Body"].iter_lines(PIECE)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def clear(self, prefix: str) -> None:
        """Delete whatever begins like this."""
        for key in self._keys(prefix):
            self.delete(key)

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return (each["Key"] for page in pages for each in page.get("Contents", ()))

    def decided(self, file: FileVersion, digest: str) -> None:
        """Delete the markers of what was approved: of versions of the same file with the same content.

        The marker of ``a`` may look like that of a file ``a.b``: whose it is it says itself.
        """
        for marker in self._keys(file.held_prefix):
            held = self.document(marker)
            if held and (held["key"], held["digest"]) == (INCOMING + file.name, digest):
                self.delete(marker)

    def _if_there(self, ask: Callable[[], Any], gone: frozenset[str]) -> Any:
        try:
            return ask()
        except self.client.exceptions.ClientError as error:
            if _code_of(error) not in gone:
                raise
            return None


def encoded(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, default=as_json, indent=1).encode()


def _code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code"))
