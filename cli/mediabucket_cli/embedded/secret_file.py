"""Secrets of a data folder: made once, readable by their owner only."""

import os
import secrets
from pathlib import Path


def secret_in(path: Path) -> str:
    """The secret kept in this file; a new one of 256 bits if there is none."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    return path.read_text()
