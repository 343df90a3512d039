"""Uploads to a MediaBucket API: verified, resumed, retried.

    from mediabucket.client import Client

    with Client("https://media.example.com", token) as client:
        media = client.upload("holiday.jpg")
        client.send_message("team-lunch", "look!", media_ids=[media.media_id])

AsyncClient has the same methods as coroutines. A file is read in pieces, hashed and sent straight to the store, a large
one in parts at the same time; what broke off is resumed by uploading the file again. Every refusal of the API is a
Problem with a class of its own and a sentence for a person.
"""

from mediabucket.client.async_client import AsyncClient
from mediabucket.client.errors import (
    ConnectionFailed,
    FileChanged,
    MediaBucketError,
    NotVerifiedYet,
    StoreRefused,
    UnexpectedAnswer,
    UploadLost,
    UrlExpired,
)
from mediabucket.client.files import Upload
from mediabucket.client.models import Media, MediaPage, Message, MessagePage
from mediabucket.client.problems import (
    PROBLEMS,
    ConfirmInProgress,
    DependencyUnavailable,
    FileTooLarge,
    Forbidden,
    InternalError,
    MalformedRequest,
    MediaDeleted,
    MediaInUse,
    MediaNotFound,
    MethodNotAllowed,
    NoPartsExpected,
    Problem,
    RequestTooLarge,
    RouteNotFound,
    TooManyRequests,
    TypeNotAllowed,
    Unauthenticated,
    UploadExpired,
    UploadMismatch,
    UploadMissing,
)
from mediabucket.client.progress import Progress
from mediabucket.client.retry import Retry
from mediabucket.client.sync_client import Client
from mediabucket.client.uploads import Outcome

__all__ = [
    "PROBLEMS",
    "AsyncClient",
    "Client",
    "ConfirmInProgress",
    "ConnectionFailed",
    "DependencyUnavailable",
    "FileChanged",
    "FileTooLarge",
    "Forbidden",
    "InternalError",
    "MalformedRequest",
    "Media",
    "MediaBucketError",
    "MediaDeleted",
    "MediaInUse",
    "MediaNotFound",
    "MediaPage",
    "Message",
    "MessagePage",
    "MethodNotAllowed",
    "NoPartsExpected",
    "NotVerifiedYet",
    "Outcome",
    "Problem",
    "Progress",
    "RequestTooLarge",
    "Retry",
    "RouteNotFound",
    "StoreRefused",
    "TooManyRequests",
    "TypeNotAllowed",
    "Unauthenticated",
    "UnexpectedAnswer",
    "Upload",
    "UploadExpired",
    "UploadLost",
    "UploadMismatch",
    "UploadMissing",
    "UrlExpired",
]
