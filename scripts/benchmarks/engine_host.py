"""A real engine with its tables, kept for as long as standard input stays open.

`python -m benchmarks.engine_host ENGINE DIRECTORY` prints where the engine is as a line of JSON. It is a process
of its own, so that the engine's share of the time can be told from the client's.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engines import (
    create_tables,
    make_client,
    private_dynamodb_local,
    private_ministack,
    reason_without_dynamodb_local,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from tests.engines import Tables


@dataclass(frozen=True, slots=True)
class Hosted:
    """Where an engine is and what it holds; ``reason`` says why it cannot run here."""

    reason: str | None = None
    endpoint_url: str = ""
    pid: int = 0
    inventory: str = ""
    jobs: str = ""
    warm_inventory: str = ""
    warm_jobs: str = ""


def main() -> None:
    engine, directory = sys.argv[1], Path(sys.argv[2])
    reason = reason_without_dynamodb_local() if engine == "dynamodb-local" else None
    if reason is not None:
        _say(Hosted(reason))
        return
    with _endpoint(engine, directory) as endpoint_url:
        client: DynamoDBClient = make_client("dynamodb", endpoint_url)
        measured, warm = create_tables(client, "bench"), create_tables(client, "warm")
        _say(_hosted(endpoint_url, measured, warm))
        sys.stdin.read()


@contextlib.contextmanager
def _endpoint(engine: str, directory: Path) -> Iterator[str]:
    if engine == "dynamodb-local":
        with private_dynamodb_local(directory) as endpoint_url:
            yield endpoint_url
    else:
        with private_ministack(directory) as ministack:
            yield ministack.endpoint_url


def _hosted(endpoint_url: str, measured: "Tables", warm: "Tables") -> Hosted:
    # The engine is a child of this process, which itself does nothing meanwhile.
    return Hosted(None, endpoint_url, os.getpid(), measured.inventory, measured.jobs, warm.inventory, warm.jobs)


def _say(hosted: Hosted) -> None:
    print(json.dumps(asdict(hosted)), flush=True)


if __name__ == "__main__":
    main()
