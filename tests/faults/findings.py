"""What rounds find: how much there was, what was wrong, and of which kind."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Finding(StrEnum):
    """A promise that was not kept (docs/reliability.md)."""

    LOST = "changes lost"
    APPLIED_TWICE = "changes applied twice"
    FOREIGN_WRITES_LOST = "foreign writes lost"
    WRONG_TALLY = "wrong tally"
    WRONG_RECORD = "wrong record"
    WRONG_FIGURES = "wrong derived figures"
    NEVER_SETTLED = "job never settled"
    LEASE = "lease taken, kept or ignored wrongly"
    ENDLESS_RETRY = "retry without end"
    NOT_TOLD = "people not told"
    BROKEN_OFF = "failed without a fault"


ZEROS = ("lost", "applied_twice", "foreign_writes_lost", "wrong_tallies", "wrong_records")
"""What has to be nought after a campaign."""


@dataclass
class Findings:
    """What rounds have found, added up."""

    rounds: int = 0
    runs: int = 0
    changes: int = 0
    lost: int = 0
    applied_twice: int = 0
    foreign_writes_lost: int = 0
    wrong_tallies: int = 0
    wrong_records: int = 0
    inexact_tallies: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    kinds: set[Finding] = field(default_factory=set)

    def add(self, other: "Findings") -> None:
        for name, count in other.counts.items():
            setattr(self, name, getattr(self, name) + count)
        self.injected += other.injected
        self.hits += other.hits
        self.reached += other.reached
        self.outcomes += other.outcomes
        self.problems += other.problems
        self.kinds |= other.kinds

    @property
    def counts(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    @property
    def is_clean(self) -> bool:
        return not any(self.counts[name] for name in ZEROS) and not self.problems


class Spoilt(Exception):
    """Something is wrong in this round: what follows would only repeat it."""
