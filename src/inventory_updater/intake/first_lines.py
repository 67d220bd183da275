"""On which line of a file something is mentioned first: eight bytes for each thing, however long its name is."""

from array import array
from collections.abc import Callable, Hashable
from typing import Final

_SLOTS_AT_FIRST: Final = 1 << 10
_HALF: Final = 32
_LOWER_HALF: Final = (1 << _HALF) - 1


class FirstLines:
    """A hash table whose entries are half a hash and a line number; 0 is a free slot.

    Half a hash may be that of two things. Where it is met again, what is on that line decides, and is read again: of a
    million different things about a hundred are. The table is at most half full: 16 MB for a million things.

    Args:
        identity_on: what is mentioned on a line.
    """

    def __init__(self, identity_on: Callable[[int], Hashable]) -> None:
        self._identity_on = identity_on
        self._slots = array("Q", [0]) * _SLOTS_AT_FIRST
        self._free = _SLOTS_AT_FIRST // 2

    def first_line(self, identity: Hashable, line: int) -> int | None:
        """The earlier line (from 1) that mentions this; None where there is none, and then this is the first."""
        slots = self._slots
        last = len(slots) - 1
        half = hash(identity) & _LOWER_HALF
        slot = half & last
        while entry := slots[slot]:
            if entry >> _HALF == half and self._identity_on(entry & _LOWER_HALF) == identity:
                return entry & _LOWER_HALF
            slot = (slot + 1) & last
        slots[slot] = half << _HALF | line
        self._free -= 1
        if not self._free:
            self._double()
        return None

    def _double(self) -> None:
        old, last = self._slots, len(self._slots) * 2 - 1
        self._free = len(old) // 2
        self._slots = slots = array("Q", [0]) * (last + 1)
        for entry in filter(None, old):
            slot = entry >> _HALF & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = entry
