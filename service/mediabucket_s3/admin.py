"""Administration of one bucket: each method reads or writes one thing, in S3's own words as plain JSON-like values."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import OWNER_MARKER_KEY
from mediabucket_s3.addressing import require_addressable
from mediabucket_s3.answers import AnswerListener
from mediabucket_s3.connect import administration_client
from mediabucket_s3.errors import (
    BucketMissing,
    BucketNotEmpty,
    ConfigurationMissing,
    InvalidRequest,
    NotImplementedByStore,
    ObjectMissing,
    S3Error,
    translated_s3_errors,
)

Document = dict[str, Any]

# The only region that CreateBucket refuses to hear named.
_UNNAMED_REGION = "us-east-1"
_PAGE = 1000


class BucketAdmin:
    """One bucket, seen by whoever provisions it. Synchronous; safe to share between threads.

    Every method raises S3Error: BucketMissing, AccessDenied, StoreUnavailable and Throttled always may occur,
    NotImplementedByStore where the store lacks the part of S3 in question.
    """

    def __init__(self, client: Any, bucket: str, creator: Any = None) -> None:
        """`creator` is a client that makes one attempt only."""
        self._client = client
        self._creator = creator or client
        self.bucket = bucket

    @classmethod
    def connect(cls, connection: StoreConnection, bucket: str, on_answer: AnswerListener | None = None) -> Self:
        """`on_answer` is called after each attempt of a call, answered or not.

        Raises NotVirtuallyAddressable for a bucket that the connection's addressing style cannot reach.
        """
        require_addressable(connection.endpoint, bucket, connection.addressing_style)
        # Whoever tries again after a lost answer is told that the bucket is taken, by nobody but itself.
        creator = administration_client(connection, on_answer=on_answer, attempts=1)
        return cls(administration_client(connection, on_answer=on_answer), bucket, creator)

    def exists(self) -> bool:
        """Whether the bucket exists. Raises AccessDenied when it does and is not ours to see."""
        try:
            self._call("HeadBucket", self._client.head_bucket)
        except BucketMissing:
            return False
        return True

    def create(self, region: str, tags: dict[str, str]) -> None:
        """Create the bucket, with its tags where the store takes them at once. Raises BucketTaken."""
        location = {} if region == _UNNAMED_REGION else {"LocationConstraint": region}
        try:
            self._create(location | ({"Tags": _tag_set(tags)} if tags else {}))
        except (InvalidRequest, NotImplementedByStore):
            if not tags:
                raise
            self._create(location)

    def _create(self, configuration: Document) -> None:
        arguments = {"CreateBucketConfiguration": configuration} if configuration else {}
        self._call("CreateBucket", self._creator.create_bucket, **arguments)

    def delete(self) -> None:
        """Delete the bucket, which is empty but for the mark of its owner. Raises BucketNotEmpty."""
        # Some stores delete a bucket together with everything in it.
        if not self.is_empty():
            if not self._has_only(OWNER_MARKER_KEY):
                raise BucketNotEmpty("DeleteBucket", "BucketNotEmpty", resource=self.bucket)
            self.delete_every_version(OWNER_MARKER_KEY)
        self._call("DeleteBucket", self._client.delete_bucket)

    def delete_everything(self, go_on: Callable[[], None] = lambda: None) -> None:
        """Delete all objects, versions, delete markers and multipart uploads, but for the mark of the bucket's owner.

        May be repeated after a crash at any call. A thousand objects a call; `go_on` is called before each, and what
        it raises ends the deletion.
        """
        for upload in self._listed("ListMultipartUploads", self._client.list_multipart_uploads, "Uploads"):
            go_on()
            self._abort(upload["Key"], upload["UploadId"])
        with suppress(NotImplementedByStore):
            self._delete_versions(go_on)
        while keys := self._keys_but_marker():
            go_on()
            self._delete_objects(keys)

    def _delete_versions(self, go_on: Callable[[], None]) -> None:
        while True:
            page = self._call("ListObjectVersions", self._client.list_object_versions, MaxKeys=_PAGE)
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            # On a bucket that never had versions each object is one; the marker is the last to go, by `delete`.
            doomed = [entry for entry in found if entry["Key"] != OWNER_MARKER_KEY]
            if not doomed:
                return
            go_on()
            self._delete_objects([{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in doomed])

    def delete_every_version(self, key: str) -> None:
        """Delete an object with its older versions and delete markers; one that is gone already is no error."""
        try:
            page = self._call("ListObjectVersions", self._client.list_object_versions, Prefix=key)
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        except NotImplementedByStore:
            found = [{"Key": key}]
        entries = [{name: entry[name] for name in ("Key", "VersionId") if name in entry} for entry in found]
        if doomed := [entry for entry in entries if entry["Key"] == key]:
            self._delete_objects(doomed)

    def _keys_but_marker(self) -> list[dict[str, str]]:
        return [{"Key": key} for key in self.first_keys() if key != OWNER_MARKER_KEY]

    def _has_only(self, key: str) -> bool:
        page = self._call("ListObjectsV2", self._client.list_objects_v2, MaxKeys=2)
        return [entry["Key"] for entry in page.get("Contents", [])] == [key]

    def _delete_objects(self, entries: list[dict[str, str]]) -> None:
        """At most a thousand. Raises S3Error when one of them stays."""
        answer = self._call("DeleteObjects", self._client.delete_objects, Delete={"Objects": entries, "Quiet": True})
        for failed in answer.get("Errors", []):
            raise S3Error("DeleteObjects", str(failed.get("Code", "Unknown")), resource=str(failed.get("Key", "")))

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            with translated_s3_errors("AbortMultipartUpload", key):
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ObjectMissing:
            return

    def _listed(self, operation: str, method: Callable[..., Document], name: str) -> list[Document]:
        """The first page of a list; what is on the next ones is found when these are gone."""
        try:
            return list(self._call(operation, method).get(name, []))
        except NotImplementedByStore:
            return []

    def is_empty(self) -> bool:
        """Whether the bucket has no object, no older version and no delete marker."""
        page = self._call("ListObjectsV2", self._client.list_objects_v2, MaxKeys=1)
        if page.get("KeyCount", 0) or page.get("Contents"):
            return False
        try:
            versions = self._call("ListObjectVersions", self._client.list_object_versions, MaxKeys=1)
        except NotImplementedByStore:
            return True
        return not (versions.get("Versions") or versions.get("DeleteMarkers"))

    def first_keys(self) -> list[str]:
        """The keys of at most a thousand objects."""
        page = self._call("ListObjectsV2", self._client.list_objects_v2, MaxKeys=_PAGE)
        return [entry["Key"] for entry in page.get("Contents", [])]

    def get_policy(self) -> Document | None:
        answer = self._read("GetBucketPolicy", self._client.get_bucket_policy)
        policy: Document | None = json.loads(answer["Policy"]) if answer.get("Policy") else None
        return policy

    def put_policy(self, policy: Document) -> None:
        self._call("PutBucketPolicy", self._client.put_bucket_policy, Policy=json.dumps(policy))

    def delete_policy(self) -> None:
        self._read("DeleteBucketPolicy", self._client.delete_bucket_policy)

    def get_cors(self) -> list[Document]:
        answer = self._read("GetBucketCors", self._client.get_bucket_cors)
        return _plain_list(answer.get("CORSRules"))

    def put_cors(self, rules: list[Document]) -> None:
        """Replace all rules by these, at least one."""
        self._call("PutBucketCors", self._client.put_bucket_cors, CORSConfiguration={"CORSRules": rules})

    def delete_cors(self) -> None:
        self._read("DeleteBucketCors", self._client.delete_bucket_cors)

    def get_lifecycle(self) -> list[Document]:
        answer = self._read("GetBucketLifecycleConfiguration", self._client.get_bucket_lifecycle_configuration)
        return _plain_list(answer.get("Rules"))

    def put_lifecycle(self, rules: list[Document]) -> None:
        """Replace all rules by these, at least one."""
        self._call(
            "PutBucketLifecycleConfiguration",
            self._client.put_bucket_lifecycle_configuration,
            LifecycleConfiguration={"Rules": rules},
        )

    def delete_lifecycle(self) -> None:
        self._read("DeleteBucketLifecycle", self._client.delete_bucket_lifecycle)

    def get_encryption(self) -> Document | None:
        answer = self._read("GetBucketEncryption", self._client.get_bucket_encryption)
        configuration: Document | None = answer.get("ServerSideEncryptionConfiguration")
        return configuration

    def put_encryption(self, configuration: Document) -> None:
        self._call(
            "PutBucketEncryption",
            self._client.put_bucket_encryption,
            ServerSideEncryptionConfiguration=configuration,
        )

    def delete_encryption(self) -> None:
        self._read("DeleteBucketEncryption", self._client.delete_bucket_encryption)

    def get_versioning(self) -> str:
        """Disabled, Enabled or Suspended."""
        answer = self._call("GetBucketVersioning", self._client.get_bucket_versioning)
        return str(answer.get("Status") or "Disabled")

    def put_versioning(self, status: str) -> None:
        """`status` is Enabled or Suspended: no bucket goes back to Disabled."""
        self._call(
            "PutBucketVersioning", self._client.put_bucket_versioning, VersioningConfiguration={"Status": status}
        )

    def get_public_access_block(self) -> Document | None:
        answer = self._read("GetPublicAccessBlock", self._client.get_public_access_block)
        configuration: Document | None = answer.get("PublicAccessBlockConfiguration")
        return configuration

    def put_public_access_block(self, configuration: Document) -> None:
        self._call(
            "PutPublicAccessBlock", self._client.put_public_access_block, PublicAccessBlockConfiguration=configuration
        )

    def delete_public_access_block(self) -> None:
        self._read("DeletePublicAccessBlock", self._client.delete_public_access_block)

    def get_tags(self) -> dict[str, str]:
        answer = self._read("GetBucketTagging", self._client.get_bucket_tagging)
        return {tag["Key"]: tag.get("Value", "") for tag in answer.get("TagSet", [])}

    def put_tags(self, tags: dict[str, str]) -> None:
        """Replace all tags by these."""
        self._call("PutBucketTagging", self._client.put_bucket_tagging, Tagging={"TagSet": _tag_set(tags)})

    def read_object(self, key: str) -> bytes | None:
        """The whole of a small object, None when there is none."""
        try:
            with translated_s3_errors("GetObject", key):
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
                content: bytes = answer["Body"].read()
        except ObjectMissing:
            return None
        return content

    def write_object(self, key: str, content: bytes, content_type: str) -> None:
        with translated_s3_errors("PutObject", key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)

    def _call(self, operation: str, method: Callable[..., Document], **arguments: Any) -> Document:
        with translated_s3_errors(operation, self.bucket):
            return method(Bucket=self.bucket, **arguments)

    def _read(self, operation: str, method: Callable[..., Document]) -> Document:
        """Ask for, or delete, what may not be there."""
        try:
            return self._call(operation, method)
        except ConfigurationMissing:
            return {}


def _tag_set(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _plain_list(rules: list[Document] | None) -> list[Document]:
    return [_plain(rule) for rule in rules or []]


def _plain(value: Any) -> Any:
    """JSON has no dates: as ISO 8601 they go both ways."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
