"""Whose bucket is it: the decision alone, without a store."""

from typing import Any

import pytest

from mediabucket_api.constants import RECREATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.ownership import Owner, Step, decide

OURS = Owner("uid-1", "team-a/media")
RECREATED = Owner("uid-0", "team-a/media")
THEIRS = Owner("uid-9", "team-b/media")
OWNED = {"ownership": {"state": "Owned", "origin": "Adopted"}}
CLAIMED = {"ownership": {"state": "Claimed"}}


@pytest.mark.parametrize(
    ("exists", "found", "policy", "status", "annotations", "step", "reason"),
    [
        pytest.param(False, None, "IfTaggedOurs", {}, {}, Step.CREATE, "Owned", id="new"),
        pytest.param(False, None, "IfTaggedOurs", CLAIMED, {}, Step.CREATE, "Owned", id="claimed, never made"),
        pytest.param(False, None, "Adopt", OWNED, {}, Step.REFUSE, "BucketMissing", id="vanished"),
        pytest.param(
            False, None, "Never", OWNED, {RECREATE_ANNOTATION: "true"}, Step.CREATE, "Owned", id="made again on request"
        ),
        pytest.param(
            False,
            None,
            "Never",
            OWNED,
            {RECREATE_ANNOTATION: "yes"},
            Step.REFUSE,
            "BucketMissing",
            id="a typo is no yes",
        ),
        pytest.param(True, OURS, "Never", {}, {}, Step.KEEP, "Owned", id="ours"),
        pytest.param(True, RECREATED, "IfTaggedOurs", {}, {}, Step.TAKE, "Owned", id="of our former life"),
        pytest.param(True, RECREATED, "Never", {}, {}, Step.REFUSE, "ForeignOwner", id="former life, never adopt"),
        pytest.param(True, THEIRS, "Adopt", {}, {}, Step.REFUSE, "ForeignOwner", id="foreign, whatever the policy"),
        pytest.param(True, None, "IfTaggedOurs", {}, {}, Step.REFUSE, "BucketExists", id="unmarked"),
        pytest.param(True, None, "Never", {}, {}, Step.REFUSE, "BucketExists", id="unmarked, never adopt"),
        pytest.param(True, None, "Adopt", {}, {}, Step.TAKE, "Owned", id="unmarked, adopted"),
        pytest.param(True, None, "Never", CLAIMED, {}, Step.TAKE, "Owned", id="made, then died before marking"),
    ],
)
def test_the_decision(
    exists: bool,
    found: Owner | None,
    policy: str,
    status: dict[str, Any],
    annotations: dict[str, str],
    step: Step,
    reason: str,
) -> None:
    metadata = {"name": "media", "namespace": "team-a", "uid": "uid-1", "annotations": annotations}
    spec = {"storeRef": {"name": "embedded"}, "adoptionPolicy": policy}
    resource = MediaBucket.model_validate({"metadata": metadata, "spec": spec, "status": status})
    decision = decide(resource, exists, found)
    assert (decision.step, decision.verdict.reason) == (step, reason)


def test_an_adopted_bucket_stays_known_as_adopted() -> None:
    metadata = {"name": "media", "namespace": "team-a", "uid": "uid-1"}
    spec = {"storeRef": {"name": "embedded"}}
    resource = MediaBucket.model_validate({"metadata": metadata, "spec": spec, "status": OWNED})
    ownership = decide(resource, True, OURS).ownership
    assert ownership is not None
    assert ownership.origin == "Adopted"
