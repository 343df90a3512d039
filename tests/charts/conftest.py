"""The chart is rendered by a real Helm."""

from pathlib import Path

import pytest
from helm_program import helm_binary


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return helm_binary()
