"""Whose turn it is: processes that stop at every request, and go on when the scheduler lets them.

Each has a thread, but only one ever runs: a seed replays exactly.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.simulation.faults import ProcessDied
from tests.simulation.rejections import Exceptions

_PATIENCE_SECONDS: Final = 30.0

Perform = Callable[["Actor", str, dict[str, Any]], Any]
"""Does a request for an actor, whatever may happen to it."""


def table_of(request: Mapping[str, Any]) -> str:
    """The table that a request is about, or the first of them."""
    if "RequestItems" in request:
        return str(next(iter(request["RequestItems"])))
    if "Statements" in request:
        return str(request["Statements"][0]["Statement"].split('"')[1])
    return str(request.get("TableName", ""))


class Actor:
    """A process that does ``work`` with a client of its own, one request a turn.

    One that has died stays dead: what its ``finally`` clauses ask for has no effect.

    Attributes:
        result: what ``work`` returned; ``problem``: what it raised.
        stands_at: the operation that it is about to ask for, and of which table.
    """

    exceptions = Exceptions

    def __init__(self, name: str, perform: Perform, work: Callable[["Actor"], object]) -> None:
        self.name = name
        self.is_done = False
        self.is_dead = False
        self.result: Any = None
        self.problem: Exception | None = None
        self.stands_at: tuple[str, str] = ("", "")
        self._perform = perform
        self._work = work
        self._its_turn, self._back = threading.Lock(), threading.Lock()
        self._its_turn.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)

        def request(**parameters: Any) -> Any:
            if not self.is_dead:
                self.stands_at = operation, table_of(parameters)
                self._back.release()
                assert self._its_turn.acquire(timeout=_PATIENCE_SECONDS), f"{self.name} waits for a turn in vain"
            if self.is_dead:
                raise ProcessDied(self.name)
            try:
                return self._perform(self, operation, parameters)
            except ProcessDied:
                self.is_dead = True
                raise

        return request

    def go_on(self) -> None:
        """Let it send the request at which it stands, and run to its next one."""
        self._its_turn.release()
        assert self._back.acquire(timeout=_PATIENCE_SECONDS), f"{self.name} does not come back"

    def die(self) -> None:
        """Let it die where it stands."""
        self.is_dead = True
        self.go_on()

    def _run(self) -> None:
        self._its_turn.acquire()
        try:
            if not self.is_dead:
                self.result = self._work(self)
        except ProcessDied:
            self.is_dead = True
        except Exception as error:  # noqa: BLE001  # looked at in the scheduler's thread
            self.problem = error
        finally:
            self.is_done = True
            self._back.release()
