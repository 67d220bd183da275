"""The intake queue: notifications of the bucket, and changes that systems send. Each message is done for itself.

What a message says may be anything, so nothing in it is an error: it is done, or there is a receipt that refuses it. An
error is trouble of a service: the message is named in the answer, and comes again.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html

A message may come twice, as any of a queue may, and after a call that was killed the whole batch does. What has its
receipt is left alone then: what was refused or held at first would perhaps be taken by now.

Messages of changes come first in a batch: they are small, and the receipt of one has its id, so it cannot be sent anew.
A file for which there is no time left can: its notification is sent to the queue again.
"""

import json
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from inventory_updater.intake.bucket import (
    APPROVED,
    INCOMING,
    LONGEST_KEY_BYTES,
    NO_VERSION,
    Bucket,
    FileVersion,
    message_receipt_key,
)
from inventory_updater.intake.bucket_files import FileDoor
from inventory_updater.intake.call_time import CallTime, GoesOnLaterError
from inventory_updater.intake.messages import HALF_A_CHARACTER, printable
from inventory_updater.intake.receipts import SCHEMA, Answer, Delivery, Receipt, Result
from inventory_updater.intake.stores import Stores

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

_FIELDS: Final = ("changes", "accept_good")
_TEST_EVENT: Final = "s3:TestEvent"
_MESSAGE_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)

Document = Mapping[str, Any]


class BadMessageError(ValueError):
    """What a message says makes no sense as a whole."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification that there is a version of a file.

    Attributes:
        version: which.
        principal: who has put it, as S3 says.
        said: the record of the notification.
    """

    version: FileVersion
    principal: str
    said: Document


@dataclass(frozen=True, slots=True)
class Order:
    """Changes that a system has sent."""

    changes: Sequence[object]
    accept_good: bool = False


Body = Order | list[Notice] | BadMessageError


@dataclass(frozen=True, slots=True)
class Intake:
    """What takes the messages of the queue.

    Attributes:
        bucket: with the files, and for the receipts.
        stores: where changes are scheduled.
        files: takes the files.
        queue: of which the messages are.
        queue_url: its address.
        tell: told the receipt of every file, and its key; that this fails is no failure of the file.
    """

    bucket: Bucket
    stores: Stores
    files: FileDoor
    queue: "SQSClient"
    queue_url: str
    tell: Callable[[Receipt, str], None]

    def take(self, messages: Sequence[Document], seconds_left: Callable[[], float]) -> dict[str, object]:
        """Do all messages of a batch, and name those that have to come again."""
        time = CallTime(seconds_left)
        bodies = [(message, read_body(message["body"], self.bucket.name)) for message in messages]
        bodies.sort(key=lambda each: isinstance(each[1], list))
        failed = [message["messageId"] for message, body in bodies if not self._is_done(message, body, time)]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _is_done(self, message: Document, body: Body, time: CallTime) -> bool:
        try:
            if isinstance(body, list):
                self._take_files(message["messageId"], body, time)
            else:
                with time.piece(_MESSAGE_SECONDS):
                    self._take_changes(message, body)
        except GoesOnLaterError:
            _log.info("message comes again, there is no time left", extra={"message_id": message["messageId"]})
            return False
        except Exception as error:  # noqa: BLE001  # whatever is the trouble with one message, the others are done
            _log.error("message failed", extra={"message_id": message["messageId"], **trouble(error)})
            return False
        return True

    def _take_changes(self, message: Document, order: Order | BadMessageError) -> None:
        message_id = message["messageId"]
        receipt_key = message_receipt_key(message_id)
        if self.bucket.document(receipt_key):
            _log.info("message has its receipt", extra={"message_id": message_id})
            return
        if isinstance(order, BadMessageError):
            receipt = _refused(order)
        else:
            delivery = Delivery(order.changes)
            actor = _principal(message.get("attributes", {}).get("SenderId"))
            scheduling = self.stores.scheduling(lambda: delivery.rows, actor, f"message:{message_id}")
            receipt = delivery.schedule(scheduling, accept_good=order.accept_good)
        receipt |= {"message_id": message_id, "taken_at": self.stores.clock()}
        self.bucket.put_first(receipt_key, receipt)
        counts = {name: receipt[name] for name in ("rows", "added", "known", "held", "refused", "problem_count")}
        _log.info("message %s", receipt["status"], extra={"message_id": message_id, **counts})

    def _take_files(self, message_id: str, notices: Sequence[Notice], time: CallTime) -> None:
        # Of what S3 does not know nothing is logged: whoever may send messages may have written what this one says.
        said = {"message_id": message_id}
        for place, notice in enumerate(notices):
            try:
                receipt = self.files.take(notice.version, notice.principal, time)
            except GoesOnLaterError:
                again = {"Records": [each.said for each in notices[place:]]}
                self.queue.send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(again))
                _log.info("file goes on in another call", extra=said)
                return
            if receipt is None:
                _log.info("file is gone", extra=said)
            else:
                self._tell(receipt, notice.version.receipt_key)

    def _tell(self, receipt: Receipt, receipt_key: str) -> None:
        try:
            self.tell(receipt, receipt_key)
        except Exception as error:  # noqa: BLE001  # the receipt is what counts
            _log.error("nobody could be told of a file", extra={"key": receipt["key"], **trouble(error)})


def trouble(error: Exception) -> dict[str, object]:
    """What a log may say of an error: its message may have something of the content."""
    response = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code") if isinstance(response, Mapping) else None
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-4:]]
    return {"error": type(error).__name__, "code": code, "where": where}


def read_body(text: str, bucket_name: str) -> Body:
    """What a message says; no notices where it says nothing that concerns anybody."""
    try:
        said = json.loads(text)
    except RecursionError:
        return BadMessageError(None, "has too many brackets within brackets")
    except ValueError:
        return BadMessageError(None, 'is no JSON; a message is {"changes": [...]}')
    if not isinstance(said, Mapping):
        return BadMessageError(None, 'is no object; a message is {"changes": [...]}')
    is_order = "changes" in said
    if said.get("Event") == _TEST_EVENT and not is_order:
        return []
    try:
        return _notices(said["Records"], bucket_name) if "Records" in said and not is_order else _order(said)
    except BadMessageError as error:
        return error


def _order(said: Document) -> Order:
    for name in said:
        if name not in _FIELDS:
            raise BadMessageError(printable(name), f"there is no such field; a message has {' and '.join(_FIELDS)}")
    changes, accept_good = said.get("changes"), said.get("accept_good", False)
    if not isinstance(changes, list):
        raise BadMessageError("changes", "must be a list of changes")
    if not isinstance(accept_good, bool):
        raise BadMessageError("accept_good", "must be true or false")
    return Order(changes, accept_good)


def _notices(records: object, bucket_name: str) -> list[Notice]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html"""
    if not isinstance(records, list):
        raise BadMessageError("Records", "must be the list of a notification of the bucket")
    return [notice for record in records if (notice := _notice(record, bucket_name))]


def _notice(record: object, bucket_name: str) -> Notice | None:
    name, key, version, event, principal = (
        _at(record, *path)
        for path in (
            ("s3", "bucket", "name"),
            ("s3", "object", "key"),
            ("s3", "object", "versionId"),
            ("eventName",),
            ("userIdentity", "principalId"),
        )
    )
    if name != bucket_name or not isinstance(key, str) or not isinstance(record, Mapping):
        raise BadMessageError("Records", "is no notification of this bucket")
    key, version = unquote_plus(key), version if isinstance(version, str) else NO_VERSION
    if not all(_is_name(each) for each in (key, version)):
        raise BadMessageError("Records", "names what cannot be in a bucket")
    # A folder that a console shows is an object without content.
    is_folder = key.endswith("/") and not _at(record, "s3", "object", "size")
    is_put = isinstance(event, str) and event.startswith("ObjectCreated:")
    if is_folder or not is_put or not key.startswith((INCOMING, APPROVED)):
        _log.info("notification concerns nobody")
        return None
    of_object = FileVersion(key, version)
    return Notice(of_object, _principal(principal), record)


def _is_name(text: str) -> bool:
    """Whether S3 can be asked for it; a version does not reach the length of a key."""
    return 0 < len(text.encode(errors="surrogatepass")) <= LONGEST_KEY_BYTES and not HALF_A_CHARACTER.search(text)


def _at(said: object, *path: str) -> object:
    for name in path:
        said = said.get(name) if isinstance(said, Mapping) else None
    return said


def _principal(said: object) -> str:
    return f"principal:{said if isinstance(said, str) else 'unknown'}".encode(errors="replace").decode()


def _refused(error: BadMessageError) -> Receipt:
    problem = {"index": None, "field": error.field, "value": None, "code": "BAD_MESSAGE", "message": str(error)}
    return {
        "schema": SCHEMA,
        "status": Answer.REFUSED.value,
        "rows": 0,
        **{each.lower(): 0 for each in Result},
        "changes": [],
        "problems": [problem],
        "problem_count": 1,
    }
