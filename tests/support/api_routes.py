"""The calls of the API as its own OpenAPI document lists them, so that sweeps know of a new route at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})


@dataclass(frozen=True)
class Route:
    """One call; `identifiers` are its fields that take an id, as `path.media_id`, `query.cursor`, `body.media_ids[]`."""

    method: str
    template: str
    identifiers: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    def path(self, **values: str) -> str:
        return self.template.format_map(values)


async def api_routes(http: httpx.AsyncClient) -> list[Route]:
    """Every documented call under /api/."""
    document = (await http.get("/openapi.json")).json()
    return [
        Route(method.upper(), template, frozenset(_identifiers(document, operation)))
        for template, operations in document["paths"].items()
        if template.startswith("/api/")
        for method, operation in operations.items()
        if method in METHODS
    ]


def _identifiers(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", ()):
        fields = _fields(document, parameter["schema"], f"{parameter['in']}.{parameter['name']}", parameter["name"])
        yield from fields
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _fields(document, content["schema"], "body", "")


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any], place: str, name: str) -> Iterator[str]:
    """The places below a schema that hold an id: of the format uuid, or named `id`, `..._id`, `..._ids`, `..._key`."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("format") == "uuid" or _named_like_an_id(name, schema):
        yield place
    for inner in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from _fields(document, inner, place, name)
    for inner_name, inner in schema.get("properties", {}).items():
        yield from _fields(document, inner, f"{place}.{inner_name}", inner_name)
    if "items" in schema:
        yield from _fields(document, schema["items"], f"{place}[]", name)


def _named_like_an_id(name: str, schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and (name == "id" or name.endswith(("_id", "_ids", "_key")))
