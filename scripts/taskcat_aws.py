"""Run taskcat on AWS with .taskcat.yml, and remove the regional buckets that it leaves.

Runs in .venv-taskcat, as `make taskcat` does it. AWS and the credentials are found as boto3 finds them.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from taskcat.testing import CFNTest

from cli.engine import CHECKOUT
from taskcat_project import CONFIGURATION, copy_project, regions_of, remove_buckets, tests_of


def run_taskcat(project: Path, regions: Collection[str], tests: Collection[str]) -> int:
    """Run taskcat to its end and return its exit code; interrupted, it still deletes its stacks."""
    command = [sys.executable, str(Path(sys.executable).with_name("taskcat")), "test", "run"]
    command += ["--project-root", str(project), "--input-file", str(CONFIGURATION)]
    command += ["--output-directory", str(CHECKOUT / "taskcat_outputs"), "--minimal-output"]
    command += ["--regions", ",".join(regions), "--test-names", ",".join(tests)]
    process = subprocess.Popen(command, cwd=CHECKOUT)
    # Ctrl-C reaches taskcat too. It answers by cleaning up, and that takes minutes: wait for it.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def main() -> int:
    """Run the command line and return taskcat's exit code, or 1 where a bucket could not be removed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--regions", default="ALL", help="in these regions only, separated by commas")
    parser.add_argument("--tests", default="ALL", help="these parameter sets only, separated by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taskcat-") as directory:
        project = Path(directory)
        copy_project(project)
        configuration = CFNTest.from_file(project_root=str(project), input_file=str(CONFIGURATION)).config
        try:
            regions, tests = regions_of(configuration, options.regions), tests_of(configuration, options.tests)
        except ValueError as problem:
            parser.error(str(problem))
        status = run_taskcat(project, regions, tests)
        try:
            for sentence in remove_buckets(configuration, regions):
                print(sentence)
        except (BotoCoreError, ClientError) as problem:
            print(f"error: regional buckets are still there: {problem}", file=sys.stderr)
            return status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
