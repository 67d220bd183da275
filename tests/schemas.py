"""The JSON Schemas of docs/schemas, as tests hold documents against them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from cli.engine import CHECKOUT

FOLDER: Final = CHECKOUT / "docs" / "schemas"

Schema = dict[str, Any]


@cache
def schemas() -> dict[str, Schema]:
    """Every schema by the name of its file, without the ending."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def not_taken(name: str, document: object) -> list[str]:
    """Why a document is not what this schema lets through."""
    return _problems(_validator(name, is_exact=False), document)


def not_said(name: str, document: object) -> list[str]:
    """Why a document is not what this schema promises: a field that the schema does not name is a reason as well.

    The product says nothing that its schemas do not; who reads it has to leave alone what a later version may add.
    """
    return _problems(_validator(name, is_exact=True), json.loads(json.dumps(document)))


def _problems(validator: Draft202012Validator, document: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@cache
def _validator(name: str, *, is_exact: bool) -> Draft202012Validator:
    known = ((schema["$id"], Resource.from_contents(schema)) for schema in schemas().values())
    registry: Registry[Schema] = Registry().with_resources(known)
    schema = schemas()[name]
    return Draft202012Validator(_exact(schema) if is_exact else schema, registry=registry)


def _exact(schema: Any) -> Any:
    """The schema without any fields but those that it names."""
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return {**closed, **dict(_exact_parts(schema))}


def _exact_parts(schema: Schema) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        match key, value:
            case "properties", dict():
                yield key, {name: _exact(inner) for name, inner in value.items()}
            case "anyOf", list():
                yield key, [_exact(inner) for inner in value]
            case "items", _:
                yield key, _exact(value)
            case _:
                yield key, value
