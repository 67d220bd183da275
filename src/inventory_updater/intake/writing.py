"""How a door reads and writes: what is cut short is completed by doing the same again."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from inventory_updater.dynamodb.batches import Answer, Outcome, send
from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, ROUND_LIMIT, Limits, backoff

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

Progress = Callable[[str, int], None]
"""Told what is being done ("reading", "checking", "writing") and how many rows of it are done."""

_TOLD_EVERY: Final = 1_000

RowT = TypeVar("RowT")
NameT = TypeVar("NameT", bound=Hashable)
ResultT = TypeVar("ResultT")


def no_progress(_phase: str, _done: int) -> None:
    """Nobody looks on."""


def told(elements: Iterable[RowT], phase: str, progress: Progress) -> Iterator[RowT]:
    """``elements`` as they come, ``progress`` told after every thousand of them and at their end."""
    number = 0
    for element in elements:
        yield element
        number += 1
        if number % _TOLD_EVERY == 0:
            progress(phase, number)
    if number % _TOLD_EVERY:
        progress(phase, number)


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Why a write was not made."""

    message: str


def write_each(
    client: "DynamoDBClient",
    statements: "Mapping[NameT, BatchStatementRequestTypeDef]",
    landed: ResultT,
    decide: "Callable[[Sequence[NameT]], Mapping[NameT, BatchStatementRequestTypeDef | ResultT | NotWritten]]",
    limits: Limits | None = None,
) -> dict[NameT, ResultT | NotWritten]:
    """Make at most 25 conditional writes, each by itself, in a minute at most.

    Args:
        client: to whom.
        statements: what is to be written, by name.
        landed: what a write means that was made; no ``dict``.
        decide: what to do about those whose condition failed, from what is true then: another statement, or what has
            become of it. A lost answer leads here as well, so it recognises its own writes.
        limits: how long to go on while the table throttles.

    Raises:
        botocore.exceptions.ClientError: where AWS refuses the request for good.
    """
    limits = limits or Limits.for_seconds(PATIENCE_SECONDS)
    waiting, results = dict(statements), dict[NameT, ResultT | NotWritten]()
    later: dict[NameT, Answer] = {}
    for round_number in range(ROUND_LIMIT):
        answers = dict(zip(waiting, send(client, list(waiting.values()))[0], strict=True))
        refused = {name: answer for name, answer in answers.items() if answer.outcome is Outcome.REFUSED}
        conflicts = [name for name, answer in answers.items() if answer.outcome is Outcome.CONFLICT]
        later = {name: answer for name, answer in answers.items() if answer.outcome is Outcome.LATER}
        results |= {name: landed for name, answer in answers.items() if answer.outcome is Outcome.DONE}
        results |= {name: NotWritten(f"{answer.code}: {answer.message}") for name, answer in refused.items()}
        waiting = {name: waiting[name] for name in later}
        for name, decided in (decide(conflicts) if conflicts else {}).items():
            if isinstance(decided, dict):
                waiting[name] = decided  # type: ignore[assignment]  # a statement is a dict, a result is none
            else:
                results[name] = decided
        delay = backoff(round_number) if waiting else 0.0
        if not waiting or not limits.may_retry_after(delay):
            break
        limits.sleep(delay)
    unanswered = Answer(Outcome.LATER, "ConditionalCheckFailed", "others write it all the time")
    for name in waiting:
        answer = later.get(name, unanswered)
        results[name] = NotWritten(f"{answer.code}: {answer.message}")
    return results
