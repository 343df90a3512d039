"""Where Prometheus' own programs are. Debian has them in its package `prometheus`; they are no Python packages."""

import shutil
from pathlib import Path

import pytest


def prometheus_program(name: str) -> Path:
    """`prometheus` or `promtool`, on the PATH. Skips the test without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"ALERTS AND DASHBOARDS NOT TESTED: there is no {name}; `apt-get install prometheus` brings one")
    return Path(found)
