"""Planning against a model that shares no code with it: random changes, cuts and orders of arrival."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import InvalidItem, StockItem, read_item
from inventory_updater.stock.planning import Plan, Policy, Unchanged, plan
from tests.builders import NOW, change, item_attributes, moment
from tests.faults.model import DERIVED, FIGURES, Item, Model

MINUTES = 9


def minute(number: int) -> str:
    return moment(f"10:0{number}")


class Books:
    """The model of the fault campaign, with one item in it."""

    def __init__(self, opening: dict[str, object], allow_negative: bool) -> None:
        self._allow_negative = allow_negative
        self._model = Model()
        self._follow("opening", attributes=opening)

    def deliver(self, arriving: Sequence[Change]) -> None:
        values = {each.change_id: str(each.value) if isinstance(each.value, Decimal) else None for each in arriving}
        changes = {each.change_id: each.to_map() | {"value": values[each.change_id]} for each in arriving}
        self._follow("schedule", changes=changes)

    def run(self, as_of: str) -> None:
        self._follow("written", run="job-1", as_of=as_of, allow_negative=self._allow_negative)

    @property
    def item(self) -> Item:
        return self._model.items["mug", "DC1"]

    def closing(self) -> dict[str, object]:
        return {name: figure or 0 for name, figure in self.item.figures.items()} | self.item.derived

    def _follow(self, event: str, **details: object) -> None:
        self._model.follow({"event": event, "item": ["mug", "DC1"], **details})


class Shelf:
    """An item as DynamoDB would hold it: plans are applied to a plain dictionary, and it is read anew for each run."""

    def __init__(self, attributes: dict[str, object], policy: Policy) -> None:
        self.attributes = attributes
        self.policy = policy
        self.outcome: dict[str, str] = {}

    def deliver(self, arriving: Sequence[Change]) -> None:
        together = dict(self.read().changes.pending) | {each.change_id: each for each in arriving}
        if together:
            self.attributes["pending_changes"] = {change_id: each.to_map() for change_id, each in together.items()}
            self.attributes["next_change_at"] = min(each.effective_at for each in together.values())

    def run(self, as_of: str) -> None:
        result = self.plan(as_of)
        if isinstance(result, Plan):
            for name, expected in result.write.guard.items():
                assert self.attributes.get(name) == expected
            self.attributes |= result.write.sets
            for name in result.write.removes:
                del self.attributes[name]
            settled = {each.change_id: "applied" for each in result.applied}
            settled |= {each.change_id: "superseded" for each in result.superseded}
            settled |= {each.change.change_id: each.code for each in result.rejected}
            assert not settled.keys() & self.outcome.keys(), "a change was settled twice"
            self.outcome |= settled
        assert isinstance(self.plan(as_of), Unchanged), "a second run finds nothing to do"

    def plan(self, as_of: str) -> Plan | Unchanged | InvalidItem:
        return plan(self.read(), as_of=as_of, now=NOW, policy=self.policy, job_id="job-1")

    def read(self) -> StockItem:
        read = read_item(self.attributes)
        assert isinstance(read, StockItem)
        return read

    def agrees_with(self, books: Books) -> None:
        closing = {name: self.attributes.get(name, 0) for name in FIGURES}
        derived = {name: self.attributes.get(name) for name in DERIVED}
        assert self.outcome == books.item.outcome
        assert closing | derived == books.closing()


quantities = st.integers(-40, 40).map(lambda number: Decimal(number) / 4)
kinds = st.sampled_from(["adjustment", "adjustment", "adjustment", "count", "price", "reorder_point", "safety_stock"])
odd_changes = st.tuples(st.sampled_from(["adjustment", "count", "theft"]), st.sampled_from(["many", None, Decimal(3)]))
judgeable = st.tuples(kinds, quantities | quantities.map(abs))
optional = dict.fromkeys(("reserved", "safety_stock", "reorder_point", "unit_price"), st.none() | quantities.map(abs))
openings: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"on_hand": quantities} | optional)


@st.composite
def lists_of_changes(draw: st.DrawFn) -> list[Change]:
    """Up to twelve changes in nine instants, so that many share one; in no order, ids included."""
    contents = draw(st.lists(st.tuples(judgeable | odd_changes, st.integers(0, MINUTES - 1)), max_size=12))
    order = draw(st.permutations(range(len(contents))))
    return [
        change(f"c{place:02}", kind, value, minute(at))
        for place, ((kind, value), at) in zip(order, contents, strict=True)
    ]


def books_and_shelf(opening: dict[str, Any], allow_negative: bool) -> tuple[Books, Shelf]:
    attributes = item_attributes(**opening)
    return Books(dict(attributes), allow_negative), Shelf(attributes, Policy(allow_negative_stock=allow_negative))


@settings(max_examples=300)
@given(lists_of_changes(), st.sets(st.integers(0, MINUTES - 1)), openings, st.booleans(), st.booleans())
def test_however_the_changes_are_cut_into_runs_in_the_order_of_their_time_the_closing_stock_is_the_same(
    changes: list[Change], cuts: set[int], opening: dict[str, Any], allow_negative: bool, just_in_time: bool
) -> None:
    books, shelf = books_and_shelf(opening, allow_negative)
    books.deliver(changes)
    books.run(minute(MINUTES))

    if not just_in_time:
        shelf.deliver(changes)
    previous = ""
    for as_of in [*map(minute, sorted(cuts)), minute(MINUTES)]:
        if just_in_time:
            shelf.deliver([each for each in changes if previous < each.effective_at <= as_of])
        shelf.run(as_of)
        previous = as_of

    shelf.agrees_with(books)
    assert shelf.read().changes.pending == {}
    assert "next_change_at" not in shelf.attributes


@settings(max_examples=300)
@given(st.data(), lists_of_changes(), openings, st.booleans())
def test_late_arrivals_are_superseded_whatever_order_they_arrive_in(
    data: st.DataObject, changes: list[Change], opening: dict[str, Any], allow_negative: bool
) -> None:
    books, shelf = books_and_shelf(opening, allow_negative)
    waiting = list(changes)
    while waiting:
        arriving = waiting[: data.draw(st.integers(1, len(waiting)), label="how many arrive")]
        waiting = waiting[len(arriving) :]
        as_of = minute(data.draw(st.integers(0, MINUTES), label="as of"))
        books.deliver(arriving)
        books.run(as_of)
        shelf.deliver(arriving)
        shelf.run(as_of)

        shelf.agrees_with(books)
        last_set = shelf.read().changes.last_set
        assert {kind: (last.effective_at, last.change_id) for kind, last in last_set.items()} == books.item.last
        assert set(shelf.read().changes.pending) == set(books.item.pending)
