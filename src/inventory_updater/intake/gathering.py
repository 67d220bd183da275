"""Names of changes by item, any number of them: on disk, so that whoever works item by item needs no memory for it."""

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Final

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey, item_id, key_of
from inventory_updater.stock.scheduling import content
from inventory_updater.tables.change_table import Name

_ROWS_AT_ONCE: Final = 1_000


class Gathered:
    """Names of changes by item, and the changes that have no record yet: in a file, which goes with this."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="inventory-updater-")
        self._store = sqlite3.connect(f"{self._folder.name}/gathered")
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute(
            "CREATE TABLE names (item TEXT, id TEXT, change TEXT, PRIMARY KEY (item, id)) WITHOUT ROWID"
        )

    def __enter__(self) -> "Gathered":
        return self

    def __exit__(self, *_of_the_error: object) -> None:
        self._store.close()
        self._folder.cleanup()

    def add(self, names: Iterable[tuple[Name, Change | None]]) -> None:
        """Add names; one that is there stays as it is."""
        for batch in batched(names, _ROWS_AT_ONCE):
            rows = [(item_id(key), change_id, _stored(change)) for (key, change_id), change in batch]
            self._store.executemany("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", rows)

    def has(self, key: ItemKey) -> bool:
        found = self._store.execute("SELECT 1 FROM names WHERE item = ? LIMIT 1", (item_id(key),))
        return found.fetchone() is not None

    def by_item(self) -> Iterator[tuple[ItemKey, dict[str, Change | None]]]:
        """Each item with the ids of its changes, and those of them that have no record yet."""
        with closing(self._store.execute("SELECT item, id, change FROM names ORDER BY item, id")) as rows:
            for item, of_item in groupby(rows, itemgetter(0)):
                yield key_of(item), {change_id: _change(stored) for _, change_id, stored in of_item}


def _stored(change: Change | None) -> str | None:
    if change is None:
        return None
    return json.dumps(to_attribute_values({"change_id": change.change_id, **content(change)}))


def _change(stored: str | None) -> Change | None:
    return None if stored is None else Change(**from_attribute_values(json.loads(stored)))  # type: ignore[arg-type]
