"""What a person would want to know of many items before they change: counts, and the largest of each. Pure.

A preview may have millions of items, so only sums and the ten largest are kept.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from heapq import heappush, heappushpop
from typing import Final

from inventory_updater.stock.change_records import ChangeRecord, Status
from inventory_updater.stock.item_states import Decision
from inventory_updater.stock.items import InvalidItem, ItemKey, StockItem, StockStatus
from inventory_updater.stock.numbers import ZERO, plain
from inventory_updater.stock.previewing import Foreseen

LARGEST: Final = 10
_PLAN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price that would be another."""

    key: ItemKey
    before: Decimal
    after: Decimal

    @property
    def percent(self) -> float:
        """By how much; of a price of 0 it is everything."""
        return float((self.after - self.before) / self.before * 100) if self.before else 100.0


@dataclass(frozen=True, slots=True)
class LateCount:
    """A count after whose moment something was booked already: what it ``counted`` and what stays booked on top."""

    key: ItemKey
    change_id: str
    counted: Decimal
    kept: Decimal


@dataclass(slots=True)
class Judgement:
    """What the items of a preview add up to.

    Attributes:
        items: how many items it looked at.
        changed: how many of them would be others.
        outcomes: how many decisions of each outcome there would be.
        codes: why changes would be rejected.
        prices_up, prices_down: how many prices would rise and fall.
        percent_up, percent_down: by how much in all, in percent; a mean is that by their number.
        largest: the largest price changes, the largest first.
        out_of_stock: how many items would be out of stock and are not.
        below_zero: how many would have less than nothing on hand and have not.
        priced_at_zero: how many would have a price of 0 and have not.
        late_counts: the late counts that keep most.
        late: how many of them there are.
        invalid: how many items cannot be planned: they are gone, or cannot be read as stock items.
    """

    items: int = 0
    changed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    prices_up: int = 0
    prices_down: int = 0
    percent_up: float = 0.0
    percent_down: float = 0.0
    out_of_stock: int = 0
    below_zero: int = 0
    priced_at_zero: int = 0
    late: int = 0
    invalid: int = 0
    _prices: list[tuple[float, ItemKey, PriceChange]] = field(default_factory=list)
    _counts: list[tuple[Decimal, ItemKey, str, LateCount]] = field(default_factory=list)
    _plan: int = 0

    @property
    def largest(self) -> list[PriceChange]:
        return [each[-1] for each in sorted(self._prices, reverse=True)]

    @property
    def late_counts(self) -> list[LateCount]:
        return [each[-1] for each in sorted(self._counts, reverse=True)]

    @property
    def plan_id(self) -> str:
        """What names this plan: another one if an item is not as it was, or something else would be decided."""
        return self._plan.to_bytes(_PLAN_BYTES, "big").hex()

    def add(self, foreseen: Foreseen | InvalidItem) -> None:
        if isinstance(foreseen, InvalidItem):
            self.invalid += 1
            self._extend_plan(f"{foreseen.key} {foreseen.code}")
            return
        before, after = foreseen.before, foreseen.after
        self.items += 1
        self.changed += foreseen.differs
        for record, decision in foreseen.decided:
            self.outcomes[decision.outcome.value] += 1
            if decision.code is not None:
                self.codes[decision.code] += 1
            self._add_count(foreseen.key, record, decision)
        self._add_price(foreseen)
        self.out_of_stock += not _is_out(before) and _is_out(after)
        self.below_zero += after.on_hand < 0 <= before.on_hand
        self.priced_at_zero += after.unit_price == 0 and before.unit_price != 0
        self._extend_plan(_decisions(foreseen))

    def _extend_plan(self, text: str) -> None:
        # A sum does not depend on the order in which the items come.
        digest = int.from_bytes(sha256(text.encode()).digest()[:_PLAN_BYTES], "big")
        self._plan = (self._plan + digest) % (1 << (8 * _PLAN_BYTES))

    def _add_price(self, foreseen: Foreseen) -> None:
        before, after = foreseen.before.unit_price, foreseen.after.unit_price
        if before is None or after is None or before == after:
            return
        change = PriceChange(foreseen.key, before, after)
        if after > before:
            self.prices_up += 1
            self.percent_up += change.percent
        else:
            self.prices_down += 1
            self.percent_down -= change.percent
        _keep(self._prices, (abs(change.percent), foreseen.key, change))

    def _add_count(self, key: ItemKey, record: ChangeRecord, decision: Decision) -> None:
        if not record.is_waiting_count or decision.outcome is not Status.APPLIED or decision.after is None:
            return
        kept = decision.after - record.value
        if kept:
            self.late += 1
            _keep(
                self._counts, (abs(kept), key, record.change_id, LateCount(key, record.change_id, record.value, kept))
            )


def _is_out(item: StockItem) -> bool:
    """By what follows from its figures, whatever is stored."""
    derived = item.figures.derive_if_exact()
    return derived is not None and derived.stock_status is StockStatus.OUT_OF_STOCK


def _keep(heap: list, entry: tuple) -> None:  # type: ignore[type-arg]
    """Keep the largest ones."""
    if len(heap) < LARGEST:
        heappush(heap, entry)
    else:
        heappushpop(heap, entry)


def _decisions(foreseen: Foreseen) -> str:
    """All that a plan says of an item."""
    decided = [
        f"{record.change_id}|{record.kind}|{decision.outcome.value}|{_text(decision.before)}|{_text(decision.after)}"
        for record, decision in foreseen.decided
    ]
    return "\n".join((*foreseen.key, _text(foreseen.version), *decided))


def _text(number: Decimal | None) -> str:
    return "" if number is None else plain(number or ZERO)


def judgement_document(judged: Judgement, as_of: str, unusual: Mapping[str, int] | None = None) -> dict[str, object]:
    """The whole of a preview for programs; of a file also how many rows are ``unusual``, by code."""
    of_file = {} if unusual is None else {"unusual_by_code": unusual}
    return of_file | {
        "plan_id": judged.plan_id,
        "as_of": as_of,
        "items": judged.items,
        "items_changed": judged.changed,
        "items_invalid": judged.invalid,
        "by_outcome": judged.outcomes,
        "rejected_by_code": judged.codes,
        "prices": {
            "up": judged.prices_up,
            "up_percent": _mean(judged.percent_up, judged.prices_up),
            "down": judged.prices_down,
            "down_percent": _mean(judged.percent_down, judged.prices_down),
            "zero": judged.priced_at_zero,
            "largest": [
                {**each.key._asdict(), "before": each.before, "after": each.after, "percent": round(each.percent, 1)}
                for each in judged.largest
            ],
        },
        "out_of_stock": judged.out_of_stock,
        "below_zero": judged.below_zero,
        "late_counts": judged.late,
        "late_counts_largest": [
            {**each.key._asdict(), "change_id": each.change_id, "counted": each.counted, "kept": each.kept}
            for each in judged.late_counts
        ],
    }


def _mean(total: float, number: int) -> float | None:
    return round(total / number, 1) if number else None
