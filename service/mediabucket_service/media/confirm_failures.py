"""Why a confirm did not complete an upload, in one word out of few: the label of a metric."""

import asyncio
from enum import StrEnum

from mediabucket_s3.errors import S3Error
from mediabucket_service.problems import UNAVAILABLE, ConfirmInProgress, Problem, UploadMissing


class FailureReason(StrEnum):
    """The first three are final; the upload stays pending after the others, and may be confirmed again."""

    CHECKSUM = "checksum"
    SIZE = "size"
    TYPE = "type"
    # The bytes, or some of their parts, have not arrived.
    MISSING = "missing"
    # They were uploaded again meanwhile.
    CHANGING = "changing"
    # Deleted, expired or settled by another process meanwhile.
    SETTLED = "settled"
    STORE = "store"
    DATABASE = "database"
    # The process was told to stop, or the lease was lost.
    INTERRUPTED = "interrupted"
    # A bug.
    OTHER = "other"


def failure_reason(error: BaseException) -> FailureReason:
    """The reason that an exception of a confirm stands for; not for bytes that are wrong."""
    match error:
        case UploadMissing():
            return FailureReason.MISSING
        case ConfirmInProgress():
            return FailureReason.CHANGING
        case Problem():
            return FailureReason.SETTLED
        case S3Error():
            return FailureReason.STORE
        case asyncio.CancelledError():
            return FailureReason.INTERRUPTED
    return FailureReason.DATABASE if isinstance(error, tuple(UNAVAILABLE)) else FailureReason.OTHER
