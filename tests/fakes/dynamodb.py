"""A stand-in for DynamoDB's client that answers from a script."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError, ReadTimeoutError

WRITE: Final = "batch_execute_statement"
"""The operation that writes to the inventory."""

Request = Mapping[str, Any]
"""What an operation was called with."""

Answer = Mapping[str, Any] | Exception | Callable[[Request], Mapping[str, Any]]
"""What an operation answers, or the exception that it raises, or a function of the request."""


class ScriptedClient:
    """Answers each operation from its own script, in order, and records what it was asked."""

    def __init__(self, **scripts: Sequence[Answer]) -> None:
        self._scripts = {operation: deque(script) for operation, script in scripts.items()}
        self.requests: list[tuple[str, Request]] = []
        self.client: Any = self  # as what it stands in for

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        def call(**request: object) -> Mapping[str, Any]:
            self.requests.append((operation, request))
            script = self._scripts.get(operation)
            assert script, f"nobody expected this {operation}: {request}"
            answer = script.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer(request) if callable(answer) else answer

        return call

    def asked(self, operation: str) -> list[Request]:
        """The requests of one operation."""
        return [request for name, request in self.requests if name == operation]

    @property
    def is_exhausted(self) -> bool:
        """Whether every answer of every script was asked for."""
        return not any(self._scripts.values())


def failed_request(code: str, status: int = 400, message: str = "said no") -> ClientError:
    """A request that failed as a whole."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest does not matter
        "Operation",
    )


def lost_answer() -> ReadTimeoutError:
    """A request whose answer did not come in time."""
    return ReadTimeoutError(endpoint_url="https://dynamodb.example")
