"""What is said of bad input: collected, so that a test names every offender at once."""

from collections.abc import Callable, Iterable


def refusal(read: Callable[..., object], *arguments: object) -> str | None:
    """The message with which these arguments are refused, or ``None`` where they are not."""
    try:
        read(*arguments)
    except ValueError as refused:
        return str(refused)
    return None


def refusals(read: Callable[[str], object], texts: Iterable[str]) -> dict[str, str | None]:
    """The message with which each text is refused."""
    return {text: refusal(read, text) for text in texts}
