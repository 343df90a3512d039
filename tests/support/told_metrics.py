"""What a program tells Prometheus, as a test asks for it."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from prometheus_programs import prometheus_program

PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Told:
    """An answer of `/metrics`."""

    text: str

    def of(self, name: str, /, **labels: str) -> float:
        """The sum of all series of this name that have these labels. Raises AssertionError without any."""
        found = list(self._values(name, labels))
        assert found, f"there is no {name}{labels} in:\n{self.text}"
        return sum(found)

    def has(self, name: str, /, **labels: str) -> bool:
        return any(True for _ in self._values(name, labels))

    def labels(self, name: str, label: str) -> set[str]:
        """All values that a label of this metric has."""
        return {sample.labels[label] for sample in self._samples(name)}

    def names(self) -> set[str]:
        return {family.name for family in text_string_to_metric_families(self.text)}

    def _values(self, name: str, labels: dict[str, str]) -> Iterator[float]:
        for sample in self._samples(name):
            if labels.items() <= sample.labels.items():
                yield sample.value

    def _samples(self, name: str) -> Iterator[Sample]:
        for family in text_string_to_metric_families(self.text):
            yield from (sample for sample in family.samples if sample.name == name)


async def told(http: httpx.AsyncClient) -> Told:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return Told(answer.text)


def told_by(url: str) -> Told:
    """What the program at this address tells."""
    return Told(httpx.get(f"{url}/metrics", timeout=10).raise_for_status().text)


def eventually_told(url: str, holds: Callable[[Told], bool]) -> Told:
    """What the program at this address tells as soon as this holds. Raises AssertionError if it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds(found := told_by(url)):
        assert time.monotonic() < deadline, found.text
        time.sleep(0.1)
    return found


def assert_clean(found: Told) -> None:
    """By Prometheus' own rules: https://prometheus.io/docs/practices/naming/"""
    promtool = prometheus_program("promtool")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=found.text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
