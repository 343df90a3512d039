"""A real store and a real database for the whole test session; each parallel worker has its own."""

import socket
import uuid
from collections.abc import Iterator

import pytest

from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.seaweedfs import SeaweedFS


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
