"""What the scripts share: options, the way to AWS or to the embedded engine, output, errors and exit codes."""

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.engine import EngineNotRunning, running_engine
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.operations import RefusedError, UnfinishedError
from inventory_updater.stock.numbers import plain
from inventory_updater.stock.times import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_stepfunctions import SFNClient

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_SKIPPED: Final = 3
EXIT_INTERRUPTED: Final = 130
EXIT_NOBODY_READS: Final = 141

LOCAL_STACK: Final = "inventory-updater-local"
USUAL_STACK: Final = "inventory-updater-dev"

WRITERS: Final = 8
SECONDS_WITHOUT_PROGRESS: Final = 2.0
# A file or a pipe has no width; it gets one in which the tables fit.
WIDTH_WITHOUT_TERMINAL: Final = 200

# The scripts write no record that expires, so this only has to be something.
RETENTION_DAYS: Final = 30

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 the job failed, was abandoned, timed out or aborted, or not all was written; "
    "2 bad usage or input; 3 the job was skipped."
)


class InputError(Exception):
    """What was asked for cannot be done; the text says why, and nothing was written."""


class CommandLine:
    """A script with verbs. The options that all scripts share may stand before or after the verb."""

    def __init__(self, description: str) -> None:
        self._parser = argparse.ArgumentParser(description=description, epilog=EXIT_CODES, allow_abbrev=False)
        _add_shared_options(self._parser, is_before_the_verb=True)
        self._verbs = self._parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add_verb(
        self, name: str, run: Callable[[argparse.Namespace], int], summary: str, details: str = ""
    ) -> argparse.ArgumentParser:
        """Add a verb; `run` gets the parsed options and returns the exit code."""
        parser = self._verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {details}",
            epilog=EXIT_CODES,
            allow_abbrev=False,
        )
        _add_shared_options(parser, is_before_the_verb=False)
        parser.set_defaults(run=run)
        return parser

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        return self._parser.parse_args(arguments)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run one verb and return its exit code; an error that can be told in a sentence is told in one line."""
        options = self.parse(arguments)
        # What the package logs is for the function's log; here the script's own words say it.
        logging.getLogger("inventory_updater").addHandler(logging.NullHandler())
        run: Callable[[argparse.Namespace], int] = options.run
        try:
            code = run(options)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has seen enough; Python must not try to flush the rest at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_NOBODY_READS
        except Exception as error:
            sentence = explain(error)
            if sentence is None:
                raise
            print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
            return EXIT_FAILED if isinstance(error, UnfinishedError) else EXIT_BAD_INPUT


def _add_shared_options(parser: argparse.ArgumentParser, *, is_before_the_verb: bool) -> None:
    # A default behind the verb would overwrite what was given before it.
    options = parser.add_argument_group("where and how")
    options.add_argument(
        "--local",
        action="store_true",
        default=False if is_before_the_verb else argparse.SUPPRESS,
        help="use the embedded engine of this checkout, whatever the environment says",
    )
    options.add_argument(
        "--stack",
        metavar="NAME",
        default=None if is_before_the_verb else argparse.SUPPRESS,
        help=f"the stack (default: {USUAL_STACK}, with --local {LOCAL_STACK})",
    )
    options.add_argument(
        "--json",
        action="store_true",
        default=False if is_before_the_verb else argparse.SUPPRESS,
        help="answer with one JSON document on standard output",
    )


# Errors


def explain(error: Exception) -> str | None:
    """Return what an error means to whoever typed the command, or None where it is a bug and deserves a traceback."""
    match error:
        case InputError() | CsvError() | EngineNotRunning() | RefusedError() | UnfinishedError():
            return str(error)
        case NoCredentialsError() | PartialCredentialsError():
            return (
                f"no complete AWS credentials were found ({error}): sign in as for the AWS CLI, "
                "or use --local for the embedded engine"
            )
        case NoRegionError():
            return "no AWS region is set: set AWS_REGION, or a region in the profile, or use --local"
        case SSOError() | TokenRetrievalError():
            return f"the sign-in to AWS has ended ({error}): run `aws sso login`"
        case ClientError():
            return _explain_answer(error)
        case BotoConnectionError() | HTTPClientError():
            return f"AWS does not answer: {error}"
        case BotoCoreError():
            return str(error)
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
    return None


def _explain_answer(error: ClientError) -> str:
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", "unknown error"), answer.get("Message", "")
    if code.startswith(("ExpiredToken", "RequestExpired")):
        return f"the AWS credentials have expired ({message}): sign in again"
    if code in ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"):
        return f"AWS does not know these credentials ({message})"
    if code.startswith("AccessDenied"):
        return f"these credentials may not do {error.operation_name} ({message})"
    return f"AWS refused {error.operation_name}: {code}: {message}"


# The deployment that a command is about


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack, the session that reaches it, and its outputs."""

    stack: str
    session: boto3.Session
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
        """An output of the stack, or the InputError that says that it has none of this name."""
        try:
            return self.outputs[name]
        except KeyError:
            raise InputError(
                f"the stack {self.stack} has no output {name}: is it this product, and deployed?"
            ) from None

    def inventory(self) -> InventoryTable:
        return InventoryTable(self._dynamodb(), self.output("InventoryTableName"))

    def jobs(self) -> JobTable:
        return JobTable(
            self._dynamodb(),
            self.output("JobsTableName"),
            retention_days=RETENTION_DAYS,
            clock=lambda: datetime.now(UTC),
        )

    def step_functions(self) -> "SFNClient":
        return self.session.client("stepfunctions")

    def _dynamodb(self) -> "DynamoDBClient":
        return dynamodb_client(self.session, WRITERS)


def find_deployment(options: argparse.Namespace) -> Deployment:
    """Return the deployment that the shared options name.

    Raises:
        InputError: when there is no such stack.
        EngineNotRunning: when `--local` is given and no engine runs.
    """
    if options.local:
        use_embedded_engine()
    session = boto3.Session()
    stack = options.stack or (LOCAL_STACK if options.local else USUAL_STACK)
    return Deployment(stack, session, stack_outputs(session.client("cloudformation"), stack))


def use_embedded_engine() -> None:
    """Turn this process to the running engine, whatever its environment said."""
    environment = running_engine().environment()
    os.environ.clear()
    os.environ.update(environment)


def stack_outputs(cloudformation: "CloudFormationClient", stack: str) -> dict[str, str]:
    """The outputs of a stack by name, or the InputError that says that there is no such stack."""
    try:
        (description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        answer = error.response["Error"]
        if answer["Code"] == "ValidationError" and "does not exist" in answer["Message"]:
            where = cloudformation.meta.region_name
            raise InputError(
                f"there is no stack {stack} in {where}: deploy it, or name another one with --stack"
            ) from None
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def now() -> str:
    """The time by the clock, as it is stored."""
    return format_time(datetime.now(UTC))


# Output


def print_json(document: Mapping[str, object]) -> None:
    """Print one JSON document; quantities and money are text in plain notation, so that no reader rounds them."""
    print(json.dumps(document, indent=2, default=_as_json))


def _as_json(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table on standard output."""
    _console(is_error=False).print(table_of(columns, rows, title))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """A table to be printed or shown; numbers stand right, None is an empty cell."""
    texts = [[cell_text(cell) for cell in row] for row in rows]
    table = Table(title=title or None, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        cells = [row[number] for row in texts if row[number]]
        are_numbers = bool(cells) and all(_is_number(cell) for cell in cells)
        table.add_column(column, justify="right" if are_numbers else "left", overflow="fold")
    for row in texts:
        table.add_row(*row)
    return table


def print_figures(figures: Iterable[tuple[str, object]], title: str = "") -> None:
    """Print names and values below each other on standard output; what is None is left out."""
    table = Table(title=title or None, title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in figures:
        if value is not None:
            table.add_row(name, cell_text(value))
    _console(is_error=False).print(table)


def cell_text(value: object) -> str:
    """A value as it stands in a table: whatever an item holds, it cannot move the cursor or colour the terminal."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case Decimal():
            return plain(value)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(",", "").replace(".", "", 1).isdecimal()


def _console(*, is_error: bool) -> Console:
    console = Console(stderr=is_error, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def error_console() -> Console:
    """Standard error, where progress belongs."""
    return _console(is_error=True)


@contextmanager
def progress(total: int | None = None) -> Iterator[Callable[[str, int], None]]:
    """Show on standard error how far the work has come, once it has taken two seconds.

    Yields the function to tell: what is being done, and how much of `total` is done.
    """
    console = error_console()
    columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()]
    display = Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)
    task = display.add_task("working", total=total)
    timer = threading.Timer(SECONDS_WITHOUT_PROGRESS, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda phase, done: display.update(task, description=phase, completed=done)
    finally:
        timer.cancel()
        timer.join()
        display.stop()
