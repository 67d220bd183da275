"""A job that is stopped in the middle: its workers stop, and its record tells as much as the changes' own do."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.builders import mugs
from tests.stacks import Stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_stepfunctions.client import SFNClient

ITEMS: Final = 3_000


def start_a_job(stack: Stack) -> str:
    client: SFNClient = stack.client("stepfunctions")
    arn, job_id = stack.outputs["StateMachineArn"], "to-be-stopped"
    client.start_execution(stateMachineArn=arn, name=job_id, input=json.dumps({"scope": "due"}))
    return job_id


def applied(stack: Stack) -> int:
    return Counter(record["status"] for record in stack.records().values())["APPLIED"]


@pytest.mark.slow
def test_after_a_stop_nothing_changes_and_the_job_tells_as_many_changes_as_their_records(stack: Stack) -> None:
    stack.forget()
    stack.put(*mugs(ITEMS))
    job_id = start_a_job(stack)
    wait_until(lambda: applied(stack) > 0, "the job does not begin")

    stopped = stack.script("job", "stop", job_id, "--json")
    so_far = applied(stack)
    shown = stack.script("job", "show", job_id, "--json").answer

    assert stopped.answer["status"] == shown["status"] == "ABANDONED", stopped.errors
    assert (shown["tally_is_exact"], shown["changes_applied"]) == (True, so_far)
    assert 0 < applied(stack) == so_far < ITEMS
    rest = stack.run_job().run
    assert rest is not None
    assert (rest.tally.changes_applied, applied(stack)) == (ITEMS - so_far, ITEMS)
