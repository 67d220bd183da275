"""Whose turn it is: processes that stop at every request, and go on when they are given a turn.

Each has a thread, but only one ever runs: a seed replays exactly. Whoever stops asks, in its own thread, whose turn is
next and wakes that one, so that a turn costs one change of threads, and none where the same one goes on; a scheduler
in a thread of its own would cost two. Threads are used again, by one process after the other.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
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
        return str(request["Statements"][0]["Statement"].split('"', 2)[1])
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
        self._thread = _IDLE.pop() if _IDLE else _Thread()
        self._thread.actor = self

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation.startswith("_"):
            raise AttributeError(operation)

        def request(**parameters: Any) -> Any:
            if self.is_dead:
                raise ProcessDied(self.name)
            self.stands_at = operation, table_of(parameters)
            self._thread.passes_on()
            try:
                return self._perform(self, operation, parameters)
            except ProcessDied:
                self.is_dead = True
                raise

        return request

    def goes_on(self, turns: "_Turns") -> None:
        """Let it send the request at which it stands, and run to its next one."""
        self._thread.turns = turns
        self._thread.its_turn.release()

    def runs(self) -> None:
        """Do the work, in its thread."""
        try:
            self.result = self._work(self)
        except ProcessDied:
            self.is_dead = True
        except Exception as error:  # noqa: BLE001  # looked at by the scheduler
            self.problem = error
        finally:
            self.is_done = True


def take_turns(order: Iterator[Actor]) -> None:
    """Give a turn to each actor that comes, until none comes; the next is asked for when the one before has stopped."""
    turns = _Turns(order)
    turns.pass_on()
    turns.wait()


class _Turns:
    """Hands the turn on, in the thread of whoever has had it."""

    def __init__(self, order: Iterator[Actor]) -> None:
        self._order = order
        self._given = 0
        self._problem: BaseException | None = None
        self._is_over = _taken_lock()

    def pass_on(self) -> None:
        try:
            following = next(self._order, None)
        except BaseException as problem:  # noqa: BLE001  # raised in the thread that waits for the end
            self._problem, following = problem, None
        if following is None:
            self._is_over.release()
        else:
            self._given += 1
            following.goes_on(self)

    def wait(self) -> None:
        given = -1
        while not self._is_over.acquire(timeout=_PATIENCE_SECONDS):
            assert given < self._given, "whose turn it is does not come back"
            given = self._given
        if self._problem is not None:
            raise self._problem


class _Thread(threading.Thread):
    """Runs one actor after the other, each from its first turn on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.its_turn = _taken_lock()
        self.actor: Actor
        self.turns: _Turns
        self.start()

    def passes_on(self) -> None:
        """Let others have their turns until it is this one's again."""
        self.turns.pass_on()
        self.its_turn.acquire()

    def run(self) -> None:
        self.its_turn.acquire()
        while True:
            self.actor.runs()
            del self.actor
            _IDLE.append(self)
            self.passes_on()


_IDLE: Final[list[_Thread]] = []
"""Threads whose actor has ended."""


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
