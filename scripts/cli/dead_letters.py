"""The dead letters of the intake: messages that were received five times, and never done.

Looking at a message means receiving it, so it is out of sight for others meanwhile; who has looked puts it back. A
message is sent again first and deleted then, so one may come twice, and none is lost.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote_plus

from cli.errors import InputError
from cli.output import counted
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.stock.times import format_time

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

A_BATCH: Final = 10
"""So many messages a request at most."""

OUT_OF_SIGHT_SECONDS: Final = 120
LONG_POLL_SECONDS: Final = 1
"""Only a request that waits asks all of SQS's servers, so that nothing is overlooked."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it was received."""

    message: "MessageTypeDef"

    @property
    def message_id(self) -> str:
        return self.message["MessageId"]

    @property
    def body(self) -> str:
        return self.message["Body"]

    def as_document(self) -> dict[str, object]:
        system: Mapping[str, str] = self.message.get("Attributes", {})  # type: ignore[assignment]  # keys are literals
        attributes = self.message.get("MessageAttributes", {})
        return {
            "message_id": self.message_id,
            "about": about(self.body),
            "sent_at": _time(system.get("SentTimestamp")),
            "first_received_at": _time(system.get("ApproximateFirstReceiveTimestamp")),
            "receives": int(system.get("ApproximateReceiveCount", "0")),
            "sender": system.get("SenderId"),
            "attributes": {
                name: each.get("StringValue", f"{len(each.get('BinaryValue', b'')):,} bytes")
                for name, each in attributes.items()
            },
            "body": self.body,
        }


def about(body: str) -> str:
    """What a message is about: a file of the bucket, or changes, or nothing that can be read."""
    try:
        said: Any = json.loads(body)
        if isinstance(said.get("changes"), list):
            return counted(len(said["changes"]), "change")
        files = [each["s3"]["object"] for each in said["Records"]]
        return ", ".join(unquote_plus(each["key"]) for each in files)
    except (ValueError, RecursionError):
        return "no JSON"
    except (AttributeError, KeyError, TypeError):
        return "unknown"


def _time(milliseconds: str | None) -> str | None:
    return None if milliseconds is None else format_time(datetime.fromtimestamp(int(milliseconds) / 1000, UTC))


class DeadLetters:
    """The dead-letter queue; what was looked at in this context and not deleted can be seen by others after it."""

    def __init__(self, client: "SQSClient", dead_url: str, intake_url: str) -> None:
        self._client = client
        self._dead_url = dead_url
        self._intake_url = intake_url
        self._in_hand: dict[str, MessageTypeDef] = {}
        self._seen = set[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for messages in batched(self._in_hand.values(), A_BATCH):
            self._client.change_message_visibility_batch(
                QueueUrl=self._dead_url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                    for place, message in enumerate(messages)
                ],
            )
        self._in_hand.clear()

    def __iter__(self) -> Iterator[Letter]:
        """Every letter that nobody else is looking at, once."""
        while new := self._received():
            yield from map(Letter, new)

    def _received(self) -> "list[MessageTypeDef]":
        messages = self._client.receive_message(
            QueueUrl=self._dead_url,
            MaxNumberOfMessages=A_BATCH,
            VisibilityTimeout=OUT_OF_SIGHT_SECONDS,
            WaitTimeSeconds=LONG_POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        new = [message for message in messages if message["MessageId"] not in self._seen]
        self._in_hand |= {message["MessageId"]: message for message in messages}
        self._seen |= self._in_hand.keys()
        return new

    def named(self, message_ids: Iterable[str]) -> list[Letter]:
        """
        Raises:
            InputError: where one of them is not there, naming it.
        """
        wanted = dict.fromkeys(message_ids)
        found = dict[str, Letter]()
        for letter in self:
            if letter.message_id in wanted:
                found[letter.message_id] = letter
                if len(found) == len(wanted):
                    return [found[message_id] for message_id in wanted]
        missing = ", ".join(message_id for message_id in wanted if message_id not in found)
        raise InputError(
            f"there is no dead letter {missing}, or somebody else is looking at it: see intake.py dead list"
        )

    def redrive(self, letter: Letter) -> str:
        """Send a letter to the intake once more, with its attributes, and delete it; returns its new id."""
        sent = self._client.send_message(
            QueueUrl=self._intake_url,
            MessageBody=letter.body,
            MessageAttributes={
                name: _to_send(attribute) for name, attribute in letter.message.get("MessageAttributes", {}).items()
            },
        )
        # It may come back dead before we are through, and is not to be sent again then.
        self._seen.add(sent["MessageId"])
        self.drop(letter)
        return sent["MessageId"]

    def drop(self, letter: Letter) -> None:
        self._client.delete_message(QueueUrl=self._dead_url, ReceiptHandle=letter.message["ReceiptHandle"])
        del self._in_hand[letter.message_id]


def _to_send(attribute: Mapping[str, Any]) -> Any:
    """An attribute of a received message as one to be sent: without what is empty."""
    return {name: value for name, value in attribute.items() if value}
