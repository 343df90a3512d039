"""Passes over a bucket on a real store: what is written, what is left alone, and what is told."""

from datetime import timedelta
from typing import Any

import pytest
from counted_store import NOW, CountedAdmin, MakeResource, Pass

from mediabucket_api.constants import OWNER_TAG, RECREATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Condition, ConditionStatus, ConditionType, MediaBucketStatus, OwnershipState
from mediabucket_operator.aspects.policy import statements_of
from mediabucket_operator.reconcile import Outcome, claim
from mediabucket_s3.errors import AccessDenied, StoreUnavailable

EVERYTHING: dict[str, Any] = {
    "cors": {"allowedOrigins": ["https://chat.example.com"]},
    "publicAccess": "PublicRead",
    "encryption": {"type": "SSES3"},
    "versioning": "Enabled",
    "lifecycle": {"expireNoncurrentDays": 30},
    "tags": [{"key": "team", "value": "chat"}],
}
FOREIGN_STATEMENT = {
    "Sid": "Partner",
    "Effect": "Allow",
    "Principal": {"AWS": ["*"]},
    "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::{bucket}/partner/*"],
}
FOREIGN_CORS = {"ID": "partner", "AllowedOrigins": ["https://partner.example"], "AllowedMethods": ["GET"]}
FOREIGN_LIFECYCLE = {
    "ID": "partner",
    "Status": "Enabled",
    "Filter": {"Prefix": "partner/"},
    "Expiration": {"Days": 7},
}


def condition(outcome: Outcome, kind: ConditionType) -> Condition:
    return next(found for found in outcome.status.conditions if found.type == kind)


@pytest.mark.parametrize("spec", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_applying_twice_writes_once(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, spec: dict[str, Any]
) -> None:
    resource = make_resource(**spec)
    first = run_pass(resource)
    assert admin.writes[0] == "CreateBucket"
    assert all(change.applied for change in first.changes)
    assert condition(first, ConditionType.READY).status == ConditionStatus.TRUE
    second = run_pass(resource)
    assert (second.changes, admin.writes) == ((), [])
    assert condition(second, ConditionType.READY).status == ConditionStatus.TRUE


def test_a_dry_run_tells_all_and_writes_nothing(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    planned = run_pass(make_resource(**EVERYTHING), dry_run=True)
    assert admin.writes == []
    assert not admin.exists()
    assert {change.aspect for change in planned.changes} >= {"bucket", "policy", "cors", "lifecycle", "versioning"}
    assert not any(change.applied for change in planned.changes)


def test_observe_writes_nothing_and_pause_does_not_even_read(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    run_pass(make_resource())
    observed = run_pass(make_resource(managementPolicy="Observe", **EVERYTHING))
    assert admin.writes == []
    assert observed.changes
    assert condition(observed, ConditionType.DRIFTED).status == ConditionStatus.TRUE
    run_pass(make_resource(managementPolicy="Pause", **EVERYTHING))
    assert admin.called == []


def test_what_others_set_up_stays(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, bucket_name: str
) -> None:
    run_pass(make_resource())
    statement = FOREIGN_STATEMENT | {"Resource": [f"arn:aws:s3:::{bucket_name}/partner/*"]}
    admin.put_policy({"Version": "2012-10-17", "Statement": [statement]})
    admin.put_cors([FOREIGN_CORS, *admin.get_cors()])
    admin.put_lifecycle([FOREIGN_LIFECYCLE, *admin.get_lifecycle()])
    admin.put_tags(admin.get_tags() | {"cost-centre": "42"})

    for spec in (EVERYTHING, {}):
        run_pass(make_resource(**spec))
        assert "Partner" in [statement["Sid"] for statement in statements_of(admin.get_policy() or {})]
        assert "partner" in [rule.get("ID") for rule in admin.get_cors()]
        assert "partner" in [rule["ID"] for rule in admin.get_lifecycle()]
        assert admin.get_tags()["cost-centre"] == "42"
    assert [rule["ID"] for rule in admin.get_cors()] == ["partner"], "without origins our own rule goes"


@pytest.mark.parametrize(
    ("aspect", "drift"),
    [
        ("policy", lambda admin: admin.delete_policy()),
        ("cors", lambda admin: admin.put_cors([{**admin.get_cors()[0], "AllowedOrigins": ["https://evil.example"]}])),
        ("lifecycle", lambda admin: admin.delete_lifecycle()),
        ("encryption", lambda admin: admin.delete_encryption()),
        ("versioning", lambda admin: admin.put_versioning("Suspended")),
        ("tags", lambda admin: admin.put_tags(admin.get_tags() | {"team": "somebody else"})),
    ],
)
def test_drift_is_found_and_healed(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, aspect: str, drift: Any
) -> None:
    resource = make_resource(**EVERYTHING)
    run_pass(resource)
    drift(admin)
    planned = run_pass(resource, dry_run=True)
    assert {change.aspect for change in planned.changes} == {aspect}
    assert condition(planned, ConditionType.READY).status == ConditionStatus.FALSE
    healed = run_pass(resource)
    assert [change.path for change in healed.changes] == [change.path for change in planned.changes]
    assert run_pass(resource).changes == ()


def test_drift_is_only_told_under_warn(make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin) -> None:
    metadata = {"generation": 3}
    first = run_pass(make_resource(metadata, driftPolicy="Warn", **EVERYTHING))
    admin.delete_lifecycle()
    told = run_pass(make_resource(metadata, first.status, driftPolicy="Warn", **EVERYTHING))
    assert admin.writes == []
    assert condition(told, ConditionType.DRIFTED).status == ConditionStatus.TRUE or told.changes
    edited = run_pass(make_resource({"generation": 4}, told.status, driftPolicy="Warn", **EVERYTHING))
    assert all(change.applied for change in edited.changes)


def test_a_foreign_bucket_is_not_touched(make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin) -> None:
    run_pass(make_resource({"name": "theirs"}))
    refused = run_pass(make_resource({"name": "ours"}, **EVERYTHING))
    assert admin.writes == []
    owned = condition(refused, ConditionType.BUCKET_OWNED)
    assert (owned.status, owned.reason) == (ConditionStatus.FALSE, "ForeignOwner")
    assert "team-a/theirs" in owned.message
    assert refused.status.ownership is not None
    assert refused.status.ownership.state == OwnershipState.FOREIGN


def test_an_unmarked_bucket_is_adopted_only_when_asked(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    admin.create("us-east-1", {})
    admin.write_object("uploads/precious", b"precious", "text/plain")
    refused = run_pass(make_resource())
    assert admin.writes == []
    assert condition(refused, ConditionType.BUCKET_OWNED).reason == "BucketExists"
    adopted = run_pass(make_resource(adoptionPolicy="Adopt"))
    assert condition(adopted, ConditionType.READY).status == ConditionStatus.TRUE
    assert admin.read_object("uploads/precious") == b"precious"


def test_a_crash_between_making_and_marking_heals(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    claimed = claim(make_resource())
    admin.create("us-east-1", {})
    healed = run_pass(make_resource(status=claimed))
    assert condition(healed, ConditionType.READY).status == ConditionStatus.TRUE
    assert OWNER_TAG in admin.get_tags()


def test_a_bucket_that_vanished_is_not_made_again_in_silence(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    first = run_pass(make_resource())
    admin.delete()
    missing = run_pass(make_resource(status=first.status))
    assert admin.writes == []
    assert condition(missing, ConditionType.BUCKET_OWNED).reason == "BucketMissing"
    asked = {"annotations": {RECREATE_ANNOTATION: "true"}}
    assert condition(run_pass(make_resource(asked, missing.status)), ConditionType.READY).status == "True"


@pytest.mark.promise(7)
def test_promise_7_no_edit_and_no_second_life_deletes_data(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    """Every field is edited, the resource is removed and applied again with a new UID: the data are there."""
    run_pass(make_resource({"uid": "first life"}))
    admin.write_object("uploads/precious", b"precious", "text/plain")
    admin.write_object("pending/under-way", b"under way", "text/plain")
    called: list[str] = []
    lives = [
        make_resource({"uid": "first life"}, **EVERYTHING),
        make_resource({"uid": "first life"}, deletionPolicy="Destroy"),
        make_resource({"uid": "second life"}),
        make_resource({"uid": "second life"}, **EVERYTHING),
    ]
    for resource in lives:
        outcome = run_pass(resource)
        called += admin.called
        assert condition(outcome, ConditionType.READY).status == ConditionStatus.TRUE
    assert not {"DeleteBucket", "DeleteObject", "DeleteObjects"} & set(called)
    assert admin.read_object("uploads/precious") == b"precious"
    assert admin.read_object("pending/under-way") == b"under way"


def test_one_failing_aspect_stops_no_other(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise AccessDenied("PutBucketCors", "AccessDenied", 403)

    monkeypatch.setattr(admin, "put_cors", denied)
    outcome = run_pass(make_resource(**EVERYTHING))
    assert condition(outcome, ConditionType.CORS_SYNCED).reason == "AccessDenied"
    assert condition(outcome, ConditionType.LIFECYCLE_ENFORCED).status == ConditionStatus.TRUE
    ready = condition(outcome, ConditionType.READY)
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, "AccessDenied")
    assert ready.message.startswith("CorsSynced: ")
    monkeypatch.undo()
    assert condition(run_pass(make_resource(**EVERYTHING)), ConditionType.READY).status == ConditionStatus.TRUE


@pytest.mark.parametrize("method", ["exists", "get_policy"])
def test_an_unreachable_store_keeps_the_last_good_state(
    make_resource: MakeResource,
    run_pass: Pass,
    admin: CountedAdmin,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    good = run_pass(make_resource())

    def unreachable(*_: object) -> None:
        raise StoreUnavailable("HeadBucket", "EndpointConnectionError")

    monkeypatch.setattr(admin, method, unreachable)
    outcome = run_pass(make_resource(status=good.status))
    assert condition(outcome, ConditionType.STORE_REACHABLE).status == ConditionStatus.FALSE
    assert condition(outcome, ConditionType.READY).status == ConditionStatus.FALSE
    assert condition(outcome, ConditionType.POLICY_SYNCED) == condition(good, ConditionType.POLICY_SYNCED)
    assert outcome.status.lifecycle == good.status.lifecycle


def test_transition_times_move_only_when_a_status_flips(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    def visit(resource: MediaBucket, hours: int) -> MediaBucketStatus:
        return run_pass(resource, now=NOW + timedelta(hours=hours)).status

    first = visit(make_resource(**EVERYTHING), 0)
    assert {found.type for found in first.conditions} == set(ConditionType)
    second = visit(make_resource(status=first, **EVERYTHING), 1)
    assert second == first
    admin.delete_cors()
    third = visit(make_resource(status=second, managementPolicy="Observe", **EVERYTHING), 2)
    flipped = {found.type for found in third.conditions if found.last_transition_time == NOW + timedelta(hours=2)}
    assert flipped == {ConditionType.READY, ConditionType.CORS_SYNCED, ConditionType.DRIFTED}


def test_rules_that_a_store_drops_are_carried_out_by_the_service(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = admin.put_lifecycle

    def dropping(rules: list[dict[str, Any]]) -> None:
        keep([rule for rule in rules if "AbortIncompleteMultipartUpload" not in rule])

    monkeypatch.setattr(admin, "put_lifecycle", dropping)
    metadata = {"generation": 1}
    first = run_pass(make_resource(metadata))
    assert {rule.id: rule.enforced_by for rule in first.status.lifecycle} == {
        "mediabucket-expire-pending": "Store",
        "mediabucket-abort-incomplete-multipart": "Service",
    }
    assert condition(first, ConditionType.LIFECYCLE_ENFORCED).reason == "EnforcedByService"
    assert condition(first, ConditionType.READY).status == ConditionStatus.TRUE
    second = run_pass(make_resource(metadata, first.status))
    assert (second.changes, admin.writes) == ((), []), "what the store drops is not written again and again"
    assert second.status.lifecycle == first.status.lifecycle


def test_a_rule_that_nobody_carries_out_is_told(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = admin.put_lifecycle
    monkeypatch.setattr(
        admin,
        "put_lifecycle",
        lambda rules: keep([rule for rule in rules if "NoncurrentVersionExpiration" not in rule]),
    )
    outcome = run_pass(make_resource(**EVERYTHING))
    assert outcome.status.lifecycle[-1].enforced_by == "Nobody"
    told = condition(outcome, ConditionType.LIFECYCLE_ENFORCED)
    assert told.status == ConditionStatus.FALSE
    assert "nobody carries out mediabucket-expire-noncurrent" in told.message
