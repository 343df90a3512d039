"""The tables of media. Alembic's migrations are compared with these models by a test."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class MediaStatus(StrEnum):
    """pending → completed | failed | expired; completed → deleted."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    DELETED = "deleted"


class MediaType(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


class MediaFiles(SQLModel, table=True):
    """The table; its rows are read as `MediaFile`."""

    __tablename__: ClassVar[str] = "media_files"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'completed', 'failed', 'expired', 'deleted')", "media_files_status"),
        CheckConstraint("octet_length(checksum) = 32", "media_files_checksum"),
        # Races between initiates and between confirms are settled here, not in the service. With the sizes in them
        # a user's usage is counted from these two alone.
        Index(
            "media_files_completed_once",
            "bucket",
            "uploaded_by",
            "checksum",
            unique=True,
            postgresql_include=["file_size"],
            postgresql_where=text("status = 'completed' AND duplicate_of IS NULL"),
        ),
        Index(
            "media_files_pending_once",
            "bucket",
            "uploaded_by",
            "checksum",
            unique=True,
            postgresql_include=["file_size"],
            postgresql_where=text("status = 'pending'"),
        ),
        Index("media_files_of_user", "bucket", "uploaded_by", text("media_id DESC")),
        Index("media_files_published", "bucket", "file_path", postgresql_where=text("status = 'completed'")),
        Index("media_files_to_expire", "expires_at", postgresql_where=text("status = 'pending'")),
        Index(
            "media_files_to_remove",
            "media_id",
            postgresql_where=text("status IN ('failed', 'expired', 'deleted') AND bytes_removed_at IS NULL"),
        ),
    )

    media_id: UUID = Field(primary_key=True)
    bucket: str = Field(sa_column=Column(Text, nullable=False))
    uploaded_by: str = Field(sa_column=Column(Text, nullable=False))
    file_name: str = Field(sa_column=Column(Text, nullable=False))
    # The published key; fixed at initiate, so that every try of a confirm publishes to the same place.
    file_path: str = Field(sa_column=Column(Text, nullable=False))
    cdn_url: str | None = Field(default=None, sa_column=Column(Text))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    file_size: int = Field(sa_column=Column(BigInteger, nullable=False))
    mime_type: str = Field(sa_column=Column(Text, nullable=False))
    checksum: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    etag: str | None = Field(default=None, sa_column=Column(Text))
    uploaded_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
    confirmed_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    lease_until: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    lease_owner: UUID | None = None
    failure: str | None = Field(default=None, sa_column=Column(Text))
    # Set when the same user's same bytes were published by another row first: both rows then share its file_path.
    duplicate_of: UUID | None = None
    bytes_removed_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    # Of the multipart upload that is offered for a pending file, and the size of its parts in bytes.
    upload_id: str | None = Field(default=None, sa_column=Column(Text))
    part_size: int | None = Field(default=None, sa_column=Column(BigInteger))
    # As far as the head of the file told them.
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = Field(default=None, sa_column=Column(Double))
    client_metadata: dict[str, Any] = Field(
        sa_column=Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )


@dataclass(slots=True, kw_only=True)
class MediaFile:
    """One upload and what became of it: a row. Sizes are bytes; `checksum` is the raw 32-byte SHA-256.

    Not the table's own class: SQLModel takes 60 µs to make one of those, and a list needs 50.
    """

    media_id: UUID
    bucket: str
    uploaded_by: str
    file_name: str
    file_path: str
    cdn_url: str | None = None
    media_type: str
    file_size: int
    mime_type: str
    checksum: bytes
    status: str
    etag: str | None = None
    uploaded_at: datetime
    confirmed_at: datetime | None = None
    expires_at: datetime
    lease_until: datetime | None = None
    lease_owner: UUID | None = None
    failure: str | None = None
    duplicate_of: UUID | None = None
    bytes_removed_at: datetime | None = None
    upload_id: str | None = None
    part_size: int | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    client_metadata: dict[str, Any]


class MediaReference(SQLModel, table=True):
    """A message refers to a media: as long as it does, the media cannot be deleted.

    `settled`: the message is known to exist. A reference that stays unsettled has a message that never came to be.
    """

    __tablename__: ClassVar[str] = "media_references"
    __table_args__ = (
        Index("media_references_of_message", "message_id"),
        Index("media_references_unsettled", "created_at", postgresql_where=text("NOT settled")),
    )

    media_id: UUID = Field(sa_column=Column(ForeignKey("media_files.media_id"), primary_key=True))
    message_id: UUID = Field(primary_key=True)
    settled: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))


class AbandonedCopy(SQLModel, table=True):
    """A key under `uploads/` that was published and that no media names any more, until its object is removed."""

    __tablename__: ClassVar[str] = "abandoned_copies"

    bucket: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))


class RateLimit(SQLModel, table=True):
    """How much of a user's allowance of calls is left. Unlogged: after a crash everybody begins with all of it.

    `full_at`: when the allowance would be whole again (the theoretical arrival time of the generic cell rate
    algorithm, ITU-T I.371).
    """

    __tablename__: ClassVar[str] = "rate_limits"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    bucket: str = Field(sa_column=Column(Text, primary_key=True))
    user_id: str = Field(sa_column=Column(Text, primary_key=True))
    full_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class Erasure(SQLModel, table=True):
    """The receipt of a user's erasure. The user is named by a SHA-256 only: what was erased must not live on here."""

    __tablename__: ClassVar[str] = "erasures"

    bucket: str = Field(sa_column=Column(Text, primary_key=True))
    user_digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    requested_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=func.now()))
    completed_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    media: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    objects: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    removed_references: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
