"""Promise 7 on a real API server: no data goes unless the manifest says so twice, and nothing ever hangs for good."""

import time

import pytest
from kube_platform import Platform
from operator_process import condition, eventually, media_bucket, namespace, store_documents

from mediabucket_operator.canary import CANARY_KEYS
from mediabucket_s3.admin import BucketAdmin

pytestmark = pytest.mark.promise(7)


def made(platform: Platform, team: str, store: str = "store", **spec: object) -> BucketAdmin:
    """A ready MediaBucket `media`, and the administrator of its bucket."""
    platform.kube.apply(media_bucket("media", team, store, **spec))
    platform.wait("media", team)
    return platform.admin(f"{team}-media")


def delete(platform: Platform, team: str, *, wait: bool = True) -> None:
    how = ("--timeout=30s",) if wait else ("--wait=false",)
    platform.kube.kubectl("delete", "mb/media", "-n", team, *how)


def blocked(platform: Platform, team: str, reason: str) -> str:
    """The message of DeletionBlocked, once it has this reason."""
    eventually(lambda: condition(platform.get("media", team), "DeletionBlocked").get("reason") == reason)
    found = condition(platform.get("media", team), "DeletionBlocked")
    assert found["status"] == "True"
    return str(found["message"])


def gone(platform: Platform, team: str) -> bool:
    return platform.kube.find("mb", "media", team) is None


def users_of(platform: Platform, uid: str) -> list[str]:
    return [user for user in platform.identities().list_users("mediabucket-") if user.endswith(uid)]


def test_p19_retain_keeps_the_bucket_and_removes_the_user(platform: Platform, team: str) -> None:
    admin = made(platform, team)
    uid = platform.get("media", team)["metadata"]["uid"]
    assert len(users_of(platform, uid)) == 1
    admin.write_object("uploads/a", b"kept", "text/plain")
    delete(platform, team)
    assert admin.read_object("uploads/a") == b"kept"
    eventually(lambda: users_of(platform, uid) == [], seconds=15)


def test_retain_then_apply_again_finds_its_own_bucket(platform: Platform, team: str) -> None:
    admin = made(platform, team)
    admin.write_object("uploads/a", b"kept", "text/plain")
    delete(platform, team)
    made(platform, team)
    assert platform.get("media", team)["status"]["ownership"] == {"state": "Owned", "origin": "Created"}
    assert admin.read_object("uploads/a") == b"kept"


def test_retain_does_not_need_the_store(platform: Platform, team: str) -> None:
    nowhere = platform.store.connection.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    platform.kube.apply(*store_documents(f"dead-{team}", nowhere))
    platform.kube.apply(media_bucket("media", team, f"dead-{team}"))
    eventually(lambda: condition(platform.get("media", team), "StoreReachable").get("status") == "False")
    started = time.monotonic()
    delete(platform, team)
    assert time.monotonic() - started < 10


def test_delete_if_empty(platform: Platform, team: str) -> None:
    admin = made(platform, team, deletionPolicy="DeleteIfEmpty")
    uid = platform.get("media", team)["metadata"]["uid"]
    admin.write_object("uploads/a", b"kept", "text/plain")
    delete(platform, team, wait=False)
    assert "is not empty: empty it" in blocked(platform, team, "NotEmpty")
    assert admin.read_object("uploads/a") == b"kept"
    admin.delete_everything()
    eventually(lambda: gone(platform, team))
    assert not admin.exists()
    assert users_of(platform, uid) == []


def test_what_the_canary_left_does_not_keep_a_bucket(platform: Platform, team: str) -> None:
    """Left by a crash in the middle of it, or by versioning, which keeps what it has deleted."""
    admin = made(platform, team, deletionPolicy="DeleteIfEmpty", versioning="Enabled")
    for key in CANARY_KEYS:
        admin.write_object(key, b"left", "application/octet-stream")
    delete(platform, team)
    assert not admin.exists()


def test_switching_to_retain_releases_at_once(platform: Platform, team: str) -> None:
    admin = made(platform, team, deletionPolicy="DeleteIfEmpty")
    admin.write_object("uploads/a", b"kept", "text/plain")
    delete(platform, team, wait=False)
    blocked(platform, team, "NotEmpty")
    platform.kube.kubectl("patch", "mb/media", "-n", team, "--type=merge", "-p", '{"spec":{"deletionPolicy":"Retain"}}')
    eventually(lambda: gone(platform, team), seconds=8)
    assert admin.read_object("uploads/a") == b"kept"


def test_p19_destroy_needs_the_typed_confirmation(platform: Platform, team: str) -> None:
    admin = made(platform, team, deletionPolicy="Destroy", versioning="Enabled")
    admin.write_object("uploads/a", b"one", "text/plain")
    admin.write_object("uploads/a", b"two", "text/plain")
    delete(platform, team, wait=False)
    message = blocked(platform, team, "ConfirmationMissing")
    assert f"annotate mediabucket.dev/confirm-destroy={team}-media" in message
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/confirm-destroy=something-else")
    time.sleep(3)
    assert admin.read_object("uploads/a") == b"two"
    platform.kube.kubectl(
        "annotate", "mb/media", "-n", team, f"mediabucket.dev/confirm-destroy={team}-media", "--overwrite"
    )
    eventually(lambda: gone(platform, team))
    assert not admin.exists()


def test_an_adopted_bucket_is_never_destroyed(platform: Platform, team: str) -> None:
    admin = platform.admin(f"{team}-media")
    admin.create("us-east-1", {})
    admin.write_object("theirs", b"kept", "text/plain")
    made(platform, team, adoptionPolicy="Adopt")
    platform.kube.apply(media_bucket("media", team, "store", adoptionPolicy="IfTaggedOurs", deletionPolicy="Destroy"))
    platform.kube.kubectl("annotate", "mb/media", "-n", team, f"mediabucket.dev/confirm-destroy={team}-media")
    delete(platform, team, wait=False)
    blocked(platform, team, "Adopted")
    assert admin.read_object("theirs") == b"kept"
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/abandon=true")
    eventually(lambda: gone(platform, team), seconds=8)


@pytest.mark.parametrize("missing", ["store", "credentials", "object store"])
def test_p19_what_is_gone_first_blocks_until_abandoned(platform: Platform, team: str, missing: str) -> None:
    name = f"gone-{team}"
    platform.kube.apply(*store_documents(name, platform.store.connection))
    made(platform, team, name, deletionPolicy="DeleteIfEmpty")
    if missing == "store":
        nowhere = platform.store.connection.model_copy(update={"endpoint": "http://127.0.0.1:9"})
        platform.kube.apply(store_documents(name, nowhere)[1])
    elif missing == "credentials":
        platform.kube.kubectl("delete", "secret", f"store-credentials-{name}", "-n", "mediabucket-system")
    else:
        platform.kube.kubectl("delete", "ostore", name, "--timeout=10s")
    delete(platform, team, wait=False)
    reasons = {"store": "StoreUnavailable", "credentials": "CredentialsMissing", "object store": "ObjectStoreMissing"}
    assert "annotate mediabucket.dev/abandon=true" in blocked(platform, team, reasons[missing])
    platform.kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/abandon=true")
    eventually(lambda: gone(platform, team), seconds=10)


def test_a_bucket_that_is_gone_is_deleted_already(platform: Platform, team: str) -> None:
    admin = made(platform, team, deletionPolicy="DeleteIfEmpty")
    admin.delete()
    delete(platform, team)


@pytest.mark.usefixtures("_collects_garbage")
def test_a_namespace_with_media_buckets_inside_ends(platform: Platform, team: str) -> None:
    platform.kube.apply(namespace(f"{team}-end"))
    for number in range(3):
        platform.kube.apply(media_bucket(f"media-{number}", f"{team}-end", "store"))
    platform.wait("media-2", f"{team}-end")
    platform.kube.kubectl("delete", "namespace", f"{team}-end", "--timeout=60s")
    assert platform.admin(f"{team}-end-media-0").exists()


def test_a_blocked_deletion_writes_nothing_while_it_waits(platform: Platform, team: str) -> None:
    admin = made(platform, team, deletionPolicy="DeleteIfEmpty")
    admin.write_object("uploads/a", b"kept", "text/plain")
    delete(platform, team, wait=False)
    blocked(platform, team, "NotEmpty")
    version = platform.get("media", team)["metadata"]["resourceVersion"]
    time.sleep(6)
    assert platform.get("media", team)["metadata"]["resourceVersion"] == version
    events = [event for event in platform.events("media", team) if event["reason"] == "NotEmpty"]
    assert len(events) == 1
    admin.delete_everything()
    eventually(lambda: gone(platform, team))


def test_one_of_two_claimants_deletes_nothing_of_the_other(platform: Platform, team: str) -> None:
    admin = made(platform, team)
    platform.kube.apply(
        media_bucket("second", team, "store", bucketName=f"{team}-media", deletionPolicy="DeleteIfEmpty")
    )
    eventually(lambda: condition(platform.get("second", team), "BucketOwned").get("status") == "False")
    platform.kube.kubectl("delete", "mb/second", "-n", team, "--timeout=30s")
    assert admin.exists()
    platform.wait("media", team)
