"""Notifications as bytes, and the objects that are read from them."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from notifications import DELETIONS, SHAPES, Shape, encoded, event_bridge, minio, s3, s3_record, seaweedfs, trial_event

from mediabucket_service.events.shapes import MAX_RECORDS, stored_objects
from mediabucket_service.problems import MalformedRequest

KEY = "pending/019aa1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
AWKWARD = "pending/ü b+c%20&d=e/f?.verified"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("key", [KEY, AWKWARD])
def test_every_shape_names_its_object(shape: Shape, key: str) -> None:
    assert list(stored_objects(encoded(shape("media", key)))) == [("media", key)]


@pytest.mark.parametrize("shape", DELETIONS.values(), ids=DELETIONS)
def test_other_events_name_none(shape: Shape) -> None:
    assert list(stored_objects(encoded(shape("media", KEY)))) == []


@pytest.mark.parametrize(
    "body",
    [
        trial_event("media"),
        {"Records": []},
        s3("media", KEY, "ObjectTagging:Put"),
        s3("media", KEY, "ObjectRestore:Completed"),
        s3("media", KEY, "s3:ObjectAccessed:Get"),
        seaweedfs("media", KEY, "rename"),
        {"event_type": "create", "key": "/topics/.system/log"},
        {"event_type": "create", "key": KEY},
    ],
)
def test_nothing_to_do(body: Any) -> None:
    assert list(stored_objects(encoded(body))) == []


@pytest.mark.parametrize("event", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_every_way_of_creating_an_object_counts(event: str) -> None:
    assert list(stored_objects(encoded(s3("media", KEY, f"ObjectCreated:{event}")))) == [("media", KEY)]
    assert list(stored_objects(encoded(minio("media", KEY, f"s3:ObjectCreated:{event}")))) == [("media", KEY)]


def test_an_object_written_over_in_seaweedfs_is_an_update() -> None:
    assert list(stored_objects(encoded(seaweedfs("media", KEY, "update")))) == [("media", KEY)]


def test_a_key_of_event_bridge_is_taken_as_it_is() -> None:
    assert list(stored_objects(encoded(event_bridge("media", "a%2Fb+c")))) == [("media", "a%2Fb+c")]


def test_many_records_keep_their_order() -> None:
    keys = [f"pending/{number}" for number in range(MAX_RECORDS)]
    body = encoded({"Records": [s3_record("media", key) for key in keys]})
    assert [found.key for found in stored_objects(body)] == keys


def test_more_records_are_refused() -> None:
    with pytest.raises(MalformedRequest, match="has 251 records; send at most 250 at a time"):
        stored_objects(encoded({"Records": [s3_record("media", KEY)] * 251}))


NOT_JSON = "body must be valid JSON in UTF-8"
DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b'{"Records": ',
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"Records":' * DEEP,
        b'"\\ud800"',
    ],
)
def test_what_is_not_json_is_said_to_be(body: bytes) -> None:
    with pytest.raises(MalformedRequest) as refused:
        stored_objects(body)
    assert refused.value.detail == NOT_JSON


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "Records",
        7,
        {},
        {"Records": None},
        {"Records": {}},
        {"Records": [None]},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Records": [{"eventName": 5, "s3": {"bucket": {"name": "a"}, "object": {"key": "b"}}}]},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": None}, "object": {"key": []}}}]},
        {"Event": "s3:AnotherEvent"},
        {"source": "aws.ec2", "detail-type": "Object Created", "detail": {}},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
        {"key": 1, "event_type": "create"},
        {"key": "/buckets/media/pending/a"},
    ],
)
def test_another_shape_is_refused_with_what_is_taken(body: Any) -> None:
    with pytest.raises(MalformedRequest, match="must be a notification as S3, MinIO, EventBridge or SeaweedFS send it"):
        stored_objects(encoded(body))


NAMES = st.sampled_from(
    [
        *("Records", "eventName", "s3", "bucket", "name", "object", "key", "Event", "EventName", "Key"),
        *("source", "detail-type", "detail", "event_type", "message", "new_entry"),
    ]
)
TEXTS = st.one_of(
    st.text(), st.sampled_from(["ObjectCreated:Put", "s3:TestEvent", "aws.s3", "create", "/buckets//", "%FF%", KEY])
)
HOSTILE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=6)),
    max_leaves=30,
)


@given(HOSTILE)
@example({"Records": [{"eventName": "ObjectCreated:", "s3": {"bucket": {"name": ""}, "object": {"key": "%FF%00"}}}]})
def test_hostile_json_is_read_or_refused(body: Any) -> None:
    try:
        found = stored_objects(encoded(body))
    except MalformedRequest:
        return
    assert all(isinstance(item.bucket, str) and isinstance(item.key, str) for item in found)


@given(st.binary())
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        stored_objects(body)
