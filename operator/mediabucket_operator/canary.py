"""The path of an upload, walked end to end as the bucket's own identity: what clients and the service will do."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mediabucket_api.connection import BucketConnection
from mediabucket_api.constants import PENDING_PREFIX, UPLOADS_PREFIX
from mediabucket_api.spec import Integrity
from mediabucket_s3.presign import PresignedRequest, Presigner
from mediabucket_s3.raw_requests import RawResponse, RawSender

_TYPE: Final = "application/octet-stream"
_SECONDS: Final = 60
_NAME: Final = ".mediabucket-canary"
# Never a user's: what a crash, or the versioning of the bucket, left of them does not make a bucket "not empty".
CANARY_KEYS: Final = (f"{PENDING_PREFIX}{_NAME}", f"{UPLOADS_PREFIX}{_NAME}")


class UploadPathBroken(Exception):
    """A step did not do what it must; the message says which, and what the store answered."""


@dataclass(frozen=True)
class Canary:
    """Walks once: preflight, PUT, publish, GET, DELETE. Leaves nothing behind; what a crash left, the next one takes
    away, because the keys are always the same.
    """

    connection: BucketConnection
    send: RawSender

    def walk(self) -> None:
        """Raises UploadPathBroken, S3Error when the store does not answer."""
        # Signed for the endpoint that this program reaches: the public one may be beyond its network.
        store = self.connection.store.model_copy(update={"public_endpoint": self.connection.store.endpoint})
        presigner = Presigner(store, self.connection.bucket)
        body = secrets.token_bytes(64)
        try:
            self._publish(presigner, body)
        except UploadPathBroken:
            # Not after S3Error: a store that has stopped answering is not waited for twice more.
            self._remove(presigner)
            raise
        for removal in self._remove(presigner):
            self._expect("DELETE", removal)

    def _publish(self, presigner: Presigner, body: bytes) -> None:
        pending, published = CANARY_KEYS
        upload = self._upload(presigner, pending, body)
        self._preflight(upload)
        self._expect("PUT to a presigned URL", self.send(upload, body))
        self._expect("publishing the upload", self.send(presigner.copy(pending, published, expires_in=_SECONDS)))
        got = self._expect("GET of the published object", self.send(presigner.get(published, expires_in=_SECONDS)))
        if got.body != body:
            raise UploadPathBroken("GET of the published object: other bytes than those uploaded")

    def _remove(self, presigner: Presigner) -> list[RawResponse]:
        return [self.send(presigner.delete(key, expires_in=_SECONDS)) for key in reversed(CANARY_KEYS)]

    def _upload(self, presigner: Presigner, key: str, body: bytes) -> PresignedRequest:
        signed = self.connection.spec.uploads.integrity == Integrity.SIGNED
        return presigner.put(
            key,
            content_type=_TYPE,
            content_length=len(body),
            # A left-over of a crash would refuse a second PUT, so if-none-match is left to the probe.
            checksum_sha256=hashlib.sha256(body).digest() if signed else None,
            expires_in=_SECONDS,
        )

    def _preflight(self, upload: PresignedRequest) -> None:
        origins = [origin for origin in self.connection.spec.cors.allowed_origins if "*" not in origin]
        if not origins:
            return
        answer = self.send.preflight(upload, origins[0])
        if answer.status >= 300 or not _lets_in(answer.headers, origins[0]):
            raise UploadPathBroken(f"preflight from {origins[0]}: {answer.summary}, and not let in")

    def _expect(self, step: str, answer: RawResponse) -> RawResponse:
        if answer.status >= 300:
            raise UploadPathBroken(f"{step}: {answer.summary}")
        return answer


def _lets_in(headers: Mapping[str, str], origin: str) -> bool:
    return headers.get("access-control-allow-origin") in (origin, "*")
