"""FerretDB on PostgreSQL: a server that speaks MongoDB's protocol, as a process of the tests."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import document_server
from go_tools import AssetsMissing

from mediabucket_cli.embedded.ports import LOOPBACK, free_ports
from mediabucket_cli.embedded.processes import Child, bare_environment

_START_SECONDS = 30.0


class FerretDB:
    """Keeps its documents in a PostgreSQL database; started again it has them all."""

    def __init__(self, program: Path, directory: Path, database_url: str) -> None:
        self._program = program
        self._directory = directory
        self._database_url = database_url
        self._child: Child | None = None
        self.port = free_ports(["mongodb"])["mongodb"]

    @property
    def url(self) -> str:
        return f"mongodb://{LOOPBACK}:{self.port}/"

    def start(self) -> Self:
        options = {
            "handler": "postgresql",
            "postgresql-url": self._database_url,
            "listen-addr": f"{LOOPBACK}:{self.port}",
            "debug-addr": "-",
            "telemetry": "disable",
            "log-level": "error",
            "state-dir": self._directory,
        }
        self._child = Child.start(
            "FerretDB",
            [self._program, *(f"--{name}={value}" for name, value in options.items())],
            log=self._directory / "ferretdb.log",
            environment=bare_environment(self._directory),
            directory=self._directory,
        )
        self._wait(self._child)
        return self

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGKILL)
        self._child = None

    def _wait(self, child: Child) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection((LOOPBACK, self.port), timeout=1).close()
                return
            except OSError as error:
                if not child.running or time.monotonic() > deadline:
                    raise child.failure("does not answer") from error
            time.sleep(0.05)


@contextmanager
def document_server_url(directory: Path, database_url: str) -> Iterator[str]:
    """`$MEDIABUCKET_TEST_MONGODB_URL`, else a FerretDB. Raises AssetsMissing without either."""
    if given := os.environ.get(document_server.URL_VARIABLE):
        yield given
        return
    server = FerretDB(document_server.find(), directory, database_url).start()
    try:
        yield server.url
    finally:
        server.stop()


__all__ = ["AssetsMissing", "FerretDB", "document_server_url"]
