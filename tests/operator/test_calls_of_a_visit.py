"""What the first visit to a MediaBucket asks for: with a thousand of them each call counts."""

import base64
from collections import Counter
from datetime import UTC, datetime

import pytest
from counted_store import CountedAdmin, MakeResource, Pass
from memory_world import Faults, MemoryBucket, MemoryCluster, MemoryStore

from mediabucket_api.capabilities import CapabilityName
from mediabucket_api.constants import API_VERSION, FINALIZER, OWNER_TAG
from mediabucket_api.status import Capability, CapabilityVerdict, OwnershipOrigin
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.operator_core import is_ready
from mediabucket_operator.ownership import Mark, Owner, write_mark
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.stores import RealStores
from mediabucket_operator.visit import Environment, visit
from mediabucket_s3.connect import USER_AGENT

NAMESPACE = "mediabucket-system"
KEYS = {name: base64.b64encode(b"x").decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": NAMESPACE}, "data": KEYS}
OBJECT_STORE = {
    "apiVersion": API_VERSION,
    "kind": "ObjectStore",
    "metadata": {"name": "store"},
    "spec": {"endpoint": "https://store", "credentialsSecretRef": {"namespace": NAMESPACE, "name": "keys"}},
}
MEDIA_BUCKET: Manifest = {
    "apiVersion": API_VERSION,
    "kind": "MediaBucket",
    "metadata": {"name": "media", "namespace": "team-a", "finalizers": [FINALIZER]},
    "spec": {"storeRef": {"name": "store"}, "service": {"state": "Disabled"}},
}
CORS = {"cors": {"allowedOrigins": ["https://app.example.com"]}}


def test_rules_of_a_bucket_just_made_are_written_without_a_look_and_read_back(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    run_pass(make_resource(**CORS))
    assert [call for call in admin.called if "Cors" in call] == ["PutBucketCors", "GetBucketCors"]
    # Some stores put a rule of their own into each new bucket: it must survive.
    lifecycle = [call for call in admin.called if "Lifecycle" in call]
    assert lifecycle == [
        "GetBucketLifecycleConfiguration",
        "PutBucketLifecycleConfiguration",
        "GetBucketLifecycleConfiguration",
    ]


def test_rules_of_a_bucket_that_was_there_are_looked_at_first(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    admin.create("us-east-1", {})
    foreign = {"ID": "partner", "AllowedOrigins": ["https://partner.example"], "AllowedMethods": ["GET"]}
    admin.put_cors([foreign])
    run_pass(make_resource(adoptionPolicy="Adopt", **CORS))
    assert [call for call in admin.called if "Cors" in call] == ["GetBucketCors", "PutBucketCors", "GetBucketCors"]
    assert {rule["ID"] for rule in admin.get_cors()} == {"partner", "mediabucket-uploads"}


class TagKeepingBucket(MemoryBucket):
    """As AWS, which takes tags with CreateBucket."""

    def create(self, region: str, tags: dict[str, str]) -> None:
        super().create(region, tags)
        self._found().tags.update(tags)


@pytest.mark.parametrize(
    ("kind", "writes"),
    [(TagKeepingBucket, ["store create media"]), (MemoryBucket, ["store create media", "store put tags media"])],
)
def test_a_mark_that_was_made_with_the_bucket_is_not_written_again(kind: type[MemoryBucket], writes: list[str]) -> None:
    faults = Faults()
    admin = kind(MemoryStore(faults), "media")
    mark = Mark(Owner("uid-1", "team-a/media"), OwnershipOrigin.CREATED)
    admin.create("us-east-1", mark.tags())
    write_mark(admin, mark)
    assert faults.writes == writes
    assert admin.get_tags()[OWNER_TAG] == "uid-1"


BUCKET_TAGS = Capability(
    name=CapabilityName.BUCKET_TAGS,
    verdict=CapabilityVerdict.ENFORCED,
    probed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(("capabilities", "looks"), [((BUCKET_TAGS,), 0), ((), 1)])
def test_a_bucket_just_made_is_marked_with_few_calls(
    make_resource: MakeResource,
    run_pass: Pass,
    admin: CountedAdmin,
    capabilities: tuple[Capability, ...],
    looks: int,
) -> None:
    run_pass(make_resource(), capabilities=capabilities)
    assert admin.called[:2] == ["HeadBucket", "CreateBucket"]
    # As found, and read back.
    assert [call for call in admin.called if "Tagging" in call] == [
        "GetBucketTagging",
        "PutBucketTagging",
        "GetBucketTagging",
    ]
    # A mark in an object, where the store may have no tags.
    assert admin.called.count("GetObject") == looks


class CountingCluster(MemoryCluster):
    """Remembers what was read."""

    read: Counter[Reference]

    def get(self, reference: Reference) -> Manifest | None:
        self.read[reference] += 1
        return super().get(reference)


def test_nothing_is_read_twice_from_the_api_server() -> None:
    faults = Faults()
    cluster = CountingCluster(faults)
    cluster.read = Counter()
    for manifest in (SECRET, OBJECT_STORE, MEDIA_BUCKET):
        cluster.put(manifest)
    settings = OperatorSettings(namespace=NAMESPACE)
    visited = visit(Environment(cluster, MemoryStore(faults), settings, "cluster-1"), Reference.of(MEDIA_BUCKET))
    assert visited.status is not None
    assert is_ready(visited.status)
    assert cluster.read[Reference("Secret", "team-a", "media-media")] == 1
    assert set(cluster.read.values()) == {1}
    # Nothing was provided before, so there is no upload service to take away.
    assert Reference("ServiceAccount", "team-a", "media-media") not in cluster.read


def test_walks_of_one_store_share_their_connections(seaweedfs: SeaweedFS) -> None:
    stores, connection = RealStores(), seaweedfs.connection
    assert stores._sender(connection) is stores._sender(connection)
    other = connection.model_copy(update={"ca_bundle": None, "endpoint": "http://other"})
    assert stores._sender(other) is stores._sender(connection)


def test_calls_say_whose_they_are(admin: CountedAdmin) -> None:
    sent: list[str] = []
    admin.client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request.headers["User-Agent"]))
    admin.exists()
    [agent] = sent
    text = agent.decode() if isinstance(agent, bytes) else agent
    assert text.split()[0] == USER_AGENT
