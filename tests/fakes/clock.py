"""The one clock of the tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from inventory_updater.stock.times import read_time
from tests.builders import moment


@dataclass
class Clock:
    """The time of day, and seconds that count up beside it: both are moved on by the test, or by whoever sleeps."""

    starts: Callable[[], datetime] = lambda: read_time(moment("12:00"))
    seconds: float = 0.0
    pauses: list[float] = field(default_factory=list)
    """How long whoever slept has slept each time."""

    @classmethod
    def at(cls, time: str) -> "Clock":
        return cls(lambda: read_time(moment(time)))

    @classmethod
    def running(cls) -> "Clock":
        """One that goes on by itself too."""
        return cls(lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.starts() + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def goes_on(self, seconds: float) -> None:
        self.seconds += seconds

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.goes_on(seconds)

    def countdown(self, seconds: float) -> Callable[[], float]:
        """The seconds left of so many from now on."""
        end = self.seconds + seconds
        return lambda: end - self.seconds
