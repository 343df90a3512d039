"""A real store and a real database for the whole test session; each parallel worker has its own."""

import os
import socket
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
import told_secrets

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS

# Set by CI, which installs everything: there, what cannot be tested has failed.
EVERYTHING_REQUIRED: Final = "MEDIABUCKET_TESTS_REQUIRED"
_WHERE_IT_IS_KEPT: Final = pytest.StashKey[Path]()


@pytest.fixture(scope="session", autouse=True)
def _no_secret_is_told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Begins first and ends last: after all servers of this worker, and all its tests but the end of the last one."""
    directory = request.config.stash[_WHERE_IT_IS_KEPT] = tmp_path_factory.getbasetemp()
    yield
    assert told_secrets.told(directory) == []


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with SeaweedFS.start(tmp_path_factory.mktemp("seaweedfs"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres.start(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture
def bucket_name() -> str:
    """A name that no bucket has yet."""
    return f"test-{uuid.uuid4().hex[:20]}"


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """A new, empty database."""
    return postgres.create_database(f"test_{uuid.uuid4().hex}")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, but on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first: who began it last would keep the other workers waiting."""
    items.sort(key=lambda item: -_minutes(item))


def _minutes(item: pytest.Item) -> int:
    marker = item.get_closest_marker("takes_minutes")
    return 0 if marker is None else marker.args[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(EVERYTHING_REQUIRED) and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longreprtext)
        report.outcome, report.longrepr = (
            "failed",
            f"{EVERYTHING_REQUIRED} is set, and this was not tested: {reason.removeprefix('Skipped: ')}",
        )
    if directory := item.config.stash.get(_WHERE_IT_IS_KEPT, None):
        told_secrets.keep_what_is_said(directory, report)
    return report
