"""A stand-in for SNS's client."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as people get it."""

    subject: str
    message: str


class RecordingTopic:
    """Records what is published to its one topic, or fails with ``error``."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.sent: list[Sent] = []
        self.error: Exception | None = None

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803  # AWS's names
        if self.error is not None:
            raise self.error
        assert TopicArn == self.arn
        self.sent.append(Sent(Subject, Message))

    @property
    def client(self) -> "SNSClient":
        """Itself, as what it stands in for."""
        return cast("SNSClient", self)
