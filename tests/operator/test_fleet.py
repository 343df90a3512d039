"""What the watches have shown: who claims which bucket, and which stores are left alone for a while."""

from typing import Any

from mediabucket_operator.cluster import Reference
from mediabucket_operator.fleet import Fleet, StoreRests


def manifest(name: str, *, bucket: str = "shared", created: int = 1, owned: bool = False, store: str = "main") -> Any:
    return {
        "kind": "MediaBucket",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
        },
        "spec": {"storeRef": {"name": store}, "bucketName": bucket},
        "status": {"ownership": {"state": "Owned"}} if owned else {},
    }


def reference(name: str) -> Reference:
    return Reference("MediaBucket", "team", name)


def fleet_of(*manifests: Any) -> Fleet:
    fleet = Fleet()
    for found in manifests:
        fleet.note(found)
    return fleet


def rival(fleet: Fleet, name: str) -> str | None:
    found = fleet.rival(reference(name))
    return None if found is None else found.reference.name


def test_the_older_claim_comes_first() -> None:
    fleet = fleet_of(manifest("young", created=2), manifest("old", created=1))
    assert (rival(fleet, "old"), rival(fleet, "young")) == (None, "old")


def test_whoever_owns_the_bucket_comes_before_everybody() -> None:
    fleet = fleet_of(manifest("old", created=1), manifest("owner", created=2, owned=True))
    assert (rival(fleet, "old"), rival(fleet, "owner")) == ("owner", None)


def test_of_two_of_one_second_exactly_one_comes_first() -> None:
    fleet = fleet_of(manifest("a"), manifest("b"))
    assert sorted([rival(fleet, "a") is None, rival(fleet, "b") is None]) == [False, True]


def test_of_many_all_are_told_of_the_first_and_not_of_each_other() -> None:
    crowd = [manifest(f"m{number}", created=number) for number in range(3, 9)]
    fleet = fleet_of(*crowd, manifest("first", created=2), manifest("old", created=1, bucket="another"))
    assert {rival(fleet, f"m{number}") for number in range(3, 9)} == {"first"}
    assert rival(fleet, "first") is None


def test_other_buckets_and_other_stores_are_no_rivals() -> None:
    fleet = fleet_of(manifest("a"), manifest("b", bucket="another"), manifest("c", store="elsewhere"))
    assert rival(fleet, "b") is rival(fleet, "c") is None


def test_when_the_first_is_gone_the_others_are_waiting_for_it() -> None:
    fleet = fleet_of(manifest("a"), manifest("b", created=2))
    gone = fleet.forget(reference("a"))
    assert gone is not None
    assert fleet.waiting_for(gone) == [reference("b")]
    assert rival(fleet, "b") is None
    assert fleet.forget(reference("a")) is None


def test_members_are_found_by_their_store_and_move_with_it() -> None:
    fleet = fleet_of(manifest("a"), manifest("b", store="elsewhere"))
    assert fleet.on_store("main") == [reference("a")]
    fleet.note(manifest("a", bucket="renamed"))
    assert rival(fleet, "a") is None
    assert fleet.on_store("main") == [reference("a")]


def test_a_store_that_did_not_answer_is_tried_by_one_visit_at_a_time() -> None:
    rests = StoreRests(rest_seconds=10)
    assert rests.refusal("main", now=0) is None
    rests.failed("main", now=0, message="no answer")
    refused = rests.refusal("main", now=5)
    assert refused is not None
    assert (refused.reason, refused.message) == ("StoreUnavailable", "no answer")
    assert rests.refusal("main", now=11) is None
    assert rests.refusal("main", now=11) is not None
    assert rests.refusal("other", now=11) is None


def test_the_first_message_stays_until_the_store_answers() -> None:
    rests = StoreRests(rest_seconds=10)
    rests.failed("main", now=0, message="the first")
    rests.failed("main", now=11, message="another")
    refused = rests.refusal("main", now=12)
    assert refused is not None
    assert refused.message == "the first"
    assert rests.answered("main")
    assert not rests.answered("main")
    assert rests.refusal("main", now=12) is None
