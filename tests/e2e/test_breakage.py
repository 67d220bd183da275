"""What the end-to-end tests are worth: a function that is broken on purpose does not get through its stack unseen."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.engine import CHECKOUT
from cli.packaging import build_package
from tests.builders import change, item_attributes
from tests.stacks import Stack

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient

BROKEN: Final = """
from tests.faults.breakages import broken
breakage = broken("keep-pending")
breakage.__enter__()
from inventory_updater.handler import handle
"""


def test_a_change_that_stays_pending_is_seen_applied_twice(stack: Stack, tmp_path: Path) -> None:
    functions: LambdaClient = stack.client("lambda")
    package = build_package(tmp_path).path
    with zipfile.ZipFile(package, "a") as archive:
        for path in ("tests/faults/breakages.py", "tests/faults/findings.py"):
            archive.write(CHECKOUT / path, path)
        archive.writestr("broken.py", BROKEN)
    functions.update_function_code(FunctionName=stack.outputs["FunctionName"], ZipFile=package.read_bytes())
    functions.update_function_configuration(FunctionName=stack.outputs["FunctionName"], Handler="broken.handle")
    stack.put(item_attributes(10, pending=[change("sale", value=-3)]))

    runs = [stack.run_job("all").run for _ in range(2)]

    assert [run and run.tally.changes_applied for run in runs] == [1, 1]
    assert stack.items()["mug"]["on_hand"] == 4
