"""What can this store do? Found out by doing it, in a bucket of the probe's own, which is gone afterwards."""

from mediabucket_operator.probe.consequences import consequences
from mediabucket_operator.probe.runner import bucket_name_for, probe_store

__all__ = ["bucket_name_for", "consequences", "probe_store"]
