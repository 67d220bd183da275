"""Several requests at once: in order, never far ahead, and nothing new after one that failed."""

import threading
from collections.abc import Iterator

import pytest

from inventory_updater.dynamodb.concurrency import side_by_side


def test_answers_come_in_the_order_of_what_was_asked_and_are_asked_side_by_side() -> None:
    both = threading.Barrier(2, timeout=30)

    def work(number: int) -> int:
        both.wait()
        return number * number

    assert list(side_by_side(work, range(10), in_flight=2)) == [number * number for number in range(10)]


def test_no_more_is_taken_than_is_on_its_way() -> None:
    taken: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(1_000):
            taken.append(number)
            yield number

    answers = side_by_side(lambda number: number, inputs(), in_flight=2)

    assert (next(answers), len(taken)) == (0, 4)
    answers.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(taken) == 4


def test_what_fails_is_raised_in_its_turn() -> None:
    answers = side_by_side(lambda number: 6 // number, [3, 0, 1])

    assert next(answers) == 2
    with pytest.raises(ZeroDivisionError):
        next(answers)
