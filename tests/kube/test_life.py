"""The life of a MediaBucket on a real API server and a real store, as the people see it who apply it."""

import copy
from typing import Any

import pytest
from kube_platform import Platform
from operator_process import (
    OPERATOR_NAMESPACE,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)

ORIGINS = {"allowedOrigins": ["https://app.example.com"]}


def test_create_is_ready_within_a_minute_and_reads_well(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS))
    platform.wait("avatars", team)
    found = platform.get("avatars", team)
    assert all(known["observedGeneration"] == 1 for known in found["status"]["conditions"])
    assert len(found["status"]["conditions"]) == 15
    assert found["status"]["ownership"] == {"state": "Owned", "origin": "Created"}
    assert platform.admin(f"{team}-avatars").get_cors()[0]["AllowedOrigins"] == ORIGINS["allowedOrigins"]
    wide = platform.kube.kubectl("get", "mb", "-n", team, "-o", "wide")
    assert wide.split()[:9] == ["NAME", "READY", "REASON", "BUCKET", "STORE", "POLICY", "INTEGRITY", "URL", "AGE"]
    assert ["avatars", "True", "Available", f"{team}-avatars", "store", "Retain", "Verified"] == wide.split()[9:16]
    assert "Ready: the bucket is what the manifest says" in platform.kube.kubectl("describe", "mb/avatars", "-n", team)


def test_outputs_are_those_of_a_bucket_claim_and_of_cosi(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    places = platform.kube.get("cm", "avatars-media", team)
    assert places["data"]["BUCKET_NAME"] == places["data"]["COSI_S3_BUCKET_ID"] == f"{team}-avatars"
    assert places["metadata"]["ownerReferences"][0]["name"] == "avatars"
    keys = platform.kube.get("secret", "avatars-media", team)["data"]
    assert keys["AWS_ACCESS_KEY_ID"] == keys["COSI_S3_ACCESS_KEY_ID"]


def test_events_are_one_per_change_of_state(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)

    def reasons() -> list[str]:
        return sorted(event["reason"] for event in platform.events("avatars", team))

    # They are posted after the status.
    before = ["Available", "Configured", "KeyIssued"]
    eventually(lambda: reasons() == before)
    # Several passes more, and nothing to tell.
    for number in range(3):
        platform.kube.kubectl("annotate", "mb/avatars", "-n", team, f"example.com/n={number}", "--overwrite")
    platform.kube.kubectl(
        "patch", "mb/avatars", "-n", team, "--type=merge", "-p", '{"spec":{"resyncIntervalSeconds":60}}'
    )
    eventually(lambda: platform.get("avatars", team)["status"]["observedGeneration"] == 2)
    assert reasons() == before


def test_last_transition_moves_only_when_the_status_flips(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    before = {known["type"]: known for known in platform.get("avatars", team)["status"]["conditions"]}
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS, tags=[{"key": "a", "value": "b"}]))
    eventually(lambda: platform.get("avatars", team)["status"]["observedGeneration"] == 2)
    platform.wait("avatars", team)
    for after in platform.get("avatars", team)["status"]["conditions"]:
        assert after["status"] == before[after["type"]]["status"], after
        assert after["lastTransitionTime"] == before[after["type"]]["lastTransitionTime"], after


def test_every_aspect_follows_an_edit(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    edited = media_bucket(
        "avatars",
        team,
        "store",
        cors=ORIGINS,
        versioning="Enabled",
        publicAccess="PublicRead",
        lifecycle={"expirePendingDays": 7, "expireNoncurrentDays": 30},
        tags=[{"key": "team", "value": "a"}],
    )
    platform.kube.apply(edited)
    admin = platform.admin(f"{team}-avatars")
    eventually(lambda: admin.get_versioning() == "Enabled" and admin.get_tags().get("team") == "a")
    eventually(lambda: platform.get("avatars", team)["status"]["observedGeneration"] == 2)
    policy = admin.get_policy()
    assert policy is not None
    assert [statement["Sid"] for statement in policy["Statement"]] == ["MediabucketPublicRead"]
    assert {rule["ID"]: rule.get("Expiration") for rule in admin.get_lifecycle()}["mediabucket-expire-pending"] == {
        "Days": 7
    }


def test_drift_is_repaired_and_told(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS, resyncIntervalSeconds=30))
    platform.wait("avatars", team)
    admin = platform.admin(f"{team}-avatars")
    admin.delete_cors()
    platform.kube.kubectl("annotate", "mb/avatars", "-n", team, "example.com/look=1")
    eventually(lambda: admin.get_cors() != [])
    told = eventually(
        lambda: [event for event in platform.events("avatars", team) if event["reason"] == "DriftRepaired"]
    )
    assert told[0]["message"] == "cors.mediabucket-uploads set"


def test_drift_is_repaired_without_anybody_asking(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS, resyncIntervalSeconds=30))
    platform.wait("avatars", team)
    admin = platform.admin(f"{team}-avatars")
    admin.delete_cors()
    eventually(lambda: admin.get_cors() != [], seconds=40)


def test_observe_writes_a_plan_and_nothing_else(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS, managementPolicy="Observe"))
    found = eventually(
        lambda: platform.get("avatars", team).get("status", {}).get("plan") and platform.get("avatars", team)
    )
    steps = {(step["action"], step["aspect"], step["path"]) for step in found["status"]["plan"]}
    assert ("Create", "bucket", "name") in steps
    assert ("Create", "cors", "mediabucket-uploads") in steps
    assert not platform.admin(f"{team}-avatars").exists()
    assert platform.kube.find("secret", "avatars-media", team) is None
    told = eventually(lambda: [event for event in platform.events("avatars", team) if event["reason"] == "Planned"])
    assert "would create bucket.name" in told[0]["message"]
    platform.kube.kubectl(
        "patch", "mb/avatars", "-n", team, "--type=merge", "-p", '{"spec":{"managementPolicy":"Manage"}}'
    )
    platform.wait("avatars", team)
    assert "plan" not in platform.get("avatars", team)["status"]


def test_pause_does_nothing_and_still_deletes_under_retain(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store", managementPolicy="Pause"))
    eventually(lambda: condition(platform.get("avatars", team), "Ready").get("reason") == "Paused")
    assert not platform.admin(f"{team}-avatars").exists()
    platform.kube.kubectl("delete", "mb/avatars", "-n", team, "--timeout=20s")


def test_who_comes_second_makes_no_write_and_is_told_who_came_first(platform: Platform, team: str) -> None:
    bucket = f"shared-{team}"
    platform.kube.apply(namespace(f"{team}-b"))
    platform.kube.apply(media_bucket("first", team, "store", bucketName=bucket))
    platform.wait("first", team)
    tags = platform.admin(bucket).get_tags()
    for name, where in (("second", team), ("third", f"{team}-b")):
        platform.kube.apply(media_bucket(name, where, "store", bucketName=bucket, cors=ORIGINS))
        owned = eventually(lambda name=name, where=where: condition(platform.get(name, where), "BucketOwned"))  # type: ignore[misc]
        assert owned["status"] == "False"
        assert owned["reason"] in ("BucketClaimed", "ForeignOwner")
        assert f"{team}/first" in owned["message"]
        assert platform.kube.find("secret", f"{name}-media", where) is None
    assert platform.admin(bucket).get_tags() == tags
    assert platform.admin(bucket).get_cors() == []
    # And when the first is gone, the bucket is still its own: Retain.
    platform.kube.kubectl("delete", "mb/first", "-n", team, "--timeout=20s")

    def told() -> list[str]:
        claims = [condition(platform.get("second", team), "BucketOwned")]
        claims.append(condition(platform.get("third", f"{team}-b"), "BucketOwned"))
        return [claim["message"] for claim in claims if claim["reason"] == "ForeignOwner"]

    # The older of the two; the other one waits for it.
    assert f"{team}/first" in eventually(told)[0]


def test_a_bucket_of_another_cluster_is_left_alone(platform: Platform, team: str) -> None:
    admin = platform.admin(f"{team}-avatars")
    admin.create("us-east-1", {})
    marks = {
        "mediabucket.dev/owner-uid": "another",
        "mediabucket.dev/owner": f"{team}/avatars",
        "mediabucket.dev/cluster": "production",
        "mediabucket.dev/origin": "Created",
    }
    admin.put_tags(marks)
    platform.kube.apply(media_bucket("avatars", team, "store", cors=ORIGINS))
    owned = eventually(lambda: condition(platform.get("avatars", team), "BucketOwned"))
    assert (owned["reason"], owned["message"]) == (
        "ForeignOwner",
        f"bucket {team}-avatars belongs to {team}/avatars of cluster production: choose another bucketName",
    )
    assert admin.get_tags() == marks


def test_namespaces_and_limits_of_a_store_are_enforced(platform: Platform, team: str) -> None:
    limited = {
        "allowedNamespaces": {"matchLabels": {"media": "yes"}},
        "limits": {"maxUploadBytes": 1000, "allowAdoption": "Forbidden"},
    }
    platform.kube.apply(*store_documents(f"limited-{team}", platform.store.connection, **limited))
    platform.kube.apply(media_bucket("avatars", team, f"limited-{team}"))
    refused = eventually(lambda: condition(platform.get("avatars", team), "BucketOwned"))
    assert refused["reason"] == "NamespaceNotAllowed"
    assert not platform.admin(f"{team}-avatars").exists()
    platform.kube.kubectl("label", "namespace", team, "media=yes")
    platform.kube.kubectl("annotate", "mb/avatars", "-n", team, "example.com/look=1")
    eventually(lambda: condition(platform.get("avatars", team), "BucketOwned")["reason"] == "LimitExceeded")
    message = condition(platform.get("avatars", team), "BucketOwned")["message"]
    assert message.endswith("uploads.maxBytes is 104857600, at most 1000 is allowed")
    platform.kube.apply(media_bucket("avatars", team, f"limited-{team}", uploads={"maxBytes": 1000}))
    platform.wait("avatars", team)


def test_a_changed_store_reaches_its_buckets_within_seconds(platform: Platform, team: str) -> None:
    name = f"moving-{team}"
    connection = platform.store.connection
    platform.kube.apply(*store_documents(name, connection))
    platform.kube.apply(media_bucket("avatars", team, name))
    platform.wait("avatars", team)
    wrong = connection.model_copy(update={"secret_access_key": type(connection.secret_access_key)("wrong" * 8)})
    platform.kube.apply(store_documents(name, wrong)[0])
    eventually(lambda: condition(platform.get("avatars", team), "Ready")["status"] == "False", seconds=20)
    eventually(lambda: condition(platform.kube.get("ostore", name), "Ready")["reason"] == "AccessDenied")
    platform.kube.apply(store_documents(name, connection)[0])
    platform.wait("avatars", team, timeout=30)
    # And its endpoint: the same server by another name.
    other = connection.endpoint.replace("127.0.0.1", "localhost")
    platform.kube.apply(store_documents(name, connection.model_copy(update={"endpoint": other}))[1])
    eventually(lambda: platform.get("avatars", team)["status"]["endpoint"] == other, seconds=20)


def test_no_store_yet(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, f"later-{team}"))
    waiting = eventually(lambda: condition(platform.get("avatars", team), "StoreReachable"))
    assert (waiting["status"], waiting["reason"]) == ("False", "ObjectStoreMissing")
    platform.kube.apply(*store_documents(f"later-{team}", platform.store.connection))
    platform.wait("avatars", team, timeout=20)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, "CredentialsMissing"),
        ({"AWS_ACCESS_KEY_ID": "only"}, "CredentialsIncomplete"),
    ],
)
def test_bad_credentials_are_told(platform: Platform, team: str, secret: dict[str, str] | None, reason: str) -> None:
    documents = store_documents(f"bad-{team}", platform.store.connection)
    documents[0]["stringData"] = secret
    platform.kube.apply(*(documents if secret is not None else documents[1:]))
    ready = eventually(lambda: condition(platform.kube.get("ostore", f"bad-{team}"), "Ready"))
    assert ready["reason"] == reason
    assert OPERATOR_NAMESPACE in ready["message"]


def test_a_secret_outside_of_the_operators_namespace_is_not_even_read(platform: Platform, team: str) -> None:
    documents = store_documents(f"elsewhere-{team}", platform.store.connection)
    documents[1]["spec"]["credentialsSecretRef"]["namespace"] = team
    platform.kube.apply(documents[1])
    ready = eventually(lambda: condition(platform.kube.get("ostore", f"elsewhere-{team}"), "Ready"))
    assert ready["reason"] == "CredentialsNamespace"


def test_a_bucket_that_vanished_is_made_again_only_when_asked(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("avatars", team, "store"))
    platform.wait("avatars", team)
    admin = platform.admin(f"{team}-avatars")
    admin.delete()
    platform.kube.kubectl("annotate", "mb/avatars", "-n", team, "example.com/look=1")
    eventually(lambda: condition(platform.get("avatars", team), "BucketOwned")["reason"] == "BucketMissing")
    assert not admin.exists()
    platform.kube.kubectl("annotate", "mb/avatars", "-n", team, "mediabucket.dev/recreate=true")
    platform.wait("avatars", team)
    assert admin.exists()


def test_a_default_bucket_name_that_is_too_long_is_told(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("a" * 61, team, "store"))
    told = eventually(lambda: condition(platform.get("a" * 61, team), "BucketOwned"))
    assert (told["status"], told["reason"]) == ("False", "BucketNameTooLong")
    platform.kube.kubectl("delete", f"mb/{'a' * 61}", "-n", team, "--timeout=20s")


def test_a_stored_object_of_another_version_is_read(platform: Platform, team: str) -> None:
    """A field fewer and a field more, in spec and in status: written past the schema, as an older CRD would have."""
    crd = platform.kube.get("crd", "mediabuckets.mediabucket.dev")
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    strict = copy.deepcopy(schema)
    del schema["x-kubernetes-validations"]
    for part in ("spec", "status"):
        schema["properties"][part] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    platform.kube.kubectl("replace", "-f", "-", stdin=crd)
    try:
        old = {
            "apiVersion": "mediabucket.dev/v1alpha1",
            "kind": "MediaBucket",
            "metadata": {"name": "old", "namespace": team},
            "spec": {"storeRef": {"name": "store"}, "service": {"state": "Disabled"}, "color": "blue"},
        }

        def applied() -> bool:
            platform.kube.kubectl("apply", "-f", "-", stdin=old)
            return "color" in platform.get("old", team)["spec"]

        eventually(applied)
        status = '{"status":{"phase":"Happy","conditions":[{"type":"Old"}]}}'
        platform.kube.kubectl("patch", "mb/old", "-n", team, "--subresource=status", "--type=merge", "-p", status)
        platform.kube.kubectl("annotate", "mb/old", "-n", team, "example.com/look=1")
        platform.wait("old", team)
    finally:
        fresh = platform.kube.get("crd", "mediabuckets.mediabucket.dev")
        fresh["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = strict
        platform.kube.kubectl("replace", "-f", "-", stdin=fresh)
    assert platform.operator.health() == (200, "ok\n")
