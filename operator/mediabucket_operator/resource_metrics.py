"""What the status of each resource says, as Prometheus asks for it: nothing of it outlives the resource."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from mediabucket_api.constants import OBJECT_STORE_KIND
from mediabucket_api.status import ConditionStatus
from mediabucket_operator.cluster import Manifest

_STATUSES: Final = tuple(status.value for status in ConditionStatus)
_Name = tuple[str, str, str]


@dataclass(frozen=True)
class _State:
    """`issued_at`: when the access key was made, in seconds since the epoch."""

    conditions: Mapping[str, str]
    capabilities: Mapping[str, str]
    issued_at: float | None


class ResourceStates(Collector):
    """All resources by kind, namespace and name, as the watches have last shown them. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[_Name, _State] = {}

    def note(self, kind: str, manifest: Manifest) -> None:
        """Tell of this resource as it is now."""
        metadata = manifest["metadata"]
        state = _state_of(kind, _mapping(manifest.get("status")))
        with self._lock:
            self._states[kind, metadata.get("namespace") or "", metadata["name"]] = state

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """Tell nothing more of it."""
        with self._lock:
            self._states.pop((kind, namespace, name), None)

    @override
    def collect(self) -> Iterable[GaugeMetricFamily]:
        with self._lock:
            states = dict(self._states)
        yield _conditions(states)
        yield _capabilities(states)
        yield _ages(states, self._clock())

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return _conditions({}), _capabilities({}), _ages({}, 0.0)


def _conditions(states: Mapping[_Name, _State]) -> GaugeMetricFamily:
    """A series for each status, as kube-state-metrics has them: which are there never changes, only which is 1."""
    told = GaugeMetricFamily(
        "mediabucket_condition",
        "Conditions of resources: 1 for the status that it has, 0 for the others.",
        labels=("kind", "namespace", "name", "type", "status"),
    )
    for resource, state in states.items():
        for kind, current in state.conditions.items():
            for status in _STATUSES:
                told.add_metric((*resource, kind, status), float(status == current))
    return told


def _capabilities(states: Mapping[_Name, _State]) -> GaugeMetricFamily:
    told = GaugeMetricFamily(
        "mediabucket_operator_store_capability",
        "What a probe of a store found, always 1.",
        labels=("store", "capability", "verdict"),
    )
    for (_, _, name), state in states.items():
        for capability, verdict in state.capabilities.items():
            told.add_metric((name, capability, verdict), 1.0)
    return told


def _ages(states: Mapping[_Name, _State], now: float) -> GaugeMetricFamily:
    told = GaugeMetricFamily(
        "mediabucket_operator_credential_age_seconds",
        "Since the access key of a bucket was made; none for a bucket that uses the key of its store.",
        labels=("namespace", "name"),
    )
    for (_, namespace, name), state in states.items():
        if state.issued_at is not None:
            told.add_metric((namespace, name), max(0.0, now - state.issued_at))
    return told


def _state_of(kind: str, status: Mapping[str, Any]) -> _State:
    """Of a status that an older or a newer version may have written: what is not understood is not told."""
    # A MediaBucket only repeats what its store can do.
    capabilities = status.get("capabilities") if kind == OBJECT_STORE_KIND else ()
    credentials = _mapping(status.get("credentials"))
    return _State(
        conditions=dict(_pairs(status.get("conditions"), "type", "status")),
        capabilities=dict(_pairs(capabilities, "name", "verdict")),
        issued_at=_seconds(credentials.get("issuedAt")),
    )


def _pairs(entries: Any, name: str, value: str) -> Iterator[tuple[str, str]]:
    for entry in map(_mapping, entries if isinstance(entries, Sequence) else ()):
        if name in entry and value in entry:
            yield str(entry[name]), str(entry[value])


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None
