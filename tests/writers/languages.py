"""The example code of each language, run by a driver: it is told what to do by the line, and answers by the line.

``add SKU LOCATION ON_HAND RESERVED``, ``set SKU LOCATION ON_HAND`` and ``put NAME=VALUE ...``, with tabs between the
words; the answers are ``done``, ``not enough`` and ``known``.
"""

import os
import shutil
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from cli.engine import CHECKOUT, REGION
from examples.python import records, stock
from tests.engines import Tables, session

EXAMPLES: Final = CHECKOUT / "examples"
DRIVERS: Final = CHECKOUT / "tests" / "writers"
JARS: Final = CHECKOUT / ".local" / "aws-sdk-java"
MINUTES: Final = 5 * 60

Step = Sequence[str]


class Language(Protocol):
    """The examples in one language, on the tables of a test."""

    def drive(self, steps: Sequence[Step]) -> list[str]:
        """Do the steps one after the other; what each is answered."""
        ...

    def run(self, code: str) -> None:
        """Run the code blocks of the page."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the code is to write."""

    endpoint_url: str
    tables: Tables

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that writes there."""
        return os.environ | {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_REGION": REGION}

    def table(self, name: str) -> Any:
        """A table as boto3's resources have it; not for several threads."""
        return session().resource("dynamodb", endpoint_url=self.endpoint_url).Table(name)


@dataclass(frozen=True, slots=True)
class Python:
    place: Place

    def drive(self, steps: Sequence[Step]) -> list[str]:
        inventory, changes = (
            self.place.table(name) for name in (self.place.tables.inventory, self.place.tables.changes)
        )
        return [self._answer(inventory, changes, *step) for step in steps]

    def run(self, code: str) -> None:
        inventory, changes = (
            self.place.table(name) for name in (self.place.tables.inventory, self.place.tables.changes)
        )
        named: Mapping[str, object] = {"stock": stock, "records": records, "inventory": inventory, "changes": changes}
        exec(code, {**named, "Decimal": Decimal, "datetime": datetime, "UTC": UTC})

    @staticmethod
    def _answer(inventory: Any, changes: Any, verb: str, *words: str) -> str:
        if verb == "put":
            said: dict[str, Any] = dict(word.split("=", 1) for word in words)
            said |= {name: Decimal(said[name]) for name in ("value", "expected") if name in said}
            times = ("effective_at", "until", "not_after")
            said |= {name: datetime.fromisoformat(said[name]) for name in times if name in said}
            return "done" if records.put_change(changes, said, actor="a", source="s") else "known"
        key = {"sku": words[0], "location_id": words[1]}
        try:
            if verb == "add":
                stock.add(inventory, key, on_hand=Decimal(words[2]), reserved=Decimal(words[3]))
            else:
                stock.set_on_hand(inventory, key, Decimal(words[2]))
        except stock.NotEnoughError:
            return "not enough"
        return "done"


@dataclass(frozen=True, slots=True)
class JavaScript:
    place: Place
    folder: Path
    """With the example, what it needs, and the driver."""

    def drive(self, steps: Sequence[Step]) -> list[str]:
        return self._node("driver.mjs", steps)

    def run(self, code: str) -> None:
        imports = 'import { DynamoDBClient } from "@aws-sdk/client-dynamodb";\nimport * as stock from "./stock.mjs";\n'
        imports += 'import { putChange } from "./record.mjs";\n'
        names = "const client = new DynamoDBClient();\nconst [inventory, changes] = process.argv.slice(2);\n"
        (self.folder / "page.mjs").write_text(imports + names + code, encoding="utf-8")
        self._node("page.mjs")

    def _node(self, program: str, steps: Sequence[Step] = ()) -> list[str]:
        return _lines(["node", program], self.folder, self.place, steps)


@dataclass(frozen=True, slots=True)
class Java:
    place: Place
    folder: Path
    """With the classes of the examples and the driver."""

    def drive(self, steps: Sequence[Step]) -> list[str]:
        return self._java("Driver", steps)

    def run(self, code: str) -> None:
        imports = ("java.math.BigDecimal", "java.time.Instant", "java.util.Map")
        client = "software.amazon.awssdk.services.dynamodb.DynamoDbClient"
        page = "".join(f"import {each};\n" for each in (*imports, client))
        page += "class Page {\n  public static void main(String[] tables) {\n"
        page += "    var client = DynamoDbClient.create();\n"
        page += "    var inventory = tables[0];\n    var changes = tables[1];\n"
        page += textwrap.indent(code, "    ") + "  }\n}\n"
        source = self.folder / "Page.java"
        source.write_text(page, encoding="utf-8")
        _compile([source], self.folder)
        self._java("Page")

    def _java(self, program: str, steps: Sequence[Step] = ()) -> list[str]:
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", f"{self.folder}:{JARS}/*", program]
        return _lines(command, self.folder, self.place, steps)


def _compile(sources: Sequence[Path], folder: Path) -> None:
    command = ["javac", "-encoding", "UTF-8", "-Xlint:all,-serial", "-Werror", "-proc:none"]
    _run([*command, "-cp", f"{folder}:{JARS}/*", "-d", str(folder), *map(str, sources)], folder)


def _lines(command: Sequence[str], folder: Path, place: Place, steps: Sequence[Step]) -> list[str]:
    text = "".join("\t".join(step) + "\n" for step in steps)
    arguments = (place.tables.inventory, place.tables.changes)
    return _run([*command, *arguments], folder, text, place.environment).splitlines()


def _run(command: Sequence[str], folder: Path, text: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What a program prints; the test fails with what it says where it fails."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=MINUTES,
        check=False,
    )
    assert ended.returncode == 0, f"{command[0]} failed: {ended.stderr or ended.stdout}"
    return ended.stdout


def node_project(folder: Path) -> Path:
    """The example for Node in a folder of its own, with what it needs; skips where that is not to be had."""
    if shutil.which("npm") is None:
        pytest.skip("the example for Node needs node and npm, and there is no npm here")
    project = folder / "node"
    shutil.copytree(EXAMPLES / "node", project, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(DRIVERS / "driver.mjs", project)
    _fetch(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"], project)
    return project


def java_folder(folder: Path) -> Path:
    """A folder with the classes of the examples and the driver; skips where there is no JDK, or no SDK."""
    if shutil.which("javac") is None:
        pytest.skip("the examples in Java need a JDK of Java 17 or later, and there is no javac here")
    if not (JARS / ".ready").exists():
        if shutil.which("mvn") is None:
            pytest.skip("the AWS SDK for Java is not here, and neither is Maven to fetch it")
        pom = EXAMPLES / "java" / "pom.xml"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
        _fetch(["mvn", "--batch-mode", "--quiet", "--file", str(pom), *goal], folder)
        (JARS / ".ready").touch()
    _compile([*(EXAMPLES / "java").glob("*.java"), DRIVERS / "Driver.java"], folder)
    return folder


def _fetch(command: Sequence[str], folder: Path) -> None:
    """Let a package manager do its work; skips where it cannot: that is no fault of the examples."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=MINUTES, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"{command[0]} could not fetch what the examples need: {(done.stderr or done.stdout)[-500:]}")
