"""The intake bucket: files that are put there, the receipts that they get, and what is held until somebody decides.

Every version of a file is a file of its own, and has its own receipt. docs/contract.md says what is in one.
"""

import heapq
import json
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cli.errors import CommandFailed, InputError, explain
from cli.output import note
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.intake.bucket import (
    APPROVED,
    HELD,
    INCOMING,
    LONGEST_KEY_BYTES,
    MESSAGES,
    RECEIPTS,
    FileVersion,
    message_receipt_key,
)
from inventory_updater.stock.times import format_time

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_OF_MESSAGES: Final = RECEIPTS + MESSAGES

WAITING: Final = "WAITING"
"""The status of a file that has no receipt yet."""

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 5.0
READERS: Final = 16

Receipt = Mapping[str, Any]
"""What became of a file or of a message: JSON, as its schema says."""


def name_of(text: str) -> str:
    """The name of a file, of which somebody has typed the name or, as the lists have it, the key."""
    folder = next((each for each in (INCOMING, APPROVED) if text.startswith(each)), "")
    return text.removeprefix(folder)


class IntakeBucket:
    """The bucket of a deployment.

    Args:
        sleep: waits for so many seconds before it is looked again for a receipt.
    """

    def __init__(
        self,
        client: "S3Client",
        name: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self.name = name
        self._sleep = sleep
        self._clock = clock

    def put(self, path: Path, name: str, metadata: Mapping[str, str]) -> FileVersion:
        """Put a file; it is taken as soon as the bucket has told of it.

        In one request, and not in parts as `upload_file` does: only that answers with the version, and all that the
        intake takes fits. https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        Raises:
            InputError: where a key would be longer than S3 allows, or that of a folder.
        """
        key = INCOMING + name
        if key.endswith("/"):
            raise InputError(f"the name {name} ends with /, as only that of a folder does: give another one")
        if len(key.encode()) > LONGEST_KEY_BYTES:
            raise InputError(f"the name has more than {LONGEST_KEY_BYTES - len(INCOMING):,} bytes: give a shorter one")
        with path.open("rb") as file:
            answer = self._client.put_object(Bucket=self.name, Key=key, Body=file, Metadata=dict(metadata))
        return FileVersion(key, answer["VersionId"])

    def approve(self, held: FileVersion) -> FileVersion:
        """Copy exactly this version, with how it is to be read, to where it is taken without guards."""
        answer = self._client.copy_object(
            Bucket=self.name,
            Key=APPROVED + held.name,
            CopySource={"Bucket": self.name, "Key": held.key, "VersionId": held.version},
        )
        return FileVersion(APPROVED + held.name, answer["VersionId"])

    def drop(self, held: FileVersion) -> None:
        """Delete the marker of this version, so that it waits no more; the file and its receipt stay."""
        self._client.delete_object(Bucket=self.name, Key=held.held_key)

    def wait_for_receipt(self, file: FileVersion, seconds: float) -> Receipt:
        """
        Raises:
            CommandFailed: where there is none after so many seconds.
        """
        deadline = self._clock() + seconds
        pause = FIRST_PAUSE_SECONDS
        while (receipt := self._receipt(file.receipt_key)) is None:
            if self._clock() >= deadline:
                raise CommandFailed(
                    f"{file.key} has no receipt after {seconds:g} seconds, or none that these credentials may read; "
                    f"look later: intake.py status {shlex.quote(file.name)}"
                )
            self._sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.2)
        return receipt

    def receipt_of_message(self, message_id: str) -> Receipt:
        """
        Raises:
            InputError: where there is none.
        """
        receipt = self._receipt(message_receipt_key(message_id))
        if receipt is None:
            raise InputError(f"there is no receipt of message {message_id}, or none that these credentials may read")
        return receipt

    def _receipt(self, key: str) -> Receipt | None:
        """A receipt, if it is there; whoever may not list the bucket is denied what is not.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (Permissions)
        """
        try:
            return self._read(key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "AccessDenied"):
                return None
            raise

    def _read(self, key: str) -> Receipt:
        receipt: Receipt = json.loads(self._client.get_object(Bucket=self.name, Key=key)["Body"].read())
        return receipt

    def held(self) -> list[Receipt]:
        """The receipts of the files that wait for a decision, the oldest first."""
        held = filter(None, self._read_all([key for key, _at in self._listed(HELD)]))
        return sorted(held, key=lambda each: str(each["taken_at"]))

    def newest_versions(self, keys: Collection[str]) -> Mapping[str, str | None]:
        """What ``newest_version`` says of each of the files.

        Nothing, and that is said on standard error, where they may not be listed.
        """
        try:
            with ThreadPoolExecutor(READERS) as readers:
                return dict(zip(keys, readers.map(self.newest_version, keys), strict=True))
        except ClientError as error:
            note(f"note: of which files there is a newer version is not known: {explain(error)}")
            return {}

    def newest_version(self, key: str) -> str | None:
        """The version of a file that was put last; None where the file is gone.

        S3 lists keys in their order, so this one before all that begin with it, and the newest version of each first.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        return next((file.version for file, _put_at in self._versions(key) if file.key == key), None)

    def newest(self, begin: str, limit: int | None) -> Iterator[Receipt]:
        """The receipts of the files whose names begin so, and the files that have none yet: the newest first."""
        # In this order: who gets a receipt in between has one.
        files = dict(self._files(begin))
        is_among_messages = any(name.startswith(MESSAGES) for name in (begin, *(each.name for each in files)))
        receipts = dict(self._receipts(begin, is_among_messages=is_among_messages))
        waiting = {each.receipt_key: each for each in files if each.receipt_key not in receipts}
        times = receipts | {key: files[each] for key, each in waiting.items()}
        newest = heapq.nlargest(len(times) if limit is None else limit, times, key=lambda key: (times[key], key))
        for keys in batched(newest, READERS):
            read = iter(self._read_all([key for key in keys if key not in waiting]))
            told = (_waits(waiting[key], times[key]) if key in waiting else next(read) for key in keys)
            yield from filter(None, told)

    def _read_all(self, keys: list[str]) -> list[Receipt | None]:
        """What was listed; None for what has gone since."""
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self._read_if_there, keys))

    def _read_if_there(self, key: str) -> Receipt | None:
        """Denied is what is not there, and also what is there and may not be read: only a look at the list tells."""
        receipt = self._receipt(key)
        return self._read(key) if receipt is None and self._is_there(key) else receipt

    def _is_there(self, key: str) -> bool:
        first = self._client.list_objects_v2(Bucket=self.name, Prefix=key, MaxKeys=1).get("Contents", ())
        return any(each["Key"] == key for each in first)

    def _files(self, begin: str) -> list[tuple[FileVersion, str]]:
        """All versions of files whose names begin so, with the times at which they were put.

        There are none, and that is said on standard error, where they may not be listed.
        """
        try:
            return [*self._versions(INCOMING + begin), *self._versions(APPROVED + begin)]
        except ClientError as error:
            note(f"note: which files have no receipt yet is not known: {explain(error)}")
            return []

    def _versions(self, prefix: str) -> Iterator[tuple[FileVersion, str]]:
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix)
        for page in pages:
            for each in page.get("Versions", ()):
                # A folder that a console shows is an object too, and no file.
                if each["Size"] or not each["Key"].endswith("/"):
                    yield FileVersion(each["Key"], each["VersionId"]), format_time(each["LastModified"])

    def _receipts(self, begin: str, *, is_among_messages: bool) -> Iterator[tuple[str, str]]:
        """The receipts of files; those of messages, of which there may be very many, are passed over.

        Unless there are files in a folder of that name too, whose receipts are among them.
        """
        prefix = RECEIPTS + begin
        found = self._listed(prefix)
        if not is_among_messages:
            before = takewhile(lambda each: each[0] < _OF_MESSAGES, found)
            found = chain(before, self._listed(prefix, after=f"{_OF_MESSAGES}\U0010ffff"))
        return (each for each in found if each[0].endswith(".json") and not _is_of_message(each[0]))

    def _listed(self, prefix: str, after: str | None = None) -> Iterator[tuple[str, str]]:
        """Keys, in their order, with the times at which they were put."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix, StartAfter=after or prefix
        )
        for page in pages:
            for each in page.get("Contents", ()):
                yield each["Key"], format_time(each["LastModified"])


def _is_of_message(receipt_key: str) -> bool:
    """Whether it is ID.json, and not NAME.VERSION.json."""
    return receipt_key.startswith(_OF_MESSAGES) and "." not in receipt_key.removesuffix(".json")


def _waits(file: FileVersion, put_at: str) -> Receipt:
    return {"key": file.key, "version": file.version, "status": WAITING, "put_at": put_at}
