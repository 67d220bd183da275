"""A file that came in as metrics and as a message to people; decides nothing."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.reports.alerts import FAILURES_AN_ALERT, Alert, send_alert
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
"""What counts a file; one that was taken in part is one that somebody has to correct as well."""

_MEANS: Final = {
    "PARTLY_ACCEPTED": "Some of it was taken; somebody has to correct the rest and send it again.",
    "HELD": "Nothing of it was taken: it is beyond the guards, or so old that it may have been taken before. "
    "Somebody has to approve it or send another.",
    "REFUSED": "Nothing of it was taken: somebody has to correct it and send it again.",
}

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
    where = f"--stack {stack}"
    show = f"  .venv/bin/python scripts/intake.py held show {shlex.quote(receipt['key'])} {where}"
    do = [show] if status == "HELD" else []
    lines = [
        f"File {receipt['key']} (version {receipt['version']}) in environment {environment} is {status}.",
        _MEANS[status],
        "",
        f"Rows: {receipt['rows']:,} ({counts})",
        f"Receipt: s3://{bucket}/{receipt_key}",
        *(f"{name}: s3://{bucket}/{receipt[key]}" for name, key in _BESIDE if key in receipt),
        "",
        f"{counted(receipt['problem_count'], 'problem')}, the first:",
        *problems,
        *(["", "What to do, in a checkout:", *do] if do else []),
    ]
    subject = f"[{environment}] inventory file {status}: {counted(receipt['problem_count'], 'problem')}"
    return Alert(subject, "\n".join(map(_in_one_line, lines)))


def _in_one_line(text: str) -> str:
    """What looks like another line of the message is none: a supplier chooses the name of a file."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


_BESIDE: Final = (("All problems", "problems_key"), ("Rows not taken", "rejects_key"))


def _line_of(problem: Receipt) -> str:
    where = [f"line {problem['line']}"] if problem["line"] is not None else []
    where += [f"column {problem['column']}"] if problem["column"] is not None else []
    return f"  {', '.join(where) or 'the file'}: {problem['code']}: {problem['message']}"


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
        counts = dict.fromkeys(_METRICS[receipt["status"]], 1)
        publish_metrics(self.cloudwatch, count_data(counts, self.environment, self.clock()))
