"""The dashboard of the operator and its stores."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from monitoring import operator_alerts
from monitoring.panels import Limits, Panel, Query, board, lines, number, rows_of, variable
from monitoring.promql import OPERATOR_JOB, chosen, highest, increase, per_second, quantile, total

JOB: Final = f'job="{OPERATOR_JOB}"'
RATE: Final = "$__rate_interval"
BUCKETS: Final = f'{JOB},kind="MediaBucket",namespace=~"$namespace",name=~"$bucket"'
STORES: Final = f'{JOB},kind="ObjectStore"'
CONDITION: Final = "mediabucket_condition"
# True says that something is wrong.
NEGATIVE: Final = "Drifted|DeletionBlocked"


def build() -> dashboard.Dashboard:
    """Top to bottom: is all well, what is wrong, how the operator works."""
    listed = chosen(CONDITION, JOB, 'kind="MediaBucket"', 'type="Ready"')
    builder = board(
        "mediabucket-operator",
        "MediaBucket: operator and stores",
        "Whether every MediaBucket is what its manifest says, and what stands in the way.",
        [
            variable("namespace", "Namespace", f"label_values({listed}, namespace)"),
            variable("bucket", "MediaBucket", f'label_values({listed[:-1]},namespace=~"$namespace"}}, name)'),
        ],
    )
    for title, panels in (
        ("Is all well?", _summary()),
        ("What is wrong?", _conditions()),
        ("Stores", _stores()),
        ("The operator's work", _work()),
        ("The operator's process", _process()),
    ):
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(panel)
    return builder


def _summary() -> list[Panel]:
    ready = chosen(CONDITION, BUCKETS, 'type="Ready"', 'status="True"')
    reachable = chosen(CONDITION, STORES, 'type="Reachable"', 'status="True"')
    some = Limits(warning=1, wrong=5)
    age = highest(chosen("mediabucket_operator_credential_age_seconds", JOB, *BUCKETS.split(",")[2:]))
    return [
        number(
            "Operator",
            "1: it answers.",
            Query(highest(chosen("up", JOB))),
            unit="short",
            limits=Limits(warning=1, wrong=0.5, bad="low"),
            runbook="operator-down",
        ),
        number(
            "MediaBuckets",
            "How many there are.",
            Query(f"count({ready})"),
            unit="short",
            limits=Limits(warning=float(10**6), wrong=float(10**7)),
        ),
        number(
            "Not Ready",
            "MediaBuckets that are not what their manifest says.",
            Query(f"sum(1 - {ready})"),
            unit="short",
            limits=some,
            runbook="not-ready",
        ),
        number(
            "Stores out of reach",
            "ObjectStores that do not answer the operator.",
            Query(f"sum(1 - {reachable})"),
            unit="short",
            limits=Limits(warning=1, wrong=1),
            runbook="store-unreachable",
        ),
        number(
            "Repairs in 24 h",
            "Differences that were written back.",
            Query(total(increase("mediabucket_operator_drift_repaired_total", "24h", JOB))),
            unit="short",
            limits=Limits(warning=operator_alerts.REPAIRS_AN_HOUR, wrong=24 * operator_alerts.REPAIRS_AN_HOUR),
            runbook="drift-flapping",
        ),
        number(
            "Oldest access key",
            "Of all MediaBuckets.",
            Query(age),
            unit="s",
            limits=Limits(warning=91 * operator_alerts.DAY_SECONDS, wrong=operator_alerts.CREDENTIAL_SECONDS),
            runbook="credentials-too-old",
        ),
    ]


def _conditions() -> list[Panel]:
    wanted = chosen(CONDITION, BUCKETS, f'type!~"{NEGATIVE}"', 'status="False"')
    wrong = chosen(CONDITION, BUCKETS, f'type=~"{NEGATIVE}"', 'status="True"')
    truth = chosen(CONDITION, BUCKETS, f'type!~"{NEGATIVE}"', 'status="True"')
    return [
        rows_of(
            "Conditions that do not hold",
            "`kubectl describe mb NAME` says why and what to do.",
            Query(f"{wanted} == 1 or {wrong} == 1"),
            "namespace",
            "name",
            "type",
            "status",
            runbook="not-ready",
        ),
        lines(
            "MediaBuckets for which a condition holds",
            "By condition.",
            Query(f"sum by (type) ({truth})", "{{type}}"),
            unit="short",
            width=12,
        ),
    ]


def _stores() -> list[Panel]:
    requests = "mediabucket_operator_store_requests_total"
    return [
        rows_of(
            "What stores can do",
            "Found out by trying: Enforced, Ignored or Unsupported.",
            Query(f"{chosen('mediabucket_operator_store_capability', JOB)} == 1"),
            "store",
            "capability",
            "verdict",
        ),
        lines(
            "Conditions of stores",
            "1: the condition holds.",
            Query(highest(chosen(CONDITION, STORES, 'status="True"'), "name, type"), "{{name}} {{type}}"),
            unit="short",
            width=6,
            runbook="store-unreachable",
        ),
        lines(
            "Probes",
            "Runs in an hour, by result.",
            Query(
                total(increase("mediabucket_operator_probe_runs_total", "1h", JOB), "store, result"),
                "{{store}} {{result}}",
            ),
            unit="short",
            width=6,
        ),
        lines(
            "Requests to stores",
            "By operation. Presigned ones are the canary's and the probe's.",
            Query(total(per_second(requests, RATE, JOB), "operation"), "{{operation}}"),
            unit="reqps",
        ),
        lines(
            "What stores refuse",
            "By operation and code. A probe is refused on purpose; what a bucket does not have yet is not found.",
            Query(total(per_second(requests, RATE, JOB, 'code!="OK"'), "operation, code"), "{{operation}} {{code}}"),
            unit="reqps",
            runbook="store-unreachable",
        ),
        lines(
            "Time of stores",
            "All requests but 5 %, by operation and result: slow failures are time-outs, slow successes a slow store.",
            Query(
                quantile(
                    0.95, "mediabucket_operator_store_request_duration_seconds", RATE, JOB, by="operation, result"
                ),
                "{{operation}} {{result}}",
            ),
            unit="s",
        ),
    ]


def _work() -> list[Panel]:
    visits = per_second("controller_runtime_reconcile_total", RATE, JOB)
    return [
        lines(
            "Visits", "By result.", Query(total(visits, "controller, result"), "{{controller}} {{result}}"), unit="ops"
        ),
        lines(
            "Failed visits",
            "They are tried again, later and later.",
            Query(
                total(per_second("controller_runtime_reconcile_errors_total", RATE, JOB), "controller"),
                "{{controller}}",
            ),
            unit="ops",
            runbook="not-ready",
        ),
        lines(
            "Time of a visit",
            "Half of them, and all but 1 %.",
            *(
                Query(
                    quantile(rank, "controller_runtime_reconcile_time_seconds", RATE, JOB, by="controller"),
                    f"{{{{controller}}}} p{rank * 100:.0f}",
                )
                for rank in (0.5, 0.99)
            ),
            unit="s",
        ),
        lines(
            "Queue and workers",
            "All workers busy and a queue that grows: raise operator.workers.",
            Query(total(chosen("workqueue_depth", JOB), "name"), "waiting: {{name}}"),
            Query(total(chosen("controller_runtime_active_workers", JOB)), "busy"),
            Query(highest(chosen("controller_runtime_max_concurrent_reconciles", JOB)), "workers"),
            unit="short",
        ),
        lines(
            "Repairs in an hour",
            "Differences that were written back, by aspect.",
            Query(total(increase("mediabucket_operator_drift_repaired_total", "1h", JOB), "aspect"), "{{aspect}}"),
            unit="short",
            limits=Limits(warning=1, wrong=operator_alerts.REPAIRS_AN_HOUR),
            runbook="drift-flapping",
        ),
        lines(
            "Ages of access keys",
            "By MediaBucket.",
            Query(
                highest(
                    chosen("mediabucket_operator_credential_age_seconds", JOB, *BUCKETS.split(",")[2:]),
                    "namespace, name",
                ),
                "{{namespace}}/{{name}}",
            ),
            unit="s",
            limits=Limits(warning=91 * operator_alerts.DAY_SECONDS, wrong=operator_alerts.CREDENTIAL_SECONDS),
            runbook="credentials-too-old",
        ),
    ]


def _process() -> list[Panel]:
    return [
        lines(
            "Silence of watches",
            "The API server sends something about once a minute.",
            Query(highest(chosen("mediabucket_operator_watch_silence_seconds", JOB), "path"), "{{path}}"),
            unit="s",
            limits=Limits(warning=75, wrong=operator_alerts.SILENCE_SECONDS),
            width=6,
            runbook="watch-silent",
        ),
        lines(
            "Watches opened anew",
            "In an hour, by path.",
            Query(total(increase("mediabucket_operator_watch_restarts_total", "1h", JOB), "path"), "{{path}}"),
            unit="short",
            width=6,
            runbook="watch-silent",
        ),
        lines(
            "Memory",
            "Resident.",
            Query(highest(chosen("process_resident_memory_bytes", JOB)), "resident"),
            unit="bytes",
            width=6,
        ),
        lines(
            "Processor",
            "Cores in use.",
            Query(total(per_second("process_cpu_seconds_total", RATE, JOB)), "cores"),
            unit="short",
            width=6,
        ),
    ]
