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
from typing import TYPE_CHECKING

from inventory_updater.dynamodb.batches import BATCH_LIMIT, Answer, Outcome, send
from inventory_updater.dynamodb.pacing import ROUND_LIMIT, Limits, OutOfTimeError, backoff, batched, patiently
from inventory_updater.dynamodb.statements import statement
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status
from inventory_updater.stock.item_states import ItemState, read_state
from inventory_updater.stock.items import InvalidItem, ItemKey
from inventory_updater.stock.settling import Mark, Moment, NeedsAllRecords, Settled, says, settle
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

Due = Mapping[ItemKey, Collection[str]]
"""The ids of what is due, by item; an item without any is only repaired."""


@dataclass(slots=True)
class Report:
    """What became of the changes, and what it took; filled in while it happens, so that it holds where that ends early.

    Attributes:
        written: the items that were written, each once.
        marked: what this call let the records say: each decision once, whoever took it.
        failures: the items that are gone, or that the tables refused or a record of them, with a code and a message.
        invalid: the items that cannot be read as stock items, likewise.
        negative: the items in which another writer left a negative figure.
        is_exact: whether every answer came: a mark that was sent again may have been made the first time.
    """

    written: set[ItemKey] = field(default_factory=set)
    marked: list[tuple[ItemKey, Mark]] = field(default_factory=list)
    failures: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    invalid: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    negative: set[ItemKey] = field(default_factory=set)
    is_exact: bool = True
    conflicts: int = 0
    throttles: int = 0
    read_units: float = 0.0
    write_units: float = 0.0

    def spend(self, read_units: float) -> None:
        self.read_units += read_units


@dataclass(frozen=True, slots=True)
class Protocol:
    """The two tables of one environment, and who settles: ``by`` is what the records say of that."""

    client: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    by: Mapping[str, str]
    batch_size: int = BATCH_LIMIT

    def settle(
        self,
        due: Due,
        moment: Moment,
        limits: Limits,
        *,
        cancelled: Due | None = None,
        report: Report | None = None,
    ) -> Report:
        """Settle what is due of these items, each by itself, until it is decided and the records say so.

        What the tables refuse for too long stays as it is: the item, or the record of an item that has decided. The
        next call goes on from there.

        Args:
            due: at most 100 items.
            moment: when.
            limits: time, pace and permission to write; asked before every batch.
            cancelled: what is not wanted any more, whether it is due or not.
            report: what to fill in; where this raises, it tells what had been written by then.

        Raises:
            OutOfTimeError: where the pace leaves no time for these items.
            botocore.exceptions.ClientError: where AWS refuses a request for good.
        """
        report = Report() if report is None else report
        withdrawn = cancelled or {}
        waiting = {key: {*due.get(key, ()), *withdrawn.get(key, ())} for key in (*due, *withdrawn)}
        refused: dict[ItemKey, Answer] = {}
        rounds_in_vain = 0
        for _ in range(ROUND_LIMIT):
            planned = patiently(partial(self._planned, waiting, withdrawn, moment, report), limits)
            # Whether it was this call that wrote an item of which no answer came, nobody knows.
            report.is_exact &= all(planned[key].write for key in refused.keys() & planned.keys())
            refused = self._write(planned, limits, report)
            unfinished = {key for key, settled in planned.items() if not settled.is_finished}
            still = unfinished - report.failures.keys() | refused.keys()
            waiting = {key: ids for key, ids in waiting.items() if key in still}
            if not waiting:
                return report
            is_busy = any(answer.outcome is Outcome.LATER for answer in refused.values())
            rounds_in_vain = rounds_in_vain + 1 if len(refused) == len(planned) else 0
            delay = backoff(rounds_in_vain) if is_busy else 0.0
            if not limits.may_retry_after(delay):
                break
            if delay:
                limits.sleep(delay)
        report.failures |= {key: (refused[key].code, refused[key].message) for key in waiting if key in refused}
        if not refused.keys() >= waiting.keys():
            raise OutOfTimeError("the time was up in the midst of an item's changes")
        return report

    def _planned(self, named: Due, cancelled: Due, moment: Moment, report: Report) -> dict[ItemKey, Settled]:
        """Read the items and then their records, and settle each; one that cannot be is a failure of its own."""
        states: dict[ItemKey, ItemState] = {}
        items = self.inventory.read_many(named, report.spend)
        for key in named:
            if key not in items:
                report.failures[key] = ("UNKNOWN_ITEM", f"there is no item {key}")
                continue
            state = read_state(items[key])
            if isinstance(state, InvalidItem):
                report.invalid[key] = (state.code, state.message)
            else:
                states[key] = state
        records = self._records({key: {*named[key], *state.decided} for key, state in states.items()}, report)
        planned: dict[ItemKey, Settled] = {}
        for key, state in states.items():
            unwanted = cancelled.get(key, ())
            # What says what was decided, and waits again, has its turn: what comes before may be due in a later page.
            found = [
                each
                for each in records.get(key, ())
                if each.change_id in named[key] or not says(each, state.decided[each.change_id])
            ]
            settled = settle(state, found, moment, cancelled=unwanted)
            if isinstance(settled, NeedsAllRecords):
                settled = settle(
                    state, self.changes.all_that_count(key, report.spend), moment, are_all=True, cancelled=unwanted
                )
            if isinstance(settled, Settled):
                planned[key] = settled
            elif isinstance(settled, InvalidItem):
                report.invalid[key] = (settled.code, settled.message)
            if state.is_negative(may_be=moment.allow_negative_stock):
                report.negative.add(key)
        return planned

    def _records(self, named: Due, report: Report) -> dict[ItemKey, list[ChangeRecord]]:
        names = [(key, change_id) for key, ids in named.items() for change_id in sorted(ids)]
        return self.changes.read(names, report.spend)

    def _write(self, planned: Mapping[ItemKey, Settled], limits: Limits, report: Report) -> dict[ItemKey, Answer]:
        """Write the items and then mark their records; returns those to begin again with, from what is true then."""
        again: dict[ItemKey, Answer] = {}
        decided = [settled for settled in planned.values() if settled.write is None]
        to_write = [settled for settled in planned.values() if settled.write is not None]
        try:
            for batch in batched(to_write, self.batch_size):
                limits.permit(len(batch))
                statements = [statement(self.inventory.name, settled.write) for settled in batch if settled.write]
                for settled, answer in zip(batch, self._sent(statements, report), strict=True):
                    match answer.outcome:
                        case Outcome.DONE:
                            report.written.add(settled.key)
                            decided.append(settled)
                        case Outcome.REFUSED:
                            report.failures[settled.key] = (answer.code, answer.message)
                        case _:
                            report.conflicts += answer.outcome is Outcome.CONFLICT
                            again[settled.key] = answer
        finally:
            # What is written has happened, whatever stops this call: its records say so as soon as they can.
            self._mark([(settled.key, mark) for settled in decided for mark in settled.marks], limits, report)
        return again

    def _mark(self, waiting: Sequence[tuple[ItemKey, Mark]], limits: Limits, report: Report) -> None:
        """Let the records say what their items have decided; who else does so at the same time is as welcome."""
        rounds_in_vain = 0
        for _ in range(ROUND_LIMIT):
            later: dict[ItemKey, Answer] = {}
            unmarked: list[tuple[ItemKey, Mark]] = []
            for batch in batched(waiting, self.batch_size):
                answers = self._sent([self.changes.mark(key, mark, self.by) for key, mark in batch], report)
                for named, answer in zip(batch, answers, strict=True):
                    match answer.outcome:
                        case Outcome.DONE:
                            report.marked.append(named)
                        case Outcome.LATER:
                            unmarked.append(named)
                            later[named[0]] = answer
                        case Outcome.REFUSED:
                            # This time; nobody knows of an earlier one whose answer was lost.
                            report.failures[named[0]] = (answer.code, answer.message)
                            report.is_exact = False
                        case _:
                            # Said already, by somebody else or by this call without hearing of it: only the tally asks.
                            report.is_exact &= self._is_said_by_another(named[1], answer.item or {})
            # A partition that takes some takes the rest soon.
            rounds_in_vain = rounds_in_vain + 1 if len(unmarked) == len(waiting) else 0
            waiting = unmarked
            delay = backoff(rounds_in_vain)
            if not waiting or not limits.may_retry_after(delay):
                break
            limits.sleep(delay)
        report.is_exact &= not waiting
        report.failures |= {key: (answer.code, answer.message) for key, answer in later.items()}

    def _is_said_by_another(self, mark: Mark, record: Attributes) -> bool:
        """Whether a record says what it was to say, and not by this job; one that has gone on since tells nothing."""
        decision = mark.decision
        attempt = decision.attempt + (decision.outcome is Status.OPEN)
        is_said = (record.get("status"), record.get("attempt", 1)) == (decision.outcome.value, attempt)
        return is_said and not self.by.items() <= record.items()

    def _sent(self, statements: "Sequence[BatchStatementRequestTypeDef]", report: Report) -> list[Answer]:
        answers, units = send(self.client, statements)
        report.write_units += units
        report.throttles += sum(answer.outcome is Outcome.LATER for answer in answers)
        return answers
