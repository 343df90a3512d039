"""The dashboard of uploads: in ten seconds, whether users can upload, and which step fails."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from monitoring import upload_alerts
from monitoring.panels import Limits, Panel, Query, bars, board, lines, number, variable
from monitoring.promql import (
    BUCKET_LABEL,
    CONFIRM,
    INITIATE,
    UPLOADS_JOB,
    chosen,
    failing_requests,
    highest,
    increase,
    per_second,
    quantile,
    share,
    total,
    uploads,
)

JOB: Final = f'job="{UPLOADS_JOB}"'
SHOWN: Final = f'{JOB},namespace=~"$namespace",{BUCKET_LABEL}=~"$bucket"'
RATE: Final = "$__rate_interval"
SHARES: Final = Limits(warning=upload_alerts.OBJECTIVE, wrong=0.99, bad="low")
OUTCOMES: Final = ("initiated", "deduplicated", "arrived", "completed", "failed", "expired", "deleted")


def build() -> dashboard.Dashboard:
    """Top to bottom: can users upload, which step fails, and then one row for each part that may be the cause."""
    builder = board(
        "mediabucket-uploads",
        "MediaBucket: uploads",
        "Whether users can upload, and which step fails.",
        [
            variable("namespace", "Namespace", f"label_values(up{{{JOB}}}, namespace)"),
            variable("bucket", "MediaBucket", f'label_values(up{{{JOB},namespace=~"$namespace"}}, {BUCKET_LABEL})'),
        ],
    )
    for title, panels in (
        ("Can users upload?", _summary()),
        ("Which step fails?", _steps()),
        ("The API", _requests()),
        ("The store", _store()),
        ("Pending uploads and clean-up", _clean_up()),
        ("Media, webhooks, database", _rest()),
    ):
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(panel)
    return builder


def _summary() -> list[Panel]:
    arrived = share(uploads("arrived", "30m", SHOWN), uploads("initiated", "30m", SHOWN))
    ended = 'outcome=~"completed|failed"'
    completed = uploads("completed", "30m", SHOWN)
    verified = share(completed, total(increase("mediabucket_uploads_total", "30m", SHOWN, ended)))
    return [
        number(
            "1. Announced",
            "Initiates that were not answered with 5xx, of the last 5 minutes.",
            Query(f"1 - {failing_requests(INITIATE, '5m', SHOWN)}"),
            unit="percentunit",
            limits=SHARES,
            runbook="initiate-failing",
        ),
        number(
            "2. In the store",
            "Uploads that arrived, of those announced within 30 minutes. Below 1 where users give up.",
            Query(arrived),
            unit="percentunit",
            limits=Limits(warning=0.8, wrong=upload_alerts.ARRIVING_SHARE, bad="low"),
            runbook="uploads-do-not-arrive",
        ),
        number(
            "3. As announced",
            "Uploads that were verified, of those that ended within 30 minutes.",
            Query(verified),
            unit="percentunit",
            limits=Limits(warning=0.98, wrong=1 - upload_alerts.WRONG_SHARE, bad="low"),
            runbook="uploads-mismatch",
        ),
        number(
            "4. Confirmed",
            "Confirms that were not answered with 5xx, of the last 5 minutes.",
            Query(f"1 - {failing_requests(CONFIRM, '5m', SHOWN)}"),
            unit="percentunit",
            limits=SHARES,
            runbook="confirm-failing",
        ),
        number(
            "Completed per minute",
            "Uploads that became media, of the last 5 minutes.",
            Query(f"{uploads('completed', '5m', SHOWN)} / 5"),
            unit="short",
            limits=Limits(warning=float(10**9), wrong=float(10**12)),
        ),
        number(
            "Replicas that answer",
            "Of the upload service; none is an outage.",
            Query(total(chosen("up", SHOWN))),
            unit="short",
            limits=Limits(warning=2, wrong=1, bad="low"),
            runbook="upload-service-down",
        ),
    ]


def _steps() -> list[Panel]:
    outcome = per_second("mediabucket_uploads_total", RATE, SHOWN)
    return [
        bars(
            "The way of an upload",
            "How many uploads came to each step in the time that is looked at.",
            *(Query(uploads(name, "$__range", SHOWN), name) for name in OUTCOMES),
            unit="short",
        ),
        lines("What becomes of uploads", "By outcome.", Query(total(outcome, "outcome"), "{{outcome}}"), unit="ops"),
        lines(
            "Why uploads fail",
            "By reason. checksum, size, type: wrong bytes; missing: a confirm without bytes; store: the store failed.",
            Query(
                total(per_second("mediabucket_upload_failures_total", RATE, SHOWN), "reason"),
                "{{reason}}",
            ),
            unit="ops",
            runbook="uploads-mismatch",
        ),
    ]


def _requests() -> list[Panel]:
    windows = ("5m", "1h", "6h")
    burning = (
        (step, window, failing_requests(route, window, SHOWN))
        for step, route in upload_alerts.ROUTES.items()
        for window in windows
    )
    allowed = 1 - upload_alerts.OBJECTIVE
    return [
        lines(
            "Requests",
            "By status.",
            Query(total(per_second("http_requests_total", RATE, SHOWN), "status"), "{{status}}"),
            unit="reqps",
            stacked=True,
            width=6,
        ),
        lines(
            "Share of 5xx",
            "By route.",
            Query(failing_requests("", RATE, SHOWN, by="route"), "{{route}}"),
            unit="percentunit",
            width=6,
            runbook="initiate-failing",
        ),
        lines(
            "Error budget burns",
            f"How many times faster than an objective of {upload_alerts.OBJECTIVE:%} allows; 14.4 spends a month's"
            " budget in two days.",
            *(Query(f"({text}) / {allowed:.3f}", f"{step} {window}") for step, window, text in burning),
            unit="short",
            limits=Limits(warning=6, wrong=14.4),
            width=6,
            runbook="initiate-failing",
        ),
        lines(
            "Time to answer",
            "Half of the requests, and all but 1 %.",
            *(
                Query(quantile(rank, "http_request_duration_seconds", RATE, SHOWN, route), f"{step} p{rank * 100:.0f}")
                for step, route in upload_alerts.ROUTES.items()
                for rank in (0.5, 0.99)
            ),
            unit="s",
            width=6,
        ),
    ]


def _store() -> list[Panel]:
    calls = "mediabucket_store_requests_total"
    return [
        lines(
            "Calls of the store",
            "By operation.",
            Query(total(per_second(calls, RATE, SHOWN), "operation"), "{{operation}}"),
            unit="reqps",
        ),
        lines(
            "What the store refuses",
            "By operation and the store's code. NoSuchKey and 404 are confirms before the bytes arrived.",
            Query(
                total(per_second(calls, RATE, SHOWN, 'code!="OK"'), "operation, code"),
                "{{operation}} {{code}}",
            ),
            unit="reqps",
            runbook="store-unreachable",
        ),
        lines(
            "Time of the store",
            "All calls but 5 %, by operation and result: slow failures are time-outs, slow successes a slow store.",
            Query(
                quantile(0.95, "mediabucket_store_request_duration_seconds", RATE, SHOWN, by="operation, result"),
                "{{operation}} {{result}}",
            ),
            unit="s",
        ),
    ]


def _clean_up() -> list[Panel]:
    succeeded = highest(chosen("mediabucket_reaper_last_success_timestamp_seconds", SHOWN))
    age = highest(chosen("mediabucket_pending_oldest_seconds", SHOWN))
    return [
        lines(
            "Pending uploads",
            "Announced and not ended; overdue ones are the clean-up's work.",
            Query(_of_each_bucket("mediabucket_pending_uploads"), "pending"),
            Query(_of_each_bucket("mediabucket_reaper_backlog"), "overdue"),
            unit="short",
            width=6,
            runbook="pending-too-old",
        ),
        lines(
            "Bytes that wait",
            "Pending: announced. Orphans: in the bucket, and of no upload.",
            Query(_of_each_bucket("mediabucket_pending_bytes"), "pending"),
            Query(_of_each_bucket("mediabucket_orphan_bytes"), "orphans"),
            unit="bytes",
            width=6,
            runbook="orphan-bytes",
        ),
        lines(
            "Ages",
            "Of the oldest pending upload, and of the last clean-up that succeeded.",
            Query(age, "oldest pending"),
            Query(f"time() - {succeeded}", "last clean-up"),
            unit="s",
            limits=Limits(warning=upload_alerts.REAPER_SECONDS, wrong=upload_alerts.PENDING_SECONDS),
            width=6,
            runbook="reaper-lags",
        ),
        lines(
            "Clean-up",
            "What is removed by kind, and passes by result.",
            Query(total(per_second("mediabucket_reaper_removed_total", RATE, SHOWN), "kind"), "removed {{kind}}"),
            Query(total(per_second("mediabucket_reaper_passes_total", RATE, SHOWN), "result"), "passes: {{result}}"),
            unit="ops",
            width=6,
        ),
    ]


def _of_each_bucket(metric: str) -> str:
    # Every replica says the same.
    return total(f"max by (namespace, {BUCKET_LABEL}) ({chosen(metric, SHOWN)})")


def _rest() -> list[Panel]:
    completed = per_second("mediabucket_upload_completed_bytes_total", RATE, SHOWN)
    delivered = per_second("mediabucket_webhook_deliveries_total", RATE, SHOWN)
    return [
        lines(
            "Bytes that became media",
            "By type.",
            Query(total(completed, "media_type"), "{{media_type}}"),
            unit="Bps",
            width=4,
        ),
        lines(
            "From announced to media",
            "Half of the uploads, and all but 5 %.",
            *(
                Query(quantile(rank, "mediabucket_upload_duration_seconds", RATE, SHOWN), f"p{rank * 100:.0f}")
                for rank in (0.5, 0.95)
            ),
            unit="s",
            width=4,
        ),
        lines(
            "Webhooks",
            "Deliveries by outcome.",
            Query(total(delivered, "webhook, outcome"), "{{webhook}} {{outcome}}"),
            unit="ops",
            width=4,
            runbook="webhook-behind",
        ),
        lines(
            "Webhooks: oldest event",
            "That is not delivered.",
            Query(highest(chosen("mediabucket_webhook_oldest_seconds", SHOWN), "webhook"), "{{webhook}}"),
            unit="s",
            limits=Limits(warning=600, wrong=upload_alerts.WEBHOOK_SECONDS),
            width=4,
            runbook="webhook-behind",
        ),
        lines(
            "Database connections",
            "In use and idle, beside the size of the pools.",
            Query(total(chosen("mediabucket_database_pool_connections", SHOWN), "state"), "{{state}}"),
            Query(total(chosen("mediabucket_database_pool_size", SHOWN)), "size"),
            unit="short",
            width=4,
        ),
        lines(
            "Waiting for a connection",
            "Half of the requests, and all but 1 %.",
            *(
                Query(quantile(rank, "mediabucket_database_pool_wait_seconds", RATE, SHOWN), f"p{rank * 100:.0f}")
                for rank in (0.5, 0.99)
            ),
            unit="s",
            width=4,
            runbook="initiate-failing",
        ),
    ]
