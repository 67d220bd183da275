"""A small evaluator of IAM policies, for what no engine evaluates: who may use the key, and under which conditions.

It knows Allow statements, the operators that this template uses, and the rule that a key policy which names the account
leaves the rest to the policies of the account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.cloudformation import as_list

Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: by a service (its principal) or by a role of the account, with the keys of its context."""

    action: str
    service: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def allows(statement: Statement, request: Request) -> bool:
    """Whether a statement allows a request, whoever makes it.

    Raises:
        AssertionError: where the statement uses what this evaluator does not know.
    """
    known = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    assert set(statement) <= known, f"{statement['Sid']}: no evaluation of {set(statement) - known}"
    assert statement["Effect"] == "Allow", f"{statement['Sid']}: no evaluation of Deny"
    has_action = any(fnmatchcase(request.action, pattern) for pattern in as_list(statement["Action"]))
    conditions = statement.get("Condition", {})
    return has_action and all(_holds(operator, keys, request.context) for operator, keys in conditions.items())


def may_use_key(
    key_policy: Sequence[Statement], role_policies: Sequence[Statement], account: str, request: Request
) -> bool:
    """Whether the key's policy and, for a role of the account, the role's own policies allow a request together."""
    if request.service is not None:
        of_the_service = (each for each in key_policy if each["Principal"].get("Service") == request.service)
        return any(allows(statement, request) for statement in of_the_service)
    of_the_account = (each for each in key_policy if each["Principal"].get("AWS") == f"arn:aws:iam::{account}:root")
    lets_the_account_decide = any(allows(statement, request) for statement in of_the_account)
    return lets_the_account_decide and any(allows(statement, request) for statement in role_policies)


def _holds(operator: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """Whether every key is there and has one of the values; a key that is absent never matches."""
    return all(
        key in context and any(_matches(operator, str(value), context[key]) for value in as_list(values))
        for key, values in keys.items()
    )


def _matches(operator: str, wanted: str, found: str) -> bool:
    match operator:
        case "StringEquals":
            return found == wanted
        case "Bool":
            return found.lower() == wanted.lower()
        case "StringLike":
            return fnmatchcase(found, wanted)
        case "ArnEquals" | "ArnLike":
            # The same operator under two names; wildcards do not reach over the first five colons.
            wanted_parts, found_parts = wanted.split(":", 5), found.split(":", 5)
            return len(wanted_parts) == len(found_parts) and all(map(fnmatchcase, found_parts, wanted_parts))
    raise AssertionError(f"no evaluation of {operator}")
