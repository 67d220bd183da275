"""What the end-to-end tests are worth: a function that is broken on purpose does not get through its stack unseen."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.packaging import build_package
from tests.builders import with_a_sale
from tests.stacks import Stack

if TYPE_CHECKING:
    from types_boto3_lambda.client import LambdaClient

BROKEN: Final = """
from inventory_updater.handler import handle
from inventory_updater.stock import settling
from inventory_updater.tables.protocol import Protocol

Protocol._mark = lambda self, waiting, limits, report: None
settling._is_undecided = lambda record, state: not record.status.is_final
"""
"""No record ever says what its item has decided, and the item forgets it."""


def test_a_change_that_is_forgotten_is_seen_applied_twice(stack: Stack, tmp_path: Path) -> None:
    functions: LambdaClient = stack.client("lambda")
    package = build_package(tmp_path).path
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("broken.py", BROKEN)
    functions.update_function_code(FunctionName=stack.outputs["FunctionName"], ZipFile=package.read_bytes())
    functions.update_function_configuration(FunctionName=stack.outputs["FunctionName"], Handler="broken.handle")
    stack.put(with_a_sale())

    for _ in range(2):
        stack.run_job()

    assert stack.items()["mug"]["on_hand"] == 10 - 3 - 3
    assert stack.records()["mug", "sale"]["status"] == "PENDING"
