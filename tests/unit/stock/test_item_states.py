"""An item with its windows and decisions, as it is stored and as another writer may have left it."""

from decimal import Decimal

from inventory_updater.stock.change_records import Status
from inventory_updater.stock.item_states import Decision, ItemState, Window, read_state
from inventory_updater.stock.items import InvalidItem
from tests.builders import moment

ITEM: dict[str, object] = {"sku": "mug", "location_id": "DC1", "on_hand": Decimal(5)}
WINDOW = Window("price", Decimal(3), moment("08:00"), moment("18:00"))
DECISION = Decision(2, Status.REJECTED, moment("09:00"), "STALE", "no", Decimal(1), Decimal(1))


def test_what_is_stored_is_read_as_it_was() -> None:
    stored = {
        **ITEM,
        "windows": {"w": WINDOW.to_map()},
        "base_unit_price": Decimal(4),
        "decided": {"c": DECISION.to_map()},
        "version": Decimal(7),
    }
    state = read_state(stored)

    assert isinstance(state, ItemState)
    assert (state.windows, state.bases, state.decided) == ({"w": WINDOW}, {"price": Decimal(4)}, {"c": DECISION})
    assert (state.version, state.next_version) == (Decimal(7), Decimal(8))


def test_a_base_counts_only_while_a_window_is_open() -> None:
    state = read_state(ITEM | {"base_unit_price": Decimal(4)})
    assert isinstance(state, ItemState)
    assert state.bases == {}


def test_what_cannot_be_read_is_named() -> None:
    spoilt: dict[str, dict[str, object]] = {
        "on_hand is not a number": {"on_hand": "five"},
        "windows is not a map": {"windows": "none"},
        "windows.w.kind is not a kind that has windows": {"windows": {"w": WINDOW.to_map() | {"kind": "count"}}},
        "windows.w.value is not a number": {"windows": {"w": WINDOW.to_map() | {"value": "3"}}},
        "windows.w.from is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ": {
            "windows": {"w": WINDOW.to_map() | {"from": "eight"}}
        },
        "decided.c.outcome is not an outcome": {"decided": {"c": DECISION.to_map() | {"outcome": "MAYBE"}}},
        "decided.c.attempt is not a number": {"decided": {"c": DECISION.to_map() | {"attempt": "2"}}},
        "last_set.count is not a map": {"last_set": {"count": "noon"}},
        "version is not a number": {"version": "7"},
    }
    said = {}
    for attributes in spoilt.values():
        state = read_state(ITEM | attributes)
        assert isinstance(state, InvalidItem)
        said[state.message] = attributes
    assert said == spoilt
