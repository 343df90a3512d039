"""Carries out all trials, each by itself, and leaves nothing behind."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import StoreConnection
from mediabucket_api.status import Capability
from mediabucket_operator.probe import configuration, identity, uploads
from mediabucket_operator.probe.laboratory import Finding, Laboratory, unsupported
from mediabucket_s3.answers import AnswerListener
from mediabucket_s3.errors import NotImplementedByStore, S3Error, StoreUnavailable, Throttled

Trial = Callable[[Laboratory], Finding]
_LONGEST_EVIDENCE: Final = 300

# Versions come last: everything that is written after them stays in the bucket twice.
TRIALS: Final[dict[CapabilityName, Trial]] = {
    CapabilityName.SIGNATURE_VERIFIED: uploads.signature_verified,
    CapabilityName.URL_EXPIRY: uploads.url_expiry,
    CapabilityName.SIGNED_CONTENT_TYPE: uploads.signed_content_type,
    CapabilityName.SIGNED_CONTENT_LENGTH: uploads.signed_content_length,
    CapabilityName.SIGNED_CHECKSUM: uploads.signed_checksum,
    CapabilityName.IF_NONE_MATCH: uploads.if_none_match,
    CapabilityName.CHECKSUM_ON_HEAD: uploads.checksum_on_head,
    CapabilityName.CHECKSUM_ON_COPY: uploads.checksum_on_copy,
    CapabilityName.COPY_SOURCE_IF_MATCH: uploads.copy_source_if_match,
    CapabilityName.MULTIPART: uploads.multipart,
    CapabilityName.UPLOAD_PART_COPY: uploads.upload_part_copy,
    CapabilityName.CORS_PREFLIGHT: configuration.cors_preflight,
    CapabilityName.BUCKET_POLICY: configuration.bucket_policy,
    CapabilityName.PUBLIC_ACCESS_BLOCK: configuration.public_access_block,
    CapabilityName.BUCKET_TAGS: configuration.bucket_tags,
    CapabilityName.ENCRYPTION: configuration.encryption,
    CapabilityName.LIFECYCLE_EXPIRATION: configuration.lifecycle_expiration,
    CapabilityName.LIFECYCLE_ABORT_MULTIPART: configuration.lifecycle_abort_multipart,
    CapabilityName.LIFECYCLE_NONCURRENT: configuration.lifecycle_noncurrent,
    CapabilityName.IAM: identity.iam,
    CapabilityName.VERSIONING: configuration.versioning,
}


def bucket_name_for(seed: str) -> str:
    """The probe's bucket on a store: always the same, so that what a crash left behind is found."""
    return f"mediabucket-probe-{hashlib.sha256(seed.encode()).hexdigest()[:12]}"


def probe_store(
    connection: StoreConnection,
    *,
    bucket: str,
    iam_endpoint: str | None,
    now: datetime,
    on_trial: Callable[[CapabilityName], None] = lambda _name: None,
    on_answer: AnswerListener | None = None,
) -> tuple[Capability, ...]:
    """What the store does, by trying it in `bucket`, which is made and removed. `on_trial` is told what comes next,
    `on_answer` is called after each request.

    Raises S3Error when the bucket cannot be made, and when the store stops answering: no verdict follows from that.
    """
    laboratory = Laboratory(connection, bucket, iam_endpoint, on_answer)
    laboratory.open()
    try:
        found = []
        for name, trial in TRIALS.items():
            on_trial(name)
            found.append(_capability(name, _carried_out(trial, laboratory), now))
    except BaseException:
        laboratory.close_after_failure()
        raise
    laboratory.close()
    return tuple(found)


def _carried_out(trial: Trial, laboratory: Laboratory) -> Finding:
    try:
        return trial(laboratory)
    except (StoreUnavailable, Throttled):
        raise
    except NotImplementedByStore as error:
        return unsupported(f"{error.operation}: {error.code}")
    except S3Error as error:
        return unsupported(str(error))


def _capability(name: CapabilityName, finding: Finding, now: datetime) -> Capability:
    evidence = finding.evidence[:_LONGEST_EVIDENCE]
    return Capability(name=name.value, verdict=finding.verdict, evidence=evidence, probed_at=now.replace(microsecond=0))
