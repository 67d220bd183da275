"""How stock looks: pure functions of levels and variances and of the view."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType

from cli.output import View, figures_screen, rows_screen
from inventory_updater.intake.comparing import Comparison, Finding, Variance
from inventory_updater.stock.levels import Total

# In the order in which they are shown; what else an item holds follows them.
FIGURES: Final = (
    "description",
    "on_hand",
    "reserved",
    "safety_stock",
    "available",
    "stock_status",
    "reorder_point",
    "unit_price",
    "currency",
    "stock_value",
    "version",
    "updated_at",
)
PLACE_COLUMNS: Final = (
    *("location_id", "stock_status", "on_hand", "reserved", "safety_stock", "available", "reorder_point"),
    *("unit_price", "currency", "stock_value", "version", "updated_at", "description", "problem"),
)
TOTAL_COLUMNS: Final = (
    *("items", "unpriced", "out_of_stock", "low_stock", "on_hand", "reserved", "available", "stock_value"),
)
VARIANCE_COLUMNS: Final = (
    *("sku", "location_id", "finding", "counted", "stored", "difference", "unit_price", "currency", "value", "message"),
)
DIFFERENCE_COLUMNS: Final = ("currency", "items", "unpriced", "surplus", "shortage", "net")

Document = Mapping[str, object]


def stale_sentence(documents: Iterable[Document]) -> str | None:
    """What is stored otherwise than it follows, of one item; of several, how many."""
    stale = [each["stale"] for each in documents if each["stale"]]
    repaired = "a job over all items repairs that"
    if len(stale) > 1:
        return f"stored derived figures of {len(stale):,} items are stale: {repaired}"
    for figures in stale:
        assert isinstance(figures, dict)
        stored = ", ".join(f"{name} {'missing' if value is None else value}" for name, value in figures.items())
        return f"stored otherwise than it follows from the figures: {stored}; {repaired}"
    return None


def places_screen(sku: str, documents: Sequence[Document], view: View) -> RenderableType:
    """An item at each of its locations."""
    rows = [[each.get(name) for name in PLACE_COLUMNS] for each in documents]
    return rows_screen(PLACE_COLUMNS, rows, view, f"Item {sku}")


def total_cells(total: Total) -> list[object]:
    return [getattr(total, name) for name in TOTAL_COLUMNS]


def totals_screen(
    by_place: Mapping[tuple[str, str], Total], by_currency: Mapping[str, Total], view: View
) -> RenderableType:
    """What the stock comes to."""
    places = [[location, currency, *total_cells(total)] for (currency, location), total in by_place.items()]
    currencies = [[currency or "no currency", *total_cells(total)] for currency, total in by_currency.items()]
    return Group(
        rows_screen(("location_id", "currency", *TOTAL_COLUMNS), places, view, "By currency and location"),
        rows_screen(("currency", *TOTAL_COLUMNS), currencies, view, "By currency"),
    )


def variance_document(variance: Variance) -> dict[str, object]:
    named = {**variance.key._asdict(), **{name: getattr(variance, name) for name in VARIANCE_COLUMNS[2:]}}
    return {name: named[name] for name in VARIANCE_COLUMNS}


def difference_documents(comparison: Comparison) -> list[dict[str, object]]:
    """What the differences come to, by currency."""
    return [
        {"currency": currency or None, **{name: getattr(each, name) for name in DIFFERENCE_COLUMNS[1:]}}
        for currency, each in sorted(comparison.differences.items())
    ]


def variance_screen(
    comparison: Comparison, worst: Iterable[Variance], missing: int, view: View, file: str
) -> RenderableType:
    """The rows that differ most, and what all come to."""
    rows = [list(variance_document(each).values()) for each in worst]
    figures = [(finding.lower().replace("_", " "), comparison.findings[finding] or None) for finding in Finding]
    figures = [("rows", comparison.findings.total()), *figures, ("missing from the sheet", missing)]
    hidden = comparison.findings.total() - comparison.findings[Finding.MATCHES] - len(rows)
    more = [f"{hidden:,} more: --csv has all rows"] if hidden else []
    totals = [list(each.values()) for each in difference_documents(comparison)]
    return Group(
        rows_screen(VARIANCE_COLUMNS, rows, view, "What differs, the largest value first"),
        *more,
        rows_screen(DIFFERENCE_COLUMNS, totals, view, "What the differences come to"),
        figures_screen(figures, view, f"Count sheet {file}"),
    )
