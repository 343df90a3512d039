"""What an alert is made of."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RUNBOOKS_URL: Final = "https://mediabucket.dev/runbooks"


class Severity(StrEnum):
    """Critical: users cannot upload, somebody is woken. Warning: somebody looks at it on a working day."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class Condition:
    """PromQL that yields something when all is not well; `measured` are its parts without their comparisons: each
    yields something whenever the program that is watched runs.
    """

    text: str
    measured: tuple[str, ...]


@dataclass(frozen=True)
class Recording:
    """An expression that Prometheus evaluates on and on under a name."""

    name: str
    expression: str


@dataclass(frozen=True)
class Alert:
    """`lasting` is how long the condition must hold; `runbook` is a file in docs/runbooks, without .md."""

    name: str
    severity: Severity
    condition: Condition
    lasting: str
    summary: str
    runbook: str

    @property
    def runbook_url(self) -> str:
        return runbook_url(self.runbook)


@dataclass(frozen=True)
class Group:
    name: str
    rules: tuple[Alert | Recording, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))


def runbook_url(name: str) -> str:
    return f"{RUNBOOKS_URL}/{name}.md"


def above(measured: str, limit: float | str) -> Condition:
    return Condition(f"{measured} > {limit}", (measured,))


def below(measured: str, limit: float | str) -> Condition:
    return Condition(f"{measured} < {limit}", (measured,))


def equal(measured: str, value: float | str) -> Condition:
    return Condition(f"{measured} == {value}", (measured,))


def missing(measured: str) -> Condition:
    """Nothing of what is measured is 1, or nothing is left of it."""
    return Condition(f"absent({measured} == 1)", (measured,))


def both(*conditions: Condition) -> Condition:
    return _joined("and", conditions)


def either(*conditions: Condition) -> Condition:
    return _joined("or", conditions)


def _joined(word: str, conditions: tuple[Condition, ...]) -> Condition:
    text = f"\n{word}\n".join(f"({condition.text})" for condition in conditions)
    return Condition(text, tuple(part for condition in conditions for part in condition.measured))
