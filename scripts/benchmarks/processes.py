"""What a process and its children have used, from /proc; only Linux tells."""

import os
from pathlib import Path


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
        parent, used, used_by_ended_children = int(fields[1]), fields[11:13], fields[13:15]
        processes[int(entry.parent.name)] = (parent, sum(map(int, [*used, *used_by_ended_children])))
    tree = {pid} & processes.keys()
    while found := {child for child, (parent, _) in processes.items() if parent in tree} - tree:
        tree |= found
    return sum(processes[each][1] for each in tree) / os.sysconf("SC_CLK_TCK")
