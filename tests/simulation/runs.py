"""Seed after seed, for as long as one wants: what they reached, and the first that is wrong."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.simulation.history import Plot
from tests.simulation.judging import Story
from tests.simulation.product import many_histories
from tests.simulation.shrinking import Mistake, played

WANTED: Final = (
    "Dies",
    "AnswerLost",
    "DoneTwice",
    "LandsLater",
    "Refused",
    "RefusedInPart",
    "Stale",
    "a late request landed",
    "an entry of decided outlived its worker",
    "a record was marked by another call than the one that decided",
    "a conflict changed an outcome",
    "two windows were open",
    "an open window was cancelled",
    "a change was cancelled before it was due",
    "a rejected change was retried",
    "an item was deleted",
    "a record expired",
    "refused: TOO_OLD",
    "decided APPLIED",
    "decided OPEN",
    "decided SUPERSEDED",
    "decided CANCELLED",
    "decided INSUFFICIENT_STOCK",
    "decided STALE",
    "decided EXPIRED",
    "decided MISSED",
    "another call took the segment over",
    "opening leaves the rest to the workers",
    "the time was up between two batches",
    "the lease was lost between two batches",
    "the job was asked to stop between two batches",
    "a late count met later adjustments",
    "a change of an item that is gone was cancelled",
    "a base was set under a window",
    "a tally is exact",
    "a tally is a lower bound",
    "a file was ACCEPTED",
    "a file was PARTLY_ACCEPTED",
    "a file was HELD",
    "a file was REFUSED",
    "a file that was held is approved",
    "a file goes on in another call",
    "a message was delivered twice",
    "a dead letter was sent again",
    "the intake died with half a file written",
    "a job ended SUCCEEDED",
    "a job ended COMPLETED_WITH_FAILURES",
    "a job ended FAILED",
    "a job ended ABANDONED",
    "a job ended SKIPPED",
)
"""What has to be reached: seeds that never come there show nothing about it."""

ENOUGH: Final = 300
"""So many seeds have to come everywhere."""


@dataclass
class Tour:
    """What some seeds came to."""

    histories: int = 0
    requests: int = 0
    seconds: float = 0.0
    """Of one core."""
    reached: Counter[str] = field(default_factory=Counter)
    failed: list[Plot] = field(default_factory=list)

    @property
    def a_minute(self) -> float:
        return 60 * self.histories / self.seconds if self.seconds else 0.0

    @property
    def never_reached(self) -> list[str]:
        return [state for state in WANTED if not self.reached[state]]


@many_histories()
def toured(seeds: Iterator[int], goes_on: Callable[[Tour], bool]) -> Tour:
    """Play these seeds while it goes on."""
    tour, began = Tour(), time.process_time()
    for seed in seeds:
        story = played(Plot(seed))
        _add(tour, seed, story)
        tour.seconds = time.process_time() - began
        if not goes_on(tour):
            break
    return tour


def for_seconds(seconds: float, first_seed: int = 0) -> Tour:
    """As many seeds as there is time for, or as far as the first one that is wrong."""
    end = time.monotonic() + seconds
    return toured(count(first_seed), lambda tour: time.monotonic() < end and not tour.failed)


@many_histories()
def first_seed_of(mistake: Mistake) -> int:
    """The first seed that finds a mistake, and is clean without it."""
    return next(seed for seed in count() if played(Plot(seed), mistake).wrong and not played(Plot(seed)).wrong)


def _add(tour: Tour, seed: int, story: Story) -> None:
    tour.histories += 1
    tour.requests += len(story.history.turns)
    tour.reached += story.reached
    if story.wrong:
        tour.failed.append(Plot(seed))
