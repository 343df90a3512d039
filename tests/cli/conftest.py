"""Platforms that tests of the command line look at from outside."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from development_process import Dev, eventually


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """Not started yet."""
    dev = Dev(tmp_path)
    yield dev
    dev.kill()
    eventually(lambda: not dev.processes(), "the end of every process")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Started with the usual ports taken; tests leave its manifest as they found it."""
    dev = Dev(tmp_path_factory.mktemp("dev"))
    occupied = []
    for port in (8000, 5432, 8333):
        with suppress(OSError):
            occupied.append(socket.create_server(("127.0.0.1", port)))
    dev.start()
    dev.wait_until_ready()
    yield dev
    dev.kill()
    for server in occupied:
        server.close()
    eventually(lambda: not dev.processes(), "the end of every process")
