"""The item decides, the record follows: each change of an item takes effect once, whoever dies or answers twice.

::

    1 read the items, then the records ──▶ 2 settle (pure) ──▶ 3 write the items ──▶ 4 mark the records
         ▲                                                        │       │
         └────── a condition failed, or nobody knows what landed ─┘       └ this is the moment at which it happened

A worker that dies between 3 and 4 leaves an item that says what became of its changes: the next one only marks. A lost
answer looks the same, so nothing has to recognise its own writes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from inventory_updater.dynamodb.batches import Answer, Outcome, send
from inventory_updater.dynamodb.pacing import ROUND_LIMIT, Limits, backoff, batched, patiently
from inventory_updater.dynamodb.statements import statement
from inventory_updater.stock.change_records import ChangeRecord
from inventory_updater.stock.item_states import Decision, ItemState, read_state
from inventory_updater.stock.items import InvalidItem, ItemKey
from inventory_updater.stock.settling import Moment, NeedsAllRecords, Settled, settle
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import BATCH_LIMIT, InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

READ_LIMIT: Final = 100
"""How many keys AWS reads in one request."""

Due = Mapping[ItemKey, Collection[str]]
"""The ids of what is due, by item; an item without any is only repaired."""


@dataclass(slots=True)
class Report:
    """What became of the changes, and what it took.

    Attributes:
        marked: what this call let the records say: each decision once, whoever took it.
        failures: the items that could not be settled, each with a code and a message.
    """

    marked: list[tuple[ItemKey, str, Decision]] = field(default_factory=list)
    failures: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    items_written: int = 0
    conflicts: int = 0
    throttles: int = 0
    write_units: float = 0.0


def settle_items(
    client: "DynamoDBClient",
    inventory: InventoryTable,
    changes: ChangeTable,
    due: Due,
    moment: Moment,
    limits: Limits,
) -> Report:
    """Settle what is due of at most 100 items, each by itself, until it is decided and the records say so.

    What the tables refuse for too long stays as it is: the item, or the record of an item that has decided. The next
    call goes on from there.

    Raises:
        OutOfTimeError: where the pace leaves no time for these items.
        botocore.exceptions.ClientError: where AWS refuses a request for good.
    """
    report = Report()
    waiting: dict[ItemKey, Collection[str]] = dict(due)
    for round_number in range(ROUND_LIMIT):
        if not waiting:
            break
        limits.check()
        planned = patiently(partial(_planned, inventory, changes, waiting, moment, report), limits)
        limits.pace.wait(len(planned), limits.seconds_left())
        again = _write(client, inventory, planned, report)
        decided = {key: settled for key, settled in planned.items() if key not in again and key not in report.failures}
        _mark(client, changes, decided, limits, report)
        again |= {key: ("", "") for key, settled in decided.items() if not settled.is_finished}
        waiting = {key: waiting[key] for key in again}
        refused = {key: said for key, said in again.items() if said[0]}
        delay = backoff(round_number) if refused else 0.0
        if waiting and not limits.may_retry_after(delay):
            report.failures |= refused
            break
        if delay:
            limits.sleep(delay)
    return report


def _planned(
    inventory: InventoryTable, changes: ChangeTable, due: Due, moment: Moment, report: Report
) -> dict[ItemKey, Settled]:
    """Read the items and then their records, and settle each; one that cannot be is a failure of its own."""
    states: dict[ItemKey, ItemState] = {}
    items = inventory.read_many(due)
    for key in due:
        state = read_state(items[key]) if key in items else InvalidItem(key, "UNKNOWN_ITEM", f"there is no item {key}")
        if isinstance(state, InvalidItem):
            report.failures[key] = (state.code, state.message)
        else:
            states[key] = state
    records = _records(changes, {key: {*due[key], *state.decided} for key, state in states.items()})
    planned: dict[ItemKey, Settled] = {}
    for key, state in states.items():
        settled = settle(state, records.get(key, []), moment)
        if isinstance(settled, NeedsAllRecords):
            settled = settle(state, changes.all_of(key), moment, are_all=True)
        if isinstance(settled, Settled):
            planned[key] = settled
        elif isinstance(settled, InvalidItem):
            report.failures[key] = (settled.code, settled.message)
    return planned


def _records(changes: ChangeTable, named: Due) -> dict[ItemKey, list[ChangeRecord]]:
    names = [(key, change_id) for key, ids in named.items() for change_id in sorted(ids)]
    found: dict[ItemKey, list[ChangeRecord]] = {}
    for batch in batched(names, READ_LIMIT):
        for key, records in changes.read(batch).items():
            found.setdefault(key, []).extend(records)
    return found


def _write(
    client: "DynamoDBClient", inventory: InventoryTable, planned: Mapping[ItemKey, Settled], report: Report
) -> dict[ItemKey, tuple[str, str]]:
    """Write the items; returns those to begin again with, and why: from what is true then, never from what was sent."""
    writes = {key: settled.write for key, settled in planned.items() if settled.write is not None}
    answers = _sent(client, [statement(inventory.name, write) for write in writes.values()], report)
    again: dict[ItemKey, tuple[str, str]] = {}
    for key, answer in zip(writes, answers, strict=True):
        match answer.outcome:
            case Outcome.DONE:
                report.items_written += 1
            case Outcome.CONFLICT:
                report.conflicts += 1
                again[key] = ("", "")
            case Outcome.LATER:
                again[key] = (answer.code, answer.message)
            case Outcome.REFUSED:
                report.failures[key] = (answer.code, answer.message)
    return again


def _mark(
    client: "DynamoDBClient", changes: ChangeTable, decided: Mapping[ItemKey, Settled], limits: Limits, report: Report
) -> None:
    """Let the records say what their items have decided; who else does so at the same time is as welcome."""
    waiting = [(key, mark) for key, settled in decided.items() for mark in settled.marks]
    for round_number in range(ROUND_LIMIT):
        answers = _sent(client, [changes.mark(key, mark) for key, mark in waiting], report)
        outcomes = list(zip(waiting, answers, strict=True))
        report.marked += [
            (key, mark.record.change_id, mark.decision)
            for (key, mark), answer in outcomes
            if answer.outcome is Outcome.DONE
        ]
        waiting = [each for each, answer in outcomes if answer.outcome is Outcome.LATER]
        delay = backoff(round_number)
        if not waiting or not limits.may_retry_after(delay):
            return
        limits.sleep(delay)


def _sent(
    client: "DynamoDBClient", statements: "Sequence[BatchStatementRequestTypeDef]", report: Report
) -> list[Answer]:
    found: list[Answer] = []
    for batch in batched(statements, BATCH_LIMIT):
        answers, units = send(client, batch)
        found += answers
        report.write_units += units
    report.throttles += sum(answer.outcome is Outcome.LATER for answer in found)
    return found
