"""A failure made small: what is not needed for it is left out, and what is left is told turn by turn."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from inventory_updater.dynamodb.values import from_attribute_values
from tests.simulation.content import BEGIN, names_in
from tests.simulation.history import History, Plot, Turn
from tests.simulation.judging import Story, judged, plain
from tests.simulation.product import as_in, many_histories
from tests.simulation.storage import Landed

Mistake = Callable[[pytest.MonkeyPatch], None]

_SCHEDULES: Final = 6
_TRIES: Final = 800
_WHAT_SAYS_LITTLE: Final = frozenset(
    {"stock_value", "updated_at", "available", "stock_status", "message", "settled_at"}
)


def played(plot: Plot, mistake: Mistake | None = None) -> Story:
    """The story of this plot, with a mistake in the product or without."""
    history = History(plot)
    with pytest.MonkeyPatch.context() as patch:
        if mistake is not None:
            mistake(patch)
        with as_in(history):
            history.play()
    return judged(history)


@many_histories()
def shrunk(plot: Plot, mistake: Mistake | None = None) -> Plot:
    """A smaller plot that fails too: members, changes and mishaps are left out, many at once and then one by one.

    What is left out changes whose turn it is, so each attempt is made with other schedules as well. It ends when
    nothing more can be left out, or after so many histories.
    """
    tries = iter(range(_TRIES))
    size = len(_parts(plot, mistake)) // 2
    while size:
        begin = 0
        while begin < len(parts := _parts(plot, mistake)):
            smaller = _smaller(plot, parts[begin : begin + size], mistake, tries)
            if smaller is None:
                begin += size
            else:
                plot = smaller
        size //= 2
    return plot


def _parts(plot: Plot, mistake: Mistake | None) -> list[str]:
    """What may be left out of a plot: what it is about, kinds of mishaps, and each mishap."""
    history = played(plot, mistake).history
    return [*names_in(history.content), *history.kinds, *history.mishaps]


def _smaller(plot: Plot, parts: list[str], mistake: Mistake | None, tries: Iterator[int]) -> Plot | None:
    for schedule in range(plot.schedule, plot.schedule + _SCHEDULES):
        if next(tries, None) is None:
            return None
        smaller = replace(plot, without=plot.without.union(parts), schedule=schedule)
        if _fails(smaller, mistake):
            return smaller
    return None


def _fails(plot: Plot, mistake: Mistake | None) -> bool:
    return bool(played(plot, mistake).wrong)


def told(story: Story) -> Iterator[str]:
    """The history in lines until it goes wrong: who asked for what, what happened to it, and what it changed."""
    history = story.history
    yield f"{history.plot}"
    for turn in history.turns[: story.turns_until_wrong or None]:
        yield from _told_turn(history, turn)
    yield from (f"WRONG: {each}" for each in story.wrong)


def _told_turn(history: History, turn: Turn) -> Iterator[str]:
    writes = [history.dynamodb.landed[place] for place in turn.landed]
    fate = f"  <<{turn.fate}>>" if turn.fate else ""
    error = f"  {turn.error[:90]}" if turn.error else ""
    at = BEGIN + timedelta(seconds=turn.at)
    yield f"{at:%m-%dT%H:%M:%S} {turn.who:26} {turn.operation} {_about(turn)}{fate}{error}"
    for write in writes:
        yield f"{'':42} {_key(write)}: {_difference(write)}"


def _about(turn: Turn) -> str:
    request: Mapping[str, Any] = turn.request
    if "TableName" in request:
        index = f" {request['IndexName']}" if "IndexName" in request else ""
        key = " ".join(str(each) for each in from_attribute_values(request["Key"]).values()) if "Key" in request else ""
        return f"{_short(request['TableName'])}{index} {key}"
    if "Bucket" in request:
        return str(request.get("Key", request.get("Prefix")))
    if "RequestItems" in request:
        return ", ".join(map(_short, request["RequestItems"]))
    if "Statements" in request:
        return ", ".join(_short(each["Statement"].split('"')[1]) for each in request["Statements"])
    return ""


def _short(table: str) -> str:
    return {"inventory-test": "items", "inventory-changes-test": "records", "inventory-jobs-test": "jobs"}.get(
        table, table
    )


def _key(write: Landed) -> str:
    return " ".join(str(each) for each in plain(write.key).values())


def _difference(write: Landed) -> str:
    before, after = plain(write.before), plain(write.after)
    if not after:
        return "deleted"
    names = [name for name in after | before if before.get(name) != after.get(name)]
    shown = [
        f"{name} {_value(before.get(name))} -> {_value(after.get(name))}" if before else f"{name} {_value(after[name])}"
        for name in names
        if name not in _WHAT_SAYS_LITTLE and name not in ("lateness", "tally", "expires_at")
    ]
    return ", ".join(shown)[:400] or "nothing that matters"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_entry(entry)}" for name, entry in value.items()) + "}"
    return "-" if value is None else str(value)


def _entry(entry: object) -> str:
    if isinstance(entry, dict) and "outcome" in entry:
        return f"{entry['outcome']} {entry['attempt']}"
    return str(entry) if not isinstance(entry, dict) else "..."
