"""Guards: what is unusual about one change beside what is stored of its item."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.stock.changes import Change
from inventory_updater.stock.guards import NOTHING, UNUSUAL, Before, Guards, before_of, empties
from inventory_updater.stock.times import LAST_MOMENT
from tests.builders import NOW, USUAL_GUARDS, change, item_attributes
from tests.strategies import numbers

OFF: Final = Guards.read(
    {
        "MaxPriceChangePercent": "0",
        "MaxCountDifferencePercent": "0",
        "MaxItemsOutOfStock": "0",
        "MaxItemsOfOnePrice": "0",
        "MaxDaysAhead": "0",
        "WholeUnits": "false",
    }
)
AT_1703: Final = before_of({"unit_price": Decimal("17.03"), "on_hand": Decimal(100), "reserved": Decimal(20)})
NUMBERS = st.decimals("0.01", "1000000", places=2)


def price(value: Any, **more: Any) -> Change:
    return change("c1", "price", value, **more)


def count(value: Any, **more: Any) -> Change:
    return change("c1", "count", value, **more)


def said(each: Change, before: Before = AT_1703, guards: Guards = USUAL_GUARDS) -> list[tuple[str, str]]:
    return [(found.column, found.code) for found in guards.unusual(each, before, guards.latest(NOW))]


def messages(each: Change, before: Before = AT_1703, guards: Guards = USUAL_GUARDS) -> list[str]:
    return [found.message for found in guards.unusual(each, before, guards.latest(NOW))]


# Prices

JUMPS: Final = [("value", "PRICE_CHANGE")]


def test_a_price_is_held_against_the_price_that_is_shown_and_the_one_below_its_windows() -> None:
    on_sale = before_of({"unit_price": Decimal(10), "base_unit_price": Decimal(40)})
    found = {
        (name, value): said(price(value), before)
        for name, before, values in (
            ("shown", AT_1703, ("1703", "25.545", "25.55", "8.515", "8.51", "17.03")),
            ("on sale", on_sale, ("4", "5", "10", "15", "16", "19", "20", "40", "60", "61")),
            ("for nothing", before_of({"unit_price": Decimal(0)}), ("1703",)),
            ("below nothing", before_of({"unit_price": Decimal(-1)}), ("1703",)),
            ("without a price", before_of(item_attributes(unit_price=None)), ("1703",)),
            ("not a number", before_of({"unit_price": "17.03"}), ("1703",)),
            ("new", NOTHING, ("1703",)),
        )
        for value in values
    }
    held = {name for name, codes in found.items() if codes == JUMPS}
    assert held == {
        ("shown", "1703"),
        ("shown", "25.55"),
        ("shown", "8.51"),
        ("on sale", "4"),
        ("on sale", "16"),
        ("on sale", "19"),
        ("on sale", "61"),
    }
    assert {name for name, codes in found.items() if codes} == held


def test_a_price_that_jumps_is_told_with_the_nearest_one_and_by_how_much() -> None:
    on_sale = before_of({"unit_price": Decimal(10), "base_unit_price": Decimal(40)})
    huge = before_of({"unit_price": Decimal("1E-130")})
    assert messages(price("1703")) == ["1703 is 9,900 % above the price of 17.03; MaxPriceChangePercent is 50"]
    assert messages(price("0.17")) == ["0.17 is 99.1 % below the price of 17.03; MaxPriceChangePercent is 50"]
    assert messages(price("15.00001"), before_of({"unit_price": Decimal(10)})) == [
        "15.00001 is 50.1 % above the price of 10; MaxPriceChangePercent is 50"
    ]
    assert messages(price("0.01"), before_of({"unit_price": Decimal(2653)})) == [
        "0.01 is 99.9 % below the price of 2653; MaxPriceChangePercent is 50"
    ]
    assert messages(price("61"), on_sale) == ["61 is 52.5 % above the price of 40; MaxPriceChangePercent is 50"]
    assert messages(price("9E+125"), huge)[0].startswith("9000")


@given(before=NUMBERS, value=NUMBERS)
def test_a_price_is_held_exactly_where_it_differs_by_more_than_the_limit(before: Decimal, value: Decimal) -> None:
    is_far = abs(value - before) * 100 > 50 * before
    assert (said(price(value), before_of({"unit_price": before})) == JUMPS) is is_far


def test_a_price_of_0_is_held_unless_it_is_0_already() -> None:
    zero = [("value", "PRICE_ZERO")]
    free = before_of({"unit_price": Decimal("0.00")})
    assert (said(price(0)), said(price(0), NOTHING), said(price(0), guards=OFF), said(price(0), free)) == (
        zero,
        zero,
        zero,
        [],
    )


# Counts

DIFFERS: Final = [("value", "COUNT_DIFFERENCE")]


def test_a_count_is_held_against_what_is_on_hand_or_was_expected() -> None:
    few, none, oversold = (before_of({"on_hand": Decimal(number)}) for number in (1, 0, -5))
    found = {
        "far above": (said(count(191)), DIFFERS),
        "far below": (said(count(9)), DIFFERS),
        "90 percent": (said(count(190)), []),
        "90 percent below": (said(count(10)), []),
        "few units": (said(count(11), few), []),
        "more than few units": (said(count(12), few), DIFFERS),
        "none there": (said(count(500), none), []),
        "oversold": (said(count(500), oversold), []),
        "nothing known": (said(count(500), NOTHING), []),
        "as expected": (said(count(2000, expected=2000)), []),
        "not as expected": (said(count(100, expected=2000)), DIFFERS),
        "none expected": (said(count(100, expected=0)), []),
        "an adjustment": (said(change("c1", value=5000)), []),
        "a reorder point": (said(change("c1", "reorder_point", 5000)), []),
    }
    assert {name: codes for name, (codes, wanted) in found.items() if codes != wanted} == {}
    assert messages(count(9)) == ["9 is 91 % below the 100 on hand; MaxCountDifferencePercent is 90"]
    assert messages(count(0)) == ["0 is 100 % below the 100 on hand; MaxCountDifferencePercent is 90"]
    assert messages(count(40, expected=20)) == ["40 is 100 % above the 20 expected; MaxCountDifferencePercent is 90"]


@given(on_hand=st.integers(-5, 500), counted=st.integers(0, 500))
def test_a_count_is_held_exactly_where_it_differs_by_more_than_the_limit_and_ten(on_hand: int, counted: int) -> None:
    is_far = on_hand > 0 and abs(counted - on_hand) > 10 and abs(counted - on_hand) * 100 > 90 * on_hand
    assert (said(count(counted), before_of({"on_hand": Decimal(on_hand)})) == DIFFERS) is is_far


def test_what_leaves_an_item_with_nothing_is_a_row_that_takes_what_is_not_reserved() -> None:
    found = {
        "sells all": (change("c1", value=-80), True),
        "sells more": (change("c1", value=-81), True),
        "leaves one": (change("c1", value=-79), False),
        "counts what is reserved": (count(20), True),
        "counts one more": (count(21), False),
        "misses all": (count(120, expected=200), True),
        "misses some": (count(121, expected=200), False),
        "sets a price": (price(0), False),
        "sets a reorder point": (change("c1", "reorder_point", 0), False),
    }
    assert {name for name, (each, wanted) in found.items() if empties(each, AT_1703) is not wanted} == set()
    out = before_of({"on_hand": Decimal(20), "reserved": Decimal(20)})
    assert not any(empties(each, before) for each, _ in found.values() for before in (out, NOTHING))


# Fractions and dates


def test_a_quantity_with_a_fraction_is_held_where_all_is_counted_in_whole_units() -> None:
    whole = replace(USUAL_GUARDS, whole_units=True)
    found = {
        "a thousand": change("c1", value="1.250"),
        "1.0": change("c1", value="1.0"),
        "minus a half": change("c1", value="-0.5"),
        "a count": count("1.5", expected="1.25"),
        "a price": price("17.25", expected="17.03"),
        "a reorder point": change("c1", "reorder_point", "1.5"),
        "a safety stock": change("c1", "safety_stock", "1.5"),
    }
    of_value = [("value", "NOT_WHOLE")]
    assert {name: said(each, NOTHING, whole) for name, each in found.items()} == {
        "a thousand": of_value,
        "1.0": [],
        "minus a half": of_value,
        "a count": [*of_value, ("expected", "NOT_WHOLE")],
        "a price": [],
        "a reorder point": of_value,
        "a safety stock": of_value,
    }
    assert not any(said(each, NOTHING) for each in found.values())
    (message,) = messages(change("c1", value="1.250"), NOTHING, whole)
    assert message.startswith("1.250 is no whole number, and WholeUnits is true: 1.250 is a thousand two hundred and ")


def test_a_time_is_held_where_it_is_more_days_ahead_than_is_usual() -> None:
    last, beyond = "2028-03-01T18:00:00.000000Z", "2028-03-01T18:00:00.000001Z"
    found = {
        "long past": said(price("17.03", at="1999-01-01T00:00:00.000000Z")),
        "the last moment": said(price("17.03", at=last, until=last, not_after=last)),
        "beyond it": said(price("17.03", at=beyond)),
        "all beyond": said(price("17.03", at=beyond, until=LAST_MOMENT, not_after=beyond)),
    }
    ahead = [(column, "FAR_AHEAD") for column in ("effective_at", "until", "not_after")]
    assert found == {"long past": [], "the last moment": [], "beyond it": ahead[:1], "all beyond": ahead}
    assert messages(price("17.03", at=beyond)) == [f"{beyond} is more than 730 days ahead; MaxDaysAhead is 730"]


def test_0_turns_a_guard_off_and_every_code_is_known_as_one_of_what_may_be_meant() -> None:
    unusual = [
        price("1703", at=LAST_MOMENT),
        price(0),
        count(9, at=LAST_MOMENT),
        change("c1", value="1.5", at=LAST_MOMENT),
    ]
    whole = replace(USUAL_GUARDS, whole_units=True)
    assert [said(each, guards=OFF) for each in unusual] == [[], [("value", "PRICE_ZERO")], [], []]
    told = {code for each in unusual for _, code in said(each, guards=whole)}
    assert told == UNUSUAL - {"OUT_OF_STOCK", "SAME_PRICE"}


@given(
    before=st.builds(Before, st.lists(numbers.map(abs)).map(tuple), st.none() | numbers, numbers),
    kind=st.sampled_from(("adjustment", "count", "price", "reorder_point", "safety_stock")),
    value=numbers,
    expected=st.none() | numbers,
)
def test_whatever_is_stored_a_change_is_judged(
    before: Before, kind: str, value: Decimal, expected: Decimal | None
) -> None:
    each = replace(change("c1", kind), value=value, expected=expected)
    assert {code for _, code in said(each, before, replace(USUAL_GUARDS, whole_units=True))} <= UNUSUAL
    assert empties(each, before) in (True, False)
