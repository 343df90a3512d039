"""The calls of the API as its own OpenAPI document lists them, so that sweeps know of a new route at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

Field = tuple[str, Mapping[str, Any]]
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})

_ID = re.compile(r"(^|[._])(id|ids|key|sub)(\[\])?$")


@dataclass(frozen=True)
class Route:
    """One call and the places of its fields that take a text, as `path.media_id`, `body.media_ids[]`, `body.map{}`.

    `identifiers` are those whose text is an id: of the format uuid, or named `id`, `..._id`, `..._ids`,
    `..._key`, `sub`. `takes_tokens`: whether the document says that a bearer token is needed.
    """

    method: str
    template: str
    takes_tokens: bool
    texts: frozenset[str]
    identifiers: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


async def api_routes(http: httpx.AsyncClient) -> list[Route]:
    """Every documented call under /api/."""
    document = (await http.get("/openapi.json")).json()
    return [
        _route(document, method, template, operation)
        for template, operations in document["paths"].items()
        if template.startswith("/api/")
        for method, operation in operations.items()
        if method in METHODS
    ]


def _route(document: Mapping[str, Any], method: str, template: str, operation: Mapping[str, Any]) -> Route:
    texts = list(_texts(document, operation))
    identifiers = frozenset(place for place, schema in texts if schema.get("format") == "uuid" or _ID.search(place))
    return Route(method.upper(), template, "security" in operation, frozenset(place for place, _ in texts), identifiers)


def _texts(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Field]:
    for parameter in operation.get("parameters", ()):
        yield from _below(document, parameter["schema"], f"{parameter['in']}.{parameter['name']}")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _below(document, content["schema"], "body")


def _below(document: Mapping[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[Field]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "string":
        yield place, schema
    for inner in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from _below(document, inner, place)
    for name, inner in schema.get("properties", {}).items():
        yield from _below(document, inner, f"{place}.{name}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _below(document, schema["additionalProperties"], f"{place}{{}}")
    if "items" in schema:
        yield from _below(document, schema["items"], f"{place}[]")
