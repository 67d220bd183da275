"""How the product compares with what others write, and how its cost grows: `make bench`.

Every comparison is one run, its peers one after the other and round after round. What is told are medians, and first
how many times better each is than the loop over boto3's resource.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import comparisons
from benchmarks.comparisons import Effort
from benchmarks.engine_places import REAL_ENGINES, NotHere, growth_place, real_place
from benchmarks.figures import Entry
from benchmarks.measuring import Place, Progress, RunFailed, instant_place
from benchmarks.peers import PEERS
from benchmarks.report import goals_table, limits_table, tables, told, with_tables
from benchmarks.results import machine, read_results, renewed, write_results
from benchmarks.write_units import reported_write_units
from cli.engine import CHECKOUT

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130

RESULTS: Final = CHECKOUT / "build" / "bench.json"
DOCUMENT: Final = CHECKOUT / "docs" / "benchmarks.md"
PLOT: Final = CHECKOUT / "docs" / "benchmarks.svg"

QUICK: Final = Effort()
FULL: Final = replace(QUICK, items=100_000, real_items=10_000, sweep_items=20_000, real_stored=QUICK.stored)

ON_THE_INSTANT_SERVER: Final[Mapping[str, Callable[[Place, Effort, Progress], list[Entry]]]] = {
    "end_to_end": comparisons.end_to_end,
    "growth_items": comparisons.growth_of_items,
    "growth_due": comparisons.growth_of_table,
    "growth_item_size": comparisons.growth_of_item_size,
    "settings": comparisons.settings_of_the_product,
    "parts": comparisons.parts_of_an_update,
}
GROWTH_ENGINE: Final = "dynamodb-local"
"""Only its read units go by what was read."""
GROWTH_ON_IT: Final = f"{GROWTH_ENGINE}-growth"

COMPARISONS: Final = (*ON_THE_INSTANT_SERVER, *REAL_ENGINES, GROWTH_ON_IT)


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
        options.add_argument(
            "--only",
            type=_names_in(COMPARISONS),
            default=COMPARISONS,
            metavar="COMPARISON,...",
            help=f"some of {', '.join(COMPARISONS)}; what FILE holds of the others is kept",
        )
        options.add_argument(
            "--peers",
            type=_names_in(PEERS),
            default=PEERS,
            metavar="PEER,...",
            help=f"some of {', '.join(PEERS)}",
        )
        options.add_argument("--rounds", type=_count, metavar="N", help="how often each run is repeated")
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
    effort = replace(FULL if options.verb == "full" else QUICK, peers=options.peers)
    if options.rounds:
        effort = replace(effort, rounds=options.rounds)
    if options.items:
        effort = replace(effort, items=options.items, real_items=options.items, sweep_items=options.items)
    named = machine()
    _say(f"Machine: {named}")
    results = [] if set(options.only) == set(COMPARISONS) else read_results(options.results)
    found: list[Entry] = []
    for entries in _compared(options.only, effort):
        found += [replace(entry, machine=named) for entry in entries]
        write_results(options.results, renewed(results, found))
    print(told(found))
    _say(f"{options.results} written after {time.monotonic() - started:.0f} seconds")
    return 0


def _compared(wanted: Sequence[str], effort: Effort) -> Iterator[list[Entry]]:
    """The entries of one comparison after the other, so that those that were made are kept where a later one fails."""
    with instant_place() as place:
        for name in (name for name in ON_THE_INSTANT_SERVER if name in wanted):
            _say(f"{name} ...")
            yield ON_THE_INSTANT_SERVER[name](place, effort, _say)
    for engine in (engine for engine in REAL_ENGINES if engine in wanted):
        _say(f"{engine} ...")
        try:
            with real_place(engine, effort.real_items) as real:
                yield reported_write_units(real)
                yield comparisons.on_a_real_engine(real, effort, _say)
        except NotHere as reason:
            _say(f"{engine} is left out: {reason}")
    if GROWTH_ON_IT in wanted:
        _say(f"{GROWTH_ON_IT} ...")
        try:
            with growth_place(GROWTH_ENGINE, effort.real_stored, effort.due, _say) as growing:
                yield comparisons.growth_of_a_real_table(growing, effort, _say)
        except NotHere as reason:
            _say(f"{GROWTH_ON_IT} is left out: {reason}")


def _write_document(results: Path) -> int:
    entries = read_results(results)
    if not entries:
        raise ValueError(f"{results} holds no results: `make bench` makes them")
    from benchmarks.plot import draw  # matplotlib is only in .venv-bench

    machines = ", ".join(dict.fromkeys(entry.machine for entry in entries))
    document = DOCUMENT.read_text(encoding="utf-8")
    texts = {
        "machine": f"Machine: {machines}.",
        "goals": goals_table(entries),
        "limits": limits_table(entries),
        **tables(entries),
    }
    DOCUMENT.write_text(with_tables(document, texts), encoding="utf-8")
    draw(entries, PLOT)
    _say(f"{DOCUMENT} and {PLOT} written")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
