"""A stand-in for SNS's client."""

from typing import Any, NamedTuple


class Sent(NamedTuple):
    """A message as people get it."""

    subject: str
    message: str


class RecordingTopic:
    """Records what is published to its one topic, or fails with ``error``."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.sent: list[Sent] = []
        self.error: Exception | None = None
        self.client: Any = self  # as what it stands in for

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803  # AWS's names
        if self.error is not None:
            raise self.error
        assert TopicArn == self.arn
        self.sent.append(Sent(Subject, Message))
