"""What went wrong, in a sentence for whoever typed the command."""

import errno
from collections.abc import Sequence
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from cli.engine import EngineFailed, EngineNotRunning
from cli.exit_codes import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_HELD
from cli.output import counted
from inventory_updater.intake.csv_format import CsvError
from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.intake.sheets import DISK_FULL

PROBLEMS_SHOWN: Final = 50
_DISK_ERRORS: Final = frozenset({*DISK_FULL, errno.EIO})


class InputError(Exception):
    """What was asked for cannot be done; the text says why, and nothing was written."""


class ProblemsFound(InputError):
    """What was asked for cannot be done for so many reasons; the text has the first of them, one on a line.

    ``last`` is a last line that they have in common.
    """

    def __init__(self, problems: Sequence[str], count: int, last: str = "") -> None:
        shown = problems[:PROBLEMS_SHOWN]
        more = [f"... and {counted(count - len(shown), 'more problem')}"] if count > len(shown) else []
        super().__init__("\n".join([*shown, *more, *filter(None, [last])]))


class FileHeld(ProblemsFound):
    """Nothing is wrong with what was asked for, but somebody has to say that it is meant."""


class CommandFailed(Exception):
    """What was begun could not be done; the text, of one line or several, says why."""


def exit_code_of(error: Exception) -> int:
    """The exit code of a script that ends with an error that `explain` knows."""
    if isinstance(error, FileHeld):
        return EXIT_HELD
    is_failure = isinstance(error, (CommandFailed, EngineFailed, UnfinishedError)) or (
        isinstance(error, OSError) and error.errno in _DISK_ERRORS
    )
    return EXIT_FAILED if is_failure else EXIT_BAD_INPUT


def is_output_error(error: Exception) -> bool:
    """Whether the disk behind standard output takes no more: what is printed has no file name."""
    return isinstance(error, OSError) and error.errno in _DISK_ERRORS and error.filename is None


def explain(error: Exception) -> str | None:
    """Return what an error means to whoever typed the command, or None where it is a bug and deserves a traceback."""
    match error:
        case CommandFailed() | ProblemsFound() | CsvError():
            return str(error)
        case RefusedError():
            return str(ProblemsFound([refusal.message for refusal in error.refusals], error.count))
        case InputError() | EngineNotRunning() | EngineFailed() | UnfinishedError():
            return " ".join(str(error).split())
        case NoCredentialsError() | PartialCredentialsError():
            return (
                f"no complete AWS credentials were found ({error}): sign in as for the AWS CLI, "
                "or use --local for the embedded engine"
            )
        case NoRegionError():
            return "no AWS region is set: set AWS_REGION, or a region in the profile, or use --local"
        case SSOError() | TokenRetrievalError():
            return f"the sign-in to AWS has ended ({error}): run `aws sso login`"
        case ClientError():
            return _explain_answer(error)
        case BotoConnectionError() | HTTPClientError():
            return f"AWS does not answer: {error}"
        case BotoCoreError():
            return str(error)
        case TimeoutError():
            return f"AWS does not answer in time: {error}"
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        case OSError() if is_output_error(error):
            return f"cannot write: {error.strerror}"
    return None


def _explain_answer(error: ClientError) -> str:
    answer = error.response.get("Error", {})
    code, message = answer.get("Code", "unknown error"), " ".join(answer.get("Message", "").split())
    if code.startswith(("ExpiredToken", "RequestExpired")):
        return f"the AWS credentials have expired ({message}): sign in again"
    if code in ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"):
        return f"AWS does not know these credentials ({message})"
    if code.startswith("AccessDenied") or code == "403":  # an answer to a HEAD request has no body
        return f"these credentials may not do {error.operation_name} ({message})"
    return f"AWS refused {error.operation_name}: {code}: {message}"
