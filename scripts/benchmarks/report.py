"""Entries as Markdown tables, ratios first, and the places in a document where these tables stand; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from benchmarks.figures import Entry

COLUMNS: Final[Mapping[str, str]] = {
    "changes_a_week": "changes a week",
    "rejected_percent": "rejected %",
    "write_units_first_week": "write units a change, week 1",
    "write_units_last_week": "week 10",
    "write_units_accepting": "accepting",
    "write_units_applying": "applying",
    "read_units_first_week": "read units, week 1",
    "read_units_last_week": "read units, week 10",
    "largest_item_bytes": "largest item, bytes",
    "mean_record_bytes": "mean record",
    "largest_record_bytes": "largest record",
    "queries_of_shards": "queries of shards",
    "other_requests": "other requests",
    "write_units": "write units",
    "write_units_of_records": "of them for the job's records",
    "cpu_us_per_item": "CPU us an item",
    "wall_us_per_item": "wall us an item",
    "wall_seconds": "seconds",
    "read_units": "read units",
    "items_per_second": "items a second",
    "items_per_second_per_core": "items a second and core",
    "requests_per_item": "requests an item",
    "write_units_per_item": "write units an item",
    "peak_megabytes": "peak MB",
    "engine_busy_percent": "engine busy %",
}
OF_GROWTH_ALONE: Final = frozenset({"wall_seconds"})
OF_PEERS_ALONE: Final = frozenset(
    {"items_per_second", "items_per_second_per_core", "write_units_per_item", "engine_busy_percent"}
)
TITLES: Final[Mapping[str, str]] = {
    "steady_state": "Ten weeks of trade",
    "due_reads": "1,000 due, and what is pending for later",
    "idle_job": "A job with next to nothing to do",
    "doors": "A large file",
    "partitions": "One worker, where each partition takes 1,000 write units a second",
    "end_to_end": "A change of every item: read, settled and written",
    "at_a_distance": "The same where every answer takes 10 ms",
    "growth_items": "More items, all of them due",
    "growth_due": "The same number of due changes in a table that grows, scope `due`",
    "growth_item_size": "Larger items",
}

_Rows = dict[str, dict[str, Entry]]  # what a line is called, its entries by unit
_Column = tuple[str, str, Callable[[Entry], str]]  # a heading, a unit, what to say of an entry


def told(entries: Iterable[Entry]) -> str:
    """Everything that was measured."""
    entries = list(entries)
    machines = dict.fromkeys(entry.machine for entry in entries if entry.machine)
    parts = [f"Machine: {machine}" for machine in machines]
    for section, table in tables(entries).items():
        comparison, engine = section.split(":")
        parts += [f"{TITLES[comparison]} ({engine})", table]
    return "\n\n".join(parts)


def tables(entries: Iterable[Entry]) -> dict[str, str]:
    """A table for each comparison and engine, by `COMPARISON:ENGINE`."""
    sections: dict[str, _Rows] = {}
    for entry in entries:
        rows = sections.setdefault(f"{entry.comparison}:{entry.engine}", {})
        rows.setdefault(entry.case or entry.name, {})[entry.unit] = entry
    return {section: _table(rows, _columns(rows)) for section, rows in sections.items()}


def _columns(rows: _Rows) -> list[_Column]:
    """Of peers, how many times better they are, then every figure; of growth, the figures beside the first ones."""
    first = next(iter(rows.values()))
    is_growth = any(entry.case for entry in first.values())
    measured = {unit for row in rows.values() for unit in row} - (OF_PEERS_ALONE if is_growth else OF_GROWTH_ALONE)
    units = [unit for unit in COLUMNS if unit in measured]
    if is_growth:
        return [(COLUMNS[unit], unit, lambda entry: _beside(entry.value, first[entry.unit].value)) for unit in units]
    ratios: list[_Column] = [
        (f"x better, {COLUMNS[unit].split()[0]}", unit, lambda entry: _number(entry.times_better))
        for unit in units
        if unit in ("cpu_us_per_item", "wall_us_per_item")
    ]
    return ratios + [(COLUMNS[unit], unit, lambda entry: _number(entry.value)) for unit in units]


def _table(rows: _Rows, columns: Sequence[_Column]) -> str:
    lines = [["", *(heading for heading, _, _ in columns)], ["---", *("---:" for _ in columns)]]
    for name, row in rows.items():
        lines.append([name, *(text(row[unit]) if unit in row else "" for _, unit, text in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(document: str, replacements: Mapping[str, str]) -> str:
    """``document`` with each text between its two markers, `<!-- benchmark NAME -->` and `<!-- end -->`.

    ValueError names a text that has no markers.
    """
    for name, text in replacements.items():
        begin, end = f"<!-- benchmark {name} -->\n", "<!-- end -->"
        before, begun, rest = document.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise ValueError(f"the document has no place for {name}")
        document = f"{before}{begin}\n{text}\n\n{end}{after}"
    return document


def _beside(value: float, first: float) -> str:
    return f"{_number(value)} ({value / first:.2f})" if first else _number(value)


def _number(value: float | None) -> str:
    """Three significant digits, and all of those before the point."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"
