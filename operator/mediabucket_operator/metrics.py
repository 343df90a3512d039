"""What the operator counts. Names are controller-runtime's where it has them, so that known dashboards work."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("controller_runtime_reconcile", "Visits by result.", ["controller", "result"])
RECONCILE_SECONDS = Histogram("controller_runtime_reconcile_time_seconds", "Duration of a visit.", ["controller"])
DRIFT_REPAIRED = Counter("mediabucket_operator_drift_repaired", "Differences that were written back.", ["aspect"])
WATCH_SILENCE = Gauge("mediabucket_operator_watch_silence_seconds", "Since a watch was last heard from.", ["path"])
