"""Where something is mentioned first: as a dictionary would know it, in eight bytes each."""

from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.intake.first_lines import FirstLines

# An integer is its own hash: those that differ by a multiple of 2**32 share the half of it that is kept.
LOOK_ALIKES = st.builds(lambda low, high: low + (high << 32), st.integers(0, 5), st.integers(0, 3))


@given(st.lists(LOOK_ALIKES))
def test_the_first_line_is_that_of_the_same_thing_and_never_of_one_that_looks_alike(mentioned: list[int]) -> None:
    lines = FirstLines(lambda line: mentioned[line - 1])

    firsts = [lines.first_line(identity, line) for line, identity in enumerate(mentioned, 1)]

    expected = [mentioned.index(identity) + 1 for identity in mentioned]
    assert firsts == [None if first == line else first for line, first in enumerate(expected, 1)]


def test_nothing_is_forgotten_however_many_there_are_and_hardly_a_line_is_read_again() -> None:
    count = 10_000
    read_again: list[int] = []

    def identity_on(line: int) -> tuple[str, int]:
        read_again.append(line)
        return ("thing", line)

    lines = FirstLines(identity_on)

    assert {lines.first_line(("thing", line), line) for line in range(1, count + 1)} == {None}
    assert len(read_again) < 10
    assert [lines.first_line(("thing", line), count + line) for line in range(1, count + 1)] == list(
        range(1, count + 1)
    )
