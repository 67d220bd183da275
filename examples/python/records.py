"""Put changes into the changes table, as records that a job settles.

docs/contract.md tells what must hold for them. Needs Python 3.11 and boto3.
"""

from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

SHARDS: Final = 64
PLAIN: Final = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%#")


def put_change(table: Any, change: dict[str, Any], *, actor: str, source: str) -> bool:
    """Put a change as a record; False where its item has one of this id already.

    Args:
        table: the changes table.
        change: change_id, sku, location_id, kind, value (Decimal) and effective_at (an aware datetime); if wanted,
            until and not_after (aware), expected (Decimal), reason and reference.
        actor: who asks for it.
        source: where it comes from.
    """
    content = {name: stored_time(value) if isinstance(value, datetime) else value for name, value in change.items()}
    item = item_of(change["sku"], change["location_id"])
    record = {
        **content,
        "item": item,
        "status": "PENDING",
        "attempt": Decimal(1),
        "due_shard": shard_of(item),
        "due_at": content["effective_at"],
        "actor": actor,
        "source": source,
        "scheduled_at": stored_time(datetime.now(UTC)),
    }
    try:
        table.put_item(Item=record, ConditionExpression="attribute_not_exists(change_id)")
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def item_of(sku: str, location_id: str) -> str:
    """Both in one text: mug#DC1."""
    return f"{escaped(sku)}#{escaped(location_id)}"


def escaped(text: str) -> str:
    """Percent-encoded, in UTF-8, where it has a # or a %: all but printable ASCII, and those two."""
    return quote(text, safe=PLAIN) if "#" in text or "%" in text else text


def shard_of(item: str) -> str:
    """Where it waits: of the SHA-256 of the item the first four bytes, modulo 64, in two digits."""
    return f"{int.from_bytes(sha256(item.encode()).digest()[:4], 'big') % SHARDS:02}"


def stored_time(moment: datetime) -> str:
    """In UTC, with six decimals: what is compared as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
