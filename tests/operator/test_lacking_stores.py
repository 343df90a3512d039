"""Stores that fail, lack parts of S3, or do not keep what they accept."""

import json
from typing import Any

import pytest
from counted_store import EVERYTHING, NOW, CountedAdmin, MakeResource, Pass, condition, failing

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.status import Capability, CapabilityVerdict, ConditionStatus, ConditionType
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.aspects.cors import normal_rule
from mediabucket_operator.aspects.policy import normal_statement
from mediabucket_operator.reconcile import reconcile
from mediabucket_s3.errors import AccessDenied, NotImplementedByStore, StoreUnavailable


def test_one_failing_aspect_stops_no_other(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "put_cors", failing(AccessDenied("PutBucketCors", "AccessDenied", 403)))
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

    monkeypatch.setattr(admin, method, failing(StoreUnavailable("HeadBucket", "EndpointConnectionError")))
    outcome = run_pass(make_resource(status=good.status))
    assert condition(outcome, ConditionType.STORE_REACHABLE).status == ConditionStatus.FALSE
    assert condition(outcome, ConditionType.READY).status == ConditionStatus.FALSE
    assert condition(outcome, ConditionType.POLICY_SYNCED) == condition(good, ConditionType.POLICY_SYNCED)
    assert outcome.status.lifecycle == good.status.lifecycle


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


ASPECT_CONDITIONS = {
    "policy": ConditionType.POLICY_SYNCED,
    "cors": ConditionType.CORS_SYNCED,
    "encryption": ConditionType.ENCRYPTION_SYNCED,
    "versioning": ConditionType.VERSIONING_SYNCED,
}


@pytest.mark.parametrize("verb", ["get", "put"])
@pytest.mark.parametrize("aspect", ASPECT_CONDITIONS)
def test_what_a_store_lacks_is_a_sentence(
    make_resource: MakeResource,
    run_pass: Pass,
    admin: CountedAdmin,
    monkeypatch: pytest.MonkeyPatch,
    aspect: str,
    verb: str,
) -> None:
    lacking = NotImplementedByStore(f"{verb} {aspect}", "NotImplemented", 501)
    monkeypatch.setattr(admin, f"{verb}_{aspect}", failing(lacking))
    outcome = run_pass(make_resource(**EVERYTHING))
    told = condition(outcome, ASPECT_CONDITIONS[aspect])
    assert (told.status, told.reason) == (ConditionStatus.FALSE, "NotImplementedByStore")
    assert f"the store of {admin.bucket} lacks this: " in told.message
    ready = condition(outcome, ConditionType.READY)
    assert ready.message.startswith(f"{ASPECT_CONDITIONS[aspect]}: ")
    others = set(ASPECT_CONDITIONS.values()) - {ASPECT_CONDITIONS[aspect]}
    assert {condition(outcome, kind).status for kind in others} == {ConditionStatus.TRUE}
    assert not [change for change in outcome.changes if change.aspect == aspect and change.applied]


def rules_in(message: str) -> Any:
    """What the condition asks a person to set."""
    return json.loads(message.partition("; set by the store's own means: ")[2])


@pytest.mark.parametrize("how", ["it said so", "a probe found so"])
def test_what_a_person_has_to_set_instead_is_told(
    make_resource: MakeResource,
    run_pass: Pass,
    admin: CountedAdmin,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    resource = make_resource(**EVERYTHING)
    # What the store is given where it has all of it is what a person must set where it has not.
    run_pass(resource)
    [cors], policy = admin.get_cors(), admin.get_policy()
    assert policy is not None
    lacking: list[Capability] = []
    if how == "it said so":
        for method in ("get_cors", "get_policy"):
            monkeypatch.setattr(admin, method, failing(NotImplementedByStore(method, "NotImplemented", 501)))
    else:
        names = (CapabilityName.CORS_PREFLIGHT, CapabilityName.BUCKET_POLICY)
        lacking = [Capability(name=name, verdict=CapabilityVerdict.UNSUPPORTED, probed_at=NOW) for name in names]
    outcome = reconcile(resource, admin, connection=seaweedfs.connection, now=NOW, capabilities=lacking)
    [asked] = rules_in(condition(outcome, ConditionType.CORS_SYNCED).message)
    assert normal_rule(asked) == normal_rule(cors)
    assert asked["AllowedOrigins"] == EVERYTHING["cors"]["allowedOrigins"]
    statements = rules_in(condition(outcome, ConditionType.POLICY_SYNCED).message)
    assert [normal_statement(one) for one in statements] == [normal_statement(one) for one in policy["Statement"]]
    assert f"arn:aws:s3:::{admin.bucket}/uploads/*" in condition(outcome, ConditionType.POLICY_SYNCED).message


def test_what_a_store_lacks_and_nobody_asks_for_is_no_problem(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("get_policy", "get_cors", "get_encryption", "get_versioning", "get_lifecycle"):
        monkeypatch.setattr(admin, method, failing(NotImplementedByStore(method, "NotImplemented", 501)))
    metadata = {"generation": 1}
    first = run_pass(make_resource(metadata, requireTLS="Disabled"))
    assert condition(first, ConditionType.READY).status == ConditionStatus.TRUE
    assert {rule.enforced_by for rule in first.status.lifecycle} == {"Service"}
    assert condition(first, ConditionType.LIFECYCLE_ENFORCED).reason == "NotImplementedByStore"
    second = run_pass(make_resource(metadata, first.status, requireTLS="Disabled"))
    assert (second.status, admin.writes) == (first.status, [])


def test_a_rule_that_could_not_be_written_is_not_given_up(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"generation": 1}
    monkeypatch.setattr(admin, "put_lifecycle", failing(AccessDenied("PutBucketLifecycle", "AccessDenied", 403)))
    first = run_pass(make_resource(metadata))
    assert first.status.lifecycle == (), "nothing is known about who carries them out"
    assert {change.aspect for change in first.changes if not change.applied} == {"lifecycle"}
    assert "lifecycle.mediabucket-expire-pending" in condition(first, ConditionType.DRIFTED).message
    monkeypatch.undo()
    second = run_pass(make_resource(metadata, first.status))
    assert {rule.enforced_by for rule in second.status.lifecycle} == {"Store"}


def test_rules_dropped_one_after_the_other_are_all_remembered(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata, keep = {"generation": 1}, admin.put_lifecycle
    kept = ["Expiration", "AbortIncompleteMultipartUpload"]
    monkeypatch.setattr(
        admin, "put_lifecycle", lambda rules: keep([rule for rule in rules if any(action in rule for action in kept)])
    )
    first = run_pass(make_resource(metadata, **EVERYTHING))
    kept.remove("AbortIncompleteMultipartUpload")
    admin.delete_lifecycle()
    second = run_pass(make_resource(metadata, first.status, **EVERYTHING))
    assert [rule.enforced_by for rule in second.status.lifecycle] == ["Store", "Service", "Nobody"]
    assert condition(second, ConditionType.LIFECYCLE_ENFORCED).status == ConditionStatus.FALSE


def test_a_field_that_a_store_drops_is_named(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = admin.put_cors
    monkeypatch.setattr(admin, "put_cors", lambda rules: keep([{**rule, "MaxAgeSeconds": 0} for rule in rules]))
    outcome = run_pass(make_resource(**EVERYTHING))
    told = condition(outcome, ConditionType.CORS_SYNCED)
    assert (told.status, told.reason) == (ConditionStatus.FALSE, "NotKeptByStore")
    assert "mediabucket-uploads.maxAgeSeconds" in told.message
    assert [change.applied for change in outcome.changes if change.aspect == "cors"] == [False]
    assert condition(outcome, ConditionType.DRIFTED).status == ConditionStatus.FALSE


def test_what_could_not_be_compared_is_said(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = make_resource(**EVERYTHING)
    assert run_pass(resource).complete
    monkeypatch.setattr(admin, "get_cors", failing(AccessDenied("GetBucketCors", "AccessDenied", 403)))
    planned = run_pass(resource, dry_run=True)
    assert (planned.changes, planned.complete) == ((), False)


def test_a_refusal_shows_that_the_store_answers_again(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = None
    for error in (
        StoreUnavailable("HeadBucket", "EndpointConnectionError"),
        AccessDenied("HeadBucket", "AccessDenied", 403),
    ):
        monkeypatch.setattr(admin, "exists", failing(error))
        outcome = run_pass(make_resource(status=status))
        status = outcome.status
    assert condition(outcome, ConditionType.STORE_REACHABLE).status == ConditionStatus.TRUE
    assert condition(outcome, ConditionType.READY).message.startswith("BucketOwned: ")


def test_where_cors_rules_lose_their_ids_a_former_origin_goes(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = admin.put_cors

    def without_ids(rules: list[dict[str, Any]]) -> None:
        keep([{name: value for name, value in rule.items() if name != "ID"} for rule in rules])

    monkeypatch.setattr(admin, "put_cors", without_ids)
    partner = {"AllowedOrigins": ["https://partner.example"], "AllowedMethods": ["GET"]}
    run_pass(make_resource(cors={"allowedOrigins": ["https://old.example"]}))
    without_ids([*admin.get_cors(), partner])
    resource = make_resource(cors={"allowedOrigins": ["https://new.example"]})
    run_pass(resource)
    assert [rule["AllowedOrigins"] for rule in admin.get_cors()] == [
        ["https://new.example"],
        ["https://partner.example"],
    ]
    assert run_pass(resource).changes == ()
