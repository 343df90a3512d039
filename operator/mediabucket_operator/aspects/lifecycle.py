"""Lifecycle: rules whose id is ours, beside those of others. What a store drops, the upload service does instead.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import PENDING_PREFIX, RULE_ID_PREFIX
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Capability, CapabilityVerdict, ConditionType, Enforcer, LifecycleRuleStatus
from mediabucket_operator.aspects.base import Aspect, Context, Entries, keyed
from mediabucket_operator.changes import Change
from mediabucket_operator.conditions import NOT_IMPLEMENTED, NOT_KEPT, Verdict
from mediabucket_s3.admin import BucketAdmin

Rules = list[dict[str, Any]]

EXPIRE_PENDING = f"{RULE_ID_PREFIX}expire-pending"
ABORT_MULTIPART = f"{RULE_ID_PREFIX}abort-incomplete-multipart"
EXPIRE_NONCURRENT = f"{RULE_ID_PREFIX}expire-noncurrent"
# What makes a rule what it is. Whatever else a store answers is its own addition.
_FIELDS = (
    "Status",
    "Prefix",
    "Tag",
    "Tags",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
    "Expiration",
    "Transitions",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
)
# What the service's reaper does anyway; nobody stands in for the third rule.
DONE_BY_SERVICE = frozenset({EXPIRE_PENDING, ABORT_MULTIPART})
_PROBED_AS = {
    EXPIRE_PENDING: CapabilityName.LIFECYCLE_EXPIRATION,
    ABORT_MULTIPART: CapabilityName.LIFECYCLE_ABORT_MULTIPART,
    EXPIRE_NONCURRENT: CapabilityName.LIFECYCLE_NONCURRENT,
}


class LifecycleAspect(Aspect[Rules]):
    name = "lifecycle"
    condition = ConditionType.LIFECYCLE_ENFORCED
    consequence = "the upload service removes stale uploads, and noncurrent versions stay"

    def read(self, admin: BucketAdmin) -> Rules:
        return admin.get_lifecycle()

    def desired(self, context: Context) -> Entries:
        return {rule["ID"]: normal_rule(rule) for rule in _written(context)}

    @override
    def ours(self, document: Rules, context: Context) -> Entries:
        return keyed((rule["ID"], normal_rule(rule)) for rule in document if _is_ours(rule))

    def merged(self, document: Rules, context: Context) -> Rules:
        return [*(rule for rule in document if not _is_ours(rule)), *_written(context)]

    def write(self, admin: BucketAdmin, document: Rules) -> None:
        if document:
            admin.put_lifecycle(document)
        else:
            admin.delete_lifecycle()

    def synced(self, context: Context) -> Verdict:
        return verdict(_lost(context))

    def incomplete(self, missing: tuple[Change, ...], context: Context) -> Verdict:
        dropped = {change.path.partition(".")[0] for change in missing}
        return verdict(dropped | _lost(context))

    @override
    def not_implemented(self, admin: BucketAdmin, context: Context) -> Verdict:
        told = verdict({rule["ID"] for rule in rules(context)})
        return Verdict(told.status, NOT_IMPLEMENTED, f"the store has no lifecycle rules: {told.message}")


def rules(context: Context) -> Rules:
    """The rules that the manifest wants."""
    lifecycle = context.spec.lifecycle
    wanted: Rules = [
        _rule(EXPIRE_PENDING, PENDING_PREFIX, Expiration={"Days": lifecycle.expire_pending_days}),
        # Nothing else is ever uploaded in parts, and the parts of others in an adopted bucket are not ours to abort.
        _rule(
            ABORT_MULTIPART,
            PENDING_PREFIX,
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": lifecycle.abort_incomplete_multipart_days},
        ),
    ]
    if lifecycle.expire_noncurrent_days is not None:
        expiration = {"NoncurrentDays": lifecycle.expire_noncurrent_days}
        wanted.append(_rule(EXPIRE_NONCURRENT, "", NoncurrentVersionExpiration=expiration))
    return wanted


def statuses(context: Context, lost: frozenset[str]) -> tuple[LifecycleRuleStatus, ...]:
    """Who carries out each wanted rule, when the store has lost these."""
    lost = lost | {rule.id for rule in context.given_up}
    return tuple(_status(rule["ID"], lost) for rule in rules(context))


def given_up(resource: MediaBucket, capabilities: Sequence[Capability] = ()) -> tuple[LifecycleRuleStatus, ...]:
    """Rules that the store dropped before, or that a probe saw it drop; a new generation tries the former again."""
    not_kept = {capability.name for capability in capabilities if capability.verdict != CapabilityVerdict.ENFORCED}
    probed = {rule_id for rule_id, name in _PROBED_AS.items() if name in not_kept}
    if resource.status.observed_generation == resource.metadata.generation:
        probed |= {rule.id for rule in resource.status.lifecycle if rule.enforced_by != Enforcer.STORE}
    return tuple(_status(rule_id, frozenset(probed)) for rule_id in sorted(probed))


def verdict(lost: set[str]) -> Verdict:
    """The condition, when the store does not carry out these rules."""
    unenforced = sorted(lost - DONE_BY_SERVICE)
    if unenforced:
        return Verdict.false(NOT_KEPT, f"nobody carries out {', '.join(unenforced)}: the store does not keep the rule")
    if lost:
        return Verdict.true("EnforcedByService", f"the upload service carries out {', '.join(sorted(lost))}")
    return Verdict.true("EnforcedByStore")


def normal_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in one form: what it selects may stand in the rule or in its filter; empty is absent."""
    selected = rule.get("Filter", {})
    told = {**rule, **selected, **selected.get("And", {})}
    return {name: value for name in _FIELDS if (value := _without_empty(told.get(name)))}


def _without_empty(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: item for name, item in value.items() if item}


def _rule(rule_id: str, prefix: str, **actions: Any) -> dict[str, Any]:
    return {"ID": rule_id, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def _written(context: Context) -> Rules:
    """The wanted rules but for those that this store is known to drop: writing them again would never end."""
    given_up = {rule.id for rule in context.given_up}
    return [rule for rule in rules(context) if rule["ID"] not in given_up]


def _lost(context: Context) -> set[str]:
    """The wanted rules that this store is known to drop."""
    return {rule.id for rule in context.given_up} & {rule["ID"] for rule in rules(context)}


def _is_ours(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("ID", "")).startswith(RULE_ID_PREFIX)


def _status(rule_id: str, lost: frozenset[str]) -> LifecycleRuleStatus:
    if rule_id not in lost:
        return LifecycleRuleStatus(id=rule_id, enforced_by=Enforcer.STORE)
    enforcer = Enforcer.SERVICE if rule_id in DONE_BY_SERVICE else Enforcer.NOBODY
    return LifecycleRuleStatus(id=rule_id, enforced_by=enforcer, reason="the store does not keep the rule")
