"""The API types by themselves: defaults, strictness, names, identity."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import (
    AdoptionPolicy,
    BucketName,
    DeletionPolicy,
    MediaBucketSpec,
    MimeType,
    Origin,
    PublicAccess,
    default_bucket_name,
)

STORE_REF = {"storeRef": {"name": "embedded"}}


def media_bucket(name: str = "chat", **more: Any) -> MediaBucket:
    return MediaBucket.model_validate({"metadata": {"name": name}, "spec": STORE_REF, **more})


def accepts(type_: Any, text: str) -> bool:
    try:
        TypeAdapter(type_).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.promise(7)
def test_data_is_retained_and_private_by_default() -> None:
    spec = MediaBucketSpec.model_validate(STORE_REF)
    assert spec.deletion_policy is DeletionPolicy.RETAIN
    assert spec.adoption_policy is AdoptionPolicy.IF_TAGGED_OURS
    assert spec.public_access is PublicAccess.BLOCKED


@pytest.mark.parametrize("field", MediaBucketSpec.model_fields)
def test_a_spec_never_changes(field: str) -> None:
    spec = MediaBucketSpec.model_validate(STORE_REF)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, field, getattr(spec, field))


@given(
    max_bytes=st.integers(1, 5 * 1024**4),
    origins=st.sets(st.from_regex(r"https://[a-z]{1,9}\.example(:[0-9]{1,5})?", fullmatch=True)),
    types=st.sets(
        st.from_regex(r"[a-z]{1,9}/[a-z0-9.+-]{1,9}", fullmatch=True).filter(lambda text: accepts(MimeType, text)),
        min_size=1,
    ),
)
def test_a_spec_survives_json(max_bytes: int, origins: set[str], types: set[str]) -> None:
    uploads = {"maxBytes": max_bytes, "allowedMimeTypes": sorted(types)[:64]}
    written = STORE_REF | {"uploads": uploads, "cors": {"allowedOrigins": sorted(origins)[:64]}}
    spec = MediaBucketSpec.model_validate(written)
    text = spec.model_dump_json(by_alias=True, exclude_none=True)
    assert MediaBucketSpec.model_validate_json(text) == spec
    assert json.loads(text)["uploads"]["maxBytes"] == max_bytes


@pytest.mark.parametrize("name", ["abc", "a-b", "0a0", "a" * 63, "a--b"])
def test_bucket_names_that_every_store_takes(name: str) -> None:
    assert accepts(BucketName, name)


@pytest.mark.parametrize("name", ["", "ab", "a" * 64, "a.b.c", "a_b", "Abc", "-ab", "ab-", "äbc", "abc\n", "a b"])
def test_bucket_names_that_some_store_refuses(name: str) -> None:
    assert not accepts(BucketName, name)


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example", "http://localhost:*", "http://127.0.0.1:8000", "https://*.a.example"]
)
def test_origins(origin: str) -> None:
    assert accepts(Origin, origin)


@pytest.mark.parametrize(
    "origin", ["", "null", "a.example", "https://a.example/", "https://a.example/b", "ftp://a.example", "https://a b"]
)
def test_what_is_no_origin(origin: str) -> None:
    assert not accepts(Origin, origin)


@pytest.mark.parametrize("text", ["image/png", "image/svg+xml", "application/vnd.ms-excel", "x-a/b_c"])
def test_media_types(text: str) -> None:
    assert accepts(MimeType, text)


@pytest.mark.parametrize(
    "text", ["image", "image/*", "*/*", "Image/PNG", "text/plain; charset=utf-8", "image/png ", "/a"]
)
def test_what_is_no_media_type(text: str) -> None:
    assert not accepts(MimeType, text)


def test_the_bucket_is_named_after_namespace_and_name() -> None:
    assert media_bucket().bucket_name == default_bucket_name("default", "chat") == "default-chat"


def test_a_recorded_bucket_name_wins_over_the_default() -> None:
    assert media_bucket(status={"bucketName": "before"}).bucket_name == "before"


def test_the_manifests_bucket_name_wins_over_all() -> None:
    spec = STORE_REF | {"bucketName": "wanted"}
    assert media_bucket(spec=spec, status={"bucketName": "before"}).bucket_name == "wanted"


def test_a_resource_without_an_api_server_keeps_its_owner_identity() -> None:
    assert media_bucket().owner_uid == media_bucket().owner_uid != media_bucket("other").owner_uid


def test_the_owner_is_the_resource_uid_where_there_is_one() -> None:
    assert media_bucket(metadata={"name": "chat", "uid": "f00"}).owner_uid == "f00"
