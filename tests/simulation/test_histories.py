"""Whole jobs, doors, operators and other writers, request by request, through deaths, lost answers and late writes.

What has to hold: every change is applied once, nothing is lost, each attempt has one outcome, every record says what
its item has decided, all is settled in the end, the stock is right, and so is every tally that says that it is exact.
"""

from typing import Final

import pytest

from tests.simulation.history import Plot
from tests.simulation.mistakes import MISTAKES
from tests.simulation.runs import toured
from tests.simulation.shrinking import played, told

SEEDS: Final = 200

PINNED: Final[dict[str, int]] = {}
"""The seed that finds each mistake; after a change of the product or of the scheduler it may be another one."""


def test_whatever_happens_in_whatever_order_it_ends_right() -> None:
    tour = toured(iter(range(SEEDS)), lambda tour: not tour.failed)

    assert not tour.failed, "\n".join(told(played(tour.failed[0])))
    assert tour.never_reached == []


def test_a_seed_replays_exactly() -> None:
    assert list(told(played(Plot(7)))) == list(told(played(Plot(7))))


def test_every_mistake_that_the_model_knows_is_pinned() -> None:
    assert PINNED.keys() == MISTAKES.keys()


@pytest.mark.parametrize("mistake", sorted(PINNED))
def test_a_deliberate_mistake_is_found(mistake: str) -> None:
    plot = Plot(PINNED[mistake])

    assert played(plot).wrong == []
    assert played(plot, MISTAKES[mistake]).wrong != []
