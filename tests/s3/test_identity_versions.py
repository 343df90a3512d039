"""What the key of one bucket may do to versions: everything under its two prefixes, nothing anywhere else."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client
from mediabucket_s3.errors import AccessDenied, translated_s3_errors
from mediabucket_s3.identities import IdentityAdmin, bucket_access_policies, bucket_access_policy
from mediabucket_s3.objects import BucketObjects

OURS = ("pending/a", "uploads/a")
FOREIGN_KEYS = ("elsewhere", ".mediabucket/owner.json", "pending", "uploads", "uploads-2/a")
PATIENCE_SECONDS = 30.0

Policy = dict[str, Any]
AsUser = Callable[[Policy], StoreConnection]


@pytest.fixture
def as_user(connection: StoreConnection, bucket: BucketAdmin) -> Iterator[AsUser]:
    """The store, as a user with this policy."""
    identities, name = IdentityAdmin.connect(connection), f"user-{bucket.bucket}"

    def make(policy: Policy) -> StoreConnection:
        identities.create_user(name, {})
        identities.put_policy(name, "access", policy)
        key = identities.create_access_key(name)
        changes = {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}
        made = connection.model_copy(update=changes)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while is_denied(BucketAdmin.connect(made, bucket.bucket).first_keys):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return made

    yield make
    identities.delete_user(name)


def is_denied(attempt: Callable[[], Any]) -> bool:
    try:
        with translated_s3_errors("Attempt"):
            attempt()
    except AccessDenied:
        return True
    return False


def without(policy: Policy, *actions: str) -> Policy:
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action not in actions]
    return policy


def aws_words(bucket: str) -> Policy:
    """AWS's form of the policy, but for the two permissions that SeaweedFS refuses to read."""
    return without(bucket_access_policy(bucket), "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads")


def own_words(bucket: str) -> Policy:
    return bucket_access_policies(bucket)[1]


@pytest.mark.parametrize("words", [aws_words, own_words])
async def test_the_key_erases_every_version(
    as_user: AsUser, bucket: BucketAdmin, words: Callable[[str], Policy]
) -> None:
    bucket.put_versioning("Enabled")
    async with BucketObjects.connect(as_user(words(bucket.bucket)), bucket.bucket) as objects:
        for key in OURS:
            await objects.put(key, b"first", "text/plain")
            await objects.put(key, b"second", "text/plain")
            await objects.delete(key)
            assert await objects.delete_every_version(key) == 3
        assert [version async for version in objects.versions("")] == []


@pytest.mark.parametrize("missing", ["s3:DeleteObjectVersion", "s3:ListBucketVersions"])
async def test_without_either_permission_it_does_not(as_user: AsUser, bucket: BucketAdmin, missing: str) -> None:
    bucket.put_versioning("Enabled")
    bucket.write_object("pending/a", b"x", "text/plain")
    policy = without(aws_words(bucket.bucket), missing)
    async with BucketObjects.connect(as_user(policy), bucket.bucket) as objects:
        with pytest.raises(AccessDenied):
            await objects.delete_every_version("pending/a")
    assert bucket.read_object("pending/a") == b"x"


def test_the_key_deletes_no_version_outside_the_two_prefixes(as_user: AsUser, bucket: BucketAdmin) -> None:
    client, here = administration_client(as_user(own_words(bucket.bucket))), {"Bucket": bucket.bucket}
    bucket.put_versioning("Enabled")
    for key in FOREIGN_KEYS:
        bucket.write_object(key, b"theirs", "text/plain")
    versions = client.list_object_versions(**here)["Versions"]
    assert {version["Key"] for version in versions} == set(FOREIGN_KEYS)
    doomed = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    for version in doomed:
        with pytest.raises(AccessDenied), translated_s3_errors("DeleteObject"):
            client.delete_object(**here, **version)
    answer = client.delete_objects(**here, Delete={"Objects": doomed})
    assert {error["Code"] for error in answer["Errors"]} == {"AccessDenied"}
    assert "Deleted" not in answer
    assert client.list_object_versions(**here)["Versions"] == versions


def test_the_key_sees_no_versions_of_another_bucket(
    as_user: AsUser, connection: StoreConnection, bucket: BucketAdmin
) -> None:
    other = BucketAdmin.connect(connection, f"{bucket.bucket}-2")
    other.create(connection.region, {})
    other.put_versioning("Enabled")
    other.write_object("pending/a", b"theirs", "text/plain")
    [version] = administration_client(connection).list_object_versions(Bucket=other.bucket)["Versions"]
    client = administration_client(as_user(own_words(bucket.bucket)))
    named = {"Key": "pending/a", "VersionId": version["VersionId"]}
    assert is_denied(lambda: client.list_object_versions(Bucket=other.bucket))
    assert is_denied(lambda: client.delete_object(Bucket=other.bucket, **named))
    assert is_denied(lambda: client.get_object(Bucket=other.bucket, **named))
    assert other.read_object("pending/a") == b"theirs"
