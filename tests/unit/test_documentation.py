"""The documents: what they link to, every path and every command that they name, is there."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cli import deploying, engine_verbs
from cli.command_line import CommandLine
from cli.engine import CHECKOUT
from tests import desk

PACKAGE = CHECKOUT / "src" / "inventory_updater"

LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path of the checkout as a whole code span, or at the beginning of a command in one.
FOLDERS = "docs|examples|parameters|policies|requirements|scripts|src|tests"
ROOMS = "dynamodb|intake|jobs|reports|stock|tables"
PATH = re.compile(rf"`((?:{FOLDERS}|{ROOMS})/[\w./-]+)(?=[` ])")

SCRIPTS: Final[Mapping[str, CommandLine]] = {
    **desk.SCRIPTS,
    "deploy": deploying.commands(),
    "local": engine_verbs.commands(),
}
# A line that can be pasted, or a code span that begins with a script.
COMMAND = re.compile(rf"(?m)(?:^ *(?:\$ )?\.venv/bin/python scripts/|`)({'|'.join(SCRIPTS)})\.py +([^`#\n]+)")


def documents() -> list[Path]:
    within = (*CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("examples/*/*.md"), *CHECKOUT.glob("tests/**/*.md"))
    return sorted((*CHECKOUT.glob("*.md"), *within))


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(document: Path) -> Iterator[str]:
    text = document.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield link
    for path in PATH.findall(text):
        if "NAME" not in path and not any((base / path).exists() for base in (CHECKOUT, PACKAGE)):
            yield path


def test_every_link_and_path_in_the_documents_leads_somewhere() -> None:
    found = {str(document.relative_to(CHECKOUT)): list(missing(document)) for document in documents()}

    assert len(found) > 10
    assert {name: paths for name, paths in found.items() if paths} == {}


# Commands


def is_accepted(script: str, words: list[str]) -> bool:
    """Whether a script takes these words; of a verb alone, whether there is one."""
    is_verb_alone = len(words) == 1 and not words[0].startswith("-")
    try:
        SCRIPTS[script].parse([*words, "--help"] if is_verb_alone else words)
    except SystemExit as end:
        return not end.code
    return True


def test_every_command_in_the_documents_is_one_that_its_script_accepts() -> None:
    # What is history may name what is gone.
    told_now = [each for each in documents() if each.parent.name != "adr" and each.name != "CHANGELOG.md"]
    commands = [
        (each.name, script, rest.replace("$SUFFIX", "prod"))
        for each in told_now
        for script, rest in COMMAND.findall(each.read_text(encoding="utf-8"))
    ]

    assert len(commands) > 50
    assert [] == [command for command in commands if not is_accepted(command[1], shlex.split(command[2]))]
