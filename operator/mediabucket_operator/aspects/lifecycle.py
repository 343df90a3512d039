"""Lifecycle: rules whose id is ours, beside those of others. What a store drops, the upload service does instead.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from mediabucket_api.constants import PENDING_PREFIX, RULE_ID_PREFIX
from mediabucket_api.status import ConditionType, Enforcer, LifecycleRuleStatus
from mediabucket_operator.aspects.base import Aspect, Context, Entries
from mediabucket_operator.changes import Change
from mediabucket_operator.conditions import Verdict
from mediabucket_s3.admin import BucketAdmin

Rules = list[dict[str, Any]]

EXPIRE_PENDING = f"{RULE_ID_PREFIX}expire-pending"
ABORT_MULTIPART = f"{RULE_ID_PREFIX}abort-incomplete-multipart"
EXPIRE_NONCURRENT = f"{RULE_ID_PREFIX}expire-noncurrent"
# What the service's reaper does anyway; nobody stands in for the third rule.
DONE_BY_SERVICE = frozenset({EXPIRE_PENDING, ABORT_MULTIPART})


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
        return {rule["ID"]: normal_rule(rule) for rule in document if _is_ours(rule)}

    def merged(self, document: Rules, context: Context) -> Rules:
        return [*(rule for rule in document if not _is_ours(rule)), *_written(context)]

    def write(self, admin: BucketAdmin, document: Rules) -> None:
        if document:
            admin.put_lifecycle(document)
        else:
            admin.delete_lifecycle()

    def synced(self, context: Context) -> Verdict:
        return verdict({rule.id for rule in context.given_up})

    def incomplete(self, missing: tuple[Change, ...]) -> Verdict:
        return verdict({change.path.partition(".")[0] for change in missing})

    def not_implemented(self, admin: BucketAdmin, context: Context) -> Verdict:
        told = super().not_implemented(admin, context)
        return Verdict(verdict({rule["ID"] for rule in rules(context)}).status, told.reason, told.message)


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
    given_up = {rule.id: rule for rule in context.given_up}
    return tuple(_status(rule["ID"], lost) if rule["ID"] in lost else given_up.get(rule["ID"], _kept(rule["ID"]))
                 for rule in rules(context))  # fmt: skip


def verdict(lost: set[str]) -> Verdict:
    """The condition, when the store does not carry out these rules."""
    unenforced = sorted(lost - DONE_BY_SERVICE)
    if unenforced:
        return Verdict.false("NotKeptByStore", f"nobody carries out {', '.join(unenforced)}: the store drops the rule")
    if lost:
        return Verdict.true("EnforcedByService", f"the upload service carries out {', '.join(sorted(lost))}")
    return Verdict.true("EnforcedByStore")


def normal_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule in one form: the prefix may stand in the rule or in its filter."""
    prefix = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    actions = {name: value for name, value in rule.items() if name not in ("ID", "Filter", "Prefix")}
    return actions | {"Prefix": prefix}


def _rule(rule_id: str, prefix: str, **actions: Any) -> dict[str, Any]:
    return {"ID": rule_id, "Status": "Enabled", "Filter": {"Prefix": prefix}, **actions}


def _written(context: Context) -> Rules:
    """The wanted rules but for those that this store is known to drop: writing them again would never end."""
    given_up = {rule.id for rule in context.given_up}
    return [rule for rule in rules(context) if rule["ID"] not in given_up]


def _is_ours(rule: Mapping[str, Any]) -> bool:
    return str(rule.get("ID", "")).startswith(RULE_ID_PREFIX)


def _kept(rule_id: str) -> LifecycleRuleStatus:
    return LifecycleRuleStatus(id=rule_id, enforced_by=Enforcer.STORE)


def _status(rule_id: str, lost: frozenset[str]) -> LifecycleRuleStatus:
    if rule_id not in lost:
        return _kept(rule_id)
    enforcer = Enforcer.SERVICE if rule_id in DONE_BY_SERVICE else Enforcer.NOBODY
    return LifecycleRuleStatus(id=rule_id, enforced_by=enforcer, reason="the store does not keep the rule")
