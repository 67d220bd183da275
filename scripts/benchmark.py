"""How the product compares with what others write, and how its cost grows: `make bench`.

Every comparison is one run, its peers one after the other and round after round. What is told are medians, and first
how many times better each is than the loop over boto3's resource. Results: `build/bench.json`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.comparisons import Effort, end_to_end
from benchmarks.figures import Entry
from benchmarks.measuring import RunFailed, instant_place
from benchmarks.peers import PEERS
from engine import CHECKOUT, EngineFailed

RESULTS: Final = CHECKOUT / "build" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    try:
        with instant_place() as place:
            results = end_to_end(place, Effort(options.rounds, options.items), say, options.peers.split(","))
    except (RunFailed, EngineFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write(options.results, results)
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(path: Path, results: Sequence[Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([entry.to_map() for entry in results], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
