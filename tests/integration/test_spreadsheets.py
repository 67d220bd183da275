"""Change files as spreadsheets make them: each gives the rows and the problems that its folder says.

The files lie beside the checkout, not in it. A new folder is a new case, and needs nothing here.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from cli import change_verbs, stock_verbs
from cli.engine import CHECKOUT
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_DONE
from tests.builders import USUAL_GUARDS
from tests.shop import Shop

DATA: Final = CHECKOUT.parent / "shared" / "data" / "spreadsheets"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the spreadsheets are not beside this checkout")


def test_every_file_gives_the_rows_and_the_problems_that_its_folder_says(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    services = shop.services
    deployed = SimpleNamespace(
        dynamodb=lambda: services.dynamodb,
        inventory=lambda: services.inventory,
        changes=lambda: services.changes,
        caller=lambda: "ann",
        guards=lambda: USUAL_GUARDS,
    )
    for verbs in (change_verbs, stock_verbs):
        monkeypatch.setattr(verbs, "find_deployment", lambda _options: deployed)
    assert stock_verbs.commands().main(["load", str(DATA / "stock.csv")]) == EXIT_DONE
    capsys.readouterr()

    def found(folder: Path, arguments: list[str], file: str) -> tuple[int, object, object]:
        asked = ["schedule", "--check", "--json", *arguments, str(folder / file)]
        code = change_verbs.commands().main(asked)
        answer = json.loads(capsys.readouterr().out)
        return code, answer["good"], sorted([[each["line"], each["column"]] for each in answer["problems"]], key=str)

    differ = {}
    for folder in sorted(path.parent for path in DATA.glob("*/expected.json")):
        wanted = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
        problems = sorted(wanted["problems"], key=str)
        expected = (EXIT_BAD_INPUT if problems else EXIT_DONE, wanted["good"], problems)
        if (said := found(folder, wanted["arguments"], wanted["file"])) != expected:
            differ[folder.name] = {"said": said, "expected": expected}
    assert differ == {}
