"""Document paths: what is at one, what happens when it is set or removed.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.rejections import invalid
from tests.simulation.values import Item, Value, copied

Path = tuple[str | int, ...]
"""A name, then names in maps and places in lists."""


def value_at(item: Mapping[str, Value], path: Path) -> Value | None:
    """What is at a path; nothing where any part of it is missing or of another type."""
    found: Value | None = item.get(path[0])  # type: ignore[arg-type]  # the first part is a name
    if len(path) == 1:
        return found
    for part in path[1:]:
        if found is None:
            return None
        found = _element(found, part)
    return found


def _element(value: Value, part: str | int) -> Value | None:
    if isinstance(part, str):
        element: Value | None = value.get("M", {}).get(part)
        return element
    elements = value.get("L", [])
    return elements[part] if part < len(elements) else None


def put_at(item: Item, path: Path, value: Value) -> None:
    """Set what is at a path, whose parent has to be there; past a list's end it is appended.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html#Expressions.UpdateExpressions.SET
    """
    container, last = _container(item, path)
    if isinstance(last, int) and last >= len(container):
        container.append(value)
    else:
        container[last] = value


def remove_at(item: Item, path: Path) -> None:
    """Remove what is at a path, whose parent has to be there; what is missing already stays missing.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html#Expressions.UpdateExpressions.REMOVE
    """
    container, last = _container(item, path)
    if isinstance(last, str):
        container.pop(last, None)
    elif last < len(container):
        del container[last]


def _container(item: Item, path: Path) -> tuple[Any, str | int]:
    *parents, last = path
    parent = value_at(item, tuple(parents)) if parents else {"M": item}
    wanted = "M" if isinstance(last, str) else "L"
    if parent is None or wanted not in parent:
        raise invalid("The document path provided in the update expression is invalid for update")
    return parent[wanted], last


def overlap(one: Path, other: Path) -> bool:
    """Whether one path leads through the end of the other."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def projected(item: Mapping[str, Value], paths: Iterable[Path]) -> Item:
    """Only what is at these paths, in the maps and lists that it was in.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ProjectionExpressions.html
    """
    found = {path: value for path in paths if (value := value_at(item, path)) is not None}
    return {
        str(name): _assembled({path[1:]: value for path, value in found.items() if path[0] == name})
        for name in dict.fromkeys(path[0] for path in found)
    }


def _assembled(found: Mapping[Path, Value]) -> Value:
    if () in found:
        return copied(found[()])
    heads = list(dict.fromkeys(path[0] for path in found))
    parts = {head: {path[1:]: value for path, value in found.items() if path[0] == head} for head in heads}
    if isinstance(heads[0], str):
        return {"M": {str(head): _assembled(parts[head]) for head in heads}}
    return {"L": [_assembled(parts[head]) for head in sorted(heads, key=int)]}
