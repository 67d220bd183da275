"""Waiting for the receipt of a file, and how a command ends that has one."""

import argparse
import shlex
from typing import Final

from cli.command_line import seconds_of
from cli.deployments import Deployment
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_COMPLETED_WITH_FAILURES, EXIT_DONE, EXIT_HELD
from cli.intake_bucket import IntakeBucket, Receipt
from cli.intake_screens import receipt_screen
from cli.output import note, print_answer, print_json, print_screen, view_of
from cli.progress import progress
from inventory_updater.intake.bucket import FileVersion
from inventory_updater.intake.receipts import Answer

EXIT_CODES: Final = {
    Answer.ACCEPTED: EXIT_DONE,
    Answer.PARTLY_ACCEPTED: EXIT_COMPLETED_WITH_FAILURES,
    Answer.HELD: EXIT_HELD,
    Answer.REFUSED: EXIT_BAD_INPUT,
}
USUAL_PATIENCE_SECONDS: Final = 300.0


def bucket_of(deployment: Deployment) -> IntakeBucket:
    return IntakeBucket(deployment.session.client("s3"), deployment.output("IntakeBucketName"))


def answer_for(file: FileVersion, bucket: IntakeBucket, options: argparse.Namespace) -> int:
    """Say where a file was put or, with ``--wait``, what became of it; returns the exit code."""
    if not options.wait:
        document = {"bucket": bucket.name, "key": file.key, "version": file.version}
        print_answer(document, f"put as {file.key}, version {file.version}", options)
        return EXIT_DONE
    with progress() as tell:
        tell("waiting for the receipt", 0)
        try:
            receipt = bucket.wait_for_receipt(file, options.timeout)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{file.key} is in the bucket and goes on: intake.py status {shlex.quote(file.name)}"
            ) from None
    print_receipt(receipt, bucket, options)
    answer = Answer(receipt["status"])
    if answer is Answer.HELD:
        note(f"note: nothing is written until somebody approves it: intake.py held approve {shlex.quote(file.name)}")
    return EXIT_CODES[answer]


def print_receipt(receipt: Receipt, bucket: IntakeBucket, options: argparse.Namespace) -> None:
    if options.json:
        print_json(receipt, options)
    else:
        print_screen(receipt_screen(receipt, view_of(options), bucket.name), view_of(options))


def add_waiting(verb: argparse.ArgumentParser) -> None:
    """Add the options of ``answer_for``."""
    verb.add_argument("--wait", action="store_true", help="wait for the receipt and print it")
    verb.add_argument(
        "--timeout",
        type=seconds_of,
        default=USUAL_PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"with --wait: how long (default: {USUAL_PATIENCE_SECONDS:g})",
    )
