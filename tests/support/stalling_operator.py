"""`python stalling_operator.py <port> <how>`: a running operator, on a cluster in memory, one part of which stalls.

It is one that takes notice after SHORT_SECONDS.
"""

import asyncio
import sys
import threading
import time

from memory_world import Faults, MemoryCluster

from mediabucket_operator import liveness
from mediabucket_operator.cluster import Manifest, Reference
from mediabucket_operator.runtime import Runtime
from mediabucket_operator.settings import OperatorSettings

SHORT_SECONDS = 3.0
WELL, BLOCKED_LOOP, HANGING_VISIT = "well", "blocked loop", "hanging visit"


class HangingCluster(MemoryCluster):
    """Never says what it has."""

    def get(self, reference: Reference) -> Manifest | None:
        threading.Event().wait()
        return super().get(reference)


async def run(port: int, how: str) -> None:
    cluster = (HangingCluster if how == HANGING_VISIT else MemoryCluster)(Faults())
    settings = OperatorSettings(namespace="mediabucket-system", host="127.0.0.1", port=port)
    runtime = Runtime(settings, cluster, "cluster-1", liveness.Pulse())
    runtime.dispatcher.soon(Reference("ObjectStore", "", "store"))
    if how == BLOCKED_LOOP:
        await asyncio.sleep(2)
        # As a library does that waits within the event loop.
        time.sleep(600)
    await asyncio.Event().wait()


if __name__ == "__main__":
    liveness.STALLED_LOOP_SECONDS = liveness.STUCK_VISIT_SECONDS = SHORT_SECONDS  # type: ignore[misc]
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
