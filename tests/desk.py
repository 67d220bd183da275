"""The scripts, run in this process on the tables of a shop, at whatever moment the test says."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

import pytest

from cli import change_verbs, deployments, intake_verbs, job_verbs, stock_verbs
from cli.command_line import CommandLine
from cli.deployments import Deployment
from inventory_updater.stock.times import parse_time, read_time
from inventory_updater.tables.records import Run
from tests.cloudformation import load_template, parameter_values, resolve
from tests.engines import TABLES, Script, session
from tests.shop import Shop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SCRIPTS: Final[Mapping[str, CommandLine]] = {
    "changes": change_verbs.commands(),
    "intake": intake_verbs.commands(),
    "job": job_verbs.commands(),
    "stock": stock_verbs.commands(),
}


def run_here(capsys: pytest.CaptureFixture[str], script: str, *arguments: str) -> Script:
    """Run scripts/SCRIPT.py in this process."""
    capsys.readouterr()
    status = SCRIPTS[script].main(arguments)
    return Script(status, *capsys.readouterr())


@dataclass(frozen=True)
class _Deployed(Deployment):
    """A shop as the stack that a command is about, with the defaults of the template's parameters."""

    client: "DynamoDBClient"

    def dynamodb(self) -> "DynamoDBClient":
        return self.client

    def caller(self) -> str:
        return "ann"


def _deployed(shop: Shop) -> Deployment:
    parameters = parameter_values()
    outputs = {name: str(resolve(each["Value"], parameters)) for name, each in load_template()["Outputs"].items()}
    outputs |= {f"{name}Name": table for name, table in zip(TABLES, astuple(shop.tables), strict=True)}
    return _Deployed("desk", session(), outputs, parameters, shop.client)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where somebody types commands and looks at the clock."""

    shop: Shop
    capsys: pytest.CaptureFixture[str]

    def at(self, time: str) -> None:
        """It is this time now, for the commands and for the jobs."""
        moment = read_time(parse_time(time))
        self.shop.clock.starts = lambda: moment

    def job(self) -> Run:
        """Run the job that the schedule would run now."""
        return self.shop.run()

    def run(self, script: str, *arguments: str) -> Script:
        """Run scripts/SCRIPT.py on the shop."""
        return run_here(self.capsys, script, *arguments)


@contextmanager
def desk_in(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A desk whose commands are about this shop, and whose clock is that of its jobs."""
    deployed = _deployed(shop)
    instead = {"find_deployment": lambda _options: deployed, "now": shop.services.now}
    real = {name: getattr(deployments, name) for name in instead}
    with pytest.MonkeyPatch.context() as patch:
        for module in [each for name, each in sys.modules.items() if name.startswith("cli.")]:
            for name, replaced in real.items():
                if vars(module).get(name) is replaced:
                    patch.setattr(module, name, instead[name])
        yield Desk(shop, capsys)
