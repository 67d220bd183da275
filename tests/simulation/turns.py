"""Whose turn it is: actors that stop at every request, and a seeded scheduler that lets one of them go on.

Each actor has a thread, but only one ever runs: a seed replays exactly.
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.simulation.faults import ProcessDied
from tests.simulation.table import SimulatedDynamoDB

_PATIENCE_SECONDS: Final = 30.0


class Actor:
    """Runs `work` with a client of its own, one request a turn."""

    def __init__(self, name: str, dynamodb: SimulatedDynamoDB, work: Callable[[Any], object]) -> None:
        self.name = name
        self.is_done = False
        self.problem: Exception | None = None
        self._dynamodb = dynamodb
        self._work = work
        self._its_turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def request(**parameters: Any) -> Any:
            self._back.release()
            assert self._its_turn.acquire(timeout=_PATIENCE_SECONDS), f"{self.name} waits for a turn in vain"
            return getattr(self._dynamodb, operation)(**parameters)

        return request

    def go_on(self) -> None:
        """Let it send the request at which it stands, and run to its next one."""
        self._its_turn.release()
        assert self._back.acquire(timeout=_PATIENCE_SECONDS), f"{self.name} does not come back"

    def _run(self) -> None:
        self._its_turn.acquire()
        try:
            self._work(self)
        except ProcessDied:
            pass
        except Exception as error:  # noqa: BLE001  # told in the thread of the test
            self.problem = error
        finally:
            self.is_done = True
            self._back.release()


def play(chance: random.Random, actors: Mapping[str, Actor], *, between: Callable[[], None] = lambda: None) -> None:
    """Give turns until all have ended; one of them is slow, so that much happens while it stands at a request.

    Raises what an actor has raised.
    """
    alive = dict(actors)
    slow = chance.choice(sorted(actors))
    while alive:
        name = chance.choice(sorted(alive))
        if name == slow and len(alive) > 1 and chance.random() < 0.9:
            continue
        alive[name].go_on()
        problem = alive[name].problem
        if problem is not None:
            raise problem
        if alive[name].is_done:
            del alive[name]
        between()
