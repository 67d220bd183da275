"""Any order of arrival, any cut into runs, any deaths: the same stock, held against a model that shares no code.

Negative stock is allowed, so that no rejection decides.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.stock.settling_history import History, record

HOURS = 12
LAST = HOURS + 1


@dataclass(frozen=True)
class Fact:
    """A change as the model sees it: hours of the day, whole numbers."""

    kind: str
    value: int
    at: int
    until: int | None = None
    expected: int | None = None


HOUR, QUANTITY = st.integers(0, HOURS), st.integers(0, 9)
SETTING = st.sampled_from(["price", "reorder_point", "safety_stock"])
BOOKINGS = st.builds(Fact, st.just("adjustment"), st.integers(-9, 9), HOUR)
COUNTS = st.builds(Fact, st.just("count"), QUANTITY, HOUR, expected=st.none() | QUANTITY)
BASES = st.builds(Fact, SETTING, QUANTITY, HOUR)
WINDOWS = st.builds(
    lambda kind, value, at, length: Fact(kind, value, at, at + length), SETTING, QUANTITY, HOUR, st.integers(1, 8)
)
# Each kind alone with those that it meets, so that they do meet.
KINDS = st.sampled_from([BOOKINGS | COUNTS, BASES | WINDOWS, BOOKINGS | COUNTS | BASES | WINDOWS])


def expected_stock(known: dict[str, Fact], hour: int) -> dict[str, int | None]:
    """What the facts come to at an hour, whoever learned of them when."""
    counts = [(fact.at, name) for name, fact in known.items() if fact.kind == "count" and fact.expected is None]
    last_count = max(counts, default=None)
    since, on_hand = (-1, 10) if last_count is None else (last_count[0], known[last_count[1]].value)
    for fact in known.values():
        if fact.at > since and (fact.kind == "adjustment" or (fact.kind == "count" and fact.expected is not None)):
            on_hand += fact.value - (fact.expected or 0)
    shown: dict[str, int | None] = {"on_hand": on_hand}
    for kind, name in (("price", "unit_price"), ("reorder_point", "reorder_point"), ("safety_stock", "safety_stock")):
        of_kind = [(fact.at, each, fact) for each, fact in known.items() if fact.kind == kind]
        is_open = [entry for entry in of_kind if entry[2].until is not None and hour < entry[2].until]
        bases = [entry for entry in of_kind if entry[2].until is None]
        latest = max(is_open or bases, default=None, key=lambda entry: entry[:2])
        shown[name] = latest[2].value if latest else None
    return shown


def stock(history: History) -> dict[str, int | None]:
    names = ("on_hand", "unit_price", "reorder_point", "safety_stock")
    found = {name: history.item.get(name) for name in names}
    # A quantity that is 0 may be absent.
    return {name: None if value is None else int(value) for name, value in found.items()}


def without_zeros(figures: dict[str, int | None]) -> dict[str, int | None]:
    return {name: value if value or name in ("on_hand", "unit_price") else None for name, value in figures.items()}


@st.composite
def lives(draw: st.DrawFn) -> tuple[dict[str, Fact], list[list[str]], list[bool], int]:
    """Facts by id, the groups in which they arrive, each followed by a run, and which of the runs die unmarked."""
    facts = draw(st.lists(draw(KINDS), min_size=1, max_size=8))
    known = {f"c{number}": fact for number, fact in enumerate(facts)}
    order = draw(st.permutations(list(known)))
    groups: list[list[str]] = [[]]
    for name in order:
        if draw(st.booleans()):
            groups.append([])
        groups[-1].append(name)
    deaths = draw(st.lists(st.booleans(), min_size=len(groups), max_size=len(groups)))
    return known, groups, deaths, draw(st.integers(0, HOURS))


def stored(name: str, fact: Fact) -> dict[str, Any]:
    more: dict[str, Any] = {} if fact.expected is None else {"expected": fact.expected}
    if fact.until is not None:
        more["until"] = f"{fact.until:02}:00"
    return record(name, fact.kind, fact.value, f"{fact.at:02}:00", **more)


@settings(max_examples=400)
@given(lives())
def test_the_stock_does_not_depend_on_the_order_of_arrival_nor_on_cuts_and_deaths(
    life: tuple[dict[str, Fact], list[list[str]], list[bool], int],
) -> None:
    known, groups, deaths, first_run = life
    history = History()
    hours = [min(HOURS, first_run + number) for number in range(len(groups))]
    for group, dies, hour in zip(groups, deaths, hours, strict=True):
        history.arrive(*(stored(name, known[name]) for name in group))
        history.run(f"{hour:02}:00", marks=not dies)
    history.run(f"{LAST:02}:00")
    history.run(f"{LAST:02}:00")
    writes = history.writes

    assert without_zeros(stock(history)) == without_zeros(expected_stock(known, LAST))

    history.run(f"{LAST:02}:00")
    assert history.writes == writes
    is_open = {name for name, fact in known.items() if fact.until is not None and fact.until > LAST}
    statuses = history.statuses()
    assert {name for name, status in statuses.items() if status == "OPEN"} == is_open
    assert "PENDING" not in statuses.values()
    told = {name: statuses[name] for name in known if history.code(name) not in (None, "MISSED")}
    assert told == {}


@given(lives())
def test_every_record_says_what_the_item_decided_about_it(
    life: tuple[dict[str, Fact], list[list[str]], list[bool], int],
) -> None:
    """The bookings that say APPLIED add up to what became of the stock, from the last count on."""
    known, groups, deaths, _ = life
    history = History()
    for group, dies in zip(groups, deaths, strict=True):
        history.arrive(*(stored(name, known[name]) for name in group))
        history.run(f"{LAST:02}:00", marks=not dies)
    history.run(f"{LAST:02}:00")

    for name, fact in known.items():
        status = history.statuses()[name]
        if fact.kind == "adjustment" and status == "APPLIED":
            before, after = history.records[name]["before"], history.records[name]["after"]
            assert after - before == fact.value
        if status == "SUPERSEDED" and fact.kind in ("adjustment", "count"):
            assert any(
                other.kind == "count" and other.expected is None and (other.at, each) > (fact.at, "")
                for each, other in known.items()
                if each != name
            )
