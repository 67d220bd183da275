"""A script's command line: its verbs, the options that all scripts share, and how it ends."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from math import inf, nan
from pathlib import Path
from typing import Any

from cli.deployments import LOCAL_STACK, STACK_VARIABLE, USUAL_STACK
from cli.errors import InputError, exit_code_of, explain, is_output_error
from cli.exit_codes import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NOBODY_READS, MEANINGS
from cli.input_files import STANDARD_INPUT
from inventory_updater import __version__
from inventory_updater.stock.times import parse_time

Verb = Callable[[argparse.Namespace], int | None]
"""Gets the parsed options and returns the exit code, or nothing where all is done."""

_EXIT_CODES = f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}."


class CommandLine:
    """A script, usually with verbs. The options that all scripts share may stand before or after the verb.

    Args:
        run: what the script does without a verb; without it, there has to be one.
        has_stack: whether it is about a stack, and so takes --local, --stack and --utc.
        epilog: what the help says at its end, before the exit codes.
    """

    def __init__(self, description: str, run: Verb | None = None, *, has_stack: bool = True, epilog: str = "") -> None:
        self._has_stack = has_stack
        self._needs_verb = run is None
        self._epilog = f"{epilog} {_EXIT_CODES}".strip()
        self._verbs: Any = None  # argparse has no public name for it
        self.parser = argparse.ArgumentParser(description=description, epilog=self._epilog, allow_abbrev=False)
        """For the options of a script without verbs."""
        self.parser.add_argument("--version", action="version", version=f"inventory-updater {__version__}")
        self.parser.set_defaults(run=run, local=False, stack=None, utc=False, json=False, csv=False, where={})
        self._add_shared_options(self.parser)

    def add_verb(
        self, name: str, run: Verb, summary: str, details: str = "", *, has_rows: bool = False, group: Any = None
    ) -> argparse.ArgumentParser:
        """Add a verb, to one of the groups perhaps; one whose answer has rows takes --csv beside --json."""
        parser = self._add_parser(group or self._own_verbs(), name, summary, details)
        self._add_shared_options(parser, has_rows=has_rows)
        parser.set_defaults(run=run)
        return parser

    def add_group(self, name: str, summary: str) -> Any:
        """Add a noun that has verbs of its own: what `add_verb` takes as their group."""
        parser = self._add_parser(self._own_verbs(), name, summary, "")
        self._add_shared_options(parser)
        return parser.add_subparsers(dest="verb_of_group", required=True, metavar="VERB")

    def _own_verbs(self) -> Any:
        if self._verbs is None:
            self._verbs = self.parser.add_subparsers(dest="verb", required=self._needs_verb, metavar="VERB")
        return self._verbs

    def _add_parser(self, verbs: Any, name: str, summary: str, details: str) -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}. {details}"
        parser: argparse.ArgumentParser = verbs.add_parser(
            name, help=summary, description=description, epilog=self._epilog, allow_abbrev=False
        )
        return parser

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        return self.parser.parse_args(arguments)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run one verb and return its exit code; an error that can be told in a sentence is no traceback."""
        # What the package logs is for the function's log; here the script's own words say it.
        logging.getLogger("inventory_updater").addHandler(logging.NullHandler())
        try:
            code = self._run(arguments)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt as interruption:
            # What was under way may say how far it came.
            print(": ".join(["interrupted", *map(str, interruption.args)]), file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            _discard_output()
            return EXIT_NOBODY_READS
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            if is_output_error(error):
                _discard_output()
            print(f"error: {sentence}", file=sys.stderr)
            return exit_code_of(error)

    def _run(self, arguments: Sequence[str] | None) -> int:
        try:
            options = self.parse(arguments)
        except SystemExit as end:  # argparse has printed the help, the version or what is wrong
            return int(end.code or 0)
        run: Verb = options.run
        return run(options) or EXIT_DONE

    def _add_shared_options(self, parser: argparse.ArgumentParser, *, has_rows: bool = False) -> None:
        # Without defaults: one behind the verb would overwrite what was given before it.
        options = parser.add_argument_group("where and how", argument_default=argparse.SUPPRESS)
        if self._has_stack:
            options.add_argument(
                "--local",
                action="store_true",
                help="use the embedded engine of this checkout, whatever the environment says",
            )
            options.add_argument(
                "--stack",
                metavar="NAME",
                type=filled,
                help=f"the stack (default: ${STACK_VARIABLE}, else {USUAL_STACK}; with --local {LOCAL_STACK})",
            )
            options.add_argument(
                "--utc", action="store_true", help="show times as they are stored, in UTC, not in your time zone"
            )
        form = options.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="answer with one JSON document on standard output")
        if has_rows:
            form.add_argument("--csv", action="store_true", help="answer with the rows as CSV on standard output")


def filled(text: str) -> str:
    """The type of an argument that may not be empty, such as an id: a shell variable that is not set leaves one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def input_path(text: str) -> Path:
    """The type of an argument that names a file to read; `-` is standard input."""
    return STANDARD_INPUT if filled(text) == "-" else Path(text)


def seconds_of(text: str) -> float:
    """The type of an argument that says how long to wait, in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = nan
    if not 0 <= seconds < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def time_of(option: str, text: str) -> str:
    """The stored time that an option names.

    Raises:
        InputError: where it is none.
    """
    try:
        return parse_time(text)
    except ValueError as error:
        raise InputError(f"{option}: {text!r} {error}") from None


def add_item_options(verb: argparse.ArgumentParser) -> None:
    """Add --sku and --location, for ids that several items have."""
    verb.add_argument(
        "--sku", type=filled, metavar="SKU", help="with --location: the item, where several have a change of this id"
    )
    verb.add_argument("--location", type=filled, metavar="LOCATION")


def check_item_options(options: argparse.Namespace) -> None:
    """
    Raises:
        InputError: where only one of the two is given.
    """
    if (options.sku is None) != (options.location is None):
        raise InputError("--sku and --location go together: they name one item")


def _discard_output() -> None:
    """Keep Python from flushing at exit what nobody takes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
