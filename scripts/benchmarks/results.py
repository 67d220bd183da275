"""What was measured, on which machine, in `build/bench.json`: a list with one entry a figure."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Entry


def machine() -> str:
    """The processor, its cores, Python and botocore: what figures depend on."""
    cores = os.cpu_count() or 1
    return (
        f"{_processor()}, {cores} core{'s' if cores > 1 else ''}, "
        f"Python {platform.python_version()}, botocore {version('botocore')}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def write_results(path: Path, results: Iterable[Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(entry.to_map()) for entry in results)
    path.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def read_results(path: Path) -> list[Entry]:
    """What an earlier run has written; nothing where there was none.

    Raises:
        ValueError: where the file holds something else.
    """
    if not path.exists():
        return []
    try:
        return [Entry(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]
    except TypeError as error:
        raise ValueError(f"{path} holds something else than results: {error}") from error


def renewed(before: Iterable[Entry], found: Sequence[Entry]) -> list[Entry]:
    """Earlier entries, but for those whose comparison was made again on the same engine."""
    made_again = {(entry.comparison, entry.engine) for entry in found}
    return [*(entry for entry in before if (entry.comparison, entry.engine) not in made_again), *found]
