"""Labelled metrics of prometheus-client, without its search for the child at each use.

`labels()` takes a lock, makes strings of its arguments and counts them: more than the addition itself.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Child = TypeVar("Child")

LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Children(dict[tuple[str, ...], Child], Generic[Child]):
    """The children of a metric by the values of its labels, made when they are first asked for."""

    def __init__(self, labels: Callable[..., Child]) -> None:
        """`labels`: the metric's method of that name."""
        super().__init__()
        self._labels = labels

    def __missing__(self, labels: tuple[str, ...]) -> Child:
        child = self[labels] = self._labels(*labels)
        return child
