"""What the stock must be: the rules of the product on plain dictionaries. Shares no code with the package.

The model follows a history of events, one JSON object each, in the order in which they took effect. Whoever doubts it
can read build/faults-history.jsonl with nothing but this file, or with rules of their own (docs/reliability.md).
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

Key = tuple[str, str]
"""Sku and location."""

Event = dict[str, Any]
"""Numbers are text; a value that is no number is null."""

FIGURES: Final = ("on_hand", "reserved", "safety_stock", "reorder_point", "unit_price")
DERIVED: Final = ("available", "stock_status", "stock_value")
WINDOW_KINDS: Final = ("price", "reorder_point", "safety_stock")
FINAL: Final = ("APPLIED", "SUPERSEDED", "REJECTED", "CANCELLED")

_FIGURE_SET_BY: Final = {
    "count": "on_hand",
    "price": "unit_price",
    "reorder_point": "reorder_point",
    "safety_stock": "safety_stock",
}
_ZERO: Final = Decimal(0)
_EXPLANATION_LIMIT: Final = 4

MISSED: Final = "a window was missed"
LATE_COUNT: Final = "a late count met later adjustments"
MARKED_BY_ANOTHER: Final = "a record was marked by another call than the one that decided"
CLOSED: Final = "a window closed at its end"
RETRIED: Final = "a change was applied that had been rejected"
EXPECTED: Final = "a count booked the difference"


@dataclass(frozen=True, slots=True)
class Decision:
    """What an item decided about one attempt of a change, and which call wrote it."""

    outcome: str
    code: str | None
    before: Decimal | None
    after: Decimal | None
    worker: str


@dataclass(slots=True)
class Record:
    """A change, and what its record says: ``said`` is the decision that it was marked with last."""

    change: dict[str, Any]
    since: int
    status: str = "PENDING"
    attempt: int = 1
    said: Decision | None = None
    is_dismissed: bool = False

    @property
    def due_at(self) -> str:
        return time_of(self.change, "until" if self.status == "OPEN" else "effective_at")


@dataclass(slots=True)
class Item:
    """One item: its figures, its derived figures as the last writer of the product left them, and what it decided."""

    figures: dict[str, Decimal | None]
    derived: dict[str, Any]
    version: int
    last: dict[str, tuple[str, str]] = field(default_factory=dict)
    windows: dict[str, tuple[str, str, Decimal]] = field(default_factory=dict)
    """Change id -> kind, start and value of the windows that are open."""
    bases: dict[str, Decimal | None] = field(default_factory=dict)
    decided: dict[str, dict[int, Decision]] = field(default_factory=lambda: defaultdict(dict))
    foreign: list[tuple[str, Decimal]] = field(default_factory=list)
    booked: list[Decimal] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)

    def shown(self, kind: str) -> Decimal | None:
        name = _FIGURE_SET_BY.get(kind, "on_hand")
        return self.figures[name] if name == "unit_price" else self.figures[name] or _ZERO


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong, counted by kind, and in words."""

    lost: int = 0
    applied_twice: int = 0
    foreign_writes_lost: int = 0
    wrong_records: int = 0
    words: str = ""


class Model:
    """Every item and record as it must be after the events so far, and what each run really did."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.records: dict[Key, dict[str, Record]] = defaultdict(dict)
        self.truth: dict[str, Counter[str]] = defaultdict(Counter)
        """What the records were made to say by each run: `changes_applied` and the like, and its item writes."""
        self.settled: dict[str, Counter[tuple[str, str, str, str]]] = defaultdict(Counter)
        """By run: sku, location, change id and outcome of every mark."""
        self.problems: list[Difference] = []
        self.reached: Counter[str] = Counter()
        self.moment = 0
        """How many events there were: orders what happened during a run."""
        self._gone: dict[Key, Item] = {}
        self._forgotten: set[tuple[Key, str]] = set()

    def follow(self, event: Event) -> None:
        """Let one event take effect; events that change nothing are passed over."""
        self.moment += 1
        kind = event["event"]
        if kind not in _FOLLOWED:
            return
        key: Key = (event["item"][0], event["item"][1])
        item = self.items.get(key)
        if item is not None:
            item.touched[kind] = self.moment
        if kind == "opening":
            self.items[key] = _opened(event["attributes"])
        elif kind == "deleted" and item is not None:
            self._gone[key] = self.items.pop(key)
        elif kind == "schedule":
            self._schedule(key, event["changes"])
        elif kind == "marked":
            self._mark(key, event)
        elif kind in ("retry", "dismiss", "expired"):
            self._by_hand(key, kind, event["ids"])
        elif item is not None:
            self._write(key, item, event)

    def _wrong(self, words: str, **counts: int) -> None:
        self.problems.append(Difference(words=words, **counts))

    # Records

    def _schedule(self, key: Key, changes: Mapping[str, Event]) -> None:
        for change_id, change in changes.items():
            if (key, change_id) in self._forgotten:
                self._wrong(f"{key}: {change_id} was settled, forgotten, and scheduled again", applied_twice=1)
            self.records[key].setdefault(change_id, Record(dict(change), self.moment))

    def _by_hand(self, key: Key, kind: str, ids: list[str]) -> None:
        for change_id in ids:
            record = self.records[key][change_id]
            if record.status != "REJECTED" and not (kind == "expired" and record.status in FINAL):
                self._wrong(f"{key}: {kind} of {change_id}, which is {record.status}", lost=1)
            if kind == "retry":
                self.records[key][change_id] = Record(record.change, self.moment, attempt=record.attempt + 1)
            elif kind == "dismiss":
                record.is_dismissed = True
            else:
                del self.records[key][change_id]
                self._forgotten.add((key, change_id))

    def _mark(self, key: Key, event: Event) -> None:
        """A record was made to say something: that has to be what the item decided under that attempt."""
        change_id, status, attempt = event["id"], event["status"], event["attempt"]
        record, item = self.records[key].get(change_id), self.items.get(key) or self._gone.get(key)
        where = f"{key}: the record of {change_id} says {status} of attempt {attempt}"
        decision = item.decided[change_id].get(attempt) if item is not None else None
        if decision is None and status == "CANCELLED" and key not in self.items:
            # Nobody else can decide it any more.
            decision = Decision("CANCELLED", None, None, None, event["worker"])
        if record is None or decision is None:
            return self._wrong(f"{where}, and nothing of the kind was decided", wrong_records=1)
        if record.status in FINAL or record.attempt != attempt:
            self._wrong(f"{where}, when it said {record.status} of attempt {record.attempt}", wrong_records=1)
        if decision.outcome != status:
            self._wrong(f"{where}, and the item decided {decision.outcome}", wrong_records=1)
        record.status, record.said = status, decision
        if status == "OPEN":
            record.attempt, record.since = attempt + 1, self.moment
        if decision.worker != event["worker"]:
            self.reached[MARKED_BY_ANOTHER] += 1
        if event.get("run") is not None:
            self.truth[event["run"]][f"changes_{'opened' if status == 'OPEN' else status.lower()}"] += 1
            self.settled[event["run"]][(*key, change_id, status)] += 1
        return None

    # Items

    def _write(self, key: Key, item: Item, event: Event) -> None:
        if event["event"] == "foreign":
            for name, delta in event["deltas"].items():
                item.figures[name] = (item.figures[name] or _ZERO) + Decimal(delta)
                item.foreign.append((name, Decimal(delta)))
            return
        item.version += 1
        if event["event"] == "load":
            since = item.loads.get(event["load"])
            if (
                since is not None
                and max(item.touched.get(name, 0) for name in ("foreign", "written", "cancel")) > since
            ):
                self._wrong(f"{key}: {event['load']} was loaded over what others wrote since", foreign_writes_lost=1)
            item.loads[event["load"]] = self.moment
            for name, figure in event["figures"].items():
                kind = next((each for each in WINDOW_KINDS if _FIGURE_SET_BY[each] == name), "")
                if kind in item.bases:
                    item.bases[kind] = _number(figure)
                else:
                    item.figures[name] = _number(figure)
        else:
            decides: dict[str, int] = event["decides"]
            if event.get("run") is not None:
                self.truth[event["run"]]["items_updated"] += 1
            for change_id in sorted(decides, key=lambda each: self._order(key, each)):
                self._decide(key, item, change_id, decides[change_id], event)
        item.derived = derived_of(item.figures)

    def _order(self, key: Key, change_id: str) -> tuple[str, bool, str]:
        record = self.records[key].get(change_id)
        return ("", False, "") if record is None else _order(change_id, record)

    def _decide(self, key: Key, item: Item, change_id: str, attempt: int, event: Event) -> None:
        record = self.records[key].get(change_id)
        if record is None or record.status in FINAL or record.attempt != attempt or attempt in item.decided[change_id]:
            says = "gone" if record is None else f"{record.status}, attempt {record.attempt}"
            return self._wrong(f"{key}: {change_id} ({says}) was decided again", applied_twice=1)
        before, code = item.shown(record.change["kind"]), None
        if event["event"] == "cancel":
            outcome = "CANCELLED"
            if record.status == "OPEN":
                _close(item, change_id, record.change["kind"])
        else:
            outcome, code = self._settle(key, item, change_id, record, event)
        after = item.shown(record.change["kind"])
        item.decided[change_id][attempt] = Decision(outcome, code, before, after, event["worker"])
        if attempt > 1 and record.change.get("until") is None and outcome == "APPLIED":
            self.reached[RETRIED] += 1
        return None

    def _settle(self, key: Key, item: Item, change_id: str, record: Record, event: Event) -> tuple[str, str | None]:
        change, kind = record.change, record.change["kind"]
        if record.status == "OPEN":
            self.reached[CLOSED] += 1
            _close(item, change_id, kind)
            return "APPLIED", None
        code = _fault_of(change)
        if code is not None:
            return "REJECTED", code
        at = time_of(change, "effective_at")
        if change.get("not_after") is not None and event["now"] > time_of(change, "not_after"):
            return "REJECTED", "EXPIRED"
        value, expected = Decimal(change["value"]), _number(change.get("expected"))
        count = item.last.get("count")
        if _is_booking(change):
            self.reached[EXPECTED] += kind == "count"
            if count is not None and at <= count[0]:
                return "SUPERSEDED", None
            amount = _booked(change)
            after = (item.figures["on_hand"] or _ZERO) + amount
            if kind == "adjustment" and amount < 0 and after < 0 and not event["allow_negative"]:
                return "REJECTED", "INSUFFICIENT_STOCK"
            item.figures["on_hand"] = after
            item.booked.append(amount)
            item.last["adjustment"] = max(item.last.get("adjustment", ("", "")), (at, change_id))
            return "APPLIED", None
        if "until" not in change and kind in item.last and (at, change_id) < item.last[kind]:
            return "SUPERSEDED", None
        if kind == "count":
            later = [each for each in self._applied_bookings(key, item) if time_of(each, "effective_at") > at]
            self.reached[LATE_COUNT] += bool(later)
            item.figures["on_hand"] = sum(map(_booked, later), value)
        elif expected is not None and expected != item.shown(kind):
            return "REJECTED", "STALE"
        elif "until" in change:
            if time_of(change, "until") <= event["as_of"]:
                self.reached[MISSED] += 1
                return "REJECTED", "MISSED"
            item.bases.setdefault(kind, item.shown(kind))
            item.windows[change_id] = (kind, at, value)
            _show(item, kind)
            return "OPEN", None
        elif kind in item.bases:
            item.bases[kind] = value
        else:
            item.figures[_FIGURE_SET_BY[kind]] = value
        item.last[kind] = (at, change_id)
        return "APPLIED", None

    def _applied_bookings(self, key: Key, item: Item) -> Iterator[dict[str, Any]]:
        for change_id, record in self.records[key].items():
            known = item.decided[change_id].get(record.attempt)
            if "APPLIED" in (record.status, known and known.outcome) and _is_booking(record.change):
                yield record.change

    # What must be true

    def due(self, as_of: str, before: int) -> Iterator[tuple[Key, str]]:
        """The changes of items that are there which are due at ``as_of`` and were waiting before that moment."""
        for key in self.items:
            for change_id, record in self.records[key].items():
                # One without a time that is retried waits from then on, whatever it says.
                due_at = record.due_at or (record.change.get("due_at", "") if record.attempt == 1 else "")
                is_due = "" < due_at <= as_of
                if record.status not in FINAL and is_due and record.since <= before:
                    yield key, change_id

    def waiting(self, key: Key) -> list[str]:
        return sorted(name for name, record in self.records[key].items() if record.status not in FINAL)

    def rejected(self, key: Key) -> list[str]:
        return sorted(
            name for name, each in self.records[key].items() if each.status == "REJECTED" and not each.is_dismissed
        )

    def difference(
        self, key: Key, stored: Mapping[str, Any] | None, records: Mapping[str, Mapping[str, Any]]
    ) -> Difference | None:
        """How an item and its records differ from what they must be, and what that means; ``None`` if they do not."""
        item = self.items.get(key)
        if (item is None) != (stored is None):
            return Difference(lost=1, words=f"{key}: only one of two has it")
        words: list[str] = []
        lost = wrong_records = 0
        for change_id in sorted({*self.records[key], *records}):
            problem = _record_problem(self.records[key].get(change_id), records.get(change_id))
            if problem:
                words.append(f"the record of {change_id} {problem}")
                lost += change_id not in records
                wrong_records += change_id in records
        twice = foreign_lost = 0
        if item is not None and stored is not None:
            problems, lost_decisions = self._decisions_lost(key, item, stored)
            words += problems
            lost += lost_decisions
            for name in FIGURES:
                found, wanted = _number(stored.get(name)), item.figures[name]
                if (found or _ZERO) != (wanted or _ZERO):
                    words.append(f"{name} is {found}, not {wanted}")
                    some = _explanation(item, name, (found or _ZERO) - (wanted or _ZERO))
                    lost, twice, foreign_lost = lost + some[0], twice + some[1], foreign_lost + some[2]
            # Each write of the product raises it: where it is behind, one was written over.
            lost += max(0, item.version - int(stored.get("version", 0)))
            words += [] if words else _beside_figures(item, stored)
        if not words:
            return None
        return Difference(lost, twice, foreign_lost, wrong_records, f"{key[0]} at {key[1]}: " + "; ".join(words))

    def _decisions_lost(self, key: Key, item: Item, stored: Mapping[str, Any]) -> tuple[list[str], int]:
        """What the item decided, and neither it nor a record says."""
        words = [
            f"the decision about {change_id} is gone: {record.attempt} {decision.outcome}"
            for change_id, record in self.records[key].items()
            if record.status not in FINAL
            and (decision := item.decided[change_id].get(record.attempt)) is not None
            and stored.get("decided", {}).get(change_id, {}).get("attempt") != record.attempt
        ]
        return words, len(words)


_FOLLOWED: Final = frozenset(
    {"opening", "schedule", "cancel", "retry", "dismiss", "expired", "foreign", "load", "deleted", "written", "marked"}
)


def derived_of(figures: Mapping[str, Decimal | None]) -> dict[str, Any]:
    """What follows from an item's figures."""
    on_hand, reserved, safety_stock, reorder_point, unit_price = (figures[name] for name in FIGURES)
    assert on_hand is not None
    available = on_hand - (reserved or 0) - (safety_stock or 0)
    status = "OUT_OF_STOCK" if available <= 0 else "LOW_STOCK" if available <= (reorder_point or 0) else "IN_STOCK"
    value = None if unit_price is None else on_hand * unit_price
    return {"available": available, "stock_status": status, "stock_value": value}


def time_of(change: Mapping[str, Any], name: str) -> str:
    """A time as all of them are compared: with six decimals; empty where it is none."""
    text = str(change.get(name, ""))
    return f"{text[:-1]}.000000Z" if len(text) == len("2026-03-02T08:00:00Z") else text if text[:2] == "20" else ""


def _opened(attributes: Mapping[str, Any]) -> Item:
    figures = {name: _number(attributes.get(name)) for name in FIGURES}
    derived = {name: attributes.get(name) for name in DERIVED}
    derived |= {name: _number(derived[name]) for name in ("available", "stock_value")}
    return Item(figures, derived, int(attributes["version"]))


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _order(change_id: str, record: Record) -> tuple[str, bool, str]:
    """In one instant adjustments come before the rest, then it goes by id."""
    return record.due_at, record.change["kind"] != "adjustment", change_id


def _is_booking(change: Mapping[str, Any]) -> bool:
    return change["kind"] == "adjustment" or (change["kind"] == "count" and change.get("expected") is not None)


def _booked(change: Mapping[str, Any]) -> Decimal:
    return Decimal(change["value"]) - (_number(change.get("expected")) or _ZERO)


def _fault_of(change: Mapping[str, Any]) -> str | None:
    """What is wrong with a change by itself."""
    kind = change["kind"]
    if not time_of(change, "effective_at"):
        return "NO_TIME"
    if kind not in ("adjustment", *_FIGURE_SET_BY):
        return "UNKNOWN_KIND"
    if change["value"] is None:
        return "NOT_A_NUMBER"
    if kind != "adjustment" and Decimal(change["value"]) < 0:
        return "NEGATIVE_VALUE"
    if "until" in change and kind not in WINDOW_KINDS:
        return "NO_WINDOW"
    if "until" in change and time_of(change, "until") <= time_of(change, "effective_at"):
        return "EMPTY_WINDOW"
    return None


def _show(item: Item, kind: str) -> None:
    """Of the windows that are open the one shows that started last; without any the base does."""
    open_ones = [(start, name, value) for name, (of, start, value) in item.windows.items() if of == kind]
    item.figures[_FIGURE_SET_BY[kind]] = max(open_ones)[2] if open_ones else item.bases.pop(kind)


def _close(item: Item, change_id: str, kind: str) -> None:
    if item.windows.pop(change_id, None) is not None:
        _show(item, kind)


def _record_problem(wanted: Record | None, found: Mapping[str, Any] | None) -> str:
    """What is wrong with a record; empty where nothing is."""
    if wanted is None or found is None:
        return "is gone" if found is None else "is there, and nobody put it"
    said = wanted.said
    is_settled = wanted.status in FINAL
    shard = found.get("due_shard")
    pairs = {
        "status": (wanted.status, found.get("status")),
        "attempt": (wanted.attempt, found.get("attempt", 1)),
        "code": (said and said.code, found.get("code")),
        "before": (said and said.before, found.get("before")),
        "after": (said and said.after, found.get("after")),
        "is due": (not is_settled, shard not in (None, "REJECTED")),
        "needs a person": (wanted.status == "REJECTED" and not wanted.is_dismissed, shard == "REJECTED"),
        "may expire": (is_settled, "expires_at" in found),
    }
    if not is_settled and wanted.due_at:
        pairs["due_at"] = (wanted.due_at, time_of(found, "due_at"))
    return ", ".join(f"has {name} {there}, not {right}" for name, (right, there) in pairs.items() if right != there)


def _beside_figures(item: Item, stored: Mapping[str, Any]) -> list[str]:
    windows = {name: (each["kind"], each["from"], each["value"]) for name, each in stored.get("windows", {}).items()}
    bases = {name: stored.get(f"base_{_FIGURE_SET_BY[name]}") or _ZERO for name in WINDOW_KINDS}
    pairs = {name: (item.derived[name], stored.get(name)) for name in DERIVED} | {
        "windows": (item.windows, windows),
        "bases": ({name: item.bases.get(name) or _ZERO for name in WINDOW_KINDS}, bases),
        "version": (item.version, stored.get("version")),
    }
    return [f"{name}: {there}, not {right}" for name, (right, there) in pairs.items() if right != there]


def _explanation(item: Item, name: str, surplus: Decimal) -> tuple[int, int, int]:
    """The fewest lost changes, doubled changes and lost foreign writes that add up to ``surplus``.

    Where nothing adds up, as after a count that came twice, it is one lost change.
    """
    booked = item.booked if name == "on_hand" else []
    causes = [(-value, (1, 0, 0)) for value in booked] + [(value, (0, 1, 0)) for value in booked]
    causes += [(-value, (0, 0, 1)) for where, value in item.foreign if where == name]
    for size in range(1, _EXPLANATION_LIMIT):
        for some in itertools.combinations(causes[-24:], size):
            if sum((value for value, _ in some), _ZERO) == surplus:
                lost, twice, foreign = (sum(each) for each in zip(*(cause for _, cause in some), strict=True))
                return lost, twice, foreign
    return (1, 0, 0)
