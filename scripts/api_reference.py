"""Writes docs/api.md, the reference of the upload API: `python scripts/api_reference.py [DIRECTORY]`, by default docs.

Operations come from the service's own OpenAPI document, problems from its exceptions; what to do is told here.
"""

import sys
from pathlib import Path
from typing import Any

from api_examples import EXAMPLES, PRELUDE
from crd_reference import DOCS, bounds_of, table
from pydantic import SecretStr

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_service.app import create_app
from mediabucket_service.problems import TYPE_PREFIX, Problem
from mediabucket_service.settings import Settings

WHAT_TO_DO = {
    "malformed-request": "Correct the fields that `errors` names.",
    "file-too-large": "Choose a smaller file, or raise `uploads.maxBytes`, as far as the store goes.",
    "type-not-allowed": "Choose another file, or allow the type in `uploads.allowedMimeTypes`.",
    "unauthenticated": "Send a fresh token as `Authorization: Bearer`.",
    "forbidden": "Use a token with the scope that the call needs.",
    "not-found": "Correct the address.",
    "media-not-found": "Correct the id; media of other users are answered alike.",
    "method-not-allowed": "Use a method that `Allow` names.",
    "upload-missing": "PUT the bytes, then confirm again after `Retry-After`.",
    "confirm-in-progress": "Confirm again after `Retry-After`.",
    "media-in-use": "Leave the media: a message refers to it.",
    "no-parts-expected": "PUT the file in one piece, or initiate it with `multipart: true`.",
    "upload-expired": "Initiate the upload anew.",
    "media-deleted": "Nothing: the media is gone for ever.",
    "request-too-large": "Send a smaller body; files go to the store.",
    "upload-mismatch": "Initiate anew with the size, type and SHA-256 of the file that is sent.",
    "rate-limited": "Wait for the seconds in `Retry-After`.",
    "internal-error": "Report `error_id`, which is in the service's log.",
    "dependency-unavailable": "Try again after `Retry-After`; `dependency` names what does not answer.",
}


def problems() -> list[type[Problem]]:
    """Every problem that the service can answer, by status and slug."""
    # Tests have problems of their own.
    found = [problem for problem in Problem.__subclasses__() if problem.__module__.startswith("mediabucket_service.")]
    return sorted(found, key=lambda problem: (problem.status, problem.slug))


def document() -> dict[str, Any]:
    """The OpenAPI document of a service with default settings; nothing is connected."""
    store = StoreConnection(
        endpoint="http://127.0.0.1:1", public_endpoint="http://127.0.0.1:1", access_key_id="a", secret_access_key="b"
    )
    settings = Settings(database_url=SecretStr("postgresql://127.0.0.1:1/none"), jwt_secret=SecretStr("x" * 32))
    spec = MediaBucketSpec.model_validate({"storeRef": {"name": "any"}})
    return create_app(settings, BucketConnection(store=store, bucket="media", spec=spec)).openapi()


def reference() -> str:
    """The whole of docs/api.md."""
    found = document()
    operations = [
        _operation(method, path, operation)
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    ]
    header = (
        "# The upload API\n\n"
        "Generated from the OpenAPI document, the service's problems and `scripts/api_examples.py` by `make docs`.\n\n"
        "The examples are one story in bash, and a test runs them; `API` and `TOKEN` are what `make dev` prints.\n\n"
        f"{_example(PRELUDE)}"
    )
    return "\n".join([header, *operations, *_schemas(found["components"]["schemas"]), *_problems()])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (f"`{item['name']}`", item["in"], *_told(item["schema"] | {"description": item.get("description", "")}))
        for item in operation.get("parameters", [])
    ]
    body = [_type(media["schema"]) for media in operation.get("requestBody", {}).get("content", {}).values()]
    answers = [(status, _answer(answer)) for status, answer in sorted(operation["responses"].items())]
    return "\n".join(
        [
            f"## {method.upper()} {path}\n",
            f"{operation.get('description') or operation['summary']}\n",
            *(table(("parameter", "in", "type", "bounds", "meaning"), parameters) if parameters else []),
            *([f"Body: {body[0]}.\n"] if body else []),
            *table(("status", "answer"), answers),
            _example(EXAMPLES[f"{method.upper()} {path}"]),
        ]
    )


def _example(code: str) -> str:
    return f"```sh runnable\n{code.strip()}\n```\n"


def _answer(answer: dict[str, Any]) -> str:
    bodies = [_type(media["schema"]) for kind, media in answer.get("content", {}).items() if kind == "application/json"]
    described: str = answer["description"]
    if described != "Successful Response":
        return described
    return bodies[0] if bodies and bodies[0] != "any" else "done"


def _schemas(schemas: dict[str, Any]) -> list[str]:
    told = ["## Bodies\n"]
    for name, schema in sorted(schemas.items()):
        told += [f"### {name}\n", schema.get("description", ""), ""]
        if values := schema.get("enum"):
            told += ["One of " + ", ".join(f"`{value}`" for value in values) + ".", ""]
            continue
        required = schema.get("required", [])
        rows = [
            (f"`{field}`", "yes" if field in required else "", *_told(item))
            for field, item in schema.get("properties", {}).items()
        ]
        told += table(("field", "always there", "type", "bounds", "meaning"), rows)
    return told


def _told(schema: dict[str, Any]) -> tuple[str, str, str]:
    choices = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    bounds = "; ".join(filter(None, map(bounds_of, choices)))
    return _type(schema), bounds, schema.get("description", "")


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return f"`{reference.rpartition('/')[2]}`"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _problems() -> list[str]:
    rows = [
        (f"`{TYPE_PREFIX}{problem.slug}`", str(problem.status.value), problem.title, WHAT_TO_DO[problem.slug])
        for problem in problems()
    ]
    return ["## Problems\n", *table(("type", "status", "when", "what to do"), rows)]


def main(arguments: list[str]) -> None:
    directory = Path(arguments[0]) if arguments else DOCS
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "api.md").write_text(reference().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
