"""How late changes took effect: a histogram that adds up over pages, segments and jobs. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

SHORTEST_SECONDS: Final = 0.1
"""What is less counts as this."""

BUCKETS_A_DOUBLING: Final = 4
LAST_BUCKET: Final = 119
"""About three years; CloudWatch takes at most 150 values of one metric at once."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """Counts by bucket, each 19 percent longer than the one before, and the longest in seconds."""

    counts: Mapping[int, int] = field(default_factory=dict)
    longest: float = 0.0

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Lateness":
        """The histogram of these, in seconds; what came early is not late."""
        late = [max(each, 0.0) for each in seconds]
        return cls(dict(Counter(map(_bucket, late))), max(late, default=0.0))

    def __add__(self, other: "Lateness") -> "Lateness":
        return Lateness(dict(Counter(self.counts) + Counter(other.counts)), max(self.longest, other.longest))

    def quantile(self, share: float) -> float:
        """Seconds that ``share`` of the changes were late at most, to within a bucket; 0 where there were none."""
        wanted, passed = share * sum(self.counts.values()), 0
        for bucket, count in sorted(self.counts.items()):
            passed += count
            if passed >= wanted:
                return min(seconds_of(bucket), self.longest)
        return 0.0

    def to_map(self) -> dict[str, object]:
        counts = {str(bucket): Decimal(count) for bucket, count in sorted(self.counts.items())}
        return {"counts": counts, "longest": Decimal(str(round(self.longest, 3)))}

    @classmethod
    def from_map(cls, stored: Mapping[str, object]) -> "Lateness":
        """The histogram that was stored."""
        counts: Mapping[str, Decimal] = stored["counts"]  # type: ignore[assignment]
        longest: Decimal = stored["longest"]  # type: ignore[assignment]
        return cls({int(bucket): int(count) for bucket, count in counts.items()}, float(longest))


def seconds_of(bucket: int) -> float:
    """The longest lateness in a bucket, in seconds."""
    return round(SHORTEST_SECONDS * float(2 ** (bucket / BUCKETS_A_DOUBLING)), 3)


def _bucket(seconds: float) -> int:
    if seconds <= SHORTEST_SECONDS:
        return 0
    return min(LAST_BUCKET, math.ceil(BUCKETS_A_DOUBLING * math.log2(seconds / SHORTEST_SECONDS) - 1e-9))
