"""Child processes that never outlive this one."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_GUARD = Path(__file__).with_name("guard.py")
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_NEXT_STEP = "Mend what it complains of there, then run the command again."


class ServerFailed(Exception):
    """A server that was started here does not run. The message ends with what to do."""


@dataclass(frozen=True)
class Child:
    """A running program, its output in a log file. Start it in a thread that lives as long as it shall.

    The kernel ties a child to the thread that started it: when that thread ends, the child is killed.
    """

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str],
        directory: Path,
        user: int | None = None,
        keep_open: Sequence[int] = (),
        signal_on_our_death: signal.Signals = signal.SIGKILL,
    ) -> Self:
        """`keep_open` are file descriptors that the child inherits; `user` is an id to become, by root only."""
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(signal_on_our_death.value)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*guard, "-" if user is None else str(user), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd=directory,
                pass_fds=keep_open,
                # Ctrl-C in the terminal is for us: children are stopped one after another.
                start_new_session=True,
            )
        return cls(name, log, process)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, timeout_seconds: float = 10) -> None:
        """End it politely, then by force together with whatever it started."""
        if not self.running:
            return
        self.process.send_signal(with_signal)
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_for_success(self, timeout_seconds: float) -> None:
        """Raises ServerFailed, with nothing left running, when it fails or takes longer."""
        try:
            status = self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not finish within {timeout_seconds:.0f} seconds") from None
        finally:
            self.stop(signal.SIGKILL)
        if status != 0:
            raise self.failure(f"stopped with exit status {status}")

    def failure(self, what: str) -> ServerFailed:
        """An error that says what happened, what the program last said, and what to do."""
        return ServerFailed(f"{self.report(what)}\n{_NEXT_STEP}")

    def report(self, what: str) -> str:
        """What happened, and what the program last said."""
        return f"{self.name} {what}; the end of {self.log}:\n{self.log_tail()}"

    def log_tail(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-_TAIL_LINES:]) or "(nothing)"


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of ours: servers read settings, proxies and credentials from their environment and their home."""
    return {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
