"""Reads what the API server has stored, perhaps for an older or a newer version of the types."""

import contextlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mediabucket_api.resources import MediaBucket, ObjectStore
from mediabucket_api.status import Condition, MediaBucketStatus, ObjectStoreStatus
from mediabucket_operator.cluster import Manifest

_CONDITION = TypeAdapter(Condition)

Resource = TypeVar("Resource", MediaBucket, ObjectStore)
Status = MediaBucketStatus | ObjectStoreStatus


class Unreadable(Exception):
    """The object is not what this version of the operator understands; the message says in what."""


def read_media_bucket(manifest: Manifest) -> MediaBucket:
    """Fields that are too many are ignored, missing ones have their default. Raises Unreadable."""
    return _read(MediaBucket, MediaBucketStatus, manifest)


def read_object_store(manifest: Manifest) -> ObjectStore:
    """The same of an ObjectStore. Raises Unreadable."""
    return _read(ObjectStore, ObjectStoreStatus, manifest)


def as_document(status: Status) -> dict[str, Any]:
    """A status as the API server keeps it: without what is unset or empty."""
    document = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in document.items() if value not in ([], {})}


def readable_conditions(status: Mapping[str, Any] | None) -> list[Condition]:
    """The conditions of a status, without those that another version of the types wrote."""
    found = []
    for value in (status or {}).get("conditions") or []:
        with contextlib.suppress(ValidationError):
            found.append(_CONDITION.validate_python(value, extra="ignore"))
    return found


def _read(kind: type[Resource], status_kind: type[Status], manifest: Manifest) -> Resource:
    try:
        resource = kind.model_validate({**manifest, "status": {}}, extra="ignore")
    except ValidationError as error:
        raise Unreadable(_sentence(error)) from None
    status = status_kind.model_validate(_readable(status_kind, manifest.get("status")), extra="ignore")
    return resource.model_copy(update={"status": status})


def _readable(model: type[Status], status: Any) -> dict[str, Any]:
    """The parts of a status that can be read. A part that cannot is found out anew, but the others must not be lost
    with it: whether a bucket was ever ours is among them.
    """
    found = dict(status or {})
    if isinstance(found.get("conditions"), list):
        found["conditions"] = readable_conditions(found)
    return {name: value for name, value in found.items() if _is_readable(model, name, value)}


def _is_readable(model: type[Status], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value}, extra="ignore")
    except ValidationError:
        return False
    return True


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
