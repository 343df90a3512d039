"""The example for Aliyun OSS on a store that lacks what OSS lacks: what docs/operations.md says of it is so."""

from pathlib import Path
from typing import Any

import pytest
from counted_store import NOW, CountedAdmin, condition, failing

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import OWNER_MARKER_KEY
from mediabucket_api.manifest import load_manifest
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Capability, CapabilityVerdict, ConditionStatus, ConditionType, Enforcer
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.reconcile import Outcome, reconcile
from mediabucket_s3.errors import NotImplementedByStore

EXAMPLE = Path(__file__).parents[2] / "examples" / "aliyun-oss.yaml"
LACKED = {
    CapabilityName.CORS_PREFLIGHT: "cors",
    CapabilityName.BUCKET_POLICY: "policy",
    CapabilityName.PUBLIC_ACCESS_BLOCK: "public_access_block",
    CapabilityName.BUCKET_TAGS: "tags",
    CapabilityName.VERSIONING: "versioning",
    CapabilityName.ENCRYPTION: "encryption",
}
RULES = (CapabilityName.LIFECYCLE_EXPIRATION, CapabilityName.LIFECYCLE_ABORT_MULTIPART)


@pytest.fixture
def oss(admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch) -> CountedAdmin:
    for name in LACKED.values():
        for verb in ("get", "put"):
            lacking = failing(NotImplementedByStore(f"{verb} {name}", "NotImplemented", 501))
            monkeypatch.setattr(admin, f"{verb}_{name}", lacking)
    monkeypatch.setattr(admin, "create", lambda region, _: CountedAdmin.create(admin, region, {}))
    return admin


def example(bucket: str, **changes: Any) -> MediaBucket:
    [found] = load_manifest(EXAMPLE).media_buckets
    spec = found.spec.model_dump(by_alias=True, mode="json", exclude_none=True) | {"bucketName": bucket} | changes
    metadata = {"name": found.metadata.name, "namespace": found.metadata.namespace}
    return MediaBucket.model_validate({"metadata": metadata, "spec": spec})


def visited(seaweedfs: SeaweedFS, admin: CountedAdmin, *lacked: CapabilityName, **changes: Any) -> Outcome:
    """A pass, as on a store by HTTPS that a probe has found to lack these."""
    capabilities = [
        Capability(name=name.value, verdict=CapabilityVerdict.UNSUPPORTED, probed_at=NOW) for name in (*LACKED, *lacked)
    ]
    connection = seaweedfs.connection.model_copy(update={"endpoint": "https://s3.oss-cn-hangzhou.aliyuncs.com"})
    resource = example(admin.bucket, **changes)
    return reconcile(resource, admin, connection=connection, now=NOW, capabilities=capabilities)


def test_only_cors_is_told_as_lacking(seaweedfs: SeaweedFS, oss: CountedAdmin) -> None:
    outcome = visited(seaweedfs, oss)
    wrong = {found.type for found in outcome.status.conditions if found.status == ConditionStatus.FALSE}
    assert wrong == {ConditionType.READY, ConditionType.CORS_SYNCED, ConditionType.DRIFTED}
    assert condition(outcome, ConditionType.CORS_SYNCED).reason == "NotImplementedByStore"
    assert condition(outcome, ConditionType.READY).message.startswith("CorsSynced: ")
    assert condition(outcome, ConditionType.PUBLIC_ACCESS_BLOCKED).reason == "NoPublicPolicy"
    assert oss.read_object(OWNER_MARKER_KEY), "without tags the mark is an object"
    assert {rule.enforced_by for rule in outcome.status.lifecycle} == {Enforcer.STORE}


def test_without_origins_it_is_ready(seaweedfs: SeaweedFS, oss: CountedAdmin) -> None:
    outcome = visited(seaweedfs, oss, cors={"allowedOrigins": []})
    assert condition(outcome, ConditionType.READY).status == ConditionStatus.TRUE


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"requireTLS": "Enforced"}, ConditionType.POLICY_SYNCED),
        ({"publicAccess": "PublicRead"}, ConditionType.POLICY_SYNCED),
        ({"versioning": "Enabled"}, ConditionType.VERSIONING_SYNCED),
        ({"encryption": {"type": "SSES3"}}, ConditionType.ENCRYPTION_SYNCED),
        ({"tags": [{"key": "team", "value": "chat"}]}, ConditionType.TAGS_SYNCED),
    ],
)
def test_what_must_not_be_asked_of_it(
    seaweedfs: SeaweedFS, oss: CountedAdmin, changes: dict[str, Any], kind: ConditionType
) -> None:
    outcome = visited(seaweedfs, oss, cors={"allowedOrigins": []}, **changes)
    assert condition(outcome, kind).reason == "NotImplementedByStore"
    assert condition(outcome, ConditionType.READY).status == ConditionStatus.FALSE


def test_lifecycle_rules_that_it_does_not_keep_are_the_services(seaweedfs: SeaweedFS, oss: CountedAdmin) -> None:
    outcome = visited(seaweedfs, oss, *RULES, cors={"allowedOrigins": []})
    assert {rule.enforced_by for rule in outcome.status.lifecycle} == {Enforcer.SERVICE}
    assert condition(outcome, ConditionType.LIFECYCLE_ENFORCED).reason == "EnforcedByService"
    assert condition(outcome, ConditionType.READY).status == ConditionStatus.TRUE
