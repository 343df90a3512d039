"""Where a development platform keeps what outlives a run."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path(".mediabucket")


@dataclass(frozen=True)
class DataDirectory:
    """Names of files and directories; nothing is created here."""

    path: Path

    @property
    def seaweedfs(self) -> Path:
        return self.path / "seaweedfs"

    @property
    def postgresql(self) -> Path:
        return self.path / "postgresql"

    @property
    def jwt_secret(self) -> Path:
        """The secret that tokens are signed with."""
        return self.path / "jwt-secret"

    @property
    def spec(self) -> Path:
        """The effective spec of the MediaBucket as the service reads it."""
        return self.path / "mediabucket.json"

    @property
    def ready(self) -> Path:
        """While a platform serves: its URLs and credentials, as in --ready-file."""
        return self.path / "ready.json"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"
