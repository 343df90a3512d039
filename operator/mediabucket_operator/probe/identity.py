"""The trial of IAM: a user whose key reaches what its policy names, and nothing else."""

import time
from typing import Final

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import PENDING_PREFIX
from mediabucket_operator.credentials import BucketIdentity
from mediabucket_operator.probe.laboratory import (
    CONTENT_TYPE,
    MARK,
    URL_SECONDS,
    Finding,
    Laboratory,
    enforced,
    ignored,
    key,
    unsupported,
)
from mediabucket_s3.presign import Presigner
from mediabucket_s3.raw_requests import RawResponse

_BODY: Final = b"as a user"
# IAM is eventually consistent: a new key may take some seconds.
_PATIENCE_SECONDS: Final = 15.0
_PAUSE_SECONDS: Final = 0.2


def iam(laboratory: Laboratory) -> Finding:
    identity = BucketIdentity(laboratory.identities, laboratory.bucket, laboratory.bucket)
    identity.prepare(None)
    made = laboratory.identities.create_access_key(laboratory.bucket)
    keys = {"access_key_id": made.access_key_id, "secret_access_key": made.secret_access_key, "session_token": None}
    user = laboratory.connection.model_copy(update=keys)
    within = _eventually_accepted(laboratory, user, f"{PENDING_PREFIX}{MARK}user")
    if not within.ok:
        return unsupported(f"PUT as a user within its policy: {within.summary}")
    outside = _put(laboratory, user, key("outside"))
    evidence = f"PUT as a user within its policy: {within.summary}; outside: {outside.summary}"
    return ignored(evidence) if outside.ok else enforced(evidence)


def _eventually_accepted(laboratory: Laboratory, user: StoreConnection, target: str) -> RawResponse:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (answer := _put(laboratory, user, target)).ok and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return answer


def _put(laboratory: Laboratory, user: StoreConnection, target: str) -> RawResponse:
    presigner = Presigner(user, laboratory.bucket)
    request = presigner.put(target, content_type=CONTENT_TYPE, content_length=len(_BODY), expires_in=URL_SECONDS)
    return laboratory.send(request, _BODY)
