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

FIGURE_SET_BY: Final = {
    "count": "on_hand",
    "price": "unit_price",
    "reorder_point": "reorder_point",
    "safety_stock": "safety_stock",
}
_EXPLANATION_LIMIT: Final = 4


@dataclass(slots=True)
class Item:
    """One item: its figures, its derived figures as the last writer of the product left them, and its changes."""

    figures: dict[str, Decimal | None]
    derived: dict[str, Any]
    version: int
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcome: dict[str, str] = field(default_factory=dict)
    last: dict[str, tuple[str, str]] = field(default_factory=dict)
    foreign: list[tuple[str, Decimal]] = field(default_factory=list)
    applied: list[tuple[str, Decimal]] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What is wrong with an item, counted by kind, and in words."""

    lost: int = 0
    applied_twice: int = 0
    foreign_writes_lost: int = 0
    words: str = ""


class Model:
    """Every item as it must be after the events so far, and what each run really did."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.truth: dict[str, Counter[str]] = defaultdict(Counter)
        self.moment = 0
        """How many events there were: orders what happened during a run."""

    def follow(self, event: Event) -> None:
        """Let one event take effect; events that change no stock are passed over."""
        self.moment += 1
        kind = event["event"]
        if kind not in ("opening", "schedule", "cancel", "foreign", "deleted", "written"):
            return
        key: Key = (event["item"][0], event["item"][1])
        if kind == "opening":
            self.items[key] = _opened(event["attributes"])
            return
        if kind == "deleted":
            self.items.pop(key, None)
            return
        item = self.items[key]
        item.touched["operator" if kind in ("schedule", "cancel") else kind] = self.moment
        if kind == "foreign":
            for name, delta in event["deltas"].items():
                item.figures[name] = (item.figures[name] or Decimal(0)) + Decimal(delta)
                item.foreign.append((name, Decimal(delta)))
            return
        item.version += 1
        if kind == "schedule":
            for change_id, change in event["changes"].items():
                if change_id not in item.pending and change_id not in item.outcome:
                    item.pending[change_id] = dict(change) | {"since": self.moment}
        elif kind == "cancel":
            for change_id in event["ids"]:
                item.pending.pop(change_id, None)
        else:
            self.truth[event["run"]] += self._written(item, event)

    def _written(self, item: Item, event: Event) -> Counter[str]:
        """A write of a run landed: what was due at that moment is settled, and the derived figures are worked out."""
        due = {
            change_id: change for change_id, change in item.pending.items() if change["effective_at"] <= event["as_of"]
        }
        done: Counter[str] = Counter(items_updated=1)
        for change_id, change in sorted(
            due.items(), key=lambda each: (each[1]["effective_at"], each[1]["kind"] != "adjustment", each[0])
        ):
            del item.pending[change_id]
            outcome = _settle(item, change_id, change, event["allow_negative"])
            item.outcome[change_id] = outcome
            done["changes_" + (outcome if outcome in ("applied", "superseded") else "rejected")] += 1
        item.derived = derived_of(item.figures)
        return done

    def due(self, as_of: str, before: int) -> Iterator[tuple[Key, str]]:
        """The changes that are due at ``as_of`` and were pending before that moment."""
        for key, item in self.items.items():
            for change_id, change in item.pending.items():
                if change["effective_at"] <= as_of and change["since"] <= before:
                    yield key, change_id

    def difference(self, key: Key, stored: Mapping[str, Any] | None) -> Difference | None:
        """How a stored item differs from what it must be, and what that means; ``None`` where it does not."""
        item = self.items.get(key)
        if item is None or stored is None:
            return (
                None if stored is None and item is None else Difference(lost=1, words=f"{key}: only one of two has it")
            )
        words: list[str] = []
        lost = twice = 0
        pending, settled = set(stored.get("pending_changes", {})), set(stored.get("settled_changes", {}))
        rejected = {name: each["code"] for name, each in stored.get("rejected_changes", {}).items()}
        for change_id in sorted({*item.pending, *item.outcome, *pending, *settled, *rejected}):
            wanted = "pending" if change_id in item.pending else item.outcome.get(change_id, "unknown")
            wanted = "settled" if wanted in ("applied", "superseded") else wanted
            found = [
                *(["pending"] if change_id in pending else []),
                *(["settled"] if change_id in settled else []),
                *([rejected[change_id]] if change_id in rejected else []),
            ]
            if found == [wanted]:
                continue
            words.append(f"change {change_id} is {found or 'gone'}, not {wanted}")
            if not found or found == ["settled"]:
                lost += 1
            else:
                twice += 1
        figures = {name: _number(stored.get(name)) for name in FIGURES}
        foreign_lost = 0
        for name in FIGURES:
            wanted_figure = item.figures[name]
            if (figures[name] or Decimal(0)) != (wanted_figure or Decimal(0)):
                words.append(f"{name} is {figures[name]}, not {wanted_figure}")
                explained = _explanation(item, name, (figures[name] or Decimal(0)) - (wanted_figure or Decimal(0)))
                lost, twice, foreign_lost = lost + explained[0], twice + explained[1], foreign_lost + explained[2]
        if not words:
            words += [
                f"{name} is {stored.get(name)}, not {item.derived[name]}"
                for name in DERIVED
                if stored.get(name) != item.derived[name]
            ]
            earliest = min((change["effective_at"] for change in item.pending.values()), default=None)
            if stored.get("next_change_at") != earliest:
                words.append(f"next_change_at is {stored.get('next_change_at')}, not {earliest}")
            if stored.get("version") != item.version:
                words.append(f"version is {stored.get('version')}, not {item.version}")
        if not words:
            return None
        return Difference(lost, twice, foreign_lost, f"{key[0]} at {key[1]}: " + "; ".join(words))


def derived_of(figures: Mapping[str, Decimal | None]) -> dict[str, Any]:
    """What follows from an item's figures."""
    on_hand, reserved, safety_stock, reorder_point, unit_price = (figures[name] for name in FIGURES)
    assert on_hand is not None
    available = on_hand - (reserved or 0) - (safety_stock or 0)
    status = "OUT_OF_STOCK" if available <= 0 else "LOW_STOCK" if available <= (reorder_point or 0) else "IN_STOCK"
    value = None if unit_price is None else on_hand * unit_price
    return {"available": available, "stock_status": status, "stock_value": value}


def _opened(attributes: Mapping[str, Any]) -> Item:
    figures = {name: _number(attributes.get(name)) for name in FIGURES}
    derived = {name: attributes.get(name) for name in DERIVED}
    derived |= {name: _number(derived[name]) for name in ("available", "stock_value")}
    return Item(figures, derived, int(attributes["version"]))


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _settle(item: Item, change_id: str, change: Mapping[str, Any], allow_negative: bool) -> str:
    kind, at = change["kind"], change["effective_at"]
    if kind != "adjustment" and kind not in FIGURE_SET_BY:
        return "UNKNOWN_KIND"
    if change["value"] is None:
        return "NOT_A_NUMBER"
    value = Decimal(change["value"])
    if kind == "adjustment":
        if "count" in item.last and at <= item.last["count"][0]:
            return "superseded"
        after = (item.figures["on_hand"] or Decimal(0)) + value
        if value < 0 and after < 0 and not allow_negative:
            return "INSUFFICIENT_STOCK"
        item.figures["on_hand"] = after
        item.applied.append(("on_hand", value))
        return "applied"
    if value < 0:
        return "NEGATIVE_VALUE"
    if kind in item.last and (at, change_id) < item.last[kind]:
        return "superseded"
    item.figures[FIGURE_SET_BY[kind]] = value
    item.last[kind] = (at, change_id)
    return "applied"


def _explanation(item: Item, name: str, surplus: Decimal) -> tuple[int, int, int]:
    """The fewest lost changes, doubled changes and lost foreign writes that add up to ``surplus``.

    Where nothing adds up, as after a count that came twice, it is one lost change.
    """
    causes = [(-value, (1, 0, 0)) for where, value in item.applied if where == name]
    causes += [(value, (0, 1, 0)) for where, value in item.applied if where == name]
    causes += [(-value, (0, 0, 1)) for where, value in item.foreign if where == name]
    for size in range(1, _EXPLANATION_LIMIT):
        for some in itertools.combinations(causes[-24:], size):
            if sum((value for value, _ in some), Decimal(0)) == surplus:
                lost, twice, foreign = (sum(each) for each in zip(*(cause for _, cause in some), strict=True))
                return lost, twice, foreign
    return (1, 0, 0)
