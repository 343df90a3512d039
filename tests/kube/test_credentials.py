"""Keys of one bucket on a real API server and a real store: replaced without a gap, and never lost."""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from kube_platform import Platform
from operator_process import condition, eventually, media_bucket, store_documents
from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import AccessDenied, S3Error


def identity(platform: Platform, team: str) -> StoreConnection:
    """The store, as the key in the output Secret."""
    data = platform.kube.get("secret", "media-media", team)["data"]
    plain = {key: base64.b64decode(value).decode() for key, value in data.items()}
    keys = {
        "access_key_id": plain["AWS_ACCESS_KEY_ID"],
        "secret_access_key": SecretStr(plain["AWS_SECRET_ACCESS_KEY"]),
    }
    return platform.store.connection.model_copy(update=keys)


def keys_of(platform: Platform, team: str) -> set[str]:
    uid = platform.get("media", team)["metadata"]["uid"]
    admin = platform.identities()
    [user] = [user for user in admin.list_users("mediabucket-") if user.endswith(uid)]
    return {key.access_key_id for key in admin.list_access_keys(user)}


def secret_annotations(platform: Platform, team: str) -> dict[str, Any]:
    found: dict[str, Any] = platform.kube.get("secret", "media-media", team)["metadata"]["annotations"]
    return found


def made(platform: Platform, team: str, store: str = "store", **spec: Any) -> None:
    platform.kube.apply(media_bucket("media", team, store, **spec))
    platform.wait("media", team)


def test_the_key_reaches_its_own_bucket_and_no_other(platform: Platform, team: str) -> None:
    made(platform, team)
    ours = BucketAdmin.connect(identity(platform, team), f"{team}-media")
    ours.write_object("pending/a", b"a", "text/plain")
    ours.write_object("uploads/a", b"a", "text/plain")
    assert ours.read_object("uploads/a") == b"a"
    other = platform.admin(f"{team}-other")
    other.create("us-east-1", {})
    other.write_object("uploads/a", b"theirs", "text/plain")
    theirs = BucketAdmin.connect(identity(platform, team), f"{team}-other")
    forbidden: list[Callable[[], Any]] = [
        lambda: theirs.read_object("uploads/a"),
        lambda: theirs.write_object("pending/b", b"b", "text/plain"),
        theirs.is_empty,
        lambda: ours.write_object("elsewhere/a", b"a", "text/plain"),
        lambda: ours.put_policy({"Version": "2012-10-17", "Statement": []}),
        lambda: ours.put_cors([{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]),
        lambda: ours.delete_lifecycle(),
        lambda: ours.put_lifecycle(
            [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
        ),
        lambda: ours.put_versioning("Enabled"),
        lambda: ours.put_tags({"a": "b"}),
    ]
    for attempt in forbidden:
        with pytest.raises(AccessDenied):
            attempt()
    assert other.read_object("uploads/a") == b"theirs"


def test_rotation_by_annotation_keeps_the_old_key_for_the_overlap(platform: Platform, team: str) -> None:
    made(platform, team)
    old = identity(platform, team)
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/rotate-credentials=today")
    eventually(lambda: identity(platform, team).access_key_id != old.access_key_id)
    new = identity(platform, team)
    assert keys_of(platform, team) == {old.access_key_id, new.access_key_id}
    for key in (old, new):
        eventually(lambda key=key: _works(key, f"{team}-media"), seconds=10)  # type: ignore[misc]
    status = eventually(lambda: platform.get("media", team)["status"]["credentials"])
    eventually(lambda: platform.get("media", team)["status"]["credentials"].get("retiringKeyId") == old.access_key_id)
    status = platform.get("media", team)["status"]["credentials"]
    issued, retire = (datetime.fromisoformat(status[name]) for name in ("issuedAt", "retireAfter"))
    assert retire - issued == timedelta(hours=24)
    # Asked once, done once.
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/look=1")
    platform.wait("media", team)
    assert keys_of(platform, team) == {old.access_key_id, new.access_key_id}


def test_the_old_key_goes_when_the_overlap_is_over(platform: Platform, team: str) -> None:
    made(platform, team)
    old = identity(platform, team)
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/rotate-credentials=today")
    eventually(lambda: identity(platform, team).access_key_id != old.access_key_id)
    _let_overlap_end(platform, team)
    eventually(lambda: keys_of(platform, team) == {identity(platform, team).access_key_id})
    eventually(lambda: not _works(old, f"{team}-media"), seconds=10)
    eventually(lambda: "retiringKeyId" not in platform.get("media", team)["status"]["credentials"])


def test_the_old_key_waits_for_the_rollout(platform: Platform, team: str) -> None:
    database = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": team},
        "stringData": {"url": "postgresql://"},
    }
    service = {"state": "Enabled", "replicas": {"min": 1, "max": 1}, "database": {"secretRef": {"name": "database"}}}
    platform.kube.apply(database, media_bucket("media", team, "store", service=service))
    eventually(lambda: platform.kube.find("deployment", "media-media", team))
    old = identity(platform, team)
    before = _checksum(platform, team)
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/rotate-credentials=today")
    eventually(lambda: identity(platform, team).access_key_id != old.access_key_id)
    eventually(lambda: _checksum(platform, team) != before)
    _let_overlap_end(platform, team)
    # The Deployment has not rolled: nobody has said so.
    assert old.access_key_id in keys_of(platform, team)
    generation = platform.kube.get("deployment", "media-media", team)["metadata"]["generation"]
    status = {
        "observedGeneration": generation,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
        "readyReplicas": 1,
    }
    how = ("-n", team, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    platform.kube.kubectl("patch", "deployment/media-media", *how)
    eventually(lambda: keys_of(platform, team) == {identity(platform, team).access_key_id})


def test_a_key_that_no_secret_names_is_deleted(platform: Platform, team: str) -> None:
    made(platform, team)
    uid = platform.get("media", team)["metadata"]["uid"]
    admin = platform.identities()
    [user] = [user for user in admin.list_users("mediabucket-") if user.endswith(uid)]
    leaked = admin.create_access_key(user).access_key_id
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/look=1")
    eventually(lambda: leaked not in keys_of(platform, team))
    assert len(keys_of(platform, team)) == 1


def test_a_deleted_secret_is_written_anew(platform: Platform, team: str) -> None:
    made(platform, team)
    old = identity(platform, team).access_key_id
    platform.kube.kubectl("delete", "secret/media-media", "-n", team)
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/look=1")
    eventually(lambda: platform.kube.find("secret", "media-media", team))
    eventually(lambda: keys_of(platform, team) == {identity(platform, team).access_key_id} != {old})


def test_a_shared_store_says_so(platform: Platform, team: str) -> None:
    name = f"shared-{team}"
    platform.kube.apply(*store_documents(name, platform.store.connection, iam={"mode": "Shared"}))
    made(platform, team, name)
    told = condition(platform.get("media", team), "CredentialsReady")
    assert (told["status"], told["reason"]) == ("True", "Shared")
    assert "reaches every bucket" in told["message"]
    assert identity(platform, team).access_key_id == platform.store.connection.access_key_id


def _works(key: StoreConnection, bucket: str) -> bool:
    try:
        BucketAdmin.connect(key, bucket).write_object("pending/try", b"1", "text/plain")
    except S3Error:
        return False
    return True


def _checksum(platform: Platform, team: str) -> str:
    template = platform.kube.get("deployment", "media-media", team)["spec"]["template"]
    return str(template["metadata"]["annotations"]["mediabucket.dev/checksum"])


def _let_overlap_end(platform: Platform, team: str) -> None:
    """As if a day had passed: the time until which the old key works stands in the Secret."""
    eventually(lambda: "mediabucket.dev/retire-after" in secret_annotations(platform, team))
    platform.kube.kubectl(
        "annotate",
        "secret/media-media",
        "-n",
        team,
        "mediabucket.dev/retire-after=2026-01-01T00:00:00+00:00",
        "--overwrite",
    )
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "example.com/later=1", "--overwrite")
