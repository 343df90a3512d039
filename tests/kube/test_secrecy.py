"""No secret leaves the two Secrets that it belongs in: a canary is looked for in everything that anybody can read."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_platform import Platform, cluster_with_chart
from operator_process import (
    OperatorProcess,
    condition,
    eventually,
    media_bucket,
    namespace,
    store_documents,
)
from pydantic import SecretStr

from mediabucket_cli.embedded.seaweedfs import SeaweedFS

TEAM = "talkative"
CANARY = "canary0secret0access0key0that0nobody0may0see"


@pytest.fixture
def talkative(assets: Path, seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Platform]:
    """An operator that logs all it can, and no other that could do its work in silence."""
    environment = {"MEDIABUCKET_OPERATOR_LOG_LEVEL": "DEBUG"}
    with cluster_with_chart(tmp_path / "kube", assets) as cluster:
        cluster.apply(namespace(TEAM))
        with OperatorProcess(cluster, tmp_path / "operator", environment) as operator:
            eventually(lambda: operator.health()[0] == 200)
            yield Platform(cluster, seaweedfs, operator)


def everything_readable(platform: Platform) -> str:
    """What people, dashboards and log collectors can see: all but Secrets."""
    kinds = "mediabuckets,objectstores,events,configmaps,deployments"
    objects = platform.kube.kubectl("get", kinds, "-A", "-o", "json")
    described = platform.kube.kubectl("describe", "mediabuckets,objectstores", "-A")
    return "\n".join((objects, described, platform.operator.logs(), platform.operator.health()[1]))


def shapes(secret: str) -> list[str]:
    return [secret, base64.b64encode(secret.encode()).decode().rstrip("=")]


def test_no_secret_is_ever_told(talkative: Platform) -> None:
    kube, connection = talkative.kube, talkative.store.connection
    name, team = "secret", TEAM
    wrong = connection.model_copy(update={"secret_access_key": SecretStr(CANARY)})
    # Denied, with the canary as the administrator's key.
    kube.apply(*store_documents(name, wrong), media_bucket("media", team, name, deletionPolicy="DeleteIfEmpty"))
    eventually(lambda: condition(kube.get("ostore", name), "Ready").get("reason") == "AccessDenied")
    eventually(lambda: condition(talkative.get("media", team), "Ready").get("status") == "False")
    # Down, still with it.
    nowhere = wrong.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    kube.apply(store_documents(name, nowhere)[1])
    eventually(lambda: condition(kube.get("ostore", name), "Reachable").get("reason") == "StoreUnavailable")
    # Well; then rotated; then refused to be deleted.
    kube.apply(*store_documents(name, connection))
    talkative.wait("media", team)
    keys = [_secret_of(talkative, team)]
    kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/rotate-credentials=1")
    eventually(lambda: _secret_of(talkative, team) != keys[0])
    keys.append(_secret_of(talkative, team))
    talkative.admin(f"{team}-media").write_object("uploads/a", b"1", "text/plain")
    kube.kubectl("delete", "mb/media", "-n", team, "--wait=false")
    eventually(lambda: condition(talkative.get("media", team), "DeletionBlocked").get("reason") == "NotEmpty")
    told = everything_readable(talkative)
    # It would be found if it were there: what may be told is.
    assert name in told
    assert "NotEmpty" in told
    for secret in (CANARY, connection.secret_access_key.get_secret_value(), *keys):
        for shape in shapes(secret):
            assert shape not in told
    kube.kubectl("annotate", "mb/media", "-n", team, "mediabucket.dev/abandon=true")


def _secret_of(platform: Platform, team: str) -> str:
    data = json.loads(platform.kube.kubectl("get", "secret/media-media", "-n", team, "-o", "jsonpath={.data}"))
    return base64.b64decode(data["AWS_SECRET_ACCESS_KEY"]).decode()
