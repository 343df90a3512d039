"""One user of a data directory at a time."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

_WAIT_FOR_ORPHANS_SECONDS = 10.0
_POLL_SECONDS = 0.05


class DirectoryInUse(Exception):
    """Another process works on the data directory."""


class DirectoryLock:
    """Held until `release`, and until every child that inherited `descriptor` is gone.

    So whoever gets the lock after a crash knows that no server of the crashed run is left.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def acquire(cls, directory: Path) -> Self:
        """Raises DirectoryInUse, naming the process; waits only for children of a process that is gone."""
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _WAIT_FOR_ORPHANS_SECONDS
        while not _locked(descriptor):
            owner = _owner(descriptor)
            if _alive(owner) or time.monotonic() > deadline:
                os.close(descriptor)
                raise DirectoryInUse(f"{directory} is in use by process {owner}: stop it, or choose another directory")
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """From now on whoever wants the lock waits for the children that still hold it."""
        os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(descriptor: int) -> int:
    """The process id in the lock file; 0 when it was released, and in the moment before it is written."""
    return int(os.pread(descriptor, 20, 0) or b"0")


def _alive(process_id: int) -> bool:
    if process_id == 0:
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
