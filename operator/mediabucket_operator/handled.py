"""What kopf compares to tell whether an object has changed: kept in memory, so that nothing is written for it."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final, cast

import kopf
from typing_extensions import override

_APPLIED_BY_KUBECTL: Final = "kubectl.kubernetes.io/last-applied-configuration"
_OF_KOPF: Final = "kopf."


class Handled(kopf.DiffBaseStorage):
    """A digest of each object as it was last handled, by UID.

    kopf's own storage is an annotation: a write, and a change that every watch is told of, for each object. Without it
    every object is new after a restart, and is visited, as all of them are then anyway.
    """

    def __init__(self) -> None:
        super().__init__()
        self._digests: dict[str, str] = {}

    @override
    def build(self, *, body: kopf.Body, extra_fields: Iterable[kopf.FieldSpec] | None = None) -> kopf.BodyEssence:
        """Of what people change; kopf copies the whole object for it, with its status."""
        metadata = body.get("metadata", {})
        annotations = {
            name: value
            for name, value in (metadata.get("annotations") or {}).items()
            if name != _APPLIED_BY_KUBECTL and not name.startswith(_OF_KOPF)
        }
        told = [body.get("spec"), metadata.get("labels"), annotations]
        return _essence(hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest())

    @override
    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        digest = self._digests.get(body["metadata"]["uid"])
        return None if digest is None else _essence(digest)

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        self._digests[body["metadata"]["uid"]] = str(essence["spec"]["digest"])

    def forget(self, body: kopf.Body) -> None:
        """The object is gone."""
        self._digests.pop(body["metadata"]["uid"], None)


def _essence(digest: str) -> kopf.BodyEssence:
    return cast(kopf.BodyEssence, {"spec": {"digest": digest}})
