"""Events: one per change of state, never one per pass."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mediabucket_api.status import Condition, ConditionStatus, MediaBucketStatus
from mediabucket_operator.changes import Change
from mediabucket_operator.cluster import FIELD_MANAGER, Manifest
from mediabucket_operator.conditions import NEGATIVE

# https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/: a longer one is refused.
LONGEST_MESSAGE: Final = 1024
_VALUE_CHARACTERS: Final = 120


@dataclass(frozen=True)
class Note:
    """What an Event says."""

    reason: str
    message: str
    warning: bool = False


def of_transitions(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Note]:
    """Of every condition that flipped, or that is wrong for another reason than before. What Ready lacks is told by
    the condition that it sums up.
    """
    known = {condition.type: condition for condition in before}
    for condition in after:
        previous = known.get(condition.type)
        if condition.status == ConditionStatus.UNKNOWN or _is_same(previous, condition):
            continue
        good = (condition.status == ConditionStatus.TRUE) != (condition.type in NEGATIVE)
        # That all is well from the start is told once, by Ready.
        if good and (previous is None or previous.status == ConditionStatus.UNKNOWN) and condition.type != "Ready":
            continue
        if not good and condition.type == "Ready":
            continue
        yield Note(condition.reason, f"{condition.type}: {condition.message or condition.reason}", warning=not good)


def of_changes(changes: Sequence[Change], *, drift: bool) -> Iterator[Note]:
    """Of what was written to the store; `drift` says that it had been as wanted before."""
    applied = [change for change in changes if change.applied]
    if applied:
        reason = "DriftRepaired" if drift else "Configured"
        yield Note(reason, "; ".join(map(_difference, applied)))


def of_plan(before: MediaBucketStatus, after: MediaBucketStatus) -> Iterator[Note]:
    """Of a plan that says something else than the last one."""
    if after.plan and after.plan != before.plan:
        steps = "; ".join(f"would {step.action.lower()} {step.aspect}.{step.path}" for step in after.plan)
        yield Note("Planned", steps)


def event(about: Manifest, note: Note, now: datetime) -> Manifest:
    """The Event to post about an object."""
    metadata = about["metadata"]
    # Events about what has no namespace live in `default`.
    namespace = metadata.get("namespace") or "default"
    instant = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata.get("uid", ""),
        },
        "reason": note.reason,
        "message": _cut(note.message, LONGEST_MESSAGE),
        "type": "Warning" if note.warning else "Normal",
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "firstTimestamp": instant,
        "lastTimestamp": instant,
        "count": 1,
    }


def short(value: Any) -> str:
    """A value on one line."""
    return _cut("" if value is None else str(value), _VALUE_CHARACTERS)


def _is_same(previous: Condition | None, condition: Condition) -> bool:
    return previous is not None and (previous.status, previous.reason) == (condition.status, condition.reason)


def _difference(change: Change) -> str:
    what = f"{change.aspect}.{change.path}"
    if change.action == "create":
        return f"{what} set" if isinstance(change.after, dict) else f"{what} set to {short(change.after)}"
    if change.action == "delete":
        return f"{what} removed"
    return f"{what} changed from {short(change.before)} to {short(change.after)}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
