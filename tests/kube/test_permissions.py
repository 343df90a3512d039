"""The operator's permissions are exactly those it uses: the API server's audit log beside the chart's roles."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_platform import Platform, cluster_with_chart
from operator_calls import forbidden_calls, operator_calls
from operator_process import (
    OPERATOR_ACCOUNT,
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

Use = tuple[str, str, str]
# Kinds that a cluster may lack, as this one does.
HTTP_ROUTE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "httproutes.gateway.networking.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
    },
    "spec": {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "HTTPRoute", "plural": "httproutes"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def platform(assets: Path, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An API server of its own: its audit log has nothing but this story."""
    gateway = {"MEDIABUCKET_OPERATOR_GATEWAY": "gateways/public"}
    with cluster_with_chart(tmp_path_factory.mktemp("permissions"), assets, may_be_forbidden=True) as cluster:
        cluster.apply(HTTP_ROUTE)
        with OperatorProcess(cluster, tmp_path_factory.mktemp("operator"), gateway) as operator:
            yield Platform(cluster, seaweedfs, operator)


def tell_the_whole_story(platform: Platform) -> None:
    """Everything that an operator ever does."""
    kube = platform.kube
    database = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "database", "namespace": "team"}}
    kube.apply(namespace("team", media="yes"), database | {"stringData": {"url": "postgresql://"}})
    labelled = {"allowedNamespaces": {"matchLabels": {"media": "yes"}}}
    kube.apply(*store_documents("store", platform.store.connection, **labelled))
    service = {"state": "Enabled", "database": {"secretRef": {"name": "database"}}}
    for kind in ("Ingress", "HTTPRoute"):
        exposed = service | {"exposure": {"type": kind, "host": "media.example.com"}}
        kube.apply(media_bucket("media", "team", "store", service=exposed))
        eventually(lambda kind=kind: kube.find(kind, "media-media", "team"))  # type: ignore[misc]
    eventually(lambda: kube.find("deployment", "media-media", "team"))
    kube.apply(media_bucket("media", "team", "store"))
    eventually(lambda: kube.find("deployment", "media-media", "team") is None, seconds=90)
    platform.wait("media", "team")
    kube.kubectl("annotate", "ostore/store", "mediabucket.dev/probe=now")
    eventually(lambda: "mediabucket.dev/probe" not in kube.get("ostore", "store")["metadata"].get("annotations", {}))
    kube.kubectl("delete", "mb/media", "-n", "team", "--timeout=30s")


def used(platform: Platform) -> set[Use]:
    """What the operator has done, as (API group, resource, verb)."""
    done = set[Use]()
    for entry in operator_calls(platform.kube):
        reference = entry.get("objectRef")
        if reference is None:
            continue
        sub = reference.get("subresource")
        resource = f"{reference['resource']}/{sub}" if sub else reference["resource"]
        done.add((reference.get("apiGroup", ""), resource, entry["verb"]))
        if entry["verb"] == "patch" and entry.get("responseStatus", {}).get("code") == 201:
            # Server-side apply of what is not there yet has to be allowed to create as well.
            done.add((reference.get("apiGroup", ""), resource, "create"))
    return done


def granted(platform: Platform) -> set[Use]:
    """What the roles bound to the operator's account allow."""
    rules: list[dict[str, Any]] = []
    for binding in platform.kube.list("clusterrolebindings"):
        subjects = binding.get("subjects") or []
        if any(f"{subject.get('namespace')}:{subject['name']}" == OPERATOR_ACCOUNT for subject in subjects):
            rules += platform.kube.get("clusterrole", binding["roleRef"]["name"])["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_what_is_granted_is_what_is_used(platform: Platform) -> None:
    tell_the_whole_story(platform)
    done = used(platform)
    assert forbidden_calls(platform.kube) == []
    allowed = granted(platform)
    # What everybody may ask: which kinds there are.
    assert done - allowed == set()
    assert allowed - done == set()


def test_secrets_are_only_touched_by_name(platform: Platform) -> None:
    verbs = {verb for _, resource, verb in granted(platform) if resource == "secrets"}
    assert verbs == {"get", "create", "patch"}


def test_a_permission_that_is_taken_away_is_told_and_heals(platform: Platform) -> None:
    """Proof that the log above would have shown it: nothing crashes, and a condition names what is forbidden."""
    kube = platform.kube
    name = "mediabucket-operator-workloads"
    role = kube.get("clusterrole", name)
    kube.kubectl("patch", "clusterrole", name, "--type=json", "-p", '[{"op":"remove","path":"/rules/0"}]')
    kube.apply(namespace("forbidden"), media_bucket("media", "forbidden", "store"))
    kube.kubectl("label", "namespace", "forbidden", "media=yes")
    told = eventually(lambda: condition(kube.get("mb", "media", "forbidden"), "Ready"))
    assert told["reason"] == "Forbidden"
    assert "Secret mediabucket-system/store-credentials-store: secrets" in told["message"]
    for rule in ("resourceVersion", "uid", "creationTimestamp", "managedFields"):
        role["metadata"].pop(rule, None)
    kube.kubectl("replace", "-f", "-", stdin=role)
    platform.wait("media", "forbidden", timeout=40)
    assert platform.operator.health()[0] == 200
    assert any("store-credentials-store" in call for call in forbidden_calls(kube))
