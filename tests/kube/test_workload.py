"""The upload service as a workload on a real API server: applied, healed, rolled and removed by the operator.

Nobody runs Pods here: the tests play the Deployment's controller, and write its status.
"""

import json
from typing import Any

import pytest
from kube_platform import Platform, report
from operator_process import condition, eventually, media_bucket

pytestmark = pytest.mark.usefixtures("_nobody_runs_pods")

KINDS = ("deployment", "service", "serviceaccount", "networkpolicy", "pdb", "hpa", "ingress")
SERVICE = {
    "state": "Enabled",
    "replicas": {"min": 2, "max": 4},
    "database": {"secretRef": {"name": "database"}},
    "exposure": {"type": "Ingress", "host": "media.example.com"},
}


def database(team: str, url: str = "postgresql://one") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": team},
        "stringData": {"url": url},
    }


def served(platform: Platform, team: str, **service: Any) -> dict[str, Any]:
    """The Deployment of a MediaBucket `media`, once it is there."""
    platform.kube.apply(database(team), media_bucket("media", team, "store", service=SERVICE | service))
    found: dict[str, Any] = eventually(lambda: platform.kube.find("deployment", "media-media", team) or {})
    return found


# The garbage collector learns every half minute which kinds there are, and then has its own queue.
COLLECTED_SECONDS = 90


def checksum(deployment: dict[str, Any]) -> str:
    return str(deployment["spec"]["template"]["metadata"]["annotations"]["mediabucket.dev/checksum"])


def poke(platform: Platform, team: str, value: str) -> None:
    platform.kube.kubectl("annotate", "mb/media", "-n", team, f"example.com/look={value}", "--overwrite")


def test_everything_is_there_and_restricted(platform: Platform, team: str) -> None:
    # The API server itself checks Pods against the restricted standard: a warning tells what it would refuse.
    platform.kube.kubectl("label", "namespace", team, "pod-security.kubernetes.io/warn=restricted")
    deployment = served(platform, team)
    for kind in KINDS:
        eventually(lambda kind=kind: platform.kube.find(kind, "media-media", team))  # type: ignore[misc]
    text = platform.kube.try_kubectl("apply", "--dry-run=server", "-f", "-", stdin=[_again(deployment, team)])
    assert text.returncode == 0, text.stderr
    assert "would violate PodSecurity" not in text.stderr
    assert "replicas" not in _owned_fields(deployment)


def test_available_follows_the_deployment(platform: Platform, team: str) -> None:
    served(platform, team)
    eventually(lambda: condition(platform.get("media", team), "ServiceAvailable").get("reason") == "RollingOut")
    report(platform.kube, "media-media", team, replicas=2, available=1)
    few = eventually(lambda: _with_reason(platform, team, "TooFewReplicas"))
    assert few["message"] == "1 of 2 replicas of Deployment media-media are available"

    def ready() -> bool:
        # Again and again, as the real one does: a new generation is reported too.
        report(platform.kube, "media-media", team, replicas=2, available=2)
        return condition(platform.get("media", team), "Ready").get("status") == "True"

    eventually(ready, seconds=60, every=1)
    assert platform.get("media", team)["status"]["service"] == {"url": "https://media.example.com", "readyReplicas": 2}


def test_the_secrets_for_a_private_registry_follow_the_manifest(platform: Platform, team: str) -> None:
    def named(deployment: dict[str, Any]) -> list[dict[str, str]] | None:
        found: list[dict[str, str]] | None = deployment["spec"]["template"]["spec"].get("imagePullSecrets")
        return found

    assert named(served(platform, team, imagePullSecrets=[{"name": "registry"}, {"name": "mirror"}])) == [
        {"name": "registry"},
        {"name": "mirror"},
    ]
    served(platform, team, imagePullSecrets=[])
    eventually(lambda: named(platform.kube.get("deployment", "media-media", team)) is None)


def test_foreign_changes_of_our_fields_are_healed_and_others_left_alone(platform: Platform, team: str) -> None:
    served(platform, team)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "service", "image": "evil:1"}]}}}}
    theirs = {"metadata": {"labels": {"team": "a"}}, "spec": {"revisionHistoryLimit": 3}}
    for patch in (image, theirs):
        platform.kube.kubectl("patch", "deployment/media-media", "-n", team, "-p", json.dumps(patch))

    def healed() -> bool:
        container = platform.kube.get("deployment", "media-media", team)["spec"]["template"]["spec"]["containers"][0]
        return bool(container["image"] != "evil:1")

    eventually(healed, seconds=10)
    deployment = platform.kube.get("deployment", "media-media", team)
    assert deployment["metadata"]["labels"]["team"] == "a"
    assert deployment["spec"]["revisionHistoryLimit"] == 3
    platform.kube.kubectl(
        "patch", "service/media-media", "-n", team, "-p", '{"spec":{"ports":[{"port":80,"targetPort":1}]}}'
    )
    poke(platform, team, "service")

    def port() -> bool:
        [found] = platform.kube.get("service", "media-media", team)["spec"]["ports"]
        return bool(found["targetPort"] == "http")

    eventually(port, seconds=10)


def test_a_changed_secret_rolls_the_pods(platform: Platform, team: str) -> None:
    before = checksum(served(platform, team))
    platform.kube.apply(database(team, "postgresql://two"))
    poke(platform, team, "secret")
    eventually(lambda: checksum(platform.kube.get("deployment", "media-media", team)) != before)


def test_what_is_no_longer_wanted_goes(platform: Platform, team: str) -> None:
    served(platform, team)
    served(platform, team, replicas={"min": 1, "max": 1}, exposure={"type": "None"})
    for kind in ("hpa", "pdb", "ingress"):
        eventually(lambda kind=kind: platform.kube.find(kind, "media-media", team) is None)  # type: ignore[misc]
    platform.kube.apply(media_bucket("media", team, "store"))
    for kind in KINDS:
        eventually(lambda kind=kind: platform.kube.find(kind, "media-media", team) is None)  # type: ignore[misc]
    platform.wait("media", team)


@pytest.mark.usefixtures("_collects_garbage")
def test_it_goes_with_the_resource(platform: Platform, team: str) -> None:
    served(platform, team)
    platform.kube.kubectl("delete", "mb/media", "-n", team, "--timeout=30s")
    for kind in (*KINDS, "configmap", "secret"):
        eventually(lambda kind=kind: platform.kube.find(kind, "media-media", team) is None, seconds=COLLECTED_SECONDS)  # type: ignore[misc]


def test_what_lacks_is_told(platform: Platform, team: str) -> None:
    platform.kube.apply(media_bucket("media", team, "store", service={"state": "Enabled"}))
    lack = eventually(lambda: _with_reason(platform, team, "DatabaseNotConfigured"))
    assert "name a Secret whose key url is PostgreSQL's URL" in lack["message"]
    platform.kube.apply(media_bucket("media", team, "store", service=SERVICE))
    lack = eventually(lambda: _with_reason(platform, team, "SecretMissing"))
    assert lack["message"] == f"there is no Secret database in namespace {team}: create it"


def test_an_object_of_somebody_else_is_not_taken(platform: Platform, team: str) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "media-media", "namespace": team},
        "stringData": {"mine": "1"},
    }
    platform.kube.apply(theirs)
    platform.kube.apply(media_bucket("media", team, "store"))
    eventually(lambda: condition(platform.get("media", team), "CredentialsReady").get("reason") == "NameTaken")
    assert list(platform.kube.get("secret", "media-media", team)["data"]) == ["mine"]


def _with_reason(platform: Platform, team: str, reason: str) -> dict[str, Any]:
    found = condition(platform.get("media", team), "ServiceAvailable")
    return found if found.get("reason") == reason else {}


def _again(deployment: dict[str, Any], team: str) -> dict[str, Any]:
    metadata = {"name": "again", "namespace": team}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment["spec"]}


def _owned_fields(deployment: dict[str, Any]) -> str:
    managers = deployment["metadata"].get("managedFields", [])
    return json.dumps(
        [m.get("fieldsV1", {}).get("f:spec", {}) for m in managers if m["manager"] == "mediabucket-operator"]
    )
