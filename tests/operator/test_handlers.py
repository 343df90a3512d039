"""kopf's settings and handlers: what kopf would swallow without a word."""

import dataclasses
from typing import Any

import kopf
import pytest

from mediabucket_operator import handlers
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
    configure(settings)
    assert attributes(settings) == before


def test_annotations_of_ours_are_seen_by_kopf() -> None:
    """kopf ignores changes under the prefix of its own storages."""
    settings = kopf.OperatorSettings()
    configure(settings)
    body: Any = {"metadata": {"annotations": {"mediabucket.dev/probe": "now", f"{KOPF_PREFIX}/last-handled": "x"}}}
    essence = settings.persistence.diffbase_storage.build(body=kopf.Body(body))
    assert essence["metadata"]["annotations"] == {"mediabucket.dev/probe": "now"}


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
