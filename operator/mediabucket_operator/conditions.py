"""Conditions: one maker, so that `lastTransitionTime` moves only when a status flips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mediabucket_api.status import Condition, ConditionStatus, ConditionType, MediaBucketStatus, StoreConditionType

# Reasons that more than one module must spell the same way.
NOT_CHECKED = "NotChecked"
DIFFERS = "Differs"
NOT_IMPLEMENTED = "NotImplementedByStore"
NOT_KEPT = "NotKeptByStore"
NOT_ENFORCED = "NotEnforcedByStore"
# The store did not answer, as opposed to: it said no.
NO_ANSWER = frozenset({"StoreUnavailable", "Throttled", "StoreUnreachable"})
# Conditions that say something is wrong when they are True.
NEGATIVE = frozenset({ConditionType.DRIFTED, ConditionType.DELETION_BLOCKED})


@dataclass(frozen=True)
class Verdict:
    """The answer to one question about a MediaBucket: a one-word reason, and a sentence a person can act on."""

    status: ConditionStatus
    reason: str
    message: str = ""

    @classmethod
    def true(cls, reason: str, message: str = "") -> "Verdict":
        return cls(ConditionStatus.TRUE, reason, message)

    @classmethod
    def false(cls, reason: str, message: str) -> "Verdict":
        return cls(ConditionStatus.FALSE, reason, message)

    @classmethod
    def unknown(cls, reason: str, message: str = "") -> "Verdict":
        return cls(ConditionStatus.UNKNOWN, reason, message)


@dataclass
class Conditions:
    """The conditions of one visit, built on those of the last."""

    previous: Iterable[Condition]
    generation: int | None
    now: datetime
    verdicts: dict[ConditionType, Verdict] = field(default_factory=dict)

    def set(self, kind: ConditionType, verdict: Verdict) -> None:
        self.verdicts[kind] = verdict

    def build(self) -> tuple[Condition, ...]:
        """Every known condition, Ready first; those not decided in this visit stay as they were."""
        before = {condition.type: condition for condition in self.previous}
        decided = self.verdicts | {ConditionType.READY: self._ready(before)}
        return tuple(
            condition(kind, decided.get(kind), before.get(kind), self.generation, self.now) for kind in ConditionType
        )

    def _ready(self, before: Mapping[str, Condition]) -> Verdict:
        if ConditionType.READY in self.verdicts:
            return self.verdicts[ConditionType.READY]
        current = {kind: self.verdicts.get(kind) or _verdict(before.get(kind)) for kind in ConditionType}
        return ready(current)


def condition(
    kind: ConditionType | StoreConditionType,
    verdict: Verdict | None,
    before: Condition | None,
    generation: int | None,
    now: datetime,
) -> Condition:
    """The condition after a visit; without a verdict it stays as it was."""
    if verdict is None:
        if before is not None:
            return before
        verdict = Verdict.unknown(NOT_CHECKED)
    flipped = before is None or before.status != verdict.status
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=generation,
        last_transition_time=now if flipped or before is None else before.last_transition_time,
    )


def ready(verdicts: Mapping[ConditionType, Verdict | None]) -> Verdict:
    """The summary: True when nothing that was checked is wrong, else the first thing that is."""
    for kind, verdict in verdicts.items():
        if kind == ConditionType.READY or verdict is None or verdict.reason == NOT_CHECKED:
            continue
        good = ConditionStatus.FALSE if kind in NEGATIVE else ConditionStatus.TRUE
        if verdict.status != good:
            return Verdict.false(verdict.reason, f"{kind}: {verdict.message or verdict.reason}")
    return Verdict.true("Available", "the bucket is what the manifest says")


def _verdict(condition: Condition | None) -> Verdict | None:
    return None if condition is None else Verdict(condition.status, condition.reason, condition.message)


def unanswered(status: MediaBucketStatus) -> str | None:
    """What kept the store from answering, None when it did."""
    for condition in status.conditions:
        if condition.type == ConditionType.STORE_REACHABLE:
            wrong = condition.status != ConditionStatus.TRUE and condition.reason in NO_ANSWER
            return condition.message if wrong else None
    return None


def has_unanswered(status: MediaBucketStatus) -> bool:
    """Whether any call of the visit was given up without an answer."""
    return any(
        condition.reason in NO_ANSWER and condition.status != ConditionStatus.TRUE
        for condition in status.conditions
        if condition.type != ConditionType.READY
    )
