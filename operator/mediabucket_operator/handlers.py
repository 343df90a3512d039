"""What kopf calls: each handler only says that something has changed. `kopf run -m mediabucket_operator.handlers`.

There is no timer of kopf's: its interval is the same for all objects, and it puts a finalizer on ObjectStores, which
then could not be deleted without a running operator. The dispatcher knows when each object is due.
"""

import asyncio
import gc
import logging
from typing import Any, Final

import kopf
from kopf import ConnectionInfo

from mediabucket_api.constants import API_VERSION, FINALIZER, GROUP, MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_operator.cluster import FIELD_MANAGER, MANAGED_BY_LABEL, Reference
from mediabucket_operator.handled import Handled
from mediabucket_operator.operator_core import media_bucket
from mediabucket_operator.runtime import Runtime
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.watched_session import heard_session

logger = logging.getLogger(__name__)

MEDIA_BUCKETS: Final = (GROUP, "v1alpha1", "mediabuckets")
OBJECT_STORES: Final = (GROUP, "v1alpha1", "objectstores")
DEPLOYMENTS: Final = ("apps", "v1", "deployments")
KOPF_PREFIX: Final = f"kopf.{GROUP}"
_OURS: Final = f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"

# A restart of the whole cluster must not be noticed by a request that never ends.
_WATCH_SECONDS: Final = 300
_CONNECT_SECONDS: Final = 10
_REQUEST_SECONDS: Final = 30


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    memo.handled = Handled()
    configure(settings, memo.handled)
    memo.runtime = await Runtime.start(OperatorSettings())
    # What was imported stays for good: looking through it for garbage again and again finds none.
    gc.collect()
    gc.freeze()


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    if "runtime" in memo:
        await memo.runtime.stop()


@kopf.on.login()
async def log_in(memo: kopf.Memo, logger: Any, settings: kopf.OperatorSettings, **_: Any) -> Any:
    info = await asyncio.to_thread(kopf.login_via_client, logger=logger, settings=settings)
    return heard_session(info, memo.runtime.pulse) if isinstance(info, ConnectionInfo) else info


@kopf.on.event(*MEDIA_BUCKETS)
async def media_bucket_seen(event: Any, body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    manifest = {**body, "apiVersion": API_VERSION, "kind": MEDIA_BUCKET_KIND}
    if event["type"] == "DELETED":
        memo.handled.forget(body)
        memo.runtime.media_bucket_gone(manifest)
    else:
        memo.runtime.media_bucket_seen(manifest)


@kopf.on.create(*MEDIA_BUCKETS)
@kopf.on.update(*MEDIA_BUCKETS)
@kopf.on.resume(*MEDIA_BUCKETS)
async def media_bucket_changed(namespace: str | None, name: str, memo: kopf.Memo, **_: Any) -> None:
    # Not waited for: a thousand handlers at once would keep all that kopf holds for each of them.
    memo.runtime.dispatcher.soon(media_bucket(namespace or "", name))


@kopf.on.delete(*MEDIA_BUCKETS)
async def media_bucket_deleted(namespace: str | None, name: str, memo: kopf.Memo, **_: Any) -> None:
    # Never an error, a number of retries or a time limit: kopf would let the object go, and its bucket be orphaned.
    await memo.runtime.release(media_bucket(namespace or "", name))


@kopf.on.event(*OBJECT_STORES)
async def object_store_seen(event: Any, body: kopf.Body, name: str, memo: kopf.Memo, **_: Any) -> None:
    if event["type"] == "DELETED":
        memo.handled.forget(body)
        memo.runtime.object_store_gone(name)
    else:
        memo.runtime.object_store_seen({**body})


@kopf.on.create(*OBJECT_STORES)
@kopf.on.update(*OBJECT_STORES)
@kopf.on.resume(*OBJECT_STORES)
async def object_store_changed(name: str, memo: kopf.Memo, **_: Any) -> None:
    memo.runtime.dispatcher.soon(Reference(OBJECT_STORE_KIND, "", name))


@kopf.on.event(*DEPLOYMENTS, labels={MANAGED_BY_LABEL: FIELD_MANAGER})
async def deployment_seen(event: Any, body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    for owner in body.metadata.get("ownerReferences") or []:
        if owner.get("kind") == MEDIA_BUCKET_KIND and event["type"] is not None:
            memo.runtime.soon(media_bucket(body.metadata["namespace"], owner["name"]), 0.2)


def configure(settings: kopf.OperatorSettings, handled: Handled) -> None:
    """kopf takes misspelt settings without a word: a test compares these with what kopf has."""
    settings.persistence.finalizer = FINALIZER
    # Not our own group: kopf takes annotations with its prefix for its own, and does not see them change.
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=KOPF_PREFIX)
    settings.persistence.diffbase_storage = handled
    settings.watching.server_timeout = _WATCH_SECONDS
    settings.watching.client_timeout = _WATCH_SECONDS + _REQUEST_SECONDS
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.label_selectors["apps", "deployments"] = _OURS
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    # Our own Events only: one per change of state.
    settings.posting.enabled = False
    # One replica that is gone before the next one starts: see docs/adr/0001-one-operator-replica.md.
    settings.peering.standalone = True
