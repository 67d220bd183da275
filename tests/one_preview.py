"""`changes.py preview` in a process of its own, on tables that no stack has made.

`python -m tests.one_preview ENDPOINT INVENTORY CHANGES FILE [OPTION...]`; the last line on standard error is the most
memory that it has held, in bytes.
"""

import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from benchmarks.one_run import peak_bytes
from cli import change_verbs, previewing
from cli.deployments import WRITERS
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from tests.builders import USUAL_GUARDS
from tests.engines import session


def main(endpoint_url: str, inventory: str, changes: str, *arguments: str) -> int:
    client = dynamodb_client(session(), WRITERS, endpoint_url)
    deployed: Any = SimpleNamespace(
        inventory=lambda: InventoryTable(client, inventory),
        changes=lambda: ChangeTable(client, changes, retention_days=30),
        dynamodb=lambda: client,
        guards=lambda: USUAL_GUARDS,
        parameters={"AllowNegativeStock": "false"},
    )
    with patch.object(previewing, "find_deployment", lambda _options: deployed):
        code = change_verbs.commands().main(["preview", *arguments])
    sys.stderr.write(f"{peak_bytes()}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
