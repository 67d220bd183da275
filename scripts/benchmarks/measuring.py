"""Runs, each in a process of its own, one peer after the other and round after round."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.one_run import Measurement, RunSpec
from cli.engine import CHECKOUT, Engine

RUN_SECONDS: Final = 1800.0

Progress = Callable[[str], None]


class RunFailed(Exception):
    """A run did not end as it should; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs take place.

    Attributes:
        engine: its name.
        environment: the environment in which AWS is that engine.
        has_counts: whether it counts what it was asked for.
        pid: its process.
        restore: makes its tables as they were before.
    """

    engine: str
    environment: Mapping[str, str]
    pid: int
    has_counts: bool = False
    restore: Callable[[], None] = lambda: None


@contextlib.contextmanager
def instant_place() -> Iterator[Place]:
    """The instant server in a process of its own; ended when the context is left."""
    with serving(sys.executable, "-m", "benchmarks.instant_server") as (process, line):
        yield Place("instant", environment_of(int(line)), process.pid, has_counts=True)


@contextlib.contextmanager
def serving(*command: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that serves as long as its standard input is open, and the line that it says when it is ready.

    Raises:
        RunFailed: where it ends without a line.
    """
    process = subprocess.Popen(
        command, env=with_modules(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RunFailed(f"{' '.join(command[1:])} did not start")
        yield process, line
    finally:
        end(process)


def end(process: "subprocess.Popen[str]", seconds: float = 60.0) -> None:
    """End a process that serves as long as its standard input is open."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def environment_of(port: int) -> dict[str, str]:
    """The environment of a run in which AWS is the engine on that port of this machine."""
    return with_modules(Engine(port, 0).environment()) | {"PYTHONHASHSEED": "0"}


def with_modules(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with the modules of this checkout on Python's path."""
    path = os.pathsep.join(str(CHECKOUT / folder) for folder in ("src", "scripts", "."))
    return {**environment, "PYTHONPATH": path}


def run_once(place: Place, spec: RunSpec) -> Measurement:
    """One run in a fresh process.

    Raises:
        RunFailed: where it ends with an error or takes too long.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.one_run", spec.to_json()],
            env=dict(place.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{spec.peer} on {place.engine}: not done within {RUN_SECONDS:.0f} seconds") from None
    if result.returncode != 0:
        raise RunFailed(f"{spec.peer} on {place.engine}: {result.stderr.strip() or result.returncode}")
    try:
        return Measurement.from_json(result.stdout.strip().rpartition("\n")[2])
    except (json.JSONDecodeError, TypeError):
        raise RunFailed(f"{spec.peer} on {place.engine}: no measurement in {result.stdout[-200:]!r}") from None


def interleaved(
    place: Place,
    specs: Mapping[str, RunSpec],
    rounds: int,
    progress: Progress,
    check: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Measurement]]:
    """Every run once a round, one after the other, so that what slows this machine down slows all of them.

    Args:
        place: where.
        specs: what is run, by the name under which it is told.
        rounds: how often.
        progress: is told what was measured.
        check: looks at the engine after each run, and raises where it is not as it should be.
    """
    measured: dict[str, list[Measurement]] = {name: [] for name in specs}
    names = list(specs)
    for number in range(1, rounds + 1):
        for name in names:
            place.restore()
            measurement = run_once(place, specs[name])
            check(name)
            measured[name].append(measurement)
            cpu, wall = measurement.cpu_seconds, measurement.wall_seconds
            progress(
                f"  {place.engine}, round {number} of {rounds}, {name}: {measurement.updated:,} items, "
                f"{cpu / measurement.updated * 1e6:,.1f} us CPU and {wall / measurement.updated * 1e6:,.1f} us an item"
            )
        names = [*names[1:], names[0]]  # nobody always comes after the same
    return measured
