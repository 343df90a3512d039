"""What an API server does with the schema of a CustomResourceDefinition, as far as tests need it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import celpy
from celpy.adapter import json_to_cel

Schema = dict[str, Any]


def schemas(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """The schema and all below it: fields as `.name`, items as `[]`, values of a map as `{}`."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from schemas(schema["additionalProperties"], f"{path}{{}}")


def with_defaults(schema: Schema, value: Any) -> Any:
    """Fills in defaults from the outside in, as the API server does for every part that is there."""
    if isinstance(value, list):
        return [with_defaults(schema["items"], item) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    inner_schemas = schema["properties"]
    defaults = {name: inner["default"] for name, inner in inner_schemas.items() if "default" in inner}
    return {name: with_defaults(inner_schemas.get(name, {}), item) for name, item in (defaults | value).items()}


def refusals(schema: Schema, value: Any, old: Any = None) -> list[str]:
    """Messages of all CEL rules that a value, defaults included, breaks. A new value breaks no transition rule."""
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if _breaks(rule, value, old)]
    for name, inner in schema.get("properties", {}).items():
        if name in value and inner["type"] == "object":
            messages += refusals(inner, value[name], old and old.get(name))
    return messages


def _breaks(rule: dict[str, str], value: Any, old: Any) -> bool:
    if "oldSelf" in rule["rule"] and old is None:
        return False
    context = {"self": json_to_cel(value)} | ({} if old is None else {"oldSelf": json_to_cel(old)})
    return not _program(rule["rule"]).evaluate(context)


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
