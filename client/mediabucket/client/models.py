"""What the API answers, typed. Members that a later service adds are ignored."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

MediaStatus = Literal["pending", "completed", "failed", "expired", "deleted"]
MediaType = Literal["image", "video", "audio", "document"]


class AnswerModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Media(AnswerModel):
    """One media. `file_size` in bytes, `checksum` the SHA-256 in hexadecimal, `width` and `height` in pixels.

    `url` is there once it is completed: the CDN's, or a signed one that works until `url_expires_at`.
    """

    media_id: UUID
    # Plain words, not MediaStatus and MediaType: a later service may know more of them.
    status: str
    file_name: str
    file_size: int
    mime_type: str
    media_type: str
    checksum: str
    uploaded_by: str
    uploaded_at: datetime
    confirmed_at: datetime | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    expires_at: datetime | None = None
    failure: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    cdn_url: str | None = None
    url: str | None = None
    url_expires_at: datetime | None = None


class MediaPage(AnswerModel):
    """Newest first; `next_cursor` is the `cursor` of the page after, None at the end."""

    items: tuple[Media, ...]
    next_cursor: str | None = None


class Message(AnswerModel):
    """A message with its media, in the order the sender gave."""

    message_id: UUID
    conversation_id: str
    sender: str
    content: str
    message_type: str
    media_ids: tuple[UUID, ...] = ()
    client_message_id: str | None = None
    sent_at: datetime
    media: tuple[Media, ...] = ()


class MessagePage(AnswerModel):
    """Newest first; `next` is the `before` of the page after, None at the end."""

    items: tuple[Message, ...]
    next: str | None = None


class Existing(AnswerModel):
    """Answer of initiate: the user has uploaded these bytes before."""

    exists: Literal[True]
    media_id: UUID


class Ticket(AnswerModel):
    """Answer of initiate: where to PUT the bytes, with exactly these headers, within `expires_in` seconds."""

    exists: Literal[False] = False
    media_id: UUID
    upload_url: str
    headers: dict[str, str]
    expires_in: float


class PartUrl(AnswerModel):
    """`upload_url` is None where the SHA-256 of the part has to be told first. `size` in bytes."""

    part_number: int
    size: int
    upload_url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)


class PartUrls(AnswerModel):
    """`part_size`: bytes of each part but the last. `expires_in`: seconds."""

    media_id: UUID
    part_size: int
    parts: tuple[PartUrl, ...]
    expires_in: float


class MultipartTicket(PartUrls):
    """Answer of initiate for a large file."""

    exists: Literal[False] = False


class PartArrived(AnswerModel):
    part_number: int
    size: int
    arrived: bool


class Arrived(AnswerModel):
    """Which parts of a large file the store holds."""

    parts: tuple[PartArrived, ...]
