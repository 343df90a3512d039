"""Statements about uploads in parts: which multipart upload a pending file has."""

from uuid import UUID

from mediabucket_service.database import Database
from mediabucket_service.media.announced import Announced
from mediabucket_service.media.models import MediaFile


class MultipartRepository:
    """The multipart uploads of one bucket's pending files."""

    def __init__(self, database: Database, bucket: str, *, stale_after_seconds: int) -> None:
        self._database = database
        self._bucket = bucket
        self._stale_after_seconds = stale_after_seconds

    async def claim(self, file: Announced | MediaFile, upload_id: str, part_size: int) -> bool:
        """Make an upload that of a pending file, in place of the one that `file` has (none, as a rule).

        False when another request was faster, or the file was settled or announced anew with another type or size.
        """
        claimed = await self._database.fetch_one(
            "UPDATE media_files SET upload_id = %(upload_id)s, part_size = %(part_size)s"
            " WHERE media_id = %(media_id)s AND bucket = %(bucket)s AND status = 'pending'"
            " AND upload_id IS NOT DISTINCT FROM %(replaced)s::text"
            " AND mime_type = %(mime_type)s AND file_size = %(file_size)s RETURNING media_id",
            {
                "upload_id": upload_id,
                "part_size": part_size,
                "media_id": file.media_id,
                "bucket": self._bucket,
                "replaced": file.upload_id,
                "mime_type": file.mime_type,
                "file_size": file.file_size,
            },
        )
        return claimed is not None

    async def keep_alive(self, media_id: UUID) -> None:
        """Count the time until a pending file is given up from now: its uploader has just shown up."""
        await self._database.execute(
            "UPDATE media_files SET expires_at = now() + %(stale_after)s * interval '1 second'"
            " WHERE media_id = %(media_id)s AND bucket = %(bucket)s AND status = 'pending'",
            {"media_id": media_id, "bucket": self._bucket, "stale_after": self._stale_after_seconds},
        )
