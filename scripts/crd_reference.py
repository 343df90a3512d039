"""Writes docs/crds.md, the reference of both kinds: `python scripts/crd_reference.py [DIRECTORY]`, by default docs.

The generated CustomResourceDefinitions are its one source of fields; annotations are told here.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mediabucket_api import constants
from mediabucket_api.crd import crd_files
from mediabucket_api.status import ConditionType, StoreConditionType

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

# What a schema says of a value, and how the table writes it.
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches `{}`",
}
ANNOTATIONS = {
    constants.RECREATE_ANNOTATION: ("MediaBucket", "`true`: make a bucket that vanished anew."),
    constants.CONFIRM_DESTROY_ANNOTATION: (
        "MediaBucket",
        "The bucket's name: with `deletionPolicy: Destroy` the bucket and all it holds are deleted.",
    ),
    constants.ABANDON_ANNOTATION: ("MediaBucket", "`true`: let go of a store that is gone."),
    constants.ROTATE_ANNOTATION: ("MediaBucket", "Any new word: replace the access key now."),
    constants.PROBE_ANNOTATION: ("ObjectStore", "`now`: find out again what the store can do."),
}


def reference() -> str:
    """The whole of docs/crds.md."""
    header = (
        "# Fields of MediaBucket and ObjectStore\n\n"
        "Generated from `crds/*.yaml` by `make docs`; do not edit. A field without default may be left out unless it\n"
        "is required.\n"
    )
    kinds = [_kind(yaml.safe_load(text)) for text in crd_files().values()]
    return "\n".join([header, *kinds, _annotations()])


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Every field below a schema: its path, its own schema, whether it is required."""
    for name, field in schema.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        yield inner, field, name in schema.get("required", [])
        yield from fields(field, inner)
        yield from fields(field.get("items", {}), f"{inner}[]")


def rules(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Every CEL rule at or below a schema, with the path of the object that it is about."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule
    for name, field in schema.get("properties", {}).items():
        yield from rules(field, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from rules(schema["items"], f"{path}[]")


def _kind(definition: dict[str, Any]) -> str:
    specification = definition["spec"]
    names = specification["names"]
    (version,) = specification["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    conditions = ConditionType if names["kind"] == constants.MEDIA_BUCKET_KIND else StoreConditionType
    return "\n".join(
        [
            f"## {names['kind']}\n",
            f"`{specification['group']}/{version['name']}`, {specification['scope'].lower()}; "
            f"kubectl knows it as {', '.join(f'`{name}`' for name in (names['plural'], *names['shortNames']))}.\n",
            *_section("Spec", schema["properties"]["spec"], "spec"),
            "### Rules\n",
            *_rules(schema),
            *_section("Status", schema["properties"]["status"], "status"),
            "### Conditions\n",
            f"`status.conditions` holds these types: {', '.join(f'`{condition}`' for condition in conditions)}.\n",
        ]
    )


def _section(title: str, schema: dict[str, Any], path: str) -> list[str]:
    rows = [_row(*field) for field in fields(schema, path)]
    return [f"### {title}\n", *table(("field", "type", "default", "bounds", "meaning"), rows)]


def _row(path: str, field: dict[str, Any], required: bool) -> tuple[str, ...]:
    # The default of an object is that of its fields, which have rows of their own.
    told = "default" in field and "properties" not in field
    default = f"`{json.dumps(field['default'])}`" if told else "required" if required else ""
    return (f"`{path}`", _type(field), default, bounds_of(field), field.get("description", ""))


def _type(field: dict[str, Any]) -> str:
    if field["type"] == "array":
        return f"list of {field['items']['type']}"
    return "time" if field.get("format") == "date-time" else str(field["type"])


def bounds_of(field: dict[str, Any]) -> str:
    values = field.get("items", {}).get("enum") or field.get("enum")
    told = ["one of " + ", ".join(f"`{value}`" for value in values)] if values else []
    told += [text.format(field[name]) for name, text in BOUNDS.items() if name in field]
    return "; ".join(told)


def _rules(schema: dict[str, Any]) -> list[str]:
    rows = [(f"`{path}`", rule["message"], f"`{rule['rule']}`") for path, rule in rules(schema)]
    return table(("of", "message", "CEL"), rows) if rows else ["None beside the bounds above.\n"]


def _annotations() -> str:
    rows = [(f"`{name}`", kind, meaning) for name, (kind, meaning) in ANNOTATIONS.items()]
    return "\n".join(["## Annotations\n", *table(("annotation", "on", "value and meaning"), rows)])


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return [*("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines), ""]


def _cell(text: str) -> str:
    # A bar ends a cell of a table even within code.
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> None:
    directory = Path(arguments[0]) if arguments else DOCS
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "crds.md").write_text(reference().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
