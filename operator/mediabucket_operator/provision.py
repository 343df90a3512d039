"""What a bucket that is ours has in the cluster: its access key, the outputs, the upload service, and the proof that
uploads work. One step's failure never stops the others, unless they need what it makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.connection import BucketConnection
from mediabucket_api.object_store import IamMode
from mediabucket_api.resources import MediaBucket, ObjectStore
from mediabucket_api.spec import MAX_SINGLE_PUT_BYTES, Integrity, Uploads
from mediabucket_api.status import (
    CapabilityVerdict,
    Condition,
    ConditionStatus,
    ConditionType,
    CredentialsStatus,
    ServiceStatus,
)
from mediabucket_api.workload import ServiceState
from mediabucket_operator import outputs, workload
from mediabucket_operator.canary import UploadPathBroken
from mediabucket_operator.children import NotOurs, child_name, digest, ensure, ensure_from, remove, require_ours
from mediabucket_operator.cluster import Cluster, Manifest, Reference, Refused
from mediabucket_operator.conditions import NOT_IMPLEMENTED, Verdict
from mediabucket_operator.credentials import BucketIdentity, KeyInUse, may_retire, rotation_due, user_name
from mediabucket_operator.event_notes import Note
from mediabucket_operator.guard import StoreAccess
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.stores import Stores
from mediabucket_operator.workload import WorkloadIncomplete
from mediabucket_s3.errors import NotImplementedByStore, S3Error, StoreUnavailable, Throttled

# What a manifest can ask for, and the capabilities that it takes.
_SIGNED_NEEDS: Final = (CapabilityName.SIGNED_CHECKSUM, CapabilityName.IF_NONE_MATCH)
_LARGE_FILES_NEED: Final = (CapabilityName.MULTIPART, CapabilityName.UPLOAD_PART_COPY)
_SHARED: Final = Verdict.true(
    "Shared", "applications use the store's own key, which reaches every bucket: iam.mode of the ObjectStore is Shared"
)
# Reasons of ServiceAvailable, once all that the manifest asks for was applied and all else taken away.
_DISABLED: Final = "Disabled"
_AVAILABLE: Final = "Available"
_ROLLING_OUT: Final = "RollingOut"
_TOO_FEW: Final = "TooFewReplicas"
# The Deployment's own word: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
_STUCK: Final = "ProgressDeadlineExceeded"
_CARRIED_OUT: Final = frozenset({_DISABLED, _AVAILABLE, _ROLLING_OUT, _TOO_FEW, _STUCK})


@dataclass(frozen=True)
class Provisioned:
    """What to write into status: verdicts of conditions, and fields by name; and what to tell."""

    verdicts: Mapping[ConditionType, Verdict] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[Note] = ()


class Provisioning:
    """One pass. Raises ClusterError; a store that fails is a condition.

    `resource` has the status that the pass over the store has made.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        stores: Stores,
        settings: OperatorSettings,
        cluster_id: str,
        now: datetime,
        resource: MediaBucket,
        access: StoreAccess,
    ) -> None:
        self._cluster = cluster
        self._stores = stores
        self._settings = settings
        self._cluster_id = cluster_id
        self._now = now
        self._resource = resource
        self._access = access
        # The Secret with the key, as this pass has read or written it.
        self._secret: Manifest | None = None
        self._verdicts: dict[ConditionType, Verdict] = {}
        self._status: dict[str, Any] = {}
        self._notes: list[Note] = []

    def run(self) -> Provisioned:
        try:
            connection = self._connection_with_key()
            if connection is not None:
                self._provide(connection)
        except NotOurs as obstacle:
            self._verdicts[ConditionType.CREDENTIALS_READY] = Verdict.false("NameTaken", str(obstacle))
        except Refused as refusal:
            self._verdicts[ConditionType.CREDENTIALS_READY] = Verdict.false("Forbidden", str(refusal))
        self._status["capabilities"] = tuple(
            capability.model_copy(update={"evidence": None}) for capability in self._access.resource.status.capabilities
        )
        return Provisioned(self._verdicts, self._status, tuple(self._notes))

    def _connection_with_key(self) -> BucketConnection | None:
        """How applications reach the bucket. Writes the Secret. None while there is no key for them."""
        name = Reference("Secret", self._resource.metadata.namespace, child_name(self._resource))
        self._secret = self._cluster.get(name)
        if self._secret is not None:
            require_ours(self._secret, self._resource)
        if self._access.resource.spec.iam.mode == IamMode.SHARED:
            return self._shared(_SHARED)
        found = KeyInUse.of(self._secret)
        try:
            return self._scoped(found)
        except NotImplementedByStore as error:
            if found is not None:
                # A key that worked: a store that has just lost its IAM must not make everybody administrator.
                return self._kept(found, Verdict.false(NOT_IMPLEMENTED, f"the store has no IAM any more: {error}"))
            return self._shared_for_lack_of_iam()
        except StoreUnavailable as error:
            return self._kept(found, Verdict.unknown("StoreUnreachable", str(error)))
        except Throttled as error:
            return self._kept(found, Verdict.unknown("StoreUnreachable", str(error)))
        except S3Error as error:
            told = f"{error}: allow the store's administrator to manage users whose names begin with mediabucket-"
            return self._kept(found, Verdict.false(type(error).__name__, told))

    def _shared_for_lack_of_iam(self) -> BucketConnection | None:
        if self._access.resource.spec.credentials_secret_ref is None:
            told = (
                "the store has no IAM, and the operator's own identity is not handed out: name a Secret in"
                " credentialsSecretRef of the ObjectStore"
            )
            return self._kept(None, Verdict.false("IdentityNotShared", told))
        told = "the store has no IAM: applications use the store's own key, which reaches every bucket"
        return self._shared(Verdict.true("SharedForLackOfIam", told))

    def _shared(self, verdict: Verdict) -> BucketConnection:
        connection = self._written(self._connection(None), {})
        self._verdicts[ConditionType.CREDENTIALS_READY] = verdict
        self._status["credentials"] = CredentialsStatus(access_key_id=connection.store.access_key_id)
        return connection

    def _scoped(self, found: KeyInUse | None) -> BucketConnection | None:
        identity = self._identity()
        key = identity.prepare(found)
        if key is None or rotation_due(self._resource, key, self._now):
            key = self._issued(identity, key)
        elif self._may_retire(key):
            assert key.retiring_key_id is not None
            identity.retire(key.retiring_key_id)
            self._notes.append(Note("KeyRetired", f"access key {key.retiring_key_id} was deleted"))
            key = replace(key, retiring_key_id=None, retire_after=None)
        return self._kept(key, scope(key, self._access.resource))

    def _issued(self, identity: BucketIdentity, replaced: KeyInUse | None) -> KeyInUse:
        key = identity.issue(self._now, self._resource, replaced)
        # Before anything else can fail: a key that is in no Secret is lost.
        self._write_secret(key)
        told = f"access key {key.access_key_id}" + (f" replaces {replaced.access_key_id}" if replaced else " was made")
        self._notes.append(Note("KeyIssued", told))
        return key

    def _may_retire(self, key: KeyInUse) -> bool:
        if self._resource.spec.service.state == ServiceState.DISABLED:
            return may_retire(key, self._now, rolled_out=True)
        if key.retiring_key_id is None:
            return False
        return may_retire(key, self._now, rolled_out=self._is_rolled_out(key))

    def _is_rolled_out(self, key: KeyInUse) -> bool:
        name = Reference("Deployment", self._resource.metadata.namespace, child_name(self._resource))
        deployment = self._cluster.get(name)
        try:
            checksum = self._checksum(self._connection(key))
        except WorkloadIncomplete:
            # No new Pod can be made: those that run, if any, have the key before this one. ServiceAvailable tells why.
            return deployment is None
        return workload.is_rolled_out(deployment, checksum)

    def _kept(self, key: KeyInUse | None, verdict: Verdict) -> BucketConnection | None:
        self._verdicts[ConditionType.CREDENTIALS_READY] = verdict
        if key is None:
            return None
        self._status["credentials"] = key.status(self._resource.spec.credentials.rotation)
        return self._write_secret(key)

    def _write_secret(self, key: KeyInUse) -> BucketConnection:
        return self._written(self._connection(key), key.annotations())

    def _written(self, connection: BucketConnection, annotations: dict[str, str]) -> BucketConnection:
        wanted = outputs.secret(self._resource, connection, annotations)
        self._secret = ensure_from(self._secret, self._cluster, self._resource, wanted)
        return connection

    def _identity(self) -> BucketIdentity:
        store = self._access.resource.spec
        admin = self._stores.identities(self._access.connection, store.iam.endpoint)
        return BucketIdentity(admin, user_name(self._resource, self._cluster_id), self._resource.bucket_name)

    def _connection(self, key: KeyInUse | None) -> BucketConnection:
        store = self._access.connection
        return BucketConnection(
            store=store if key is None else key.identity(store),
            bucket=self._resource.bucket_name,
            spec=self._resource.spec,
            media_service_url=workload.service_url(self._resource),
            capabilities={
                capability.name: capability.verdict.value for capability in self._access.resource.status.capabilities
            },
        )

    def _provide(self, connection: BucketConnection) -> None:
        wanted = outputs.config_map(self._resource, connection)
        before = self._cluster.get(Reference.of(wanted))
        ensure_from(before, self._cluster, self._resource, wanted)
        if self._resource.spec.service.state == ServiceState.ENABLED:
            self._serve(connection)
        else:
            self._serve_nothing(provided_before=before is not None)
        if not self._has_stopped_answering():
            self._verify(connection)

    def _has_stopped_answering(self) -> bool:
        """The store itself: an IAM at an endpoint of its own may be down alone."""
        keys = self._verdicts[ConditionType.CREDENTIALS_READY]
        return keys.reason == "StoreUnreachable" and self._access.resource.spec.iam.endpoint is None

    def _serve(self, connection: BucketConnection) -> None:
        try:
            wanted = workload.manifests(self._resource, connection, self._settings, self._checksum(connection))
            deployment = self._applied(wanted)
        except WorkloadIncomplete as lack:
            self._verdicts[ConditionType.SERVICE_AVAILABLE] = Verdict.false(lack.reason, lack.message)
            return
        except (NotOurs, Refused) as obstacle:
            self._verdicts[ConditionType.SERVICE_AVAILABLE] = Verdict.false("NotApplied", str(obstacle))
            return
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        self._status["service"] = ServiceStatus(url=connection.media_service_url, ready_replicas=ready)
        self._verdicts[ConditionType.SERVICE_AVAILABLE] = availability(deployment, self._resource)

    def _applied(self, wanted: Mapping[str, Manifest]) -> Manifest:
        applied: Manifest = {}
        for kind in workload.KINDS:
            if kind in wanted:
                applied = ensure(self._cluster, self._resource, wanted[kind])
            elif not self._is_withdrawn():
                remove(self._cluster, self._resource, kind)
        return applied

    def _serve_nothing(self, *, provided_before: bool) -> None:
        # What an earlier manifest asked for goes; the ConfigMap was there before any of it. The first to be applied is
        # the last to be removed: without it, nothing else is there.
        if (provided_before and not self._is_withdrawn()) or self._resource.status.service is not None:
            first = Reference(workload.KINDS[0], self._resource.metadata.namespace, child_name(self._resource))
            if self._cluster.get(first) is not None:
                for kind in reversed(workload.KINDS):
                    remove(self._cluster, self._resource, kind)
        self._status["service"] = None
        self._verdicts[ConditionType.SERVICE_AVAILABLE] = Verdict.true(_DISABLED, "service.state is Disabled")

    def _is_withdrawn(self) -> bool:
        """Whether a visit has taken away already what this generation of the manifest does not ask for: one that the
        store did not answer, or that was refused an object, has not come so far.
        """
        last = self._last(ConditionType.SERVICE_AVAILABLE)
        return (
            last is not None
            and last.observed_generation == self._resource.metadata.generation
            and last.reason in _CARRIED_OUT
        )

    def _last(self, kind: ConditionType) -> Condition | None:
        return next((found for found in self._resource.status.conditions if found.type == kind), None)

    def _checksum(self, connection: BucketConnection) -> str:
        """Of all that Pods read at their start only."""
        named = sorted({variable.secret for variable in workload.secret_variables(self._resource)})
        namespace = self._resource.metadata.namespace
        secrets = [self._cluster.get(Reference("Secret", namespace, name)) or {} for name in named]
        missing = [name for name, secret in zip(named, secrets, strict=True) if not secret]
        if missing:
            raise WorkloadIncomplete(
                "SecretMissing", f"there is no Secret {', '.join(missing)} in namespace {namespace}: create it"
            )
        data = [secret.get("data") for secret in secrets]
        return digest(connection.to_config_map(), connection.to_secret(), data)

    def _verify(self, connection: BucketConnection) -> None:
        """Walk the path of an upload when it may have changed, or has not been walked to its end yet."""
        if unkept := unkept_promise(self._resource.spec.uploads, connection.capabilities):
            self._verdicts[ConditionType.UPLOAD_PATH_VERIFIED] = unkept
            return
        # A new probe is a new look at the store: the path is walked again, once for each.
        probed = max((found.probed_at.isoformat() for found in self._access.resource.status.capabilities), default="")
        since = f", after the probe of {probed}" if probed else ""
        walked = f"as {connection.store.access_key_id} at {connection.store.endpoint}{since}"
        if self._is_verified(walked):
            return
        try:
            self._stores.walk_upload_path(connection)
        except UploadPathBroken as broken:
            verdict = Verdict.false("UploadPathBroken", str(broken))
        except S3Error as error:
            verdict = Verdict.unknown("StoreUnreachable", str(error))
        else:
            verdict = Verdict.true("Verified", f"uploaded, published, read and removed {walked}")
        self._verdicts[ConditionType.UPLOAD_PATH_VERIFIED] = verdict

    def _is_verified(self, walked: str) -> bool:
        last = self._last(ConditionType.UPLOAD_PATH_VERIFIED)
        return (
            last is not None
            and last.status == ConditionStatus.TRUE
            and last.observed_generation == self._resource.metadata.generation
            and last.message.endswith(walked)
        )


def availability(deployment: Manifest, resource: MediaBucket) -> Verdict:
    """ServiceAvailable, from what the Deployment says of itself."""
    status = deployment.get("status") or {}
    wanted = resource.spec.service.replicas.min
    available = status.get("availableReplicas", 0)
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Verdict.unknown(_ROLLING_OUT, "the Deployment's controller has not seen the last change yet")
    told = f"{available} of {wanted} replicas of Deployment {deployment['metadata']['name']} are available"
    if available >= wanted:
        return Verdict.true(_AVAILABLE, told)
    stuck = next((c for c in status.get("conditions", []) if c.get("reason") == _STUCK), None)
    if stuck is not None:
        return Verdict.false(_STUCK, f"{told}: see its Pods")
    return Verdict.false(_TOO_FEW, told)


def scope(key: KeyInUse, store: ObjectStore) -> Verdict:
    """CredentialsReady of a bucket that has a key of its own, which the store need not confine to it."""
    probed = {capability.name: capability.verdict for capability in store.status.capabilities}
    if probed.get(CapabilityName.IAM) == CapabilityVerdict.IGNORED:
        return Verdict.false(
            "ScopeNotEnforced",
            f"a probe found that the store does not act on the policies of its users: key {key.access_key_id} reaches"
            f" every bucket; set iam.mode: Shared of ObjectStore {store.metadata.name} to accept that, or use another"
            " store",
        )
    if key.retiring_key_id is None:
        return Verdict.true("Scoped")
    return Verdict.true("Rotating", f"{key.retiring_key_id} still works until {key.retire_after}")


def unkept_promise(uploads: Uploads, capabilities: Mapping[str, str]) -> Verdict | None:
    """Which promise of the manifest this store cannot be held to; None when it can to all."""
    unenforced = [name for name in _SIGNED_NEEDS if capabilities.get(name, CapabilityVerdict.ENFORCED) != "Enforced"]
    if uploads.integrity == Integrity.SIGNED and unenforced:
        return Verdict.false(
            "IntegrityNotEnforced",
            f"uploads.integrity is Signed, and the store does not enforce {' and '.join(unenforced)}: use Verified,"
            " which proves every upload at confirm",
        )
    lacking = [name for name in _LARGE_FILES_NEED if capabilities.get(name) == CapabilityVerdict.UNSUPPORTED]
    if uploads.max_bytes > MAX_SINGLE_PUT_BYTES and lacking:
        return Verdict.false(
            "LargeFilesUnsupported",
            f"uploads.maxBytes is {uploads.max_bytes}, and the store lacks {' and '.join(lacking)}, without which files"
            f" above {MAX_SINGLE_PUT_BYTES} bytes are refused: set that or less, or use another store",
        )
    return None
