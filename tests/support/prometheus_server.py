"""A real Prometheus on a free loopback port, which asks its targets every second."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prometheus_programs import prometheus_program

from mediabucket_cli.embedded.ports import LOOPBACK, free_ports
from mediabucket_cli.embedded.processes import Child

READY_SECONDS = 30


@dataclass(frozen=True)
class Target:
    """Where /metrics is, and the labels that a monitor of the chart would give to what is found there."""

    address: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class PrometheusServer:
    url: str
    child: Child

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression yields now. Raises HTTPError for one that is wrong."""
        return self._get("query", query=expression)

    def query_range(self, expression: str, seconds: float, step: float = 1) -> list[dict[str, Any]]:
        """The series of the last seconds."""
        now = time.time()
        return self._get("query_range", query=expression, start=now - seconds, end=now, step=step)

    def _get(self, what: str, **parameters: Any) -> list[dict[str, Any]]:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                    return
            except OSError:
                assert time.monotonic() < deadline, self.child.log.read_text()
                time.sleep(0.1)


@contextmanager
def prometheus(directory: Path, rules: Path, targets: list[Target]) -> Iterator[PrometheusServer]:
    """Scrapes the targets as the chart's monitors would: labels of theirs win over those of a target."""
    directory.mkdir(parents=True, exist_ok=True)
    jobs = [
        {
            "job_name": f"{place}",
            "honor_labels": True,
            "static_configs": [{"targets": [target.address], "labels": dict(target.labels)}],
        }
        for place, target in enumerate(targets)
    ]
    every_second = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration = {"global": every_second, "rule_files": [str(rules)], "scrape_configs": jobs}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = free_ports(["prometheus"])["prometheus"]
    child = Child.start(
        "Prometheus",
        [
            prometheus_program("prometheus"),
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        log=directory / "prometheus.log",
        environment={"HOME": str(directory)},
        directory=directory,
    )
    server = PrometheusServer(f"http://{LOOPBACK}:{port}", child)
    try:
        server.wait_until_ready()
        yield server
    finally:
        child.stop()
