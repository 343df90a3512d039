"""A MediaBucket, and passes over its bucket on a real store."""

from datetime import datetime
from typing import Any

import pytest
from counted_store import NOW, CountedAdmin, MakeResource, Pass
from memory_environment import make_environment

from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import Capability, MediaBucketStatus
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.reconcile import Outcome, reconcile
from mediabucket_operator.visit import Environment


@pytest.fixture
def make_resource(bucket_name: str) -> MakeResource:
    """A MediaBucket of this test's bucket, with these fields of its spec."""

    def make(
        metadata: dict[str, Any] | None = None, status: MediaBucketStatus | None = None, **spec: Any
    ) -> MediaBucket:
        wanted = {"storeRef": {"name": "embedded"}, "bucketName": bucket_name} | spec
        document = {"metadata": {"name": "media", "namespace": "team-a"} | (metadata or {}), "spec": wanted}
        resource = MediaBucket.model_validate(document)
        return resource if status is None else resource.model_copy(update={"status": status})

    return make


@pytest.fixture
def environment() -> Environment:
    return make_environment()


@pytest.fixture
def admin(seaweedfs: SeaweedFS, bucket_name: str) -> CountedAdmin:
    return CountedAdmin.counting(seaweedfs.connection, bucket_name)


@pytest.fixture
def run_pass(seaweedfs: SeaweedFS, admin: CountedAdmin) -> Pass:
    """One pass, on a count of calls that starts at zero."""

    def run(
        resource: MediaBucket,
        *,
        now: datetime = NOW,
        dry_run: bool = False,
        capabilities: tuple[Capability, ...] = (),
    ) -> Outcome:
        admin.called.clear()
        connection = seaweedfs.connection
        return reconcile(resource, admin, connection=connection, now=now, dry_run=dry_run, capabilities=capabilities)

    return run
