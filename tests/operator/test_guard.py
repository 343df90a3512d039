"""Whether a store may be used, decided before it is contacted."""

import pytest

from mediabucket_api.object_store import NamespaceSelector, StoreLimits
from mediabucket_api.spec import MediaBucketSpec
from mediabucket_operator.guard import broken_limit, selects


@pytest.mark.parametrize(
    ("selector", "namespace", "labels", "selected"),
    [
        ({}, "any", {}, True),
        ({"matchNames": ["chat"]}, "chat", {}, True),
        ({"matchNames": ["chat"]}, "other", {}, False),
        ({"matchLabels": {"media": "yes"}}, "any", {"media": "yes", "more": "x"}, True),
        ({"matchLabels": {"media": "yes", "team": "a"}}, "any", {"media": "yes"}, False),
        ({"matchNames": ["chat"], "matchLabels": {"media": "yes"}}, "chat", {}, True),
        ({"matchNames": ["chat"], "matchLabels": {"media": "yes"}}, "other", {"media": "yes"}, True),
        ({"matchNames": ["chat"], "matchLabels": {"media": "yes"}}, "other", {"media": "no"}, False),
    ],
)
def test_namespaces(selector: dict[str, object], namespace: str, labels: dict[str, str], selected: bool) -> None:
    assert selects(NamespaceSelector.model_validate(selector), namespace, labels) == selected


@pytest.mark.parametrize(
    ("limits", "spec", "told"),
    [
        ({}, {}, None),
        ({}, {"deletionPolicy": "Destroy"}, "deletionPolicy Destroy needs limits.allowDestroy: Allowed"),
        ({"allowDestroy": "Allowed"}, {"deletionPolicy": "Destroy"}, None),
        ({}, {"adoptionPolicy": "Adopt"}, "adoptionPolicy Adopt needs limits.allowAdoption: Allowed"),
        ({"allowAdoption": "Allowed"}, {"adoptionPolicy": "Adopt"}, None),
        ({"maxUploadBytes": 1000}, {"uploads": {"maxBytes": 1000}}, None),
        ({"maxUploadBytes": 999}, {"uploads": {"maxBytes": 1000}}, "uploads.maxBytes is 1000, at most 999 is allowed"),
    ],
)
def test_limits(limits: dict[str, object], spec: dict[str, object], told: str | None) -> None:
    wanted = MediaBucketSpec.model_validate({"storeRef": {"name": "main"}, **spec})
    broken = broken_limit(wanted, StoreLimits.model_validate(limits))
    assert broken is None if told is None else (broken or "").startswith(told)
