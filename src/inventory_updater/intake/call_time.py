"""The time of one call of the function, which has to do for many pieces of work: one that it is too short for waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class GoesOnLaterError(Exception):
    """The time of this call is too short for the next piece of work; what is done so far is kept."""


@dataclass(slots=True)
class CallTime:
    """What is left of a call.

    The first piece of a call is always begun: a call that does nothing but leave its work to the next would go on so
    for ever.
    """

    seconds_left: Callable[[], float]
    _has_done_any: bool = False

    @contextmanager
    def piece(self, seconds: float) -> Iterator[None]:
        """A piece of work that may take so long.

        Raises:
            GoesOnLaterError: before it is begun, where there is not that much time left.
        """
        if self._has_done_any and self.seconds_left() < seconds:
            raise GoesOnLaterError
        try:
            yield
        finally:  # what failed has used up time, too
            self._has_done_any = True
