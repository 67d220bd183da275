"""The intake, for people: put a file, look at receipts, decide on what is held, send dead letters again."""

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from cli.approving import add_held
from cli.awaiting import add_waiting, answer_for, bucket_of, print_receipt
from cli.command_line import CommandLine, filled, input_path
from cli.deployments import find_deployment
from cli.errors import InputError
from cli.input_files import STANDARD_INPUT, add_reading_options
from cli.intake_bucket import name_of
from cli.intake_screens import FILE_COLUMNS
from cli.long_answers import Document, add_limit, limit_of, print_first
from cli.output import counted
from cli.redriving import add_dead
from inventory_updater.intake.writing import Progress, told


def put(options: argparse.Namespace) -> int:
    if options.name is None and options.file == STANDARD_INPUT:
        raise InputError("standard input has no name: give it one with --as")
    metadata = metadata_of(options)
    with _seekable(options.file) as path:
        bucket = bucket_of(find_deployment(options))
        file = bucket.put(path, options.name or options.file.name, metadata)
    return answer_for(file, bucket, options)


def metadata_of(options: argparse.Namespace) -> dict[str, str]:
    """How a file is to be read, as it is told to the intake.

    Raises:
        InputError: where that is more than S3 keeps as it is.
            https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    """
    said = {
        "accept-good": "true" if options.accept_good else None,
        "decimal-comma": "true" if options.decimal_comma else None,
        "time-zone": str(options.time_zone) if options.time_zone else None,
        "ids-from": ",".join(options.ids_from) or None,
        "number-rows": options.number_rows,
    }
    metadata = {name: text for name, text in said.items() if text is not None}
    for name, text in metadata.items():
        if not (text.isascii() and text.isprintable()):
            raise InputError(f"--{name}: {text!r} goes with the file as metadata, which may only be ASCII")
    return metadata


@contextmanager
def _seekable(path: Path) -> Iterator[Path]:
    """A file that can be sent again from its beginning where a request is repeated."""
    if path.is_file():
        yield path
        return
    with path.open("rb") as pipe, NamedTemporaryFile(prefix="inventory-updater-") as copy:
        shutil.copyfileobj(pipe, copy)
        copy.flush()
        yield Path(copy.name)


def status(options: argparse.Namespace) -> None:
    if options.message is not None and options.name:
        raise InputError("--message names a message, and not a file")
    if options.message is not None and options.csv:
        raise InputError("--csv has the rows of a list, and --message prints one receipt: --json has all of it")
    limit = limit_of(options, "file")
    bucket = bucket_of(find_deployment(options))
    if options.message is not None:
        print_receipt(bucket.receipt_of_message(options.message), bucket, options)
        return

    def documents(tell: Progress) -> Iterator[Document]:
        # One more than is printed says that there are more.
        return told(bucket.newest(name_of(options.name), None if limit is None else limit + 1), "reading", tell)

    print_first("files", documents, FILE_COLUMNS, limit, options, lambda count: counted(count, "file"))


def show(options: argparse.Namespace) -> None:
    bucket = bucket_of(find_deployment(options))
    for receipt in bucket.newest(name_of(options.name), None):
        is_named = options.name in (receipt["key"], name_of(receipt["key"]))
        if is_named and options.version in (None, receipt["version"]):
            print_receipt(receipt, bucket, options)
            return
    raise InputError(f"there is no file {options.name}" + (f" of version {options.version}" if options.version else ""))


def commands() -> CommandLine:
    line = CommandLine(
        "Put a file into the intake bucket, look at receipts, decide on what is held, send dead letters again."
    )
    verb = line.add_verb(
        "put",
        put,
        "put a file into the bucket, where it is scheduled",
        "As any system may do that puts files there. What becomes of it is in its receipt, which --wait prints.",
    )
    verb.add_argument("file", type=input_path, metavar="FILE", help="the change file; - is standard input")
    verb.add_argument("--as", dest="name", type=filled, metavar="NAME", help="its name there (default: the file's own)")
    verb.add_argument(
        "--accept-good",
        action="store_true",
        help="take the items whose rows are all good; the other rows come back beside the receipt",
    )
    add_waiting(verb)
    add_reading_options(verb, of_changes=True)

    verb = line.add_verb(
        "status",
        status,
        "say what became of files, the newest first, and which still wait",
        "WAITING is what has no receipt yet. It comes within seconds as a rule; what failed is tried again after half "
        "an hour, and is in dead list after five attempts. With --json: the receipts themselves.",
        has_rows=True,
    )
    verb.add_argument("name", nargs="?", default="", metavar="NAME", help="only files whose names begin so")
    verb.add_argument("--message", type=filled, metavar="ID", help="what became of a message to the queue")
    add_limit(verb, "newest")

    verb = line.add_verb("show", show, "show the receipt of a file, with its problems")
    verb.add_argument("name", type=filled, metavar="NAME", help="the file's name, as it was put")
    verb.add_argument("--version", metavar="VERSION", help="which version of it (default: the newest)")

    add_held(line)
    add_dead(line)
    return line
