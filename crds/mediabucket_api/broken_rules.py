"""The rules of a model that its values break, also where other values of it are wrong.

pydantic runs a model's own validators only once every field of it is right, so that one typing error would hide
every broken rule above it until the next try.
"""

import inspect
import re
from collections.abc import Collection
from typing import Any, cast

from pydantic import TypeAdapter

from mediabucket_api.base import ApiModel, Rule
from mediabucket_api.yaml_documents import Path

_FIELD = re.compile(r"\bself\.([A-Za-z.]+)")


def broken_rules(model: type[ApiModel], value: object, wrong: Collection[Path]) -> list[tuple[Path, str]]:
    """Path and message of every broken rule. `wrong` are the paths at which the value is known to be wrong."""
    broken: list[tuple[Path, str]] = []
    _construct(model, value, frozenset(wrong), (), broken)
    return broken


def _construct(
    model: type[ApiModel], value: Any, wrong: frozenset[Path], path: Path, broken: list[tuple[Path, str]]
) -> ApiModel:
    """As much of the model as can be built: a field that is wrong keeps its default, and rules on it stay silent."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        child = (*path, alias)
        if alias not in value or child in wrong:
            continue
        if inspect.isclass(field.annotation) and issubclass(field.annotation, ApiModel):
            values[name] = _construct(field.annotation, value[alias], wrong, child, broken)
        elif not any(other[: len(child)] == child for other in wrong):
            values[name] = TypeAdapter(cast(Any, field.annotation)).validate_python(value[alias])
    partial = model.model_construct(**values)
    for rule in model.rules:
        if rule.holds is not None and not _reads_any(rule, path, wrong) and not rule.holds(partial):
            broken.append((path, rule.message))
    return partial


def _reads_any(rule: Rule, path: Path, wrong: frozenset[Path]) -> bool:
    fields = [(*path, *name.split(".")) for name in _FIELD.findall(rule.cel)]
    return any(read[: len(other)] == other or other[: len(read)] == read for read in fields for other in wrong)
