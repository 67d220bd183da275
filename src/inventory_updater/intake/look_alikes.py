"""Items that an unknown one may be meant to be: another form in Unicode, another case, leading zeros that got lost."""

import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Final

from inventory_updater.dynamodb.pacing import Limits, patiently
from inventory_updater.dynamodb.reading import READ_LIMIT
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.inventory_table import InventoryTable

LOOKED_FOR: Final = 200
"""Of so many unknown items look-alikes are looked for: whoever has more has another problem."""

_LONGEST_NUMBER: Final = 18

_FORMS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("its form in Unicode", partial(unicodedata.normalize, "NFC")),
    ("its form in Unicode", partial(unicodedata.normalize, "NFD")),
    ("its case", str.upper),
    ("its case", str.lower),
    ("its case", str.title),
    ("its case", str.swapcase),
)


def other_forms(text: str) -> dict[str, str]:
    """What a text may be meant to be: each other text, and in what it differs."""
    forms = {form(text): what for what, form in reversed(_FORMS)}
    if text.isascii() and text.isdigit():
        forms |= {text.zfill(length): "leading zeros" for length in range(len(text) + 1, _LONGEST_NUMBER + 1)}
        forms[text.lstrip("0") or "0"] = "leading zeros"
    forms.pop(text, None)
    return forms


def other_unicode_form(text: str) -> str | None:
    """The same text in the other form in Unicode; None where there is only one."""
    if text.isascii():
        return None
    forms = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return next((form for form in forms if form != text), None)


class LookAlikes:
    """Says of unknown items what they may be meant to be. Shared by threads: a few more may be looked for."""

    def __init__(self) -> None:
        self._left = LOOKED_FOR

    def hint(self, inventory: InventoryTable, key: ItemKey, limits: Limits) -> str:
        """`: there is ...`; empty where no look-alike is there."""
        if self._left <= 0:
            return ""
        self._left -= 1
        others = dict(islice(_other_keys(key), READ_LIMIT))
        found = patiently(partial(inventory.read_many, list(others), is_consistent=False), limits)
        for other, what in others.items():
            if other in found:
                return f": there is {other.sku!r} at {other.location_id!r}, which differs in {what}"
        return ""


def _other_keys(key: ItemKey) -> Iterator[tuple[ItemKey, str]]:
    skus, locations = other_forms(key.sku), other_forms(key.location_id)
    for sku, what in skus.items():
        yield ItemKey(sku, key.location_id), what
    for location, what in locations.items():
        yield ItemKey(key.sku, location), f"{what} (of the location)"
    for sku, what in skus.items():
        for location in locations:
            yield ItemKey(sku, location), f"{what}, and so does the location"
