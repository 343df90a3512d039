"""Alerts about uploads: whether users can upload, and whether what they leave behind is cleaned up."""

from typing import Final

from monitoring.alert import Alert, Condition, Group, Recording, Severity, above, below, both, either, equal
from monitoring.promql import (
    CONFIRM,
    EACH_BUCKET,
    INITIATE,
    UPLOADS_JOB,
    WRONG_BYTES,
    chosen,
    failing_requests,
    highest,
    increase,
    share,
    total,
    uploads,
)

JOB: Final = f'job="{UPLOADS_JOB}"'
OBJECTIVE: Final = 0.999
# Long window, short window, how many times faster than the objective allows the budget of 30 days is spent:
# https://sre.google/workbook/alerting-on-slos/ table 5-8.
FAST: Final = (("1h", "5m", 14.4), ("6h", "30m", 6))
SLOW: Final = (("1d", "2h", 3), ("3d", "6h", 1))
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
ROUTES: Final = {"initiate": INITIATE, "confirm": CONFIRM}
WHICH: Final = "{{ $labels.namespace }}/{{ $labels.mediabucket }}"
SHARE: Final = "{{ $value | humanizePercentage }}"
AGE: Final = "{{ $value | humanizeDuration }}"

# Below that, shares mean nothing.
FEWEST_UPLOADS: Final = 20
ARRIVING_SHARE: Final = 0.5
WRONG_SHARE: Final = 0.1
PENDING_SECONDS: Final = 2 * 3600
REAPER_SECONDS: Final = 900
ORPHAN_BYTES: Final = 10 * 2**30
WEBHOOK_SECONDS: Final = 3600


def groups() -> tuple[Group, ...]:
    """The rules about upload services, in the order in which they are evaluated."""
    return (
        *(Group(f"mediabucket-{step}-objective", _objective(step, route)) for step, route in ROUTES.items()),
        Group("mediabucket-uploads", (_do_not_arrive(), _mismatch(), _service_down(), _webhook_behind())),
        Group("mediabucket-clean-up", (_pending_too_old(), _reaper_lags(), _orphan_bytes())),
    )


def failing(step: str, window: str) -> str:
    """The name under which the share of failing requests of a step is recorded."""
    return f"mediabucket:{step}_failing:ratio_rate{window}"


def _objective(step: str, route: str) -> tuple[Alert | Recording, ...]:
    recordings = (
        Recording(failing(step, window), failing_requests(route, window, JOB, by=EACH_BUCKET)) for window in WINDOWS
    )
    name = f"MediaBucket{step.capitalize()}Failing"
    return (
        *recordings,
        Alert(
            name,
            Severity.CRITICAL,
            _burning(step, FAST),
            "2m",
            f"{SHARE} of the {step} requests of {WHICH} fail: the error budget of a month is gone within days.",
            f"{step}-failing",
        ),
        Alert(
            f"{name}Slowly",
            Severity.WARNING,
            _burning(step, SLOW),
            "15m",
            f"{SHARE} of the {step} requests of {WHICH} fail: the error budget of this month will not last.",
            f"{step}-failing",
        ),
    )


def _burning(step: str, windows: tuple[tuple[str, str, float], ...]) -> Condition:
    return either(
        *(
            both(*(above(failing(step, window), f"{factor} * (1 - {OBJECTIVE})") for window in (long, short)))
            for long, short, factor in windows
        )
    )


def _do_not_arrive() -> Alert:
    initiated = uploads("initiated", "30m", JOB, by=EACH_BUCKET)
    return Alert(
        "MediaBucketUploadsDoNotArrive",
        Severity.CRITICAL,
        both(
            below(share(uploads("arrived", "30m", JOB, by=EACH_BUCKET), initiated), ARRIVING_SHARE),
            above(initiated, FEWEST_UPLOADS),
        ),
        "10m",
        f"Only {SHARE} of the uploads that were announced to {WHICH} within 30 minutes reached the store.",
        "uploads-do-not-arrive",
    )


def _mismatch() -> Alert:
    wrong = total(increase("mediabucket_upload_failures_total", "30m", JOB, WRONG_BYTES), EACH_BUCKET)
    arrived = uploads("arrived", "30m", JOB, by=EACH_BUCKET)
    return Alert(
        "MediaBucketUploadsMismatch",
        Severity.WARNING,
        both(above(share(wrong, arrived), WRONG_SHARE), above(arrived, FEWEST_UPLOADS)),
        "10m",
        f"{SHARE} of the uploads to {WHICH} are not the bytes that were announced.",
        "uploads-mismatch",
    )


def _service_down() -> Alert:
    return Alert(
        "MediaBucketUploadServiceDown",
        Severity.CRITICAL,
        equal(highest(chosen("up", JOB), EACH_BUCKET), 0),
        "5m",
        f"No replica of the upload service of {WHICH} answers.",
        "upload-service-down",
    )


def _webhook_behind() -> Alert:
    oldest = highest(chosen("mediabucket_webhook_oldest_seconds", JOB), f"{EACH_BUCKET}, webhook")
    return Alert(
        "MediaBucketWebhookBehind",
        Severity.WARNING,
        above(oldest, WEBHOOK_SECONDS),
        "15m",
        f"The webhook {{{{ $labels.webhook }}}} of {WHICH} was not told of an event that is {AGE} old.",
        "webhook-behind",
    )


def _pending_too_old() -> Alert:
    """Overdue is what the manifest calls stale: an age alone would be wrong where staleAfterSeconds is long."""
    return Alert(
        "MediaBucketPendingTooOld",
        Severity.WARNING,
        both(
            above(highest(chosen("mediabucket_pending_oldest_seconds", JOB), EACH_BUCKET), PENDING_SECONDS),
            above(highest(chosen("mediabucket_reaper_backlog", JOB), EACH_BUCKET), 0),
        ),
        "30m",
        f"An upload to {WHICH} has been pending for {AGE} and is overdue.",
        "pending-too-old",
    )


def _reaper_lags() -> Alert:
    succeeded = highest(chosen("mediabucket_reaper_last_success_timestamp_seconds", JOB), EACH_BUCKET)
    return Alert(
        "MediaBucketReaperLags",
        Severity.WARNING,
        above(f"time() - {succeeded}", REAPER_SECONDS),
        "5m",
        f"The clean-up of {WHICH} has not succeeded for {AGE}.",
        "reaper-lags",
    )


def _orphan_bytes() -> Alert:
    return Alert(
        "MediaBucketOrphanBytes",
        Severity.WARNING,
        above(highest(chosen("mediabucket_orphan_bytes", JOB), EACH_BUCKET), ORPHAN_BYTES),
        "1h",
        f"{{{{ $value | humanize1024 }}}}B in the bucket of {WHICH} belong to no upload.",
        "orphan-bytes",
    )
