"""The refusals of the API: RFC 9457 problem documents, one class for each type.

The message of a Problem is the service's own sentence: what was wrong, what was expected, what to do.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from mediabucket.client.errors import MediaBucketError

TYPE_PREFIX: Final = "urn:mediabucket:problem:"


class Problem(MediaBucketError):
    """A refusal. A type that this version does not know is a plain Problem.

    `status`: of HTTP. `type`: the URN. `title`: the same for all of a type. `detail`: the sentence.
    `retry_after_seconds`: what `Retry-After` said. `request_id`: what to tell those who run the service.
    `members`: the whole document.
    """

    slug: ClassVar[str] = ""

    def __init__(self, status: int, document: Mapping[str, Any], *, retry_after_seconds: float | None = None) -> None:
        self.status = status
        self.members = dict(document)
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail") or self.title or f"refused with status {status}")
        self.request_id = None if document.get("request_id") is None else str(document["request_id"])
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)


class MalformedRequest(Problem):
    """`members["errors"]` says which fields: [{field, message}]."""

    slug = "malformed-request"


class FileTooLarge(Problem):
    """`members["max_bytes"]` is the limit."""

    slug = "file-too-large"


class TypeNotAllowed(Problem):
    """`members["allowed_mime_types"]` are those that are."""

    slug = "type-not-allowed"


class Unauthenticated(Problem):
    slug = "unauthenticated"


class Forbidden(Problem):
    slug = "forbidden"


class RouteNotFound(Problem):
    slug = "not-found"


class MediaNotFound(Problem):
    """Unknown, or of somebody else: the service tells no difference."""

    slug = "media-not-found"


class MethodNotAllowed(Problem):
    slug = "method-not-allowed"


class UploadMissing(Problem):
    """The bytes have not arrived yet."""

    slug = "upload-missing"


class ConfirmInProgress(Problem):
    slug = "confirm-in-progress"


class MediaInUse(Problem):
    """A message refers to the media."""

    slug = "media-in-use"


class NoPartsExpected(Problem):
    slug = "no-parts-expected"


class UploadExpired(Problem):
    slug = "upload-expired"


class MediaDeleted(Problem):
    slug = "media-deleted"


class RequestTooLarge(Problem):
    slug = "request-too-large"


class UploadMismatch(Problem):
    """The bytes that arrived are not those that were announced."""

    slug = "upload-mismatch"


class TooManyRequests(Problem):
    """Of requests a minute, or of what a user may hold: then `members["limit"]` names the limit."""

    slug = "rate-limited"


class InternalError(Problem):
    """A bug of the service; `members["error_id"]` is in its log."""

    slug = "internal-error"


class DependencyUnavailable(Problem):
    """`members["dependency"]` names what does not answer."""

    slug = "dependency-unavailable"


PROBLEMS: Final[Mapping[str, type[Problem]]] = {f"{TYPE_PREFIX}{kind.slug}": kind for kind in Problem.__subclasses__()}


def problem_of(status: int, document: Mapping[str, Any], *, retry_after_seconds: float | None = None) -> Problem:
    """The error of a problem document."""
    kind = PROBLEMS.get(str(document.get("type")), Problem)
    return kind(status, document, retry_after_seconds=retry_after_seconds)
