"""What an item knows of its changes."""

from decimal import Decimal
from typing import Any

from inventory_updater.stock.changes import Change, ItemChanges, LastSet, Rejection, Settlement, read_changes
from tests.builders import item_attributes, moment
from tests.refusals import refusal

MAPS = ("pending_changes", "settled_changes", "rejected_changes", "last_set")

COUNTED = Change("c1", "count", Decimal(5), moment("09:00"), reason="stocktaking")
REFUSED = Change("c2", "price", "much", moment("07:30"), reference="R-7")
KNOWN: dict[str, Any] = item_attributes(
    pending=[COUNTED],
    settled={"c0": ("08:00", "07:00")},
    rejected=[(REFUSED, "08:00")],
    settled_before="06:00",
    last_set={"count": ("07:00", "c0")},
)
CHANGES = ItemChanges(
    pending={"c1": COUNTED},
    settled={"c0": Settlement(moment("08:00"), moment("07:00"))},
    rejected={"c2": Rejection(REFUSED, "INSUFFICIENT_STOCK", "there were only 3", moment("08:00"), "job-0")},
    last_set={"count": LastSet(moment("07:00"), "c0")},
    next_change_at=moment("09:00"),
    settled_before=moment("06:00"),
    version=Decimal(7),
)


def test_everything_that_an_item_knows_of_its_changes_is_read_and_written_as_it_was() -> None:
    assert read_changes(KNOWN) == CHANGES
    assert CHANGES.pending["c1"].to_map() == KNOWN["pending_changes"]["c1"]
    assert CHANGES.settled["c0"].to_map() == KNOWN["settled_changes"]["c0"]
    assert CHANGES.rejected["c2"].to_map() == KNOWN["rejected_changes"]["c2"]
    assert CHANGES.last_set["count"].to_map() == KNOWN["last_set"]["count"]


def test_the_next_version_is_one_more_and_the_first_one_is_1() -> None:
    assert CHANGES.next_version == 8
    assert ItemChanges().next_version == 1


def test_an_entry_that_is_no_map_is_refused_by_name() -> None:
    said = {name: refusal(read_changes, KNOWN | {name: {"c1": Decimal(1)}}) for name in MAPS}

    assert said == {name: f"{name}.c1 is not a map" for name in MAPS}


def test_an_entry_without_a_stored_time_is_refused_by_name() -> None:
    entries = [(name, key, entry) for name in MAPS for key, entry in KNOWN[name].items()]
    for name, key, entry in entries:
        for member in [member for member in entry if member.endswith("_at")]:
            spoilt = KNOWN | {name: {key: entry | {member: "2026-03-02T09:00:00Z"}}}
            said = f"{name}.{key}.{member} is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ"
            assert refusal(read_changes, spoilt) == said
