"""The public access block: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""

from typing import Any

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.spec import PublicAccess
from mediabucket_api.status import ConditionType
from mediabucket_operator.aspects.base import Aspect, Context, Entries
from mediabucket_operator.aspects.policy import is_ours, is_public, statements_of
from mediabucket_operator.conditions import Verdict
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import NotImplementedByStore

Block = dict[str, Any]


class PublicAccessAspect(Aspect[Block]):
    """Blocked blocks everything. PublicRead lets policies open the bucket, and still no ACL."""

    name = "publicAccess"
    condition = ConditionType.PUBLIC_ACCESS_BLOCKED
    capability = CapabilityName.PUBLIC_ACCESS_BLOCK
    consequence = "whoever may write policies or ACLs could open the bucket to the public"

    def read(self, admin: BucketAdmin) -> Block:
        return admin.get_public_access_block() or {}

    def desired(self, context: Context) -> Entries:
        blocked = context.spec.public_access == PublicAccess.BLOCKED
        return {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": blocked,
            "RestrictPublicBuckets": blocked,
        }

    def ours(self, document: Block, context: Context) -> Entries:
        # An absent switch is off.
        return {name: document.get(name, False) for name in self.desired(context)} if document else {}

    def merged(self, document: Block, context: Context) -> Block:
        return {**document, **self.desired(context)}

    def write(self, admin: BucketAdmin, document: Block) -> None:
        admin.put_public_access_block(document)

    def synced(self, context: Context) -> Verdict:
        if context.spec.public_access == PublicAccess.PUBLIC_READ:
            return Verdict.true("PublicReadRequested", "uploads/ is open for reading, as the manifest asks")
        return Verdict.true("Blocked")

    def not_implemented(self, admin: BucketAdmin, context: Context) -> Verdict:
        """Without the block the policy alone decides: True as long as it lets nobody in."""
        if context.spec.public_access == PublicAccess.PUBLIC_READ:
            return self.synced(context)
        # Our own statement aside: the policy's turn comes after this one, and takes it away.
        try:
            policy = admin.get_policy() or {}
        except NotImplementedByStore:
            return Verdict.true("NoPublicPolicy", "the store has neither a public access block nor bucket policies")
        others = [statement for statement in statements_of(policy) if not is_ours(statement)]
        if any(is_public(statement) for statement in others):
            return Verdict.false(
                "PublicPolicy", "the store has no public access block, and the bucket's policy lets anybody in"
            )
        return Verdict.true("NoPublicPolicy", "the store has no public access block; the bucket's policy is not public")
