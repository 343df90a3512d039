"""Failures that a person can mend: told in a sentence that ends with what to do, without a traceback."""

from typing import Final

from mediabucket_s3.errors import (
    AccessDenied,
    BucketMissing,
    BucketTaken,
    NotImplementedByStore,
    S3Error,
    StoreFull,
    StoreUnavailable,
    Throttled,
)

# The first that fits: a full store is an unavailable one.
_NEXT_STEPS: Final[tuple[tuple[type[S3Error], str], ...]] = (
    (AccessDenied, "check the store's keys, and what they may do"),
    (BucketMissing, "make the bucket with `mediabucket apply`, or correct its name"),
    (BucketTaken, "choose another bucketName"),
    (NotImplementedByStore, "`mediabucket probe` shows what this store can do"),
    (StoreFull, "free space in the store, then run the command again"),
    (StoreUnavailable, "check the store's endpoint and that it runs, then run the command again"),
    (Throttled, "wait a minute, then run the command again"),
)
_REPEAT: Final = "look into the store's log, then run the command again"


class CommandFailed(Exception):
    """The message says what is wrong and what to do."""


def sentence(error: Exception) -> str:
    """What is wrong and what to do. A store's errors say the first only: who asked it knows the second."""
    if not isinstance(error, S3Error):
        return str(error)
    step = next((step for kind, step in _NEXT_STEPS if isinstance(error, kind)), _REPEAT)
    return f"{error}: {step}"
