"""The tasks that must run for as long as the operator does: what ends one of them, and who is told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from memory_world import Faults, MemoryCluster

from mediabucket_api.constants import API_VERSION, OBJECT_STORE_KIND
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.dispatcher import Dispatcher
from mediabucket_operator.liveness import Pulse
from mediabucket_operator.runtime import Runtime
from mediabucket_operator.settings import OperatorSettings

NAMESPACE = "mediabucket-system"
STORE = Reference(OBJECT_STORE_KIND, "", "store")


@asynccontextmanager
async def running(cluster: MemoryCluster) -> AsyncIterator[Runtime]:
    settings = OperatorSettings(namespace=NAMESPACE, host="127.0.0.1", port=0, store_poll_seconds=0.01)
    runtime = Runtime(settings, cluster, "cluster-1", Pulse())
    try:
        yield runtime
    finally:
        await runtime.stop()


async def eventually(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not look():
            await asyncio.sleep(0.01)


async def ends(_self: object) -> None:
    raise ValueError("nobody expected this")


@pytest.mark.parametrize(
    ("owner", "method", "name"),
    [(Dispatcher, "run", "dispatcher"), (Runtime, "_beat", "beat"), (Runtime, "_follow_secrets", "follow secrets")],
)
async def test_a_task_that_ends_makes_the_process_unhealthy(
    owner: type, method: str, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owner, method, ends)
    async with running(MemoryCluster(Faults())) as runtime:
        await eventually(runtime.pulse.problems)
        assert runtime.pulse.problems() == [f"task {name} ended"]
    assert "nobody expected this" in caplog.text


async def test_a_stop_is_no_problem() -> None:
    async with running(MemoryCluster(Faults())) as runtime:
        await asyncio.sleep(0.05)
    assert runtime.pulse.problems() == []


class OddCluster(MemoryCluster):
    """Answers with what nobody expected, a few times."""

    oddities = 3

    def get(self, reference: Reference) -> Manifest | None:
        if self.oddities:
            self.oddities -= 1
            raise ValueError("not JSON")
        return super().get(reference)


async def test_an_odd_answer_does_not_end_the_look_at_secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = OddCluster(Faults())
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": NAMESPACE}}
    spec = {"endpoint": "https://store", "credentialsSecretRef": {"namespace": NAMESPACE, "name": "keys"}}
    store = {"apiVersion": API_VERSION, "kind": OBJECT_STORE_KIND, "metadata": {"name": "store"}, "spec": spec}
    cluster.put(secret)
    asked: list[Reference] = []
    monkeypatch.setattr(Dispatcher, "soon", lambda _self, reference, _delay=0.0: asked.append(reference))
    with caplog.at_level(logging.ERROR):
        async with running(cluster) as runtime:
            runtime.object_store_seen(cluster.put(store))
            await eventually(lambda: cluster.oddities == 0)
            await asyncio.sleep(0.1)
            assert asked == []
            cluster.put(secret)
            await eventually(lambda: asked)
            assert runtime.pulse.problems() == []
    assert asked == [STORE]
    assert "not JSON" in caplog.text
