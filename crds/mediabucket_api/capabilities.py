"""What a probe tries on a store, each by the name that `status.capabilities` has for it."""

from enum import StrEnum


class CapabilityName(StrEnum):
    SIGNATURE_VERIFIED = "SignatureVerified"
    URL_EXPIRY = "UrlExpiry"
    SIGNED_CONTENT_TYPE = "SignedContentType"
    SIGNED_CONTENT_LENGTH = "SignedContentLength"
    SIGNED_CHECKSUM = "SignedChecksum"
    IF_NONE_MATCH = "IfNoneMatch"
    CHECKSUM_ON_HEAD = "ChecksumOnHead"
    CHECKSUM_ON_COPY = "ChecksumOnCopy"
    COPY_SOURCE_IF_MATCH = "CopySourceIfMatch"
    MULTIPART = "Multipart"
    UPLOAD_PART_COPY = "UploadPartCopy"
    CORS_PREFLIGHT = "CorsPreflight"
    BUCKET_POLICY = "BucketPolicy"
    PUBLIC_ACCESS_BLOCK = "PublicAccessBlock"
    BUCKET_TAGS = "BucketTags"
    ENCRYPTION = "Encryption"
    VERSIONING = "Versioning"
    LIFECYCLE_EXPIRATION = "LifecycleExpiration"
    LIFECYCLE_ABORT_MULTIPART = "LifecycleAbortMultipart"
    LIFECYCLE_NONCURRENT = "LifecycleNoncurrent"
    IAM = "Iam"
