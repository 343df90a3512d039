"""Which store a MediaBucket is on, and whether it may be: decided before the store is contacted."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.constants import OBJECT_STORE_KIND
from mediabucket_api.object_store import NamespaceSelector, ObjectStoreSpec, Permission, StoreLimits
from mediabucket_api.resources import MediaBucket, ObjectStore
from mediabucket_api.secret import SecretUnreadable, decoded
from mediabucket_api.spec import AdoptionPolicy, DeletionPolicy, MediaBucketSpec
from mediabucket_operator.cluster import Cluster, Reference, Refused
from mediabucket_operator.stored import Unreadable, read_object_store
from mediabucket_s3.own_identity import Keys, NoIdentity, own_identity

ACCESS_KEY_ID = "AWS_ACCESS_KEY_ID"
SECRET_ACCESS_KEY = "AWS_SECRET_ACCESS_KEY"
SESSION_TOKEN = "AWS_SESSION_TOKEN"
# In place of the version of a Secret. Its keys change by the hour, what they may do does not.
OWN_IDENTITY = "own-identity"


@dataclass(frozen=True)
class StoreAccess:
    """An ObjectStore and the identity to administer it. `secret_version` changes when the identity does."""

    resource: ObjectStore
    connection: StoreConnection
    secret_version: str


class StoreRefused(Exception):
    """The store cannot, or must not, be used: a one-word reason, and a sentence with what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


def store_access(name: str, cluster: Cluster, operator_namespace: str) -> StoreAccess:
    """The ObjectStore of this name, with its credentials. Raises StoreRefused, ClusterError."""
    manifest = cluster.get(Reference(OBJECT_STORE_KIND, "", name))
    if manifest is None:
        raise StoreRefused("ObjectStoreMissing", f"there is no ObjectStore {name}: apply one, or correct storeRef.name")
    try:
        store = read_object_store(manifest)
    except Unreadable as error:
        raise StoreRefused("ObjectStoreUnreadable", f"ObjectStore {name}: {error}") from None
    return access_of(store, cluster, operator_namespace)


def access_of(store: ObjectStore, cluster: Cluster, operator_namespace: str) -> StoreAccess:
    """The store's connection, with the keys of its Secret or the operator's own. Raises StoreRefused, ClusterError."""
    reference = store.spec.credentials_secret_ref
    if reference is None:
        return StoreAccess(store, _connection(store.spec, _own_keys(store)), OWN_IDENTITY)
    where = f"Secret {reference.namespace}/{reference.name}"
    if reference.namespace != operator_namespace:
        raise StoreRefused(
            "CredentialsNamespace",
            f"credentialsSecretRef of ObjectStore {store.metadata.name} must name a Secret in the operator's namespace"
            f" {operator_namespace}, not in {reference.namespace}",
        )
    try:
        secret = cluster.get(Reference("Secret", reference.namespace, reference.name))
    except Refused as error:
        raise StoreRefused("Forbidden", str(error)) from None
    if secret is None:
        raise StoreRefused(
            "CredentialsMissing", f"there is no {where}: create it with {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY}"
        )
    try:
        values = {key: decoded(text) for key, text in (secret.get("data") or {}).items()}
    except SecretUnreadable:
        raise StoreRefused("CredentialsUnreadable", f"{where} has a value that is not text") from None
    version = f"{secret['metadata'].get('uid')}/{secret['metadata'].get('resourceVersion')}"
    return StoreAccess(store, _connection(store.spec, _keys(values, where)), version)


def _own_keys(store: ObjectStore) -> Keys:
    try:
        return own_identity().keys()
    except NoIdentity as error:
        told = f"ObjectStore {store.metadata.name} names no Secret in credentialsSecretRef, and {error}"
        raise StoreRefused("IdentityMissing", told) from None


def _keys(values: Mapping[str, str], where: str) -> Keys:
    missing = [key for key in (ACCESS_KEY_ID, SECRET_ACCESS_KEY) if not values.get(key)]
    if missing:
        raise StoreRefused("CredentialsIncomplete", f"{where} lacks {' and '.join(missing)}")
    token = values.get(SESSION_TOKEN)
    return Keys(values[ACCESS_KEY_ID], SecretStr(values[SECRET_ACCESS_KEY]), SecretStr(token) if token else None)


def _connection(spec: ObjectStoreSpec, keys: Keys) -> StoreConnection:
    return StoreConnection(
        endpoint=spec.endpoint,
        public_endpoint=spec.public_endpoint or spec.endpoint,
        region=spec.region,
        addressing_style=spec.addressing_style,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
        ca_bundle=spec.ca_bundle,
    )


def require_allowed(resource: MediaBucket, store: ObjectStore, cluster: Cluster) -> None:
    """Raise StoreRefused when the store's owners do not let this MediaBucket use it. Raises ClusterError."""
    selector, namespace = store.spec.allowed_namespaces, resource.metadata.namespace
    labels: Mapping[str, str] = {}
    if selector.match_labels:
        found = cluster.get(Reference("Namespace", "", namespace)) or {"metadata": {}}
        labels = found["metadata"].get("labels") or {}
    if not selects(selector, namespace, labels):
        raise StoreRefused(
            "NamespaceNotAllowed",
            f"ObjectStore {store.metadata.name} is not for namespace {namespace}: see its spec.allowedNamespaces",
        )
    if broken := broken_limit(resource.spec, store.spec.limits):
        raise StoreRefused("LimitExceeded", f"ObjectStore {store.metadata.name} forbids it: {broken}")


def selects(selector: NamespaceSelector, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether the selector names the namespace, or its labels are all there; an empty one selects every namespace."""
    if not selector.match_names and not selector.match_labels:
        return True
    labelled = bool(selector.match_labels) and selector.match_labels.items() <= labels.items()
    return namespace in selector.match_names or labelled


def broken_limit(spec: MediaBucketSpec, limits: StoreLimits) -> str | None:
    """What the spec asks for beyond the store's limits, and what would be within them."""
    if spec.deletion_policy == DeletionPolicy.DESTROY and limits.allow_destroy == Permission.FORBIDDEN:
        return "deletionPolicy Destroy needs limits.allowDestroy: Allowed; use Retain or DeleteIfEmpty"
    if spec.adoption_policy == AdoptionPolicy.ADOPT and limits.allow_adoption == Permission.FORBIDDEN:
        return "adoptionPolicy Adopt needs limits.allowAdoption: Allowed; use IfTaggedOurs or Never"
    if limits.max_upload_bytes is not None and spec.uploads.max_bytes > limits.max_upload_bytes:
        return f"uploads.maxBytes is {spec.uploads.max_bytes}, at most {limits.max_upload_bytes} is allowed"
    return None
