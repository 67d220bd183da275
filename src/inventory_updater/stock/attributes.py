"""Attributes as another writer may have left them: read with their type, or refused by name."""

from collections.abc import Mapping
from decimal import Decimal, DecimalException

from inventory_updater.stock.numbers import NUMBERS, ZERO, plain
from inventory_updater.stock.times import STORED_TIME

Attributes = Mapping[str, object]
"""An item as DynamoDB holds it, in Python values: text as ``str``, numbers as ``Decimal``, maps as ``dict``."""

_NOTHING: Mapping[str, object] = {}


class UnreadableAttributeError(ValueError):
    """An attribute is missing or of a wrong type."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def number_at(attributes: Attributes, name: str) -> Decimal | None:
    value = attributes.get(name)
    if isinstance(value, Decimal):
        return value
    if value is None and name not in attributes:
        return None
    raise wrong_type(name, "a number")


def version_of(attributes: Attributes) -> Decimal | None:
    version = number_at(attributes, "version")
    try:
        NUMBERS.add(version or ZERO, Decimal(1))
    except DecimalException:
        raise UnreadableAttributeError("TOO_PRECISE", "version cannot be raised by one within 38 digits") from None
    return version


def text_at(attributes: Attributes, name: str) -> str | None:
    value = attributes.get(name)
    if isinstance(value, str):
        return value
    if value is None and name not in attributes:
        return None
    raise wrong_type(name, "text")


def map_at(attributes: Attributes, name: str) -> Mapping[str, object]:
    if name not in attributes:
        return _NOTHING
    value = attributes[name]
    if not isinstance(value, dict):
        raise wrong_type(name, "a map")
    return value


def time_at(stored: Mapping[str, object], name: str, entry_id: str, map_name: str) -> str:
    value = stored.get(name)
    if not isinstance(value, str) or not STORED_TIME.fullmatch(value):
        raise wrong_type(f"{map_name}.{entry_id}.{name}", "a time of the form YYYY-MM-DDTHH:MM:SS.ffffffZ")
    return value


def entry_of(stored: object, entry_id: str, map_name: str) -> Mapping[str, object]:
    if not isinstance(stored, dict):
        raise wrong_type(f"{map_name}.{entry_id}", "a map")
    return stored


def wrong_type(path: str, wanted: str) -> UnreadableAttributeError:
    # The value itself stays out of the message: it may be large, and it goes to the log.
    return UnreadableAttributeError("WRONG_TYPE", f"{path} is not {wanted}")


def as_json(value: object) -> object:
    """What ``json`` cannot write by itself: a number as text, exact whatever reads it."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
