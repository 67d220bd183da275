"""The function's settings: read once from the environment, every missing or bad variable named."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Final, TypeVar

from inventory_updater.stock.guards import Guards

RENEWAL_SHARE: Final = Fraction(1, 3)
"""How much of a lease passes before it is renewed."""

RETRY_PAUSE_SECONDS: Final = 260
"""At least as long as the state machine pauses in all while it tries one call again and again."""

_LONGEST_NUMBER: Final = 20
"""Digits; Python refuses to read a number of more than 4,300."""


SettingsT = TypeVar("SettingsT")


class SettingsError(ValueError):
    """One or more environment variables are missing or bad; the message names each."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the template's parameters say, one field for each environment variable of the same name.

    ``page_size`` is in changes, or in items of scope ``all``; ``batch_size`` in items, ``max_write_rate`` in items a
    second across the job (0: no limit). ``write_concurrency`` is how many lanes a worker works on at once.
    ``results_arn`` is the topic or the event bus that is told how jobs end. Without ``guards`` nothing is
    unusual; the variable is a JSON object of their parameters.
    """

    environment: str
    inventory_table: str
    changes_table: str
    jobs_table: str
    segments: int = 4
    page_size: int = 250
    batch_size: int = 25
    write_concurrency: int = 4
    max_write_rate: int = 0
    allow_negative_stock: bool = False
    change_retention_days: int = 30
    job_retention_days: int = 30
    all_wait_minutes: int = 60
    function_timeout_seconds: int = 300
    stack_name: str = ""
    alarm_failed_items: int = 5
    alert_topic_arn: str = ""
    alert_repeat_hours: int = 24
    results_arn: str = ""
    guards: Guards | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings in ``environment``; every variable must be there.

        Raises:
            SettingsError: naming every variable that is missing or bad.
        """
        return read_settings(cls, environment)

    @property
    def lease_seconds(self) -> int:
        """How long a lease lasts, so that a call that hangs does not lose it before the next one begins::

        renewed ─────due for renewal; the call hangs─────killed─────pauses─────next call renews
           └ a share of the lease ┘└ at most the call's time-out ┘└ retries ┘
        """
        return math.ceil((self.function_timeout_seconds + RETRY_PAUSE_SECONDS) / (1 - RENEWAL_SHARE))

    @property
    def write_rate_of_one_worker(self) -> float:
        """Items a second; 0 is no limit."""
        return self.max_write_rate / self.segments

    @property
    def items_per_page(self) -> int:
        """The page size, made smaller where the write rate would stretch a page past a quarter of a call."""
        if not self.max_write_rate:
            return self.page_size
        within_a_quarter = int(self.write_rate_of_one_worker * self.function_timeout_seconds / 4)
        return max(1, min(self.page_size, within_a_quarter))


def read_settings(kind: type[SettingsT], environment: Mapping[str, str]) -> SettingsT:
    """Settings of some class, a dataclass: each field from the variable of the same name.

    Raises:
        SettingsError: naming every variable that is missing or bad.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
        variable = field.name.upper()
        text = environment.get(variable, "")
        if not text:
            problems.append(f"{variable} is missing")
        elif field.type is bool:
            if text not in ("true", "false"):
                problems.append(f"{variable} must be true or false, not {text[:20]!r}")
            values[field.name] = text == "true"
        elif field.type is int:
            low, high = _RANGES[field.name]
            if not (text.isdecimal() and len(text) <= _LONGEST_NUMBER and low <= int(text) <= high):
                problems.append(f"{variable} must be a whole number from {low} to {high}, not {text[:20]!r}")
                continue
            values[field.name] = int(text)
        elif field.name == "guards":
            try:
                values[field.name] = Guards.read(json.loads(text))
            except (ValueError, ArithmeticError, KeyError, TypeError):
                problems.append(f"{variable} must be a JSON object of all guards, not {text[:20]!r}")
        else:
            values[field.name] = text
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)


_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "segments": (1, 40),
    "page_size": (1, 1000),
    "batch_size": (1, 25),
    "write_concurrency": (1, 32),
    "max_write_rate": (0, 1_000_000),
    "change_retention_days": (1, 365),
    "job_retention_days": (1, 3650),
    "all_wait_minutes": (0, 720),
    "function_timeout_seconds": (3, 900),
    "alarm_failed_items": (1, 1_000_000),
    "alert_repeat_hours": (1, 168),
}
