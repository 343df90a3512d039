"""What the API server accepts and refuses, and in which words: every bound, enum, pattern and rule of both kinds.

The Python loader, which reads manifests without a cluster, must say the same.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from crd_cases import FULL, Case, cases, rules
from kube_cluster import ADMIN, KubeCluster
from operator_process import namespace

from mediabucket_api.manifest import ManifestInvalid, load_manifest_text

CRDS = Path(__file__).resolve().parents[2] / "crds"
PLURALS = {"MediaBucket": "mediabuckets", "ObjectStore": "objectstores"}
API = "/apis/mediabucket.dev/v1alpha1"
TEAM = "validation"


def schema_of(kind: str) -> dict[str, Any]:
    document = yaml.safe_load((CRDS / f"{PLURALS[kind]}.yaml").read_text())
    root: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


ALL_CASES = [case for kind in PLURALS for case in cases(kind, schema_of(kind)["properties"]["spec"])]


class Server:
    """Plain requests: a process of kubectl for each of some hundred cases would take minutes."""

    def __init__(self, kube: KubeCluster) -> None:
        certificate = kube.directory / "certificates" / "apiserver.crt"
        self._pool = urllib3.PoolManager(ca_certs=str(certificate))
        self._url = kube.url
        self._headers = {"Authorization": f"Bearer {kube.tokens[ADMIN]}", "Content-Type": "application/json"}

    def refusal(self, kind: str, spec: Any, *, name: str = "media", dry_run: bool = True) -> str | None:
        """What the API server has against creating it; None when it accepts it."""
        scope = f"/namespaces/{TEAM}" if kind == "MediaBucket" else ""
        query = "fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self._send("POST", f"{API}{scope}/{PLURALS[kind]}?{query}", document(kind, spec, name))

    def refusal_of_change(self, kind: str, before: Any, after: Any, name: str) -> str | None:
        """What it has against this change of an object that it accepted."""
        assert self.refusal(kind, before, name=name, dry_run=False) is None
        path = f"{API}/namespaces/{TEAM}/{PLURALS[kind]}/{name}"
        live = json.loads(self._pool.request("GET", self._url + path, headers=self._headers).data)
        return self._send("PUT", f"{path}?fieldValidation=Strict&dryRun=All", {**live, "spec": after})

    def _send(self, method: str, path: str, body: Any) -> str | None:
        answer = self._pool.request(method, self._url + path, body=json.dumps(body), headers=self._headers)
        return None if answer.status < 300 else str(json.loads(answer.data)["message"])


def document(kind: str, spec: Any, name: str = "media") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": TEAM} if kind == "MediaBucket" else {})
    return {"apiVersion": "mediabucket.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def loader_refuses(kind: str, spec: Any, name: str = "media") -> bool:
    try:
        load_manifest_text(json.dumps(document(kind, spec, name)), "case")
    except ManifestInvalid:
        return True
    return False


@pytest.fixture(scope="module")
def server(kube: KubeCluster) -> Iterator[Server]:
    kube.apply(namespace(TEAM))
    yield Server(kube)
    kube.kubectl("delete", "mb", "--all", "-n", TEAM, "--wait=false")


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: f"{case.kind} {case.title}")
def test_the_schema_says_what_is_wrong(server: Server, case: Case) -> None:
    told = server.refusal(case.kind, case.spec)
    if case.refusal is None:
        assert told is None
    else:
        assert told is not None, "the API server accepts it"
        assert case.refusal in told
    assert loader_refuses(case.kind, case.spec) == (case.refusal is not None)


def spec(**fields: Any) -> dict[str, Any]:
    return {"storeRef": {"name": "main"}, **fields}


def store(**fields: Any) -> dict[str, Any]:
    return {"endpoint": "https://s3.example.com", "credentialsSecretRef": {"namespace": "s", "name": "k"}, **fields}


# By message: a good and a bad object.
RULES: dict[str, tuple[str, Any, Any]] = {
    "deletionPolicy Destroy is refused with adoptionPolicy Adopt: adopted buckets are never destroyed": (
        "MediaBucket",
        spec(deletionPolicy="Destroy", adoptionPolicy="Never"),
        spec(deletionPolicy="Destroy", adoptionPolicy="Adopt"),
    ),
    "lifecycle.expireNoncurrentDays needs versioning Enabled or Suspended": (
        "MediaBucket",
        spec(lifecycle={"expireNoncurrentDays": 3}, versioning="Suspended"),
        spec(lifecycle={"expireNoncurrentDays": 3}),
    ),
    "staleAfterSeconds must be at least urlTTLSeconds: an upload cannot expire before its URL does": (
        "MediaBucket",
        spec(uploads={"staleAfterSeconds": 300, "urlTTLSeconds": 300}),
        spec(uploads={"staleAfterSeconds": 299, "urlTTLSeconds": 300}),
    ),
    "kmsKeyId is required with type SSEKMS and refused with any other type": (
        "MediaBucket",
        spec(encryption={"type": "SSEKMS", "kmsKeyId": "key"}),
        spec(encryption={"type": "SSEKMS"}),
    ),
    "overlapHours must be shorter than intervalDays": (
        "MediaBucket",
        spec(credentials={"rotation": {"intervalDays": 1, "overlapHours": 23}}),
        spec(credentials={"rotation": {"intervalDays": 1, "overlapHours": 24}}),
    ),
    "replicas.min must not exceed replicas.max": (
        "MediaBucket",
        spec(service={"replicas": {"min": 3, "max": 3}}),
        spec(service={"replicas": {"min": 4, "max": 3}}),
    ),
    "jwksUrl and secretRef exclude each other: tokens are checked by one of them": (
        "MediaBucket",
        spec(service={"auth": {"secretRef": {"name": "auth"}}}),
        spec(service={"auth": {"secretRef": {"name": "auth"}, "jwksUrl": "https://issuer.example.com"}}),
    ),
    "host is required with type Ingress or HTTPRoute and refused with type None": (
        "MediaBucket",
        spec(service={"exposure": {"type": "Ingress", "host": "media.example.com"}}),
        spec(service={"exposure": {"type": "Ingress"}}),
    ),
    "provider AliyunOSS needs addressingStyle Virtual: its S3 API refuses path-style requests": (
        "ObjectStore",
        store(provider="AliyunOSS", addressingStyle="Virtual"),
        store(provider="AliyunOSS"),
    ),
}
# By message: what an object may become, and what it may not; from the first.
TRANSITIONS: dict[str, list[tuple[Any, Any, Any]]] = {
    "storeRef is immutable": [(spec(), spec(driftPolicy="Warn"), {"storeRef": {"name": "other"}})],
    "bucketName is immutable: it cannot be changed, added or removed": [
        (spec(bucketName="one"), spec(bucketName="one", driftPolicy="Warn"), spec(bucketName="two")),
        (spec(bucketName="one"), spec(bucketName="one"), spec()),
        (spec(), spec(), spec(bucketName="one")),
    ],
    "versioning cannot go back to Disabled: S3 only knows Suspended": [
        (spec(versioning="Enabled"), spec(versioning="Suspended"), spec(versioning="Disabled")),
        (spec(versioning="Suspended"), spec(versioning="Enabled"), spec()),
        (spec(), spec(versioning="Enabled"), None),
    ],
}
NAME_RULE = "a name with a dot, or longer than 61 characters, cannot be part of a bucket name: set spec.bucketName"


def test_every_rule_has_its_cases() -> None:
    found = {message for kind in PLURALS for message in rules(schema_of(kind)["properties"]["spec"])}
    assert found == set(RULES) | set(TRANSITIONS)
    roots = [rule["message"] for kind in PLURALS for rule in schema_of(kind).get("x-kubernetes-validations", [])]
    assert roots == [NAME_RULE]


def test_every_field_is_in_a_full_object(server: Server) -> None:
    """A field that nobody sets could not be refused: the walk would have failed to find it a value."""
    titles = {case.title.partition(":")[0] for case in ALL_CASES}
    assert {"uploads.limits.bytesPerUser", "service.auth.secretRef.key", "allowedNamespaces.matchLabels{}"} <= titles
    for kind, objects in FULL.items():
        for full in objects:
            assert server.refusal(kind, full) is None


@pytest.mark.parametrize("message", RULES)
def test_a_rule_tells_its_message(server: Server, message: str) -> None:
    kind, good, bad = RULES[message]
    assert server.refusal(kind, good) is None
    assert message in (server.refusal(kind, bad) or "")
    assert not loader_refuses(kind, good)
    assert loader_refuses(kind, bad)


@pytest.mark.parametrize(
    ("message", "number"), [(message, number) for message, many in TRANSITIONS.items() for number in range(len(many))]
)
def test_a_change_that_must_not_be_is_refused(server: Server, message: str, number: int) -> None:
    before, good, bad = TRANSITIONS[message][number]
    name = f"change-{abs(hash(message)) % 10_000}-{number}"
    assert server.refusal_of_change("MediaBucket", before, good, name) is None
    if bad is not None:
        assert message in (server.refusal_of_change("MediaBucket", before, bad, f"{name}-bad") or "")


@pytest.mark.parametrize(("name", "good"), [("a" * 61, True), ("a" * 62, False), ("with.dot", False)])
def test_a_name_must_fit_a_bucket_name(server: Server, name: str, good: bool) -> None:
    told = server.refusal("MediaBucket", spec(), name=name)
    assert (told is None) == good
    if not good:
        assert NAME_RULE in (told or "")
        assert server.refusal("MediaBucket", spec(bucketName="short"), name=name) is None
    # The loader also knows the namespace, of which a rule of the API server sees nothing.
    assert loader_refuses("MediaBucket", spec(), name)
    assert not loader_refuses("MediaBucket", spec(), name[:52].replace(".", "-"))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"conditions": [{"type": "Ready", "status": "True", "reason": "Fine"}]}, "lastTransitionTime: Required value"),
        ({"ownership": {"state": "Lost"}}, "Unsupported value"),
        ({"observedGeneration": -1}, "greater than or equal to 0"),
        ({"observedGeneration": 1}, None),
    ],
)
def test_a_status_is_checked_as_well(server: Server, kube: KubeCluster, status: dict[str, Any], told: str) -> None:
    server.refusal("MediaBucket", spec(), name="status", dry_run=False)
    patch = json.dumps({"status": status})
    how = ("-n", TEAM, "--subresource=status", "--type=merge", "-p", patch, "--dry-run=server")
    result = kube.try_kubectl("patch", "mb/status", *how)
    assert (told or "") in result.stderr
    assert (result.returncode == 0) == (told is None)
