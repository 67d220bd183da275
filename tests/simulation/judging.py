"""Whether a history ended right: every invariant of the protocol, from the log of the writes that landed."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.intake.scheduling import origin_of
from inventory_updater.stock.items import ItemKey, item_id, read_key
from inventory_updater.tables.records import Run, read_run
from tests.simulation.history import History
from tests.simulation.stock_model import ItemModel, as_it_is
from tests.simulation.storage import Landed

FINAL: Final = frozenset({"APPLIED", "SUPERSEDED", "REJECTED", "CANCELLED"})
_TALLIED: Final = {
    "APPLIED": "changes_applied",
    "OPEN": "changes_opened",
    "REJECTED": "changes_rejected",
    "SUPERSEDED": "changes_superseded",
}

Attributes = Mapping[str, Any]
Name = tuple[str, str]
"""An item's and a change's."""


@dataclass(frozen=True, slots=True)
class _Decided:
    outcome: str
    by: str
    entry: Attributes


@dataclass
class Story:
    """What the log says, write by write; ``wrong`` is what must not be."""

    history: History
    wrong: list[str] = field(default_factory=list)
    turns_until_wrong: int = 0
    """How many turns it took until something was wrong; 0 where only the end is."""
    reached: Counter[str] = field(default_factory=Counter)
    items: dict[str, Attributes] = field(default_factory=dict)
    models: dict[str, ItemModel] = field(default_factory=dict)
    lives: Counter[str] = field(default_factory=Counter)
    """How often each item was put there."""
    records: dict[Name, Attributes] = field(default_factory=dict)
    decided: dict[tuple[str, int, str, Decimal], _Decided] = field(default_factory=dict)
    """By item, life, change and attempt."""
    requeued: set[tuple[Name, Decimal]] = field(default_factory=set)
    marked: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What each job let the records say."""

    # Items

    def item_written(self, who: str, write: Landed) -> None:
        item = item_id(read_key(plain(write.key)))
        # What the write before left is what this one found.
        before, after = self.items.get(item, {}), plain(write.after)
        if not after:
            self.items.pop(item, None)
            self.reached["an item was deleted"] += 1
        elif not before:
            self.items[item] = after
            self.lives[item] += 1
            self.models[item] = ItemModel(after)
        elif write.operation == "batch_execute_statement":
            self._item_decided(who, item, before, after)
        else:
            self.items[item] = after
            model = self.models[item]
            if before["on_hand"] != after["on_hand"]:
                model.deltas.append(after["on_hand"] - before["on_hand"])
            model.reserved += after.get("reserved", Decimal(0)) - before.get("reserved", Decimal(0))

    def _item_decided(self, who: str, item: str, before: Attributes, after: Attributes) -> None:
        self.items[item] = after
        had, has = before.get("decided", {}), after.get("decided", {})
        if after["version"] != before.get("version", Decimal(0)) + 1:
            self.wrong.append(f"{item}: {who} wrote version {after['version']} after {before.get('version')}")
        for change_id, entry in has.items():
            if change_id in had and had[change_id]["attempt"] == entry["attempt"]:
                if had[change_id] != entry:
                    self.wrong.append(f"{item}: {who} changed what was decided about {change_id}")
                continue
            self._decide(who, item, change_id, entry)
        for change_id, entry in had.items():
            record = self.records.get((item, change_id))
            if change_id not in has and record and not _says(record, entry):
                self.wrong.append(f"{item}: {who} dropped {change_id}, whose record is still {record['status']}")
        must_be, is_now = self.models[item].figures(), as_it_is(after)
        differs = [
            f"{name} is {is_now[name]}, not {must_be[name]}" for name in must_be if is_now[name] != must_be[name]
        ]
        if differs:
            self.wrong.append(f"{item}: after {who}: {', '.join(differs)}")

    def _decide(self, who: str, item: str, change_id: str, entry: Attributes) -> None:
        name = (item, self.lives[item], change_id, entry["attempt"])
        record, outcome = self.records.get((item, change_id)), str(entry["outcome"])
        if name in self.decided:
            self.wrong.append(f"{item}: {who} decided {change_id} again, attempt {entry['attempt']}: {outcome}")
        if record is None:
            self.wrong.append(f"{item}: {who} decided {change_id}, of which there is no record")
            return
        self.decided[name] = _Decided(outcome, who, entry)
        self._note_what_was_reached(item, record, entry)
        self.models[item].decide(record, outcome)
        code = entry.get("code")
        if code == "INSUFFICIENT_STOCK" and entry["before"] + _booked(record) >= 0:
            self.wrong.append(f"{item}: {change_id} was rejected, but there was stock")
        if code == "EXPIRED" and entry["settled_at"] <= record["not_after"]:
            self.wrong.append(f"{item}: {change_id} has expired too early")
        if code == "MISSED" and entry["settled_at"] < record["until"]:
            self.wrong.append(f"{item}: {change_id} was missed before it had ended")

    def _note_what_was_reached(self, item: str, record: Attributes, entry: Attributes) -> None:
        outcome, model = entry["outcome"], self.models[item]
        self.reached[f"decided {entry.get('code', outcome)}"] += 1
        if outcome == "APPLIED" and record["kind"] == "count" and "expected" not in record:
            later = [at for at, _ in model.bookings if at > record["effective_at"]]
            self.reached["a late count met later adjustments"] += bool(later)
        if outcome == "CANCELLED":
            self.reached["an open window was cancelled"] += record["status"] == "OPEN"
            self.reached["a change was cancelled before it was due"] += entry["settled_at"] < record["effective_at"]
        if outcome == "OPEN":
            self.reached["two windows were open"] += any(
                kind == record["kind"] for kind, _, _ in model.windows.values()
            )
        if outcome == "APPLIED" and any(kind == record["kind"] for kind, _, _ in model.windows.values()):
            self.reached["a base was set under a window"] += "until" not in record

    # Records

    def record_written(self, who: str, write: Landed) -> None:
        key = plain(write.key)
        name = (str(key["item"]), str(key["change_id"]))
        before, after = self.records.get(name, {}), plain(write.after)
        if not after:
            self.records.pop(name, None)
            if before["status"] not in FINAL:
                self.wrong.append(f"the record of {name} was deleted while it was {before['status']}")
            return
        self.records[name] = after
        if not before:
            return
        if _without_waiting(before) == _without_waiting(after):
            return  # dismissed, or the very same again
        if after["status"] == "PENDING":
            if before["status"] != "REJECTED" or after["attempt"] <= before["attempt"]:
                self.wrong.append(f"{name}: {who} put it back, {_said(before)} -> {_said(after)}")
            self.requeued.add((name, after["attempt"]))
            self.reached["a rejected change was retried"] += 1
            return
        self._marked(who, name, before, after, write.operation)

    def _marked(self, who: str, name: Name, before: Attributes, after: Attributes, operation: str) -> None:
        item, change_id = name
        outcome = str(after["status"])
        if before["status"] in FINAL:
            self.wrong.append(f"{name}: {who} marked it again, {_said(before)} -> {_said(after)}")
        if operation == "transact_write_items":
            self.reached["a change of an item that is gone was cancelled"] += 1
            if item in self.items:
                self.wrong.append(f"{name}: {who} cancelled it without its item, which is there")
            return
        lives = range(self.lives[item], 0, -1)
        found = [
            self.decided[key] for life in lives if (key := (item, life, change_id, before["attempt"])) in self.decided
        ]
        if not found or outcome not in {each.outcome for each in found}:
            decided = [each.outcome for each in found] or "nothing"
            self.wrong.append(f"{name}: {who} marked {_said(before)} as {outcome}, decided was {decided}")
            return
        entry = found[0].entry
        if len(found) == 1 and any(entry.get(part) != after.get(part) for part in ("code", "before", "after")):
            self.wrong.append(f"{name}: the record does not say what the item has decided")
        if found[0].by != who:
            self.reached["a record was marked by another call than the one that decided"] += 1
            self.reached["an entry of decided outlived its worker"] += found[0].by in self.history.died
        self.marked[who.replace(",", " ").split()[0]][outcome] += 1

    # The end

    def ended(self) -> None:
        for (item, change_id), record in self.records.items():
            self._record_ended(item, change_id, record)
        for item, attributes in self.items.items():
            self._item_ended(item, attributes)
        for name, attempt in self.requeued:
            is_judged = any((name[0], life, name[1], attempt) in self.decided for life in range(1, 9))
            if name[0] in self.items and name in self.records and not is_judged:
                self.wrong.append(f"{name}: attempt {attempt} was never judged")
        for key, change_id in self.history.scheduled.union(self._accepted()):
            was_there = (item_id(key), change_id) in self.records or self.reached["a record expired"]
            if not was_there:
                self.wrong.append(f"{change_id} of {key} was scheduled, and is nowhere")
        for key, change_id in self.history.told_cancelled:
            last = self.records.get((item_id(key), change_id))
            if last is not None and last["status"] != "CANCELLED":
                self.wrong.append(
                    f"{change_id} of {key}: somebody was told that it is cancelled, it is {last['status']}"
                )
        for job in self.history.stored(self.history.tables.jobs):
            if job.get("record") == "RUN":
                self._tallied(job)
                self._heard_of(read_run(job))

    def _accepted(self) -> Iterator[tuple[ItemKey, str]]:
        """The changes of files that were accepted; every file has a receipt, and that has counted every row."""
        for version, rows in self.history.deliveries.files.items():
            receipt = self.history.deliveries.receipt(version)
            if receipt is None:
                self.wrong.append(f"{version.key} {version.version} has no receipt")
                continue
            if [each["code"] for each in receipt["problems"]] == ["APPROVED_LONG_AGO"]:
                # Nobody knows any more what a call has written of it that died before it could say so.
                self.reached["an approval came too late"] += 1
                continue
            counted = sum(receipt[each] for each in ("added", "known", "held", "refused", "not_written"))
            if not counted == receipt["rows"] == len(rows):
                self.wrong.append(f"{version.receipt_key} counts {counted} of {receipt['rows']} rows, not {len(rows)}")
            source = origin_of(f"{version.key}@{version.version}")
            there = sum(record.get("source") == source for record in self.records.values())
            if receipt["added"] > there and not self.reached["a record expired"]:
                self.wrong.append(f"{version.receipt_key} has added {receipt['added']}, of which there are {there}")
            if receipt["status"] == "ACCEPTED":
                yield from ((row.key, row.change.change_id) for row in rows)

    def _record_ended(self, item: str, change_id: str, record: Attributes) -> None:
        if record["status"] not in FINAL:
            if item in self.items:
                self.wrong.append(f"{change_id} of {item} is never settled: {_said(record)}")
            return
        decisions = {
            (life, attempt): each.outcome
            for (of, life, name, attempt), each in self.decided.items()
            if (of, name) == (item, change_id)
        }
        if record["status"] == "CANCELLED" and "APPLIED" in decisions.values():
            self.wrong.append(f"{change_id} of {item} was cancelled and applied")
        last = [outcome for (_, attempt), outcome in decisions.items() if attempt == record["attempt"]]
        if last and record["status"] not in last:
            self.wrong.append(f"{change_id} of {item} says {record['status']}, decided was {last}")

    def _item_ended(self, item: str, attributes: Attributes) -> None:
        if attributes.get("windows"):
            self.wrong.append(f"{item}: windows are open for ever: {sorted(attributes['windows'])}")
        must_be, is_now = self.models[item].figures(), as_it_is(attributes)
        if must_be != is_now:
            self.wrong.append(f"{item}: at the end it is {is_now}, not {must_be}")

    def _tallied(self, run: Attributes) -> None:
        """A tally that says that it is exact is; another one is a lower bound."""
        tally, truth = run.get("tally", {}), self.marked[str(run["job_id"])]
        is_exact = bool(run.get("tally_is_exact", True)) and run["status"] != "RUNNING"
        self.reached["a tally is exact" if is_exact else "a tally is a lower bound"] += 1
        for outcome, figure in _TALLIED.items():
            counted = int(tally.get(figure, 0))
            if counted > truth[outcome] or (is_exact and counted < truth[outcome]):
                exactly = "exactly" if is_exact else "at most"
                self.wrong.append(f"{run['job_id']}: tallies {figure} {counted}, {exactly} {truth[outcome]} happened")

    def _heard_of(self, run: Run) -> None:
        """A job that settled something or failed is heard of."""
        if run.has_result and not self.history.heard[run.job_id]:
            self.wrong.append(f"{run.job_id}: it is {run.status.value}, and nothing was heard of it")


def judged(history: History) -> Story:
    """The story of a history that has been played: see what is ``wrong`` with it, and what it ``reached``."""
    story = Story(history, reached=Counter(history.reached))
    tables = history.tables
    for number, turn in enumerate(history.turns, 1):
        for place in turn.landed:
            write = history.dynamodb.landed[place]
            if write.table == tables.inventory:
                story.item_written(turn.who, write)
            elif write.table == tables.changes:
                story.record_written(turn.who, write)
        story.turns_until_wrong = story.turns_until_wrong or (number if story.wrong else 0)
    story.ended()
    story.reached["a conflict changed an outcome"] += sum(1 for _ in _changed_by_conflicts(history, story))
    return story


def _changed_by_conflicts(history: History, story: Story) -> Iterator[str]:
    """The outcomes that were planned, and came out otherwise."""
    outcomes: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for (item, _life, change_id, attempt), each in story.decided.items():
        outcomes[item, change_id, int(attempt)].add(each.outcome)
    for key, change_id, number, planned in history.planned:
        found = outcomes.get((item_id(key), change_id, number))
        if found and planned not in found:
            yield change_id


def plain(stored: Any) -> dict[str, Any]:
    """What a version says, and nothing of one that is not there."""
    return from_attribute_values(stored) if stored else {}


def _says(record: Attributes, entry: Attributes) -> bool:
    return record["status"] in FINAL or record["attempt"] > entry["attempt"]


def _said(record: Attributes) -> str:
    return f"{record['status']} {record['attempt']}"


def _without_waiting(record: Attributes) -> tuple[object, object]:
    return record["status"], record["attempt"]


def _booked(record: Attributes) -> Decimal:
    value: Decimal = record["value"]
    return value - record["expected"] if "expected" in record else value
