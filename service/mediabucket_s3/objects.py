"""Objects of one bucket, for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.addressing import require_addressable
from mediabucket_s3.calls import CallWatcher, unwatched
from mediabucket_s3.checksums import whole_sha256
from mediabucket_s3.connect import object_client
from mediabucket_s3.copies import (
    LARGEST_COPY,
    Copy,
    copied_metadata,
    copy_at_once,
    copy_in_parts,
    ignores_condition_of_part,
)
from mediabucket_s3.errors import (
    AccessDenied,
    NotImplementedByStore,
    ObjectMissing,
    PreconditionFailed,
    StoreUnavailable,
    translated_s3_errors,
)

STREAM_CHUNK_BYTES: Final = 1024**2
CHUNK_SECONDS: Final = 30.0
# A signed URL lives for minutes from when its maker believes it to be; a Date header is exact to the second.
MOST_SKEW_SECONDS: Final = 60.0
# Of all copies: other calls need connections as well.
_PARTS_AT_ONCE: Final = 16
# That no object has.
_ETAG_OF_NOTHING: Final = "0" * 32


@dataclass(frozen=True)
class ObjectHead:
    """What the store knows of an object. `sha256` is of all its bytes, None when the store holds no such checksum."""

    key: str
    size: int
    content_type: str | None
    etag: str
    sha256: bytes | None
    last_modified: datetime
    content_disposition: str | None = None


@dataclass(frozen=True)
class ListedObject:
    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object, or a delete marker. `version_id` is None on a store that keeps no versions."""

    key: str
    version_id: str | None
    size: int
    is_delete_marker: bool = False


@dataclass(frozen=True)
class PendingMultipartUpload:
    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True)
class UploadedPart:
    """A part that the store holds; `size` in bytes, `sha256` in base64 where the store keeps one for each part."""

    part_number: int
    size: int
    etag: str
    sha256: str | None
    last_modified: datetime


class BucketObjects:
    """The objects of one bucket. ETags go in and out without quotes and mean nothing but "unchanged".

    Every method raises S3Error: BucketMissing, AccessDenied, StoreUnavailable and Throttled always may occur.
    """

    def __init__(self, client: Any, bucket: str, largest_copy: int = LARGEST_COPY) -> None:
        self._client = client
        self.bucket = bucket
        self._largest_copy = largest_copy
        self._part_slots = asyncio.Semaphore(_PARTS_AT_ONCE)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        connection: StoreConnection,
        bucket: str,
        watch: CallWatcher = unwatched,
        *,
        largest_copy: int = LARGEST_COPY,
    ) -> AsyncIterator[Self]:
        """Every call happens inside `watch`. What has more than `largest_copy` bytes is copied in parts.

        Raises NotVirtuallyAddressable for a bucket that the connection's addressing style cannot reach."""
        require_addressable(connection.endpoint, bucket, connection.addressing_style)
        async with object_client(connection, watch=watch) as client:
            yield cls(client, bucket, largest_copy)

    async def check(self) -> None:
        """Raise S3Error unless the bucket answers, by a clock that agrees with ours: the cheapest call there is."""
        with translated_s3_errors("HeadBucket", self.bucket):
            answer = await self._client.head_bucket(Bucket=self.bucket)
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        behind = (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds() if said else 0.0
        if abs(behind) > MOST_SKEW_SECONDS:
            detail = f"this process's clock is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead of'} the store's"
            raise AccessDenied("HeadBucket", "RequestTimeTooSkewed", 200, f"{detail}: set it by NTP", self.bucket)

    async def head(self, key: str) -> ObjectHead:
        """Raises ObjectMissing."""
        with translated_s3_errors("HeadObject", key):
            answer = await self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        return ObjectHead(
            key=key,
            size=answer["ContentLength"],
            content_type=answer.get("ContentType"),
            etag=_unquoted(answer["ETag"]),
            sha256=whole_sha256(answer),
            last_modified=answer["LastModified"],
            content_disposition=answer.get("ContentDisposition"),
        )

    async def copy(
        self,
        source: str,
        destination: str,
        *,
        if_match: str | None,
        size: int,
        content_type: str | None = None,
        content_disposition: str | None = None,
        compute_sha256: bool = False,
    ) -> str:
        """Copy inside the bucket, in parts above what one call takes, and return the copy's ETag.

        `size`: the source's, in bytes; it bounds the time. `if_match` None: whatever the source is by then. Without
        `content_type` a copy in one call keeps all metadata, and one in parts none; with it the copy has this and
        `content_disposition` only. `compute_sha256` asks the store to compute the checksum of a copy in one call:
        whether it did is for `head` to tell.
        Raises PreconditionFailed when the source's ETag is not `if_match`, ObjectMissing when it is gone.
        """
        metadata = copied_metadata(content_type, content_disposition)
        copy = Copy(source, destination, if_match, size, metadata)
        if self.copies_in_parts(size):
            return await copy_in_parts(self._client, self.bucket, copy, self._largest_copy, self._part_slots)
        checksum = {"ChecksumAlgorithm": "SHA256"} if compute_sha256 else {}
        return await copy_at_once(self._client, self.bucket, copy, **checksum)

    def copies_in_parts(self, size: int) -> bool:
        """Whether an object of this many bytes is too large to be copied in one call."""
        return size > self._largest_copy

    async def pins_copies(self, source: str, scratch: str, *, size: int) -> bool:
        """Whether the store refuses to copy so many bytes of a source that has not the ETag that is named.

        One that does not refuse may make the object `scratch`. Raises what `copy` does.
        """
        if self.copies_in_parts(size):
            copy = Copy(source, scratch, _ETAG_OF_NOTHING, size, {})
            return not await ignores_condition_of_part(self._client, self.bucket, copy)
        try:
            await self.copy(source, scratch, if_match=_ETAG_OF_NOTHING, size=size)
        except PreconditionFailed:
            return True
        return False

    async def stream(self, key: str, *, if_match: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes in chunks of at most 1 MiB, all of the state that `if_match` names.

        Raises PreconditionFailed, ObjectMissing, and StoreUnavailable when the connection breaks on the way.
        """
        with translated_s3_errors("GetObject", key):
            answer = await self._client.get_object(Bucket=self.bucket, Key=key, IfMatch=_quoted(if_match))
        async with answer["Body"] as body:
            while chunk := await self._next_chunk(key, body):
                yield chunk

    async def read_head(self, key: str, *, if_match: str, length: int) -> bytes:
        """The first `length` bytes of the object, all of one that has no more, of the state that `if_match` names.

        Raises PreconditionFailed, ObjectMissing, and StoreUnavailable when the connection breaks on the way.
        """
        return await self._read(key, if_match, 0, length)

    async def read_tail(self, key: str, *, if_match: str, size: int, length: int) -> bytes:
        """The last `length` bytes of an object of `size` bytes, all of one that has no more. Raises as `read_head`."""
        return await self._read(key, if_match, max(0, size - length), length)

    async def _read(self, key: str, if_match: str, start: int, length: int) -> bytes:
        span = f"bytes={start}-{start + length - 1}"
        content = b""
        with translated_s3_errors("GetObject", key):
            answer = await self._client.get_object(Bucket=self.bucket, Key=key, IfMatch=_quoted(if_match), Range=span)
            # A store that ignores Range answers with the whole object.
            skip = start if answer.get("ContentRange") is None else 0
            async with answer["Body"] as body:
                while len(content) < length and (chunk := await body.read(min(STREAM_CHUNK_BYTES, length + skip))):
                    content += chunk[skip:]
                    skip -= min(skip, len(chunk))
        return content[:length]

    async def _next_chunk(self, key: str, body: Any) -> bytes:
        with translated_s3_errors("GetObject", key):
            async with asyncio.timeout(CHUNK_SECONDS):
                chunk: bytes = await body.read(STREAM_CHUNK_BYTES)
        return chunk

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        with translated_s3_errors("PutObject", key):
            await self._client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

    async def delete(self, key: str) -> None:
        """Delete the object; one that is gone already is no error."""
        try:
            with translated_s3_errors("DeleteObject", key):
                await self._client.delete_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            return

    async def list(self, prefix: str, *, start_after: str | None = None) -> AsyncIterator[ListedObject]:
        """All objects with this prefix, after this key; read page by page as needed.

        In the store's order, which need not be that of the keys' bytes: start after a key this store has listed.
        """
        after = {"StartAfter": start_after} if start_after is not None else {}
        async for page in self._pages("ListObjectsV2", "list_objects_v2", prefix, Prefix=prefix, **after):
            for entry in page.get("Contents", []):
                yield ListedObject(entry["Key"], entry["Size"], _unquoted(entry["ETag"]), entry["LastModified"])

    async def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """All versions and delete markers with this prefix; on a store without versions: its objects."""
        try:
            async for page in self._pages("ListObjectVersions", "list_object_versions", prefix, Prefix=prefix):
                for version in _versions(page):
                    # They are listed to be deleted: a list of everything must never get that far.
                    if version.key.startswith(prefix):
                        yield version
        except NotImplementedByStore:
            async for found in self.list(prefix):
                yield ObjectVersion(found.key, None, found.size)

    async def delete_version(self, version: ObjectVersion) -> None:
        """Delete this version for good; one that is gone already is no error."""
        named = {} if version.version_id is None else {"VersionId": version.version_id}
        try:
            with translated_s3_errors("DeleteObject", version.key):
                await self._client.delete_object(Bucket=self.bucket, Key=version.key, **named)
        except ObjectMissing:
            return

    async def delete_every_version(self, key: str) -> int:
        """Delete the object with its older versions and delete markers; answers how many of these there were.

        On a store without versions a plain delete. An object that is gone already is no error.
        """
        # Listed to the end first: what is deleted while pages are read may make a store skip others.
        doomed = [version async for version in self.versions(key) if version.key == key]
        for version in doomed:
            await self.delete_version(version)
        return len(doomed)

    async def list_multipart_uploads(self, prefix: str) -> AsyncIterator[PendingMultipartUpload]:
        """All multipart uploads with this prefix that were neither completed nor aborted."""
        async for page in self._pages("ListMultipartUploads", "list_multipart_uploads", prefix, Prefix=prefix):
            for entry in page.get("Uploads", []):
                yield PendingMultipartUpload(entry["Key"], entry["UploadId"], entry["Initiated"])

    async def create_multipart_upload(self, key: str, content_type: str, *, sha256: bool = False) -> str:
        """Begin an upload in parts and return its id; `sha256`: its parts will come with SHA-256 checksums.

        Raises NotImplementedByStore or InvalidRequest where the store has no such uploads or no such checksums.
        """
        checksum = {"ChecksumAlgorithm": "SHA256"} if sha256 else {}
        with translated_s3_errors("CreateMultipartUpload", key):
            answer = await self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type, **checksum
            )
        upload_id: str = answer["UploadId"]
        return upload_id

    async def has_multipart_upload(self, key: str, upload_id: str) -> bool:
        """Whether parts can be sent to it: it was neither completed nor aborted."""
        try:
            await self._upload_state(key, upload_id)
        except ObjectMissing:
            return False
        return True

    async def tells_part_checksums(self, key: str, upload_id: str) -> bool:
        """Whether `list_parts` will tell the checksums that `complete_multipart_upload` has to name.

        SeaweedFS 4.48 wants them named and does not list them. Raises ObjectMissing once completed or aborted.
        """
        return (await self._upload_state(key, upload_id)).get("ChecksumAlgorithm") == "SHA256"

    async def _upload_state(self, key: str, upload_id: str) -> dict[str, Any]:
        with translated_s3_errors("ListParts", key):
            answer: dict[str, Any] = await self._client.list_parts(
                Bucket=self.bucket, Key=key, UploadId=upload_id, MaxParts=1
            )
        return answer

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[UploadedPart]:
        """All parts that have arrived; at most 1000 a page. Raises ObjectMissing once completed or aborted.

        SeaweedFS 4.48 lists a part that was sent again once for each time, in no order; S3 lists the last only.
        """
        async for page in self._pages("ListParts", "list_parts", key, Key=key, UploadId=upload_id):
            for entry in page.get("Parts", []):
                yield UploadedPart(
                    part_number=entry["PartNumber"],
                    size=entry["Size"],
                    etag=_unquoted(entry["ETag"]),
                    sha256=entry.get("ChecksumSHA256"),
                    last_modified=entry["LastModified"],
                )

    async def complete_multipart_upload(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> None:
        """Make the object of exactly these parts, in order of their numbers; the upload's URLs are dead afterwards.

        Raises ObjectMissing when the upload was completed or aborted before, PreconditionFailed when a part is no
        longer what it was.
        """
        with translated_s3_errors("CompleteMultipartUpload", key):
            answer = await self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [_named_part(part) for part in parts]},
            )
        # As a copy, it sends its status before it is done.
        if not answer.get("ETag"):
            raise StoreUnavailable("CompleteMultipartUpload", "NoResult", 200, "the store did not say that it did", key)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Drop the parts; an upload that is gone already is no error."""
        try:
            with translated_s3_errors("AbortMultipartUpload", key):
                await self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ObjectMissing:
            return

    async def _pages(
        self, operation: str, method: str, resource: str, **arguments: str
    ) -> AsyncIterator[dict[str, Any]]:
        paginator = self._client.get_paginator(method)
        pages = aiter(paginator.paginate(Bucket=self.bucket, **arguments))
        while True:
            with translated_s3_errors(operation, resource):
                page = await anext(pages, None)
            if page is None:
                return
            yield page


def _versions(page: dict[str, Any]) -> Iterator[ObjectVersion]:
    for entry in page.get("Versions", []):
        yield ObjectVersion(entry["Key"], entry.get("VersionId"), entry["Size"])
    for entry in page.get("DeleteMarkers", []):
        yield ObjectVersion(entry["Key"], entry.get("VersionId"), 0, is_delete_marker=True)


def _named_part(part: UploadedPart) -> dict[str, Any]:
    """A part as CompleteMultipartUpload names it; AWS wants the checksum of each part that has one."""
    checksum = {"ChecksumSHA256": part.sha256} if part.sha256 else {}
    return {"PartNumber": part.part_number, "ETag": _quoted(part.etag), **checksum}


def _unquoted(etag: str) -> str:
    return etag.strip('"')


def _quoted(etag: str) -> str:
    return f'"{etag}"'
