"""What follows from what a store lacks, in words."""

from collections.abc import Mapping, Sequence
from typing import Final

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.status import Capability, CapabilityVerdict

_LACKS: Final[Mapping[CapabilityName, str]] = {
    CapabilityName.SIGNATURE_VERIFIED: "anybody who can reach the store can write to it: do not use it",
    CapabilityName.URL_EXPIRY: "upload URLs work for ever: confirm is what keeps media from being changed",
    CapabilityName.SIGNED_CONTENT_TYPE: "clients can upload another type than announced; confirm refuses it",
    CapabilityName.SIGNED_CONTENT_LENGTH: "clients can upload more than announced; confirm refuses it",
    CapabilityName.SIGNED_CHECKSUM: "uploads.integrity Signed cannot be promised; Verified proves bytes at confirm",
    CapabilityName.IF_NONE_MATCH: "uploads.integrity Signed cannot be promised; a URL can be used more than once",
    CapabilityName.COPY_SOURCE_IF_MATCH: "confirm copies each file once more, to verify what no client can replace",
    CapabilityName.MULTIPART: "large files cannot be offered in parts",
    CapabilityName.UPLOAD_PART_COPY: "files above 5 GiB cannot be published, and are refused",
    CapabilityName.CORS_PREFLIGHT: "browsers can upload only if the store is set up elsewhere to let their pages in",
    CapabilityName.BUCKET_POLICY: "publicAccess PublicRead and requireTLS cannot be enforced by the store",
    CapabilityName.PUBLIC_ACCESS_BLOCK: "only the bucket's policy keeps it from the public; it is checked instead",
    CapabilityName.BUCKET_TAGS: "who owns a bucket is written into an object instead",
    CapabilityName.ENCRYPTION: "encryption at rest is whatever the store does by itself",
    CapabilityName.VERSIONING: "an overwritten or deleted object is gone at once",
    CapabilityName.LIFECYCLE_EXPIRATION: "the upload service removes stale uploads instead of the store",
    CapabilityName.LIFECYCLE_ABORT_MULTIPART: "the upload service aborts stale multipart uploads instead of the store",
    CapabilityName.LIFECYCLE_NONCURRENT: "old versions stay until somebody removes them",
    CapabilityName.IAM: "applications use the store's own key, which reaches every bucket",
}
# Where a store that takes something and does not act on it is another matter than one that lacks it.
_IGNORES: Final[Mapping[CapabilityName, str]] = {
    CapabilityName.UPLOAD_PART_COPY: "confirm copies each file above 5 GiB once more, to verify what no client can"
    " replace",
    CapabilityName.IAM: "each application's key reaches every bucket; CredentialsReady is False until iam.mode: Shared"
    " accepts that",
}


def consequences(capabilities: Sequence[Capability]) -> tuple[str, ...]:
    """A sentence for each thing that the store does not do, and one on how confirm gets to know the SHA-256."""
    lacking = {found.name for found in capabilities if found.verdict != CapabilityVerdict.ENFORCED}
    ignored = {found.name for found in capabilities if found.verdict == CapabilityVerdict.IGNORED}
    sentences = {**_LACKS, **{name: sentence for name, sentence in _IGNORES.items() if name in ignored}}
    told = [f"{name}: {sentence}" for name, sentence in sentences.items() if name in lacking]
    return (*told, _hashing(lacking))


def _hashing(lacking: set[str]) -> str:
    if CapabilityName.CHECKSUM_ON_COPY not in lacking:
        return "Confirm reads no bytes: the store tells, or computes, the SHA-256"
    if CapabilityName.CHECKSUM_ON_HEAD in lacking:
        return "Confirm reads every object once to hash it: the store neither keeps nor computes a SHA-256"
    return "Confirm reads objects once to hash them, but for those whose client sent the SHA-256 along (Signed)"
