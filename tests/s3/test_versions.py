"""Versions of objects, on a real store: with versioning, without, after it was suspended, and on one that has none."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import AccessDenied, StoreUnavailable
from mediabucket_s3.objects import BucketObjects, ObjectVersion

MakeStore = Callable[..., Any]

LISTED = """<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><KeyCount>1</KeyCount>
<Contents><Key>pending/a</Key><Size>7</Size><ETag>"x"</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>
</ListBucketResult>"""


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


async def put_twice_and_delete(objects: BucketObjects, key: str) -> None:
    for content in (b"first", b"second!"):
        await objects.put(key, content, "text/plain")
    await objects.delete(key)


async def all_of(objects: BucketObjects, prefix: str = "") -> list[ObjectVersion]:
    return [version async for version in objects.versions(prefix)]


async def test_versions_and_delete_markers_are_listed_with_their_sizes(
    objects: BucketObjects, bucket: BucketAdmin
) -> None:
    bucket.put_versioning("Enabled")
    await put_twice_and_delete(objects, "pending/a")
    found = await all_of(objects, "pending/")
    assert sorted((version.size, version.is_delete_marker) for version in found) == [(0, True), (5, False), (7, False)]
    assert len({version.version_id for version in found}) == 3


async def test_every_version_of_one_key_goes_and_none_of_another(objects: BucketObjects, bucket: BucketAdmin) -> None:
    bucket.put_versioning("Enabled")
    others = ("pending/ab", "pending/a.verified", "uploads/a")
    for key in ("pending/a", *others):
        await put_twice_and_delete(objects, key)
    assert await objects.delete_every_version("pending/a") == 3
    assert await objects.delete_every_version("pending/a") == 0
    assert {version.key for version in await all_of(objects)} == set(others)
    assert len(await all_of(objects)) == 3 * len(others)


async def test_a_bucket_that_never_had_versions_has_one_of_each_object(objects: BucketObjects) -> None:
    await put_twice_and_delete(objects, "pending/a")
    await objects.put("pending/a", b"third", "text/plain")
    assert [version.size for version in await all_of(objects)] == [5]
    assert await objects.delete_every_version("pending/a") == 1
    assert await all_of(objects) == []


async def test_what_was_there_before_and_after_versions_goes_too(objects: BucketObjects, bucket: BucketAdmin) -> None:
    await objects.put("pending/a", b"before", "text/plain")
    bucket.put_versioning("Enabled")
    await objects.put("pending/a", b"versioned", "text/plain")
    bucket.put_versioning("Suspended")
    assert len(await all_of(objects)) == 2
    assert await objects.delete_every_version("pending/a") == 2
    assert await all_of(objects) == []


async def test_more_versions_than_a_page_holds_go(objects: BucketObjects, bucket: BucketAdmin) -> None:
    bucket.put_versioning("Enabled")
    for number in range(1005):
        await objects.put("pending/a", b"%d" % number, "text/plain")
    assert await objects.delete_every_version("pending/a") == 1005
    assert await all_of(objects) == []


@pytest.mark.parametrize("code", ["NotImplemented", "MethodNotAllowed"])
async def test_a_store_without_versions_deletes_plainly(canned_store: MakeStore, answer: Any, code: str) -> None:
    store = canned_store(answer(204))
    store.answers["GET /b?versions"] = answer(501, error(code))
    store.answers["GET /b?list-type=2"] = answer(200, LISTED.encode())
    async with BucketObjects.connect(store.connection, "b") as objects:
        assert await all_of(objects, "pending/a") == [ObjectVersion("pending/a", None, 7)]
        assert await objects.delete_every_version("pending/a") == 1
    assert [request for request in store.requests if request.startswith("DELETE")] == ["DELETE /b/pending/a"]


@pytest.mark.parametrize(("code", "status", "kind"), [
    ("AccessDenied", 403, AccessDenied), ("InternalError", 500, StoreUnavailable),
])  # fmt: skip
async def test_a_store_that_refuses_or_fails_has_deleted_nothing(
    canned_store: MakeStore, answer: Any, code: str, status: int, kind: type[Exception]
) -> None:
    store = canned_store(answer(status, error(code)))
    async with BucketObjects.connect(store.connection, "b") as objects:
        with pytest.raises(kind):
            await objects.delete_every_version("pending/a")
    assert {line.split()[0] for line, _ in itertools.groupby(store.requests)} == {"GET"}
