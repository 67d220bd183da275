"""Whole jobs, doors, files, operators and other writers, request by request, through deaths, lost answers, late writes.

What has to hold: every change is applied once, nothing is lost, each attempt has one outcome, every record says what
its item has decided, all is settled in the end, the stock is right, and so is every tally that says that it is exact.
Every file has a receipt that counts its rows, and of one that was accepted every change is there.
"""

from typing import Final

import pytest

from tests.simulation.faults import ProcessDied
from tests.simulation.history import Plot
from tests.simulation.mistakes import MISTAKES
from tests.simulation.runs import toured
from tests.simulation.shrinking import played, told
from tests.simulation.turns import Actor, take_turns

ENOUGH: Final = 200
"""So many seeds reach every state."""

PINNED: Final[dict[str, int]] = {
    "records_read_before_the_item": 84,
    "old_records_after_a_conflict": 68,
    "entries_dropped_early": 4,
    "no_version_in_the_guard": 4,
    "record_cancelled_before_the_item": 0,
    "marks_without_status_or_attempt": 14,
    "retry_under_the_same_attempt": 0,
    "part_noted_before_it_is_written": 41,
    "failed_message_is_done": 41,
}
"""The seed that finds each mistake. After a change of the product's requests or of the scheduler it is another one:
`python -m tests.simulation --pins` finds it."""


@pytest.mark.parametrize("seeds", [60, pytest.param(ENOUGH, marks=pytest.mark.slow)])
def test_whatever_happens_in_whatever_order_it_ends_right(seeds: int) -> None:
    tour = toured(iter(range(seeds)), lambda tour: not tour.failed)

    assert not tour.failed, "\n".join(told(played(tour.failed[0])))
    assert seeds < ENOUGH or tour.never_reached == []


def test_a_seed_replays_exactly() -> None:
    assert list(told(played(Plot(7)))) == list(told(played(Plot(7))))


def test_a_process_that_has_died_stays_dead() -> None:
    asked: list[str] = []

    def perform(_actor: Actor, operation: str, _request: object) -> None:
        asked.append(operation)
        raise ProcessDied

    def work(client: Actor) -> None:
        try:
            client.get_item()
        finally:
            client.put_item()

    actor = Actor("worker", perform, work)
    take_turns(iter(lambda: None if actor.is_done else actor, None))

    assert (asked, actor.is_dead) == (["get_item"], True)


def test_every_mistake_that_the_model_knows_is_pinned() -> None:
    assert PINNED.keys() == MISTAKES.keys()


@pytest.mark.parametrize("mistake", sorted(PINNED))
def test_a_deliberate_mistake_is_found(mistake: str) -> None:
    plot = Plot(PINNED[mistake])

    assert played(plot).wrong == []
    assert played(plot, MISTAKES[mistake]).wrong != []
