"""What clients send and get about media."""

import base64
import binascii
import re
import unicodedata
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
)
from pydantic_core import PydanticCustomError

from mediabucket_service.media.models import MediaStatus, MediaType

# C0 and C1, line and paragraph separators, and what turns the direction of text around: gnp.exe must not look like
# exe.png.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_HEX_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_MIME_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
MAX_FILE_NAME_LENGTH = 255
MAX_METADATA_ENTRIES = 16
MAX_BATCH = 100


def _plain_text(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("control_characters", "must not contain control characters")
    return value


def _base_name(value: str) -> str:
    """NFC, without directories: some clients send a whole path."""
    name = unicodedata.normalize("NFC", _plain_text(value)).replace("\\", "/").rpartition("/")[2].strip()
    if name in ("", ".", ".."):
        raise PydanticCustomError("file_name", "must name a file, not a directory")
    # Some characters become three in NFC.
    if len(name) > MAX_FILE_NAME_LENGTH:
        raise PydanticCustomError("file_name", f"must have at most {MAX_FILE_NAME_LENGTH} characters in Unicode NFC")
    return name


def _type_and_subtype(value: str) -> str:
    if not _MIME_TYPE.fullmatch(value):
        raise PydanticCustomError("mime_type", "must be a type and a subtype without parameters, such as image/png")
    return value


def _sha256_bytes(value: object) -> bytes:
    """The 32 bytes of a SHA-256 written as 64 hex digits or as base64."""
    if isinstance(value, str):
        if _HEX_SHA256.fullmatch(value):
            return bytes.fromhex(value)
        try:
            decoded = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) == 32:
            return decoded
    raise PydanticCustomError(
        "checksum", "must be the SHA-256 of the file as 64 hexadecimal digits or as base64 of its 32 bytes"
    )


FileName = Annotated[str, Field(min_length=1, max_length=MAX_FILE_NAME_LENGTH), AfterValidator(_base_name)]
DeclaredMimeType = Annotated[str, Field(max_length=127), AfterValidator(_type_and_subtype)]
Sha256 = Annotated[
    bytes,
    BeforeValidator(_sha256_bytes, json_schema_input_type=str),
    PlainSerializer(lambda checksum: checksum.hex(), return_type=str),
]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain_text)]
MetadataValue = Annotated[str, Field(max_length=1024), AfterValidator(_plain_text)]


class InitiateUpload(BaseModel):
    """One file that a client wants to upload; `file_size` in bytes, `checksum` the SHA-256 of the whole file."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "file_name": "holiday.jpg",
                "file_size": 204_800,
                "mime_type": "image/jpeg",
                "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            }
        }
    )

    file_name: FileName
    file_size: Annotated[StrictInt, Field(ge=1, le=2**53)]
    mime_type: DeclaredMimeType
    checksum: Sha256
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA_ENTRIES)] = Field(
        default_factory=dict
    )
    multipart: StrictBool = Field(default=False, description="offer a large file in parts")


class UploadTicket(BaseModel):
    """Where to PUT the bytes: send exactly `headers`, before `expires_at`."""

    media_id: UUID
    upload_url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_in: int = Field(description="seconds")
    expires_at: datetime
    exists: Literal[False] = False


class PartUrl(BaseModel):
    """Where to PUT one part: exactly `size` bytes, with exactly `headers`."""

    part_number: int
    size: int = Field(description="bytes")
    upload_url: str | None = Field(description="null where the SHA-256 of the part has to be signed: ask for it")
    headers: dict[str, str] = Field(default_factory=dict)


class MultipartTicket(BaseModel):
    """Where to PUT the parts of a large file, in any order and as often as need be; then confirm."""

    media_id: UUID
    part_size: int = Field(description="bytes of each part but the last")
    parts: list[PartUrl]
    method: Literal["PUT"] = "PUT"
    expires_in: int = Field(description="seconds")
    expires_at: datetime
    exists: Literal[False] = False


class ExistingMedia(BaseModel):
    """The same user has uploaded these bytes before: nothing to upload."""

    media_id: UUID
    cdn_url: str = Field(description="the CDN's URL, or a signed one when there is no CDN")
    exists: Literal[True] = True


class InitiateUploads(BaseModel):
    """Several files at once, at most 100."""

    files: Annotated[list[InitiateUpload], Field(min_length=1, max_length=MAX_BATCH)]


class RefusedFile(BaseModel):
    """Why a file of a batch cannot be uploaded: the problem document that it would have got by itself."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    error: str


class InitiatedUploads(BaseModel):
    """An answer for each file, in the order of the request."""

    results: list[UploadTicket | MultipartTicket | ExistingMedia | RefusedFile]


class MediaView(BaseModel):
    """A media as its readers see it. `url` is there once it is completed."""

    media_id: UUID
    status: MediaStatus
    file_name: str
    file_size: int
    mime_type: str
    media_type: MediaType
    checksum: str = Field(description="SHA-256, hexadecimal")
    uploaded_by: str
    uploaded_at: datetime
    confirmed_at: datetime | None = None
    width: int | None = Field(
        default=None, description="pixels, as shown; null when the file's beginning does not tell"
    )
    height: int | None = Field(
        default=None, description="pixels, as shown; null when the file's beginning does not tell"
    )
    duration_seconds: float | None = Field(default=None, description="null when the file's beginning does not tell")
    expires_at: datetime | None = Field(default=None, description="when a pending upload is given up")
    failure: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    cdn_url: str | None = None
    url: str | None = None
    url_expires_at: datetime | None = None


class MediaPage(BaseModel):
    """Newest first; pass `next_cursor` as `cursor` for the page after."""

    items: list[MediaView]
    next_cursor: str | None = None
