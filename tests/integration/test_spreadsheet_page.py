"""docs/spreadsheets.md: its templates work, and what goes wrong is told and put right as it says."""

import re
import shlex
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cli.engine import CHECKOUT
from inventory_updater.intake.csv_format import REQUIRED_CHANGE_COLUMNS
from inventory_updater.stock.change_records import Status
from inventory_updater.stock.changes import KINDS
from inventory_updater.stock.times import parse_time
from tests.desk import Desk

DOCS: Final = CHECKOUT / "docs"
TEMPLATES: Final = DOCS / "templates"
TODAY: Final = "2026-11-20T09:00:00Z"
"""When the page is read: its examples are later, and what is old in it is old."""

HEADER: Final = ",".join(REQUIRED_CHANGE_COLUMNS)
BLOCK: Final = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
PYTHON: Final = ".venv/bin/python scripts/"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """A desk with the stock of the template and an item whose zeros may get lost."""
    desk.at(TODAY)
    assert desk.run("stock", "load", "--check", str(TEMPLATES / "stock.csv")).output.endswith(" rows, all good\n")
    Path("zeros.csv").write_text("sku,location_id,on_hand,unit_price\n00123,BERLIN,7,4.99\n", encoding="utf-8")
    loaded = [desk.run("stock", "load", str(file)).status for file in (TEMPLATES / "stock.csv", "zeros.csv")]
    assert loaded == [0, 0]
    return desk


def section(heading: str) -> str:
    """What stands under a heading of the page, with the headings below it."""
    marks = heading.split()[0]
    text = (DOCS / "spreadsheets.md").read_text(encoding="utf-8")
    _, found, after = text.partition(f"{heading}\n")
    assert found
    return re.split(rf"(?m)^#{{1,{len(marks)}}} ", after)[0]


def test_every_template_is_taken_as_it_is_and_all_of_its_changes_take_effect(desk: Desk) -> None:
    templates = sorted(TEMPLATES.glob("*.csv"))
    templates.remove(TEMPLATES / "stock.csv")
    rows = [line.split(",") for file in templates for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    moments = {parse_time(cell) for row in rows for cell in row if re.match(r"\d{4}-\d{2}-\d{2}T", cell)}

    checked = {file.name: desk.run("changes", "schedule", "--check", str(file)) for file in templates}
    scheduled = [desk.run("changes", "schedule", str(file)).status for file in templates]

    assert {name: said for name, said in checked.items() if (said.status, said.errors) != (0, "")} == {}
    assert set(scheduled) == {0}
    assert {row[3] for row in rows} == set(KINDS)
    runs = []
    for moment in sorted(moments):
        desk.at(moment)
        runs.append(desk.job())
    became = {
        (file.name, each["change_id"]): each["status"]
        for file in templates
        for each in desk.run("changes", "status", "--json", str(file)).answer["changes"]
    }
    assert {name: status for name, status in became.items() if status != Status.APPLIED} == {}
    assert len(became) == len(rows)
    assert sum(run.tally.changes_opened for run in runs) == 3


def test_every_example_of_the_page_is_one_of_a_template() -> None:
    lines = {line for file in TEMPLATES.glob("*.csv") for line in file.read_text(encoding="utf-8").splitlines()}
    examples = [text for kind, text in BLOCK.findall(section("## Templates to fill in")) if kind == "csv"]
    assert len(examples) == len(list(TEMPLATES.glob("*.csv"))) - 1
    assert [line for text in examples for line in text.splitlines() if line not in lines] == []


def test_the_picture_of_a_changes_life_has_every_status_and_every_verb() -> None:
    words = " ".join(ET.parse(DOCS / "change-life.svg").getroot().itertext()).split()
    named = {*map(str, Status), "schedule", "cancel", "retry", "dismiss", "undo"}
    assert named - set(words) == set()
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", section("## The life of a change"))) == set(map(str, Status))


def test_each_of_the_ten_things_that_go_wrong_is_told_like_this_and_put_right_like_this(desk: Desk) -> None:
    ten = re.split(r"(?m)^### (?=\d+\. )", section("## Ten things that go wrong"))[1:]
    assert [int(each.split(".")[0]) for each in ten] == list(range(1, 11))

    differ: dict[str, list[str]] = {}
    for thing in ten:
        title = thing.splitlines()[0]
        assert {"console", "sh"} <= {kind for kind, _ in BLOCK.findall(thing)}, title
        if found := list(mistaken(desk, thing)):
            differ[title] = found
    assert differ == {}


def mistaken(desk: Desk, thing: str) -> Iterator[str]:
    """What of a thing that goes wrong is not as the page says; between two commands a job does what is due."""
    rows = None
    for kind, text in BLOCK.findall(thing):
        if kind == "csv":
            rows = text if "sku" in text.splitlines()[0].split(",") else f"{HEADER}\n{text}"
            continue
        for command, said in commands(text):
            if (name := Path(command[-1])).suffix == ".csv" and rows is not None:
                name.write_text(rows, encoding="utf-8")
            elif name.suffix == ".xlsx":
                shutil.make_archive("workbook", "zip", TEMPLATES)
                Path("workbook.zip").rename(name)
            desk.job()
            answer = desk.run(*command)
            told = f"{answer.output}{answer.errors}".splitlines()
            for line in said:
                begin = line.removesuffix("...")
                if not any(each == line or (begin != line and each.startswith(begin)) for each in told):
                    yield "\n".join([line, "  is not in", *told])
            if kind == "sh" and answer.status != 0:
                yield f"{shlex.join(command)} ended with {answer.status}: {answer.errors}"


def commands(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The commands of a block, as script and arguments, each with the lines that it is said to print."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.removeprefix("$ ").startswith(PYTHON):
            script, *arguments = shlex.split(line.removeprefix("$ ").removeprefix(PYTHON))
            found.append(([script.removesuffix(".py"), *arguments], []))
        else:
            found[-1][1].append(line)
    yield from found
