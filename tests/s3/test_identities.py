"""IAM users on a real store: made, kept to one bucket, and gone without a trace, whatever was there before."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import AccessDenied, IdentityMissing, NotImplementedByStore, S3Error, StoreUnavailable
from mediabucket_s3.identities import IdentityAdmin, bucket_access_policies, bucket_access_policy
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import Presigner
from mediabucket_s3.raw_requests import RawSender

POLICY = "access"


@pytest.fixture
def identities(connection: StoreConnection) -> IdentityAdmin:
    return IdentityAdmin.connect(connection)


@pytest.fixture
def user(identities: IdentityAdmin, bucket_name: str) -> Iterator[str]:
    name = f"user-{bucket_name}"
    yield name
    identities.delete_user(name)


@pytest.fixture
def as_user(connection: StoreConnection, identities: IdentityAdmin, bucket: BucketAdmin, user: str) -> StoreConnection:
    """The store, as a user that may reach one bucket."""
    identities.create_user(user, {})
    # The store's own words for the same permissions.
    identities.put_policy(user, POLICY, bucket_access_policies(bucket.bucket)[1])
    made = identities.create_access_key(user)
    keys = {"access_key_id": made.access_key_id, "secret_access_key": made.secret_access_key}
    return connection.model_copy(update=keys)


def test_a_user_is_made_once_and_deleted_with_all_it_has(identities: IdentityAdmin, user: str) -> None:
    assert not identities.user_exists(user)
    for _ in range(2):
        identities.create_user(user, {"team": "a"})
    assert identities.user_exists(user)
    identities.put_policy(user, POLICY, bucket_access_policies("some-bucket")[1])
    identities.create_access_key(user)
    for _ in range(2):
        identities.delete_user(user)
    assert not identities.user_exists(user)


def test_keys_are_listed_and_deleted(identities: IdentityAdmin, user: str) -> None:
    identities.create_user(user, {})
    first, second = identities.create_access_key(user), identities.create_access_key(user)
    assert {key.access_key_id for key in identities.list_access_keys(user)} == {
        first.access_key_id,
        second.access_key_id,
    }
    assert second.secret_access_key.get_secret_value() not in repr(second)
    for _ in range(2):
        identities.delete_access_key(user, first.access_key_id)
    assert [key.access_key_id for key in identities.list_access_keys(user)] == [second.access_key_id]


def test_a_policy_is_read_back(identities: IdentityAdmin, user: str) -> None:
    with pytest.raises(IdentityMissing):
        identities.get_policy(user, POLICY)
    identities.create_user(user, {})
    assert identities.get_policy(user, POLICY) is None
    identities.put_policy(user, POLICY, bucket_access_policies("some-bucket")[1])
    found = identities.get_policy(user, POLICY)
    assert found is not None
    assert [statement["Sid"] for statement in found["Statement"]] == ["Signing", "Finishing", "Listing"]
    identities.delete_policy(user, POLICY)
    assert identities.get_policy(user, POLICY) is None


def test_users_are_found_by_the_beginning_of_their_names(identities: IdentityAdmin, user: str) -> None:
    assert identities.list_users(user) == []
    identities.create_user(user, {})
    assert identities.list_users(user) == [user]
    assert user in identities.list_users(user[:8])


async def test_the_key_can_do_all_that_the_service_does(as_user: StoreConnection, bucket: BucketAdmin) -> None:
    body = b"some media"
    async with BucketObjects.connect(as_user, bucket.bucket) as objects:
        await objects.check()
        upload = Presigner(as_user, bucket.bucket).put(
            "pending/a",
            content_type="image/png",
            content_length=len(body),
            checksum_sha256=hashlib.sha256(body).digest(),
            expires_in=60,
        )
        assert RawSender(as_user)(upload, body).ok
        head = await objects.head("pending/a")
        await objects.copy("pending/a", "uploads/a", if_match=head.etag, content_type="image/png")
        copied = await objects.head("uploads/a")
        assert b"".join([chunk async for chunk in objects.stream("uploads/a", if_match=copied.etag)]) == body
        assert [found.key async for found in objects.list("pending/")] == ["pending/a"]
        assert [found async for found in objects.list_multipart_uploads("pending/")] == []
        await objects.delete("pending/a")
        await objects.delete("uploads/a")
    parts = Presigner(as_user, bucket.bucket).sign("POST", "pending/b", query={"uploads": ""}, expires_in=60)
    assert RawSender(as_user)(parts).ok


def test_the_key_can_do_nothing_else(
    as_user: StoreConnection, connection: StoreConnection, bucket: BucketAdmin, bucket_name: str, user: str
) -> None:
    other = BucketAdmin.connect(connection, f"{bucket_name}-2")
    other.create(connection.region, {})
    other.write_object("uploads/a", b"theirs", "text/plain")
    ours, theirs = (BucketAdmin.connect(as_user, name) for name in (bucket.bucket, other.bucket))
    iam = IdentityAdmin.connect(as_user)
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    forbidden: dict[str, Callable[[], Any]] = {
        "read another bucket": lambda: theirs.read_object("uploads/a"),
        "write to another bucket": lambda: theirs.write_object("pending/a", b"x", "text/plain"),
        "list another bucket": lambda: theirs.first_keys(),
        "write elsewhere": lambda: ours.write_object("elsewhere", b"x", "text/plain"),
        "read elsewhere": lambda: ours.read_object("elsewhere"),
        "put a policy": lambda: ours.put_policy(_public(bucket.bucket)),
        "delete the policy": lambda: ours.delete_policy(),
        "put CORS": lambda: ours.put_cors([{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]),
        "put lifecycle": lambda: ours.put_lifecycle([rule]),
        "put versioning": lambda: ours.put_versioning("Enabled"),
        "put tags": lambda: ours.put_tags({"a": "b"}),
        "delete the bucket": lambda: ours.delete(),
        "make a bucket": lambda: BucketAdmin.connect(as_user, f"{bucket_name}-3").create("us-east-1", {}),
        "make a user": lambda: iam.create_user(f"{user}-2", {}),
        "make a key of somebody else": lambda: iam.create_access_key("admin"),
        "widen its policy": lambda: iam.put_policy(user, POLICY, bucket_access_policies("*")[1]),
    }
    allowed = [what for what, attempt in forbidden.items() if not _is_denied(attempt)]
    assert allowed == []
    assert other.read_object("uploads/a") == b"theirs"


def test_the_policy_names_one_bucket_and_two_prefixes() -> None:
    policy = bucket_access_policy("media")
    resources = {resource for statement in policy["Statement"] for resource in statement["Resource"]}
    assert resources == {"arn:aws:s3:::media", "arn:aws:s3:::media/pending/*", "arn:aws:s3:::media/uploads/*"}
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert not [action for action in actions if "*" in action or "Bucket" in action.removeprefix("s3:ListBucket")]
    assert json.dumps(policy) != json.dumps(bucket_access_policies("media")[1])


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (405, b"<Error><Code>MethodNotAllowed</Code></Error>", NotImplementedByStore),
        (501, b"<Error><Code>NotImplemented</Code></Error>", NotImplementedByStore),
        (400, b"<ErrorResponse><Error><Code>InvalidAction</Code></Error></ErrorResponse>", NotImplementedByStore),
        (403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", AccessDenied),
        (503, b"<ErrorResponse><Error><Code>ServiceUnavailable</Code></Error></ErrorResponse>", StoreUnavailable),
        (503, b"", StoreUnavailable),
    ],
)
def test_a_store_without_iam_is_told_from_one_that_fails(
    canned_store: Callable[..., Any],
    answer: Callable[..., Any],
    status: int,
    body: bytes,
    expected: type[S3Error],
) -> None:
    store = canned_store(answer(status, body)).connection
    with pytest.raises(expected):
        IdentityAdmin.connect(store).create_user("a", {})


def test_aws_words_are_accepted_where_aws_is_imitated() -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"access_key_id": "a", "secret_access_key": SecretStr("b")}
        moto = IdentityAdmin.connect(StoreConnection(endpoint=endpoint, public_endpoint=endpoint, **keys))
        moto.create_user("a", {"team": "a"})
        moto.put_policy("a", POLICY, bucket_access_policy("media"))
        assert moto.get_policy("a", POLICY) == bucket_access_policy("media")
        moto.delete_user("a")
        assert moto.list_users("") == []
    finally:
        server.stop()


def _is_denied(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except AccessDenied:
        return True
    except S3Error:
        return False
    return False


def _public(bucket: str) -> dict[str, Any]:
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}
