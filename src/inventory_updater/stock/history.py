"""What was settled of an item, and what its figures were at a moment, as far as its records know. No I/O.

Each settlement says what a figure was before and after it. Others write the figure as well, and nobody records that::

    ──last───────┊────────first───▶ settled_at
      10 → 7     ┊        9 → 4
                 moment

At the moment the figure was 9, which is what the first settlement after it found, unless somebody made 9 of the 7 only
after the moment. Where nothing was settled after it, the figure was what it is now, with the same reserve.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.change_records import ChangeRecord, Status, read_record
from inventory_updater.stock.changes import FIGURE_SET_BY, ChangeKind
from inventory_updater.stock.item_states import Decision

FIGURE_OF: Final[Mapping[str, str]] = {ChangeKind.ADJUSTMENT.value: "on_hand", **FIGURE_SET_BY}
"""The figure that a change of a kind is about."""

FIGURES: Final = ("on_hand", "unit_price", "reorder_point", "safety_stock")


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt of a change ended, or how a window opened.

    Attributes:
        outcome: ``OPEN`` of a window that opened; its end is another settlement.
        settled_at: when its item decided, as a stored time.
        due_at: when it was due: many that an item decides at once happen in this order.
        before: the figure that its kind is about, just before; None where it was absent.
        after: and just after.
    """

    change_id: str
    kind: str
    outcome: Status
    settled_at: str
    due_at: str
    before: Decimal | None
    after: Decimal | None
    code: str | None = None
    message: str | None = None

    @property
    def order(self) -> tuple[str, str, bool, str]:
        return self.settled_at, self.due_at, self.kind != ChangeKind.ADJUSTMENT, self.change_id

    @property
    def figure(self) -> str | None:
        """The figure that it says something about; None where it does not."""
        figure = FIGURE_OF.get(self.kind)
        # Only a price may be absent, and what was cancelled without its item has met nothing.
        is_known = self.before is not None or (figure == "unit_price" and self.outcome is not Status.CANCELLED)
        return figure if is_known else None


@dataclass(frozen=True, slots=True)
class FigureThen:
    """What a figure was at a moment.

    Attributes:
        value: None where it was absent, or the item is gone and no record knows.
        first: the first settlement after the moment, which found this value; None where the value is that of now.
        last: the last settlement until the moment.
    """

    value: Decimal | None
    first: Settlement | None
    last: Settlement | None

    @property
    def changed_by_others(self) -> bool:
        """Whether another writer has changed it between the two settlements, nobody knows when."""
        return self.last is not None and self.last.after != self.value


def settlements(attributes: Attributes, decision: Decision | None = None) -> Iterator[Settlement]:
    """What a record says was settled, the earlier first: a window opens, and ends.

    ``decision`` is what the item has decided about it: the record may not say so yet.
    """
    record = read_record(attributes)
    opened_at, settled_at = attributes.get("opened_at"), attributes.get("settled_at")
    if isinstance(opened_at, str):
        ends = _numbers(attributes, "opened_before", "opened_after")
        yield Settlement(record.change_id, record.kind, Status.OPEN, opened_at, record.effective_at, *ends)
    if record.status.is_final:
        if isinstance(settled_at, str):
            due_at = (record.until or "") if isinstance(opened_at, str) else record.effective_at
            ends = _numbers(attributes, "before", "after")
            why = _texts(attributes, "code", "message")
            yield Settlement(record.change_id, record.kind, record.status, settled_at, due_at, *ends, *why)
    elif decision is not None and decision.attempt == record.attempt:
        yield _decided(record, decision)


def _decided(record: ChangeRecord, decision: Decision) -> Settlement:
    return Settlement(
        *(record.change_id, record.kind, decision.outcome, decision.settled_at, record.due_at),
        *(decision.before, decision.after, decision.code, decision.message),
    )


def _numbers(attributes: Attributes, *names: str) -> tuple[Decimal | None, Decimal | None]:
    first, second = (value if isinstance(value := attributes.get(name), Decimal) else None for name in names)
    return first, second


def _texts(attributes: Attributes, *names: str) -> tuple[str | None, str | None]:
    first, second = (value if isinstance(value := attributes.get(name), str) else None for name in names)
    return first, second


def figures_at(
    moment: str, present: Mapping[str, Decimal | None], settled: Iterable[Settlement]
) -> dict[str, FigureThen]:
    """What the figures of an item were at a stored time.

    Args:
        moment: what was settled in this very moment counts as settled.
        present: the figures of the item, read before its records; empty where it is gone.
        settled: all settlements of the item, in any order.
    """
    first: dict[str, Settlement] = {}
    last: dict[str, Settlement] = {}
    for each in settled:
        if (figure := each.figure) is None:
            continue
        if each.settled_at > moment:
            if figure not in first or each.order < first[figure].order:
                first[figure] = each
        elif figure not in last or each.order > last[figure].order:
            last[figure] = each
    return {
        figure: FigureThen(
            first[figure].before if figure in first else present.get(figure), first.get(figure), last.get(figure)
        )
        for figure in FIGURES
    }
