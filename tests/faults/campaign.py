"""The campaign: rounds on every engine that is there, until the time is up; what they found, as table and files."""

import contextlib
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli.engine import CHECKOUT
from tests.engines import private_dynamodb_local, private_ministack, reason_without_dynamodb_local
from tests.faults.breakages import BREAKAGES, broken
from tests.faults.findings import ZEROS, Finding, Findings
from tests.faults.gate import (
    CONFLICT_CHANGED,
    INDEX_BEHIND,
    JOBS_THROTTLED,
    LEASE_LOST,
    OUTLIVED,
    REPEATED,
    REQUEST_FAULTS,
    STATEMENT_FAULTS,
    UNPROCESSED,
    WorkerGone,
)
from tests.faults.model import CLOSED, EXPECTED, LATE_COUNT, MARKED_BY_ANOTHER, MISSED, RETRIED, Event
from tests.faults.proxy import Nursery
from tests.faults.rounds import SCENARIOS, Round
from tests.faults.small_shop import EXPIRED, FAULTS_BESIDE, TAKEN_AGAIN, TOO_OLD
from tests.faults.state_machine import FAULTS_OF_PUBLISHING, FAULTS_OF_WORKERS, SMALL_JOB
from tests.faults.wire import Engine, hurried

BUILD: Final = CHECKOUT / "build"
ENGINES: Final = ("ministack", "dynamodb-local")
_OF_REQUESTS: Final = (*REQUEST_FAULTS, JOBS_THROTTLED, UNPROCESSED, REPEATED, INDEX_BEHIND, *STATEMENT_FAULTS)
FAULTS: Final = (*_OF_REQUESTS, *FAULTS_OF_WORKERS, *FAULTS_BESIDE, *FAULTS_OF_PUBLISHING)
STATES: Final = (
    *(OUTLIVED, MARKED_BY_ANOTHER, CONFLICT_CHANGED, MISSED, CLOSED, LATE_COUNT, EXPECTED, RETRIED, TOO_OLD, EXPIRED),
    *(LEASE_LOST, SMALL_JOB, TAKEN_AGAIN),
)
"""What has to happen now and then, or the campaign proves nothing about it."""

LONG_SECONDS: Final = 300.0
"""A campaign that lasts as long has to reach every state."""

_ROUNDS_AT_ONCE: Final = 16


@dataclass
class Campaign:
    """A campaign's rounds, added up."""

    seed: str
    total: Findings = field(default_factory=Findings)
    by_fault: dict[str, Findings] = field(default_factory=lambda: defaultdict(Findings))
    engines: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, found: Findings) -> None:
        self.total.add(found)
        for fault in found.injected:
            self.by_fault[fault].add(found)

    @property
    def hits(self) -> int:
        return self.total.hits.total()

    @property
    def missing_states(self) -> list[str]:
        """The states that no round has reached."""
        return [state for state in STATES if not self.total.reached[state]]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, and a long campaign has seen what it has to see."""
        return self.total.is_clean and not (self.seconds >= LONG_SECONDS and self.missing_states)

    def to_json(self) -> dict[str, Any]:
        total = self.total
        return {
            "seed": self.seed,
            "engines": self.engines,
            "seconds": round(self.seconds, 1),
            **total.counts,
            "hits": self.hits,
            "by_fault": {fault: total.hits[fault] for fault in sorted(total.injected)},
            "injected_by_fault": dict(sorted(total.injected.items())),
            "reached": {state: total.reached[state] for state in STATES},
            "outcomes": dict(sorted(total.outcomes.items())),
            "kinds": sorted(total.kinds),
            "problems": total.problems,
        }

    def table(self) -> str:
        """The figures for people. A fault's line adds up the rounds in which it was injected."""
        head = ("fault", "injected", "hit", "runs", "changes", "lost", "twice", "foreign", "tallies", "records")
        rows = [
            (fault, self.total.injected[fault], self.total.hits[fault], *_figures(self.by_fault[fault]))
            for fault in FAULTS
            if self.total.injected[fault]
        ]
        rows.append(("all", self.total.injected.total(), self.hits, *_figures(self.total)))
        lines = [f"{head[0]:<52}" + "".join(f"{name:>10}" for name in head[1:])]
        lines += [f"{row[0]:<52}" + "".join(f"{number:>10,}" for number in row[1:]) for row in rows]
        missing = [fault for fault in FAULTS if not self.total.hits[fault]]
        engines, total = ", ".join(self.engines), self.total
        lines += ["", f"{total.rounds:,} rounds on {engines} in {self.seconds:,.0f} s, seed {self.seed}"]
        lines += ["", *(f"{self.total.reached[state]:>10,}  {state}" for state in STATES)]
        if missing:
            lines.append(f"Faults that never hit: {', '.join(missing)}")
        if self.total.kinds:
            lines.append(f"Found: {', '.join(sorted(self.total.kinds))}")
        lines += [f"WRONG: {problem}" for problem in self.total.problems[:20]]
        return "\n".join(lines)


def _figures(found: Findings) -> tuple[int, ...]:
    return tuple(found.counts[name] for name in ("runs", "changes", *ZEROS))


@contextlib.contextmanager
def engines(names: Sequence[str]) -> Iterator[list[Engine]]:
    """The engines of these names that can run here, each with nothing in it."""
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        running: list[Engine] = []
        if "ministack" in names:
            running.append(Engine("ministack", stack.enter_context(private_ministack(directory)).endpoint_url))
        if "dynamodb-local" in names and reason_without_dynamodb_local() is None:
            endpoint_url = stack.enter_context(private_dynamodb_local(directory))
            running.append(Engine("dynamodb-local", endpoint_url))
        yield running


def run_campaign(
    running: Sequence[Engine],
    *,
    seconds: float,
    seed: str = "",
    breakage: str | None = None,
    history: Path | None = None,
    rounds_at_once: int = _ROUNDS_AT_ONCE,
    first_round: int = 0,
    last_round: int | None = None,
) -> Campaign:
    """Play rounds until the time is up; one that is under way is finished.

    Args:
        running: engines to play on, in turn.
        seconds: how long to begin new rounds.
        seed: repeats a campaign; empty for a new one.
        breakage: what to break in the product; the campaign ends with the first round that finds what it leads to.
        history: where to write what happened, one JSON object a line.
        rounds_at_once: how many rounds are played at the same time.
        first_round, last_round: which rounds, to repeat some of them.
    """
    campaign = Campaign(seed or f"{random.randrange(10**9)}", engines=[engine.name for engine in running])
    started = time.monotonic()
    lock = threading.Lock()
    numbers = iter(range(first_round, 10**9 if last_round is None else last_round + 1))
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(hurried())
        stack.enter_context(broken(breakage))
        nursery = Nursery(breakage)
        stack.callback(nursery.close)
        writing = stack.enter_context(history.open("w", encoding="utf-8")) if history else None

        def play() -> None:
            while not stop.is_set() and time.monotonic() - started < seconds:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                # The scenarios and the engines take turns without keeping step with each other.
                engine = running[(number + number // len(SCENARIOS)) % len(running)]
                scenario = SCENARIOS[number % len(SCENARIOS)]
                round_ = Round(engine, nursery, campaign.seed, number, scenario)
                round_.may_go_on = lambda: not stop.is_set()
                round_.has_time = lambda: time.monotonic() - started < seconds
                try:
                    found = round_.play()
                except (Exception, WorkerGone) as error:  # noqa: BLE001  # said in the report, with the round that shows it
                    found = round_.shop.findings
                    found.kinds |= {Finding.BROKEN_OFF, *round_.gate.found}
                    found.problems.append(f"round {number} ({scenario}) broke off: {type(error).__name__}: {error}")
                finally:
                    round_.shop.close()
                with lock:
                    campaign.add(found)
                    if writing is not None:
                        _write(writing, number, scenario, engine.name, round_.gate.history)
                if breakage and BREAKAGES[breakage].finding in found.kinds:
                    stop.set()

        with ThreadPoolExecutor(rounds_at_once) as players:
            for player in [players.submit(play) for _ in range(rounds_at_once)]:
                player.result()
    campaign.seconds = time.monotonic() - started
    return campaign


def _write(writing: Any, number: int, scenario: str, engine: str, events: Sequence[Event]) -> None:
    writing.write(json.dumps({"round": number, "event": "round", "scenario": scenario, "engine": engine}) + "\n")
    for event in events:
        writing.write(json.dumps({"round": number, **event}) + "\n")


def write_report(campaign: Campaign, directory: Path = BUILD) -> None:
    """Write the figures for programs."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "faults.json").write_text(json.dumps(campaign.to_json(), indent=2) + "\n", encoding="utf-8")


def without_aws() -> None:
    """Nothing leads from here to an account."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        del os.environ[name]
