"""The tables of the benchmarks."""

import pytest

from benchmarks.comparisons import COMPARISONS, MILLISECONDS, PARTITIONED
from benchmarks.counting import COUNTED, MEMORY
from benchmarks.figures import Entry
from benchmarks.measuring import engine_name
from benchmarks.report import tables, told, with_tables
from cli.engine import CHECKOUT

PEERS = [
    Entry("end_to_end", "instant", name, unit, value, ratio, machine="some processor")
    for name, unit, value, ratio in (
        ("inventory-updater", "cpu_us_per_item", 41.25, 24.0),
        ("inventory-updater", "requests_per_item", 0.04, 25.0),
        ("boto3 resource loop", "cpu_us_per_item", 990.0, 1.0),
        ("nothing like it", "cpu_us_per_item", 150.0, None),
    )
]
GROWTH = [
    Entry("growth_due", "instant", "inventory-updater", "read_units", value, None, case, "some processor")
    for value, case in ((50.0, "10,000 items"), (75.0, "1,000,000 items"))
]


def test_ratios_come_first() -> None:
    assert tables(PEERS)["end_to_end:instant"] == (
        "|  | x better, CPU | CPU us an item | requests an item |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| inventory-updater | 24 | 41.2 | 0.04 |\n"
        "| boto3 resource loop | 1 | 990 |  |\n"
        "| nothing like it |  | 150 |  |"
    )


def test_growth_is_told_beside_its_first_point() -> None:
    assert tables(GROWTH)["growth_due:instant"] == (
        "|  | read units |\n| --- | ---: |\n| 10,000 items | 50 (1.00) |\n| 1,000,000 items | 75 (1.50) |"
    )


def test_what_is_told_names_the_machine_once() -> None:
    text = told([*PEERS, *GROWTH])

    assert text.startswith(
        "Machine: some processor\n\nA change of every item: read, settled and written (instant)\n\n|  | x"
    )
    assert text.count("some processor") == 1


def test_tables_are_put_between_their_markers_and_one_without_a_place_is_an_error() -> None:
    document = "# Title\n<!-- benchmark a:instant -->\nold\n<!-- end -->\nafter\n<!-- benchmark x -->\n<!-- end -->\n"

    assert with_tables(document, {"a:instant": "new"}) == document.replace("old", "\nnew\n")
    with pytest.raises(ValueError, match="no place for b:instant"):
        with_tables(document, {"b:instant": "new"})


def test_the_document_has_a_place_for_every_table() -> None:
    document = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    places = {name: engine_name(MILLISECONDS.get(name, 0), PARTITIONED.get(name, 0)) for name in COMPARISONS}
    sections = ["machine", *(f"{name}:{place}" for name, place in (places | dict.fromkeys(COUNTED, MEMORY)).items())]

    filled = with_tables(document, {section: f"the table of {section}" for section in sections})

    assert [] == [section for section in sections if f"the table of {section}" not in filled]
