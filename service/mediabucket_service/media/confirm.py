"""Confirm: prove that the bytes are those announced, publish them once, and only then say so.

The steps are lease, assemble the parts of a multipart upload, HEAD, size and type, SHA-256, a look at the first bytes,
copy, finish, clean up. They run in a task of their own, which goes on when the request has been told to ask again. The
process may die between any two of them: the lease runs out, and the next try starts again from the bytes under
`pending/`. It publishes to the same key, so that a copy made by a dead process is overwritten by the same bytes or
removed with the failed upload.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

from mediabucket_s3.errors import ObjectMissing, PreconditionFailed, S3Error
from mediabucket_s3.objects import BucketObjects, ObjectHead
from mediabucket_service.media.checksum import ChecksumReader, HashedObject
from mediabucket_service.media.confirm_failures import FailureReason, failure_reason
from mediabucket_service.media.inspection import inspect
from mediabucket_service.media.keys import pending_key, served_headers, verified_key
from mediabucket_service.media.models import MediaFile, MediaStatus
from mediabucket_service.media.multipart import MultipartUploads
from mediabucket_service.media.repository import DuplicatePublished, MediaRepository
from mediabucket_service.media.verifications import RETRY_SECONDS, Verifications
from mediabucket_service.metrics import UploadMetrics
from mediabucket_service.problems import (
    ConfirmInProgress,
    MediaDeleted,
    MediaNotFound,
    UploadExpired,
    UploadMismatch,
    UploadMissing,
)

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 0.5
# How often the bytes may change under a confirm before it gives up: each change is one more PUT by the client.
_MAX_TRIES = 3

CdnUrl = Callable[[str], str | None]


class Confirmation:
    """Confirms uploads of one bucket. Every answer is the same for ever, however often and by whom it is asked."""

    def __init__(
        self,
        repository: MediaRepository,
        objects: BucketObjects,
        metrics: UploadMetrics,
        multipart: MultipartUploads,
        verifications: Verifications,
        *,
        cdn_url: CdnUrl,
        lease_seconds: float,
        answer_seconds: float,
        store_hashes_copies: bool = True,
        store_pins_copies: bool | None = None,
        store_pins_parts: bool | None = None,
    ) -> None:
        """`lease_seconds`: how long one try owns an upload. `answer_seconds`: how long a request waits for it."""
        self._repository = repository
        self._objects = objects
        self._metrics = metrics
        self._checksums = ChecksumReader(
            objects,
            store_hashes_copies=store_hashes_copies,
            store_pins_copies=store_pins_copies,
            store_pins_parts=store_pins_parts,
        )
        self._cdn_url = cdn_url
        self._lease_seconds = lease_seconds
        self._answer_seconds = answer_seconds
        self._multipart = multipart
        self._verifications = verifications

    async def confirm(self, user_id: str, media_id: UUID, *, own_seconds: float | None = None) -> MediaFile:
        """The completed media, if it is so in time: ConfirmInProgress means to ask again.

        `own_seconds`: how long to wait for a verification that begins here, instead of what requests wait.

        Raises MediaNotFound, UploadMissing, ConfirmInProgress, UploadExpired, MediaDeleted, UploadMismatch, and
        S3Error when the store fails (the upload then stays pending).
        """
        deadline = time.monotonic() + self._answer_seconds
        pause = _POLL_SECONDS
        while True:
            leased = await self._repository.lease(media_id, user_id, uuid4(), self._lease_seconds)
            if leased is not None:
                within_seconds = deadline - time.monotonic() if own_seconds is None else own_seconds
                return await self._verifications.answer(
                    leased, partial(self._settle, leased), within_seconds=within_seconds
                )
            file = await self._repository.find(media_id, user_id)
            if file is None:
                raise MediaNotFound(f"you have no media {media_id}")
            if file.status != MediaStatus.PENDING:
                return settled(file)
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConfirmInProgress(
                    "another request is confirming this upload; ask again for the result", retry_after=RETRY_SECONDS
                )
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)

    async def _settle(self, file: MediaFile) -> MediaFile:
        try:
            return await self._published(file)
        except _Mismatch as mismatch:
            return await self._refuse(file, mismatch)
        except BaseException as error:
            self._metrics.not_confirmed(file.media_type, failure_reason(error))
            await asyncio.shield(self._give_up(file))
            raise

    async def _give_up(self, file: MediaFile) -> None:
        """Let another try begin. Of a file that is gone meanwhile nothing stays that this try may have published."""
        try:
            current = await self._repository.find(file.media_id, file.uploaded_by)
            if current is None or current.status not in (MediaStatus.PENDING, MediaStatus.COMPLETED):
                await self._discard_every_version(file.file_path)
        finally:
            await self._repository.release_lease(file)

    async def _published(self, file: MediaFile) -> MediaFile:
        try:
            for _ in range(_MAX_TRIES):
                try:
                    await self._multipart.assemble(file)
                    return await self._publish(file)
                except PreconditionFailed:
                    logger.info("media %s was uploaded again while it was being confirmed", file.media_id)
            raise ConfirmInProgress("the bytes keep changing; finish uploading, then confirm", retry_after=1)
        finally:
            # Under the lease: without it this try would be stopped, and its caller not told what went wrong.
            await self._discard_own(file)

    async def _publish(self, file: MediaFile) -> MediaFile:
        try:
            head = await self._objects.head(pending_key(file.media_id))
            self._metrics.arrived(file.media_type, file.media_id)
            _check_declaration(file, head)
            verified = await self._checksums.read(file, head)
            _check_checksum(file, verified)
            await self._check_first_bytes(file, verified)
            served = served_headers(file.file_name, file.mime_type)
            etag = await self._objects.copy(
                verified.key, file.file_path, if_match=verified.pin, size=head.size, **served
            )
        except ObjectMissing as error:
            raise UploadMissing(
                "the bytes have not arrived: PUT them to upload_url, then confirm again", retry_after=1
            ) from error
        completed = await self._finish(file, etag)
        # A hashed copy that a try before this one left is the sweep's: asking for each would be a call in vain.
        await self._discard(*{pending_key(file.media_id), verified.key})
        return completed

    async def _check_first_bytes(self, file: MediaFile, verified: HashedObject) -> None:
        """Raises _Mismatch, else notes the measures in `file`, which `_finish` writes."""
        found = await inspect(self._objects, verified, file)
        if found.disagreement is not None:
            raise _Mismatch(FailureReason.TYPE, found.disagreement)
        file.width, file.height = found.measures.width, found.measures.height
        file.duration_seconds = found.measures.duration_seconds

    async def _finish(self, file: MediaFile, etag: str) -> MediaFile:
        try:
            completed = await self._repository.complete(file, etag=etag, cdn_url=self._cdn_url(file.file_path))
        except DuplicatePublished:
            completed = await self._repository.complete_as_duplicate(file)
            if completed is None:
                raise ConfirmInProgress(
                    "another upload of the same file was just deleted; confirm again", retry_after=1
                ) from None
            await self._discard(file.file_path)
        if completed is None:
            return await self._settled_by_another(file)
        self._count_completed(completed)
        return completed

    def _count_completed(self, file: MediaFile) -> None:
        # Both are the database's: no clock of ours plays a part.
        seconds = None if file.confirmed_at is None else (file.confirmed_at - file.uploaded_at).total_seconds()
        self._metrics.completed(file.media_type, file.media_id, size=file.file_size, seconds=seconds)

    async def _settled_by_another(self, file: MediaFile) -> MediaFile:
        """The lease was lost: what another try or the reaper made of the upload is the answer."""
        current = await self._repository.find(file.media_id, file.uploaded_by)
        if current is not None and current.status == MediaStatus.PENDING:
            raise ConfirmInProgress("another request is confirming this upload", retry_after=1)
        if current is None or current.status != MediaStatus.COMPLETED or current.file_path != file.file_path:
            await self._discard_every_version(file.file_path)
        if current is None:
            raise MediaNotFound(f"you have no media {file.media_id}: it was erased while it was being confirmed")
        return settled(current)

    async def _refuse(self, file: MediaFile, mismatch: "_Mismatch") -> MediaFile:
        if not await self._repository.fail(file, str(mismatch)):
            # Completed by another try with bytes that came later: they are served, and must stay.
            return await self._settled_by_another(file)
        self._metrics.failed(file.media_type, file.media_id, mismatch.reason)
        # A copy may be left by a try that died after it had verified other bytes.
        await self._discard(pending_key(file.media_id), verified_key(file.media_id), file.file_path)
        raise UploadMismatch(str(mismatch))

    async def _discard(self, *keys: str) -> None:
        """Best effort: what stays is removed by the reaper, and by the lifecycle rule after that."""
        for key in keys:
            try:
                await self._objects.delete(key)
            except S3Error as error:
                logger.warning("left %s to the reaper: %s", key, error)

    async def _discard_own(self, file: MediaFile) -> None:
        """Best effort, too: the reaper removes it with what else lies under `pending/` for nobody."""
        try:
            await self._checksums.discard_own(file)
        except S3Error as error:
            logger.warning("left a copy of %s to the reaper: %s", file.media_id, error)

    async def _discard_every_version(self, key: str) -> None:
        """A copy of bytes that were erased while it was made: nothing else would remove its versions."""
        try:
            await self._objects.delete_every_version(key)
        except S3Error as error:
            logger.warning("left versions of %s, which nothing refers to: %s", key, error)


class _Mismatch(Exception):
    """What is wrong with the bytes, as a sentence for the uploader."""

    def __init__(self, reason: FailureReason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def settled(file: MediaFile) -> MediaFile:
    """A completed media as it is. Raises the problem that every other settled state stands for."""
    match file.status:
        case MediaStatus.COMPLETED:
            return file
        case MediaStatus.FAILED:
            raise UploadMismatch(file.failure or "the bytes were not what was announced")
        case MediaStatus.DELETED:
            raise MediaDeleted("this media has been deleted")
        case _:
            raise UploadExpired("this upload was not finished in time: initiate it again")


def _check_declaration(file: MediaFile, head: ObjectHead) -> None:
    if head.size != file.file_size:
        raise _Mismatch(FailureReason.SIZE, f"the file has {head.size} bytes, but {file.file_size} were announced")
    if (head.content_type or "").lower() != file.mime_type:
        raise _Mismatch(
            FailureReason.TYPE, f"the file was uploaded as {head.content_type}, but {file.mime_type} was announced"
        )


def _check_checksum(file: MediaFile, verified: HashedObject) -> None:
    if verified.sha256 != file.checksum:
        raise _Mismatch(
            FailureReason.CHECKSUM,
            f"the file's SHA-256 is {verified.sha256.hex()}, but {file.checksum.hex()} was announced",
        )
