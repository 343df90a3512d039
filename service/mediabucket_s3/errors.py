"""What can go wrong at a store, and the one table that says which answer means what."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import ClientError as TransportError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError


class S3Error(Exception):
    """A store refused, failed or could not be reached; on its own: with an answer that has no class here.

    `operation` is S3's name of the call, `resource` the bucket or key it was for, `code` S3's error code (of an
    answer without a body the HTTP status, of no answer the name of the failure), `http_status` is None without an
    answer. Neither str() nor any attribute contains a secret or a signature.
    """

    def __init__(
        self, operation: str, code: str, http_status: int | None = None, detail: str = "", resource: str = ""
    ) -> None:
        super().__init__(operation, code, http_status, detail, resource)
        self.operation = operation
        self.code = code
        self.http_status = http_status
        self.detail = detail
        self.resource = resource

    def __str__(self) -> str:
        subject = f"{self.operation} {self.resource}".rstrip()
        status = f" (HTTP {self.http_status})" if self.http_status and str(self.http_status) != self.code else ""
        return f"{subject}: {self.code}{status}" + (f": {self.detail}" if self.detail else "")


class ObjectMissing(S3Error):
    """There is no such object, version or multipart upload."""


class BucketMissing(S3Error):
    """There is no such bucket."""


class BucketTaken(S3Error):
    """The bucket exists already, whoever owns it."""


class BucketNotEmpty(S3Error):
    """Only an empty bucket can be deleted."""


class ConfigurationMissing(S3Error):
    """The bucket has none of what was asked for: CORS, policy, lifecycle, encryption, tags, public access block."""


class IdentityMissing(S3Error):
    """There is no such user, access key or policy."""


class IdentityExists(S3Error):
    """There is a user of this name already."""


class LimitReached(S3Error):
    """The store allows no more of these: access keys of a user, users, buckets."""


class AccessDenied(S3Error):
    """The identity is unknown, wrong, expired, or may not do this."""


class PreconditionFailed(S3Error):
    """The object is not, or no longer, what the caller named; or it exists although it must not."""


class NotImplementedByStore(S3Error):
    """The store lacks this part of S3."""


class InvalidRequest(S3Error):
    """The store understood the call and refuses its content; the same call fails again."""


class Throttled(S3Error):
    """The store asks to come back later: too many calls, or another change is still under way."""


class StoreUnavailable(S3Error):
    """The store could not be reached, failed, or did not answer in time."""


class StoreFull(StoreUnavailable):
    """The store, or the bucket's quota, has no room for these bytes."""


# The bucket is the caller's own already.
OWNED_BY_CALLER: Final = "BucketAlreadyOwnedByYou"

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what compatible stores answer instead;
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
# Answers to HEAD have no body: botocore then names the HTTP status as code.
ERROR_CODES: Final[Mapping[type[S3Error], frozenset[str]]] = {
    ObjectMissing: frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload"}),
    BucketMissing: frozenset({"NoSuchBucket"}),
    BucketTaken: frozenset({"BucketAlreadyExists", OWNED_BY_CALLER}),
    BucketNotEmpty: frozenset({"BucketNotEmpty"}),
    IdentityMissing: frozenset({"NoSuchEntity"}),
    IdentityExists: frozenset({"EntityAlreadyExists"}),
    LimitReached: frozenset({"LimitExceeded", "TooManyBuckets"}),
    ConfigurationMissing: frozenset(
        {
            "NoSuchBucketPolicy",
            "NoSuchCORSConfiguration",
            "NoSuchLifecycleConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
            "NoSuchTagSet",
            "NoSuchTagSetError",
            "ServerSideEncryptionConfigurationNotFoundError",
        }
    ),
    AccessDenied: frozenset(
        {
            "AccessDenied",
            "AccessDeniedException",
            "AccountProblem",
            "AllAccessDisabled",
            "ExpiredToken",
            "Forbidden",
            "InvalidAccessKeyId",
            "InvalidToken",
            "NotAuthorized",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "Unauthorized",
        }
    ),
    # InvalidPart: a part was uploaded again after it had been listed.
    PreconditionFailed: frozenset({"InvalidPart", "PreconditionFailed"}),
    NotImplementedByStore: frozenset(
        {"InvalidAction", "MethodNotAllowed", "NotImplemented", "UnsupportedOperation", "XNotImplemented"}
    ),
    InvalidRequest: frozenset(
        {
            "AuthorizationHeaderMalformed",
            "BadDigest",
            "EncryptionTypeMismatch",
            "EntityTooLarge",
            "EntityTooSmall",
            "IllegalLocationConstraintException",
            "IncompleteBody",
            "InvalidArgument",
            "InvalidBucketName",
            "InvalidBucketState",
            "InvalidDigest",
            "InvalidEncryptionAlgorithmError",
            "InvalidInput",
            "InvalidLocationConstraint",
            "InvalidObjectState",
            "InvalidPolicyDocument",
            "InvalidRange",
            "InvalidRequest",
            "InvalidTag",
            "InvalidWriteOffset",
            "KeyTooLongError",
            "MalformedPolicy",
            "MalformedPolicyDocument",
            "MalformedXML",
            "MissingContentLength",
            "MissingSecurityHeader",
            "ObjectNotInActiveTierError",
            "PermanentRedirect",
            "TemporaryRedirect",
            "TooManyParts",
            "XAmzContentChecksumMismatch",
            "XAmzContentSHA256Mismatch",
        }
    ),
    Throttled: frozenset(
        {
            "BandwidthLimitExceeded",
            "ConcurrentModification",
            "ConditionalRequestConflict",
            "EntityTemporarilyUnmodifiable",
            "OperationAborted",
            "RequestLimitExceeded",
            "RequestThrottled",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
            "TooManyRequestsException",
        }
    ),
    # Ceph, MinIO, and what RFC 4918 names its status 507.
    StoreFull: frozenset(
        {"InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"}
    ),
    StoreUnavailable: frozenset(
        {"InternalError", "InternalFailure", "RequestTimeout", "ServiceFailure", "ServiceUnavailable"}
    ),
}

_CLASS_OF_CODE: Final = {code: kind for kind, codes in ERROR_CODES.items() for code in codes}

# For codes that the table lacks, HEAD among them. What a 404 misses depends on the call.
_CLASS_OF_STATUS: Final[Mapping[int, type[S3Error]]] = {
    301: InvalidRequest,
    307: InvalidRequest,
    400: InvalidRequest,
    401: AccessDenied,
    403: AccessDenied,
    405: NotImplementedByStore,
    412: PreconditionFailed,
    429: Throttled,
    501: NotImplementedByStore,
    507: StoreFull,
}
_CLASS_OF_HEAD_404: Final[Mapping[str, type[S3Error]]] = {"HeadObject": ObjectMissing, "HeadBucket": BucketMissing}

# No answer, half an answer, or one that is not S3's.
TRANSPORT_FAILURES: Final = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseParserError,
    TimeoutError,
    TransportError,
)

_SECRET = re.compile(
    r"(?i)(x-amz-signature|x-amz-security-token|x-amz-credential|signature|authorization)([=:]\s*)[^&\"'<>]+"
)
_LONGEST_DETAIL: Final = 500


def error_class(operation: str, code: str, http_status: int | None) -> type[S3Error]:
    """Which error an answer is: by its code, else by its HTTP status; S3Error itself when neither says enough."""
    if code in _CLASS_OF_CODE:
        return _CLASS_OF_CODE[code]
    if http_status == 404:
        return _CLASS_OF_HEAD_404.get(operation, S3Error)
    if http_status is None:
        return S3Error
    return _CLASS_OF_STATUS.get(http_status, StoreUnavailable if http_status >= 500 else S3Error)


@contextmanager
def translated_s3_errors(operation: str, resource: str = "") -> Iterator[None]:
    """Raise the S3Error that a library's exception stands for, with that exception as its cause.

    `operation` is S3's name of the call, `resource` the bucket or key. A plain context manager: it may enclose awaits.
    """
    try:
        yield
    except ClientError as error:
        raise _from_answer(operation, resource, error) from error
    except (BotoCoreError, *TRANSPORT_FAILURES) as error:
        kind = _class_without_answer(error)
        raise kind(operation, type(error).__name__, detail=_without_secrets(str(error)), resource=resource) from error


def _from_answer(operation: str, resource: str, error: ClientError) -> S3Error:
    answer = error.response.get("Error", {})
    code = str(answer.get("Code", "Unknown"))
    http_status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    detail = _without_secrets(str(answer.get("Message", "")))
    return error_class(operation, code, http_status)(operation, code, http_status, detail, resource)


def _class_without_answer(error: Exception) -> type[S3Error]:
    if isinstance(error, ParamValidationError):
        return InvalidRequest
    return StoreUnavailable if isinstance(error, TRANSPORT_FAILURES) else S3Error


def _without_secrets(text: str) -> str:
    return _SECRET.sub(r"\1\2(redacted)", text)[:_LONGEST_DETAIL]
