"""What `changes.py` and `stock.py` show of changes and of items, as people see it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType

from cli.cancelling import COLUMNS as CANCEL_COLUMNS
from cli.cancelling import cancelled_of
from cli.change_screens import (
    LIST_COLUMNS,
    Document,
    change_screen,
    document_of,
    item_changes_screen,
)
from cli.following import STATUS_COLUMNS, status_of
from cli.history import HISTORY_COLUMNS, Item, figures_then_screen, notes, settled_document
from cli.output import View, figures_screen, rows_screen, text_of
from cli.stock_screens import FIGURES
from inventory_updater.intake.following import Followed
from inventory_updater.intake.text_rows import ChangeRow
from inventory_updater.intake.withdrawing import Cancelled
from inventory_updater.stock.history import figures_at, settlements
from inventory_updater.stock.item_states import ItemState, read_state
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.scheduling import Standing, standing, unknown
from tests.builders import change, item_attributes, moment, record_attributes
from tests.screens import check_screen

MUG = ItemKey("KIT-000123", "LEEDS-DC")
JOB = "3f1c2b6e-5c84-4a53-9a0e-0c7f6d2f1c9a_9c1f0b1e-7d35-4f53-8b1d-6a1d6ee0a1f2"
ASKED = {
    "actor": "arn:aws:sts::123456789012:assumed-role/operators/ann",
    "source": "sales-2026-03-02.csv",
    "scheduled_at": moment("09:00"),
}
SETTLED: dict[str, Any] = {"settled_at": moment("09:35"), "job_id": JOB, "expires_at": Decimal(1775036100)}
REJECTED: dict[str, Any] = SETTLED | {
    "status": "REJECTED",
    "code": "INSUFFICIENT_STOCK",
    "message": "on hand is 180, the adjustment -500",
    "before": Decimal(180),
    "after": Decimal(180),
    "due_shard": "REJECTED",
    "due_at": moment("09:35"),
}
SALE: dict[str, Any] = {"reason": "sale", "reference": "order 17"}


def document(
    change_id: str, kind: str = "adjustment", value: int = -500, *, key: ItemKey = MUG, **more: Any
) -> Document:
    content = {name: more.pop(name) for name in ("at", "until", "expected") if name in more}
    attributes = record_attributes(key, change(change_id, kind, value, **content), **ASKED)
    return document_of((key, change_id), attributes | more)


def state(**more: object) -> ItemState:
    read = read_state(item_attributes(180, sku=MUG.sku, location_id=MUG.location_id) | more)
    assert isinstance(read, ItemState)
    return read


def test_rejected_changes_are_listed_with_whole_ids() -> None:
    keys = (MUG, ItemKey("TXT-000007-WOOL-THROW-OCHRE", "BATH-SHOP"))
    listed = [document(f"SO-2026-03-02-{key.sku}", key=key, **SALE, **REJECTED) for key in keys]
    rows = [[each.get(name) for name in LIST_COLUMNS] for each in listed]

    check_screen("change-list-rejected", lambda view: rows_screen(LIST_COLUMNS, rows, view))


def test_pending_changes_are_listed_with_the_columns_that_they_have() -> None:
    listed = [
        document("campaign-7", "price", 2, until="20:00", status="OPEN", attempt=Decimal(2)),
        document("recount-1", "count", 12, at="18:30", expected=14),
    ]
    rows = [[each.get(name) for name in LIST_COLUMNS] for each in listed]

    check_screen("change-list", lambda view: rows_screen(LIST_COLUMNS, rows, view))


def test_a_change_is_shown_with_its_whole_life() -> None:
    rejected = document("SO-17", **SALE, **REJECTED, dismissed_at=moment("10:00"), dismissed_by="ann", colour="red")

    check_screen("change-show", lambda view: change_screen(rejected, view))


def test_a_record_is_told_without_what_only_the_table_needs_and_with_every_time_as_one() -> None:
    told = document("SO-17", **REJECTED)
    assert (told["sku"], told["attempt"], told["expires_at"]) == (MUG.sku, 1, "2026-04-01T09:35:00.000000Z")
    assert told.keys().isdisjoint({"item", "due_shard", "due_at"})
    assert document("c1")["due_at"] == moment("09:00")


def test_a_record_in_a_shape_of_another_system_is_told_as_it_is() -> None:
    strange: Mapping[str, object] = {"status": "WILD", "expires_at": Decimal("1E+30"), "value": {"of": 3}}
    told = document_of((MUG, "c1"), strange)
    assert told == {"change_id": "c1", **MUG._asdict(), **strange}
    assert "WILD" in text_of(Group(change_screen(told, View()), item_changes_screen(None, [told], View())), View())


def test_an_item_is_shown_with_its_figures_and_its_changes() -> None:
    window = {"kind": "price", "value": Decimal("1.75"), "from": moment("09:00"), "until": moment("20:00")}
    decided: dict[str, object] = {"attempt": Decimal(1), "outcome": "APPLIED", "settled_at": moment("18:35")}
    decided |= {"before": Decimal(170), "after": Decimal(180)}
    more = {
        "unit_price": Decimal("1.75"),
        "windows": {"campaign-7": window},
        "base_unit_price": Decimal("2.50"),
        "decided": {"PO-9": decided, "SO-16": decided},
    }
    attributes = item_attributes(180, sku=MUG.sku, location_id=MUG.location_id) | more
    documents = [
        document("campaign-7", "price", 2, until="20:00", status="OPEN", attempt=Decimal(2), reason="campaign"),
        document("PO-9", value=10, at="18:30"),
        document("PO-2026-03-02-000001", value=24, at="19:30"),
        document("price-list-7", "price", 4, at="19:00"),
        document("SO-16", value=-3, status="APPLIED", **SETTLED, before=Decimal(183), after=Decimal(180)),
        document("SO-17", **SALE, **REJECTED),
    ]

    def draw(view: View) -> RenderableType:
        figures = figures_screen([(name, attributes.get(name)) for name in FIGURES], view, f"Item {MUG}")
        return Group(figures, item_changes_screen(state(**more), documents, view))

    check_screen("stock-show", draw)


def test_of_many_changes_of_an_item_the_latest_are_shown() -> None:
    settled = [
        document(f"c{number:02}", status="APPLIED", settled_at=moment(f"10:{number}")) for number in range(10, 35)
    ]
    few, every = (text_of(item_changes_screen(state(), settled, View(), limit), View()) for limit in (20, None))
    assert [f"c{number}" in few for number in (10, 14, 15, 34)] == [False, False, True, True]
    assert few.endswith("5 more: --all shows them\n")
    assert "c10" in every


OPENED: dict[str, Any] = {"opened_at": moment("08:05"), "opened_before": Decimal("2.50"), "opened_after": Decimal(2)}


def test_what_became_of_the_rows_of_a_file_is_shown_with_why() -> None:
    records = {
        "SO-2026-03-02-000016": SETTLED | {"status": "APPLIED", "before": Decimal(183), "after": Decimal(180)},
        "SO-2026-03-02-000017": REJECTED,
        "SO-2026-03-02-000018": SETTLED | {"value": Decimal(-9), "status": "APPLIED"},
        "SO-2026-03-02-000019": {},
        "SO-2026-03-02-000020": None,
    }
    rows = []
    for line, (change_id, more) in enumerate(records.items(), 2):
        asked = change(change_id, value=-500)
        record = None if more is None else record_attributes(MUG, asked, **(ASKED | more))
        where = standing(asked, MUG, record)
        document = status_of(Followed(ChangeRow(line, MUG, asked), where, None if where.status == "TAKEN" else record))
        rows.append([document[name] for name in STATUS_COLUMNS])

    check_screen("change-status", lambda view: rows_screen(STATUS_COLUMNS, rows, view))


def test_what_was_not_cancelled_is_shown_with_why() -> None:
    outcomes = [
        Cancelled(
            (MUG, "SO-16"), Standing("APPLIED", f"change SO-16 of {MUG} is APPLIED, settled at {moment('09:35')}")
        ),
        Cancelled((MUG, "SO-17"), unknown("SO-17", MUG)),
        Cancelled((MUG, "SO-18"), Standing("PENDING", "not cancelled, do the same again: on_hand is not a number")),
    ]
    rows = [[cancelled_of(each).get(name) for name in CANCEL_COLUMNS] for each in outcomes]

    check_screen("change-cancel", lambda view: rows_screen(CANCEL_COLUMNS, rows, view))


def settled_records() -> list[Mapping[str, object]]:
    window = {**SETTLED, **OPENED, "before": Decimal(2), "after": Decimal("2.50"), "status": "APPLIED"}
    return [
        record_attributes(MUG, change("campaign-7", "price", 2, "08:00", until="09:30"), **(ASKED | window)),
        record_attributes(MUG, change("SO-17", value=-500, **SALE), **(ASKED | REJECTED)),
        record_attributes(MUG, change("SO-18", value=-3, at="18:00", **SALE), **ASKED),
    ]


def test_the_history_of_an_item_is_shown_the_newest_first() -> None:
    found = [(each, record) for record in settled_records() for each in settlements(record)]
    newest_first = sorted(found, key=lambda each: each[0].order, reverse=True)
    documents = [settled_document(MUG, each, record) for each, record in newest_first]
    rows = [[each.get(name) for name in HISTORY_COLUMNS] for each in documents]

    check_screen("stock-history", lambda view: rows_screen(HISTORY_COLUMNS, rows, view))


def test_what_an_item_was_at_a_moment_is_shown_with_how_far_it_is_known() -> None:
    item = Item(MUG, item_attributes(160, sku=MUG.sku, location_id=MUG.location_id, unit_price="2.50"))
    at = moment("08:30")
    then = [(item, figures_at(at, item.present, [each for one in settled_records() for each in settlements(one)]))]

    said = notes(moment("09:00", day=1), then)

    check_screen("stock-history-at", lambda view: figures_then_screen(at, then, said, view))
