"""Any order of schedules, cancels, sales, faults, runs and kills: hypothesis looks for one that the model refutes."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as play

from inventory_updater.stock.changes import Change
from tests.faults.findings import Spoilt
from tests.faults.rounds import Round
from tests.faults.small_shop import SmallShop, minute
from tests.faults.state_machine import TIMED_OUT, Job, StateMachine
from tests.faults.wire import Engine, hurried

ITEMS = 6
items = st.integers(0, ITEMS - 1)
minutes = st.integers(0, 120)
quarters = st.integers(-40, 60).map(lambda number: Decimal(number) / 4)
rates = st.sampled_from([0.0, 0.1, 0.3])
kinds = st.sampled_from(["adjustment", "adjustment", "adjustment", "count", "price", "reorder_point", "safety_stock"])


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A change of any kind, its id to be given; its conditions may hold or not."""
    kind, value, at = draw(kinds), draw(quarters), draw(minutes)
    if kind == "adjustment":
        return Change("", kind, value, minute(at))
    end = draw(st.none() | st.integers(at + 1, at + 80).map(minute)) if kind != "count" else None
    expected = draw(st.none() | quarters.map(abs))
    return Change("", kind, abs(value), minute(at), end, expected, draw(st.none() | minutes.map(minute)))


class Shop(RuleBasedStateMachine):
    """A shop of a few items. Every rule may meet faults; after each the tables are what the model says."""

    engine: ClassVar[Engine]
    names = 0

    def __init__(self) -> None:
        super().__init__()
        self.round: Round | None = None
        self.rate = 0.0

    @initialize(seed=st.integers(0, 10**6))
    def open_the_shop(self, seed: int) -> None:
        self.round = Round(self.engine, None, f"hypothesis/{seed}", 0, "mixed")
        self.shop.put_items(ITEMS)

    @property
    def shop(self) -> SmallShop:
        assert self.round is not None
        return self.round.shop

    @property
    def machine(self) -> StateMachine:
        assert self.round is not None
        return self.round.machine

    def name(self, what: str) -> str:
        self.names += 1
        return f"{what}-{self.names}"

    def key(self, number: int) -> tuple[str, str]:
        return self.shop.keys[number]

    @rule(rate=rates)
    def disturb(self, rate: float) -> None:
        """From now on this share of the requests and statements is disturbed."""
        self.rate = rate

    @rule(number=items, change=changes())
    def schedule(self, number: int, change: Change) -> None:
        rows = self.shop.rows({self.key(number): [replace(change, change_id=self.name("c"))]})
        self.shop.schedule(self.name("schedule"), rows, self.rate)

    @rule(number=items, which=st.integers(0, 5))
    def cancel(self, number: int, which: int) -> None:
        if waiting := self.shop.gate.model.waiting(self.key(number)):
            self.shop.cancel(self.name("cancel"), self.key(number), [waiting[which % len(waiting)]], self.rate)

    @rule(number=items, is_wanted=st.booleans())
    def retry_or_dismiss(self, number: int, is_wanted: bool) -> None:
        if rejected := self.shop.gate.model.rejected(self.key(number)):
            by_hand = self.shop.retry if is_wanted else self.shop.dismiss
            by_hand(self.name("by-hand"), {self.key(number): rejected}, self.rate)

    @rule(number=items)
    def sell(self, number: int) -> None:
        self.shop.sell(self.key(number), self.shop.random)

    @rule(number=items)
    def reserve(self, number: int) -> None:
        self.shop.reserve(self.key(number), self.shop.random)

    @rule(number=items)
    def load(self, number: int) -> None:
        self.shop.load(self.name("load"), [self.key(number)], self.shop.random, self.rate)

    @rule(number=items)
    @precondition(lambda self: len(self.shop.gate.model.items) > ITEMS // 2)
    def delete(self, number: int) -> None:
        self.shop.delete(self.key(number))

    def job(self, scope: str, at: int, **plans: Any) -> Job:
        return self.machine.new_job(
            scope, minute(at), rate=self.rate / 2, statement_rate=self.rate, beside=self.rate / 2, **plans
        )

    @rule(scope=st.sampled_from(["due", "all"]), at=minutes)
    def run(self, scope: str, at: int) -> None:
        self.drive(self.job(scope, at))

    @rule(scope=st.sampled_from(["due", "all"]), at=minutes, deaths=st.integers(1, 2))
    def run_and_kill(self, scope: str, at: int, deaths: int) -> None:
        self.drive(self.job(scope, at, deaths=deaths, death=TIMED_OUT))

    @rule(scope=st.sampled_from(["due", "all"]), at=minutes)
    def run_twice_at_once(self, scope: str, at: int) -> None:
        self.drive(self.job(scope, at, doubles=True))

    @rule(at=minutes)
    def stop_without_closing(self, at: int) -> None:
        self.drive(self.job("due", at, is_aborted=True))
        self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
        self.drive(self.job("all", at))

    def drive(self, job: Job) -> None:
        assert self.round is not None
        self.machine.drive(job)
        with contextlib.suppress(Spoilt):
            self.round.audit.check(*([] if job.is_aborted else [job]))

    @invariant()
    def nothing_is_wrong(self) -> None:
        if self.round is not None:
            with contextlib.suppress(Spoilt):
                self.round.audit.check()
            assert self.shop.gate.problems == []
            assert self.shop.findings.is_clean

    def teardown(self) -> None:
        if self.round is not None:
            try:
                with contextlib.suppress(Spoilt):
                    self.round.check_everything_is_settled()
                assert self.shop.gate.problems == []
            finally:
                self.shop.close()


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    with hurried():
        yield


def explore(engine: Engine, examples: int, steps: int) -> None:
    wanted = settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
    play(type("ShopOnAnEngine", (Shop,), {"engine": engine}), settings=wanted)


@pytest.mark.slow_on("dynamodb_local")
def test_no_order_of_a_few_events_loses_or_doubles_anything(engine: Engine) -> None:
    explore(engine, examples=3, steps=10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_order_of_many_events_loses_or_doubles_anything(engine: Engine) -> None:
    explore(engine, examples=12, steps=25)
