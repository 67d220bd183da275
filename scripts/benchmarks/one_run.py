"""One measured run in a process of its own: `python -m benchmarks.one_run PEER TABLE SCOPE SERVER_PID`.

It prints its measurement as JSON. The environment says where DynamoDB answers. The peer is made and warmed up first;
the clocks cover only the run.
"""

import http.client
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.peers import Order, make_peer
from benchmarks.shelves import Shelf

WARM_UP: Final = Shelf(stored=50, due=50)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run took; read units only of a peer that asked for them."""

    updated: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    read_units: float | None
    write_units: float
    requests: int
    engine_cpu_seconds: float


def measure(peer: str, order: Order, server_pid: int) -> Measurement:
    """Make the peer, warm it up and measure one run of it."""
    warm_up = Order(WARM_UP.table_name, order.scope)
    run = make_peer(peer, (warm_up, order))
    run(warm_up)
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    counts_before, server_before = counts(endpoint), cpu_seconds_of_tree(server_pid)
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = run(order)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    counts_after = counts(endpoint)
    return Measurement(
        outcome.updated,
        cpu,
        wall,
        peak_bytes(),
        outcome.read_units,
        counts_after["write_units"] - counts_before["write_units"],
        counts_after["requests"] - counts_before["requests"],
        cpu_seconds_of_tree(server_pid) - server_before,
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


def cpu_seconds_of_tree(pid: int) -> float:
    """The processor time of a process and all that live under it, in seconds; 0 where there is no /proc."""
    processes = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the program, in brackets, may hold anything.
            fields = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: fields 4 and 14 to 17, counted from 1
        processes[int(entry.parent.name)] = (int(fields[1]), sum(map(int, fields[11:15])))
    tree = {pid} & processes.keys()
    while found := {child for child, (parent, _) in processes.items() if parent in tree} - tree:
        tree |= found
    return sum(processes[each][1] for each in tree) / os.sysconf("SC_CLK_TCK")


def counts(endpoint: str) -> dict[str, int]:
    """How many requests the instant server has answered, and their write units."""
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", "/counts")
    found: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return found


if __name__ == "__main__":
    name, table, scope, server = sys.argv[1:]
    print(json.dumps(asdict(measure(name, Order(table, scope), int(server)))))
