"""Files and directories that only this user may read."""

import os
import secrets
from pathlib import Path


def private_directory(path: Path) -> Path:
    """Create it with its parents if need be; only the owner may enter."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private_file(path: Path, text: str) -> None:
    """Replace the file at once: readers see the old text or the new one, and only the owner sees either."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def secret_kept_in(path: Path) -> str:
    """The secret in the file, 43 characters that are safe in URLs; made at the first call."""
    if not path.exists():
        write_private_file(path, secrets.token_urlsafe(32))
    return path.read_text()
