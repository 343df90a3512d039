"""How MediaBucket is watched: dashboards and alerts, as data. `scripts/dashboards.py` writes them into the chart."""
