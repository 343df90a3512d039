"""What the API server says of a broken CEL rule, of changes, of names and of a status; and where the loader differs.

Bounds, enums, patterns and required fields: test_validation.py.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from crd_cases import rules
from kube_cluster import KubeCluster
from operator_process import namespace
from validation_server import PLURALS, TEAM, Server, document, loader_refuses, schema_of

# What the API server says of the whole object has no field.
WHOLE = "<nil>"
NAME_RULE = "a name with a dot, or longer than 61 characters, cannot be part of a bucket name: set spec.bucketName"


@pytest.fixture(scope="module")
def server(kube: KubeCluster) -> Iterator[Server]:
    kube.apply(namespace(TEAM))
    yield Server(kube)
    kube.kubectl("delete", "mb", "--all", "-n", TEAM, "--wait=false")


def spec(**fields: Any) -> dict[str, Any]:
    return {"storeRef": {"name": "main"}, **fields}


def store(**fields: Any) -> dict[str, Any]:
    return {"endpoint": "https://s3.example.com", "credentialsSecretRef": {"namespace": "s", "name": "k"}, **fields}


def service(**fields: Any) -> dict[str, Any]:
    return spec(service=fields)


@dataclass(frozen=True)
class Rule:
    """Where it stands, and specs on both sides of it."""

    field: str
    good: list[Any]
    bad: list[Any]
    kind: str = "MediaBucket"


KEY, HOST = {"kmsKeyId": "key"}, {"host": "media.example.com"}
URL, SECRET = {"jwksUrl": "https://issuer.example.com"}, {"secretRef": {"name": "auth"}}
# By message. A value that is left out is its default: the rules see it.
RULES: dict[str, Rule] = {
    "deletionPolicy Destroy is refused with adoptionPolicy Adopt: adopted buckets are never destroyed": Rule(
        "spec",
        [
            spec(deletionPolicy="Destroy", adoptionPolicy="Never"),
            spec(deletionPolicy="Destroy"),
            spec(deletionPolicy="DeleteIfEmpty", adoptionPolicy="Adopt"),
            spec(adoptionPolicy="Adopt"),
        ],
        [spec(deletionPolicy="Destroy", adoptionPolicy="Adopt")],
    ),
    "lifecycle.expireNoncurrentDays needs versioning Enabled or Suspended": Rule(
        "spec",
        [spec(lifecycle={"expireNoncurrentDays": 3}, versioning=value) for value in ("Enabled", "Suspended")],
        [
            spec(lifecycle={"expireNoncurrentDays": 3}),
            spec(lifecycle={"expireNoncurrentDays": 3}, versioning="Disabled"),
        ],
    ),
    "staleAfterSeconds must be at least urlTTLSeconds: an upload cannot expire before its URL does": Rule(
        r"spec\.uploads",
        [spec(uploads={"staleAfterSeconds": 300}), spec(uploads={"urlTTLSeconds": 3600})],
        [spec(uploads={"staleAfterSeconds": 299}), spec(uploads={"urlTTLSeconds": 3601})],
    ),
    "kmsKeyId is required with type SSEKMS and refused with any other type": Rule(
        r"spec\.encryption",
        [spec(encryption={"type": "SSEKMS", **KEY}), spec(encryption={"type": "SSES3"}), spec(encryption={})],
        [spec(encryption=value) for value in ({"type": "SSEKMS"}, {"type": "SSES3", **KEY}, {"type": "None", **KEY})]
        + [spec(encryption=KEY)],
    ),
    "overlapHours must be shorter than intervalDays": Rule(
        r"spec\.credentials\.rotation",
        [
            spec(credentials={"rotation": {"intervalDays": 1, "overlapHours": 23}}),
            spec(credentials={"rotation": {"intervalDays": 2}}),
        ],
        [
            spec(credentials={"rotation": {"intervalDays": 2, "overlapHours": 48}}),
            spec(credentials={"rotation": {"intervalDays": 1}}),
        ],
    ),
    "replicas.min must not exceed replicas.max": Rule(
        r"spec\.service\.replicas",
        [service(replicas={"min": 3, "max": 3}), service(replicas={"min": 6}), service(replicas={"max": 2})],
        [service(replicas={"min": 4, "max": 3}), service(replicas={"min": 7}), service(replicas={"max": 1})],
    ),
    "jwksUrl and secretRef exclude each other: tokens are checked by one of them": Rule(
        r"spec\.service\.auth",
        [service(auth=SECRET), service(auth=URL), service(auth={})],
        [service(auth={**URL, **SECRET})],
    ),
    "host is required with type Ingress or HTTPRoute and refused with type None": Rule(
        r"spec\.service\.exposure",
        [service(exposure={"type": value, **HOST}) for value in ("Ingress", "HTTPRoute")] + [service(exposure={})],
        [service(exposure={"type": value}) for value in ("Ingress", "HTTPRoute")]
        + [service(exposure={"type": "None", **HOST}), service(exposure=HOST)],
    ),
    "provider AliyunOSS needs addressingStyle Virtual: its S3 API refuses path-style requests": Rule(
        "spec",
        [store(provider="AliyunOSS", addressingStyle="Virtual"), store(addressingStyle="Path")],
        [store(provider="AliyunOSS"), store(provider="AliyunOSS", addressingStyle="Path")],
        kind="ObjectStore",
    ),
    "without credentialsSecretRef iam.mode must be Scoped: the operator's own identity is not handed out": Rule(
        "spec",
        [{"endpoint": "https://s3.example.com"}, store(iam={"mode": "Shared"}), store()],
        [{"endpoint": "https://s3.example.com", "iam": {"mode": "Shared"}}],
        kind="ObjectStore",
    ),
}


@dataclass(frozen=True)
class Change:
    """From one spec to another, of a MediaBucket; a change without a rule is accepted."""

    name: str
    before: Any
    after: Any
    rule: str | None = None


STORE_RULE = "storeRef is immutable"
BUCKET_RULE = "bucketName is immutable: it cannot be changed, added or removed"
VERSIONING_RULE = "versioning cannot go back to Disabled: S3 only knows Suspended"
ENABLED, SUSPENDED = spec(versioning="Enabled"), spec(versioning="Suspended")
CHANGES = [
    Change("other-store", spec(), {"storeRef": {"name": "other"}}, STORE_RULE),
    Change("same-store", spec(), spec(driftPolicy="Warn")),
    Change("name-changed", spec(bucketName="one"), spec(bucketName="two"), BUCKET_RULE),
    Change("name-removed", spec(bucketName="one"), spec(), BUCKET_RULE),
    Change("name-added", spec(), spec(bucketName="one"), BUCKET_RULE),
    # The name that it has by default is refused too: the rule does not know it.
    Change("name-told", spec(), spec(bucketName=f"{TEAM}-name-told"), BUCKET_RULE),
    Change("name-kept", spec(bucketName="one"), spec(bucketName="one", driftPolicy="Warn")),
    Change("no-name-kept", spec(), spec(tags=[{"key": "team", "value": "a"}])),
    Change("enabled-to-disabled", ENABLED, spec(versioning="Disabled"), VERSIONING_RULE),
    Change("suspended-to-disabled", SUSPENDED, spec(versioning="Disabled"), VERSIONING_RULE),
    Change("enabled-to-nothing", ENABLED, spec(), VERSIONING_RULE),
    Change("enabled-to-suspended", ENABLED, SUSPENDED),
    Change("suspended-to-enabled", SUSPENDED, ENABLED),
    Change("disabled-to-enabled", spec(versioning="Disabled"), ENABLED),
    Change("nothing-to-enabled", spec(), ENABLED),
    Change("nothing-to-disabled", spec(), spec(versioning="Disabled")),
]


def test_every_rule_has_its_cases() -> None:
    found = [message for kind in PLURALS for message in rules(schema_of(kind)["properties"]["spec"])]
    changes = {change.rule for change in CHANGES if change.rule}
    assert sorted(found) == sorted([*RULES, *changes])
    roots = [rule["message"] for kind in PLURALS for rule in schema_of(kind).get("x-kubernetes-validations", [])]
    assert roots == [NAME_RULE]


@pytest.mark.parametrize(
    ("message", "good"), [(message, good) for message, rule in RULES.items() for good in rule.good], ids=str
)
def test_a_rule_lets_pass(server: Server, message: str, good: Any) -> None:
    kind = RULES[message].kind
    assert server.refusal(kind, good) is None
    assert loader_refuses(kind, good) == []


@pytest.mark.parametrize(
    ("message", "bad"), [(message, bad) for message, rule in RULES.items() for bad in rule.bad], ids=str
)
def test_a_rule_tells_its_message(server: Server, message: str, bad: Any) -> None:
    rule = RULES[message]
    refusal = server.refusal(rule.kind, bad)
    assert refusal is not None
    assert refusal.tells(rule.field, f"Invalid value: {re.escape(message)}"), refusal.causes
    assert len(refusal.causes) == 1
    assert [field for field in loader_refuses(rule.kind, bad) if re.fullmatch(rule.field, field)] != []


def test_all_broken_rules_are_told_at_once(server: Server) -> None:
    refusal = server.refusal("MediaBucket", spec(encryption=KEY, service={"exposure": HOST, "replicas": {"min": 7}}))
    assert refusal is not None
    assert {field for field, _ in refusal.causes} == {
        "spec.encryption",
        "spec.service.exposure",
        "spec.service.replicas",
    }


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_what_may_change(server: Server, change: Change) -> None:
    refusal = server.refusal_of_change(change.before, change.after, change.name)
    if change.rule is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.tells("spec", f"Invalid value: {re.escape(change.rule)}"), refusal.causes


@pytest.mark.parametrize(
    ("name", "good"), [("a", True), ("a" * 52, True), ("a" * 61, True), ("a" * 62, False), ("with.dot", False)]
)
def test_a_name_must_fit_a_bucket_name(server: Server, name: str, good: bool) -> None:
    refusal = server.refusal("MediaBucket", spec(), name=name)
    assert (refusal is None) == good
    if refusal is not None:
        assert refusal.tells(WHOLE, f"Invalid value: {NAME_RULE}"), refusal.causes
    assert server.refusal("MediaBucket", spec(bucketName="short"), name=name) is None
    assert loader_refuses("MediaBucket", spec(bucketName="short"), name) == []
    # The loader also knows the namespace, of which a rule of the API server sees nothing.
    fits = good and len(f"{TEAM}-{name}") <= 63
    assert (loader_refuses("MediaBucket", spec(), name) == []) == fits


def condition(**fields: Any) -> dict[str, Any]:
    whole = {"type": "Ready", "status": "True", "reason": "Fine", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {name: value for name, value in {**whole, **fields}.items() if value is not None}


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"observedGeneration": 0},
        {"conditions": [condition(), condition(type="Other", message="")]},
        {"ownership": {"state": "Claimed"}},
    ],
)
def test_a_good_status_is_accepted(server: Server, status: Any) -> None:
    server.refusal("MediaBucket", spec(), name="status", dry_run=False)
    assert server.refusal_of_status("status", status) is None


@pytest.mark.parametrize(
    ("status", "field", "message"),
    [
        ({"observedGeneration": -1}, "observedGeneration", "Invalid value: -1: .* greater than or equal to 0"),
        ({"conditions": [condition(lastTransitionTime=None)]}, r"conditions\[0\].lastTransitionTime", "Required value"),
        ({"conditions": [condition(lastTransitionTime="now")]}, r"conditions\[0\].lastTransitionTime", ".*date-time.*"),
        ({"conditions": [condition(status="Yes")]}, r"conditions\[0\].status", 'Unsupported value: "Yes": .*'),
        ({"conditions": [condition(reason="Not one")]}, r"conditions\[0\].reason", ".* should match .*"),
        ({"conditions": [condition(), condition(status="False")]}, r"conditions\[1\]", "Duplicate value: .*"),
        ({"ownership": {"state": "Lost"}}, "ownership.state", 'Unsupported value: "Lost": .*'),
        ({"ownership": {"origin": "Created"}}, "ownership.state", "Required value"),
        ({"phase": "Ready"}, "phase", "unknown field"),
    ],
)
def test_a_bad_status_is_refused(server: Server, status: Any, field: str, message: str) -> None:
    server.refusal("MediaBucket", spec(), name="status", dry_run=False)
    refusal = server.refusal_of_status("status", status)
    assert refusal is not None
    assert refusal.tells(rf"status\.{field}", message), refusal.causes


def test_a_status_in_a_new_object_is_dropped(server: Server) -> None:
    """As the loader does: in a file it is what some cluster answered once."""
    text = json.dumps({**document("MediaBucket", spec(), "with-status"), "status": {"ownership": {"state": "Lost"}}})
    assert server.refusal_of_text("MediaBucket", text, dry_run=False) is None
    assert "status" not in server.live("with-status")


def test_a_field_that_is_there_twice_is_refused(server: Server) -> None:
    text = json.dumps(document("MediaBucket", spec())).replace('"storeRef"', '"storeRef": {"name": "a"}, "storeRef"')
    refusal = server.refusal_of_text("MediaBucket", text)
    assert refusal is not None
    assert refusal.tells(r"spec\.storeRef", "duplicate field")


@pytest.mark.parametrize("value", [300.5, True, 2**63, 10**400])
def test_what_is_no_whole_number_of_64_bits_is_refused(server: Server, value: Any) -> None:
    assert server.refusal("MediaBucket", spec(resyncIntervalSeconds=value)) is not None
    assert loader_refuses("MediaBucket", spec(resyncIntervalSeconds=value)) == ["spec.resyncIntervalSeconds"]


@pytest.mark.parametrize("fields", [{"cors": None}, {"bucketName": None}, {"resyncIntervalSeconds": None}])
def test_a_null_is_as_if_it_were_not_there(server: Server, fields: dict[str, Any]) -> None:
    assert server.refusal("MediaBucket", spec(**fields)) is None
    assert loader_refuses("MediaBucket", spec(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"storeRef": None}, "spec.storeRef"),
        ({"cors": {"allowedOrigins": [None]}}, "spec.cors.allowedOrigins[0]"),
        ({"tags": [{"key": "a", "value": None}]}, "spec.tags[0].value"),
    ],
)
def test_a_null_is_no_value(server: Server, fields: dict[str, Any], field: str) -> None:
    refusal = server.refusal("MediaBucket", spec(**fields))
    assert refusal is not None
    assert refusal.tells(re.escape(field), ".*")
    assert loader_refuses("MediaBucket", spec(**fields)) == [field]


# Where the two differ, and why that is right; a row that no longer differs fails.
LOADER_IS_STRICTER = {
    "a fraction of nothing: the API server stores 300, a manifest that says 300.0 is more likely a slip": spec(
        resyncIntervalSeconds=300.0
    ),
}


@pytest.mark.parametrize("reason", LOADER_IS_STRICTER)
def test_where_the_loader_is_stricter(server: Server, reason: str) -> None:
    assert server.refusal("MediaBucket", LOADER_IS_STRICTER[reason]) is None
    assert loader_refuses("MediaBucket", LOADER_IS_STRICTER[reason]) != []


@pytest.mark.parametrize("space", ["\v", "\u0085", "\u00a0", "\u2028", "\u3000"], ids=ascii)
def test_no_space_of_any_sort_is_in_a_url(server: Server, space: str) -> None:
    bad = spec(cdn={"baseUrl": f"https://a{space}b.example.com"})
    assert loader_refuses("MediaBucket", bad) == ["spec.cdn.baseUrl"]
    assert server.refusal("MediaBucket", bad) is not None
