"""One level-based pass over a bucket: whatever happened before, make it what the manifest says, and say how it went.

The steps are: whose bucket is it → create, take or refuse → public access block → encryption → versioning → policy →
CORS → lifecycle → tags. One step's failure never stops the others. Nothing here ever deletes a bucket or an object.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediabucket_api.connection import StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import DriftPolicy, ManagementPolicy
from mediabucket_api.status import (
    ConditionType,
    Enforcer,
    LifecycleRuleStatus,
    MediaBucketStatus,
    Ownership,
    OwnershipState,
)
from mediabucket_operator.aspects import lifecycle
from mediabucket_operator.aspects.base import Aspect, Context, Result, run
from mediabucket_operator.aspects.cors import CorsAspect
from mediabucket_operator.aspects.policy import PolicyAspect
from mediabucket_operator.aspects.public_access import PublicAccessAspect
from mediabucket_operator.aspects.settings import EncryptionAspect, TagsAspect, VersioningAspect
from mediabucket_operator.changes import Change, differences
from mediabucket_operator.conditions import Conditions, Verdict
from mediabucket_operator.ownership import Decision, Owner, Step, decide, read_owner, write_owner
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import S3Error, StoreUnavailable, Throttled

ASPECTS: tuple[Aspect[Any], ...] = (
    PublicAccessAspect(),
    EncryptionAspect(),
    VersioningAspect(),
    PolicyAspect(),
    CorsAspect(),
    lifecycle.LifecycleAspect(),
    TagsAspect(),
)


@dataclass(frozen=True)
class Outcome:
    """The status to show, and what was different; a change is `applied` once it was written and read back."""

    status: MediaBucketStatus
    changes: tuple[Change, ...]


def reconcile(
    resource: MediaBucket,
    admin: BucketAdmin,
    *,
    connection: StoreConnection,
    now: datetime,
    dry_run: bool = False,
) -> Outcome:
    """One pass. With `dry_run`, or under managementPolicy Observe, nothing is written anywhere; under Pause nothing
    is even read. Never raises S3Error: a store that fails is a condition.
    """
    if resource.spec.management_policy == ManagementPolicy.PAUSE:
        return Outcome(resource.status, ())
    visit = _Visit(resource, admin, connection, now, dry_run)
    try:
        decision = decide(resource, *_look(admin))
    except S3Error as error:
        return visit.unreachable(error)
    if decision.step == Step.REFUSE:
        return visit.refused(decision)
    return visit.carried_out(decision)


def claim(resource: MediaBucket) -> MediaBucketStatus:
    """The status to store before a first pass: whoever dies between making and marking a bucket finds it again."""
    if resource.status.ownership is not None:
        return resource.status
    return resource.status.model_copy(
        update={"bucket_name": resource.bucket_name, "ownership": Ownership(state=OwnershipState.CLAIMED)}
    )


def _look(admin: BucketAdmin) -> tuple[bool, Owner | None]:
    exists = admin.exists()
    return exists, read_owner(admin) if exists else None


class _Visit:
    """One pass over one bucket."""

    def __init__(
        self, resource: MediaBucket, admin: BucketAdmin, connection: StoreConnection, now: datetime, dry_run: bool
    ) -> None:
        self._resource = resource
        self._admin = admin
        self._connection = connection
        self._conditions = Conditions(resource.status.conditions, resource.metadata.generation, now)
        self._conditions.set(ConditionType.DELETION_BLOCKED, Verdict.false("NotDeleting", ""))
        self._observing = dry_run or resource.spec.management_policy == ManagementPolicy.OBSERVE
        self._context = Context(
            spec=resource.spec,
            bucket=resource.bucket_name,
            connection=connection,
            owner=Owner.of(resource),
            given_up=_given_up(resource),
        )

    def unreachable(self, error: S3Error) -> Outcome:
        """The store did not answer the first question: the last good state is kept."""
        verdict = Verdict.false(type(error).__name__, str(error))
        if isinstance(error, StoreUnavailable | Throttled):
            self._conditions.set(ConditionType.STORE_REACHABLE, verdict)
        else:
            self._conditions.set(ConditionType.BUCKET_OWNED, verdict)
        return Outcome(self._status(self._resource.status.ownership, self._resource.status.lifecycle), ())

    def refused(self, decision: Decision) -> Outcome:
        """Somebody else's bucket, or one that is gone: not a single write."""
        self._conditions.set(ConditionType.STORE_REACHABLE, Verdict.true("Reachable"))
        self._conditions.set(ConditionType.BUCKET_OWNED, decision.verdict)
        return Outcome(self._status(decision.ownership, self._resource.status.lifecycle), ())

    def carried_out(self, decision: Decision) -> Outcome:
        """Own the bucket, then every aspect."""
        changes = self._ownership_changes(decision)
        if self._observing and decision.step == Step.CREATE:
            self._conditions.set(ConditionType.BUCKET_OWNED, Verdict.false("BucketMissing", "there is no bucket yet"))
            return Outcome(self._status(self._resource.status.ownership, ()), changes + self._everything_missing())
        try:
            changes = self._own(decision, changes)
        except S3Error as error:
            return self.unreachable(error)
        self._conditions.set(ConditionType.BUCKET_OWNED, decision.verdict)
        results = {aspect.name: run(aspect, self._admin, self._context, write=self._writes()) for aspect in ASPECTS}
        found = tuple(change for result in results.values() for change in result.changes)
        self._conclude(results, found)
        rules = lifecycle.statuses(self._context, frozenset(self._lost_rules(results["lifecycle"])))
        return Outcome(self._status(decision.ownership, rules), changes + found)

    def _ownership_changes(self, decision: Decision) -> tuple[Change, ...]:
        owner = self._context.owner.name
        if decision.step == Step.CREATE:
            return (Change("bucket", "name", None, self._context.bucket), Change("bucket", "owner", None, owner))
        return (Change("bucket", "owner", None, owner),) if decision.step == Step.TAKE else ()

    def _own(self, decision: Decision, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        if self._observing or not changes:
            return changes
        if decision.step == Step.CREATE:
            tags = {tag.key: tag.value for tag in self._context.spec.tags} | self._context.owner.tags()
            self._admin.create(self._connection.region, tags)
        write_owner(self._admin, self._context.owner)
        return tuple(change.done() for change in changes)

    def _everything_missing(self) -> tuple[Change, ...]:
        return tuple(
            change for aspect in ASPECTS for change in differences(aspect.name, {}, aspect.desired(self._context))
        )

    def _writes(self) -> bool:
        """Whether differences are written: not while observing, nor drift that is only to be told."""
        seen = self._resource.status.observed_generation
        settled = seen is not None and seen == self._resource.metadata.generation
        return not self._observing and not (settled and self._resource.spec.drift_policy == DriftPolicy.WARN)

    def _conclude(self, results: dict[str, Result], found: tuple[Change, ...]) -> None:
        for aspect in ASPECTS:
            result = results[aspect.name]
            if not result.unreachable:
                self._conditions.set(aspect.condition, result.verdict)
        lost = next((result.verdict for result in results.values() if result.unreachable), None)
        reachable = Verdict.true("Reachable") if lost is None else Verdict.false(lost.reason, lost.message)
        self._conditions.set(ConditionType.STORE_REACHABLE, reachable)
        left = [change for change in found if not change.applied and change.aspect != "lifecycle"]
        paths = ", ".join(f"{change.aspect}.{change.path}" for change in left)
        drifted = Verdict.true("Differs", f"left as it is: {paths}") if left else Verdict.false("InSync", "")
        self._conditions.set(ConditionType.DRIFTED, drifted)

    def _lost_rules(self, result: Result) -> tuple[str, ...]:
        if result.verdict.reason == "NotImplementedByStore":
            return tuple(rule["ID"] for rule in lifecycle.rules(self._context))
        return result.dropped

    def _status(self, ownership: Ownership | None, rules: tuple[LifecycleRuleStatus, ...]) -> MediaBucketStatus:
        return self._resource.status.model_copy(
            update={
                "observed_generation": self._resource.metadata.generation,
                "bucket_name": self._resource.bucket_name,
                "ownership": ownership,
                "endpoint": self._connection.public_endpoint,
                "lifecycle": rules,
                "conditions": self._conditions.build(),
            }
        )


def _given_up(resource: MediaBucket) -> tuple[LifecycleRuleStatus, ...]:
    """Rules that the store dropped before; a new generation tries them again."""
    if resource.status.observed_generation != resource.metadata.generation:
        return ()
    return tuple(rule for rule in resource.status.lifecycle if rule.enforced_by != Enforcer.STORE)
