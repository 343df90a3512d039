"""What a manifest no longer asks for goes, whatever kept the first visit to that manifest from its end."""

from collections.abc import Callable
from typing import Any

import pytest
from memory_environment import MEDIA, conditions, make_environment, memory_cluster, put_media_bucket, put_store
from memory_world import MemoryBucket, MemoryCluster

from mediabucket_operator.children import encoded
from mediabucket_operator.cluster import Manifest, Reference, Refused
from mediabucket_operator.visit import Environment
from mediabucket_s3.errors import StoreUnavailable

INGRESS = Reference("Ingress", MEDIA.namespace, "media-media")
DEPLOYMENT = Reference("Deployment", MEDIA.namespace, "media-media")
ACCOUNT = Reference("ServiceAccount", MEDIA.namespace, "media-media")
DATABASE = Reference("Secret", MEDIA.namespace, "database")
SERVED: dict[str, Any] = {"state": "Enabled", "database": {"secretRef": {"name": "database"}}}
EXPOSED = SERVED | {"exposure": {"type": "Ingress", "host": "media.example.com"}}
NOTHING: dict[str, Any] = {"state": "Disabled"}


@pytest.fixture
def environment() -> Environment:
    made = make_environment()
    put_store(made)
    named = {"name": DATABASE.name, "namespace": DATABASE.namespace}
    memory_cluster(made).put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": named, "data": encoded({"url": "postgresql://"})}
    )
    return made


def store_is_away(patch: pytest.MonkeyPatch, _environment: Environment) -> str:
    def unanswered(_: MemoryBucket) -> bool:
        raise StoreUnavailable("HeadBucket", "ConnectTimeoutError")

    patch.setattr(MemoryBucket, "exists", unanswered)
    return "StoreReachable"


def database_secret_is_missing(patch: pytest.MonkeyPatch, environment: Environment) -> str:
    patch.delitem(memory_cluster(environment).objects, DATABASE)
    return "ServiceAvailable"


def deployments_are_refused(patch: pytest.MonkeyPatch) -> None:
    put = MemoryCluster.apply

    def refused(cluster: MemoryCluster, manifest: Manifest) -> Manifest:
        if manifest["kind"] == "Deployment":
            raise Refused("apply the Deployment", 403, "exceeded quota")
        return put(cluster, manifest)

    patch.setattr(MemoryCluster, "apply", refused)


@pytest.mark.parametrize("obstacle", [store_is_away, database_secret_is_missing])
def test_an_ingress_that_is_not_wanted_any_more_goes(
    environment: Environment, obstacle: Callable[[pytest.MonkeyPatch, Environment], str]
) -> None:
    put_media_bucket(environment, EXPOSED)
    conditions(environment)
    objects = memory_cluster(environment).objects
    assert INGRESS in objects
    with pytest.MonkeyPatch.context() as patch:
        obstructed = obstacle(patch, environment)
        put_media_bucket(environment, SERVED)
        assert conditions(environment)[obstructed].status == "False"
        assert INGRESS in objects
    conditions(environment)
    assert INGRESS not in objects
    assert DEPLOYMENT in objects


def test_a_service_that_never_came_about_goes(environment: Environment) -> None:
    put_media_bucket(environment, SERVED)
    objects = memory_cluster(environment).objects
    with pytest.MonkeyPatch.context() as patch:
        deployments_are_refused(patch)
        assert conditions(environment)["ServiceAvailable"].reason == "NotApplied"
    assert ACCOUNT in objects
    assert DEPLOYMENT not in objects
    with pytest.MonkeyPatch.context() as patch:
        store_is_away(patch, environment)
        put_media_bucket(environment, NOTHING)
        conditions(environment)
    assert conditions(environment)["ServiceAvailable"].reason == "Disabled"
    assert ACCOUNT not in objects
