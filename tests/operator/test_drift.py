"""Differences that somebody else made: found, healed, or only told."""

from collections.abc import Callable
from typing import Any

import pytest
from counted_store import EVERYTHING, CountedAdmin, MakeResource, Pass, condition, failing

from mediabucket_api.constants import RECREATE_ANNOTATION
from mediabucket_api.status import ConditionStatus, ConditionType
from mediabucket_operator.aspects.cors import RULE_ID
from mediabucket_operator.aspects.lifecycle import ABORT_MULTIPART, EXPIRE_NONCURRENT, EXPIRE_PENDING
from mediabucket_operator.aspects.policy import PUBLIC_READ
from mediabucket_s3.errors import AccessDenied

Drift = Callable[[CountedAdmin], None]


def changed(rules: list[dict[str, Any]], rule_id: str, **fields: Any) -> list[dict[str, Any]]:
    return [{**rule, **fields} if rule["ID"] == rule_id else rule for rule in rules]


def opened_wide(admin: CountedAdmin) -> None:
    """Another statement under the name of ours, in front of it."""
    policy = admin.get_policy() or {}
    wide = {**policy["Statement"][0], "Resource": f"arn:aws:s3:::{admin.bucket}/*"}
    admin.put_policy({**policy, "Statement": [wide, *policy["Statement"]]})


def conditioned(admin: CountedAdmin) -> None:
    policy = admin.get_policy() or {}
    condition = {"StringLike": {"aws:Referer": "https://elsewhere.example/*"}}
    admin.put_policy({**policy, "Statement": [{**policy["Statement"][0], "Condition": condition}]})


DRIFTS: dict[str, tuple[str, Drift]] = {
    "no policy": (f"policy.{PUBLIC_READ}", lambda admin: admin.delete_policy()),
    "a second statement of our name": (f"policy.{PUBLIC_READ} (2)", opened_wide),
    "our statement under a condition": (f"policy.{PUBLIC_READ}.Condition", conditioned),
    "another origin": (
        f"cors.{RULE_ID}.allowedOrigins",
        lambda admin: admin.put_cors(changed(admin.get_cors(), RULE_ID, AllowedOrigins=["https://evil.example"])),
    ),
    "a second rule of our name": (
        f"cors.{RULE_ID} (2)",
        lambda admin: admin.put_cors([*admin.get_cors(), {**admin.get_cors()[0], "AllowedOrigins": ["*"]}]),
    ),
    "no lifecycle": (f"lifecycle.{ABORT_MULTIPART}", lambda admin: admin.delete_lifecycle()),
    "another prefix": (
        f"lifecycle.{EXPIRE_PENDING}.Prefix",
        lambda admin: admin.put_lifecycle(
            changed(admin.get_lifecycle(), EXPIRE_PENDING, Filter={"Prefix": "uploads/"})
        ),
    ),
    "a rule of ours does more": (
        f"lifecycle.{EXPIRE_NONCURRENT}.Expiration",
        lambda admin: admin.put_lifecycle(changed(admin.get_lifecycle(), EXPIRE_NONCURRENT, Expiration={"Days": 1})),
    ),
    "a rule switched off": (
        f"lifecycle.{EXPIRE_PENDING}.Status",
        lambda admin: admin.put_lifecycle(changed(admin.get_lifecycle(), EXPIRE_PENDING, Status="Disabled")),
    ),
    "no encryption": ("encryption.SSEAlgorithm", lambda admin: admin.delete_encryption()),
    "no versions": ("versioning.status", lambda admin: admin.put_versioning("Suspended")),
    "another tag": ("tags.team", lambda admin: admin.put_tags(admin.get_tags() | {"team": "somebody else"})),
}
every_drift = pytest.mark.parametrize(("field", "drift"), DRIFTS.values(), ids=DRIFTS.keys())


@every_drift
def test_drift_is_found_and_healed(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, field: str, drift: Drift
) -> None:
    resource = make_resource(**EVERYTHING)
    run_pass(resource)
    drift(admin)
    planned = run_pass(resource, dry_run=True)
    assert admin.writes == []
    assert field in {f"{change.aspect}.{change.path}" for change in planned.changes}
    assert {change.aspect for change in planned.changes} == {field.partition(".")[0]}
    assert condition(planned, ConditionType.READY).status == ConditionStatus.FALSE
    healed = run_pass(resource)
    assert [change.path for change in healed.changes] == [change.path for change in planned.changes]
    assert all(change.applied for change in healed.changes)
    assert condition(healed, ConditionType.DRIFTED).status == ConditionStatus.FALSE
    assert run_pass(resource).changes == ()


@every_drift
def test_drift_is_only_told_under_warn(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, field: str, drift: Drift
) -> None:
    def visit(generation: int, status: Any = None) -> Any:
        return run_pass(make_resource({"generation": generation}, status, driftPolicy="Warn", **EVERYTHING))

    status = visit(3).status
    drift(admin)
    for _ in range(2):
        told = visit(3, status)
        status = told.status
        assert admin.writes == []
        drifted = condition(told, ConditionType.DRIFTED)
        assert drifted.status == ConditionStatus.TRUE
        assert field in drifted.message
        assert condition(told, ConditionType.READY).status == ConditionStatus.FALSE
    edited = visit(4, status)
    assert edited.changes
    assert all(change.applied for change in edited.changes)
    assert condition(edited, ConditionType.READY).status == ConditionStatus.TRUE


def test_under_warn_what_failed_at_first_is_tried_again(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "put_cors", failing(AccessDenied("PutBucketCors", "AccessDenied", 403)))
    failed = run_pass(make_resource({"generation": 1}, driftPolicy="Warn", **EVERYTHING))
    monkeypatch.undo()
    healed = run_pass(make_resource({"generation": 1}, failed.status, driftPolicy="Warn", **EVERYTHING))
    assert {change.aspect for change in healed.changes if change.applied} == {"cors"}
    assert condition(healed, ConditionType.READY).status == ConditionStatus.TRUE


def test_under_warn_a_bucket_made_again_is_set_up(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    first = run_pass(make_resource({"generation": 1}, driftPolicy="Warn", **EVERYTHING))
    admin.delete()
    asked = {"generation": 1, "annotations": {RECREATE_ANNOTATION: "true"}}
    again = run_pass(make_resource(asked, first.status, driftPolicy="Warn", **EVERYTHING))
    assert condition(again, ConditionType.READY).status == ConditionStatus.TRUE
    assert run_pass(make_resource(**EVERYTHING), dry_run=True).changes == ()
