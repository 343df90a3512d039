"""An ObjectStore without a Secret: the operator uses the identity of its own Pod, and gives out scoped keys only."""

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from identity_givers import Giver, irsa, pod_identity, pod_identity_agent, security_token_service
from kube_platform import Platform
from operator_process import condition, eventually, media_bucket, store_documents

Serve = Callable[[Giver], AbstractContextManager[Giver]]


@pytest.fixture(
    params=[(security_token_service, irsa), (pod_identity_agent, pod_identity)], ids=["IRSA", "PodIdentity"]
)
def giver(request: pytest.FixtureRequest, platform: Platform, tmp_path: Path) -> Iterator[Giver]:
    """Gives out the administrator's keys of the store, after it has refused for a while."""
    serve: Serve
    serve, environment = request.param
    connection = platform.store.connection
    token_file = tmp_path / "token"
    token_file.write_text("a token of the cluster")
    secret = connection.secret_access_key.get_secret_value()
    giver = Giver(connection.access_key_id, secret, token_file, refuses=True)
    before = dict(platform.operator.environment)
    with serve(giver):
        restart(platform, before | environment(giver))
        try:
            yield giver
        finally:
            restart(platform, before)
    assert giver.problems == []


def restart(platform: Platform, environment: dict[str, str]) -> None:
    platform.operator.stop()
    platform.operator.environment = environment
    platform.operator.start()
    eventually(lambda: platform.operator.health()[0] == 200)


def test_buckets_are_made_with_the_pods_identity(platform: Platform, team: str, giver: Giver) -> None:
    name = f"keyless-{team}"
    _, store = store_documents(name, platform.store.connection)
    del store["spec"]["credentialsSecretRef"]
    platform.kube.apply(store)
    platform.kube.apply(media_bucket("avatars", team, name))
    refused = eventually(lambda: condition(platform.kube.get("ostore", name), "Ready"))
    assert (refused["status"], refused["reason"]) == ("False", "IdentityMissing")
    assert "credentialsSecretRef" in refused["message"]

    giver.refuses = False
    platform.wait("avatars", team)
    assert giver.given >= 1
    found = platform.get("avatars", team)
    assert condition(found, "CredentialsReady")["reason"] == "Scoped"
    assert condition(found, "UploadPathVerified")["status"] == "True"
    data = platform.kube.get("secret", "avatars-media", team)["data"]
    assert base64.b64decode(data["AWS_ACCESS_KEY_ID"]).decode() != giver.access_key_id
    assert "AWS_SESSION_TOKEN" not in data
    platform.kube.kubectl("delete", "mb/avatars", "-n", team)
    platform.kube.kubectl("delete", f"ostore/{name}")
