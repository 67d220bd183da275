"""The documents: what they link to, and every path that they name, is there."""

import re
from collections.abc import Iterator
from pathlib import Path

from cli.engine import CHECKOUT

PACKAGE = CHECKOUT / "src" / "inventory_updater"

LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path of the checkout as a whole code span, or at the beginning of a command in one.
FOLDERS = "docs|parameters|requirements|scripts|src|tests"
ROOMS = "dynamodb|intake|jobs|reports|stock|tables"
PATH = re.compile(rf"`((?:{FOLDERS}|{ROOMS})/[\w./-]+)(?=[` ])")


def documents() -> list[Path]:
    within = (*CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("tests/**/*.md"))
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
