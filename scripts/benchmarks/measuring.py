"""Runs, each in a process of its own, one peer after the other and round after round."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.one_run import Measurement
from benchmarks.peers import Order
from cli.engine import CHECKOUT, Engine

RUN_SECONDS: Final = 1800.0

Case = tuple[str, str]
"""A peer, and the point of a growth at which it runs: empty where nothing grows."""

Progress = Callable[[str], None]


class RunFailed(Exception):
    """A run did not end as it should; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs take place: an engine's name, its process, and the environment in which AWS is that engine."""

    engine: str
    environment: Mapping[str, str]
    pid: int


@contextlib.contextmanager
def instant_place(milliseconds: int = 0, partitions: int = 0) -> Iterator[Place]:
    """The instant server in a process of its own; ended when the context is left.

    Args:
        milliseconds: how long it lets every answer wait.
        partitions: over how many partitions its tables are spread, each as slow as AWS's; 0 for no limit.

    Raises:
        RunFailed: where it does not start.
    """
    command = (sys.executable, "-m", "benchmarks.instant_server", str(milliseconds), str(partitions))
    environment = _with_modules(os.environ)
    # It also ends with its standard input: when this process does, however that happens.
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port:
            raise RunFailed("the instant server did not start")
        engine = engine_name(milliseconds, partitions)
        try:
            yield Place(engine, _with_modules(Engine(int(port), 0).environment()), server.pid)
        finally:
            server.kill()  # it has nothing to lose, and would wait for its clients


def engine_name(milliseconds: int, partitions: int) -> str:
    """What the place is called in results."""
    if partitions:
        return f"{partitions} partitions"
    return f"{milliseconds} ms away" if milliseconds else "instant"


def _with_modules(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with the modules of this checkout on Python's path."""
    path = os.pathsep.join(str(CHECKOUT / folder) for folder in ("src", "scripts", "."))
    return {**environment, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


def run_once(place: Place, peer: str, order: Order) -> Measurement:
    """One run in a fresh process.

    Raises:
        RunFailed: where it ends with an error or takes too long.
    """
    command = (sys.executable, "-m", "benchmarks.one_run", peer, order.inventory, order.scope, str(place.pid))
    try:
        output = subprocess.run(
            command,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=True,
        ).stdout
        return Measurement(**json.loads(output.strip().rpartition("\n")[2]))
    except subprocess.TimeoutExpired:
        problem = f"not done within {RUN_SECONDS:.0f} seconds"
    except subprocess.CalledProcessError as error:
        problem = error.stderr.strip() or str(error.returncode)
    except (json.JSONDecodeError, TypeError):
        problem = f"no measurement in {output[-200:]!r}"
    raise RunFailed(f"{peer} on {place.engine}: {problem}")


def interleaved(
    place: Place, orders: Mapping[Case, Order], rounds: int, progress: Progress
) -> dict[Case, list[Measurement]]:
    """Every run once a round, one after the other, so that what slows this machine down slows all of them.

    ``progress`` is told what was measured.
    """
    measured: dict[Case, list[Measurement]] = {case: [] for case in orders}
    cases = list(orders)
    for number in range(1, rounds + 1):
        for peer, point in cases:
            measurement = run_once(place, peer, orders[peer, point])
            measured[peer, point].append(measurement)
            cpu, wall = (
                seconds / measurement.updated * 1e6 for seconds in (measurement.cpu_seconds, measurement.wall_seconds)
            )
            progress(
                f"  {place.engine}, round {number} of {rounds}, {point or peer}: {measurement.updated:,} items, "
                f"{cpu:,.1f} us CPU and {wall:,.1f} us an item"
            )
        cases = [*cases[1:], cases[0]]  # nobody always comes after the same
    return measured
