"""One level-based pass over a bucket: whatever happened before, make it what the manifest says, and say how it went.

The steps are: whose bucket is it → create, take or refuse → public access block → encryption → versioning → policy →
CORS → lifecycle → tags. One step's failure never stops the others. Nothing here ever deletes a bucket or an object.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_api.spec import DriftPolicy, ManagementPolicy
from mediabucket_api.status import (
    Capability,
    CapabilityVerdict,
    ConditionStatus,
    ConditionType,
    LifecycleRuleStatus,
    MediaBucketStatus,
    Ownership,
    OwnershipOrigin,
    OwnershipState,
)
from mediabucket_operator.aspects import lifecycle
from mediabucket_operator.aspects.base import Aspect, Context, Result, run, skipped
from mediabucket_operator.aspects.cors import CorsAspect
from mediabucket_operator.aspects.policy import PolicyAspect
from mediabucket_operator.aspects.public_access import PublicAccessAspect
from mediabucket_operator.aspects.settings import EncryptionAspect, TagsAspect, VersioningAspect
from mediabucket_operator.changes import Change, differences
from mediabucket_operator.conditions import DIFFERS, NOT_KEPT, Conditions, Verdict
from mediabucket_operator.ownership import (
    Decision,
    Found,
    Made,
    Mark,
    Owner,
    Step,
    decide,
    look,
    look_at_made,
    write_mark,
)
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import OWNED_BY_CALLER, BucketTaken, S3Error, StoreUnavailable, Throttled

LIFECYCLE = lifecycle.LifecycleAspect()
TAGS = TagsAspect()
ASPECTS: tuple[Aspect[Any], ...] = (
    PublicAccessAspect(),
    EncryptionAspect(),
    VersioningAspect(),
    PolicyAspect(),
    CorsAspect(),
    LIFECYCLE,
    TAGS,
)


@dataclass(frozen=True)
class Outcome:
    """The status to show, and what was different; a change is `applied` once it was written and read back.

    `complete`: everything could be compared. If not, there may be differences that `changes` does not have.
    """

    status: MediaBucketStatus
    changes: tuple[Change, ...] = ()
    complete: bool = True


def reconcile(
    resource: MediaBucket,
    admin: BucketAdmin,
    *,
    connection: StoreConnection,
    now: datetime,
    dry_run: bool = False,
    cluster: str = "",
    capabilities: Sequence[Capability] = (),
    announce: Callable[[MediaBucketStatus], None] = lambda _claimed: None,
) -> Outcome:
    """One pass. With `dry_run`, or under managementPolicy Observe, nothing is written anywhere; under Pause nothing
    is even read. Never raises S3Error: a store that fails is a condition.

    `capabilities` is what a probe found out about the store. `announce` is given the status to keep before a bucket
    is made; what it raises ends the pass before anything was written.
    """
    if resource.spec.management_policy == ManagementPolicy.PAUSE:
        return Outcome(paused(resource, now))
    visit = _Visit(resource, admin, connection, now, cluster, capabilities)
    try:
        decision = decide(resource, look(admin), cluster)
    except S3Error as error:
        return visit.failed(error, resource.status.ownership)
    if decision.step == Step.REFUSE:
        return visit.refused(decision)
    observing = dry_run or resource.spec.management_policy == ManagementPolicy.OBSERVE
    if observing:
        return visit.observed(decision)
    if decision.step == Step.CREATE:
        announce(claim(resource))
    return visit.carried_out(decision)


def paused(resource: MediaBucket, now: datetime) -> MediaBucketStatus:
    """The last state stays; on a first visit nothing is known."""
    if resource.status.conditions:
        return resource.status
    conditions = Conditions((), resource.metadata.generation, now)
    conditions.set(ConditionType.READY, Verdict.unknown("Paused", "managementPolicy is Pause"))
    return resource.status.model_copy(update={"conditions": conditions.build()})


def claim(resource: MediaBucket) -> MediaBucketStatus:
    """The status to store before a bucket that is not there is made: whoever dies between making and marking it
    finds it again. Only for a bucket that was just seen missing.
    """
    if resource.status.ownership is not None:
        return resource.status
    return resource.status.model_copy(
        update={"bucket_name": resource.bucket_name, "ownership": Ownership(state=OwnershipState.CLAIMED)}
    )


class _Visit:
    """One pass over one bucket."""

    def __init__(
        self,
        resource: MediaBucket,
        admin: BucketAdmin,
        connection: StoreConnection,
        now: datetime,
        cluster: str,
        capabilities: Sequence[Capability],
    ) -> None:
        self._resource = resource
        self._admin = admin
        self._connection = connection
        # Whether this pass has made the bucket.
        self._is_new = False
        self._owner = Owner.of(resource, cluster)
        self._conditions = Conditions(resource.status.conditions, resource.metadata.generation, now)
        self._context = Context(
            spec=resource.spec,
            bucket=resource.bucket_name,
            connection=connection,
            given_up=lifecycle.given_up(resource, capabilities),
            capabilities={capability.name: capability for capability in capabilities},
        )

    def failed(self, error: S3Error, ownership: Ownership | None) -> Outcome:
        """The store did not let us own the bucket: the last good state is kept."""
        verdict = Verdict.false(type(error).__name__, str(error))
        if isinstance(error, StoreUnavailable | Throttled):
            self._conditions.set(ConditionType.STORE_REACHABLE, verdict)
        else:
            self._conditions.set(ConditionType.STORE_REACHABLE, Verdict.true("Reachable"))
            self._conditions.set(ConditionType.BUCKET_OWNED, verdict)
        return Outcome(self._status(ownership, self._resource.status.lifecycle), complete=False)

    def refused(self, decision: Decision) -> Outcome:
        """Somebody else's bucket, or one that is gone: not a single write."""
        self._conditions.set(ConditionType.STORE_REACHABLE, Verdict.true("Reachable"))
        self._conditions.set(ConditionType.BUCKET_OWNED, decision.verdict)
        return Outcome(self._status(decision.ownership, self._resource.status.lifecycle), complete=False)

    def observed(self, decision: Decision) -> Outcome:
        """What would be done."""
        changes = self._ownership_changes(decision)
        if decision.step == Step.CREATE:
            self._conditions.set(ConditionType.BUCKET_OWNED, Verdict.false(DIFFERS, "there is no bucket yet"))
            return Outcome(self._status(self._resource.status.ownership, ()), changes + self._everything_missing())
        if decision.step == Step.TAKE:
            self._conditions.set(ConditionType.BUCKET_OWNED, Verdict.false(DIFFERS, "the bucket lacks our mark"))
            return self._compared(self._resource.status.ownership, changes, lambda _: False)
        self._conditions.set(ConditionType.BUCKET_OWNED, decision.verdict)
        return self._compared(decision.ownership, changes, lambda _: False)

    def carried_out(self, decision: Decision) -> Outcome:
        """Own the bucket, then every aspect."""
        try:
            decision = self._own(decision)
        except S3Error as error:
            return self.failed(error, _ownership_after(error, decision, self._resource.status.ownership))
        if decision.step == Step.REFUSE:
            return self.refused(decision)
        self._conditions.set(ConditionType.BUCKET_OWNED, decision.verdict)
        changes = tuple(change.done() for change in self._ownership_changes(decision))
        taken = decision.step != Step.KEEP
        self._is_new = decision.step == Step.CREATE
        return self._compared(decision.ownership, changes, lambda aspect: taken or not self._only_told(aspect))

    def _ownership_changes(self, decision: Decision) -> tuple[Change, ...]:
        if decision.step == Step.KEEP:
            return ()
        marked = Change("bucket", "owner", None, self._owner.name)
        named = Change("bucket", "name", None, self._context.bucket)
        return (named, marked) if decision.step == Step.CREATE else (marked,)

    def _own(self, decision: Decision) -> Decision:
        """Make or mark the bucket; what became of the decision, when somebody else was faster."""
        made = None
        if decision.step == Step.CREATE:
            made = self._create(decision)
            decision = self._unless_marked(made.mark, decision)
        if decision.step in (Step.CREATE, Step.TAKE):
            decision = self._unless_marked(write_mark(self._admin, self._mark(decision), made), decision)
        return decision

    def _unless_marked(self, mark: Mark | None, decision: Decision) -> Decision:
        """The decision, unless it is somebody else's mark."""
        if mark is None or mark.owner.uid == self._owner.uid:
            return decision
        return decide(self._resource, Found(exists=True, mark=mark), self._owner.cluster)

    def _create(self, decision: Decision) -> Made:
        """Make the bucket, and see whose it is. In us-east-1 AWS answers 200 for one that the account has already:
        another cluster may have made and marked it since we looked.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        """
        tags = {**TAGS.desired(self._context), **self._mark(decision).tags()}
        self._admin.create(self._connection.region, tags)
        probed = self._context.capabilities.get(CapabilityName.BUCKET_TAGS)
        keeps_tags = probed is not None and probed.verdict == CapabilityVerdict.ENFORCED
        return look_at_made(self._admin, keeps_tags=keeps_tags)

    def _mark(self, decision: Decision) -> Mark:
        return Mark(self._owner, decision.ownership.origin or OwnershipOrigin.ADOPTED)

    def _everything_missing(self) -> tuple[Change, ...]:
        return tuple(
            change for aspect in ASPECTS for change in differences(aspect.name, {}, aspect.desired(self._context))
        )

    def _only_told(self, aspect: Aspect[Any]) -> bool:
        """Whether a difference can only be drift, since this generation was written once, and drift is only told."""
        before = next((found for found in self._resource.status.conditions if found.type == aspect.condition), None)
        return (
            self._resource.spec.drift_policy == DriftPolicy.WARN
            and before is not None
            and before.observed_generation == self._resource.metadata.generation
            and (before.status == ConditionStatus.TRUE or before.reason in (DIFFERS, NOT_KEPT))
        )

    def _compared(
        self, ownership: Ownership | None, changes: tuple[Change, ...], writes: Callable[[Aspect[Any]], bool]
    ) -> Outcome:
        results: dict[str, Result] = {}
        for aspect in ASPECTS:
            # A store that did not answer once is not asked six times more: each wait would be as long.
            lost = next((result for result in results.values() if result.unreachable), None)
            results[aspect.name] = skipped(lost) if lost else self._carry_out(aspect, writes(aspect))
        self._conclude(results)
        rules = self._resource.status.lifecycle
        if (result := results[LIFECYCLE.name]).settled:
            rules = lifecycle.statuses(self._context, frozenset(result.dropped))
        found = tuple(change for result in results.values() for change in result.changes)
        return Outcome(self._status(ownership, rules), changes + found, all(result.read for result in results.values()))

    def _carry_out(self, aspect: Aspect[Any], write: bool) -> Result:
        return run(aspect, self._admin, self._context, write=write, is_new=self._is_new)

    def _conclude(self, results: Mapping[str, Result]) -> None:
        for aspect in ASPECTS:
            result = results[aspect.name]
            if not result.unreachable:
                self._conditions.set(aspect.condition, result.verdict)
        lost = next((result.verdict for result in results.values() if result.unreachable), None)
        reachable = Verdict.true("Reachable") if lost is None else Verdict.false(lost.reason, lost.message)
        self._conditions.set(ConditionType.STORE_REACHABLE, reachable)
        left = [change for result in results.values() if not result.settled for change in result.changes]
        paths = ", ".join(f"{change.aspect}.{change.path}" for change in left)
        drifted = Verdict.true(DIFFERS, f"left as it is: {paths}") if left else Verdict.false("InSync", "")
        self._conditions.set(ConditionType.DRIFTED, drifted)

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


def _ownership_after(error: S3Error, decision: Decision, known: Ownership | None) -> Ownership | None:
    """What status says when making or marking a bucket failed: it may have been made all the same."""
    if decision.step != Step.CREATE:
        return known
    # Ours already, and seen missing a moment ago: an earlier call, whose answer was lost, has made it since.
    taken = isinstance(error, BucketTaken) and error.code != OWNED_BY_CALLER
    state = OwnershipState.FOREIGN if taken else OwnershipState.CLAIMED
    return Ownership(state=state, origin=known.origin if known is not None else None)
