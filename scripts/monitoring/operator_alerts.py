"""Alerts about the operator and what it looks after."""

from typing import Final

from monitoring.alert import Alert, Group, Severity, above, equal, missing
from monitoring.promql import OPERATOR_JOB, chosen, highest, increase, total

JOB: Final = f'job="{OPERATOR_JOB}"'
WHICH: Final = "{{ $labels.namespace }}/{{ $labels.name }}"
AGE: Final = "{{ $value | humanizeDuration }}"
DAY_SECONDS: Final = 86_400

# An access key is replaced after 90 days unless the manifest says otherwise.
CREDENTIAL_SECONDS: Final = 100 * DAY_SECONDS
# The API server sends something about once a minute, and a watch that is silent for 75 s is opened anew.
SILENCE_SECONDS: Final = 180
REPAIRS_AN_HOUR: Final = 6


def groups() -> tuple[Group, ...]:
    """The rules about the operator."""
    return (
        Group("mediabucket-resources", (_not_ready(), _store_unreachable(), _drift_flapping(), _credentials_too_old())),
        Group("mediabucket-operator", (_watch_silent(), _operator_down())),
    )


def holds(kind: str, condition: str) -> str:
    """1 while the condition of these resources is True, by resource."""
    selector = chosen("mediabucket_condition", JOB, f'kind="{kind}"', f'type="{condition}"', 'status="True"')
    return highest(selector, "name" if kind == "ObjectStore" else "namespace, name")


def _not_ready() -> Alert:
    return Alert(
        "MediaBucketNotReady",
        Severity.WARNING,
        equal(holds("MediaBucket", "Ready"), 0),
        "15m",
        f"The MediaBucket {WHICH} is not Ready.",
        "not-ready",
    )


def _store_unreachable() -> Alert:
    return Alert(
        "MediaBucketStoreUnreachable",
        Severity.CRITICAL,
        equal(holds("ObjectStore", "Reachable"), 0),
        "5m",
        "The operator cannot reach the ObjectStore {{ $labels.name }}.",
        "store-unreachable",
    )


def _drift_flapping() -> Alert:
    repaired = total(increase("mediabucket_operator_drift_repaired_total", "1h", JOB), "aspect")
    return Alert(
        "MediaBucketDriftFlapping",
        Severity.WARNING,
        above(repaired, REPAIRS_AN_HOUR),
        "15m",
        "Somebody else keeps changing {{ $labels.aspect }}: the operator wrote it back {{ $value | humanize }} times"
        " within an hour.",
        "drift-flapping",
    )


def _credentials_too_old() -> Alert:
    age = highest(chosen("mediabucket_operator_credential_age_seconds", JOB), "namespace, name")
    return Alert(
        "MediaBucketCredentialsTooOld",
        Severity.WARNING,
        above(age, CREDENTIAL_SECONDS),
        "1h",
        f"The access key of {WHICH} is {AGE} old.",
        "credentials-too-old",
    )


def _watch_silent() -> Alert:
    silence = highest(chosen("mediabucket_operator_watch_silence_seconds", JOB), "path")
    return Alert(
        "MediaBucketWatchSilent",
        Severity.WARNING,
        above(silence, SILENCE_SECONDS),
        "2m",
        f"The operator has heard nothing from the watch {{{{ $labels.path }}}} for {AGE}.",
        "watch-silent",
    )


def _operator_down() -> Alert:
    return Alert(
        "MediaBucketOperatorDown",
        Severity.CRITICAL,
        missing(chosen("up", JOB)),
        "5m",
        "The operator does not answer: nothing that is changed in a MediaBucket happens.",
        "operator-down",
    )
