"""How deployments look: pure functions of what would change, and of what is in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from cli.output import View, counted, rows_screen
from cli.parameters import SET_BY_DEPLOYING
from cli.stacks import ResourceChange, Stack

REPLACED: Final = {"True": "replaced", "Conditional": "perhaps replaced"}
PARAMETER_COLUMNS: Final = ("parameter", "now", "then")
RESOURCE_COLUMNS: Final = ("resource", "type", "what happens", "what changes")
SHOWN_COLUMNS: Final = ("parameter", "in force", "by the file")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a deployment would change; `before` is None for a first one."""

    before: Stack | None
    parameters: Mapping[str, str]
    changes: Sequence[ResourceChange]

    @property
    def changed_parameters(self) -> list[tuple[str, str | None, str | None]]:
        """Name, value now and value then, of those that differ; one that only one template has, has one value."""
        before = {} if self.before is None else self.before.parameters
        return [(name, *values) for name, values in _differences(before, self.parameters).items()]

    def as_document(self) -> dict[str, object]:
        return {
            "parameters": {name: {"now": now, "then": then} for name, now, then in self.changed_parameters},
            "changes": [
                {
                    "resource": change.resource,
                    "type": change.type,
                    "action": change.action,
                    "replacement": change.replacement,
                    "properties": change.properties,
                }
                for change in self.changes
            ],
        }


def preview_screen(preview: Preview, view: View) -> RenderableType:
    """What a deployment would change: for a first one, how much it would create."""
    if preview.before is None:
        return Text(f"A first deployment: it creates {counted(len(preview.changes), 'resource')}.")
    if not preview.changes:
        return Text("Nothing to deploy: the stack is up to date.")
    parts: list[RenderableType] = []
    if parameters := [(name, _shortened(now), _shortened(then)) for name, now, then in preview.changed_parameters]:
        parts += [rows_screen(PARAMETER_COLUMNS, parameters, view, "Parameters"), ""]
    resources = [
        (change.resource, change.type.removeprefix("AWS::"), _what_happens(change), ", ".join(change.properties))
        for change in preview.changes
        if change.properties != ("Tags",)
    ]
    parts.append(rows_screen(RESOURCE_COLUMNS, resources, view, "Resources"))
    if only_tags := len(preview.changes) - len(resources):
        parts.append(Text(f"Of {counted(only_tags, 'other')} only the tags change."))
    for change in preview.changes:
        if change.type == "AWS::DynamoDB::Table" and change.replacement in REPLACED:
            parts.append(
                Text(f"{change.resource} is {REPLACED[change.replacement]}: the new table is empty, the old one stays.")
            )
    return Group(*parts)


def _what_happens(change: ResourceChange) -> str:
    return REPLACED.get(change.replacement) or {"Add": "created", "Remove": "deleted"}.get(change.action, "updated")


def _shortened(value: str | None) -> str | None:
    """The key of a package holds a hash, which says no more by all its digits."""
    return value if value is None or len(value) <= 40 else f"{value[:28]} ..."


def drift(stack: Stack, wanted: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """The parameters that a deployment would change: the value in force, and that by the file."""
    in_force = {name: value for name, value in stack.parameters.items() if name not in SET_BY_DEPLOYING}
    return _differences(in_force, wanted)


def _differences(now: Mapping[str, str], then: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = sorted(now.keys() | then.keys())
    return {name: (now.get(name), then.get(name)) for name in names if now.get(name) != then.get(name)}


def parameters_screen(stack: Stack, wanted: Mapping[str, str], view: View) -> RenderableType:
    """The parameters in force, and beside them the value by the file where it is another."""
    differs = drift(stack, wanted)
    rows = [
        (name, _shortened(stack.parameters.get(name)), differs.get(name, (None, None))[1])
        for name in sorted(stack.parameters.keys() | differs.keys())
    ]
    summary = f"{counted(len(differs), 'parameter')} unlike the file" if differs else "all as the file has them"
    return Group(rows_screen(SHOWN_COLUMNS, rows, view, "Parameters"), Text(summary))
