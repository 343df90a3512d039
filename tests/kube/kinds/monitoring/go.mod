// Only its CRDs are used: see scripts/monitoring_kinds.py.
module mediabucket.dev/test-kinds/monitoring

go 1.25.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
