"""Passes over a bucket on a real store: what is written, what is left alone, and what is told."""

from datetime import timedelta
from typing import Any

import pytest
from counted_store import EVERYTHING, NOW, CountedAdmin, MakeResource, Pass, condition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediabucket_api.constants import OWNER_TAG, RECREATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import ConditionStatus, ConditionType, MediaBucketStatus, OwnershipState
from mediabucket_operator.aspects.policy import statements_of
from mediabucket_operator.reconcile import claim

DELETIONS = {"DeleteBucket", "DeleteObject", "DeleteObjects"}
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


def test_observe_writes_nothing(make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin) -> None:
    run_pass(make_resource())
    observed = run_pass(make_resource(managementPolicy="Observe", **EVERYTHING))
    assert admin.writes == []
    assert observed.changes
    assert not any(change.applied for change in observed.changes)
    drifted = condition(observed, ConditionType.DRIFTED)
    assert drifted.status == ConditionStatus.TRUE
    assert "lifecycle.mediabucket-expire-noncurrent" in drifted.message


def test_observe_does_not_call_an_unmarked_bucket_ours(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    admin.create("us-east-1", {})
    observed = run_pass(make_resource(managementPolicy="Observe", adoptionPolicy="Adopt"))
    assert admin.writes == []
    assert observed.status.ownership is None
    assert condition(observed, ConditionType.BUCKET_OWNED).status == ConditionStatus.FALSE
    assert observed.changes[0].path == "owner"


def test_pause_does_not_even_read_and_keeps_the_last_state(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    unknown = run_pass(make_resource(managementPolicy="Pause"))
    assert (admin.called, unknown.changes) == ([], ())
    assert {found.type for found in unknown.status.conditions} == set(ConditionType)
    ready = condition(unknown, ConditionType.READY)
    assert (ready.status, ready.reason) == (ConditionStatus.UNKNOWN, "Paused")
    before = run_pass(make_resource(**EVERYTHING)).status
    paused = run_pass(make_resource(status=before, managementPolicy="Pause"))
    assert (admin.called, paused.status) == ([], before)


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


EDITS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **{name: st.just(value) for name, value in EVERYTHING.items() if name not in ("lifecycle", "versioning")},
            "versioning": st.sampled_from(["Enabled", "Suspended"]),
            "deletionPolicy": st.sampled_from(["Retain", "DeleteIfEmpty", "Destroy"]),
            "managementPolicy": st.sampled_from(["Manage", "Observe", "Pause"]),
            "driftPolicy": st.sampled_from(["Correct", "Warn"]),
        },
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.promise(7)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, lives=st.lists(st.sampled_from(["first", "second", "third"]), min_size=1, max_size=3))
def test_promise_7_no_edit_and_no_second_life_deletes_data(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, edits: list[dict[str, Any]], lives: list[str]
) -> None:
    """Fields are edited, the resource is removed and applied again with a new UID: the data are there."""
    run_pass(make_resource({"uid": "first"}))
    admin.write_object("uploads/precious", b"precious", "text/plain")
    admin.write_object("pending/under-way", b"under way", "text/plain")
    for uid in lives:
        status = None
        for generation, spec in enumerate(edits):
            outcome = run_pass(make_resource({"uid": uid, "generation": generation}, status, **spec))
            status = outcome.status
            assert not DELETIONS & set(admin.called)
    run_pass(make_resource({"uid": "last"}))
    assert not DELETIONS & set(admin.called)
    assert admin.get_tags()[OWNER_TAG] == "last"
    assert admin.read_object("uploads/precious") == b"precious"
    assert admin.read_object("pending/under-way") == b"under way"


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
