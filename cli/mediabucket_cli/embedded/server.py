"""What the embedded servers have in common: a locked directory, ports of their own, and a start that is waited for."""

import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from mediabucket_cli.embedded.locks import DirectoryLock
from mediabucket_cli.embedded.ports import remember_ports, remembered_ports
from mediabucket_cli.embedded.private_files import private_directory
from mediabucket_cli.embedded.processes import Child

_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 5


class EmbeddedServer(ABC):
    """`launch`, then `wait_until_ready`, so that several servers can start side by side; or `start` for both."""

    port_names: ClassVar[tuple[str, ...]]
    # What the log says, in lower case, when a port was taken between the choice and the start.
    port_taken: ClassVar[tuple[str, ...]]

    def __init__(self, data_directory: Path, log: Path | None = None, *, durable: bool = True) -> None:
        """`durable` False trades crash safety for speed, for data that nobody keeps."""
        self.directory = data_directory.absolute()
        self.log = (log or self.directory / "server.log").absolute()
        self.durable = durable
        self.ports: dict[str, int] = {}
        self._lock: DirectoryLock | None = None
        self._child: Child | None = None

    @classmethod
    def start(cls, data_directory: Path, log: Path | None = None, *, durable: bool = True) -> Self:
        """A server that answers. Raises DirectoryInUse or ServerFailed, and leaves nothing running then."""
        server = cls(data_directory, log, durable=durable)
        try:
            server.launch()
            server.wait_until_ready()
        except BaseException:
            server.stop()
            raise
        return server

    def launch(self) -> None:
        """Raises DirectoryInUse, ServerFailed. Call `stop` whatever happens."""
        private_directory(self.directory)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._lock = DirectoryLock.acquire(self.directory)
        self._prepare()
        self._spawn()

    def wait_until_ready(self) -> None:
        """Raises ServerFailed when the server exits, or does not answer within a minute."""
        deadline = time.monotonic() + _START_SECONDS
        attempts = 1
        while not self._is_ready():
            if not self.child.running:
                if attempts == _ATTEMPTS or not self._port_was_taken():
                    raise self.child.failure(f"stopped with exit status {self.child.process.returncode}")
                attempts += 1
                self._spawn()
            if time.monotonic() > deadline:
                raise self.child.failure(f"did not answer within {_START_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)
        remember_ports(self._ports_file, self.ports)

    @property
    def child(self) -> Child:
        assert self._child is not None, "the server was never launched"
        return self._child

    def stop(self) -> None:
        """End the server and give up its directory; nothing happens the second time."""
        if self._child is not None:
            self._end(self._child)
        if self._lock is not None:
            self._lock.release()
        self._child = self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self) -> None:
        assert self._lock is not None, "a server is only launched on a locked directory"
        # The same ports in every run keep URLs in shells and browsers alive.
        remembered = remembered_ports(self._ports_file, self.port_names) if self._child is None else None
        self.ports = remembered or self._choose_ports()
        self._child = self._start_child(self._lock.descriptor)

    def _port_was_taken(self) -> bool:
        tail = self.child.log_tail().lower()
        return any(words in tail for words in self.port_taken)

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the first run needs, and remove what a crashed one left."""

    @abstractmethod
    def _choose_ports(self) -> dict[str, int]: ...

    @abstractmethod
    def _start_child(self, lock_descriptor: int) -> Child:
        """Start the server on `self.ports`; it inherits the lock."""

    @abstractmethod
    def _is_ready(self) -> bool: ...

    @abstractmethod
    def _end(self, child: Child) -> None: ...
