"""What the key of one bucket can do and what it cannot: every call made for real, on a store that enforces policies."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.connect import administration_client, identity_client
from mediabucket_s3.errors import AccessDenied, PreconditionFailed, S3Error, translated_s3_errors
from mediabucket_s3.identities import IdentityAdmin, NewAccessKey, bucket_access_policies, bucket_access_policy
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import Presigner
from mediabucket_s3.raw_requests import RawSender

POLICY = "access"
CONTENT = b"some media"
SEED = b"theirs"
FOREIGN_KEYS = ("elsewhere", ".mediabucket/owner.json", "pending", "uploads", "uploads-2/a")
# Changes of AWS's IAM take effect after seconds, those of SeaweedFS after some milliseconds.
PATIENCE_SECONDS = 30.0

Attempt = Callable[[], Any]


@pytest.fixture
def identities(connection: StoreConnection) -> IdentityAdmin:
    return IdentityAdmin.connect(connection)


@pytest.fixture
def user(identities: IdentityAdmin, bucket_name: str) -> Iterator[str]:
    """A user without a policy."""
    name = f"user-{bucket_name}"
    identities.create_user(name, {})
    yield name
    identities.delete_user(name)


@pytest.fixture
def as_user(connection: StoreConnection, identities: IdentityAdmin, bucket: BucketAdmin, user: str) -> StoreConnection:
    """The store, as a user that may reach one bucket."""
    # The store's own words for the same permissions.
    identities.put_policy(user, POLICY, bucket_access_policies(bucket.bucket)[1])
    made = with_key(connection, identities.create_access_key(user))
    seconds_until(lambda: not is_denied(BucketAdmin.connect(made, bucket.bucket).first_keys))
    return made


@pytest.fixture
def other(connection: StoreConnection, bucket_name: str) -> BucketAdmin:
    """Somebody else's bucket, by its administrator."""
    admin = BucketAdmin.connect(connection, f"{bucket_name}-2")
    admin.create(connection.region, {})
    admin.write_object("pending/a", SEED, "text/plain")
    return admin


def with_key(connection: StoreConnection, key: NewAccessKey) -> StoreConnection:
    return connection.model_copy(
        update={"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}
    )


def is_denied(attempt: Attempt) -> bool:
    try:
        with translated_s3_errors("Attempt"):
            attempt()
    except AccessDenied:
        return True
    except S3Error:
        return False
    return False


def seconds_until(happened: Callable[[], bool]) -> float:
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() < begun + PATIENCE_SECONDS
        time.sleep(0.002)
    return time.monotonic() - begun


def not_denied(attempts: dict[str, Attempt]) -> list[str]:
    return [what for what, attempt in attempts.items() if not is_denied(attempt)]


async def test_the_key_can_do_all_that_the_service_does(as_user: StoreConnection, bucket: BucketAdmin) -> None:
    upload = Presigner(as_user, bucket.bucket).put(
        "pending/a",
        content_type="image/png",
        content_length=len(CONTENT),
        checksum_sha256=hashlib.sha256(CONTENT).digest(),
        if_none_match=True,
        expires_in=60,
    )
    assert RawSender(as_user)(upload, CONTENT).ok
    async with BucketObjects.connect(as_user, bucket.bucket) as objects:
        await objects.check()
        pending = await objects.head("pending/a")
        await objects.copy("pending/a", "pending/a.copy", if_match=pending.etag, size=pending.size, compute_sha256=True)
        await objects.copy("pending/a", "uploads/a", if_match=pending.etag, size=pending.size, content_type="image/png")
        copied = await objects.head("uploads/a")
        assert b"".join([chunk async for chunk in objects.stream("uploads/a", if_match=copied.etag)]) == CONTENT
        await objects.put("uploads/b", CONTENT, "text/plain")
        assert [found.key async for found in objects.list("")] == [
            "pending/a",
            "pending/a.copy",
            "uploads/a",
            "uploads/b",
        ]
        for key in ("pending/a", "pending/a.copy", "uploads/a", "uploads/b"):
            await objects.delete(key)
        assert [found async for found in objects.list("")] == []


async def test_the_key_can_upload_in_parts(as_user: StoreConnection, bucket: BucketAdmin) -> None:
    client = administration_client(as_user)
    target = {"Bucket": bucket.bucket, "Key": "pending/parts"}
    upload = client.create_multipart_upload(**target)["UploadId"]
    part_query = {"partNumber": "1", "uploadId": upload}
    part = Presigner(as_user, bucket.bucket).sign("PUT", "pending/parts", query=part_query, expires_in=60)
    etag = RawSender(as_user)(part, CONTENT).headers["etag"]
    assert [part["ETag"] for part in client.list_parts(**target, UploadId=upload)["Parts"]] == [etag]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    client.complete_multipart_upload(**target, UploadId=upload, MultipartUpload=parts)
    abandoned = client.create_multipart_upload(**target)["UploadId"]
    async with BucketObjects.connect(as_user, bucket.bucket) as objects:
        assert (await objects.head("pending/parts")).size == len(CONTENT)
        assert [found.upload_id async for found in objects.list_multipart_uploads("pending/")] == [abandoned]
        await objects.abort_multipart_upload("pending/parts", abandoned)
        assert [found async for found in objects.list_multipart_uploads("pending/")] == []


async def test_the_key_can_copy_in_parts_and_abort_such_a_copy(as_user: StoreConnection, bucket: BucketAdmin) -> None:
    large = 5 * 1024**2 + 1
    async with BucketObjects.connect(as_user, bucket.bucket, largest_copy=large - 1) as objects:
        await objects.put("pending/large", b"x" * large, "video/mp4")
        state = (await objects.head("pending/large")).etag
        await objects.copy("pending/large", "uploads/large", if_match=state, size=large)
        assert (await objects.head("uploads/large")).size == large
        with pytest.raises(PreconditionFailed):
            await objects.copy("pending/large", "uploads/refused", if_match="0" * 32, size=large)
        abandoned = await objects.create_multipart_upload("uploads/abandoned", "video/mp4")
        assert [found.upload_id async for found in objects.list_multipart_uploads("uploads/")] == [abandoned]
        await objects.abort_multipart_upload("uploads/abandoned", abandoned)
        assert [found async for found in objects.list_multipart_uploads("")] == []


@pytest.mark.parametrize("key", FOREIGN_KEYS)
def test_the_key_reaches_nothing_outside_the_two_prefixes(
    as_user: StoreConnection, bucket: BucketAdmin, key: str
) -> None:
    client = administration_client(as_user)
    here = {"Bucket": bucket.bucket, "Key": "pending/a"}
    there = here | {"Key": key}
    bucket.write_object("pending/a", CONTENT, "text/plain")
    bucket.write_object(key, SEED, "text/plain")
    attempts: dict[str, Attempt] = {
        "read": lambda: client.get_object(**there),
        "head": lambda: client.head_object(**there),
        "write": lambda: client.put_object(**there, Body=b"x"),
        "delete": lambda: client.delete_object(**there),
        "upload in parts": lambda: client.create_multipart_upload(**there),
        "copy there": lambda: client.copy_object(**there, CopySource=here),
        "copy from there": lambda: client.copy_object(**here, CopySource=there),
    }
    assert not_denied(attempts) == []
    deleted = client.delete_objects(Bucket=bucket.bucket, Delete={"Objects": [{"Key": key}]})
    assert [error["Code"] for error in deleted["Errors"]] == ["AccessDenied"]
    presigned = Presigner(as_user, bucket.bucket).put(key, content_type="text/plain", content_length=1, expires_in=60)
    assert RawSender(as_user)(presigned, b"x").status == 403
    assert bucket.read_object(key) == SEED


def test_the_key_does_not_leave_its_prefix_by_dots(
    as_user: StoreConnection, bucket: BucketAdmin, other: BucketAdmin
) -> None:
    client, here = administration_client(as_user), bucket.bucket
    for key in ("pending/../elsewhere", "pending/..", "uploads/./../elsewhere", f"pending/../../{other.bucket}/a"):
        with pytest.raises(S3Error), translated_s3_errors("PutObject", key):
            client.put_object(Bucket=here, Key=key, Body=b"x")
    for source in (f"{here}/pending/../../{other.bucket}/pending/a", f"/{other.bucket}/pending/a"):
        with pytest.raises(S3Error), translated_s3_errors("CopyObject", source):
            client.copy_object(Bucket=here, Key="pending/b", CopySource=source)
    assert bucket.first_keys() == []
    assert other.first_keys() == ["pending/a"]


def test_the_key_reaches_no_other_bucket(
    as_user: StoreConnection, bucket: BucketAdmin, other: BucketAdmin, bucket_name: str
) -> None:
    client = administration_client(as_user)
    here, there = ({"Bucket": name, "Key": "pending/a"} for name in (bucket.bucket, other.bucket))
    bucket.write_object("pending/a", CONTENT, "text/plain")
    elsewhere = BucketAdmin.connect(as_user, other.bucket)
    part = {**here, "PartNumber": 1, "UploadId": client.create_multipart_upload(**here)["UploadId"]}
    assert (
        not_denied(
            {
                "look": elsewhere.exists,
                "list": elsewhere.first_keys,
                "list versions": lambda: client.list_object_versions(Bucket=other.bucket),
                "list uploads in parts": lambda: client.list_multipart_uploads(Bucket=other.bucket),
                "read": lambda: client.get_object(**there),
                "head": lambda: client.head_object(**there),
                "write": lambda: client.put_object(**there, Body=b"x"),
                "delete": lambda: client.delete_object(**there),
                "upload in parts": lambda: client.create_multipart_upload(**there),
                "copy from there": lambda: client.copy_object(**here, CopySource=there),
                "copy there": lambda: client.copy_object(**there, CopySource=here),
                "copy a part from there": lambda: client.upload_part_copy(**part, CopySource=there),
                "read its policy": elsewhere.get_policy,
                "change its policy": lambda: elsewhere.put_policy(public(other.bucket)),
                "delete it": lambda: client.delete_bucket(Bucket=other.bucket),
                "make another": lambda: BucketAdmin.connect(as_user, f"{bucket_name}-3").create("us-east-1", {}),
            }
        )
        == []
    )
    assert other.read_object("pending/a") == SEED


def test_the_key_changes_nothing_about_its_own_bucket(as_user: StoreConnection, bucket: BucketAdmin) -> None:
    own, client = BucketAdmin.connect(as_user, bucket.bucket), administration_client(as_user)
    here = {"Bucket": bucket.bucket}
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "pending/"}, "Expiration": {"Days": 1}}
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    assert (
        not_denied(
            {
                "read the policy": own.get_policy,
                "put a policy": lambda: own.put_policy(public(bucket.bucket)),
                "delete the policy": own.delete_policy,
                "read CORS": own.get_cors,
                "put CORS": lambda: own.put_cors([{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]),
                "delete CORS": own.delete_cors,
                "read the lifecycle": own.get_lifecycle,
                "put a lifecycle": lambda: own.put_lifecycle([rule]),
                "delete the lifecycle": own.delete_lifecycle,
                "read the encryption": own.get_encryption,
                "put encryption": lambda: own.put_encryption(encryption),
                "delete the encryption": own.delete_encryption,
                "read versioning": own.get_versioning,
                "put versioning": lambda: own.put_versioning("Enabled"),
                "put a public access block": lambda: own.put_public_access_block({"BlockPublicAcls": False}),
                "delete the public access block": own.delete_public_access_block,
                "read the tags": own.get_tags,
                "put tags": lambda: own.put_tags({"a": "b"}),
                "delete the tags": lambda: client.delete_bucket_tagging(**here),
                "put an ACL": lambda: client.put_bucket_acl(**here, ACL="public-read-write"),
                "put the ACL of an object": lambda: client.put_object_acl(**here, Key="pending/a", ACL="public-read"),
                "put a website": lambda: client.put_bucket_website(
                    **here, WebsiteConfiguration={"IndexDocument": {"Suffix": "a"}}
                ),
                "lock objects": lambda: client.put_object_lock_configuration(
                    **here, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
                ),
                "delete the bucket": lambda: client.delete_bucket(**here),
            }
        )
        == []
    )
    assert bucket.exists()


def test_the_key_widens_nothing_by_iam(as_user: StoreConnection, connection: StoreConnection, user: str) -> None:
    iam, client = IdentityAdmin.connect(as_user), identity_client(as_user, as_user.endpoint)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
    [administrator] = IdentityAdmin.connect(connection).list_users("admin")
    assert (
        not_denied(
            {
                "list users": lambda: iam.list_users(""),
                "make a user": lambda: iam.create_user(f"{user}-2", {}),
                "delete itself": lambda: client.delete_user(UserName=user),
                "look at the administrator": lambda: iam.list_access_keys(administrator),
                "make a key of the administrator": lambda: iam.create_access_key(administrator),
                "delete a key of the administrator": lambda: iam.delete_access_key(
                    administrator, connection.access_key_id
                ),
                "widen its policy": lambda: iam.put_policy(user, POLICY, everything),
                "add a policy": lambda: iam.put_policy(user, "more", everything),
                "drop its policy": lambda: iam.delete_policy(user, POLICY),
                "make a managed policy": lambda: client.create_policy(
                    PolicyName="x", PolicyDocument=json.dumps(everything)
                ),
                "make a group": lambda: client.create_group(GroupName="x"),
            }
        )
        == []
    )


def test_what_seaweedfs_does_not_refuse(as_user: StoreConnection, bucket: BucketAdmin, user: str) -> None:
    """None of it reaches beyond the bucket. AWS refuses all of it under its own form of the policy."""
    client, here = administration_client(as_user), {"Bucket": bucket.bucket}
    # It compares the names of keys and prefixes without their case.
    client.put_object(**here, Key="PENDING/a", Body=b"x")
    client.delete_object(**here, Key="PENDING/a")
    # Whoever may write may list parts and abort.
    target = here | {"Key": "uploads/a"}
    upload = client.create_multipart_upload(**target)["UploadId"]
    client.list_parts(**target, UploadId=upload)
    client.abort_multipart_upload(**target, UploadId=upload)
    # It tells everybody of the buckets that are theirs, and of no other.
    assert [found["Name"] for found in client.list_buckets()["Buckets"]] == [bucket.bucket]
    # It tells whether there is a policy, and users of themselves.
    with pytest.raises(client.exceptions.ClientError, match="NoSuchBucketPolicy"):
        client.get_bucket_policy_status(**here)
    assert IdentityAdmin.connect(as_user).user_exists(user)


def test_on_seaweedfs_a_user_may_make_keys_of_its_own_which_die_with_it(
    as_user: StoreConnection, identities: IdentityAdmin, bucket: BucketAdmin, user: str
) -> None:
    """So a key that leaked outlives its rotation, unless keys that nobody knows of are deleted too."""
    made = with_key(as_user, IdentityAdmin.connect(as_user).create_access_key(user))
    seconds_until(lambda: not is_denied(BucketAdmin.connect(made, bucket.bucket).first_keys))
    assert is_denied(lambda: BucketAdmin.connect(made, bucket.bucket).write_object("elsewhere", b"x", "text/plain"))
    assert made.access_key_id in {key.access_key_id for key in identities.list_access_keys(user)}
    identities.delete_user(user)
    seconds_until(lambda: is_denied(BucketAdmin.connect(made, bucket.bucket).first_keys))


def test_changes_become_effective_soon(
    connection: StoreConnection, identities: IdentityAdmin, bucket: BucketAdmin, other: BucketAdmin, user: str
) -> None:
    ours, theirs = (bucket_access_policies(admin.bucket)[1] for admin in (bucket, other))
    first, second = (with_key(connection, identities.create_access_key(user)) for _ in range(2))
    look, look_with_second = (BucketAdmin.connect(key, bucket.bucket).first_keys for key in (first, second))
    seconds: dict[str, float] = {}
    assert is_denied(look)
    identities.put_policy(user, POLICY, ours)
    seconds["a policy, and a new key"] = seconds_until(lambda: not is_denied(look))
    identities.put_policy(user, POLICY, theirs)
    seconds["a policy for another bucket"] = seconds_until(lambda: is_denied(look))
    identities.put_policy(user, POLICY, ours)
    seconds_until(lambda: not is_denied(look))
    identities.delete_access_key(user, first.access_key_id)
    seconds["the end of a key"] = seconds_until(lambda: is_denied(look))
    seconds_until(lambda: not is_denied(look_with_second))
    identities.delete_policy(user, POLICY)
    seconds["the end of a policy"] = seconds_until(lambda: is_denied(look_with_second))
    identities.put_policy(user, POLICY, ours)
    seconds_until(lambda: not is_denied(look_with_second))
    identities.delete_user(user)
    seconds["the end of a user"] = seconds_until(lambda: is_denied(look_with_second))
    assert max(seconds.values()) < PATIENCE_SECONDS / 2, seconds


def test_the_policy_names_one_bucket_two_prefixes_and_no_more_than_is_used() -> None:
    bucket, pending, uploads = (f"arn:aws:s3:::media{path}" for path in ("", "/pending/*", "/uploads/*"))
    assert {
        statement["Sid"]: (statement["Effect"], statement["Action"], statement["Resource"])
        for statement in bucket_access_policy("media")["Statement"]
    } == {
        "Signing": ("Allow", ["s3:PutObject", "s3:ListMultipartUploadParts"], [pending]),
        "Finishing": (
            "Allow",
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            [pending, uploads],
        ),
        "Listing": ("Allow", ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"], [bucket]),
    }


def test_the_other_words_differ_in_the_lists_alone() -> None:
    words, others = ({s["Sid"]: s for s in policy["Statement"]} for policy in bucket_access_policies("media"))
    assert words["Finishing"] == others["Finishing"]
    assert {sid: set(others[sid]["Action"]) - set(words[sid]["Action"]) for sid in ("Signing", "Listing")} == {
        "Signing": {"s3:ListParts"},
        "Listing": {"s3:List*"},
    }
    assert [words[sid]["Resource"] for sid in words] == [others[sid]["Resource"] for sid in others]


def public(bucket: str) -> dict[str, Any]:
    resource = f"arn:aws:s3:::{bucket}/*"
    statement = {"Sid": "A", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}
