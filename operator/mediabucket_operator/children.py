"""Objects that belong to a MediaBucket: applied only when something is different, so that rest is silent."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Any, Final

from mediabucket_api.constants import API_VERSION, GROUP, MEDIA_BUCKET_KIND
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.cluster import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    RESOURCE_TYPES,
    Cluster,
    Manifest,
    Reference,
)

APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
# A Service's name is a DNS label: https://datatracker.ietf.org/doc/html/rfc1035
_LONGEST_NAME: Final = 63
_SUFFIX: Final = "-media"
_DECIMAL: Final = {suffix: Fraction(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", *"kMGTPE"), -3)}
_BINARY: Final = {f"{prefix}i": Fraction(1024) ** power for power, prefix in enumerate("KMGTPE", 1)}
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)


class NotOurs(Exception):
    """An object of this name is there and does not belong to the MediaBucket."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(reference)
        self.reference = reference

    def __str__(self) -> str:
        return f"{self.reference} is in the way: it does not belong to this MediaBucket; rename or remove one of them"


def child_name(resource: MediaBucket) -> str:
    """`<name>-media`; with a hash where that is no DNS label."""
    name = resource.metadata.name
    if "." not in name and len(name) + len(_SUFFIX) <= _LONGEST_NAME:
        return f"{name}{_SUFFIX}"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = name.replace(".", "-")[: _LONGEST_NAME - len(_SUFFIX) - len(digest) - 1].rstrip("-")
    return f"{kept}-{digest}{_SUFFIX}"


def labels(resource: MediaBucket) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "mediabucket",
        "app.kubernetes.io/instance": child_name(resource),
        MANAGED_BY_LABEL: FIELD_MANAGER,
    }


def child(
    resource: MediaBucket, kind: str, content: Manifest, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """An object of this kind that goes with the MediaBucket."""
    metadata: Manifest = {
        "name": child_name(resource),
        "namespace": resource.metadata.namespace,
        "labels": labels(resource),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": MEDIA_BUCKET_KIND,
                "name": resource.metadata.name,
                "uid": resource.owner_uid,
                "controller": True,
            }
        ],
    }
    manifest = {"apiVersion": RESOURCE_TYPES[kind].api_version, "kind": kind, "metadata": metadata, **content}
    # What is no longer wanted is only known by what was applied before.
    metadata["annotations"] = dict(annotations or {}) | {APPLIED_ANNOTATION: digest(manifest, annotations)}
    return manifest


def ensure(cluster: Cluster, resource: MediaBucket, wanted: Manifest) -> Manifest:
    """Make the object what is wanted, and leave alone what nobody asked about. Raises NotOurs, ClusterError."""
    return ensure_from(cluster.get(Reference.of(wanted)), cluster, resource, wanted)


def ensure_from(live: Manifest | None, cluster: Cluster, resource: MediaBucket, wanted: Manifest) -> Manifest:
    """`ensure`, by whom has read the object already. Raises NotOurs, ClusterError."""
    if live is not None:
        require_ours(live, resource)
        if contains(live, wanted):
            return live
    return cluster.apply(wanted)


def remove(cluster: Cluster, resource: MediaBucket, kind: str) -> None:
    """Delete the MediaBucket's object of this kind, and nobody else's. Raises ClusterError."""
    reference = Reference(kind, resource.metadata.namespace, child_name(resource))
    live = cluster.get(reference)
    if live is not None and _is_ours(live, resource):
        cluster.delete(reference)


def require_ours(live: Manifest, resource: MediaBucket) -> None:
    """Raises NotOurs."""
    if not _is_ours(live, resource):
        raise NotOurs(Reference.of(live))


def _is_ours(live: Manifest, resource: MediaBucket) -> bool:
    """Whether it belongs to the resource, or did to one of the same name: applied again, it may be there before the
    garbage collector has been.
    """
    owners = live["metadata"].get("ownerReferences") or []
    ours = (API_VERSION, MEDIA_BUCKET_KIND, resource.metadata.name, True)
    return any(
        tuple(owner.get(name) for name in ("apiVersion", "kind", "name", "controller")) == ours for owner in owners
    )


def contains(live: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; what the API server or others added does not count."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(contains(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and _contains_list(live, wanted)
    return live == wanted or _is_same_quantity(live, wanted)


def digest(*values: Any) -> str:
    """The same for the same values, in every process."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """The `data` of a Secret."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def _contains_list(live: list[Any], wanted: list[Any]) -> bool:
    """Named items are compared by name: others may add containers, variables or ports of their own."""
    if wanted and all(isinstance(item, dict) and "name" in item for item in wanted):
        named = {item.get("name"): item for item in live if isinstance(item, dict)}
        return all(contains(named.get(item["name"]), item) for item in wanted)
    return len(live) == len(wanted) and all(map(contains, live, wanted))


def _is_same_quantity(live: Any, wanted: Any) -> bool:
    """The API server writes 0.5 as 500m: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""
    if not isinstance(live, str) or not isinstance(wanted, str):
        return False
    one, other = _quantity(live), _quantity(wanted)
    return one is not None and one == other


def _quantity(text: str) -> int | None:
    """In thousandths, to which the API server rounds up what containers ask for; None for what is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, exponent, suffix = found.groups()
    factor = Fraction(10) ** int(exponent) if exponent else (_DECIMAL | _BINARY)[suffix or ""]
    return ceil(Fraction(number) * factor * 1000)
