"""A stand-in for the topic or the bus that is told how jobs end."""

from collections.abc import Callable, Mapping
from typing import Any


class RecordingResults:
    """Records the results that are published, or fails with ``error``."""

    def __init__(self) -> None:
        self.published: list[Mapping[str, Any]] = []
        self.error: Exception | None = None
        self.around: Callable[[Callable[[], None]], None] = lambda publish: publish()
        """Called with what publishes: a test may let something happen before or after it."""

    def publish(self, result: Mapping[str, Any]) -> None:
        if self.error is not None:
            raise self.error
        self.around(lambda: self.published.append(result))
