import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from cli.command_line import CommandLine, filled
from cli.engine import CHECKOUT, EngineFailed, EngineNotRunning
from cli.errors import CommandFailed, InputError, explain
from cli.exit_codes import MEANINGS
from inventory_updater import __version__
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.loading import Loaded, LoadInterrupted
from inventory_updater.intake.refusals import Refusal, Refusals, RefusedError, UnfinishedError
from inventory_updater.intake.text_rows import Problem


def commands(run: object = None) -> CommandLine:
    line = CommandLine("A script.")
    verb = line.add_verb("do", run or (lambda _options: 0), "do it")  # type: ignore[arg-type]
    verb.add_argument("things", nargs="*")
    return line


def raising(error: BaseException) -> CommandLine:
    def run(_options: argparse.Namespace) -> int:
        raise error

    return commands(run)


def refused(code: str, message: str, operation: str = "Scan") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def refusing(count: int) -> RefusedError:
    refusals = Refusals()
    for number in range(1, count + 1):
        refusals.add(Refusal(number, "SETTLED", f"change {number} is APPLIED"))
    return RefusedError(refusals)


# Options


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local", "--stack", "shop", "--json", "do", "a"],
        ["do", "a", "--local", "--stack", "shop", "--json"],
        ["--stack", "shop", "do", "--json", "--local", "a"],
        ["--local", "--json", "do", "--stack=shop", "a"],
    ],
)
def test_shared_options_stand_before_or_after_the_verb(arguments: list[str]) -> None:
    options = commands().parse(arguments)
    assert (options.local, options.stack, options.json, options.things) == (True, "shop", True, ["a"])


def test_shared_options_have_defaults() -> None:
    options = commands().parse(["do"])
    assert (options.local, options.stack, options.json) == (False, None, False)


def test_an_option_after_the_verb_wins_over_the_same_one_before() -> None:
    assert commands().parse(["--stack", "one", "do", "--stack", "two"]).stack == "two"


@pytest.mark.parametrize(
    "arguments", [[], ["dont"], ["do", "--no-such-option"], ["do", "--loc"], ["--stack"], ["do", "--csv"]]
)
def test_bad_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert commands().main(arguments) == 2
    assert "error:" in capsys.readouterr().err


def test_help_has_the_exit_codes_and_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["do", "--help"]):
        assert commands().main(arguments) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "Exit codes: 0 done; 1 failed, or only partly done; 2 bad usage or input" in said
        assert "4 the job completed with failures, or the intake left rows of a file out; 5 the file is held, " in said
    assert commands().main(["--version"]) == 0
    assert capsys.readouterr().out == f"inventory-updater {__version__}\n"


def test_readme_has_every_exit_code() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert [code for code in MEANINGS if f"| {code} |" not in readme] == []


def test_a_script_may_do_without_a_verb_and_without_a_stack() -> None:
    line = CommandLine("A script.", lambda _options: 7, has_stack=False)
    assert line.main([]) == 7
    assert line.main(["--local"]) == 2
    line.add_verb("show", lambda _options: 8, "show it")
    assert [line.main([]), line.main(["show"])] == [7, 8]


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_argument_is_refused_by_name(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = commands()
    line.add_verb("stop", lambda _options: 0, "stop it").add_argument("job_id", metavar="JOB_ID", type=filled)
    assert line.main(["stop", empty]) == 2
    assert "error: argument JOB_ID: must not be empty" in capsys.readouterr().err


def test_what_the_verb_returns_is_the_exit_code() -> None:
    assert commands(lambda _options: 3).main(["do"]) == 3


# Errors


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("no such thing"), "no such thing"),
        (CsvError(Path("a.csv"), [Problem(3, "sku", "BAD", "is bad")]), "a.csv: line 3, column sku: is bad"),
        (EngineNotRunning("start it"), "start it"),
        (refusing(1), "change 1 is APPLIED"),
        (
            TimeoutError("table x did not answer for 3 keys"),
            "AWS does not answer in time: table x did not answer for 3 keys",
        ),
        (
            NoCredentialsError(),
            (
                "no complete AWS credentials were found (Unable to locate credentials): sign in as for the AWS CLI, "
                "or use --local for the embedded engine"
            ),
        ),
        (
            PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            (
                "no complete AWS credentials were found (Partial credentials found in env, missing: "
                "AWS_SECRET_ACCESS_KEY): sign in as for the AWS CLI, or use --local for the embedded engine"
            ),
        ),
        (NoRegionError(), "no AWS region is set: set AWS_REGION, or a region in the profile, or use --local"),
        (ProfileNotFound(profile="shop"), "The config profile (shop) could not be found"),
        (
            UnauthorizedSSOTokenError(),
            (
                "the sign-in to AWS has ended (The SSO session associated with this profile has expired or is "
                "otherwise invalid. To refresh this SSO session run aws sso login with the corresponding profile.): "
                "run `aws sso login`"
            ),
        ),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1/"),
            'AWS does not answer: Could not connect to the endpoint URL: "http://127.0.0.1:1/"',
        ),
        (
            ConnectTimeoutError(endpoint_url="http://127.0.0.1:1/"),
            'AWS does not answer: Connect timeout on endpoint URL: "http://127.0.0.1:1/"',
        ),
        (
            refused("ExpiredTokenException", "The security token is expired"),
            "the AWS credentials have expired (The security token is expired): sign in again",
        ),
        (
            refused("UnrecognizedClientException", "The security token is invalid."),
            "AWS does not know these credentials (The security token is invalid.)",
        ),
        (
            refused("AccessDeniedException", "User bob is not authorized"),
            "these credentials may not do Scan (User bob is not authorized)",
        ),
        (
            refused("ResourceNotFoundException", "Requested resource not found"),
            "AWS refused Scan: ResourceNotFoundException: Requested resource not found",
        ),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_exit_code_2(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error).main(["do"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"error: {sentence}\n"
    assert captured.out == ""


def test_an_error_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(InputError("first\n  second")).main(["do"]) == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_problems_are_told_one_on_a_line_up_to_fifty(capsys: pytest.CaptureFixture[str]) -> None:
    for error, lines in ((refusing(50), 50), (refusing(1_100), 51)):
        assert raising(error).main(["do"]) == 2
        said = capsys.readouterr().err.splitlines()
        assert (said[0], said[1], len(said)) == ("error: change 1 is APPLIED", "change 2 is APPLIED", lines)
    assert said[-1] == "... and 1,050 more problems"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UnfinishedError("2 of 3 items were not written"), "2 of 3 items were not written"),
        (EngineFailed("it did not start"), "it did not start"),
        (
            CommandFailed("the deployment failed\n  Table: CREATE_FAILED"),
            "the deployment failed\n  Table: CREATE_FAILED",
        ),
        (OSError(28, "No space left on device", "a.csv"), "a.csv: No space left on device"),
    ],
)
def test_what_failed_on_the_way_is_exit_code_1(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raising(error).main(["do"]) == 1
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_an_interruption_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()).main(["do"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert raising(LoadInterrupted(Loaded(made=1, replaced=2))).main(["do"]) == 130
    assert capsys.readouterr().err == "interrupted: 3 items written, the same again goes on\n"


def test_a_bug_keeps_its_traceback() -> None:
    assert explain(KeyError("oops")) is None
    with pytest.raises(KeyError):
        raising(KeyError("oops")).main(["do"])


SCRIPT = (
    "import sys; from cli.command_line import CommandLine\n"
    "line = CommandLine('x'); line.add_verb('do', lambda options: print('y\\n' * 100000) or 0, 'do it')\n"
    "sys.exit(line.main())"
)


def script(*arguments: str, **streams: Any) -> "subprocess.Popen[bytes]":
    # Unbuffered, argparse itself would swallow that its help could not be written.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "",
    }
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment, stderr=-1, **streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("arguments", [["do"], ["--help"]])
def test_a_full_disk_is_told(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full, script(*arguments, stdout=full) as process:
        assert process.communicate()[1] == b"error: cannot write: No space left on device\n"
        assert process.returncode == 1


def test_without_its_packages_a_script_says_how_to_get_them() -> None:
    job = CHECKOUT / "scripts" / "job.py"
    ended = subprocess.run([sys.executable, "-S", str(job), "list"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: this Python cannot run the scripts (No module named '")
    assert ended.stderr.endswith("): run `make setup`, then\n  .venv/bin/python scripts/job.py --help\n")


def test_a_reader_who_leaves_is_no_error() -> None:
    with script("do", stdout=-1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
