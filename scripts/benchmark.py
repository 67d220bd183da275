"""How the product compares with what others write, and how its cost grows: `make bench`.

What is timed is one run a comparison, its peers one after the other and round after round: what is told are medians,
and first how many times better each is than the loop over boto3's resource. What is counted (units and requests, on
tables in memory) is the same every time.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.comparisons import COMPARISONS, MILLISECONDS, PARTITIONED, Effort
from benchmarks.counting import COUNTED
from benchmarks.figures import Entry, entries, read_results, renewed, this_machine, write_results
from benchmarks.measuring import RunFailed, instant_place, interleaved
from benchmarks.peers import PEERS
from benchmarks.plot import picture
from benchmarks.report import tables, told, with_tables
from cli.engine import CHECKOUT
from cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED

RESULTS: Final = CHECKOUT / "build" / "bench.json"
DOCUMENT: Final = CHECKOUT / "docs" / "benchmarks.md"
PLOT: Final = CHECKOUT / "docs" / "benchmarks.svg"
FULL: Final = Effort(items=100_000, larger_items=20_000, most_items=1_000_000, hot_a_day=10_000, pending=1_000_000)
ALL: Final = (*COUNTED, *COMPARISONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.verb == "docs":
            return _write_document(options.results)
        return _compare(options)
    except (RunFailed, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit codes: 0 done; 1 a run failed; 2 bad usage.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, summary in (
        ("quick", "what fits into 20 minutes"),
        ("full", "the same with ten times the items"),
        ("docs", "put the results into docs/benchmarks.md"),
    ):
        options = verbs.add_parser(verb, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        options.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="default: build/bench.json")
        if verb == "docs":
            continue
        for option, metavar, known, more in (
            ("--only", "COMPARISON,...", ALL, "; what FILE holds of the others is kept"),
            ("--peers", "PEER,...", PEERS, ""),
        ):
            told_of = f"some of {', '.join(known)}{more}"
            options.add_argument(option, type=_names_in(known), default=known, metavar=metavar, help=told_of)
        options.add_argument("--rounds", type=_count, default=5, metavar="N", help="how often each run is repeated")
        options.add_argument("--items", type=_count, metavar="N", help="how many items each peer updates")
    return parser


def _names_in(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        wanted = tuple(text.split(","))
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; there are {', '.join(known)}")
        return wanted

    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def _compare(options: argparse.Namespace) -> int:
    started = time.monotonic()
    effort = replace(FULL if options.verb == "full" else Effort(), peers=options.peers)
    if options.items:
        effort = replace(effort, items=options.items, larger_items=options.items)
    machine = this_machine()
    _say(f"Machine: {machine}")
    results = [] if set(options.only) == set(ALL) else read_results(options.results)
    found: list[Entry] = []
    for comparison in (name for name in ALL if name in options.only):
        _say(f"{comparison} ...")
        if comparison in COUNTED:
            found += COUNTED[comparison](effort, _say)
        else:
            with instant_place(MILLISECONDS.get(comparison, 0), PARTITIONED.get(comparison, 0)) as place:
                measured = interleaved(place, COMPARISONS[comparison](effort), options.rounds, _say)
            found += entries(comparison, place.engine, machine, measured)
        write_results(options.results, renewed(results, found))  # kept where a later comparison fails
    print(told(found))
    _say(f"{options.results} written after {time.monotonic() - started:.0f} seconds")
    return 0


def _write_document(results: Path) -> int:
    entries = read_results(results)
    if not entries:
        raise ValueError(f"{results} holds no results: `make bench` makes them")
    machines = ", ".join(dict.fromkeys(entry.machine for entry in entries if entry.machine))
    document = DOCUMENT.read_text(encoding="utf-8")
    texts = {"machine": f"Machine: {machines}."} | tables(entries)
    DOCUMENT.write_text(with_tables(document, texts), encoding="utf-8")
    PLOT.write_text(picture(entries), encoding="utf-8")
    _say(f"{DOCUMENT} and {PLOT} written")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
