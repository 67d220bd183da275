"""A jobs table in the memory of the instant server: as much of DynamoDB as one job alone needs.

Conditions are not looked at: they guard against other workers, and there is none.
"""

import json
import re
from typing import Any, Final

Record = dict[str, Any]  # attributes as they come in a request's JSON

_SET: Final = re.compile(r"([#\w]+) = (:\w+)")
_ADD_OR_DELETE: Final = re.compile(r"(ADD|DELETE) (\w+) (:\w+)")


class JobsStore:
    """Records by table and key."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[tuple[str, str], Record]] = {}

    def answer(self, operation: str, body: bytes) -> dict[str, object]:
        """The answer to one request; ValueError where no job asks for such an operation."""
        request = json.loads(body)
        if operation.startswith("Batch"):
            return self._batch(operation, request["RequestItems"])
        records = self._tables.setdefault(request.get("TableName", ""), {})
        match operation:
            case "GetItem":
                found = records.get(_key(request["Key"]))
                return {} if found is None else {"Item": found}
            case "PutItem":
                records[_key(request["Item"])] = request["Item"]
                return {}
            case "UpdateItem":
                record = records.setdefault(_key(request["Key"]), dict(request["Key"]))
                _update(record, request)
                return {"Attributes": record}
            case "Query":
                values = request["ExpressionAttributeValues"]
                job_id, prefix = values[":job"]["S"], values[":prefix"]["S"]
                keys = sorted(key for key in records if key[0] == job_id and key[1].startswith(prefix))
                return {"Items": [records[key] for key in keys], "Count": len(keys), "ScannedCount": len(keys)}
        raise ValueError(f"the instant server knows no {operation} of this table")

    def _batch(self, operation: str, asked: Record) -> dict[str, object]:
        ((table, wanted),) = asked.items()
        records = self._tables.setdefault(table, {})
        if operation == "BatchGetItem":
            return {"Responses": {table: [records[key] for key in map(_key, wanted["Keys"]) if key in records]}}
        for item in (each["PutRequest"]["Item"] for each in wanted):
            records[_key(item)] = item
        return {}


def _update(record: Record, request: Record) -> None:
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    expression = request["UpdateExpression"]
    for name, value in _SET.findall(expression):
        record[names.get(name, name)] = values[value]
    for verb, name, value in _ADD_OR_DELETE.findall(expression):
        before, named = set(record.pop(name, {}).get("SS", [])), set(values[value]["SS"])
        if after := before | named if verb == "ADD" else before - named:
            record[name] = {"SS": sorted(after)}
    if expression.startswith("REMOVE "):
        for name in expression.removeprefix("REMOVE ").split(", "):
            record.pop(names.get(name, name), None)


def _key(attributes: Record) -> tuple[str, str]:
    return attributes["job_id"]["S"], attributes["record"]["S"]
