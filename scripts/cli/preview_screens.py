"""What a preview prints: a row for each item that would be another, and what a person can judge all of them by."""

from collections.abc import Mapping
from typing import Final

from rich.console import Group, RenderableType

from cli.output import View, counted, figures_screen, rows_screen, statuses_text
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.items import InvalidItem
from inventory_updater.stock.judging import Judgement
from inventory_updater.stock.previewing import Foreseen

_FIGURES: Final = ("on_hand", "available", "stock_status", "unit_price", "reorder_point", "safety_stock")

ITEM_COLUMNS: Final = (
    *("sku", "location_id"),
    *(f"{name}_{when}" for name in _FIGURES for when in ("before", "after")),
    *("settled", "rejected", "code", "message"),
)

Document = Mapping[str, object]


def item_row(told: Foreseen | InvalidItem) -> list[object]:
    """An item as a row of these columns: which changes would be settled, and which rejected and why."""
    if isinstance(told, InvalidItem):
        return [*told.key, *([None] * 2 * len(_FIGURES)), None, None, told.code, told.message]
    figures = [getattr(item, name) for name in _FIGURES for item in (told.before, told.after)]
    rejected = [
        f"{record.change_id}: {decision.code}, {decision.message}"
        for record, decision in told.decided
        if decision.outcome is Status.REJECTED
    ]
    settled = [
        f"{record.change_id}: {decision.outcome.value}"
        for record, decision in told.decided
        if decision.outcome is not Status.REJECTED
    ]
    return [*told.key, *figures, "; ".join(settled), "; ".join(rejected), None, None]


def judgement_screen(
    judged: Judgement, as_of: str, view: View, unusual: Mapping[str, int] | None = None
) -> RenderableType:
    """The whole of a preview for people."""
    parts = [
        figures_screen(
            [
                ("as of", as_of),
                ("items", f"{counted(judged.changed, 'item')} of {judged.items:,} would change"),
                ("changes", statuses_text(judged.outcomes) or "none"),
                ("rejected", statuses_text(judged.codes) or None),
                ("cannot be planned", judged.invalid or None),
                ("prices up", _by(judged.prices_up, judged.percent_up)),
                ("prices down", _by(judged.prices_down, judged.percent_down)),
                ("prices of 0", judged.priced_at_zero or None),
                ("out of stock", judged.out_of_stock or None),
                ("below zero", judged.below_zero or None),
                ("late counts", judged.late or None),
                ("unusual, so held", statuses_text(unusual or {}) or None),
                ("plan id", judged.plan_id),
            ],
            view,
        )
    ]
    if prices := [(*each.key, each.before, each.after, each.percent) for each in judged.largest]:
        columns = ("sku", "location_id", "before", "after", "percent")
        parts.append(rows_screen(columns, prices, view, "The largest changes of a price"))
    if counts := [(*each.key, each.change_id, each.counted, each.kept) for each in judged.late_counts]:
        of_counts = ("sku", "location_id", "change_id", "counted", "kept")
        parts.append(rows_screen(of_counts, counts, view, "Late counts, and what was booked since and stays"))
    return Group(*parts)


def _by(number: int, percent: float) -> str | None:
    return f"{number:,}, by {percent / number:,.1f} percent on average" if number else None
