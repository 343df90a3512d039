"""Which store a manifest's buckets are on, without a cluster to ask."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlsplit

from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_api.manifest import Manifest
from mediabucket_api.object_store import AddressingStyle, ObjectStoreSpec
from mediabucket_api.resources import MediaBucket, ObjectStore
from mediabucket_cli.errors import CommandFailed
from mediabucket_operator.guard import ACCESS_KEY_ID, SECRET_ACCESS_KEY, broken_limit, selects
from mediabucket_s3.own_identity import NoIdentity, own_identity

ENDPOINTS = ("MEDIABUCKET_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_DEFAULT_REGION = "us-east-1"


def store_connection(
    resource: MediaBucket, manifest: Manifest, environment: Mapping[str, str] = os.environ
) -> StoreConnection:
    """The store of a MediaBucket: its ObjectStore in the same file, else the one that the environment names.

    Raises CommandFailed with what to set.
    """
    name = resource.spec.store_ref.name
    for store in manifest.object_stores:
        if store.metadata.name == name:
            _require_allowed(resource, store)
            return connection_of(store.spec, manifest, environment)
    endpoint = _first(environment, ENDPOINTS)
    if endpoint is None:
        raise CommandFailed(
            f"where is the store {name!r}? Add an ObjectStore {name} to the file, as examples/aws.yaml does, or set"
            f" {ENDPOINTS[1]}, {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY}"
        )
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise CommandFailed(f"the endpoint in the environment must begin with http:// or https://, not be {endpoint}")
    return StoreConnection(
        endpoint=endpoint,
        public_endpoint=environment.get("MEDIABUCKET_S3_PUBLIC_ENDPOINT") or endpoint,
        region=_first(environment, REGIONS) or _DEFAULT_REGION,
        addressing_style=_addressing_style(environment),
        **_credentials({}, environment),
    )


def _require_allowed(resource: MediaBucket, store: ObjectStore) -> None:
    """What the operator would refuse. Labels of namespaces are only known to a cluster."""
    selector, namespace = store.spec.allowed_namespaces, resource.metadata.namespace
    if not selector.match_labels and not selects(selector, namespace, {}):
        raise CommandFailed(
            f"ObjectStore {store.metadata.name} is not for namespace {namespace}: see allowedNamespaces"
        )
    if broken := broken_limit(resource.spec, store.spec.limits):
        raise CommandFailed(f"ObjectStore {store.metadata.name} forbids it: {broken}")


def connection_of(spec: ObjectStoreSpec, manifest: Manifest, environment: Mapping[str, str]) -> StoreConnection:
    """A store with the keys of its Secret in the same file, or those of the environment; without credentialsSecretRef
    with the identity that this process has. Raises CommandFailed."""
    return StoreConnection(
        endpoint=spec.endpoint,
        public_endpoint=spec.public_endpoint or spec.endpoint,
        region=spec.region,
        addressing_style=spec.addressing_style,
        ca_bundle=spec.ca_bundle,
        **_store_credentials(spec, manifest, environment),
    )


def _store_credentials(
    spec: ObjectStoreSpec, manifest: Manifest, environment: Mapping[str, str]
) -> dict[str, str | SecretStr | None]:
    reference = spec.credentials_secret_ref
    if reference is not None:
        return _credentials(manifest.secrets.get((reference.namespace, reference.name), {}), environment)
    try:
        return asdict(own_identity().keys())
    except NoIdentity as error:
        raise CommandFailed(f"the ObjectStore names no Secret in credentialsSecretRef, and {error}") from error


def _credentials(secret: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str | SecretStr | None]:
    """The Secret's keys, or without a Secret the environment's."""
    source = secret or environment
    missing = [name for name in (ACCESS_KEY_ID, SECRET_ACCESS_KEY) if not source.get(name)]
    if missing:
        where = "the Secret of the ObjectStore" if secret else "the environment, or a Secret in the file,"
        raise CommandFailed(f"{where} must have {' and '.join(missing)}")
    token = source.get("AWS_SESSION_TOKEN")
    return {
        "access_key_id": source[ACCESS_KEY_ID],
        "secret_access_key": SecretStr(source[SECRET_ACCESS_KEY]),
        "session_token": SecretStr(token) if token else None,
    }


def _addressing_style(environment: Mapping[str, str]) -> AddressingStyle:
    wanted = environment.get("MEDIABUCKET_S3_ADDRESSING_STYLE") or AddressingStyle.PATH.value
    try:
        return AddressingStyle(wanted)
    except ValueError as error:
        allowed = " or ".join(AddressingStyle)
        raise CommandFailed(f"MEDIABUCKET_S3_ADDRESSING_STYLE must be {allowed}, not {wanted}") from error


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
