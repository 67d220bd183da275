"""Waiting for a condition: no test waits for a time."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], object], what: str, *, seconds: float = 240.0, pause_seconds: float = 0.5) -> None:
    """Return once `is_so()` is true; the test fails with `what` where that is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(pause_seconds)
