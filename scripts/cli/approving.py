"""`intake.py held`: what waits for somebody who says whether it is meant."""

import argparse

from cli.awaiting import add_waiting, answer_for, bucket_of, print_receipt
from cli.command_line import CommandLine, filled
from cli.deployments import find_deployment
from cli.errors import InputError
from cli.intake_bucket import IntakeBucket, Receipt
from cli.intake_screens import HELD_COLUMNS
from cli.output import print_answer, print_json, print_rows
from inventory_updater.intake.bucket import INCOMING, FileVersion


def list_held(options: argparse.Namespace) -> None:
    bucket = bucket_of(find_deployment(options))
    held = _with_newer_versions(bucket.held(), bucket)
    if options.json:
        print_json({"held": held}, options)
    else:
        print_rows(HELD_COLUMNS, [[each.get(name) for name in HELD_COLUMNS] for each in held], options)


def _with_newer_versions(held: list[Receipt], bucket: IntakeBucket) -> list[Receipt]:
    """Each receipt with the version of its file that was put last, where it is another one."""
    newest = bucket.newest_versions({each["key"] for each in held})
    return [
        each if newest.get(each["key"]) in (None, each["version"]) else {**each, "newer_version": newest[each["key"]]}
        for each in held
    ]


def show_held(options: argparse.Namespace) -> None:
    bucket = bucket_of(find_deployment(options))
    print_receipt(_the_held(bucket, options), bucket, options)


def approve(options: argparse.Namespace) -> int:
    bucket = bucket_of(find_deployment(options))
    held = _the_held(bucket, options)
    if options.version is None:
        _refuse_where_newer(held, bucket)
    return answer_for(bucket.approve(FileVersion(held["key"], held["version"])), bucket, options)


def _refuse_where_newer(held: Receipt, bucket: IntakeBucket) -> None:
    """
    Raises:
        InputError: where the file was put once more since: whoever did that may have corrected it.
    """
    key, version = held["key"], held["version"]
    newest = bucket.newest_version(key)
    if newest not in (None, version):
        raise InputError(
            f"{key} was put again since: version {newest} is newer than {version}, which is held; "
            f"--version {version} takes it all the same"
        )


def drop(options: argparse.Namespace) -> None:
    bucket = bucket_of(find_deployment(options))
    held = _the_held(bucket, options)
    file = FileVersion(held["key"], held["version"])
    bucket.drop(file)
    sentence = (
        f"{file.key}, version {file.version}, waits no more, and what is held of it is not taken; the file and its "
        f"receipt ({held['status']}) stay until the bucket's lifecycle deletes them"
    )
    print_answer({"dropped": {"key": file.key, "version": file.version}}, sentence, options)


def _the_held(bucket: IntakeBucket, options: argparse.Namespace) -> Receipt:
    """The receipt of the one file that KEY and --version mean."""
    key = INCOMING + options.key.removeprefix(INCOMING)
    of_key = [each for each in bucket.held() if each["key"] == key]
    found = [each for each in of_key if options.version in (None, each["version"])]
    if not of_key:
        raise InputError(f"no file is held as {key}: intake.py held list")
    if len(found) != 1:
        versions = ", ".join(each["version"] for each in of_key)
        raise InputError(f"of {key} these versions are held: {versions}; name one of them with --version")
    return found[0]


def add_held(line: CommandLine) -> None:
    held = line.add_group("held", "files that are held, since what they would do is unusual")
    line.add_verb(
        "list",
        list_held,
        "list the files that wait for a decision, the oldest first",
        has_rows=True,
        group=held,
    )
    show = line.add_verb(
        "show", show_held, "show why a file is held, and what it would do", "Without a write.", group=held
    )
    taking = line.add_verb(
        "approve",
        approve,
        "take a file as it is",
        "Exactly the version that is held is copied to approved/, where the guards are not asked. One that is not the "
        "newest of its file any more has to be named with --version.",
        group=held,
    )
    dropping = line.add_verb(
        "drop",
        drop,
        "turn a file down, so that it waits no more",
        "Only its marker under held/ is deleted: the file and its receipt stay until the bucket's lifecycle deletes "
        "them. Who wants it after all puts it again.",
        group=held,
    )
    for verb in (show, taking, dropping):
        verb.add_argument("key", type=filled, metavar="KEY", help="the file, as held list names it")
        verb.add_argument("--version", metavar="VERSION", help="which version of it")
    add_waiting(taking)
