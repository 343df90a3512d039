"""What is wrong with a manifest, in words that say what was found, what was expected and what to do."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from mediabucket_api.base import EXPECTED_KEY
from mediabucket_api.schema import Schema
from mediabucket_api.yaml_documents import Path

MAX_LINES = 20
MAX_VALUE_CHARACTERS = 60


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `document` counts from 1; `field` is a path such as spec.tags[2].key, empty for the whole."""

    source: str
    message: str
    document: int | None = None
    resource: str = ""
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        document = "" if self.document is None else f"document {self.document} {self.resource}".rstrip()
        return ": ".join(part for part in (place, document, " ".join(filter(None, (self.field, self.message)))) if part)


class ManifestInvalid(ValueError):
    """A manifest that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """One line a problem, no more than fit one screen."""
        lines = [str(problem) for problem in self.problems[:MAX_LINES]]
        if hidden := len(self.problems) - len(lines):
            lines.append(f"... and {hidden} more")
        return "\n".join(lines)


def field_path(path: Path) -> str:
    """`("spec", "tags", 2, "key")` as `spec.tags[2].key`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def sentence(error: ErrorDetails, schema: Schema, *, hide_value: bool = False) -> str:
    """What one error of pydantic means. The schema is that of the document; a hidden value is a secret one."""
    path: Path = error["loc"]
    if error["type"] == "extra_forbidden":
        return _unknown_field(str(path[-1]), schema_at(schema, path[:-1]))
    if error["type"] == "repeated":
        return f"{error['msg']}: keep one"
    node = schema_at(schema, path)
    if error["type"] == "missing":
        return f"is missing: expected {expected(node)}"
    value = "wrong" if hide_value else found(error["input"])
    return f"is {value}: expected {expected(node)}{_advice(error['input'], node)}"


def schema_at(schema: Schema, path: Path) -> Schema:
    """The part of a schema that rules the value at a path; empty where the schema says nothing."""
    for part in path:
        by_name = schema.get("properties", {}).get(part) or schema.get("additionalProperties", {})
        schema = schema.get("items", {}) if isinstance(part, int) else by_name
    return schema


def found(value: object) -> str:
    """A value as the manifest would write it, shortened, with its kind where the kind may be what is wrong."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_VALUE_CHARACTERS:
        return f"{text[:MAX_VALUE_CHARACTERS]}... ({len(str(value))} characters)"
    return text


def expected(node: Schema) -> str:
    """What a schema allows, in words."""
    if "enum" in node:
        return one_of(node["enum"])
    if EXPECTED_KEY in node:
        return str(node[EXPECTED_KEY])
    words = {"integer": _integer, "string": _text, "array": _list, "object": _mapping}
    return words[node["type"]](node) if "type" in node else "nothing"


def _unknown_field(name: str, node: Schema) -> str:
    known = list(node.get("properties", {}))
    by_lower_case = {field.lower(): field for field in known}
    nearest = difflib.get_close_matches(name.lower().replace("_", ""), by_lower_case, n=1, cutoff=0.7)
    if nearest:
        return f"is not a field: did you mean {by_lower_case[nearest[0]]}?"
    return f"is not a field: expected {one_of(known)}"


def _advice(value: object, node: Schema) -> str:
    if "enum" in node and isinstance(value, str):
        return nearest_of(value, node["enum"])
    if "enum" in node and isinstance(value, bool):
        return "; YAML reads on, off, yes and no as true and false"
    if node.get("type") == "string" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if node.get("type") == "integer" and isinstance(value, str) and value.isdecimal():
        return "; remove the quotes"
    return ""


def nearest_of(value: str, allowed: Sequence[str]) -> str:
    """Advice to follow a sentence; empty where nothing is near."""
    nearest = difflib.get_close_matches(value, allowed, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def one_of(values: Sequence[str]) -> str:
    """`A, B or C`."""
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _integer(node: Schema) -> str:
    if "minimum" in node and "maximum" in node:
        return f"a whole number from {node['minimum']} to {node['maximum']}"
    return "a whole number"


def _text(node: Schema) -> str:
    if "maxLength" not in node:
        return "text"
    return f"text of {node['minLength']} to {node['maxLength']} characters" if "minLength" in node else _at_most(node)


def _at_most(node: Schema) -> str:
    return f"text of at most {node['maxLength']} characters"


def _list(node: Schema) -> str:
    count = f"{node.get('minItems', 0)} to {node['maxItems']}" if "maxItems" in node else "any number"
    return f"a list of {count} items, each {expected(node['items'])}"


def _mapping(node: Schema) -> str:
    required = node.get("required") or node.get("properties")
    if not required:
        return "a mapping"
    return f"a mapping with {' and '.join(required) if 'required' in node else one_of(list(required))}"
