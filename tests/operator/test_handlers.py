"""kopf's settings and handlers: what kopf would swallow without a word."""

import dataclasses
from typing import Any

import kopf
import pytest

from mediabucket_operator import handlers
from mediabucket_operator.handled import Handled
from mediabucket_operator.handlers import KOPF_PREFIX, configure


def attributes(settings: kopf.OperatorSettings) -> set[str]:
    """The dotted names of everything that is set, known to kopf or not."""
    return {
        f"{section.name}.{name}"
        for section in dataclasses.fields(settings)
        for name in vars(getattr(settings, section.name))
    }


def test_no_setting_is_misspelt() -> None:
    settings = kopf.OperatorSettings()
    before = attributes(settings)
    configure(settings, Handled())
    assert attributes(settings) == before


def manifest(annotations: dict[str, str] | None = None, **changed: Any) -> kopf.Body:
    metadata = {"uid": "1", "resourceVersion": "1", "annotations": annotations or {}}
    return kopf.Body({"metadata": metadata, "spec": {"storeRef": {"name": "store"}}, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "is_seen"),
    [
        (manifest({"mediabucket.dev/probe": "now"}), True),
        (manifest(spec={"storeRef": {"name": "other"}}), True),
        (manifest({f"{KOPF_PREFIX}/touch-dummy": "x"}), False),
        (manifest({"kubectl.kubernetes.io/last-applied-configuration": "{}"}), False),
        (manifest(status={"endpoint": "http://store"}), False),
    ],
)
def test_what_people_change_is_seen_and_nothing_else(changed: kopf.Body, *, is_seen: bool) -> None:
    handled = Handled()
    assert (handled.build(body=changed) != handled.build(body=manifest())) == is_seen


def test_what_was_handled_is_known_until_the_object_is_gone_and_nothing_is_written_for_it() -> None:
    handled, body, patch = Handled(), manifest(), kopf.Patch()
    assert handled.fetch(body=body) is None
    handled.store(body=body, patch=patch, essence=handled.build(body=body))
    assert handled.fetch(body=body) == handled.build(body=body)
    assert not patch
    handled.forget(body)
    assert handled.fetch(body=body) is None


def test_deletion_never_gives_up() -> None:
    """A number of retries or a time limit would let the object go, and leave its bucket to nobody."""
    registry = kopf.get_default_registry()
    found = [
        handler for handler in registry._changing.get_all_handlers() if handler.fn is handlers.media_bucket_deleted
    ]
    assert [(handler.timeout, handler.retries, handler.reason) for handler in found] == [(None, None, "delete")]


@pytest.mark.parametrize("handler", [handlers.media_bucket_changed, handlers.object_store_changed])
def test_each_kind_has_create_update_and_resume(handler: Any) -> None:
    registry = kopf.get_default_registry()
    found = [known for known in registry._changing.get_all_handlers() if known.fn is handler]
    reasons = {"resume" if known.initial else str(known.reason) for known in found}
    assert reasons == {"create", "update", "resume"}
