"""How far the work has come, on standard error."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from cli.output import console_of

SECONDS_WITHOUT_PROGRESS: Final = 2.0


class _Clock(ProgressColumn):
    """The time since the beginning; rich's own clock stops when the first of several phases is complete."""

    def render(self, task: Task) -> Text:
        return Text(str(timedelta(seconds=int(task.elapsed or 0))))


class _Count(ProgressColumn):
    """How much is done of nobody knows how much."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f}" if task.completed else "")


@contextmanager
def progress(total: int | None = None) -> Iterator[Callable[[str, int], None]]:
    """Show how far the work has come, once it has taken two seconds.

    Yields the function to call: with what is being done, and how much of `total` is done.
    """
    console = console_of(is_error=True)
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    columns += [_Count()] if total is None else [BarColumn(), MofNCompleteColumn()]
    display = Progress(*columns, _Clock(), console=console, transient=True, disable=not console.is_terminal)
    task = display.add_task("working", total=total)
    timer = threading.Timer(SECONDS_WITHOUT_PROGRESS, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda phase, done: display.update(task, description=phase, completed=done)
    finally:
        timer.cancel()
        timer.join()
        display.stop()
