"""Who meets in a history: state machines that run jobs, doors, suppliers, operators and other writers."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.intake.withdrawing import cancel_changes, dismiss_changes, retry_changes
from inventory_updater.jobs.closing import abandon_job, close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.worker import update_segment
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.protocol import Protocol
from tests.simulation.content import Member, Row
from tests.simulation.turns import Actor

if TYPE_CHECKING:
    from tests.simulation.history import History

_TRIES: Final = 3
_CALLS: Final = 12
_WAITS: Final = 6


class StateMachine:
    """An execution: opens a job, updates its segments side by side, closes it; each call is a process of its own."""

    def __init__(self, history: "History", name: str, scope: Any) -> None:
        self._history = history
        self._name = name
        now = history.now()
        self._request = JobRequest(name, now, scope, now)
        self._left: set[int] = set()
        self._waits = _WAITS
        self.is_stopped = False
        self._open()

    def _call(self, step: str, work: Callable[[Actor], Any], then: Callable[[Actor], None]) -> None:
        if self.is_stopped:
            return
        self._history.spawn(f"{self._name} {step}", work, then)
        if self._history.happens(f"{self._name} {step} doubled", 0.3):
            self._history.spawn(f"{self._name} {step} doubled", work)

    def _open(self, tries: int = _TRIES) -> None:
        def then(call: Actor) -> None:
            if not call.result:
                self._open(tries - 1) if tries > 1 else self._close()
            elif call.result["outcome"] == "WAIT":
                self._waits -= 1
                if self._waits:
                    self._history.later(self._open)
            elif call.result["outcome"] == "OPENED":
                self._left = set(call.result["segments"])
                for number in sorted(self._left):
                    self._update(number)
                if not self._left:
                    self._close()

        self._call("open", self._with_time(lambda services, left: open_job(services, self._request, left)), then)

    def _update(self, number: int, tries: int = _TRIES, calls: int = _CALLS) -> None:
        def then(call: Actor) -> None:
            has_failed = call.is_dead or call.problem is not None
            if has_failed and tries > 1:
                self._update(number, tries - 1, calls - 1)
            elif not has_failed and not call.result and calls > 1:
                self._update(number, _TRIES, calls - 1)
            else:
                self._left.discard(number)
                if not self._left:
                    self._close()

        job_id = self._name
        self._call(
            f"update {number}",
            self._with_time(lambda services, left: update_segment(services, job_id, number, left)),
            then,
        )

    def _close(self, tries: int = _TRIES) -> None:
        def then(call: Actor) -> None:
            if (call.is_dead or call.problem) and tries > 1:
                self._close(tries - 1)

        self._call("close", self._with_time(lambda services, left: close_job(services, self._request, "", left)), then)

    def _with_time(self, work: Callable[[Any, Callable[[], float]], Any]) -> Callable[[Actor], Any]:
        history = self._history
        seconds = history.chance.choice((900.0, 900.0, history.chance.uniform(0.5, 4.0)))
        return lambda client: work(history.services(client), history.clock.countdown(seconds))


def begin(history: "History", member: Member) -> None:
    """Let somebody begin."""
    kind = member.name.partition("-")[0]
    if kind == "job":
        history.machines[member.name] = StateMachine(history, member.name, member.with_)
        return
    if kind == "supplier":
        history.deliveries.supply(member.name, member.with_)
        return
    work = _WORK[kind]
    history.spawn(member.name, lambda client: work(history, client, member))


def _persistently(work: Callable[[], object]) -> None:
    """Whoever it is tries again, and takes a refusal for an answer."""
    for _ in range(_TRIES):
        try:
            work()
        except RefusedError:
            raise
        except Exception:  # noqa: BLE001  # whatever it was, the same again completes it
            continue
        return


def _schedule(history: "History", client: Actor, member: Member) -> None:
    """A door that takes a file of changes."""
    services = history.services(client)

    def send() -> None:
        rows: tuple[Row, ...] = member.with_
        schedule_changes(
            services.dynamodb,
            services.inventory,
            services.changes,
            lambda: rows,
            history.now(),
            actor=member.name,
            source="file.csv",
        )
        history.scheduled.update((row.key, row.change.change_id) for row in rows)

    _persistently(send)


def _schedule_again(history: "History", client: Actor, member: Member) -> None:
    """Somebody sends each change of the day before again, by itself; what may have been forgotten is refused."""
    for row in member.with_:
        try:
            _schedule(history, client, Member(member.name, 0, (row,)))
        except RefusedError as error:
            for refusal in error.refusals:
                history.reached[f"refused: {refusal.code}"] += 1


def _cancel(history: "History", client: Actor, member: Member) -> None:
    services = history.services(client)
    cancelling = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": member.name})
    for row in member.with_:

        def cancel(row: Row = row) -> None:
            for outcome in cancel_changes(cancelling, [((row.key, row.change.change_id), None)], history.now):
                if outcome.is_cancelled:
                    history.told_cancelled.add(outcome.name)
                if outcome.is_unfinished:
                    raise UnfinishedError

        _persistently(cancel)


def _retry(history: "History", client: Actor, member: Member) -> None:
    services = history.services(client)
    key: ItemKey = member.with_

    def retry() -> None:
        rejected = [each.change_id for each in services.changes.all_of(key) if each.status is Status.REJECTED]
        retry_changes(services.dynamodb, services.changes, {key: rejected}, history.now())

    for _ in range(_TRIES):
        with suppress(RefusedError):
            _persistently(retry)


def _dismiss(history: "History", client: Actor, member: Member) -> None:
    services = history.services(client)
    key: ItemKey = member.with_

    def dismiss() -> None:
        rejected = [each.change_id for each in services.changes.all_of(key) if each.status is Status.REJECTED]
        dismiss_changes(services.dynamodb, services.changes, {key: rejected}, history.now(), actor=member.name)

    _persistently(dismiss)


def _stop(history: "History", client: Actor, member: Member) -> None:
    """Stop a job: as `make stop` does, or by asking its workers."""
    services = history.services(client)
    job_id: str = member.with_
    if history.happens(f"{job_id} is asked to stop", 0.5):
        services.jobs.request_stop(job_id, "asked to")
        return
    if job_id in history.machines:
        history.machines[job_id].is_stopped = True
    services.jobs.request_stop(job_id, "stopped")
    abandoned = abandon_job(services, job_id, "stopped")
    services.jobs.free_lease(job_id, is_owed=abandoned is not None and abandoned.was_stopped)


def _check_out(history: "History", client: Actor, member: Member) -> None:
    """A checkout that knows nothing of versions: it reserves, and then sells."""
    for sets in ("reserved = if_not_exists(reserved, :zero) + :one", "on_hand = on_hand - :one") * 2:
        with suppress(Exception):  # whether it landed is in the log
            client.update_item(
                TableName=history.tables.inventory,
                Key=to_attribute_values(member.with_._asdict()),
                UpdateExpression=f"SET {sets}",
                ConditionExpression="on_hand > :zero",
                ExpressionAttributeValues=to_attribute_values({":one": 1, ":zero": 0}),
            )


def _delete(history: "History", client: Actor, member: Member) -> None:
    """Somebody deletes an item, and may put another one in its place."""
    key, comes_back = member.with_
    client.delete_item(TableName=history.tables.inventory, Key=to_attribute_values(key._asdict()))
    if comes_back:
        item = {**key._asdict(), "on_hand": 20, "unit_price": 9, "updated_at": format_time(history.clock())}
        client.put_item(TableName=history.tables.inventory, Item=to_attribute_values(item))


_WORK: Final[dict[str, Callable[["History", Actor, Member], None]]] = {
    "door": _schedule,
    "again": _schedule_again,
    "canceller": _cancel,
    "retrier": _retry,
    "dismisser": _dismiss,
    "stopper": _stop,
    "checkout": _check_out,
    "deleter": _delete,
}
