"""Where values are kept, and the text that Prometheus gets.

Every application has its own registry: nothing is counted at import. Where PROMETHEUS_MULTIPROC_DIR is set, as for
several workers behind one port, prometheus-client keeps the values in files of that directory instead, and each
worker answers for all of them: https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


class Exposition:
    """The metrics of one application. Make it before the first metric."""

    def __init__(self) -> None:
        """Raises OSError when the directory of several workers cannot be made."""
        # A second series for each counter and histogram, which nobody asks for in this format.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        named = os.environ.get(DIRECTORY_VARIABLE)
        self._directory = Path(named) if named else None
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)

    def text(self) -> bytes:
        """Prometheus' text format: of this application, or of all workers."""
        if self._directory is None:
            return generate_latest(self.registry)
        for process in _dead_workers(self._directory):
            mark_process_dead(process, str(self._directory))  # type: ignore[no-untyped-call]
        workers = CollectorRegistry()
        MultiProcessCollector(workers, str(self._directory))  # type: ignore[no-untyped-call]
        return generate_latest(workers)


def _dead_workers(directory: Path) -> Iterator[int]:
    """Whose connections and bytes are no more: what they have counted stays. uvicorn does not tell when one dies."""
    workers = {int(file.stem.rpartition("_")[2]) for file in directory.glob("gauge_live*_*.db")}
    return (worker for worker in workers if not _is_alive(worker))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
