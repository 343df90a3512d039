"""The contract of BucketAdmin on a real store: every aspect can be read when unset, written, read back and removed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.object_store import AddressingStyle
from mediabucket_s3.addressing import NotVirtuallyAddressable
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import (
    AccessDenied,
    BucketMissing,
    BucketNotEmpty,
    BucketTaken,
    InvalidRequest,
    NotImplementedByStore,
)
from mediabucket_s3.objects import BucketObjects
from mediabucket_s3.presign import Presigner

CORS_RULES = [
    {
        "ID": "mediabucket-uploads",
        "AllowedOrigins": ["https://app.example.com", "https://*.preview.example.com"],
        "AllowedMethods": ["GET", "PUT", "HEAD"],
        "AllowedHeaders": ["content-type", "if-none-match", "x-amz-checksum-sha256"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    },
    {
        "ID": "foreign",
        "AllowedOrigins": ["https://foreign.example.com"],
        "AllowedMethods": ["GET"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    },
]
LIFECYCLE_RULES = [
    {
        "ID": "mediabucket-pending",
        "Status": "Enabled",
        "Filter": {"Prefix": "pending/"},
        "Expiration": {"Days": 1},
    },
    {
        "ID": "mediabucket-multipart",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    },
    {
        "ID": "foreign",
        "Status": "Disabled",
        "Filter": {"Prefix": "old/"},
        "Expiration": {"Date": "2030-01-01T00:00:00+00:00"},
    },
]
ENCRYPTION = {
    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}],
}
PUBLIC_ACCESS_BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def policy_for(bucket: str) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "mediabucket-public-read",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": [f"arn:aws:s3:::{bucket}/uploads/*", f"arn:aws:s3:::{bucket}/public/*"],
            }
        ],
    }


def test_a_bucket_exists_from_its_creation_to_its_deletion(admin: BucketAdmin, connection: StoreConnection) -> None:
    assert not admin.exists()
    admin.create(connection.region, {"team": "chat"})
    assert admin.exists()
    assert admin.is_empty()
    admin.delete()
    assert not admin.exists()


def test_a_bucket_in_a_named_region_is_created(admin: BucketAdmin) -> None:
    admin.create("eu-central-1", {})
    assert admin.exists()


def test_a_bucket_that_exists_is_taken(bucket: BucketAdmin, connection: StoreConnection) -> None:
    with pytest.raises(BucketTaken):
        bucket.create(connection.region, {"team": "chat"})


def test_a_name_that_no_store_accepts_is_an_invalid_request(connection: StoreConnection) -> None:
    with pytest.raises(InvalidRequest):
        BucketAdmin.connect(connection, "Capital_letters").create(connection.region, {"team": "chat"})


def test_a_bucket_with_an_object_is_not_deleted(bucket: BucketAdmin) -> None:
    bucket.write_object("a/b", b"content", "text/plain")
    assert not bucket.is_empty()
    with pytest.raises(BucketNotEmpty):
        bucket.delete()
    assert bucket.read_object("a/b") == b"content"


async def test_a_bucket_with_only_older_versions_is_not_empty(bucket: BucketAdmin, objects: BucketObjects) -> None:
    bucket.put_versioning("Enabled")
    await objects.put("a", b"content", "text/plain")
    await objects.delete("a")
    assert [entry async for entry in objects.list("")] == []
    assert not bucket.is_empty()
    with pytest.raises(BucketNotEmpty):
        bucket.delete()


async def test_every_version_of_one_object_is_deleted_and_no_other(bucket: BucketAdmin, objects: BucketObjects) -> None:
    bucket.put_versioning("Enabled")
    for content in (b"first", b"second"):
        await objects.put("a", content, "text/plain")
    await objects.delete("a")
    await objects.put("ab", b"other", "text/plain")
    bucket.delete_every_version("a")
    bucket.delete_every_version("a")
    assert bucket.read_object("ab") == b"other"
    bucket.delete_every_version("ab")
    assert bucket.is_empty()


def test_reading_what_was_never_set_is_no_error(bucket: BucketAdmin) -> None:
    assert bucket.get_policy() is None
    assert bucket.get_cors() == []
    assert bucket.get_lifecycle() == []
    assert bucket.get_encryption() is None
    assert bucket.get_versioning() == "Disabled"
    assert bucket.get_tags() == {}
    assert bucket.read_object(".mediabucket/owner.json") is None


def test_removing_what_was_never_set_is_no_error(bucket: BucketAdmin) -> None:
    bucket.delete_policy()
    bucket.delete_cors()
    bucket.delete_lifecycle()
    bucket.delete_encryption()


def test_a_policy_is_kept_until_removed(bucket: BucketAdmin) -> None:
    policy = policy_for(bucket.bucket)
    bucket.put_policy(policy)
    assert bucket.get_policy() == policy
    bucket.delete_policy()
    assert bucket.get_policy() is None


def test_cors_rules_are_kept_in_full_until_removed(bucket: BucketAdmin) -> None:
    bucket.put_cors(CORS_RULES)
    assert bucket.get_cors() == CORS_RULES
    bucket.delete_cors()
    assert bucket.get_cors() == []


def test_lifecycle_rules_are_kept_until_removed_with_dates_as_text(bucket: BucketAdmin) -> None:
    bucket.put_lifecycle(LIFECYCLE_RULES)
    found = bucket.get_lifecycle()
    assert found == LIFECYCLE_RULES
    bucket.put_lifecycle(found)
    assert bucket.get_lifecycle() == found
    bucket.delete_lifecycle()
    assert bucket.get_lifecycle() == []


def test_encryption_is_kept_until_removed(bucket: BucketAdmin) -> None:
    bucket.put_encryption(ENCRYPTION)
    assert bucket.get_encryption() == ENCRYPTION
    bucket.delete_encryption()
    assert bucket.get_encryption() is None


def test_versioning_goes_on_and_off_but_never_back(bucket: BucketAdmin) -> None:
    for status in ("Enabled", "Suspended", "Enabled"):
        bucket.put_versioning(status)
        assert bucket.get_versioning() == status
    with pytest.raises(InvalidRequest):
        bucket.put_versioning("Disabled")


def test_tags_are_replaced_as_a_whole(bucket: BucketAdmin) -> None:
    bucket.put_tags({"mediabucket.dev/owner-uid": "3a9c", "team": "chat"})
    assert bucket.get_tags() == {"mediabucket.dev/owner-uid": "3a9c", "team": "chat"}
    bucket.put_tags({"team": "mail"})
    assert bucket.get_tags() == {"team": "mail"}


def test_what_the_store_lacks_is_told_apart_from_what_is_not_set(bucket: BucketAdmin) -> None:
    with pytest.raises(NotImplementedByStore):
        bucket.get_public_access_block()
    with pytest.raises(NotImplementedByStore):
        bucket.put_public_access_block(PUBLIC_ACCESS_BLOCK)
    with pytest.raises(NotImplementedByStore):
        bucket.delete_public_access_block()


def test_an_object_is_written_and_read_whole(bucket: BucketAdmin) -> None:
    bucket.write_object(".mediabucket/owner.json", b'{"uid": 1}', "application/json")
    bucket.write_object(".mediabucket/owner.json", b'{"uid": 2}', "application/json")
    assert bucket.read_object(".mediabucket/owner.json") == b'{"uid": 2}'


def test_the_aspects_of_a_bucket_that_is_not_there_miss_the_bucket(admin: BucketAdmin) -> None:
    # SeaweedFS answers for the encryption of any name, so that is not asked here.
    calls: list[Callable[[], object]] = [admin.get_policy, admin.get_cors, admin.get_lifecycle, admin.get_tags]
    for call in (*calls, admin.get_versioning, admin.delete_cors, admin.is_empty, admin.delete):
        with pytest.raises(BucketMissing):
            call()


@pytest.mark.parametrize("wrong", [{"access_key_id": "nobody"}, {"secret_access_key": SecretStr("wrong")}])
def test_a_wrong_identity_is_denied(bucket: BucketAdmin, connection: StoreConnection, wrong: dict[str, object]) -> None:
    stranger = BucketAdmin.connect(connection.model_copy(update=wrong), bucket.bucket)
    for read in (stranger.exists, stranger.get_tags, stranger.get_policy):
        with pytest.raises(AccessDenied):
            read()


async def test_a_name_that_virtual_addressing_cannot_carry_is_refused_before_any_call(
    connection: StoreConnection,
) -> None:
    virtual = connection.model_copy(
        update={
            "addressing_style": AddressingStyle.VIRTUAL,
            "endpoint": "http://s3.example.com",
            "public_endpoint": "http://s3.example.com",
        }
    )
    with pytest.raises(NotVirtuallyAddressable):
        BucketAdmin.connect(virtual, "with.dot")
    with pytest.raises(NotVirtuallyAddressable):
        Presigner(virtual, "with.dot")
    with pytest.raises(NotVirtuallyAddressable):
        async with BucketObjects.connect(virtual, "with.dot"):
            raise AssertionError("connected to a bucket that cannot be addressed")


def test_dates_of_rules_are_in_the_zone_the_store_gave(bucket: BucketAdmin) -> None:
    bucket.put_lifecycle(LIFECYCLE_RULES[2:])
    [rule] = bucket.get_lifecycle()
    assert datetime.fromisoformat(rule["Expiration"]["Date"]) == datetime(2030, 1, 1, tzinfo=UTC)


def test_tags_that_the_store_refuses_at_creation_do_not_stop_it(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=400, body=b"<Error><Code>MalformedXML</Code></Error>"))
    with pytest.raises(InvalidRequest):
        BucketAdmin.connect(store.connection, "some-bucket").create("us-east-1", {"team": "chat"})
    assert store.requests == ["PUT /some-bucket", "PUT /some-bucket"]


def test_a_creation_without_tags_is_refused_once(canned_store: Callable[..., Any], answer: Callable[..., Any]) -> None:
    store = canned_store(answer(status=400, body=b"<Error><Code>InvalidBucketName</Code></Error>"))
    with pytest.raises(InvalidRequest):
        BucketAdmin.connect(store.connection, "some-bucket").create("us-east-1", {})
    assert store.requests == ["PUT /some-bucket"]


def test_a_store_without_versions_is_empty_when_it_lists_nothing(
    canned_store: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    store = canned_store(answer(status=200, body=b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"))
    store.answers["GET /some-bucket?versions"] = answer(status=501, body=b"<Error><Code>NotImplemented</Code></Error>")
    assert BucketAdmin.connect(store.connection, "some-bucket").is_empty()
