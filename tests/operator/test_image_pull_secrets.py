"""With which Secrets the upload service's image is fetched."""

from typing import Any

import pytest

from mediabucket_api.connection import BucketConnection, StoreConnection
from mediabucket_api.resources import MediaBucket
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.workload import manifests


@pytest.mark.parametrize(
    ("in_manifest", "given", "named"),
    [([], (), []), ([], ("registry",), ["registry"]), (["mirror", "own"], ("registry",), ["mirror", "own"])],
    ids=["none", "given to the operator", "of the manifest"],
)
def test_the_manifest_goes_before_what_the_operator_was_given(
    in_manifest: list[str], given: tuple[str, ...], named: list[str]
) -> None:
    pod = pod_of(in_manifest, OperatorSettings(namespace="x", service_image="s:1", service_image_pull_secrets=given))
    assert [secret["name"] for secret in pod.get("imagePullSecrets", [])] == named
    assert ("imagePullSecrets" in pod) is bool(named)


def pod_of(pull_secrets: list[str], settings: OperatorSettings) -> dict[str, Any]:
    service = {
        "database": {"secretRef": {"name": "postgres"}},
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
    }
    resource = MediaBucket.model_validate(
        {
            "apiVersion": "mediabucket.dev/v1alpha1",
            "kind": "MediaBucket",
            "metadata": {"name": "media", "namespace": "chat", "uid": "1"},
            "spec": {"storeRef": {"name": "main"}, "service": service},
        }
    )
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    where = {"endpoint": "http://store:8333", "public_endpoint": "https://s3.example.com"}
    connection = BucketConnection(store=StoreConnection.model_validate(keys | where), bucket="b", spec=resource.spec)
    pod: dict[str, Any] = manifests(resource, connection, settings, "checksum")["Deployment"]["spec"]["template"][
        "spec"
    ]
    return pod
