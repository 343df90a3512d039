"""The parts of a running operator and the tasks between them: kopf's handlers hold on to one of these."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar

from mediabucket_api.constants import MEDIA_BUCKET_KIND, OBJECT_STORE_KIND
from mediabucket_operator import metrics
from mediabucket_operator.cluster import Cluster, ClusterError, Manifest, Reference
from mediabucket_operator.dispatcher import Dispatcher
from mediabucket_operator.fleet import Member
from mediabucket_operator.health_server import HealthServer
from mediabucket_operator.kubernetes_cluster import KubernetesCluster
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.operator_core import Operator
from mediabucket_operator.releases import Releases
from mediabucket_operator.secret_watch import SecretVersions
from mediabucket_operator.settings import OperatorSettings
from mediabucket_operator.store_accesses import StoreAccesses
from mediabucket_operator.stores import RealStores
from mediabucket_operator.visit import Environment
from mediabucket_s3.answers import Answer

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_FIRST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0
_BEAT_SECONDS: Final = 1.0
# Many visits at once, after a start or a change of their store, read it once.
_STORE_KEPT_SECONDS: Final = 1.0


class Runtime:
    """Make one with `start`, within the event loop."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, cluster_id: str, pulse: Pulse) -> None:
        self.pulse = pulse
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        accesses = StoreAccesses(_STORE_KEPT_SECONDS)
        environment = Environment(cluster, RealStores(self._store_answered), settings, cluster_id, accesses=accesses)
        self.operator = Operator(environment, self.soon, pulse)
        self.dispatcher = Dispatcher(self.operator.visit, settings.workers, self.operator.lane)
        self._releases = Releases(self.operator, cluster, settings.workers)
        metrics.allow_workers(settings.workers)
        self._secrets = SecretVersions(cluster, settings.namespace)
        self._health = HealthServer.start(settings.host, settings.port, pulse.problems)
        self._tasks = [lasting(self._loop.create_task(work, name=name), pulse) for name, work in self._lasting()]

    @classmethod
    async def start(cls, settings: OperatorSettings) -> Self:
        """Raises OSError when the port is taken, ClusterError when the API server cannot be asked who it is."""
        logging.getLogger("mediabucket_operator").setLevel(settings.log_level)
        pulse = Pulse()
        # Deletions and the look at Secrets have calls under way beside the visits.
        cluster = KubernetesCluster.connect(settings.workers * 2 + 2, pulse.progress)
        cluster_id = settings.cluster_id
        if cluster_id is None:
            cluster_id = await _patiently(lambda: identity_of(cluster))
        runtime = cls(settings, cluster, cluster_id, pulse)
        logger.info("operator of cluster %s, health on port %s", cluster_id, runtime._health.port)
        return runtime

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._releases.stop()
        await asyncio.to_thread(self._health.stop)

    def _store_answered(self, answer: Answer) -> None:
        self.pulse.progress()
        metrics.store_answered(answer)

    def soon(self, reference: Reference, delay: float) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self.dispatcher.soon, reference, delay)

    def media_bucket_seen(self, manifest: Manifest) -> None:
        self.operator.fleet.note(manifest)
        metrics.RESOURCES.note(MEDIA_BUCKET_KIND, manifest)

    def media_bucket_gone(self, manifest: Manifest) -> None:
        member = Member.of(manifest)
        known = self.operator.fleet.get(member.reference)
        # One that was applied again may have been seen before the end of the last one was told.
        if known is not None and known.uid == member.uid:
            self.dispatcher.forget(member.reference)
            self.operator.fleet.forget(member.reference)
            metrics.RESOURCES.forget(MEDIA_BUCKET_KIND, member.reference.namespace, member.reference.name)
        self.operator.gone(member)

    def object_store_seen(self, manifest: Manifest) -> None:
        self._secrets.follow(manifest["metadata"]["name"])
        metrics.RESOURCES.note(OBJECT_STORE_KIND, manifest)

    def object_store_gone(self, name: str) -> None:
        self._secrets.forget(name)
        self.dispatcher.forget(Reference(OBJECT_STORE_KIND, "", name))
        self.operator.store_gone(name)
        metrics.store_gone(name)

    async def release(self, reference: Reference) -> None:
        """Until the object may go."""
        self.dispatcher.forget(reference)
        await self._releases.until_released(reference)

    def _lasting(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        return [
            ("dispatcher", self.dispatcher.run()),
            ("beat", self._beat()),
            ("follow secrets", self._follow_secrets()),
        ]

    async def _beat(self) -> None:
        while True:
            self.pulse.loop_turned()
            for path, seconds in self.pulse.silence().items():
                metrics.WATCH_SILENCE.labels(path).set(seconds)
            for kind, waiting in self.dispatcher.waiting().items():
                metrics.QUEUE_DEPTH.labels(kind).set(waiting)
            await asyncio.sleep(_BEAT_SECONDS)

    async def _follow_secrets(self) -> None:
        while True:
            await asyncio.sleep(self._settings.store_poll_seconds)
            for name in await asyncio.to_thread(self._changed_secrets):
                self.dispatcher.soon(Reference(OBJECT_STORE_KIND, "", name))

    def _changed_secrets(self) -> list[str]:
        try:
            return self._secrets.changed()
        except ClusterError as error:
            logger.warning("%s", error)
        except Exception:
            # One object that nobody expected must not end the look at all others.
            logger.exception("the look at the Secrets of ObjectStores ended in an error that nobody expected")
        return []


def lasting(task: "asyncio.Task[None]", pulse: Pulse) -> "asyncio.Task[None]":
    """Whose end, but for being cancelled, makes the process unhealthy: nothing else would notice it."""

    def note(ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled():
            logger.error("task %s ended", ended.get_name(), exc_info=ended.exception())
            pulse.ended(ended.get_name())

    task.add_done_callback(note)
    return task


def identity_of(cluster: Cluster) -> str:
    """What tells this cluster from others: it lives as long as the cluster. Raises ClusterError."""
    namespace = cluster.get(Reference("Namespace", "", "kube-system"))
    return str(namespace["metadata"]["uid"]) if namespace is not None else ""


async def _patiently(ask: Callable[[], Result]) -> Result:
    """Ask until there is an answer: an API server may start after its clients."""
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await asyncio.to_thread(ask)
        except ClusterError as error:
            logger.warning("%s; trying again in %.0f s", error, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
