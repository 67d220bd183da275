"""A file that came in as metrics and as a message to people; decides nothing.

Whoever puts a file names it, so its name may be anything, and people paste what a message tells them to.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.reports.alerts import FAILURES_AN_ALERT, Alert, on_one_line, send_alert
from inventory_updater.reports.metrics import count_data, publish_metrics
from inventory_updater.stock.numbers import counted

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_sns import SNSClient

_METRICS: Final[Mapping[str, Sequence[str]]] = {
    "ACCEPTED": ("FilesAccepted",),
    "PARTLY_ACCEPTED": ("FilesAccepted", "FilesRefused"),
    "HELD": ("FilesHeld",),
    "REFUSED": ("FilesRefused",),
}
"""What counts a file; one that was taken in part is one that somebody has to correct as well, and may be held."""

_MEANS: Final = {
    "PARTLY_ACCEPTED": "Some of it was taken; somebody has to correct the rest and send it again.",
    "HELD": "Nothing of it was taken: it is beyond the guards, or so old that it may have been taken before. "
    "Somebody has to approve it, or drop it and send another.",
    "REFUSED": "Nothing of it was taken: somebody has to correct it and send it again.",
}

_HELD_TOO: Final = " Rows that are only unusual or old are taken once somebody approves the file."

Receipt = Mapping[str, Any]


def file_alert(receipt: Receipt, receipt_key: str, environment: str, stack: str, bucket: str) -> Alert | None:
    """The message about a file that was not taken, or not whole; None about one that was."""
    status = receipt["status"]
    if status not in _MEANS:
        return None
    counts = ", ".join(
        f"{receipt[name]:,} {name.replace('_', ' ')}" for name in ("added", "known", "held", "refused", "not_written")
    )
    problems = [_line_of(each) for each in receipt["problems"][:FAILURES_AN_ALERT]]
    key, version = receipt["key"], receipt["version"]
    waits = _waits(receipt)
    verb = f"show {shlex.quote(key)} --version {shlex.quote(version)}" if key.isprintable() else "list"
    do = [f"  .venv/bin/python scripts/intake.py held {verb} --stack {stack}"] if waits else []
    lines = [
        f"File {on_one_line(key)} (version {version}) in environment {environment} is {status}.",
        _MEANS[status] + (_HELD_TOO if waits and status == "PARTLY_ACCEPTED" else ""),
        "",
        f"Rows: {receipt['rows']:,} ({counts})",
        f"Receipt: s3://{bucket}/{on_one_line(receipt_key)}",
        *(f"{name}: s3://{bucket}/{on_one_line(receipt[said])}" for name, said in _BESIDE if said in receipt),
        "",
        f"{counted(receipt['problem_count'], 'problem')}, the first:",
        *problems,
        *(["", "What to do, in a checkout:", *do] if do else []),
    ]
    subject = f"[{environment}] inventory file {status}: {counted(receipt['problem_count'], 'problem')}"
    return Alert(subject, "\n".join(lines))


def _waits(receipt: Receipt) -> bool:
    """Whether rows of it are taken once somebody approves it."""
    return bool(receipt["held"] and receipt["status"] != "REFUSED")


_BESIDE: Final = (("All problems", "problems_key"), ("Rows not taken", "rejects_key"))


def _line_of(problem: Receipt) -> str:
    where = [f"line {problem['line']}"] if problem["line"] is not None else []
    where += [f"column {problem['column']}"] if problem["column"] is not None else []
    return f"  {on_one_line(', '.join(where) or 'the file')}: {problem['code']}: {on_one_line(problem['message'])}"


@dataclass(frozen=True, slots=True)
class FileReporter:
    """Who is told of files in one environment."""

    environment: str
    stack: str
    bucket: str
    cloudwatch: "CloudWatchClient"
    sns: "SNSClient"
    topic_arn: str
    clock: Callable[[], datetime]

    def tell(self, receipt: Receipt, receipt_key: str) -> None:
        """Count a file, and notify people where it was not taken, or not whole."""
        alert = file_alert(receipt, receipt_key, self.environment, self.stack, self.bucket)
        if alert is not None:
            send_alert(self.sns, self.topic_arn, alert)
        names = (*_METRICS[receipt["status"]], *(("FilesHeld",) if _waits(receipt) else ()))
        counts = dict.fromkeys(names, 1)
        publish_metrics(self.cloudwatch, count_data(counts, self.environment, self.clock()))
