"""Mistakes made in the product, each of which has to be found: seven that the model of the protocol knows, and two of
the intake.
"""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from inventory_updater.dynamodb.batches import send
from inventory_updater.intake import bucket_files, withdrawing
from inventory_updater.intake.queue import Intake
from inventory_updater.stock import settling
from inventory_updater.stock.change_records import Status, read_record
from inventory_updater.stock.item_states import Decision, ItemState
from inventory_updater.stock.settling import Mark
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.protocol import Protocol

Mistake = Callable[[pytest.MonkeyPatch], None]


def records_read_before_the_item(patch: pytest.MonkeyPatch) -> None:
    """The records say less than the item that is read after them."""
    real = Protocol._planned  # noqa: SLF001  # what is to be broken
    first: dict[int, dict[Any, Any]] = {}

    def planned(protocol: Protocol, named: Any, *more: Any) -> Any:
        first[id(protocol)] = {key: list(protocol.changes.all_of(key)) for key in named}
        return real(protocol, named, *more)

    patch.setattr(Protocol, "_planned", planned)
    patch.setattr(Protocol, "_records", lambda protocol, _named, _report: first[id(protocol)])


def old_records_after_a_conflict(patch: pytest.MonkeyPatch) -> None:
    """The item is read again, its records are not."""
    real, real_settle = Protocol._records, Protocol.settle  # noqa: SLF001  # what is to be broken
    known: dict[int, dict[Any, Any]] = {}

    def settle(protocol: Protocol, *arguments: Any, **more: Any) -> Any:
        known[id(protocol)] = {}
        return real_settle(protocol, *arguments, **more)

    def records(protocol: Protocol, named: Any, report: Any) -> Any:
        found, read = real(protocol, named, report), known.setdefault(id(protocol), {})
        return {key: read.setdefault(key, found[key]) for key in found}

    patch.setattr(Protocol, "settle", settle)
    patch.setattr(Protocol, "_records", records)


def entries_dropped_early(patch: pytest.MonkeyPatch) -> None:
    """The item forgets what it has decided before the records say so."""
    patch.setattr(settling, "says", lambda _record, _decision: True)


def no_version_in_the_guard(patch: pytest.MonkeyPatch) -> None:
    """The write holds while the figures do, whatever has been decided since."""
    guard: Any = vars(ItemState)["guard"]
    patch.setattr(ItemState, "guard", property(lambda state: _without(guard.__get__(state), "version")))


def record_cancelled_before_the_item(patch: pytest.MonkeyPatch) -> None:
    """An operator writes the record, and the item has no say."""

    def cancel(protocol: Protocol, group: Any, now: str) -> Any:
        found = protocol.changes.stored([(key, change_id) for key, ids in group.items() for change_id in ids])
        for (key, _), attributes in found.items():
            record = read_record(attributes)
            if not record.status.is_final:
                mark = Mark(record, Decision(record.attempt, Status.CANCELLED, now))
                send(protocol.client, [protocol.changes.mark(key, mark, protocol.by)])
        return {name: read_record(each).status for name, each in protocol.changes.stored(found).items()}, {}

    patch.setattr(withdrawing, "_cancel", cancel)


def marks_without_status_or_attempt(patch: pytest.MonkeyPatch) -> None:
    """A record is marked whatever it says by now."""
    real = ChangeTable.mark

    def mark(*arguments: Any) -> Any:
        request = real(*arguments)
        text, _, conditions = request["Statement"].partition(' AND "status"')
        bound = f'"status"{conditions}'.count("?")
        return {**request, "Statement": text, "Parameters": request["Parameters"][: len(request["Parameters"]) - bound]}

    patch.setattr(ChangeTable, "mark", mark)


def retry_under_the_same_attempt(patch: pytest.MonkeyPatch) -> None:
    """What the item has decided about the attempt before is taken for the answer to this one."""
    real = ChangeTable._waits  # noqa: SLF001  # what is to be broken
    patch.setattr(
        ChangeTable, "_waits", staticmethod(lambda item, due_at, attempt: real(item, due_at, max(1, attempt - 1)))
    )


def part_noted_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    """The next call takes a part of a file for written that this one has only begun with."""
    real = bucket_files._Taking._kept  # noqa: SLF001  # what is to be broken

    def kept(taking: Any, what: str, number: int, work: Any) -> Any:
        def noted_first(number: int) -> Any:
            if what == "written":
                rows = sum(1 for _ in taking._part(number).rows())  # noqa: SLF001  # as above
                note = json.dumps({"added": rows}).encode()
                taking.door.bucket.put_file(taking._working_key(what, number), io.BytesIO(note), "")  # noqa: SLF001  # as above
            return work(number)

        return real(taking, what, number, noted_first)

    patch.setattr(bucket_files._Taking, "_kept", kept)  # noqa: SLF001  # as above


def failed_message_is_done(patch: pytest.MonkeyPatch) -> None:
    """Whatever the trouble with a message is, it does not come again."""
    real = Intake._is_done  # noqa: SLF001  # what is to be broken
    patch.setattr(Intake, "_is_done", lambda *arguments: real(*arguments) or True)


def _without(guard: Mapping[str, object], name: str) -> dict[str, object]:
    return {each: value for each, value in guard.items() if each != name}


MISTAKES: Final[dict[str, Mistake]] = {
    mistake.__name__: mistake
    for mistake in (
        records_read_before_the_item,
        old_records_after_a_conflict,
        entries_dropped_early,
        no_version_in_the_guard,
        record_cancelled_before_the_item,
        marks_without_status_or_attempt,
        retry_under_the_same_attempt,
        part_noted_before_it_is_written,
        failed_message_is_done,
    )
}
