"""The rules of media: what may be uploaded, who sees what, and what a reader gets."""

import logging
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from mediabucket_api.spec import Integrity, MediaBucketSpec
from mediabucket_s3.presign import Presigner
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.identifiers import new_identifier
from mediabucket_service.media.confirm import Confirmation, settled
from mediabucket_service.media.keys import content_disposition, media_type_of, pending_key, published_key
from mediabucket_service.media.models import MediaFile, MediaStatus, MediaType
from mediabucket_service.media.reaper import BytesRemover
from mediabucket_service.media.repository import LimitExceeded, MediaRepository, NewUpload
from mediabucket_service.media.schemas import ExistingMedia, InitiateUpload, MediaPage, MediaView, UploadTicket
from mediabucket_service.metrics import UploadMetrics
from mediabucket_service.problems import (
    ConfirmInProgress,
    FileTooLarge,
    MalformedRequest,
    MediaInUse,
    MediaNotFound,
    TooManyRequests,
    TypeNotAllowed,
    UploadMissing,
)

logger = logging.getLogger(__name__)

_MAX_INITIATE_TRIES = 5


class MediaService:
    """Media of one bucket, under the rules of its MediaBucket."""

    def __init__(
        self,
        spec: MediaBucketSpec,
        repository: MediaRepository,
        presigner: Presigner,
        confirmation: Confirmation,
        remover: BytesRemover,
        metrics: UploadMetrics,
        now: Clock = utc_now,
    ) -> None:
        self._spec = spec
        self._repository = repository
        self._presigner = presigner
        self._confirmation = confirmation
        self._remover = remover
        self._metrics = metrics
        self._now = now

    async def initiate(self, user_id: str, request: InitiateUpload) -> UploadTicket | ExistingMedia:
        """A URL to upload to, or the media if the user has these bytes already.

        Raises FileTooLarge, TypeNotAllowed, MalformedRequest, TooManyRequests, ConfirmInProgress.
        """
        self._check_allowed(request)
        file = await self._find_or_create(self._new_upload(user_id, request))
        if file.status == MediaStatus.COMPLETED:
            return self._existing(file, request)
        self._metrics.initiated(file.media_type)
        return self._ticket(file, request.mime_type)

    async def confirm(self, user_id: str, media_id: UUID) -> MediaFile:
        """The completed media; see `Confirmation.confirm` for what it raises."""
        return await self._confirmation.confirm(user_id, media_id)

    async def confirm_arrived(self, media_id: UUID) -> MediaFile:
        """Confirm an upload on the store's word, as its uploader would. Raises what `confirm` raises."""
        found = await self._repository.find_many([media_id])
        if not found:
            raise MediaNotFound(f"this bucket has no media {media_id}")
        return await self.confirm(found[0].uploaded_by, media_id)

    async def require(self, user_id: str, media_id: UUID) -> MediaFile:
        """The user's media in whatever state. Raises MediaNotFound."""
        file = await self._repository.find(media_id, user_id)
        if file is None:
            raise MediaNotFound(f"you have no media {media_id}")
        return file

    async def get(self, user_id: str, media_id: UUID) -> MediaFile:
        """The user's media. Raises MediaNotFound, and MediaDeleted once it is deleted."""
        file = await self.require(user_id, media_id)
        return settled(file) if file.status == MediaStatus.DELETED else file

    async def require_many(self, user_id: str, media_ids: Collection[UUID]) -> list[MediaFile]:
        """The user's media in the order asked for. Raises MediaNotFound naming all that are not theirs."""
        found = {file.media_id: file for file in await self._repository.find_many(media_ids, user_id)}
        missing = [str(media_id) for media_id in media_ids if media_id not in found]
        if missing:
            raise MediaNotFound(f"you have no media {', '.join(missing)}", media_ids=missing)
        return [found[media_id] for media_id in media_ids]

    async def page(
        self, user_id: str, *, cursor: UUID | None, limit: int, status: MediaStatus | None, media_type: MediaType | None
    ) -> MediaPage:
        """A user's media, newest first."""
        files = await self._repository.page(
            user_id, before=cursor, limit=limit + 1, status=status, media_type=media_type
        )
        page = files[:limit]
        next_cursor = str(page[-1].media_id) if len(files) > limit else None
        return MediaPage(items=[self.view(file) for file in page], next_cursor=next_cursor)

    async def content_url(self, user_id: str, media_id: UUID) -> str:
        """Where the bytes of a completed media are served. Raises UploadMissing while it is pending."""
        file = await self.require(user_id, media_id)
        if file.status == MediaStatus.PENDING:
            raise UploadMissing("this upload is not confirmed yet: upload the bytes, then confirm it", retry_after=1)
        return self._url(settled(file))

    async def delete(self, user_id: str, media_id: UUID) -> None:
        """Delete a media, or cancel an upload. Deleting again changes nothing. Raises MediaNotFound, MediaInUse."""
        file, in_use = await self._repository.delete(media_id, user_id)
        if in_use:
            raise MediaInUse("a message refers to this media: it can be deleted once no message does")
        if file is None:
            raise MediaNotFound(f"you have no media {media_id}")
        if file.bytes_removed_at is None:
            self._metrics.deleted(file.media_type)
            await self._remover.remove_soon(file.media_id)

    def view(self, file: MediaFile) -> MediaView:
        """A media as its readers see it, with a URL when it is completed."""
        completed = file.status == MediaStatus.COMPLETED
        ttl = timedelta(seconds=self._spec.uploads.url_ttl_seconds)
        cdn_url = self._spec.cdn.url_of(file.file_path) if completed else None
        return MediaView(
            **file.model_dump(
                include={
                    "media_id",
                    "file_name",
                    "file_size",
                    "mime_type",
                    "uploaded_by",
                    "uploaded_at",
                    "confirmed_at",
                }
            ),
            status=MediaStatus(file.status),
            media_type=MediaType(file.media_type),
            checksum=file.checksum.hex(),
            expires_at=file.expires_at if file.status == MediaStatus.PENDING else None,
            failure=file.failure,
            metadata=file.client_metadata,
            cdn_url=cdn_url,
            url=self._url(file) if completed else None,
            url_expires_at=self._now() + ttl if completed and cdn_url is None else None,
        )

    async def views(self, media_ids: Collection[UUID]) -> dict[UUID, MediaView]:
        """Media of any user, for readers of messages that refer to them."""
        return {file.media_id: self.view(file) for file in await self._repository.find_many(media_ids)}

    async def add_references(self, message_id: UUID, media_ids: Collection[UUID], user_id: str) -> None:
        """Let a message refer to completed media, which cannot be deleted from then on.

        Raises MediaNotFound when one of them was deleted meanwhile.
        """
        if media_ids and not await self._repository.add_references(message_id, media_ids, user_id):
            raise MediaNotFound("one of the media was deleted while the message was being sent")

    async def remove_references(self, message_ids: Collection[UUID]) -> int:
        """Forget the references of messages that do not exist."""
        return await self._repository.remove_references(message_ids)

    async def unsettled_message_ids(self, older_than: timedelta, limit: int) -> set[UUID]:
        """Messages that references older than this name, and that nobody has looked for yet."""
        return await self._repository.unsettled_message_ids(older_than.total_seconds(), limit)

    async def settle_references(self, message_ids: Collection[UUID]) -> None:
        """Remember that these messages exist: their references stay."""
        await self._repository.settle_references(message_ids)

    def _check_allowed(self, request: InitiateUpload) -> None:
        uploads = self._spec.uploads
        if request.file_size > uploads.max_bytes:
            raise FileTooLarge(
                f"the file has {request.file_size} bytes; at most {uploads.max_bytes} are allowed",
                max_bytes=uploads.max_bytes,
            )
        if request.mime_type.lower() not in uploads.allowed_mime_types:
            raise TypeNotAllowed(
                f"files of type {request.mime_type} are not allowed; allowed are "
                + ", ".join(uploads.allowed_mime_types),
                allowed_mime_types=uploads.allowed_mime_types,
            )

    def _new_upload(self, user_id: str, request: InitiateUpload) -> NewUpload:
        media_id = new_identifier()
        mime_type = request.mime_type.lower()
        return NewUpload(
            media_id=media_id,
            uploaded_by=user_id,
            file_name=request.file_name,
            file_path=published_key(media_id, user_id, request.file_name, self._now()),
            media_type=media_type_of(mime_type),
            file_size=request.file_size,
            mime_type=mime_type,
            checksum=request.checksum,
            metadata=request.metadata,
        )

    async def _find_or_create(self, upload: NewUpload) -> MediaFile:
        uploads = self._spec.uploads
        limited = uploads.limits.pending_per_user is not None or uploads.limits.bytes_per_user is not None
        for _ in range(_MAX_INITIATE_TRIES):
            if limited:
                file = await self._repository.initiate_within(upload, uploads.stale_after_seconds, uploads.limits)
            else:
                file = await self._repository.initiate(upload, uploads.stale_after_seconds)
            if isinstance(file, LimitExceeded):
                raise _too_many(file)
            if file is not None:
                return file
        raise ConfirmInProgress("this file is being confirmed right now; initiate again", retry_after=1)

    def _existing(self, file: MediaFile, request: InitiateUpload) -> ExistingMedia:
        if file.file_size != request.file_size:
            raise MalformedRequest(
                f"file_size is {request.file_size}, but the file with this checksum has {file.file_size} bytes"
            )
        self._metrics.deduplicated(file.media_type)
        return ExistingMedia(media_id=file.media_id, cdn_url=self._url(file))

    def _ticket(self, file: MediaFile, mime_type: str) -> UploadTicket:
        uploads = self._spec.uploads
        signed = uploads.integrity == Integrity.SIGNED
        presigned = self._presigner.put(
            pending_key(file.media_id),
            content_type=mime_type,
            content_length=file.file_size,
            checksum_sha256=file.checksum if signed else None,
            if_none_match=signed,
            expires_in=uploads.url_ttl_seconds,
            now=self._now(),
        )
        return UploadTicket(
            media_id=file.media_id,
            upload_url=presigned.url,
            headers=presigned.headers,
            expires_in=uploads.url_ttl_seconds,
            expires_at=presigned.expires_at,
        )

    def _url(self, file: MediaFile) -> str:
        return (
            self._spec.cdn.url_of(file.file_path)
            or self._presigner.get(
                file.file_path,
                expires_in=self._spec.uploads.url_ttl_seconds,
                now=self._now(),
                content_type=file.mime_type,
                content_disposition=content_disposition(file.file_name, file.mime_type),
            ).url
        )


def _too_many(exceeded: LimitExceeded) -> TooManyRequests:
    what = "uploads are pending" if exceeded.limit == "pendingPerUser" else "bytes are stored or reserved"
    return TooManyRequests(
        f"{exceeded.used} {what} and {exceeded.allowed} are allowed: confirm, cancel or delete some first",
        retry_after=60,
        limit=exceeded.limit,
        allowed=exceeded.allowed,
        used=exceeded.used,
    )
