"""The answer to CreateBucket is lost on the way: the bucket is there, and nobody else's."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from counted_store import NOW, MakeResource

from mediabucket_api.status import OwnershipState
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.reconcile import reconcile
from mediabucket_s3.admin import BucketAdmin

EVENT = "before-send.s3.CreateBucket"


class Losing:
    """Sends the first request of these clients, and lets its answer be lost."""

    def __init__(self, *clients: Any) -> None:
        self._session = clients[0]._endpoint.http_session
        self.sent = 0

    def __call__(self, request: Any, **_: Any) -> None:
        self.sent += 1
        if self.sent == 1:
            assert self._session.send(request).status_code == 200
            raise ReadTimeoutError(endpoint_url=request.url)


@pytest.fixture
def admin(seaweedfs: SeaweedFS, bucket_name: str) -> BucketAdmin:
    return BucketAdmin.connect(seaweedfs.connection, bucket_name)


@pytest.fixture
def losing(admin: BucketAdmin) -> Iterator[Losing]:
    clients = (admin._client, admin._creator)
    made = Losing(*clients)
    for client in clients:
        client.meta.events.register(EVENT, made)
    yield made
    for client in clients:
        client.meta.events.unregister(EVENT, made)


def test_a_bucket_whose_making_was_not_answered_stays_claimed_and_is_taken_next_time(
    seaweedfs: SeaweedFS, make_resource: MakeResource, admin: BucketAdmin, losing: Losing
) -> None:
    first = reconcile(make_resource(), admin, connection=seaweedfs.connection, now=NOW)
    assert losing.sent == 1
    assert first.status.ownership is not None
    assert first.status.ownership.state == OwnershipState.CLAIMED
    second = reconcile(make_resource(status=first.status), admin, connection=seaweedfs.connection, now=NOW)
    assert second.status.ownership is not None
    assert second.status.ownership.state == OwnershipState.OWNED
