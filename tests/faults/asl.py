"""The state machine as template.yaml defines it, interpreted: as much of the States Language as it uses, and no more.

https://states-language.net/spec.html
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.cloudformation import properties

_KNOWN: Final = frozenset(
    {"Type", "Comment", "Next", "Parameters", "Resource", "ResultSelector", "ResultPath", "TimeoutSeconds", "Retry"}
    | {"Catch", "Choices", "Default", "Seconds", "ItemsPath", "ItemSelector", "MaxConcurrency", "ItemProcessor"}
    | {"Error", "Cause"}
)


class TaskError(Exception):
    """A task failed with an error of that name."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name, cause)
        self.name = name
        self.cause = cause


@cache
def definition() -> dict[str, Any]:
    """The definition in the template, its parameters at their defaults."""
    found: dict[str, Any] = json.loads(properties("StateMachine")["DefinitionString"])
    return found


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution.

    Attributes:
        context: what ``$$`` is: ``Execution.Name``, ``Execution.StartTime``, ``Execution.Input``.
        invoke: the function, given its payload and how often this step has been tried again.
        wait: lets so many seconds pass.
    """

    context: Mapping[str, Any]
    invoke: Callable[[Mapping[str, Any], int], Any]
    wait: Callable[[float], None]

    def run(self) -> str:
        """Play it; the name of the state in which it ended.

        Raises:
            TaskError: where a task failed that nobody catches: the execution has failed.
        """
        return self._play(definition(), self.context["Execution"]["Input"], self.context)

    def _play(self, machine: Mapping[str, Any], given: Any, context: Mapping[str, Any]) -> str:
        name, document = machine["StartAt"], given
        while True:
            state = machine["States"][name]
            assert state.keys() <= _KNOWN, f"{name}: the interpreter does not know {state.keys() - _KNOWN}"
            if state["Type"] in ("Succeed", "Fail"):
                return str(name)
            if state["Type"] == "Choice":
                name = next((each["Next"] for each in state["Choices"] if _holds(each, document)), state["Default"])
                continue
            try:
                document, name = self._done(state, document, context), state["Next"]
            except TaskError as error:
                catcher = next((each for each in state.get("Catch", ()) if _matches(each, error)), None)
                if catcher is None:
                    raise
                caught = {"Error": error.name, "Cause": error.cause}
                document, name = _placed(catcher, document, caught), catcher["Next"]

    def _done(self, state: Mapping[str, Any], document: Any, context: Mapping[str, Any]) -> Any:
        match state["Type"]:
            case "Wait":
                self.wait(float(state["Seconds"]))
                return document
            case "Task":
                assert state["Resource"].endswith(":states:::lambda:invoke")
                payload = _filled(state["Parameters"], document, context)["Payload"]
                answer = {"StatusCode": 200, "Payload": self._tried(state, payload)}
                return _placed(state, document, _filled(state["ResultSelector"], answer, context))
            case "Map":
                return _placed(
                    state, document, _filled(state["ResultSelector"], self._mapped(state, document, context), context)
                )
        raise AssertionError(f"the interpreter does not know the type {state['Type']}")

    def _tried(self, state: Mapping[str, Any], payload: Mapping[str, Any]) -> Any:
        tries: Counter[int] = Counter()
        while True:
            try:
                return self.invoke(payload, tries.total())
            except TaskError as error:
                found = [place for place, each in enumerate(state.get("Retry", ())) if _matches(each, error)]
                if not found or tries[found[0]] == state["Retry"][found[0]]["MaxAttempts"]:
                    raise
                tries[found[0]] += 1

    def _mapped(self, state: Mapping[str, Any], document: Any, context: Mapping[str, Any]) -> list[str]:
        def each(value: Any) -> str:
            within = {**context, "Map": {"Item": {"Value": value}}}
            return self._play(state["ItemProcessor"], _filled(state["ItemSelector"], document, within), within)

        items = _at(state["ItemsPath"], document, context)
        with ThreadPoolExecutor(max(1, min(state["MaxConcurrency"], len(items)))) as threads:
            return list(threads.map(each, items))


def _at(path: str, document: Any, context: Mapping[str, Any]) -> Any:
    """What a path of plain names leads to."""
    found = context if path.startswith("$$") else document
    for name in path.lstrip("$").split(".")[1:]:
        found = found[name]
    return found


def _filled(template: Any, document: Any, context: Mapping[str, Any]) -> Any:
    """A payload template with its paths followed."""
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _at(value, document, context)
        if name.endswith(".$")
        else _filled(value, document, context)
        for name, value in template.items()
    }


def _placed(state: Mapping[str, Any], document: Any, result: Any) -> Any:
    """The document with a result where ``ResultPath`` says: null drops it, without one it is the document."""
    path = state.get("ResultPath", "$")
    if path is None:
        return document
    if path == "$":
        return result
    name = path.removeprefix("$.")
    assert "." not in name
    return {**document, name: result}


def _matches(rule: Mapping[str, Any], error: TaskError) -> bool:
    names = rule["ErrorEquals"]
    is_failed = "States.TaskFailed" in names and error.name != "States.Timeout"
    return "States.ALL" in names or error.name in names or is_failed


def _holds(choice: Mapping[str, Any], document: Any) -> bool:
    if "Or" in choice:
        return any(_holds(each, document) for each in choice["Or"])
    (operator,) = choice.keys() - {"Variable", "Next"}
    assert operator in ("StringEquals", "BooleanEquals"), f"the interpreter does not know {operator}"
    return bool(_at(choice["Variable"], document, {}) == choice[operator])
