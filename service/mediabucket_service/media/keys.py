"""Where bytes live and how they are named: pure functions, no I/O."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict
from urllib.parse import quote, unquote
from uuid import UUID

from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_service.media.models import MediaType

_PLAIN_USER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_PUBLISHED = re.compile(
    re.escape(UPLOADS_PREFIX)
    + r"\d{4}/\d{2}/(?P<segment>[A-Za-z0-9_-]{1,64}|sha256-[0-9a-f]{64})/(?P<media_id>[0-9a-f-]{36})(\.[a-z0-9]{1,8})?"
)
# RFC 9562: version 7 tells when it was made.
_TIMED_VERSION = 7
_DIGEST = "sha256-"
_VERIFIED = ".verified"
_FILE_NAME = "filename*=UTF-8''"
# What a browser renders without running anything, beside sound and film; all else is offered for download.
_INLINE_TYPES = frozenset(
    {f"image/{name}" for name in ("jpeg", "png", "apng", "gif", "webp", "avif", "heic", "heif", "bmp")}
    | {"application/pdf"}
)
# What a browser would run in the origin that serves it: pages, and what is XML or JavaScript under any name.
_ACTIVE = re.compile(
    r"(text|application)/(html|xml|xsl|(x-)?(java|ecma|j|live)script[\d.]*|mathml|hta|x-shockwave-flash|x-mimearchive)"
    r"|.*\+xml|multipart/.*|message/.*"
)


class ServedHeaders(TypedDict):
    """How the bytes of a media are to be answered, whoever serves them."""

    content_type: str
    content_disposition: str


def pending_key(media_id: UUID) -> str:
    """The key that a client's URL is signed for."""
    return f"{PENDING_PREFIX}{media_id}"


def verified_key(media_id: UUID, owner: UUID | None = None) -> str:
    """A copy that the store hashes while copying; never signed, and expired by the same prefix rule.

    `owner`: of one try to confirm, which nobody else writes to.
    """
    own = "" if owner is None else f".{owner}"
    return f"{PENDING_PREFIX}{media_id}{own}{_VERIFIED}"


def media_id_of(key: str) -> UUID | None:
    """The media that a key under `pending/` belongs to; None when it was not made by this service."""
    try:
        media_id, *owner = (UUID(name) for name in key.removeprefix(PENDING_PREFIX).removesuffix(_VERIFIED).split("."))
    except ValueError:
        return None
    return media_id if len(owner) <= 1 else None


def copied_media_id_of(key: str) -> UUID | None:
    """The media whose bytes confirm copies to this key; None for every other key."""
    if key.startswith(PENDING_PREFIX):
        return media_id_of(key) if key.endswith(_VERIFIED) else None
    name = published_name_of(key)
    return None if name is None else name.media_id


def published_key(media_id: UUID, user_id: str, file_name: str, initiated_at: datetime) -> str:
    """`uploads/<YYYY>/<MM>/<user>/<media_id><ext>`: no part of the file name but a plain extension enters a key."""
    month = f"{initiated_at.year:04}/{initiated_at.month:02}"
    return f"{UPLOADS_PREFIX}{month}/{user_segment(user_id)}/{media_id}{_extension(file_name)}"


def published_prefix(media_id: UUID, user_id: str, initiated_at: datetime) -> str:
    """What every published key of this media begins with, whatever its extension; no other media's key does."""
    return published_key(media_id, user_id, "", initiated_at.astimezone(UTC))


@dataclass(frozen=True)
class PublishedName:
    """What a published key tells. `segment` is the user's `user_segment`."""

    media_id: UUID
    segment: str

    @property
    def user_id(self) -> str | None:
        """None where the key holds a digest only, which is longer than any plain id."""
        return self.segment if _PLAIN_USER.fullmatch(self.segment) else None

    @property
    def user_digest(self) -> bytes:
        """The SHA-256 of the user's id."""
        user_id = self.user_id
        return bytes.fromhex(self.segment.removeprefix(_DIGEST)) if user_id is None else user_digest(user_id)


def published_name_of(key: str) -> PublishedName | None:
    """The reverse of `published_key`; None when it was not made by this service."""
    found = _PUBLISHED.fullmatch(key)
    if found is None:
        return None
    try:
        media_id = UUID(found["media_id"])
    except ValueError:
        return None
    return PublishedName(media_id, found["segment"]) if media_id.version == _TIMED_VERSION else None


def media_type_of(mime_type: str) -> MediaType:
    """The family that a front end shows a media as."""
    family = mime_type.partition("/")[0]
    return MediaType(family) if family in ("image", "video", "audio") else MediaType.DOCUMENT


def served_headers(file_name: str, mime_type: str) -> ServedHeaders:
    """Type and disposition of a download: for signed URLs, and for the published object itself, which a CDN serves.

    Nobody but this API can send `X-Content-Type-Options: nosniff`: S3 has no such parameter of a signed GET and no such
    metadata. So what a browser would run is served as application/octet-stream, which none runs or renders, and the
    types that are shown inline are those whose first bytes confirm has looked at.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    active = _ACTIVE.fullmatch(mime_type) is not None
    return ServedHeaders(
        content_type="application/octet-stream" if active else mime_type,
        content_disposition=content_disposition(file_name, mime_type),
    )


def content_disposition(file_name: str, mime_type: str) -> str:
    """How a browser treats a download: RFC 6266 with the file name as RFC 8187 `filename*`."""
    inline = mime_type in _INLINE_TYPES or mime_type.startswith(("video/", "audio/"))
    shown = inline and _ACTIVE.fullmatch(mime_type) is None
    return f"{'inline' if shown else 'attachment'}; {_FILE_NAME}{quote(file_name, safe='')}"


def file_name_of(disposition: str | None) -> str | None:
    """The reverse of `content_disposition`; None when it was not made by this service."""
    _, found, name = (disposition or "").partition(_FILE_NAME)
    return unquote(name) if found else None


def user_segment(user_id: str) -> str:
    """The user as a part of a key: the id itself, or its SHA-256 where a key could not hold it."""
    if _PLAIN_USER.fullmatch(user_id):
        return user_id
    # 71 characters: longer than any plain user id, so that no user can be named like another's hash.
    return f"{_DIGEST}{user_digest(user_id).hex()}"


def user_digest(user_id: str) -> bytes:
    """The SHA-256 of a user's id: what names a user where the id must not, or cannot, stand."""
    return hashlib.sha256(user_id.encode()).digest()


def _extension(file_name: str) -> str:
    _, dot, extension = file_name.rpartition(".")
    lowered = extension.lower()
    return f".{lowered}" if dot and _PLAIN_EXTENSION.fullmatch(lowered) else ""
