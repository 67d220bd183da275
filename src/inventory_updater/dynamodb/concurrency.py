"""Several requests on their way at once, by a few threads, and never more of their answers in memory than that."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

IN_FLIGHT: Final = 8
"""How many requests are on their way at once; a client keeps ten connections, unless it is told otherwise."""

InT = TypeVar("InT")
OutT = TypeVar("OutT")


def side_by_side(work: Callable[[InT], OutT], inputs: Iterable[InT], in_flight: int = IN_FLIGHT) -> Iterator[OutT]:
    """What ``work`` makes of each of ``inputs``, in their order; ``inputs`` are taken as threads become free.

    What one of them raises is raised in its turn; what has begun by then is finished, the rest is not begun.
    """
    running: deque[Future[OutT]] = deque()
    pool = ThreadPoolExecutor(in_flight)
    try:
        for each in inputs:
            running.append(pool.submit(work, each))
            if len(running) == 2 * in_flight:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
