"""The product in a history: its own code, with nothing left to chance but what the seed decides, and watched.

Threads of its own would make a history one that cannot be replayed, so what it does side by side is done one after the
other; it is the actors that do things at the same time. Few shards and slices keep a history small.
"""

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from inventory_updater.dynamodb import concurrency, pacing
from inventory_updater.dynamodb.pacing import OutOfTimeError
from inventory_updater.intake import scheduling
from inventory_updater.jobs import closing, opening, pages, worker
from inventory_updater.stock import settling
from inventory_updater.stock.settling import Settled
from inventory_updater.tables import change_table, job_table, protocol
from inventory_updater.tables.job_table import LeaseLostError
from inventory_updater.tables.records import RUN, JobStatus
from tests.simulation import reads, sizes, storage, table

if TYPE_CHECKING:
    from tests.simulation.history import History

SHARDS: Final = ("00", "01")


class AtOnce:
    """An executor that does what it is given when it is given it."""

    def __init__(self, _workers: int) -> None:
        pass

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
            future.set_exception(error)
        return future

    def map(self, work: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterator[Any]:
        return iter([work(each) for each in inputs])

    def shutdown(self, *, cancel_futures: bool) -> None:
        pass


class _Listener(logging.Handler):
    """Counts what the product logs, and prints nothing of it."""

    def __init__(self, history: "History") -> None:
        super().__init__()
        self._history = history

    def emit(self, record: logging.LogRecord) -> None:
        self._history.reached[record.msg.partition(":")[0]] += 1


@contextmanager
def as_in(history: "History") -> Iterator[None]:
    """The product as a history plays it."""
    listener, log = _Listener(history), logging.getLogger("inventory_updater")
    propagates = log.propagate
    with pytest.MonkeyPatch.context() as patch:
        for module in (change_table, pages, opening, closing):
            patch.setattr(module, "SHARDS", SHARDS)
        patch.setattr(pages, "SLICES", len(SHARDS))
        patch.setattr(scheduling, "BATCH_LIMIT", 3)
        patch.setattr(pages, "_peak_memory_megabytes", lambda: 100.0)
        for module in (concurrency, opening, worker):
            patch.setattr(module, "ThreadPoolExecutor", AtOnce)
        patch.setattr(pacing, "random", SimpleNamespace(uniform=lambda _low, _high: 0.0))
        patch.setattr(job_table, "uuid4", lambda: SimpleNamespace(hex=history.token()))
        for measuring in (
            table,
            storage,
            reads,
            sizes,
        ):  # units, for which nobody asks, take a third of the time
            patch.setattr(measuring, "item_size", lambda _item: 0)
        patch.setattr(protocol, "settle", _watched_settle(history, settling.settle))
        patch.setattr(pages.Pages, "_settle", _watched_page(history, pages.Pages._settle))  # noqa: SLF001  # watched
        log.addHandler(listener)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(listener)
            log.propagate = propagates


@contextmanager
def many_histories() -> Iterator[None]:
    """Look for cycles seldom, and never among what was there before: it would take a third of the time."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _watched_settle(history: "History", real: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers which outcomes were planned, to see which of them came to nothing."""

    def settle(state: Any, *arguments: Any, **more: Any) -> Any:
        settled = real(state, *arguments, **more)
        if isinstance(settled, Settled):
            for change_id, decision in settled.decided.items():
                history.planned.add((state.key, change_id, decision.attempt, decision.outcome.value))
        return settled

    return settle


def _what_ended(history: "History", job_id: str, ending: Exception) -> str:
    """In words; a job whose lease another one has taken is told by its status first."""
    statuses = [job["status"] for job in history.stored(history.tables.jobs) if _is_run(job, job_id)]
    if isinstance(ending, OutOfTimeError):
        return "the time was up"
    was_lost = isinstance(ending, LeaseLostError) or statuses != [JobStatus.RUNNING]
    return "the lease was lost" if was_lost else "the job was asked to stop"


def _is_run(job: Mapping[str, object], job_id: str) -> bool:
    return job["job_id"] == job_id and job["record"] == RUN


def _watched_page(history: "History", real: Callable[..., Any]) -> Callable[..., Any]:
    """Sees what ends a page between two of its batches."""

    def settle(page: Any, due: Any, report: Any) -> Any:
        ending = real(page, due, report)
        if ending is not None and report.written:
            job_id = page._run.job_id  # noqa: SLF001  # watched
            history.reached[f"{_what_ended(history, job_id, ending)} between two batches"] += 1
        return ending

    return settle
