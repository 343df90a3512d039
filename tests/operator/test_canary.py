"""The canary on a real store: every step of the path of an upload can fail, says so, and leaves nothing behind."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from memory_environment import conditions, put_store
from memory_world import MemoryStore
from pydantic import SecretStr

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.canary import CANARY_KEYS, Canary, UploadPathBroken
from mediabucket_operator.credentials import BucketIdentity
from mediabucket_operator.visit import Environment
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import StoreUnavailable
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.presign import PresignedRequest
from mediabucket_s3.raw_requests import RawResponse, RawSender

ORIGIN = "https://app.example.com"


@pytest.fixture
def admin(seaweedfs: SeaweedFS, bucket_name: str) -> BucketAdmin:
    found = BucketAdmin.connect(seaweedfs.connection, bucket_name)
    found.create("us-east-1", {})
    return found


@pytest.fixture
def user(seaweedfs: SeaweedFS, admin: BucketAdmin) -> Iterator[StoreConnection]:
    """The bucket's own identity: what a MediaBucket's key may do, and no more."""
    identities = IdentityAdmin.connect(seaweedfs.connection)
    identity = BucketIdentity(identities, admin.bucket, admin.bucket)
    identity.prepare(None)
    made = identities.create_access_key(admin.bucket)
    keys = {"access_key_id": made.access_key_id, "secret_access_key": made.secret_access_key}
    yield seaweedfs.connection.model_copy(update=keys)
    identity.remove()


def canary(store: StoreConnection, bucket: str, **spec: Any) -> Canary:
    wanted = MediaBucketSpec.model_validate({"storeRef": {"name": "main"}, **spec})
    connection = BucketConnection(store=store, bucket=bucket, spec=wanted, media_service_url=None, capabilities={})
    return Canary(connection, RawSender(store))


def allow(admin: BucketAdmin, origin: str) -> None:
    admin.put_cors([{"AllowedOrigins": [origin], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"]}])


def deny(admin: BucketAdmin, action: str, prefix: str) -> None:
    statement = {
        "Sid": "Broken",
        "Effect": "Deny",
        "Principal": "*",
        "Action": f"s3:{action}",
        "Resource": f"arn:aws:s3:::{admin.bucket}/{prefix}*",
    }
    admin.put_policy({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("integrity", ["Verified", "Signed"])
def test_a_path_that_works_is_walked_and_nothing_is_left(
    admin: BucketAdmin, user: StoreConnection, integrity: str
) -> None:
    allow(admin, ORIGIN)
    cors = {"allowedOrigins": [ORIGIN]}
    walker = canary(user, admin.bucket, cors=cors, uploads={"integrity": integrity})
    for _ in range(2):
        walker.walk()
    assert admin.is_empty()


@pytest.mark.parametrize(
    ("action", "prefix", "told"),
    [
        ("PutObject", "pending/", "PUT to a presigned URL: 403 AccessDenied"),
        ("PutObject", "uploads/", "publishing the upload: 403 AccessDenied"),
        ("GetObject", "uploads/", "GET of the published object: 403 AccessDenied"),
    ],
)
def test_a_policy_in_the_way_is_told_by_its_step(
    admin: BucketAdmin, user: StoreConnection, action: str, prefix: str, told: str
) -> None:
    deny(admin, action, prefix)
    with pytest.raises(UploadPathBroken) as broken:
        canary(user, admin.bucket).walk()
    assert str(broken.value) == told
    assert admin.is_empty()


@pytest.mark.parametrize("key", CANARY_KEYS)
def test_what_cannot_be_deleted_is_told(admin: BucketAdmin, user: StoreConnection, key: str) -> None:
    deny(admin, "DeleteObject", key)
    with pytest.raises(UploadPathBroken, match=r"^DELETE: 403 AccessDenied$"):
        canary(user, admin.bucket).walk()
    assert [found for found in CANARY_KEYS if admin.read_object(found) is not None] == [key]
    # The next one, when it may, takes away what is left.
    admin.delete_policy()
    canary(user, admin.bucket).walk()
    assert admin.is_empty()


def test_a_key_of_nobody_is_told(admin: BucketAdmin, seaweedfs: SeaweedFS) -> None:
    keys = {"access_key_id": "nobody", "secret_access_key": SecretStr("nothing")}
    with pytest.raises(UploadPathBroken, match=r"^PUT to a presigned URL: 403 InvalidAccessKeyId$"):
        canary(seaweedfs.connection.model_copy(update=keys), admin.bucket).walk()
    assert admin.is_empty()


def test_a_page_that_is_not_let_in_is_told(admin: BucketAdmin, user: StoreConnection) -> None:
    allow(admin, "https://elsewhere.example.com")
    with pytest.raises(UploadPathBroken, match=f"^preflight from {ORIGIN}: .*, and not let in$"):
        canary(user, admin.bucket, cors={"allowedOrigins": [ORIGIN]}).walk()
    assert admin.is_empty()


class Tampering(RawSender):
    """A store that answers a GET with other bytes than it was given, as many of them."""

    def __call__(
        self, request: PresignedRequest, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawResponse:
        answer = super().__call__(request, body, headers)
        return replace(answer, body=answer.body[::-1]) if request.method == "GET" else answer


def test_other_bytes_than_those_uploaded_are_told(admin: BucketAdmin, user: StoreConnection) -> None:
    tampered = replace(canary(user, admin.bucket), send=Tampering(user))
    with pytest.raises(UploadPathBroken, match="other bytes than those uploaded"):
        tampered.walk()
    assert admin.is_empty()


def test_a_broken_path_is_told_and_walked_again_until_it_is_whole(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_store(environment)
    walked: list[str] = []

    def broken(_stores: MemoryStore, connection: BucketConnection) -> None:
        walked.append(connection.bucket)
        raise UploadPathBroken("PUT to a presigned URL: 403 AccessDenied")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "walk_upload_path", broken)
        for _ in range(2):
            told = conditions(environment)
            verified, ready = told["UploadPathVerified"], told["Ready"]
            assert (verified.status, verified.reason) == ("False", "UploadPathBroken")
            assert verified.message == "PUT to a presigned URL: 403 AccessDenied"
            assert (ready.status, ready.reason) == ("False", "UploadPathBroken")
    assert len(walked) == 2
    assert conditions(environment)["UploadPathVerified"].status == "True"


def test_a_store_that_does_not_answer_is_no_broken_path(
    admin: BucketAdmin, user: StoreConnection, closed_port: int
) -> None:
    nowhere = user.model_copy(update={"endpoint": f"http://127.0.0.1:{closed_port}"})
    with pytest.raises(StoreUnavailable):
        canary(nowhere, admin.bucket).walk()
