"""Writes as PartiQL: the text never holds data, and its parameters are in the order of its question marks."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from inventory_updater.dynamodb.statements import statement
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.change_records import read_record
from inventory_updater.stock.changes import Change
from inventory_updater.stock.item_states import GUARDED, ItemState, read_state
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.loading import new_item
from inventory_updater.stock.numbers import ZERO
from inventory_updater.stock.settling import Moment, Settled, settle
from inventory_updater.stock.writes import Creation, Update
from inventory_updater.tables.change_table import ChangeTable
from tests.builders import NOW, change, item_attributes, moment, record_attributes
from tests.strategies import dynamodb_values, numbers, texts

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

TABLE = "inventory-test"
MUG = ItemKey("mug", "DC1")
NOON = Moment(moment("12:00"), NOW)
CHANGES: Any = ChangeTable(None, TABLE, retention_days=30)  # type: ignore[arg-type]  # nothing is sent


def parameters_of(write: "BatchStatementRequestTypeDef") -> list[object]:
    return [from_attribute_values({"it": value})["it"] for value in write["Parameters"]]  # type: ignore[dict-item]


def update(
    sets: Mapping[str, object], *, removes: tuple[str, ...] = (), guard: Mapping[str, object] | None = None
) -> Update:
    return Update(MUG, sets, removes, guard or {})


def test_an_update_sets_removes_and_guards() -> None:
    write = update(
        {"on_hand": Decimal(7), "version": Decimal(8)},
        removes=("windows", "stock_value"),
        guard={"on_hand": Decimal(5), "reserved": None, "version": Decimal(7), "unit_price": None},
    )

    assert statement(TABLE, write)["Statement"] == (
        'UPDATE "inventory-test" SET "on_hand"=? SET "version"=? REMOVE "windows" REMOVE "stock_value" '
        'WHERE "sku"=? AND "location_id"=? AND "on_hand"=? AND "version"=? '
        'AND "reserved" IS MISSING AND "unit_price" IS MISSING'
    )
    assert parameters_of(statement(TABLE, write)) == [Decimal(7), Decimal(8), "mug", "DC1", Decimal(5), Decimal(7)]


def test_an_update_without_a_guard_still_names_its_item_and_a_failed_condition_brings_it_back() -> None:
    assert statement(TABLE, update({"on_hand": Decimal(1)})) == {
        "Statement": 'UPDATE "inventory-test" SET "on_hand"=? WHERE "sku"=? AND "location_id"=?',
        "Parameters": [{"N": "1"}, {"S": "mug"}, {"S": "DC1"}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_a_creation_inserts_the_key_and_every_attribute_with_a_whole_map_as_one_parameter() -> None:
    windows = {"c1": {"kind": "price", "value": Decimal(2)}, "c2": {"kind": "?"}}
    write = statement(TABLE, Creation(MUG, {"on_hand": Decimal(0), "windows": windows}))

    assert write["Statement"] == (
        "INSERT INTO \"inventory-test\" VALUE {'sku': ?, 'location_id': ?, 'on_hand': ?, 'windows': ?}"
    )
    assert parameters_of(write) == ["mug", "DC1", Decimal(0), windows]
    # AWS brings no item back for an insertion.
    assert set(write) == {"Statement", "Parameters"}


HOSTILE = ('"', "'", "?", "--", "; DROP", '" OR "1"=\'1', "''", "\\", "\n", "{", "${x}", "\u0000")

hostile_texts = st.one_of(texts, st.sampled_from(HOSTILE), st.text(alphabet="\"'?;-\\{}[] \n", min_size=1, max_size=64))
kinds = st.sampled_from(("count", "adjustment", "price", "reorder_point", "safety_stock"))
remarks = st.none() | hostile_texts
changes = st.builds(
    Change,
    change_id=hostile_texts,
    kind=kinds | hostile_texts,
    value=numbers,
    effective_at=st.sampled_from([moment("08:00"), moment("09:00"), moment("20:00")]),
    until=st.none() | st.just(moment("21:00")),
    expected=st.none() | numbers,
    reason=remarks,
    reference=remarks,
)
KNOWN = (
    *("sku", "location_id", *GUARDED, "last_set", "windows", "decided", "currency", "description"),
    *("base_unit_price", "base_reorder_point", "base_safety_stock", "version", "updated_at"),
    *("item", "change_id", "kind", "value", "effective_at", "until", "expected", "not_after", "reason", "reference"),
    *("status", "attempt", "due_shard", "due_at", "settled_at", "code", "message", "before", "after", "expires_at"),
    *("opened_at", "opened_before", "opened_after", "job_id", "actor", "source", "scheduled_at"),
)


def shape(text: str) -> str:
    """The text without the names of this package's attributes: nothing but PartiQL should be left."""
    for name in KNOWN:
        text = text.replace(f'"{name}"', "NAME").replace(f"'{name}'", "NAME")
    return text


UPDATE_SHAPE = re.compile(
    r'UPDATE "inventory-test"( SET NAME=\?)+( REMOVE NAME)* WHERE NAME=\?( AND NAME(=\?| IS MISSING))*'
)
INSERT_SHAPE = re.compile(r'INSERT INTO "inventory-test" VALUE \{NAME: \?(, NAME: \?)*\}')


def well_formed(write: "BatchStatementRequestTypeDef") -> bool:
    pattern = INSERT_SHAPE if write["Statement"].startswith("INSERT") else UPDATE_SHAPE
    is_pure = pattern.fullmatch(shape(write["Statement"])) is not None
    return is_pure and write["Statement"].count("?") == len(write["Parameters"])


@given(hostile_texts, hostile_texts, changes, hostile_texts)
def test_no_text_of_a_file_or_a_message_gets_into_the_statement(
    sku: str, location_id: str, one: Change, said: str
) -> None:
    key = ItemKey(sku, location_id)
    writes = [
        CHANGES.insertion(key, one, {"actor": said, "source": said}),
        statement(TABLE, new_item(key, Figures(ZERO), {"currency": said, "description": said}, NOW)),
    ]

    assert [write["Statement"] for write in writes if not well_formed(write)] == []
    assert [sku in parameters_of(write) and said in parameters_of(write) for write in writes] == [True, True]


@given(
    hostile_texts,
    st.dictionaries(
        st.sampled_from([*GUARDED, "last_set", "windows", "decided", "version"]), dynamodb_values, max_size=3
    ),
    st.lists(changes, min_size=1, max_size=4, unique_by=lambda each: each.change_id),
    st.dictionaries(st.sampled_from(["kind", "value", "until", "status", "attempt"]), dynamodb_values, max_size=2),
)
@example("MUG", {}, [Change("w", "price", ZERO, moment("08:00"), moment("21:00"))], {})
def test_whatever_an_item_and_its_records_hold_what_is_settled_is_statements_and_nothing_of_it_gets_into_the_text(
    sku: str, spoilt: dict[str, object], due: list[Change], odd: dict[str, object]
) -> None:
    key = ItemKey(sku, "DC1")
    state = read_state(item_attributes(sku=sku) | spoilt)
    if not isinstance(state, ItemState):
        return
    records = [read_record(record_attributes(key, each) | odd) for each in due]
    settled = settle(state, records, NOON, are_all=True)
    if not isinstance(settled, Settled):
        return
    writes = [CHANGES.mark(key, mark, {"job_id": "'\"?"}) for mark in settled.marks]
    if settled.write is not None:
        write = statement(TABLE, settled.write)
        named = list(zip(re.findall(r'"(\w+)"=\?', write["Statement"]), parameters_of(write), strict=True))
        sets, guard = settled.write.sets, settled.write.guard
        assert dict(named[: len(sets)]) == dict(sets)
        assert dict(named[len(sets) :]) == {"sku": sku, "location_id": "DC1"} | {
            name: value for name, value in guard.items() if value is not None
        }
        writes.append(write)

    assert [write["Statement"] for write in writes if not well_formed(write)] == []


def test_the_longest_text_is_far_below_the_limit() -> None:
    everything = dict.fromkeys(KNOWN, "x")
    write = statement(TABLE, update(everything, removes=GUARDED, guard=everything))
    assert len(write["Statement"]) < 8_192 / 2


def test_a_thousand_items_share_a_handful_of_texts() -> None:
    kinds = ("adjustment", "count", "price", "reorder_point", "safety_stock")
    item_texts, record_texts = set(), set()
    for number in range(1000):
        state = read_state(item_attributes(number, sku=f"sku-{number}"))
        assert isinstance(state, ItemState)
        record = read_record(record_attributes(state.key, change(f"c{number}", kinds[number % 5], number)))
        settled = settle(state, [record], NOON)
        assert isinstance(settled, Settled)
        assert settled.write is not None
        item_texts.add(statement(TABLE, settled.write)["Statement"])
        record_texts |= {CHANGES.mark(state.key, mark, {"job_id": "job-1"})["Statement"] for mark in settled.marks}

    assert (1 <= len(item_texts) <= 24, len(record_texts)) == (True, 1)
