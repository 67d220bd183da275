"""Receipts: what became of each of the changes that a system sent. docs/contract.md tells of them.

A request and its answer may have 6 MB each. What a receipt says of a change is shorter than the change itself, and of
all problems it has the first thousand. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.intake.messages import names_in, printable, read_changes
from inventory_updater.intake.refusals import REFUSALS_KEPT, Refusal, Refusals
from inventory_updater.intake.scheduling import Scheduling
from inventory_updater.intake.text_rows import ChangeRow, Problem, problem_of
from inventory_updater.stock.guards import UNUSUAL
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.change_table import Name

SCHEMA: Final = 1
"""The version of a receipt; another one where a field goes or means something else."""

Receipt = dict[str, object]


class Answer(StrEnum):
    """What became of a request."""

    ACCEPTED = "ACCEPTED"
    PARTLY_ACCEPTED = "PARTLY_ACCEPTED"
    HELD = "HELD"
    REFUSED = "REFUSED"


class Result(StrEnum):
    """What became of a change; NOT_WRITTEN is a good one that others kept out."""

    ADDED = "ADDED"
    KNOWN = "KNOWN"
    HELD = "HELD"
    REFUSED = "REFUSED"
    NOT_WRITTEN = "NOT_WRITTEN"


@dataclass(slots=True)
class Delivery:
    """The changes of one request, and what is known of them so far.

    Attributes:
        objects: the changes as they came.
        rows: those that can be read; the ``line`` of each is its place among the objects, from 0.
    """

    objects: Sequence[object]
    rows: list[ChangeRow] = field(default_factory=list)
    _problems: dict[int, list[Problem]] = field(default_factory=dict)
    """By place."""
    _statuses: dict[Name, str] = field(default_factory=dict)
    """Of each change that is there, the status it had already; empty where it was added."""

    def __post_init__(self) -> None:
        for each in read_changes(self.objects):
            if isinstance(each, Problem):
                self._keep(each)
            else:
                self.rows.append(each)

    def schedule(self, scheduling: Scheduling[ChangeRow], *, accept_good: bool) -> Receipt:
        """Schedule all of them or none; where that is asked for, all of every item that nothing is wrong with.

        Args:
            scheduling: of ``rows``.
            accept_good: whether items that are good do not wait for the others.

        Raises:
            UnfinishedError: where the tables did not take every write; the same request again writes the rest.
        """
        scheduling = replace(scheduling, tell=self._statuses.__setitem__)
        unreadable = self._items_of_unreadable()
        scheduling.check(Refusals(self._refuse))
        for batch in batched(unreadable, READ_LIMIT):
            refused = scheduling.refused_items(list(dict.fromkeys(key for _place, key in batch)))
            for place, key in batch:
                if key in refused:
                    self._keep(Problem(place, "sku", *refused[key], key.sku))
        if accept_good or not self._problems:
            replace(scheduling, left_out=self._items_with_problems()).write()
        return self._receipt(is_partial=accept_good)

    def _refuse(self, refusal: Refusal) -> None:
        self._keep(problem_of(refusal))

    def _keep(self, problem: Problem) -> None:
        assert problem.line is not None
        self._problems.setdefault(problem.line, []).append(problem)

    def _items_of_unreadable(self) -> list[tuple[int, ItemKey]]:
        """Of the changes with problems so far: their places and items, as far as they name one that may be there."""
        return [
            (place, key)
            for place, problems in self._problems.items()
            if (key := self._item_at(place)) and not {problem.column for problem in problems} & {*key._fields}
        ]

    def _item_at(self, place: int) -> ItemKey | None:
        names = names_in(self.objects[place])
        return ItemKey(names["sku"], names["location_id"]) if names.get("sku") and names.get("location_id") else None

    def _items_with_problems(self) -> set[int]:
        return {hash(key) for place in self._problems if (key := self._item_at(place))}

    def _receipt(self, *, is_partial: bool) -> Receipt:
        names = {row.line: (row.key, row.change.change_id) for row in self.rows}
        told = [self._told(place, names.get(place)) for place in range(len(self.objects))]
        results = Counter(each["result"] for each in told)
        problems = [problem for place in sorted(self._problems) for problem in self._problems[place]]
        return {
            "schema": SCHEMA,
            "status": self._answer(results, is_partial=is_partial).value,
            "rows": len(told),
            **{result.lower(): results[result] for result in Result},
            "changes": told,
            "problems": [_problem_told(problem) for problem in problems[:REFUSALS_KEPT]],
            "problem_count": len(problems),
        }

    def _answer(self, results: Mapping[object, int], *, is_partial: bool) -> Answer:
        if not self._problems:
            return Answer.ACCEPTED
        if is_partial and (results[Result.ADDED] or results[Result.KNOWN]):
            return Answer.PARTLY_ACCEPTED
        return Answer.REFUSED if results[Result.REFUSED] else Answer.HELD

    def _told(self, place: int, name: Name | None) -> dict[str, object]:
        said = {each: printable(text) for each, text in names_in(self.objects[place]).items()}
        told: dict[str, object] = {"index": place, **said}
        if problems := self._problems.get(place):
            is_unusual = all(problem.code in UNUSUAL for problem in problems)
            return told | {"result": Result.HELD if is_unusual else Result.REFUSED}
        status = self._statuses.get(name) if name else None
        if status is None:
            return told | {"result": Result.NOT_WRITTEN}
        return told | ({"result": Result.KNOWN, "status": status} if status else {"result": Result.ADDED})


def _problem_told(problem: Problem) -> dict[str, object]:
    told = {"index": problem.line, "field": problem.column, "value": problem.value}
    return {**told, "code": problem.code, "message": problem.message}
