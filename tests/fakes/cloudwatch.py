"""A stand-in for CloudWatch's client."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient


class RecordingCloudWatch:
    """Records the metrics that it is sent, or fails with ``error``."""

    def __init__(self) -> None:
        self.published: list[dict[str, float]] = []
        self.error: Exception | None = None

    def put_metric_data(self, *, Namespace: str, MetricData: list[Mapping[str, Any]]) -> None:  # noqa: N803  # AWS's names
        if self.error is not None:
            raise self.error
        assert Namespace == "InventoryUpdater"
        self.published.append({datum["MetricName"]: datum["Value"] for datum in MetricData})

    @property
    def client(self) -> "CloudWatchClient":
        """Itself, as what it stands in for."""
        return cast("CloudWatchClient", self)
