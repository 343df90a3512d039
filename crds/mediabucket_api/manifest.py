"""Reads a manifest as the API server would, and tells everything that is wrong with it at once."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mediabucket_api.base import ApiModel
from mediabucket_api.broken_rules import broken_rules
from mediabucket_api.collisions import Finding, Identity, collisions
from mediabucket_api.constants import API_VERSION, MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_api.problems import ManifestInvalid, Problem, field_path, found, nearest_of, one_of, sentence
from mediabucket_api.resources import MediaBucket, ObjectStore
from mediabucket_api.schema import schema_of
from mediabucket_api.secret import Secret, SecretUnreadable, decoded
from mediabucket_api.yaml_documents import MAX_BYTES, Document, YamlInvalid, read_documents
from mediabucket_api.yaml_documents import Path as FieldPath

__all__ = ["Manifest", "ManifestInvalid", "Problem", "load_manifest", "load_manifest_text"]

SECRET_KIND = "Secret"

_MODELS: dict[str, type[MediaBucket | ObjectStore | Secret]] = {
    MEDIA_BUCKET_KIND: MediaBucket,
    OBJECT_STORE_KIND: ObjectStore,
    SECRET_KIND: Secret,
}
_API_VERSIONS = {MEDIA_BUCKET_KIND: API_VERSION, OBJECT_STORE_KIND: API_VERSION, SECRET_KIND: "v1"}

Model = TypeVar("Model", MediaBucket, ObjectStore, Secret)


@dataclass(frozen=True)
class Manifest:
    """What a manifest file holds. Secrets are plain text by (namespace, name), and never part of the repr."""

    media_buckets: tuple[MediaBucket, ...]
    object_stores: tuple[ObjectStore, ...]
    secrets: dict[tuple[str, str], dict[str, str]] = field(repr=False)


@dataclass(frozen=True)
class _Reading:
    document: Document
    value: Any
    findings: list[Finding]


def load_manifest(path: Path) -> Manifest:
    """Raises ManifestInvalid, also when the file cannot be read."""
    return load_manifest_text(_text_of(path), str(path))


def load_manifest_text(text: str, source: str) -> Manifest:
    """The resources of a multi-document YAML text. Raises ManifestInvalid; `source` is what it calls the text."""
    try:
        documents = read_documents(text)
    except YamlInvalid as error:
        raise ManifestInvalid([Problem(source, str(error), line=error.line)]) from error
    if not documents:
        raise ManifestInvalid([Problem(source, f"is empty: expected documents of kind {one_of(list(_MODELS))}")])
    readings = [_read(document) for document in documents]
    for index, finding in collisions([Identity.of(reading.value, reading.document.number) for reading in readings]):
        readings[index].findings.append(finding)
    if problems := [_problem(source, reading, finding) for reading in readings for finding in reading.findings]:
        raise ManifestInvalid(sorted(problems, key=lambda problem: (problem.document or 0, problem.line or 0)))
    return _manifest(readings)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise ManifestInvalid([Problem(str(path), "is a directory: expected one manifest file")]) from None
    except FileNotFoundError:
        raise ManifestInvalid([Problem(str(path), "does not exist: check the path")]) from None
    except OSError as error:
        raise ManifestInvalid([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestInvalid([Problem(str(path), "is not UTF-8 text: save it as UTF-8", line=line)]) from None


def _read(document: Document) -> _Reading:
    value = _without_nulls(document.value)
    return _Reading(document, value, [*document.problems, *_findings(value, document.unreadable)])


def _without_nulls(value: Any) -> Any:
    """The API server drops null fields, so that `cors:` with nothing behind it means the default."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _findings(value: Any, known: Collection[FieldPath]) -> Iterator[Finding]:
    """What is wrong with a document by itself, except at the paths that are known to be wrong."""
    if not isinstance(value, dict):
        yield (), f"is {found(value)}: expected a mapping with apiVersion, kind, metadata and spec"
        return
    if "apiVersion" not in value:
        versions = sorted(set(_API_VERSIONS.values()))
        yield ("apiVersion",), f"is missing: expected {_API_VERSIONS.get(_kind(value)) or one_of(versions)}"
    if "kind" not in value:
        yield ("kind",), f"is missing: expected {one_of(list(_API_VERSIONS))}"
    elif _kind(value) not in _MODELS:
        kinds = list(_API_VERSIONS)
        yield ("kind",), f"is {found(value['kind'])}: expected {one_of(kinds)}{nearest_of(_kind(value), kinds)}"
    else:
        yield from _model_findings(_MODELS[_kind(value)], value, known)


def _kind(value: dict[str, Any]) -> str:
    return str(value.get("kind"))


def _model_findings(model: type[ApiModel], value: dict[str, Any], known: Collection[FieldPath]) -> Iterator[Finding]:
    # A status in a file is what a cluster answered once: the API server ignores it too.
    value = {key: item for key, item in value.items() if key != "status"}
    errors = [error for error in _errors(model, value) if error["type"] != "rule" and error["loc"] not in known]
    wrong = [*known, *(error["loc"] for error in errors)]
    for error in errors:
        if not _follows_from_its_items(error, wrong):
            yield error["loc"], sentence(error, schema_of(model), hide_value=model is Secret)
    if not any(path in ((), ("metadata",), ("spec",)) for path in wrong):
        yield from broken_rules(model, value, wrong)
    if model is Secret and ("data",) not in wrong:
        yield from _undecodable(value.get("data", {}))


def _errors(model: type[ApiModel], value: object) -> list[ErrorDetails]:
    """pydantic's errors; strict and by JSON, as the API server is: the text "5" is no number."""
    try:
        model.model_validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _follows_from_its_items(error: ErrorDetails, wrong: Sequence[FieldPath]) -> bool:
    """pydantic counts the items of a list without the wrong ones, and may then find too few."""
    path = error["loc"]
    return error["type"] == "too_short" and any(
        len(other) > len(path) and other[: len(path)] == path for other in wrong
    )


def _undecodable(data: dict[str, object]) -> Iterator[Finding]:
    for key, text in data.items():
        try:
            decoded(str(text))
        except SecretUnreadable as error:
            yield ("data", key), str(error)


def _problem(source: str, reading: _Reading, finding: Finding) -> Problem:
    path, message = finding
    return Problem(
        source=source,
        message=message,
        document=reading.document.number,
        resource=Identity.of(reading.value, reading.document.number).label,
        line=reading.document.line(path),
        field=field_path(path),
    )


def _manifest(readings: Sequence[_Reading]) -> Manifest:
    secrets = _all_of(Secret, readings)
    return Manifest(
        media_buckets=tuple(_all_of(MediaBucket, readings)),
        object_stores=tuple(_all_of(ObjectStore, readings)),
        secrets={(secret.metadata.namespace, secret.metadata.name): secret.values() for secret in secrets},
    )


def _all_of(model: type[Model], readings: Sequence[_Reading]) -> list[Model]:
    values = (reading.value for reading in readings if _MODELS[_kind(reading.value)] is model)
    return [model.model_validate({key: item for key, item in value.items() if key != "status"}) for value in values]
