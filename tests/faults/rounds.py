"""One round of the campaign: a small shop of its own, a few runs in it, and every fault that its seed asks for."""

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from tests.faults.audit import Audit
from tests.faults.findings import Finding, Findings, Spoilt
from tests.faults.gate import CUT_OFF, DAMAGED, HTTP_500_LANDED, LANDED_ALL_THE_SAME, LOST_ANSWER, Worker
from tests.faults.model import Key
from tests.faults.proxy import Nursery
from tests.faults.small_shop import MINUTES, SmallShop, as_json, minute
from tests.faults.state_machine import CLOCK_OFF, KILLED, LEASE_EXPIRED, TIMED_OUT, TWO_JOBS, Job, StateMachine
from tests.faults.wire import Engine

ONLY_LOST: Final = (LOST_ANSWER, CUT_OFF, DAMAGED, HTTP_500_LANDED, f"statement: {LANDED_ALL_THE_SAME}")

BOTOCORE_SENDS: Final = 4

_STORMS: Final = ("storm", "killed", "timed out", "beside", "doubled", "mixed")
_FEW_FAULTS: Final = ("lost answers", "publishing", "clock off", "short calls")
_STAGED: Final = ("two jobs", "lease expired", "long lease", "throttled for good", "aborted")
SCENARIOS: Final = (*_STORMS, *_STAGED, *_FEW_FAULTS)


class Round:
    """One small shop and its runs."""

    def __init__(
        self, engine: Engine, nursery: Nursery | None, seed: str, number: int, scenario: str | None = None
    ) -> None:
        self.random = random.Random(f"{seed}/{number}")
        self.scenario = scenario or self.random.choice(SCENARIOS)
        self.shop = SmallShop(engine, seed, number, self.random)
        self.gate = self.shop.gate
        self.machine = StateMachine(self.shop, nursery)
        self.audit = Audit(self.shop, self.machine)
        self._last_file: list[tuple[ItemKey, Change]] = []
        self.has_time: Callable[[], bool] = lambda: True
        """Asked before each run but the last one."""
        self.may_go_on: Callable[[], bool] = lambda: True
        """Asked before every run: a campaign that has found what it looks for ends its other rounds."""

    def play(self) -> Findings:
        """Everything that happens in this round, and what it showed."""
        with contextlib.suppress(Spoilt):
            self.shop.put_items(self.random.randint(16, 40))
            for run in range(self.random.randint(2, 4)):
                if not (self.may_go_on() and self.has_time()):
                    break
                self._trade(run)
                self._run()
            if self.may_go_on():
                self.check_everything_is_settled()
        for key, item in sorted(self.shop.stored_items().items()):
            self.gate.note({"event": "closing", "item": list(key), "attributes": as_json(item)})
        self.shop.findings.injected += self.gate.injected
        self.shop.findings.hits += self.gate.hits
        where = f"round {self.shop.number} ({self.scenario})"
        self.shop.findings.problems += [f"{where}: {each}" for each in self.gate.problems]
        self.shop.findings.kinds |= self.gate.found
        return self.shop.findings

    def _present(self) -> list[Key]:
        return [key for key in self.shop.keys if key in self.gate.model.items]

    def _trade(self, run: int) -> None:
        """What happens between two runs."""
        rate = self.random.choice([0.0, 0.1, 0.25])
        present = self._present()
        changes = [
            (ItemKey(*key), self.shop.new_change(self.random, 2 * MINUTES))
            for key in present
            for _ in range(self.random.choice([0, 1, 1, 2, 3]))
        ]
        if changes:
            self.shop.schedule(f"schedule-{run}", changes, rate)
        if self._last_file and self.random.random() < 0.5:
            self.shop.schedule(f"again-{run}", self._last_file, rate)  # a file that is sent twice
        self._last_file = changes
        for key in self.random.sample(present, min(3, len(present))):
            self.shop.sell(key, self.random)
            pending = sorted(self.gate.model.items[key].pending)
            if pending and self.random.random() < 0.5:
                self.shop.cancel(f"cancel-{run}-{key}", key, [self.random.choice(pending)], rate)

    def _run(self) -> None:
        """One run, or two that meet."""
        as_of = minute(self.random.randrange(MINUTES // 2, 2 * MINUTES))
        scope = self.random.choice(["due", "due", "all"])
        storm = {"rate": 0.08, "statement_rate": self.random.choice([0.25, 0.4]), "beside": 0.08, "publishing": 0.1}
        plans: dict[str, Any] = dict(storm)
        match self.scenario:
            case "storm":
                plans |= {"rate": 0.2, "statement_rate": 0.5}
            case "killed":
                death = KILLED if self.machine.nursery else TIMED_OUT
                plans |= {"rate": 0.02, "deaths": self.random.randint(1, 2), "death": death}
            case "timed out":
                plans |= {"deaths": self.random.randint(1, 3), "death": TIMED_OUT}
            case "beside":
                plans = {"statement_rate": 0.2, "beside": 0.4}
            case "doubled":
                plans["doubles"] = True
            case "lost answers":
                # Nothing else goes wrong: then every tally has to be exact.
                plans = {"rate": 0.3, "statement_rate": 0.4, "only": ONLY_LOST}
            case "publishing":
                plans = {"statement_rate": 0.4, "publishing": 0.7}
            case "clock off":
                plans["ahead_seconds"] = self.random.choice([-3600.0, -200.0, 100.0, 3600.0])
            case "short calls":
                plans["call_seconds"] = self.random.choice([0.1, 0.2, 0.4])
            case "mixed":
                plans |= {"doubles": self.random.random() < 0.3, "deaths": self.random.randint(0, 1)}
                plans["death"] = TIMED_OUT
            case "two jobs":
                return self._two_jobs(scope, as_of, storm)
            case "lease expired":
                return self._lease_expires(scope, as_of, storm)
            case "long lease":
                return self._long_lease(scope, as_of)
            case "throttled for good":
                return self._throttled_for_good(scope, as_of)
            case _:
                return self._aborted(scope, as_of, storm)
        job = self.machine.new_job(scope, as_of, **plans)
        if job.ahead_seconds:
            self.gate.inject(CLOCK_OFF, job.name)
        return self._drive_and_check(job)

    def _drive_and_check(self, *jobs: Job) -> None:
        if len(jobs) == 1:
            self.machine.drive(jobs[0])
        else:
            with ThreadPoolExecutor(len(jobs)) as threads:
                list(threads.map(self.machine.drive, jobs))
        self.audit.check(*jobs)

    def _two_jobs(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        first, second = (self.machine.new_job(scope, as_of, **storm) for _ in range(2))
        self.gate.inject(TWO_JOBS, second.name)
        self._drive_and_check(first, second)
        if {first.outcome, second.outcome} == {"OPENED"}:
            # One had closed before the other one opened: they never met.
            self.gate.hits[TWO_JOBS] -= 1

    def _lease_expires(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """In the midst of the first job's writes its lease expires, and a second one takes it."""
        first, second = self.machine.new_job(scope, as_of, **storm), self.machine.new_job("all", as_of, **storm)
        lock, at = threading.Lock(), self.random.randint(1, 3)
        batches, strays = itertools.count(1), itertools.count(1)
        # What was under way when the lease was lost goes on, as often as botocore sends it.
        allowed = BOTOCORE_SENDS * self.shop.settings.write_concurrency * self.shop.settings.segments
        self.gate.injected[LEASE_EXPIRED] += 1

        def on_batch(worker: Worker, _number: int) -> None:
            with lock:
                if second.outcome == "OPENED" and next(strays) == allowed + 1:
                    self.gate.find(f"{worker.name} goes on writing without its lease", Finding.LEASE)
                if second.outcome or next(batches) != at:
                    return
                self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
                self.gate.in_doubt.add(first.name)
                self.machine.open(second)
                self.gate.hit(LEASE_EXPIRED, worker.name)

        first.on_batch = on_batch
        self.machine.open(first)
        if first.outcome == "OPENED":
            self.machine.update(first)
        self.machine.finish(first)
        if not second.outcome:
            self.audit.check(first)
            return
        if second.outcome == "OPENED":
            self.machine.update(second)
        self.machine.finish(second)
        self.audit.check(second, first)

    def _long_lease(self, scope: str, as_of: str) -> None:
        """A slow job that is alive keeps its lease, however long it takes."""
        self.shop.settings = replace(self.shop.settings, segments=1, write_concurrency=1, page_size=3, batch_size=2)
        job = self.machine.new_job(scope, as_of)
        rivals: list[Job] = []

        def on_batch(_worker: Worker, _number: int) -> None:
            self.shop.clock.goes_on(self.shop.settings.lease_seconds * 0.45)
            if len(rivals) < 6:
                rival = self.machine.new_job("due", as_of)
                rivals.append(rival)
                self.gate.inject(TWO_JOBS, rival.name)
                self.machine.open(rival)
                if rival.outcome == "OPENED":
                    self.gate.find(f"{rival.name} took the lease of {job.name}, which was alive", Finding.LEASE)

        job.on_batch = on_batch
        self._drive_and_check(job)

    def _throttled_for_good(self, scope: str, as_of: str) -> None:
        """The table takes nothing for one item as long as the job runs."""
        present = self._present()
        throttled = frozenset(self.random.sample(present, min(2, len(present))))
        self._drive_and_check(self.machine.new_job(scope, as_of, call_seconds=1.0, throttles_for_good=throttled))

    def _aborted(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """A job that nobody closes is settled by the next one."""
        dead = self.machine.new_job(scope, as_of, **storm, is_aborted=True)
        self.machine.drive(dead)
        self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
        self._drive_and_check(self.machine.new_job(scope, as_of, **storm))
        self.audit.check(dead)

    def check_everything_is_settled(self) -> None:
        """A last run that nothing disturbs settles whatever is left."""
        self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
        as_of = minute(3 * MINUTES)
        self._drive_and_check(self.machine.new_job("all", as_of))
        left = list(self.gate.model.due(as_of, self.gate.model.moment))
        if left:
            self.shop.findings.lost += len(left)
            self.gate.find(f"after a calm run {left[:3]} are still pending", Finding.LOST)
