"""`intake.py dead`: messages that the intake could not do, looked at, sent again, dropped."""

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice

from cli.command_line import CommandLine, filled
from cli.dead_letters import DeadLetters, Letter
from cli.deployments import find_deployment
from cli.errors import InputError
from cli.intake_screens import LETTER_COLUMNS, letter_screen
from cli.long_answers import ROWS_SHOWN, Document, add_limit, limit_of, print_first
from cli.output import counted, print_answer, print_json, print_screen, view_of
from inventory_updater.intake.writing import Progress, told


def list_dead(options: argparse.Namespace) -> None:
    limit = limit_of(options, "message")
    with _dead_letters(options) as letters:

        def documents(tell: Progress) -> Iterator[Document]:
            return (letter.as_document() for letter in told(letters, "reading", tell))

        print_first("messages", documents, LETTER_COLUMNS, limit, options, lambda count: counted(count, "message"))


def show_dead(options: argparse.Namespace) -> None:
    with _dead_letters(options) as letters:
        (letter,) = letters.named([options.message_id])
    if options.json:
        print_json(letter.as_document(), options)
    else:
        print_screen(letter_screen(letter.as_document(), view_of(options)), view_of(options))


def redrive(options: argparse.Namespace) -> None:
    if bool(options.message_ids) == options.all:
        raise InputError("name the messages that are to be sent again, or say --all")
    with _dead_letters(options) as letters:
        wanted: Iterable[Letter] = letters if options.all else letters.named(options.message_ids)
        sent = [{"message_id": letter.message_id, "sent_as": letters.redrive(letter)} for letter in wanted]
    lines = [f"{each['message_id']} is {each['sent_as']} now" for each in islice(sent, ROWS_SHOWN)]
    sentence = "\n".join([*lines, f"{counted(len(sent), 'message')} sent again"])
    print_answer({"redriven": sent}, sentence, options)


def drop(options: argparse.Namespace) -> None:
    with _dead_letters(options) as letters:
        found = letters.named(options.message_ids)
        for letter in found:
            letters.drop(letter)
    dropped = [letter.message_id for letter in found]
    print_answer({"dropped": dropped}, f"{counted(len(dropped), 'message')} dropped", options)


def _dead_letters(options: argparse.Namespace) -> DeadLetters:
    deployment = find_deployment(options)
    return DeadLetters(
        deployment.session.client("sqs"),
        deployment.output("IntakeDeadLetterQueueUrl"),
        deployment.output("IntakeQueueUrl"),
    )


def add_dead(line: CommandLine) -> None:
    dead = line.add_group("dead", "messages that the intake could not do, whatever they are")
    verb = line.add_verb(
        "list",
        list_dead,
        "list dead letters, without deleting any",
        "For two minutes at most nobody else sees what is being listed.",
        has_rows=True,
        group=dead,
    )
    add_limit(verb, "first")
    verb = line.add_verb("show", show_dead, "show a dead letter with all that it says", group=dead)
    verb.add_argument("message_id", type=filled, metavar="ID")
    verb = line.add_verb(
        "redrive",
        redrive,
        "send dead letters to the intake once more",
        "Each is a new message then, with an id and a receipt of its own. It is sent before it is deleted here, so it "
        "may be sent twice; changes that are known already are left alone.",
        group=dead,
    )
    verb.add_argument("message_ids", nargs="*", type=filled, metavar="ID")
    verb.add_argument("--all", action="store_true", help="all of them")
    verb = line.add_verb("drop", drop, "delete dead letters that nobody wants any more", group=dead)
    verb.add_argument("message_ids", nargs="+", type=filled, metavar="ID")
