"""Frozen values that are cheap to make."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Generic, TypeVar

import pytest

from inventory_updater.values import value

T = TypeVar("T")


@value(frozen=True, slots=True)
class Price:
    amount: int
    currency: str = "EUR"


@value(frozen=True, slots=True)
class Tag:
    amount: int
    currency: str = "EUR"


@value(frozen=True, slots=True)
class Label(Generic[T]):
    content: T
    marks: Mapping[str, str] = field(default_factory=dict)


def test_values_with_equal_fields_are_equal() -> None:
    assert Price(3) == Price(3, "EUR")
    assert Price(3) != Price(4)
    assert Price(3) != Price(3, "GBP")


def test_values_of_different_kinds_are_never_equal() -> None:
    tag: object = Tag(3)

    assert Price(3) != tag


def test_equal_values_are_one_element_of_a_set_and_one_key_of_a_map() -> None:
    assert {Price(3), Price(3), Price(4)} == {Price(4), Price(3)}
    assert {Price(3): "old"} | {Price(3): "new"} == {Price(3): "new"}


def test_a_value_with_other_fields_is_a_new_one() -> None:
    price = Price(3)

    assert replace(price, amount=4) == Price(4)
    assert price == Price(3)


def test_a_value_shows_its_fields() -> None:
    assert repr(Price(3)) == "Price(amount=3, currency='EUR')"


def test_a_value_holds_its_fields_and_no_others() -> None:
    with pytest.raises(AttributeError):
        object.__setattr__(Price(3), "colour", "red")
    assert not hasattr(Price(3), "__dict__")


def test_a_value_may_be_of_a_type_and_have_what_every_one_makes_for_itself() -> None:
    assert Label(Price(3)) == Label(Price(3), {})
    assert Label(1).marks is not Label(1).marks
