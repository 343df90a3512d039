"""FerretDB on PostgreSQL: a server that speaks MongoDB's protocol, as a process of the tests."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import document_server
from go_tools import AssetsMissing
from pymongo import MongoClient

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


def with_database(url: str, name: str) -> str:
    """The URL with another database; who a user is stays a matter of the one that it named."""
    parts = urlsplit(url)
    named = parts.path.strip("/")
    options = parse_qsl(parts.query)
    if named and parts.username is not None and "authSource" not in dict(options):
        options.append(("authSource", named))
    return urlunsplit(parts._replace(path=f"/{name}", query=urlencode(options)))


def with_server(url: str, port: int) -> str:
    """The URL with a server on this machine in place of the one that it names: a proxy to that."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    # Asked for its replica set the server would name itself, and be talked to past the proxy.
    options = [(name, value) for name, value in parse_qsl(parts.query) if name != "replicaSet"]
    options.append(("directConnection", "true"))
    if {("tls", "true"), ("ssl", "true")} & set(options):
        options.append(("tlsAllowInvalidHostnames", "true"))
    return urlunsplit(parts._replace(netloc=f"{user}{at}{LOOPBACK}:{port}", query=urlencode(options)))


def server_of(url: str) -> tuple[str, int]:
    """The first server that a URL names. Raises ValueError where that is for a name server to tell."""
    parts = urlsplit(url)
    if parts.scheme != "mongodb":
        raise ValueError(f"a proxy needs a server's own name: mongodb://, not {parts.scheme}://")
    host, _, port = parts.netloc.rpartition("@")[2].split(",")[0].partition(":")
    return host, int(port or 27017)


@contextmanager
def document_server_url(directory: Path, database_url: str) -> Iterator[str]:
    """`$MEDIABUCKET_TEST_MONGODB_URL`, else a FerretDB. Raises AssetsMissing without either.

    On a server that is given, with a database of its own, which is dropped in the end: no other there is touched.
    """
    if given := os.environ.get(document_server.URL_VARIABLE):
        name = f"mediabucket_test_{uuid4().hex[:12]}"
        try:
            yield with_database(given, name)
        finally:
            with MongoClient[dict[str, Any]](given) as client:
                client.drop_database(name)
        return
    server = FerretDB(document_server.find(), directory, database_url).start()
    try:
        yield server.url
    finally:
        server.stop()


__all__ = ["AssetsMissing", "FerretDB", "document_server_url", "server_of", "with_database", "with_server"]
