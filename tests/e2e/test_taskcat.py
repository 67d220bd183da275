"""The parameter sets of .taskcat.yml through taskcat, on an embedded engine of its own: `make taskcat-local`."""

import os
import signal
import subprocess
from itertools import product
from typing import Final

import pytest
import yaml

from cli.engine import CHECKOUT
from cli.packaging import build_package
from taskcat_runs.project import CONFIGURATION

ENVIRONMENT: Final = CHECKOUT / ".venv-taskcat"

pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / ".ready").exists(), reason=".venv-taskcat is not here: `make taskcat-setup` makes it"
)


def run_taskcat(*arguments: str, timeout_seconds: float = 500) -> list[str]:
    """What `make taskcat-local` prints, line by line; the test fails where it does."""
    build_package()
    process = subprocess.Popen(
        [ENVIRONMENT / "bin" / "python", "-W", "ignore", "-m", "taskcat_runs.run", "--embedded", *arguments],
        cwd=CHECKOUT / "scripts",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout_seconds)
    except BaseException:
        # Asked to end, it stops its engine.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
        raise
    assert process.returncode == 0, output + errors
    return output.splitlines()


def test_everything_switched_on_deploys_and_works_in_a_distant_region() -> None:
    stack, bucket, summary = run_taskcat("--regions", "ap-southeast-2", "--tests", "everything")

    assert stack == "ap-southeast-2 everything: 100 items updated"
    assert bucket.endswith("-ap-southeast-2: removed, with 2 files")
    assert summary == "1 of 1 stacks did what they should; none is left"


@pytest.mark.slow
def test_both_parameter_sets_deploy_and_work_in_every_region() -> None:
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    regions, tests = sorted(configuration["project"]["regions"]), sorted(configuration["tests"])

    lines = run_taskcat()

    assert (len(regions), len(tests)) == (4, 2)
    assert lines[:8] == [f"{region} {test}: 100 items updated" for region, test in product(regions, tests)]
    assert [line.partition(": ")[2] for line in lines[8:12]] == ["removed, with 2 files"] * 4
    assert lines[12:] == ["8 of 8 stacks did what they should; none is left"]
