"""What is wrong between the documents of one manifest, each of which may be right by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mediabucket_api.constants import MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_api.problems import expected, one_of
from mediabucket_api.resources import fits_bucket_name
from mediabucket_api.schema import type_schema
from mediabucket_api.spec import MAX_BUCKET_NAME_CHARACTERS, BucketName, default_bucket_name
from mediabucket_api.yaml_documents import Path

Finding = tuple[Path, str]


@dataclass(frozen=True)
class Identity:
    """What a document says of itself, as far as it can be read. Empty text where it says nothing."""

    document: int
    kind: str
    namespace: str
    name: str
    store: str
    bucket: str
    bucket_is_default: bool

    @classmethod
    def of(cls, value: object, document: int) -> Self:
        kind, name = _text_at(value, "kind"), _text_at(value, "metadata", "name")
        namespace = "" if kind == OBJECT_STORE_KIND else _text_at(value, "metadata", "namespace") or "default"
        bucket = _text_at(value, "spec", "bucketName")
        default = default_bucket_name(namespace, name) if name and kind == MEDIA_BUCKET_KIND else ""
        store = _text_at(value, "spec", "storeRef", "name")
        return cls(document, kind, namespace, name, store, bucket or default, not bucket)

    @property
    def label(self) -> str:
        return "/".join(part for part in (self.kind, self.name) if part)


def collisions(identities: Sequence[Identity]) -> Iterator[tuple[int, Finding]]:
    """Findings by the index of the document that they concern."""
    yield from _same_resource_twice(identities)
    yield from _same_bucket_twice(identities)
    yield from _unknown_stores(identities)
    yield from _default_names_too_long(identities)


def _same_resource_twice(identities: Sequence[Identity]) -> Iterator[tuple[int, Finding]]:
    first: dict[tuple[str, str, str], Identity] = {}
    for index, identity in enumerate(identities):
        if not identity.name or not identity.kind:
            continue
        earlier = first.setdefault((identity.kind, identity.namespace, identity.name), identity)
        if earlier is not identity:
            yield (
                index,
                (("metadata", "name"), f"is {identity.name}, as in document {earlier.document}: give each its own"),
            )


def _same_bucket_twice(identities: Sequence[Identity]) -> Iterator[tuple[int, Finding]]:
    first: dict[tuple[str, str], Identity] = {}
    for index, identity in enumerate(identities):
        if identity.kind != MEDIA_BUCKET_KIND or not identity.bucket or not identity.store:
            continue
        other = first.setdefault((identity.store, identity.bucket), identity)
        if (identity.namespace, identity.name) != (other.namespace, other.name):
            message = (
                f"gives bucket {identity.bucket} on store {identity.store} a second owner "
                f"beside {other.label} in document {other.document}: name another bucket"
            )
            yield index, (("spec", "bucketName"), message)


def _unknown_stores(identities: Sequence[Identity]) -> Iterator[tuple[int, Finding]]:
    """Only where the file declares stores: a file without any relies on the cluster's."""
    stores = [identity.name for identity in identities if identity.kind == OBJECT_STORE_KIND and identity.name]
    for index, identity in enumerate(identities):
        if stores and identity.kind == MEDIA_BUCKET_KIND and identity.store and identity.store not in stores:
            message = f'is "{identity.store}": expected an ObjectStore of this file, {one_of(stores)}'
            yield index, (("spec", "storeRef", "name"), message)


def _default_names_too_long(identities: Sequence[Identity]) -> Iterator[tuple[int, Finding]]:
    """Where the name alone would fit: otherwise a rule of the MediaBucket has said so already."""
    for index, identity in enumerate(identities):
        length = len(identity.bucket)
        if identity.bucket_is_default and length > MAX_BUCKET_NAME_CHARACTERS and fits_bucket_name(identity.name):
            message = (
                f"gives the bucket name {identity.bucket} ({length} characters): "
                f"expected {expected(type_schema(BucketName))}; set spec.bucketName"
            )
            yield index, (("metadata", "name"), message)


def _text_at(value: Any, *path: str) -> str:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
