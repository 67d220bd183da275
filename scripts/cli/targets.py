"""The stack that is to be deployed, shown or deleted: not one that has to be there, as for the other scripts."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3

from cli.deployments import session_of, stack_named
from cli.errors import InputError
from cli.stacks import Stack, find_stack, was_ever_complete

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient

ENVIRONMENTS: Final = ("dev", "staging", "prod", "local")


@dataclass(frozen=True)  # without slots, for the client
class Target:
    """The stack that is to be deployed, shown or deleted, and how to reach it."""

    environment: str
    name: str
    session: boto3.Session

    @cached_property
    def client(self) -> "CloudFormationClient":
        return self.session.client("cloudformation")

    def found(self) -> Stack | None:
        return find_stack(self.client, self.name)

    def existing(self) -> Stack:
        if stack := self.found():
            return stack
        raise InputError(f"there is no stack {self.name} in {self.session.region_name}")

    def command(self, *more: str) -> str:
        """The command line that means this stack."""
        usual = self.name == f"inventory-updater-{self.environment}"
        return " ".join(
            ["scripts/deploy.py --environment", self.environment, *([] if usual else ["--stack", self.name]), *more]
        )


def target_of(options: argparse.Namespace) -> Target:
    environment = options.environment or ("local" if options.local else "dev")
    usual = f"inventory-updater-{environment}"
    name = options.stack or usual if options.environment else stack_named(options, usual)
    return Target(environment, name, session_of(options))


def only_to_be_deleted(target: Target, stack: Stack) -> str:
    """What to do about a stack whose creation or deletion failed."""
    sentence = (
        f"the stack {target.name} is in {stack.status} and can only be deleted: "
        f"{target.command('--delete', '--yes', target.name)}"
    )
    if was_ever_complete(target.client, stack):
        return f"{sentence} (first read docs/operations.md, Deleting a stack, which saves what is in its tables)"
    return f"{sentence} (it was never complete: that takes the protection from its tables as well, as they are empty)"


def agreed(question: str, answers: Sequence[str]) -> bool:
    """Ask on standard error, and say whether the answer is one of these."""
    print(question, end=" ", file=sys.stderr, flush=True)
    try:
        return input().strip() in answers
    except EOFError:
        return False
