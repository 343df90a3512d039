"""Whose bucket is it: the decision alone, and the mark in a real bucket."""

from typing import Any

import pytest
from counted_store import CountedAdmin, MakeResource, Pass, condition, failing

from mediabucket_api.constants import OWNER_MARKER_KEY, OWNER_TAG, RECREATE_ANNOTATION
from mediabucket_api.resources import MediaBucket
from mediabucket_api.status import ConditionType, OwnershipOrigin
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_operator.ownership import Found, Mark, Owner, Step, decide, read_mark, write_mark
from mediabucket_s3.admin import BucketAdmin
from mediabucket_s3.errors import BucketTaken, NotImplementedByStore, StoreUnavailable

CREATED, ADOPTED = OwnershipOrigin.CREATED, OwnershipOrigin.ADOPTED
MISSING = Found(exists=False)
UNMARKED = Found(exists=True)
EMPTY = Found(exists=True, empty=True)
OURS = Found(exists=True, mark=Mark(Owner("uid-1", "team-a/media"), CREATED))
FORMER_LIFE = Found(exists=True, mark=Mark(Owner("uid-0", "team-a/media"), CREATED))
THEIRS = Found(exists=True, mark=Mark(Owner("uid-9", "team-b/media"), CREATED))

OWNED = {"ownership": {"state": "Owned", "origin": "Adopted"}}
CLAIMED = {"ownership": {"state": "Claimed"}}
# Its tags were removed by hand before the bucket itself was.
ONCE_OWNED = {"ownership": {"state": "Foreign", "origin": "Created"}}
FOREIGN = {"ownership": {"state": "Foreign"}}
RECREATE = {RECREATE_ANNOTATION: "true"}


def media_bucket(policy: str, status: dict[str, Any], annotations: dict[str, str]) -> MediaBucket:
    metadata = {"name": "media", "namespace": "team-a", "uid": "uid-1", "annotations": annotations}
    spec = {"storeRef": {"name": "embedded"}, "adoptionPolicy": policy}
    return MediaBucket.model_validate({"metadata": metadata, "spec": spec, "status": status})


@pytest.mark.parametrize(
    ("found", "policy", "status", "annotations", "step", "reason"),
    [
        pytest.param(MISSING, "IfTaggedOurs", {}, {}, Step.CREATE, "Owned", id="new"),
        pytest.param(MISSING, "IfTaggedOurs", CLAIMED, {}, Step.CREATE, "Owned", id="claimed, never made"),
        pytest.param(MISSING, "Adopt", OWNED, {}, Step.REFUSE, "BucketMissing", id="vanished"),
        pytest.param(MISSING, "Adopt", ONCE_OWNED, {}, Step.REFUSE, "BucketMissing", id="lost its tags, then vanished"),
        pytest.param(MISSING, "Never", OWNED, RECREATE, Step.CREATE, "Owned", id="made again on request"),
        pytest.param(
            MISSING, "Never", OWNED, {RECREATE_ANNOTATION: "yes"}, Step.REFUSE, "BucketMissing", id="a typo is no yes"
        ),
        pytest.param(MISSING, "IfTaggedOurs", FOREIGN, {}, Step.CREATE, "Owned", id="its foreign owner gave it up"),
        pytest.param(OURS, "Never", {}, {}, Step.KEEP, "Owned", id="ours"),
        pytest.param(FORMER_LIFE, "IfTaggedOurs", {}, {}, Step.TAKE, "Owned", id="of our former life"),
        pytest.param(FORMER_LIFE, "Never", {}, {}, Step.REFUSE, "ForeignOwner", id="former life, never adopt"),
        pytest.param(THEIRS, "Adopt", {}, {}, Step.REFUSE, "ForeignOwner", id="foreign, whatever the policy"),
        pytest.param(THEIRS, "Adopt", CLAIMED, {}, Step.REFUSE, "ForeignOwner", id="somebody marked it faster"),
        pytest.param(UNMARKED, "IfTaggedOurs", {}, {}, Step.REFUSE, "BucketExists", id="unmarked"),
        pytest.param(EMPTY, "IfTaggedOurs", {}, {}, Step.REFUSE, "BucketExists", id="empty, but not announced"),
        pytest.param(UNMARKED, "Never", {}, {}, Step.REFUSE, "BucketExists", id="unmarked, never adopt"),
        pytest.param(UNMARKED, "IfTaggedOurs", OWNED, {}, Step.REFUSE, "BucketExists", id="lost its tags"),
        pytest.param(UNMARKED, "Adopt", {}, {}, Step.TAKE, "Owned", id="unmarked, adopted"),
        pytest.param(EMPTY, "Never", CLAIMED, {}, Step.TAKE, "Owned", id="made, then died before marking"),
        pytest.param(UNMARKED, "Never", CLAIMED, {}, Step.REFUSE, "BucketExists", id="claimed, but others' data in it"),
    ],
)
def test_the_decision(
    found: Found, policy: str, status: dict[str, Any], annotations: dict[str, str], step: Step, reason: str
) -> None:
    decision = decide(media_bucket(policy, status, annotations), found)
    assert (decision.step, decision.verdict.reason) == (step, reason)


@pytest.mark.parametrize(
    ("found", "policy", "status", "origin"),
    [
        pytest.param(MISSING, "Never", {}, CREATED, id="made"),
        pytest.param(UNMARKED, "Adopt", {}, ADOPTED, id="adopted"),
        pytest.param(EMPTY, "Adopt", CLAIMED, CREATED, id="made before a crash"),
        pytest.param(FORMER_LIFE, "Adopt", {}, CREATED, id="made in a former life"),
        pytest.param(
            Found(exists=True, mark=Mark(Owner("uid-0", "team-a/media"), ADOPTED)),
            "IfTaggedOurs",
            {},
            ADOPTED,
            id="adopted in a former life",
        ),
    ],
)
def test_an_adopted_bucket_stays_known_as_adopted(
    found: Found, policy: str, status: dict[str, Any], origin: OwnershipOrigin
) -> None:
    assert decide(media_bucket(policy, status, {}), found).ownership.origin == origin


def test_a_mark_of_unknown_origin_counts_as_adopted() -> None:
    mark = Mark.from_tags({OWNER_TAG: "uid-1"})
    assert mark is not None
    assert mark.origin == ADOPTED, "an adopted bucket is never destroyed"


@pytest.fixture
def mark() -> Mark:
    return Mark(Owner("uid-1", "team-a/media"), CREATED)


class StoreWithoutTags(CountedAdmin):
    def get_tags(self) -> dict[str, str]:
        raise NotImplementedByStore("GetBucketTagging", "NotImplemented", 501)


class ForgetfulStore(CountedAdmin):
    """Takes tags without a word, and keeps none."""

    def put_tags(self, tags: dict[str, str]) -> None:
        pass


@pytest.mark.parametrize("store", [StoreWithoutTags, ForgetfulStore])
def test_where_tags_do_not_work_an_object_says_whose_it_is(
    store: type[CountedAdmin], admin: CountedAdmin, mark: Mark
) -> None:
    admin.create("us-east-1", {})
    lacking = store(admin.client, admin.bucket)
    assert read_mark(lacking) is None
    assert write_mark(lacking, mark) == mark
    assert read_mark(lacking) == mark
    assert admin.read_object(OWNER_MARKER_KEY) is not None


@pytest.mark.parametrize("content", [b"\xff", b"[]", b"{}", b"not JSON"])
def test_an_unreadable_mark_is_somebody_elses(
    content: bytes, make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    admin.create("us-east-1", {})
    admin.write_object(OWNER_MARKER_KEY, content, "application/json")
    refused = run_pass(make_resource(adoptionPolicy="Adopt"))
    assert admin.writes == []
    owned = condition(refused, ConditionType.BUCKET_OWNED)
    assert (owned.status, owned.reason) == ("False", "ForeignOwner")
    assert OWNER_MARKER_KEY in owned.message


def test_foreign_tags_survive_marking(admin: CountedAdmin, mark: Mark) -> None:
    admin.create("us-east-1", {})
    admin.put_tags({"cost-centre": "42"})
    write_mark(admin, mark)
    assert admin.get_tags() == {"cost-centre": "42", **mark.tags()}


def test_who_dies_before_marking_is_remembered_by_status(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "put_tags", failing(StoreUnavailable("PutBucketTagging", "EndpointConnectionError")))
    failed = run_pass(make_resource())
    assert admin.exists()
    assert failed.status.ownership is not None
    assert failed.status.ownership.state == "Claimed"
    monkeypatch.undo()
    healed = run_pass(make_resource(status=failed.status))
    assert healed.status.ownership is not None
    assert (healed.status.ownership.state, healed.status.ownership.origin) == ("Owned", "Created")


def test_who_comes_second_claims_nothing(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "create", failing(BucketTaken("CreateBucket", "BucketAlreadyExists", 409)))
    refused = run_pass(make_resource())
    assert refused.status.ownership is not None
    assert refused.status.ownership.state == "Foreign"
    assert not refused.complete


def test_a_rival_whose_bucket_may_be_made_again_keeps_it(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in us-east-1 of AWS, where CreateBucket says 200 for a bucket that the account has already."""
    rival, make = Mark(Owner("uid-9", "team-b/media", "cluster-2"), CREATED), admin.create

    def made_by_the_rival(region: str, _tags: dict[str, str]) -> None:
        make(region, {})
        admin.put_tags(rival.tags())
        admin.called.clear()

    monkeypatch.setattr(admin, "create", made_by_the_rival)
    refused = run_pass(make_resource())
    assert admin.writes == []
    assert admin.get_tags() == rival.tags()
    owned = condition(refused, ConditionType.BUCKET_OWNED)
    assert (owned.status, owned.reason) == ("False", "ForeignOwner")
    assert "belongs to team-b/media of cluster cluster-2" in owned.message
    assert refused.status.ownership is not None
    assert (refused.status.ownership.state, refused.status.ownership.origin) == ("Foreign", None)
    assert not refused.complete


def test_of_two_marks_written_at_once_the_last_counts(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were told that the bucket is theirs, and neither saw a mark."""
    rival, put = Mark(Owner("uid-9", "team-b/media", "cluster-2"), CREATED), admin.put_tags

    def outdone(tags: dict[str, str]) -> None:
        put(tags)
        put(rival.tags())

    monkeypatch.setattr(admin, "put_tags", outdone)
    refused = run_pass(make_resource())
    assert admin.writes == ["CreateBucket", "PutBucketTagging", "PutBucketTagging"]
    assert admin.get_tags() == rival.tags()
    owned = condition(refused, ConditionType.BUCKET_OWNED)
    assert (owned.status, owned.reason) == ("False", "ForeignOwner")


def test_a_bucket_that_an_earlier_call_has_made_since_is_taken_on_the_next_pass(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin, seaweedfs: SeaweedFS
) -> None:
    """A process was killed while it was created, or an answer was lost: the store says that it is ours already."""
    earlier = BucketAdmin.connect(seaweedfs.connection, admin.bucket)
    decided = admin.exists

    def seen_missing() -> bool:
        found = decided()
        earlier.create("us-east-1", {})
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admin, "exists", seen_missing)
        first = run_pass(make_resource())
    assert first.status.ownership is not None
    assert first.status.ownership.state == "Claimed"
    healed = run_pass(make_resource(status=first.status))
    assert healed.status.ownership is not None
    assert (healed.status.ownership.state, healed.status.ownership.origin) == ("Owned", "Created")


def test_a_manifest_cannot_give_the_bucket_away(
    make_resource: MakeResource, run_pass: Pass, admin: CountedAdmin
) -> None:
    resource = make_resource(tags=[{"key": OWNER_TAG, "value": "somebody else"}])
    run_pass(resource)
    again = run_pass(resource)
    assert (again.changes, admin.writes) == ((), [])
    assert admin.get_tags()[OWNER_TAG] == resource.owner_uid
