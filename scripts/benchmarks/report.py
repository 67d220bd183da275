"""Entries as Markdown tables, ratios first, and the places in a document where these tables stand; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from benchmarks.figures import Entry

PEER_COLUMNS: Final[Mapping[str, str]] = {
    "cpu_us_per_item": "CPU us an item",
    "wall_us_per_item": "wall us an item",
    "items_per_second": "items a second",
    "items_per_second_per_core": "items a second and core",
    "requests_per_item": "requests an item",
    "write_units_per_item": "write units an item",
    "peak_megabytes": "peak MB",
    "engine_busy_percent": "engine busy %",
}
GROWTH_COLUMNS: Final[Mapping[str, str]] = {
    "cpu_us_per_item": "CPU us an item",
    "wall_us_per_item": "wall us an item",
    "wall_seconds": "seconds",
    "read_units": "read units",
    "requests_per_item": "requests an item",
    "peak_megabytes": "peak MB",
}
TITLES: Final[Mapping[str, str]] = {
    "end_to_end": "Scan, plan and conditional write of every item",
    "at_a_distance": "The same where every answer takes 10 ms",
    "growth_items": "More items, all of them due",
    "growth_due": "The same number of due changes in a table that grows, scope `due`",
    "growth_item_size": "Larger items",
}


def told(entries: Iterable[Entry]) -> str:
    """Everything that was measured."""
    entries = list(entries)
    parts = [f"Machine: {machine}" for machine in dict.fromkeys(entry.machine for entry in entries)]
    for section, table in tables(entries).items():
        comparison, engine = section.split(":")
        parts += [f"{TITLES[comparison]} ({engine})", table]
    return "\n\n".join(parts)


def tables(entries: Iterable[Entry]) -> dict[str, str]:
    """A table for each comparison and engine, by `COMPARISON:ENGINE`."""
    sections: dict[str, list[Entry]] = {}
    for entry in entries:
        sections.setdefault(f"{entry.comparison}:{entry.engine}", []).append(entry)
    return {
        section: growth_table(found) if any(entry.case for entry in found) else peer_table(found)
        for section, found in sections.items()
    }


def peer_table(entries: Sequence[Entry]) -> str:
    """One row for each name: how many times better in processor and in wall time first, then every figure."""
    rows = _rows(entries, lambda entry: entry.name)
    ratios = [unit for unit in ("cpu_us_per_item", "wall_us_per_item") if any(unit in row for row in rows.values())]
    columns = [unit for unit in PEER_COLUMNS if any(unit in row for row in rows.values())]
    head = ["", *(f"x better, {PEER_COLUMNS[unit].split()[0]}" for unit in ratios), *(PEER_COLUMNS[u] for u in columns)]
    body = [
        [
            name,
            *(_number(row[unit].times_better if unit in row else None) for unit in ratios),
            *(_number(row[unit].value if unit in row else None) for unit in columns),
        ]
        for name, row in rows.items()
    ]
    return _table(head, body)


def growth_table(entries: Sequence[Entry]) -> str:
    """One row for each case: how the figures relate to those of the first case in brackets."""
    rows = _rows(entries, lambda entry: entry.case)
    columns = [unit for unit in GROWTH_COLUMNS if any(unit in row for row in rows.values())]
    first = next(iter(rows.values()))
    body = [
        [case, *(_beside(row[unit].value, first[unit].value) if unit in row else "" for unit in columns)]
        for case, row in rows.items()
    ]
    return _table(["", *(GROWTH_COLUMNS[unit] for unit in columns)], body)


def with_tables(document: str, replacements: Mapping[str, str]) -> str:
    """``document`` with each text put between its two markers, `<!-- benchmark NAME -->` and `<!-- end -->`.

    Raises:
        ValueError: naming the text that has no markers.
    """
    for name, text in replacements.items():
        begin, end = f"<!-- benchmark {name} -->\n", "<!-- end -->"
        before, begun, rest = document.partition(begin)
        _, ended, after = rest.partition(end)
        if not begun or not ended:
            raise ValueError(f"the document has no place for {name}")
        document = f"{before}{begin}\n{text}\n\n{end}{after}"
    return document


def _rows(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, dict[str, Entry]]:
    rows: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        rows.setdefault(key(entry), {})[entry.unit] = entry
    return rows


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


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
