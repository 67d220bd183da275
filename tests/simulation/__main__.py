"""Play histories: `python -m tests.simulation --seconds 600`, or one that failed: `--seed 54`.

With PYTHONPATH=src:scripts:. from the root of the repository. Ends with 1 where a history is wrong, or where
hundreds of them never reach a state that has to be reached.
"""

import argparse
import sys

from tests.simulation.history import Plot
from tests.simulation.mistakes import MISTAKES
from tests.simulation.runs import ENOUGH, WANTED, Tour, first_seed_of, for_seconds
from tests.simulation.shrinking import played, shrunk, told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--from-seed", type=int, default=0, help="where to begin (0)")
    parser.add_argument("--seed", type=int, help="play only this one, and tell it turn by turn")
    parser.add_argument("--mistake", choices=sorted(MISTAKES), help="with a deliberate mistake in the product")
    parser.add_argument("--pins", action="store_true", help="find the first seed for each mistake, for PINNED")
    parser.add_argument("--as-it-is", action="store_true", help="do not shrink a history that is wrong")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(Plot(options.seed), options.mistake, is_shrunk=not options.as_it_is)
    if options.pins:
        _say(*(f'    "{name}": {first_seed_of(mistake)},' for name, mistake in MISTAKES.items()))
        return 0
    tour = for_seconds(options.seconds, options.from_seed)
    _report(tour)
    if tour.failed:
        return _one(tour.failed[0], None, is_shrunk=not options.as_it_is)
    return 1 if tour.never_reached and tour.histories >= ENOUGH else 0


def _one(plot: Plot, mistake: str | None, *, is_shrunk: bool) -> int:
    broken = MISTAKES[mistake] if mistake else None
    story = played(plot, broken)
    if story.wrong and is_shrunk:
        sys.stderr.write(f"seed {plot.seed} is wrong: {story.wrong[0]}; making it smaller ...\n")
        story = played(shrunk(plot, broken), broken)
    _say(*told(story))
    return 1 if story.wrong else 0


def _report(tour: Tour) -> None:
    states = sorted({*WANTED, *tour.reached}, key=lambda state: -tour.reached[state])
    _say(
        f"{tour.histories:,} histories, {tour.requests:,} requests, {tour.a_minute:,.0f} a minute of one core",
        *(f"{tour.reached[state]:9,} {state}" for state in states),
        f"never reached: {', '.join(tour.never_reached) or 'nothing that has to be'}",
    )


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
