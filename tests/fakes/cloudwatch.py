"""A stand-in for CloudWatch's client."""

from collections.abc import Mapping
from typing import Any


class RecordingCloudWatch:
    """Records the metrics that it is sent, or fails with ``error``."""

    def __init__(self) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self.error: Exception | None = None
        self.client: Any = self  # as what it stands in for

    def put_metric_data(self, **request: Any) -> None:
        if self.error is not None:
            raise self.error
        self.requests.append(request)

    @property
    def published(self) -> list[dict[str, float]]:
        """The metrics of each request that have one value each; a histogram has ``Values``."""
        return [
            {datum["MetricName"]: datum["Value"] for datum in each["MetricData"] if "Value" in datum}
            for each in self.requests
        ]

    def figures(self) -> dict[str, float]:
        """The metrics of the one request that was made."""
        (figures,) = self.published
        return figures
