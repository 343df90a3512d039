"""The sides of a bucket that are one small document: encryption, versioning, tags."""

from typing import Any

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import GROUP
from mediabucket_api.spec import EncryptionType, Versioning
from mediabucket_api.status import ConditionType
from mediabucket_operator.aspects.base import Aspect, Context, Entries
from mediabucket_s3.admin import BucketAdmin

_ALGORITHMS = {EncryptionType.SSE_S3: "AES256", EncryptionType.SSE_KMS: "aws:kms"}


class EncryptionAspect(Aspect[dict[str, Any]]):
    """Default encryption. `None` asks for nothing: AWS always encrypts, and what others set up is not ours to remove.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html
    """

    name = "encryption"
    condition = ConditionType.ENCRYPTION_SYNCED
    capability = CapabilityName.ENCRYPTION
    only_adds = True
    consequence = "objects are stored as the store does by default"

    def read(self, admin: BucketAdmin) -> dict[str, Any]:
        return admin.get_encryption() or {}

    def desired(self, context: Context) -> Entries:
        encryption = context.spec.encryption
        if encryption.type == EncryptionType.NONE:
            return {}
        key = {} if encryption.kms_key_id is None else {"KMSMasterKeyID": encryption.kms_key_id}
        return {"SSEAlgorithm": _ALGORITHMS[encryption.type]} | key

    def ours(self, document: dict[str, Any], context: Context) -> Entries:
        rules = document.get("Rules", [])
        found = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
        return {name: value for name, value in found.items() if name in self.desired(context)}

    def merged(self, document: dict[str, Any], context: Context) -> dict[str, Any]:
        rules = document.get("Rules") or [{}]
        return {"Rules": [{**rules[0], "ApplyServerSideEncryptionByDefault": dict(self.desired(context))}]}

    def write(self, admin: BucketAdmin, document: dict[str, Any]) -> None:
        admin.put_encryption(document)


class VersioningAspect(Aspect[str]):
    """Versioning. `Disabled` asks for nothing: a bucket that ever had versions cannot go back, only be suspended."""

    name = "versioning"
    condition = ConditionType.VERSIONING_SYNCED
    capability = CapabilityName.VERSIONING
    only_adds = True
    consequence = "an overwritten or deleted object is gone at once"

    def read(self, admin: BucketAdmin) -> str:
        return admin.get_versioning()

    def desired(self, context: Context) -> Entries:
        wanted = context.spec.versioning
        return {} if wanted == Versioning.DISABLED else {"status": wanted.value}

    def ours(self, document: str, context: Context) -> Entries:
        return {"status": document} if self.desired(context) else {}

    def merged(self, document: str, context: Context) -> str:
        return str(self.desired(context).get("status", document))

    def write(self, admin: BucketAdmin, document: str) -> None:
        admin.put_versioning(document)


class TagsAspect(Aspect[dict[str, str]]):
    """The manifest's tags beside those of others. Who owns the bucket is written by `ownership`, before all else."""

    name = "tags"
    condition = ConditionType.TAGS_SYNCED
    capability = CapabilityName.BUCKET_TAGS
    only_adds = True
    consequence = "costs and owners cannot be told by tag"

    def read(self, admin: BucketAdmin) -> dict[str, str]:
        return admin.get_tags()

    def desired(self, context: Context) -> Entries:
        # Ours say who owns the bucket: a manifest must not give it away.
        return {tag.key: tag.value for tag in context.spec.tags if not tag.key.startswith(f"{GROUP}/")}

    def ours(self, document: dict[str, str], context: Context) -> Entries:
        return {key: value for key, value in document.items() if key in self.desired(context)}

    def merged(self, document: dict[str, str], context: Context) -> dict[str, str]:
        return {**document, **self.desired(context)}

    def write(self, admin: BucketAdmin, document: dict[str, str]) -> None:
        admin.put_tags(document)
