"""The rules of media: who sees what, and what a reader gets."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from mediabucket_api.spec import MediaBucketSpec
from mediabucket_service.clock import Clock, utc_now
from mediabucket_service.media.confirm import Confirmation, settled
from mediabucket_service.media.models import MediaFile, MediaStatus, MediaType
from mediabucket_service.media.reaper import BytesRemover
from mediabucket_service.media.repository import MediaRepository
from mediabucket_service.media.schemas import MediaPage, MediaView
from mediabucket_service.media.urls import MediaUrls
from mediabucket_service.metrics import UploadMetrics
from mediabucket_service.problems import ConfirmInProgress, MediaInUse, MediaNotFound, UploadMissing

# Whoever tells of arrivals is a machine, and patient.
ARRIVAL_SECONDS = 25.0


class MediaService:
    """Media of one bucket, under the rules of its MediaBucket."""

    def __init__(
        self,
        spec: MediaBucketSpec,
        repository: MediaRepository,
        urls: MediaUrls,
        confirmation: Confirmation,
        remover: BytesRemover,
        metrics: UploadMetrics,
        now: Clock = utc_now,
    ) -> None:
        self._spec = spec
        self._repository = repository
        self._urls = urls
        self._confirmation = confirmation
        self._remover = remover
        self._metrics = metrics
        self._now = now

    async def confirm(self, user_id: str, media_id: UUID, *, own_seconds: float | None = None) -> MediaFile:
        """The completed media; see `Confirmation.confirm` for `own_seconds` and what it raises."""
        return await self._confirmation.confirm(user_id, media_id, own_seconds=own_seconds)

    async def confirm_arrived(self, media_id: UUID) -> MediaFile:
        """Confirm an upload on the store's word, as its uploader would. Raises what `confirm` raises."""
        found = await self._repository.find_many([media_id])
        if not found:
            raise MediaNotFound(f"this bucket has no media {media_id}")
        # Longer than a store that is away is waited for: whoever tells of arrivals must hear of that, and tell again.
        return await self.confirm(found[0].uploaded_by, media_id, own_seconds=ARRIVAL_SECONDS)

    async def confirm_or_pending(self, user_id: str, media_id: UUID) -> MediaFile:
        """As `confirm`, but a media that is still being verified is answered as it is: pending."""
        try:
            return await self.confirm(user_id, media_id)
        except ConfirmInProgress:
            file = await self.require(user_id, media_id)
            return file if file.status == MediaStatus.PENDING else settled(file)

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
        cdn_url = self._urls.cdn_url(file.file_path) if completed else None
        return MediaView(
            media_id=file.media_id,
            file_name=file.file_name,
            file_size=file.file_size,
            mime_type=file.mime_type,
            uploaded_by=file.uploaded_by,
            uploaded_at=file.uploaded_at,
            confirmed_at=file.confirmed_at,
            width=file.width,
            height=file.height,
            duration_seconds=file.duration_seconds,
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

    def _url(self, file: MediaFile) -> str:
        return self._urls.of(file.file_path, file_name=file.file_name, mime_type=file.mime_type)
