"""Rows that were lost, made again from what published objects tell.

Id, owner and time are in the key, name and type in the headers, the checksum in the bytes. The client's metadata, and
the type of what is served as application/octet-stream for safety, were in the database only.
"""

from collections.abc import Callable, Iterable

from mediabucket_s3.errors import ObjectMissing, PreconditionFailed
from mediabucket_s3.objects import BucketObjects, ListedObject, ObjectHead
from mediabucket_service.identifiers import made_at
from mediabucket_service.media.audit_repository import AuditRepository
from mediabucket_service.media.checksum import streamed
from mediabucket_service.media.inspection import inspect
from mediabucket_service.media.keys import PublishedName, file_name_of, media_type_of, user_segment
from mediabucket_service.media.models import MediaFile, MediaStatus

_UNKNOWN_TYPE = "application/octet-stream"


class NotRestored(Exception):
    """Why a row cannot be made again, and what to do, as a sentence."""


class Restoration:
    """Makes rows of one bucket's media again."""

    def __init__(
        self,
        repository: AuditRepository,
        objects: BucketObjects,
        cdn_url: Callable[[str], str | None],
        users: Iterable[str] = (),
    ) -> None:
        """`users` are those whose keys may hold a SHA-256 instead of the id."""
        self._repository = repository
        self._objects = objects
        self._cdn_url = cdn_url
        self._users = {user_segment(user): user for user in users}

    async def is_erased(self, name: PublishedName) -> bool:
        """Whether its user asked to be forgotten after the upload began: what is left must not come back."""
        return await self._repository.erased_since(name.user_digest, made_at(name.media_id))

    def promise(self, name: PublishedName) -> str:
        """What `restore` would do. Raises NotRestored."""
        return f"a media of {self._owner(name)} has no row"

    async def restore(self, found: ListedObject, name: PublishedName) -> str:
        """Write the row and tell about it. Raises NotRestored, S3Error and database errors."""
        owner = self._owner(name)
        try:
            file = await self._file(await self._objects.head(found.key), name, owner)
        except (ObjectMissing, PreconditionFailed):
            raise NotRestored("the object changed while it was read: run the audit again") from None
        await self._repository.restore(file)
        return f"a media of {owner} had no row: made again as {file.file_name}"

    async def _file(self, head: ObjectHead, name: PublishedName, owner: str) -> MediaFile:
        # Its bytes, not what the store says of them: nothing is left that they could be compared with later.
        hashed = await streamed(self._objects, head)
        mime_type = head.content_type or _UNKNOWN_TYPE
        file = MediaFile(
            media_id=name.media_id,
            bucket=self._objects.bucket,
            uploaded_by=owner,
            file_name=file_name_of(head.content_disposition) or head.key.rpartition("/")[2],
            file_path=head.key,
            cdn_url=self._cdn_url(head.key),
            media_type=media_type_of(mime_type),
            file_size=head.size,
            mime_type=mime_type,
            checksum=hashed.sha256,
            status=MediaStatus.COMPLETED,
            etag=head.etag,
            uploaded_at=made_at(name.media_id),
            confirmed_at=head.last_modified,
            expires_at=head.last_modified,
            client_metadata={},
        )
        measures = (await inspect(self._objects, hashed, file)).measures
        file.width, file.height, file.duration_seconds = measures.width, measures.height, measures.duration_seconds
        return file

    def _owner(self, name: PublishedName) -> str:
        owner = name.user_id or self._users.get(name.segment)
        if owner is None:
            raise NotRestored(
                f"a media has no row, and the key has only the SHA-256 of its user's id, {name.user_digest.hex()}: name"
                " the users with --users"
            )
        return owner
