"""A file before and after it is announced."""

from typing import Any, NamedTuple
from uuid import UUID

# What makes two uploads the same: the user and the bytes.
UploadKey = tuple[str, bytes]


class NewUpload(NamedTuple):
    """What initiate knows about a file that may not exist yet."""

    media_id: UUID
    uploaded_by: str
    file_name: str
    file_path: str
    media_type: str
    file_size: int
    mime_type: str
    checksum: bytes
    metadata: dict[str, str]

    @property
    def key(self) -> UploadKey:
        return self.uploaded_by, self.checksum

    def as_json(self) -> dict[str, Any]:
        """Every column, as PostgreSQL reads its type from JSON."""
        return self._asdict() | {"media_id": str(self.media_id), "checksum": f"\\x{self.checksum.hex()}"}


class Announced(NamedTuple):
    """A file that a user has announced, now or before: `status` is pending or completed."""

    media_id: UUID
    status: str
    file_name: str
    file_path: str
    file_size: int
    mime_type: str
    media_type: str
    checksum: bytes
    upload_id: str | None
    part_size: int | None
