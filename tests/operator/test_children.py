"""Whether an object is what was asked for, whatever the API server and others have added to it."""

from typing import Any

import pytest

from mediabucket_api.resources import MediaBucket
from mediabucket_operator.children import child, child_name, contains


def resource(name: str) -> MediaBucket:
    spec = {"storeRef": {"name": "main"}, "bucketName": "bucket"}
    return MediaBucket.model_validate({"metadata": {"name": name, "namespace": "team", "uid": "1"}, "spec": spec})


@pytest.mark.parametrize(
    ("live", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}, True),
        ({"a": {"b": [1, 2, 3]}}, {"a": {"b": [1, 2]}}, False),
        # Defaults within the items of a list, and a container that somebody added.
        ([{"name": "a", "x": 1}, {"name": "b"}], [{"name": "a"}], True),
        ([{"name": "b"}], [{"name": "a"}], False),
        # The API server writes quantities in its own way.
        ("500m", "0.5", True),
        ("1Gi", "1024Mi", True),
        ("1Gi", "1G", False),
        ("1Ti", "1024Gi", True),
        ("1T", "1000G", True),
        ("500u", "0.0005", True),
        ("250n", "0.00000025", True),
        ("1P", "1000T", True),
        ("1Pi", "1024Ti", True),
        ("1E", "1000P", True),
        ("1Ei", "1024Pi", True),
        ("1500m", "1.5", True),
        ("1k", "1e3", True),
        ("1M", "1E6", True),
        ("100m", "1e-1", True),
        # Finer than a thousandth is rounded up; of large ones a float would not tell the last digit.
        ("1m", "0.0005", True),
        ("2m", "0.0015", True),
        ("2m", "0.002001", False),
        ("1m", "1.1m", False),
        ("9007199254740993", "9007199254740992", False),
        ("1E", "1Ei", False),
        ("1", "1i", False),
        ("1K", "1k", False),
        ("", "0", False),
        ("text", "texts", False),
        (None, {"a": 1}, False),
        (8000, "8000", False),
    ],
)
def test_contains(live: Any, wanted: Any, same: bool) -> None:
    assert contains(live, wanted) == same


@pytest.mark.parametrize(
    ("name", "expected"),
    [("avatars", "avatars-media"), ("a" * 57, f"{'a' * 57}-media")],
)
def test_a_child_is_named_after_its_media_bucket(name: str, expected: str) -> None:
    assert child_name(resource(name)) == expected


@pytest.mark.parametrize("name", ["with.dots", "a" * 58, "a" * 253, f"{'a' * 46}.{'b' * 20}"])
def test_a_name_that_is_no_label_gets_a_hash(name: str) -> None:
    found = child_name(resource(name))
    assert len(found) <= 63
    assert "." not in found
    assert found != child_name(resource(f"{name[:-1]}z"))


def test_what_is_no_longer_wanted_is_seen() -> None:
    before = child(resource("a"), "ConfigMap", {"data": {"kept": "1", "dropped": "2"}})
    after = child(resource("a"), "ConfigMap", {"data": {"kept": "1"}})
    assert contains(before, before)
    assert not contains(before, after)
