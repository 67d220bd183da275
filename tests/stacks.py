"""Deployed stacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import Engine
from tests.engines import Script, make_client, run_script


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack and the engine that it lives on."""

    engine: Engine
    name: str
    outputs: Mapping[str, str]

    def script(self, name: str, *arguments: str, timeout_seconds: float = 300) -> Script:
        """Run scripts/NAME.py on this stack."""
        return run_script(self.engine, name, "--stack", self.name, *arguments, timeout_seconds=timeout_seconds)

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's engine; annotate the variable that takes it."""
        return make_client(service, self.engine.endpoint_url)


def deploy_stack(engine: Engine, name: str, **parameters: str) -> Stack:
    """Deploy the template with parameters/local.json and `parameters`, as `make run` does, or fail the test.

    No first jobs, also where a schedule is on: a test starts its own.
    """
    overrides = [f"--parameter={parameter}={value}" for parameter, value in parameters.items()]
    deployed = run_script(
        engine, "deploy", "--environment", "local", "--stack", name, "--json", "--no-first-jobs", *overrides
    )
    assert deployed.status == 0, deployed.errors
    return Stack(engine=engine, name=name, outputs=deployed.answer["outputs"])
