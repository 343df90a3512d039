"""The bucket policy: statements whose Sid is ours, beside those of others.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import RULE_ID_PREFIX, UPLOADS_PREFIX
from mediabucket_api.spec import PublicAccess, Switch
from mediabucket_api.status import ConditionType
from mediabucket_operator.aspects.base import Aspect, Context, Entries, keyed
from mediabucket_operator.conditions import Verdict
from mediabucket_s3.admin import BucketAdmin

Policy = Mapping[str, Any]

# A Sid has letters and digits only.
SID_PREFIX = "".join(part.capitalize() for part in RULE_ID_PREFIX.split("-"))
REQUIRE_TLS = f"{SID_PREFIX}RequireTLS"
PUBLIC_READ = f"{SID_PREFIX}PublicRead"
_PRINCIPALS = ("Principal", "NotPrincipal")
_LISTS = ("Action", "NotAction", "Resource", "NotResource")


class PolicyAspect(Aspect[Policy]):
    name = "policy"
    condition = ConditionType.POLICY_SYNCED
    capability = CapabilityName.BUCKET_POLICY
    consequence = "access follows from the store's own rules, and plain-HTTP requests are not refused"

    def read(self, admin: BucketAdmin) -> Policy:
        return admin.get_policy() or {"Version": "2012-10-17", "Statement": []}

    def desired(self, context: Context) -> Entries:
        return {statement["Sid"]: normal_statement(statement) for statement in statements(context)}

    @override
    def by_hand(self, context: Context) -> list[dict[str, Any]]:
        return statements(context)

    @override
    def ours(self, document: Policy, context: Context) -> Entries:
        found = (statement for statement in statements_of(document) if is_ours(statement))
        return keyed((statement["Sid"], normal_statement(statement)) for statement in found)

    def merged(self, document: Policy, context: Context) -> Policy:
        foreign = [statement for statement in statements_of(document) if not is_ours(statement)]
        return {**document, "Statement": [*foreign, *statements(context)]}

    def write(self, admin: BucketAdmin, document: Policy) -> None:
        if statements_of(document):
            admin.put_policy(dict(document))
        else:
            admin.delete_policy()

    def synced(self, context: Context) -> Verdict:
        if context.spec.require_tls == Switch.ENFORCED and not _speaks_tls(context):
            return Verdict.true(
                "PlainHttpEndpoint",
                "requireTLS is Enforced, but the store's endpoint is plain http: a rule against plain http would lock"
                " everyone out, this program included, so there is none",
            )
        return super().synced(context)


def statements(context: Context) -> list[dict[str, Any]]:
    """The statements that the manifest wants."""
    wanted = []
    if context.spec.require_tls == Switch.ENFORCED and _speaks_tls(context):
        wanted.append(_require_tls(context.bucket))
    if context.spec.public_access == PublicAccess.PUBLIC_READ:
        wanted.append(_public_read(context.bucket))
    return wanted


def statements_of(policy: Policy) -> list[dict[str, Any]]:
    """A policy's statements: a single one may stand there without a list."""
    found = policy.get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def normal_statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    """A statement in one form: stores turn one-element lists into strings and reorder the rest."""
    normal = {
        name: value for name, value in statement.items() if name not in ("Sid", "Condition", *_PRINCIPALS, *_LISTS)
    }
    principals = {name: _normal_principal(statement[name]) for name in _PRINCIPALS if name in statement}
    sets = {name: _as_set(statement[name]) for name in _LISTS if name in statement}
    tests = statement.get("Condition") or {}
    condition = {test: {key: _as_set(value) for key, value in keys.items()} for test, keys in tests.items()}
    return normal | principals | sets | ({"Condition": condition} if condition else {})


def is_public(statement: Mapping[str, Any]) -> bool:
    """Whether a statement lets anybody in without a condition: everybody, or everybody but some."""
    anybody = "NotPrincipal" in statement or "*" in _normal_principal(statement.get("Principal", {})).get("AWS", [])
    return statement.get("Effect") == "Allow" and anybody and not statement.get("Condition")


def is_ours(statement: Mapping[str, Any]) -> bool:
    """Whether this program wrote a statement."""
    return str(statement.get("Sid", "")).startswith(SID_PREFIX)


def _normal_principal(principal: Any) -> dict[str, list[str]]:
    # "*" alone and {"AWS": "*"} mean the same.
    named = {"AWS": principal} if isinstance(principal, str) else principal
    return {kind: _as_set(names) for kind, names in named.items()}


def _as_set(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in values})


def _speaks_tls(context: Context) -> bool:
    return context.connection.endpoint.startswith("https://")


def _require_tls(bucket: str) -> dict[str, Any]:
    return {
        "Sid": REQUIRE_TLS,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _public_read(bucket: str) -> dict[str, Any]:
    return {
        "Sid": PUBLIC_READ,
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{UPLOADS_PREFIX}*",
    }
