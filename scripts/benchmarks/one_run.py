"""One measured run in a process of its own: `python -m benchmarks.one_run SPEC` prints its measurement as JSON.

The environment says where DynamoDB answers. The peer is made and warmed up first; the clocks cover only the run.
"""

import dataclasses
import http.client
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from benchmarks.peers import Order, make_peer
from benchmarks.processes import cpu_seconds_of_tree


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What one process is to measure.

    Attributes:
        peer: its name.
        warm_up: what it does before; ``order``: what is measured.
        server_pid: the server, whose share of the time is wanted too.
    """

    peer: str
    warm_up: Order
    order: Order
    server_pid: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        fields = json.loads(text)
        return cls(**fields | {"warm_up": Order(**fields["warm_up"]), "order": Order(**fields["order"])})


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run took; what nobody measured is ``None``."""

    scanned: int
    updated: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    read_units: float | None = None
    write_units: float | None = None
    requests: int | None = None
    engine_cpu_seconds: float | None = None

    @classmethod
    def from_json(cls, text: str) -> "Measurement":
        return cls(**json.loads(text))


def measure(spec: RunSpec) -> Measurement:
    """Make the peer, warm it up and measure one run of it."""
    run = make_peer(spec.peer, (spec.warm_up, spec.order))
    run(spec.warm_up)
    counts_before, server_before = _counts(), cpu_seconds_of_tree(spec.server_pid)
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = run(spec.order)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    counts = _counts()
    return Measurement(
        outcome.scanned,
        outcome.updated,
        cpu,
        wall,
        peak_bytes(),
        outcome.read_units,
        counts["write_units"] - counts_before["write_units"],
        sum(counts["requests"].values()) - sum(counts_before["requests"].values()),
        cpu_seconds_of_tree(spec.server_pid) - server_before,
    )


def peak_bytes() -> int:
    """The most memory that this process has held, in bytes.

    Linux starts the figure of `getrusage` with what the parent held: there it is read from /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _counts() -> Mapping[str, Any]:
    address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    try:
        connection.request("GET", "/counts")
        return cast("Mapping[str, Any]", json.loads(connection.getresponse().read()))
    finally:
        connection.close()


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(measure(RunSpec.from_json(sys.argv[1])))))
