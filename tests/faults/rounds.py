"""One round of the campaign: a small shop of its own, a few runs in it, and every fault that its seed asks for."""

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from inventory_updater.intake.text_rows import ChangeRow
from tests.faults.audit import Audit
from tests.faults.findings import Finding, Findings, Spoilt
from tests.faults.gate import (
    CUT_OFF,
    DAMAGED,
    HTTP_500_LANDED,
    LANDED_ALL_THE_SAME,
    LOST_ANSWER,
    REPEATED,
    Worker,
    as_json,
)
from tests.faults.model import Key
from tests.faults.proxy import Nursery
from tests.faults.small_shop import MINUTES, SmallShop, minute
from tests.faults.state_machine import (
    CLOCK_OFF,
    FIRED_TWICE,
    KILLED,
    LEASE_EXPIRED,
    NOT_FIRED,
    STOPPED,
    TIMED_OUT,
    TWO_JOBS,
    Job,
    StateMachine,
)
from tests.faults.wire import Engine

ONLY_LOST: Final = (
    *(LOST_ANSWER, CUT_OFF, DAMAGED, HTTP_500_LANDED, REPEATED),
    *(f"statement: {LANDED_ALL_THE_SAME}", f"statement: {REPEATED}"),
)

BOTOCORE_SENDS: Final = 4

_STORMS: Final = ("storm", "killed", "timed out", "beside", "doubled", "mixed")
_STAGED: Final = ("two jobs", "lease expired", "long lease", "throttled for good", "aborted", "stopped", "schedule")
_FEW_FAULTS: Final = ("lost answers", "publishing", "clock off", "short calls", "index behind", "retention", "calm")
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
        self._last_file: Sequence[ChangeRow] = ()
        self._index: list[dict[str, Any]] = []
        self.has_time: Callable[[], bool] = lambda: True
        """Asked before each run but the last one."""
        self.may_go_on: Callable[[], bool] = lambda: True
        """Asked before every run: a campaign that has found what it looks for ends its other rounds."""

    def play(self) -> Findings:
        """Everything that happens in this round, and what it showed."""
        with contextlib.suppress(Spoilt):
            self.shop.put_items(self.random.randint(8, 20))
            for run in range(self.random.randint(2, 4)):
                if not (self.may_go_on() and self.has_time()):
                    break
                self._index = self.shop.index_now() if self.scenario == "index behind" else []
                self._trade(run)
                self._run()
                if self.scenario == "retention":
                    self._days_pass(run)
            if self.may_go_on():
                self.check_everything_is_settled()
        self._close_the_books()
        findings = self.shop.findings
        findings.injected += self.gate.injected
        findings.hits += self.gate.hits
        findings.reached += self.gate.reached + self.gate.model.reached
        where = f"round {self.shop.number} ({self.scenario})"
        findings.problems += [f"{where}: {each}" for each in self.gate.problems]
        findings.kinds |= self.gate.found
        return findings

    def _close_the_books(self) -> None:
        items, records = self.shop.stored_items(), self.shop.stored_records()
        for key in sorted({*items, *records}):
            statuses = {name: as_json(each.get("status")) for name, each in records.get(key, {}).items()}
            closing = {"item": list(key), "attributes": as_json(items.get(key)), "records": statuses}
            self.gate.note({"event": "closing", **closing})

    def _present(self) -> list[Key]:
        return [key for key in self.shop.keys if key in self.gate.model.items]

    def _trade(self, run: int) -> None:
        """What happens between two runs."""
        shop, model = self.shop, self.gate.model
        rate = self.random.choice([0.0, 0.1, 0.25])
        present = self._present()
        changes = {
            key: [shop.new_change(self.random, 2 * MINUTES) for _ in range(self.random.choice([0, 1, 2, 3]))]
            for key in present
        }
        file = shop.rows(changes)
        # Where days have passed the changes of the trading day are too old.
        allow_old = self.scenario == "retention"
        if file:
            door = self.random.choice([shop.schedule, shop.put_file])
            door(f"schedule-{run}", file, rate, allow_old=allow_old)
        if self._last_file and self.random.random() < 0.5:
            door = self.random.choice([shop.schedule, shop.put_file])
            door(f"again-{run}", self._last_file, rate)  # a file that is sent twice
        self._last_file = file
        for key in self.random.sample(present, min(3, len(present))):
            shop.put_by_itself(key, self.random)
            shop.sell(key, self.random)
            waiting = model.waiting(key)
            if waiting and self.random.random() < 0.5:
                shop.cancel(f"cancel-{run}-{key}", key, [self.random.choice(waiting)], rate)
        for by_hand in (shop.retry, shop.dismiss):
            rejected = {key: ids for key in present if (ids := model.rejected(key)) and self.random.random() < 0.3}
            if rejected:
                by_hand(f"{by_hand.__name__}-{run}", rejected, rate)
        if self.random.random() < 0.3:
            some = self.random.sample(present, min(4, len(present)))
            shop.load(f"load-{run}", some, self.random, rate)

    def _days_pass(self, run: int) -> None:
        """Records expire, and files that are older than what is remembered come again."""
        self.shop.clock.goes_on(3 * 86_400)
        self.shop.expire()
        self.shop.schedule(f"old-{run}", self._last_file, 0.0)
        if present := self._present():
            self.shop.schedule_at_the_edge(self.random.choice(present))

    def _run(self) -> None:
        """One run, or two that meet."""
        as_of = minute(self.random.randrange(MINUTES // 2, 2 * MINUTES))
        scope = self.random.choice(["due", "due", "all"])
        storm = {"rate": 0.06, "statement_rate": self.random.choice([0.2, 0.35]), "beside": 0.06, "publishing": 0.1}
        plans: dict[str, Any] = dict(storm)
        match self.scenario:
            case "storm":
                plans |= {"rate": 0.15, "statement_rate": 0.5}
            case "killed":
                death = KILLED if self.machine.nursery else TIMED_OUT
                plans |= {"rate": 0.02, "deaths": self.random.randint(1, 2), "death": death}
            case "timed out":
                plans |= {"deaths": self.random.randint(1, 3), "death": TIMED_OUT}
            case "beside":
                plans = {"statement_rate": 0.2, "beside": 0.25}
            case "doubled":
                plans["doubles"] = True
            case "lost answers":
                # Nothing else goes wrong.
                plans = {"rate": 0.3, "statement_rate": 0.4, "only": ONLY_LOST}
            case "publishing":
                plans = {"statement_rate": 0.3, "publishing": 0.7}
            case "clock off":
                plans["ahead_seconds"] = self.random.choice([-3600.0, -200.0, 100.0, 3600.0])
            case "short calls":
                plans["call_seconds"] = self.random.choice([0.1, 0.2, 0.4])
            case "mixed":
                plans |= {"doubles": self.random.random() < 0.3, "deaths": self.random.randint(0, 1)}
                plans["death"] = TIMED_OUT
            case "index behind":
                plans |= {"rate": 0.02, "index": self._index}
            case "calm" | "retention":
                # Others write all the time, and nothing goes wrong: then every tally has to be exact.
                plans = {"beside": self.random.choice([0.0, 0.2])}
            case "two jobs":
                return self._two_jobs(scope, as_of, storm)
            case "lease expired":
                return self._lease_expires(scope, as_of, storm)
            case "long lease":
                return self._long_lease(scope, as_of)
            case "throttled for good":
                return self._throttled_for_good(scope, as_of)
            case "stopped":
                return self._stopped(scope, as_of, storm)
            case "schedule":
                return self._by_schedule(storm)
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

    def _lease_expires(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """In the midst of the first job's writes its lease expires, and a second one takes it."""
        self.shop.settings = replace(self.shop.settings, page_size=3, batch_size=2)
        first, second = self.machine.new_job(scope, as_of, **storm), self.machine.new_job("all", as_of, **storm)
        lock, at = threading.Lock(), self.random.randint(2, 4)
        batches, strays = itertools.count(1), itertools.count(1)
        # What was under way when the lease was lost goes on, as often as botocore sends it.
        allowed = BOTOCORE_SENDS * self.shop.settings.write_concurrency * self.shop.settings.segments
        self.gate.injected[LEASE_EXPIRED] += 1
        others = threading.Thread(target=self.machine.drive, args=(second,))

        def on_batch(worker: Worker, _number: int) -> None:
            with lock:
                if second.outcome in ("OPENED", "DONE") and next(strays) == allowed + 1:
                    self.gate.find(f"{worker.name} goes on writing without its lease", Finding.LEASE)
                if others.ident is not None or next(batches) != at:
                    return
                self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
                self.gate.in_doubt.add(first.name)
                others.start()
                second.answered.wait()
                if second.outcome != "WAIT":  # else the first one has renewed it in that moment
                    self.gate.hit(LEASE_EXPIRED, worker.name)

        first.on_batch = on_batch
        self.machine.drive(first)
        if others.ident is None:
            return self.audit.check(first)
        others.join()
        return self.audit.check(second, first)

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
                self.machine.drive(rival)
                if rival.outcome != "SKIPPED":
                    self.gate.find(f"{rival.name} took the lease of {job.name}, which was alive", Finding.LEASE)

        job.on_batch = on_batch
        self._drive_and_check(job)

    def _throttled_for_good(self, scope: str, as_of: str) -> None:
        """One of the tables takes nothing for two items as long as the job runs."""
        present = self._present()
        table = self.random.choice(["inventory", "changes"])
        throttled = frozenset((table, key) for key in self.random.sample(present, min(2, len(present))))
        self._drive_and_check(self.machine.new_job(scope, as_of, call_seconds=1.0, throttles_for_good=throttled))

    def _aborted(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """A job that nobody closes is settled by the next one."""
        dead = self.machine.new_job(scope, as_of, **storm, is_aborted=True)
        self.machine.drive(dead)
        self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
        self._drive_and_check(self.machine.new_job(scope, as_of, **storm))
        self.audit.check(dead)

    def _stopped(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """An operator asks a job to stop in the midst of its writes, and pauses the schedule; then it goes on."""
        self.shop.settings = replace(self.shop.settings, page_size=3, batch_size=2)
        job, at, batches = self.machine.new_job(scope, as_of, **storm), self.random.randint(1, 4), itertools.count(1)

        def on_batch(worker: Worker, _number: int) -> None:
            if next(batches) == at:
                self.shop.calm_jobs().request_stop(job.name, "stopped by the campaign")
                self.gate.inject(STOPPED, worker.name)

        job.on_batch = on_batch
        self._drive_and_check(job)
        self.gate.inject(NOT_FIRED, "the schedule")
        self._drive_and_check(self.machine.scheduled_job(**storm))

    def _by_schedule(self, storm: Mapping[str, float]) -> None:
        """The schedule fires twice, or not at all."""
        if self.random.random() < 0.3:
            return self.gate.inject(NOT_FIRED, "the schedule")
        first, second = (self.machine.scheduled_job(**storm) for _ in range(2))
        self.gate.inject(FIRED_TWICE, second.name)
        return self._drive_and_check(first, second)

    def check_everything_is_settled(self) -> None:
        """A last run that nothing disturbs settles whatever is left."""
        self.shop.clock.goes_on(self.shop.settings.lease_seconds + 1)
        job = self.machine.new_job("all", self.shop.now())
        self._drive_and_check(job)
        self.audit.check_everything_is_said(job.request.as_of)
        if self.gate.problems:
            raise Spoilt
