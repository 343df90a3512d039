"""A bucket in which anything may be tried, and what is needed to try it."""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mediabucket_api.connection import StoreConnection
from mediabucket_api.status import CapabilityVerdict
from mediabucket_s3.addressing import bucket_address
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.answers import AnswerListener
from mediabucket_s3.errors import (
    BucketMissing,
    BucketTaken,
    NotImplementedByStore,
    S3Error,
    StoreUnavailable,
    Throttled,
)
from mediabucket_s3.identities import IdentityAdmin
from mediabucket_s3.presign import PresignedRequest, Presigner
from mediabucket_s3.raw_requests import RawResponse, RawSender

logger = logging.getLogger(__name__)

# All that a probe writes has this in its key: a bucket with anything else in it is not a probe's.
MARK: Final = ".mediabucket-probe/"
URL_SECONDS: Final = 120
CONTENT_TYPE: Final = "text/plain"
_NO_VERDICT: Final = {429: Throttled, 503: StoreUnavailable}


@dataclass(frozen=True)
class Finding:
    """What came of one trial. `evidence` is what the store answered, and never a URL or a key."""

    verdict: CapabilityVerdict
    evidence: str


def enforced(evidence: str) -> Finding:
    return Finding(CapabilityVerdict.ENFORCED, evidence)


def ignored(evidence: str) -> Finding:
    return Finding(CapabilityVerdict.IGNORED, evidence)


def unsupported(evidence: str) -> Finding:
    return Finding(CapabilityVerdict.UNSUPPORTED, evidence)


class Laboratory:
    """Open it before the first trial and close it after the last one, whatever happens between."""

    def __init__(
        self,
        connection: StoreConnection,
        bucket: str,
        iam_endpoint: str | None,
        on_answer: AnswerListener | None = None,
    ) -> None:
        # Signed for the endpoint that this program reaches: the public one may be beyond its network.
        connection = connection.model_copy(update={"public_endpoint": connection.endpoint})
        self.connection = connection
        self.bucket = bucket
        self.admin = BucketAdmin.connect(connection, bucket, on_answer)
        self.identities = IdentityAdmin.connect(connection, iam_endpoint, on_answer)
        self.presigner = Presigner(connection, bucket)
        self.sender = RawSender(connection, on_answer)

    def send(
        self, request: PresignedRequest, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawResponse:
        """What the store answers. Raises StoreUnavailable, Throttled when it is not able to: that is no verdict."""
        answer = self.sender(request, body, headers)
        if answer.status in _NO_VERDICT:
            raise _NO_VERDICT[answer.status](f"presigned {request.method}", answer.code or str(answer.status))
        return answer

    def open(self) -> None:
        """Make the bucket, or take over the one that a crashed probe has left. Raises S3Error."""
        if self.admin.exists():
            self._require_left_over()
            self.close()
        try:
            self.admin.create(self.connection.region, {})
        except BucketTaken as error:
            raise BucketTaken(error.operation, error.code, error.http_status, "a probe needs it", self.bucket) from None

    def close(self) -> None:
        """Remove the bucket with everything in it, and the user. Raises S3Error."""
        with suppress(BucketMissing):
            self.admin.delete_everything()
            self.admin.delete()
        with suppress(NotImplementedByStore):
            self.identities.delete_user(self.bucket)

    def close_after_failure(self) -> None:
        """What can be removed is removed; what cannot, the next probe finds."""
        try:
            self.close()
        except S3Error as error:
            logger.warning("the bucket %s of a probe is left: %s", self.bucket, error)

    def upload(
        self, name: str, body: bytes, *, checksum: bool = False, sent: bytes | None = None, once: bool = False
    ) -> RawResponse:
        """PUT to a presigned URL for `body`; `sent` is what is sent instead."""
        request = self.signed_upload(name, body, checksum=checksum, once=once)
        return self.send(request, body if sent is None else sent)

    def signed_upload(
        self, name: str, body: bytes, *, checksum: bool = False, once: bool = False, now: datetime | None = None
    ) -> PresignedRequest:
        return self.presigner.put(
            key(name),
            content_type=CONTENT_TYPE,
            content_length=len(body),
            checksum_sha256=hashlib.sha256(body).digest() if checksum else None,
            if_none_match=once,
            expires_in=URL_SECONDS,
            now=now,
        )

    def call(
        self,
        method: str,
        name: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> RawResponse:
        """Any presigned request."""
        request = self.presigner.sign(method, key(name), headers=headers, query=query, expires_in=URL_SECONDS)
        return self.send(request, body)

    def anonymous(self, name: str) -> RawResponse:
        """GET without any signature."""
        address = bucket_address(self.connection.public_endpoint, self.bucket, self.connection.addressing_style)
        url = f"{address.origin}{address.path}{key(name)}"
        return self.send(PresignedRequest(url, "GET", {}, datetime.now(UTC)))

    def _require_left_over(self) -> None:
        foreign = [found for found in self.admin.first_keys() if MARK not in found]
        if foreign:
            told = f"it has objects that no probe wrote, such as {foreign[0]}: rename or empty that bucket"
            raise BucketTaken("CreateBucket", "BucketAlreadyExists", 409, told, self.bucket)


def key(name: str) -> str:
    return f"{MARK}{name}"
