"""Writes as PartiQL: the text never holds data, and its parameters are in the order of its question marks."""

import re
from collections.abc import Mapping
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.statements import statement
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import Figures, ItemKey, StockItem, read_item
from inventory_updater.stock.planning import GUARDED, Plan, Policy, Update, plan
from inventory_updater.stock.scheduling import Creation, Loading, Scheduling, load, schedule
from tests.builders import NOW, change, item, item_attributes, moment
from tests.strategies import dynamodb_values, numbers, texts

TABLE = "inventory-test"
MUG = ItemKey("mug", "DC1")


def text_of(write: Update | Creation) -> str:
    return statement(TABLE, write)["Statement"]


def parameters_of(write: Update | Creation) -> list[object]:
    parameters = statement(TABLE, write)["Parameters"]
    return [from_attribute_values({"it": value})["it"] for value in parameters]  # type: ignore[dict-item]


def update(
    sets: Mapping[str, object], *, removes: tuple[str, ...] = (), guard: Mapping[str, object] | None = None
) -> Update:
    return Update(MUG, sets, removes, guard or {})


def test_an_update_sets_removes_and_guards() -> None:
    write = update(
        {"on_hand": Decimal(7), "version": Decimal(8)},
        removes=("next_change_at", "stock_value"),
        guard={"on_hand": Decimal(5), "reserved": None, "version": Decimal(7), "unit_price": None},
    )

    assert text_of(write) == (
        'UPDATE "inventory-test" SET "on_hand"=? SET "version"=? REMOVE "next_change_at" REMOVE "stock_value" '
        'WHERE "sku"=? AND "location_id"=? AND "on_hand"=? AND "version"=? '
        'AND "reserved" IS MISSING AND "unit_price" IS MISSING'
    )
    assert parameters_of(write) == [Decimal(7), Decimal(8), "mug", "DC1", Decimal(5), Decimal(7)]


def test_an_update_without_a_guard_still_names_its_item_and_a_failed_condition_brings_it_back() -> None:
    assert statement(TABLE, update({"on_hand": Decimal(1)})) == {
        "Statement": 'UPDATE "inventory-test" SET "on_hand"=? WHERE "sku"=? AND "location_id"=?',
        "Parameters": [{"N": "1"}, {"S": "mug"}, {"S": "DC1"}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_a_creation_inserts_the_key_and_every_attribute_with_a_whole_map_as_one_parameter() -> None:
    pending = {"c1": change("c1").to_map(), "c2": change("c2", reason="?").to_map()}
    write = Creation(MUG, {"on_hand": Decimal(0), "pending_changes": pending})

    assert text_of(write) == (
        "INSERT INTO \"inventory-test\" VALUE {'sku': ?, 'location_id': ?, 'on_hand': ?, 'pending_changes': ?}"
    )
    assert parameters_of(write) == ["mug", "DC1", Decimal(0), pending]
    # AWS brings no item back for an insertion.
    assert set(statement(TABLE, write)) == {"Statement", "Parameters"}


HOSTILE = ('"', "'", "?", "--", "; DROP", '" OR "1"=\'1', "''", "\\", "\n", "{", "${x}", "\u0000")

hostile_texts = st.one_of(texts, st.sampled_from(HOSTILE), st.text(alphabet="\"'?;-\\{}[] \n", min_size=1, max_size=64))
names = st.sampled_from(("count", "adjustment", "price", "reorder_point", "safety_stock"))
effective_times = st.sampled_from([moment("08:00"), moment("09:00"), moment("20:00")])
remarks = st.none() | hostile_texts
changes = st.builds(
    Change, hostile_texts, names | hostile_texts, numbers | hostile_texts, effective_times, remarks, remarks
)
KNOWN = (
    *("sku", "location_id", *GUARDED, "pending_changes", "settled_changes", "rejected_changes", "last_set"),
    *("updated_at", "last_write_id", "currency", "description"),
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


@given(sku=hostile_texts, location_id=hostile_texts, added=st.lists(changes, min_size=1, max_size=4))
def test_no_id_and_no_text_of_a_schedule_gets_into_the_statement(
    sku: str, location_id: str, added: list[Change]
) -> None:
    key = ItemKey(sku, location_id)
    unique = list({each.change_id: each for each in added}.values())

    for attributes in (None, item_attributes(sku=sku, location_id=location_id)):
        decision = schedule(key, attributes, unique, now=NOW, create_missing=True)
        assert isinstance(decision, Scheduling)
        assert decision.write is not None
        text = text_of(decision.write)

        assert (UPDATE_SHAPE if attributes else INSERT_SHAPE).fullmatch(shape(text)), text
        assert text.count("?") == len(parameters_of(decision.write))
        assert sku in parameters_of(decision.write)


@given(currency=hostile_texts, description=hostile_texts, on_hand=st.integers(0, 9))
def test_no_text_of_a_stock_file_gets_into_the_statement(currency: str, description: str, on_hand: int) -> None:
    texts = {"currency": currency, "description": description}

    for attributes in (None, item_attributes()):
        decision = load(MUG, attributes, Figures(Decimal(on_hand)), texts, replace=True, now=NOW)
        assert isinstance(decision, Loading)

        assert (UPDATE_SHAPE if attributes else INSERT_SHAPE).fullmatch(shape(text_of(decision.write)))
        assert {currency, description} <= {value for value in parameters_of(decision.write) if isinstance(value, str)}


@given(
    hostile_texts,
    st.dictionaries(st.sampled_from([*GUARDED, "pending_changes", "last_set"]), dynamodb_values, max_size=4),
    st.dictionaries(hostile_texts, st.dictionaries(st.sampled_from(["kind", "value", "reason"]), dynamodb_values)),
)
def test_whatever_an_item_holds_its_plan_is_a_statement_and_nothing_of_it_gets_into_the_text(
    sku: str, spoilt: dict[str, object], pending: dict[str, dict[str, object]]
) -> None:
    times = {"effective_at": moment("09:00")}
    attributes = item_attributes(sku=sku) | {"pending_changes": {name: each | times for name, each in pending.items()}}
    read = read_item(attributes | spoilt)
    if not isinstance(read, StockItem):
        return
    decision = plan(read, as_of=moment("12:00"), now=NOW, policy=Policy(), job_id="'\"?")
    if not isinstance(decision, Plan):
        return

    text = text_of(decision.write)
    named = list(zip(re.findall(r'"(\w+)"=\?', text), parameters_of(decision.write), strict=True))
    sets, guard = decision.write.sets, decision.write.guard

    assert UPDATE_SHAPE.fullmatch(shape(text)), text
    assert dict(named[: len(sets)]) == dict(sets)
    assert dict(named[len(sets) :]) == {"sku": sku, "location_id": "DC1"} | {
        name: value for name, value in guard.items() if value is not None
    }


def test_the_longest_text_is_far_below_the_limit() -> None:
    everything = dict.fromkeys(KNOWN, "x")
    assert len(text_of(update(everything, removes=GUARDED, guard=everything))) < 8_192 / 4


def test_a_thousand_items_share_a_handful_of_texts() -> None:
    kinds = ("adjustment", "count", "price", "reorder_point", "safety_stock")
    items = [item(n, sku=f"sku-{n}", pending=[change(f"c{n}", kinds[n % 5], n)]) for n in range(1000)]
    planned = [plan(each, as_of=moment("12:00"), now=NOW, policy=Policy(), job_id="job-1").write for each in items]
    scheduled = [schedule(each.key, item_attributes(), [change("c")], now=NOW) for each in items]

    assert 1 <= len({text_of(write) for write in planned if write is not None}) <= 24
    assert len({text_of(each.write) for each in scheduled if isinstance(each, Scheduling) and each.write}) == 1
