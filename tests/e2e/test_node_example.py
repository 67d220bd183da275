"""examples/node: a change by each door of a deployed stack, from its receipt to the item."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from cli.engine import CHECKOUT
from tests.builders import stocked
from tests.stacks import Stack
from tests.waiting import wait_until
from tests.writers.languages import node_project

DOORS: Final = ("invoke", "queue", "file", "record")
SECONDS: Final = 300


@pytest.mark.slow
def test_a_change_by_each_door_is_accepted_and_applied_by_the_next_job(stack: Stack, tmp_path: Path) -> None:
    project = node_project(tmp_path)
    stack.put(*(stocked(sku=door, on_hand=40) for door in DOORS))

    # One of them is told the names by the environment.
    by_name = {door: [stack.name] for door in DOORS if door != "record"}
    running = {door: start(project, stack, [door, door, "DC1", "-3", *by_name.get(door, [])]) for door in DOORS}
    try:
        # One that ends before the job has failed, and says why.
        wait_until(
            lambda: len(stack.records()) == len(DOORS) or any(each.poll() for each in running.values()),
            "a door has not let its change in",
            seconds=SECONDS,
        )
        stack.run_job()
        said = {door: each.communicate(timeout=SECONDS) for door, each in running.items()}
    finally:
        for each in running.values():
            each.kill()

    assert {door: errors for door, (_output, errors) in said.items() if running[door].returncode} == {}
    for door, (output, _errors) in said.items():
        receipt, change, item = documents(output)
        assert (door, receipt["status"], receipt["added"]) == (door, "ACCEPTED", 1)
        assert (door, change["status"], change["before"], change["after"]) == (door, "APPLIED", "40", "37")
        assert (door, item["on_hand"], item["available"], item["stale"]) == (door, "37", "37", {})


def test_every_program_in_javascript_is_one() -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no node here to check the examples with")
    found = [file for folder in ("examples", "tests") for file in (CHECKOUT / folder).rglob("*.mjs")]
    programs = [file for file in found if "node_modules" not in file.parts]
    checked = {
        file.name: subprocess.run(["node", "--check", file], capture_output=True, text=True, check=False)
        for file in programs
    }
    assert len(checked) > len(DOORS)
    assert {name: each.stderr for name, each in checked.items() if each.returncode} == {}


def start(project: Path, stack: Stack, arguments: Sequence[str]) -> "subprocess.Popen[str]":
    outputs = {"FUNCTION_NAME": "FunctionName", "CHANGES_TABLE_NAME": "ChangesTableName"}
    names = {variable: stack.outputs[output] for variable, output in outputs.items()}
    environment = os.environ | stack.engine.environment() | names
    return subprocess.Popen(
        ["node", "main.mjs", *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def documents(output: str) -> list[Any]:
    """The JSON documents that a program has printed, one after the other."""
    found, rest = [], output.strip()
    while rest:
        document, end = json.JSONDecoder().raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found
