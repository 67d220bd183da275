"""A history: a seeded scheduler that decides at every request whose turn it is and what happens to it."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any, Final

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.intake.refusals import RefusedError
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import GRACE, ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from tests.builders import record_attributes
from tests.engines import TABLES, Tables, table_definition
from tests.fakes.clock import Clock
from tests.simulation.cast import StateMachine, begin
from tests.simulation.content import BEGIN, Member, drawn
from tests.simulation.deliveries import FAULTS, OPERATIONS, Deliveries
from tests.simulation.faults import (
    AnswerLost,
    Dies,
    DoneTwice,
    Fault,
    LandsLater,
    ProcessDied,
    Refused,
    RefusedInPart,
    Stale,
)
from tests.simulation.table import SimulatedDynamoDB
from tests.simulation.turns import Actor, take_turns

RETENTION_DAYS: Final = 1
_DAY: Final = timedelta(days=RETENTION_DAYS)
_LONG: Final = 4 * 86_400.0
"""Until all changes of the second day are due, and all windows have ended."""
_TURNS: Final = 5_000

_READS: Final = frozenset({"get_item", "batch_get_item", "query", "scan"})
_SORE_RATE: Final = 0.4
_STALLS: Final = (10, 50, 100, 200)
_JUMPS: Final = (1.5, 30.0, 300.0, 600.0, 1_200.0, 2_700.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """What a history is played from.

    Attributes:
        seed: of what it is about.
        schedule: of whose turn it is, and of what goes wrong.
        without: names of members, ids of changes and names of mishaps that are left out.
    """

    seed: int
    schedule: int = 0
    without: frozenset[str] = frozenset()


class QuietReports:
    """Where the jobs report to: no people, and a system that counts what it hears of each job."""

    notifies_people = False
    publishes_results = True

    def __init__(self, reached: Counter[str], heard: Counter[str]) -> None:
        self._reached = reached
        self._heard = heard

    def log(self, run: Any) -> None:
        self._reached[f"a job ended {run.status}"] += 1

    def publish_metrics(self, run: Any, moment: Any) -> None:
        pass

    def publish_result(self, run: Any, jobs_table: str) -> None:  # noqa: ARG002  # as it is called
        self._heard[run.job_id] += 1
        self._reached["a result was published again"] += self._heard[run.job_id] == 2

    def publish_silence(self, silence: Any, moment: Any) -> None:
        pass

    def send_alert(self, run: Any, failures: Any) -> None:
        pass


@dataclass
class Turn:
    """A request, by whom, and what became of it."""

    who: str
    at: float
    """In seconds of the clock."""
    operation: str
    request: Mapping[str, Any]
    fate: Fault | None
    landed: range
    """Which writes of the log it made."""
    error: str = ""


@dataclass
class History:
    """A history: `play` it, then look at what it left."""

    plot: Plot
    reached: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    """How often a result of each job was published."""
    machines: dict[str, StateMachine] = field(default_factory=dict)
    scheduled: set[tuple[ItemKey, str]] = field(default_factory=set)
    """What a door has said is scheduled."""
    told_cancelled: set[tuple[ItemKey, str]] = field(default_factory=set)
    planned: set[tuple[ItemKey, str, int, str]] = field(default_factory=set)
    """Item, change, attempt, outcome."""
    mishaps: list[str] = field(default_factory=list)
    """What went wrong, by name: each can be left out."""
    kinds: dict[str, None] = field(default_factory=dict)
    """The kinds of what went wrong: one can be left out altogether."""
    turns: list[Turn] = field(default_factory=list)
    died: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.content = drawn(self.plot.seed, self.plot.without)
        self.chance = random.Random(f"turns {self.plot.seed} {self.plot.schedule}")
        self._mischance = random.Random(f"mishaps {self.plot.seed} {self.plot.schedule}")
        self.clock = Clock(lambda: BEGIN, seconds=self.chance.uniform(0, 5_400))
        self.dynamodb = SimulatedDynamoDB(
            random.Random(f"answers {self.plot.seed}"), self.clock.monotonic, self.fate_of
        )
        self.deliveries = Deliveries(self)
        for definition in _definitions():
            self.dynamodb.create_table(**definition)
        self.tables = Tables("inventory-test", "inventory-changes-test", "inventory-jobs-test")
        self._fault_rate = 0.0
        self._fate: Fault | None = None
        self._late: list[str] = []
        self._alive: list[Actor] = []
        self._ends: dict[str, Callable[[Actor], None]] = {}
        self._postponed: list[Callable[[], None]] = []
        self._names: Counter[str] = Counter()
        self._tokens = self._mishap_number = 0
        self._is_second_day = False

    # What the cast asks for

    def now(self) -> str:
        return format_time(self.clock())

    def token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:032x}"

    def services(self, client: Any) -> Services:
        """What a call works with; between two calls somebody may have deployed other settings."""
        chance = self.chance
        settings = _settings(
            segments=chance.choice((1, 2, 2, 3)),
            page_size=chance.choice((1, 2, 3, 3, 10)),
            batch_size=chance.choice((1, 1, 1, 2, 25)),
        )
        return Services(
            client,
            InventoryTable(client, self.tables.inventory),
            ChangeTable(client, self.tables.changes, retention_days=RETENTION_DAYS),
            JobTable(client, self.tables.jobs, retention_days=30, clock=self.clock, sleep=self.clock.sleep),
            QuietReports(self.reached, self.heard),
            settings,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )

    def happens(self, what: str, rate: float) -> bool:
        """Whether this goes wrong, too."""
        if self._mischance.random() >= rate:
            return False
        return self._is_kept(what.rpartition(" ")[2], what)

    def _is_kept(self, kind: str, what: str) -> bool:
        """Whether a mishap is not left out, by its kind or by its name; a name holds while all before it stays."""
        self._mishap_number += 1
        name = f"{self._mishap_number}: {what}"
        if name in self.plot.without or kind in self.plot.without:
            return False
        self.kinds.setdefault(kind)
        self.mishaps.append(name)
        return True

    def spawn(self, name: str, work: Callable[[Actor], Any], then: Callable[[Actor], None] | None = None) -> None:
        """Let a process begin; ``then`` is told when it has ended."""
        self._names[name] += 1
        actor = Actor(f"{name} ({self._names[name]})", self._perform, work)
        self._alive.append(actor)
        if then is not None:
            self._ends[actor.name] = then

    def later(self, what: Callable[[], None]) -> None:
        """Do this when somebody has ended, or nobody is left."""
        self._postponed.append(what)

    # Requests

    def _perform(self, actor: Actor, operation: str, request: dict[str, Any]) -> Any:
        """A request of an actor, in its thread."""
        return self._ask(actor.name, operation, request)

    def _ask(self, who: str, operation: str, request: dict[str, Any]) -> Any:
        self.clock.goes_on(self.chance.uniform(0.01, 0.25))
        self._fate = None
        waiting, landed, error = len(self.dynamodb.on_their_way), len(self.dynamodb.landed), ""
        try:
            service = self.deliveries if operation in OPERATIONS else self.dynamodb
            return service.call(operation, request)
        except (Exception, ProcessDied) as problem:
            error = f"{type(problem).__name__}: {problem}"
            raise
        finally:
            if len(self.dynamodb.on_their_way) > waiting:
                self._late.append(who)
            made = range(landed, len(self.dynamodb.landed))
            self.turns.append(Turn(who, self.clock.seconds, operation, request, self._fate, made, error))

    def fate_of(self, operation: str, request: Mapping[str, Any]) -> Fault | None:
        """What happens to the request that is asked for now."""
        if not self._fault_rate or self._mischance.random() >= self._fault_rate:
            return None
        fault = self._drawn_fault(operation, request)
        if fault is None or not self._is_kept(type(fault).__name__, f"{fault} to {operation}"):
            return None
        self.reached[type(fault).__name__] += 1
        self._fate = fault
        return fault

    def _drawn_fault(self, operation: str, request: Mapping[str, Any]) -> Fault | None:
        chance = self._mischance
        if operation in OPERATIONS:
            return chance.choice(FAULTS)
        refusals: list[Fault] = [Refused(), Refused("InternalServerError"), AnswerLost(is_done=False)]
        if operation in _READS:
            if operation == "batch_get_item":
                refusals.append(RefusedInPart(frozenset({0})))
            return chance.choice([*refusals, Dies(is_done=False), Stale(chance.randint(1, 6))])
        faults: list[Fault] = [
            *refusals,
            AnswerLost(),
            Refused("InternalServerError", is_done=True),
            Dies(is_done=True),
            Dies(is_done=True),
            Dies(is_done=False),
            LandsLater(),
            LandsLater(),
        ]
        if operation != "transact_write_items":  # whose own token makes it happen once
            faults += [DoneTwice(), DoneTwice()]
        if operation == "batch_execute_statement":
            place = frozenset({chance.randrange(len(request["Statements"]))})
            faults += [
                RefusedInPart(place),
                RefusedInPart(place, "InternalServerError", is_done=True),
                AnswerLost(places=place),
            ]
        return chance.choice(faults)

    # Play

    def play(self) -> None:
        """All of it, to its undisturbed end."""
        self._put_what_is_there()
        self._fault_rate = self.content.fault_rate
        take_turns(self._turns_of(self.content.cast))
        if self.content.second_day:
            self._sleep_over_it()
            take_turns(self._turns_of(self.content.second_day))
        self._come_to_rest()

    def _put_what_is_there(self) -> None:
        for key, figures in self.content.items.items():
            item = to_attribute_values({**key._asdict(), **figures})
            self._ask("before", "put_item", {"TableName": self.tables.inventory, "Item": item})
        for row in self.content.put_by_others:
            record = to_attribute_values(record_attributes(row.key, row.change))
            # Another system does not know the shards of this history; it asks the product.
            self._ask("before", "put_item", {"TableName": self.tables.changes, "Item": record})

    def _turns_of(self, cast: tuple[Member, ...]) -> Iterator[Actor]:
        """Whose turn it is until all have ended; now and then one stands at a request while much happens."""
        waiting = sorted(cast, key=lambda member: member.turn)
        stalled: dict[str, int] = {}
        turn = 0
        while waiting or self._alive or self._postponed:
            turn += 1
            assert turn < _TURNS, "this history does not end"
            if waiting and not self._alive:
                begin(self, waiting.pop(0))
            for member in [each for each in waiting if self._comes(each, turn, stalled)]:
                waiting.remove(member)
                begin(self, member)
            if not self._alive:
                while self._postponed:
                    self._postponed.pop(0)()
                self.clock.goes_on(120.0)
                continue
            ready = [each for each in self._alive if stalled.get(each.name, 0) <= turn]
            actor = self.chance.choice(ready or self._alive)
            yield actor
            # While one stands where it hurts the others go on: all that may happen meanwhile has to.
            is_sore = actor.stands_at == self.content.sore_point and len(ready) == len(self._alive)
            if self.chance.random() < (_SORE_RATE if is_sore else self.content.stall_rate):
                stalled[actor.name] = turn + self.chance.choice(_STALLS)
            if actor.is_done:
                self._bury(actor)
            self._between()

    def _comes(self, member: Member, turn: int, stalled: dict[str, int]) -> bool:
        """Whether it is time for somebody; for who stops a job, when that is about to write, which has to wait then."""
        if not member.name.startswith("stopper"):
            return member.turn <= turn
        writes = ("batch_execute_statement", self.tables.inventory)
        writing = [each.name for each in self._alive if each.name.startswith(member.with_) and each.stands_at == writes]
        for name in writing:
            stalled[name] = turn + 25
        return bool(writing)

    def _bury(self, actor: Actor) -> None:
        self._alive.remove(actor)
        if actor.is_dead:
            self.died.add(actor.name)
        if actor.problem is not None and not isinstance(actor.problem, RefusedError):
            self.reached[f"ended by {type(actor.problem).__name__}"] += 1
        then = self._ends.pop(actor.name, None)
        if then is not None:
            then(actor)
        if self._postponed and self.chance.random() < 0.3:
            self._postponed.pop(0)()

    def _between(self) -> None:
        """What happens beside the actors: late requests arrive, time passes, indexes fall behind, records expire."""
        chance = self.chance
        if self._late and chance.random() < 0.1:
            self._deliver(chance.randrange(len(self._late)))
        roll = chance.random()
        if roll < self.content.jump_rate:
            seconds = chance.choice(_JUMPS)
            if self._is_kept("time passes", f"{seconds:.0f} seconds pass"):
                self.clock.goes_on(seconds)
        elif roll > 0.95:
            self.dynamodb.lag = chance.choice((0, 0, 1, 3, 8))
        elif self._is_second_day and roll > 0.85:
            self._expire(chance)

    def _deliver(self, place: int) -> None:
        who = self._late.pop(place)
        operation, request = self.dynamodb.on_their_way[place]
        landed = len(self.dynamodb.landed)
        self.dynamodb.deliver(place)
        made = range(landed, len(self.dynamodb.landed))
        if made:
            self.reached["a late request landed"] += 1
        self.turns.append(Turn(f"{who}, late", self.clock.seconds, operation, request, None, made))

    def _expire(self, chance: random.Random) -> None:
        """Delete a record that has expired, as TTL does some time after.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
        """
        now = self.clock().timestamp()
        expired = [
            record
            for record in self.dynamodb.items(self.tables.changes)
            if "expires_at" in record and float(record["expires_at"]["N"]) <= now
        ]
        if expired:
            record = chance.choice(expired)
            key = {name: record[name] for name in ("item", "change_id")}
            rate, self._fault_rate = self._fault_rate, 0.0
            self._ask("TTL", "delete_item", {"TableName": self.tables.changes, "Key": key})
            self._fault_rate = rate
            self.reached["a record expired"] += 1

    def _sleep_over_it(self) -> None:
        """The night: no process outlives it, all that is due is settled, and some records are about to expire."""
        self._arrive()
        rate, self._fault_rate = self._fault_rate, 0.0
        self._run_undisturbed("night", "due", 1_200.0)
        self._fault_rate = rate
        expiries = sorted(
            float(record["expires_at"]["N"])
            for record in self.dynamodb.items(self.tables.changes)
            if "expires_at" in record
        )
        if expiries:
            # Two edges: until when a door takes it again, and until when the record is kept.
            moment = self.chance.choice(expiries) - self.chance.choice((0.0, GRACE.total_seconds()))
            moment += self.chance.choice((-60.0, -1.0, 0.0, 0.1, 1.0, 60.0))
            seconds = moment - self.clock().timestamp()
        else:
            seconds = _DAY.total_seconds()
        self.clock.goes_on(max(seconds, 1.0))
        self._is_second_day = True

    def _arrive(self) -> None:
        """Let all arrive that is on its way, and the indexes show it."""
        while self._late:
            self._deliver(0)
        self.dynamodb.lag = 0

    def _come_to_rest(self) -> None:
        """Dead letters are sent again; then two undisturbed jobs, the second when every window has ended."""
        self._arrive()
        self._fault_rate = 0.0
        self.deliveries.redrive(_Undisturbed(self, "operator"))
        for number, (scope, seconds) in enumerate((("due", 7_200.0), ("all", _LONG)), 1):
            self._run_undisturbed(f"rest-{number}", scope, seconds)

    def _run_undisturbed(self, job_id: str, scope: Any, after: float) -> None:
        self.clock.goes_on(after)
        client: Any = _Undisturbed(self, job_id)
        now = self.now()
        services = self.services(client)
        run_job(
            replace(services, settings=_settings(segments=1, page_size=50, batch_size=25)),
            JobRequest(job_id, now, scope, now),
        )

    # What it left

    def stored(self, table: str) -> list[dict[str, Any]]:
        found: Any = self.dynamodb.items(table)
        return [from_attribute_values(each) for each in found]


class _Undisturbed:
    """A client of which every request is done at once."""

    def __init__(self, history: History, name: str) -> None:
        self._history = history
        self._name = name
        self.exceptions = history.dynamodb.exceptions

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **request: self._history._ask(self._name, operation, request)  # noqa: SLF001  # a part of it


@cache
def _definitions() -> tuple[dict[str, Any], ...]:
    return tuple(table_definition(name, "test") for name in TABLES)


@cache
def _settings(*, segments: int, page_size: int, batch_size: int) -> Settings:
    return replace(_SETTINGS, segments=segments, page_size=page_size, batch_size=batch_size)


_SETTINGS: Final = Settings(
    "test",
    "inventory-test",
    "inventory-changes-test",
    "inventory-jobs-test",
    write_concurrency=1,
    change_retention_days=RETENTION_DAYS,
    function_timeout_seconds=3,
)
