"""Rules over several fields: what the API server answers (CEL) and what a manifest read without one answers agree."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from api_server import refusals, schemas, with_defaults
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mediabucket_api.base import ApiModel, Rule
from mediabucket_api.broken_rules import broken_rules
from mediabucket_api.object_store import ObjectStoreSpec
from mediabucket_api.resources import MediaBucket
from mediabucket_api.schema import schema_of
from mediabucket_api.spec import Encryption, MediaBucketSpec, Rotation, Uploads
from mediabucket_api.workload import Auth, Exposure, Replicas

STORE_REF = {"storeRef": {"name": "embedded"}}
STORE = {"endpoint": "https://s3.example.com", "credentialsSecretRef": {"namespace": "a", "name": "b"}}
SECRET_REF = {"secretRef": {"name": "token"}}
DEFAULT_NAME = {"metadata": {"name": "chat"}, "spec": STORE_REF}

# Model, a good value, a bad value, the words by which the rule is known.
CASES: list[tuple[type[ApiModel], dict[str, Any], dict[str, Any], str]] = [
    (Uploads, {"urlTTLSeconds": 3600}, {"urlTTLSeconds": 3601}, "staleAfterSeconds must be at least"),
    (Encryption, {"type": "SSEKMS", "kmsKeyId": "key"}, {"type": "SSEKMS"}, "kmsKeyId is required"),
    (Encryption, {"type": "SSES3"}, {"type": "SSES3", "kmsKeyId": "key"}, "refused with any other type"),
    (Rotation, {"intervalDays": 2, "overlapHours": 47}, {"intervalDays": 2, "overlapHours": 48}, "overlapHours must"),
    (Replicas, {"min": 3, "max": 3}, {"min": 4, "max": 3}, "replicas.min must not exceed"),
    (Auth, {"jwksUrl": "https://a.example"}, {"jwksUrl": "https://a.example"} | SECRET_REF, "exclude each other"),
    (Exposure, {"type": "Ingress", "host": "a.example"}, {"type": "Ingress"}, "host is required"),
    (Exposure, {}, {"host": "a.example"}, "refused with type None"),
    (
        MediaBucketSpec,
        STORE_REF | {"deletionPolicy": "Destroy"},
        STORE_REF | {"deletionPolicy": "Destroy", "adoptionPolicy": "Adopt"},
        "adopted buckets are never destroyed",
    ),
    (
        MediaBucketSpec,
        STORE_REF | {"lifecycle": {"expireNoncurrentDays": 1}, "versioning": "Suspended"},
        STORE_REF | {"lifecycle": {"expireNoncurrentDays": 1}},
        "needs versioning Enabled or Suspended",
    ),
    (
        ObjectStoreSpec,
        STORE | {"provider": "AliyunOSS", "addressingStyle": "Virtual"},
        STORE | {"provider": "AliyunOSS"},
        "provider AliyunOSS needs addressingStyle Virtual",
    ),
    (
        ObjectStoreSpec,
        {"endpoint": "https://s3.example.com"},
        {"endpoint": "https://s3.example.com", "iam": {"mode": "Shared"}},
        "the operator's own identity is not handed out",
    ),
    (
        MediaBucket,
        {"metadata": {"name": "a" * 61}, "spec": STORE_REF},
        {"metadata": {"name": "a" * 62}, "spec": STORE_REF},
        "cannot be part of a bucket name",
    ),
    (
        MediaBucket,
        {"metadata": {"name": "a.b"}, "spec": STORE_REF | {"bucketName": "a-b"}},
        {"metadata": {"name": "a.b"}, "spec": STORE_REF},
        "a name with a dot",
    ),
]

# Old spec, new spec, the words by which the rule is known; None: allowed.
TRANSITIONS: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    ({}, {"storeRef": {"name": "other"}}, "storeRef is immutable"),
    ({"bucketName": "one"}, {"bucketName": "one"}, None),
    ({"bucketName": "one"}, {"bucketName": "two"}, "bucketName is immutable"),
    ({"bucketName": "one"}, {}, "bucketName is immutable"),
    ({}, {"bucketName": "one"}, "bucketName is immutable"),
    ({}, {"versioning": "Enabled"}, None),
    ({"versioning": "Enabled"}, {"versioning": "Suspended"}, None),
    ({"versioning": "Suspended"}, {"versioning": "Enabled"}, None),
    ({"versioning": "Enabled"}, {}, "versioning cannot go back to Disabled"),
    ({"versioning": "Suspended"}, {"versioning": "Disabled"}, "versioning cannot go back to Disabled"),
]

# One of them matches whatever pattern a field has.
TEXTS = ("abc", "1", "https://a.example", "-----BEGIN CERTIFICATE-----")

MODELS = sorted({model for model, *_ in CASES}, key=lambda model: model.__name__)


def api_server_refuses(model: type[ApiModel], value: dict[str, Any]) -> list[str]:
    return refusals(schema_of(model), with_defaults(schema_of(model), value))


def model_refuses(model: type[ApiModel], value: dict[str, Any]) -> list[str]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        return [message for detail in error.errors() for message in detail["ctx"]["broken"]]
    return []


@pytest.mark.parametrize(("model", "good", "bad", "words"), CASES, ids=[case[3].replace(" ", "-") for case in CASES])
def test_api_server_and_model_agree(
    model: type[ApiModel], good: dict[str, Any], bad: dict[str, Any], words: str
) -> None:
    assert api_server_refuses(model, good) == model_refuses(model, good) == []
    (message,) = api_server_refuses(model, bad)
    assert words in message
    assert model_refuses(model, bad) == [message]


@pytest.mark.parametrize(("old", "new", "words"), TRANSITIONS)
def test_what_may_change(old: dict[str, Any], new: dict[str, Any], words: str | None) -> None:
    schema = schema_of(MediaBucketSpec)
    messages = refusals(schema, with_defaults(schema, STORE_REF | new), with_defaults(schema, STORE_REF | old))
    assert [words in message for message in messages] == [True] if words else messages == []


def test_every_rule_has_a_case() -> None:
    words = [case[3] for case in CASES] + [transition[2] for transition in TRANSITIONS if transition[2]]
    rules = [rule for model in MODELS for rule in model.rules]
    assert [rule.message for rule in rules if not any(known in rule.message for known in words)] == []


def test_every_model_with_rules_is_among_the_cases() -> None:
    roots = [schema_of(MediaBucket), schema_of(ObjectStoreSpec)]
    in_schemas = sum(len(node.get("x-kubernetes-validations", ())) for root in roots for _, node in schemas(root, ""))
    assert in_schemas == sum(len(model.rules) for model in MODELS)


def test_rules_without_a_check_in_python_are_transitions() -> None:
    def unchecked(rules: Sequence[Rule]) -> list[Rule]:
        return [rule for rule in rules if rule.holds is None]

    assert all("oldSelf" in rule.cel for model in MODELS for rule in unchecked(model.rules))


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows by type, enum and bounds; text is one fixed value."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        low, high = schema["minimum"], schema["maximum"]
        return st.integers(low, high) | st.integers(low, min(high, low + 3))
    if schema["type"] == "object" and "properties" in schema:
        return objects(schema)
    if schema["type"] == "object":
        return st.just({})
    return st.just(next(text for text in TEXTS if re.search(schema.get("pattern", ""), text)))


def objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = {name: values(inner) for name, inner in schema["properties"].items() if inner["type"] != "array"}
    required = {name: plain.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(required, optional=plain)


@pytest.mark.parametrize("model", [model for model in MODELS if model is not MediaBucket])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_api_server_and_model_agree_on_generated_values(model: type[ApiModel], data: st.DataObject) -> None:
    value = data.draw(objects(schema_of(model)))
    refused = api_server_refuses(model, value)
    assert sorted(message for _, message in broken_rules(model, value, ())) == sorted(refused)
    assert bool(model_refuses(model, value)) == bool(refused)
