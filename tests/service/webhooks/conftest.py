"""Webhooks of a running application, with receivers that really answer."""

import pytest
from webhook_receiver import SECRET

from mediabucket_api.connection import webhook_secret_variable


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the operator would set from Secrets."""
    for name in ("chat", "archive"):
        monkeypatch.setenv(webhook_secret_variable(name), SECRET)
