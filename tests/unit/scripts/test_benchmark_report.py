"""The tables of the benchmarks."""

import pytest

from benchmarks.figures import Entry
from benchmarks.report import limits_table, tables, told, with_tables
from cli.engine import CHECKOUT

PEERS = [
    Entry("end_to_end", "instant", "inventory-updater", "cpu_us_per_item", 41.25, 24.0, machine="some processor"),
    Entry("end_to_end", "instant", "inventory-updater", "requests_per_item", 0.04, 25.0, machine="some processor"),
    Entry("end_to_end", "instant", "boto3 resource loop", "cpu_us_per_item", 990.0, 1.0, machine="some processor"),
]
GROWTH = [
    Entry("growth_due", "instant", "inventory-updater", "read_units", 50.0, None, "10,000 items", "some processor"),
    Entry("growth_due", "instant", "inventory-updater", "read_units", 75.0, None, "1,000,000 items", "some processor"),
]


def test_ratios_come_first() -> None:
    assert tables(PEERS) == {
        "end_to_end:instant": (
            "|  | x better, CPU | CPU us an item | requests an item |\n"
            "| --- | ---: | ---: | ---: |\n"
            "| inventory-updater | 24 | 41.2 | 0.04 |\n"
            "| boto3 resource loop | 1 | 990 |  |"
        )
    }


def test_growth_is_told_beside_its_first_point() -> None:
    assert tables(GROWTH) == {
        "growth_due:instant": (
            "|  | read units |\n| --- | ---: |\n| 10,000 items | 50 (1.00) |\n| 1,000,000 items | 75 (1.50) |"
        )
    }


def test_what_is_told_names_the_machine_once() -> None:
    text = told([*PEERS, *GROWTH])

    assert text.startswith(
        "Machine: some processor\n\nScan, plan and conditional write of every item (instant)\n\n|  | x"
    )
    assert text.count("some processor") == 1


def test_tables_are_put_between_their_markers() -> None:
    document = (
        "# Title\n<!-- benchmark floor:instant -->\nold\n<!-- end -->\nafter\n<!-- benchmark x -->\n<!-- end -->\n"
    )

    assert with_tables(document, {"floor:instant": "new"}) == document.replace("old", "\nnew\n")


def test_a_table_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for floor:instant"):
        with_tables("# Title\n", {"floor:instant": "new"})


@pytest.mark.parametrize(
    "section",
    [
        "machine",
        "goals",
        "limits",
        *(f"end_to_end:{engine}" for engine in ("instant", "ministack", "dynamodb-local")),
        "growth_due:dynamodb-local",
        *(f"write_units:{engine}" for engine in ("ministack", "dynamodb-local")),
        *(f"{comparison}:instant" for comparison in ("floor", "growth_items", "growth_due", "growth_item_size")),
        *(f"{comparison}:instant" for comparison in ("growth_segments", "growth_batch_size")),
    ],
)
def test_the_document_has_a_place_for_every_table(section: str) -> None:
    document = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    assert "a table" in with_tables(document, {section: "a table"})


def test_limits_say_how_many_cores_use_up_the_quota_of_a_table() -> None:
    speeds = [
        Entry("end_to_end", "instant", "inventory-updater", "items_per_second_per_core", 20_000.0, 20.0),
        Entry("end_to_end", "instant", "boto3 resource loop", "items_per_second_per_core", 1_000.0, 1.0),
        Entry("end_to_end", "ministack", "inventory-updater", "items_per_second_per_core", 5.0, 1.0),
    ]

    assert limits_table(speeds).splitlines()[2:] == [
        "| the default quota of one table | 40,000 | 1 |",
        "| one core: inventory-updater | 20,000 | 2 |",
        "| one core: boto3 resource loop | 1,000 | 40 |",
    ]
