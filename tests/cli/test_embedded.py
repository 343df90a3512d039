"""The embedded servers: ports that are taken, directories in use, leftovers of a crash."""

import os
import shutil
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediabucket_cli.embedded import postgres as embedded_postgres
from mediabucket_cli.embedded.locks import DirectoryInUse, DirectoryLock
from mediabucket_cli.embedded.ports import free_ports
from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.processes import ServerFailed
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_cli.embedded.server import EmbeddedServer
from mediabucket_s3.admin import BucketAdmin


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(("server", "port_name"), [(SeaweedFS, "s3.port"), (Postgres, "port")])
def test_a_server_whose_port_was_taken_starts_on_another(
    server: type[EmbeddedServer], port_name: str, taken_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = iter([free_ports(server.port_names) | {port_name: taken_port}])
    choose = server._choose_ports
    monkeypatch.setattr(server, "_choose_ports", lambda self: next(choices, None) or choose(self))
    with server.start(tmp_path, durable=False) as started:
        assert started.ports[port_name] != taken_port


def test_a_store_keeps_objects_keys_and_ports(tmp_path: Path) -> None:
    with SeaweedFS.start(tmp_path) as first:
        admin = BucketAdmin.connect(first.connection, "kept")
        admin.create("us-east-1", {})
        admin.write_object("key", b"bytes", "text/plain")
    with SeaweedFS.start(tmp_path) as second:
        assert BucketAdmin.connect(first.connection, "kept").read_object("key") == b"bytes"
        assert second.ports == first.ports


@pytest.mark.parametrize("full", [False, True])
def test_a_disk_that_is_too_full_is_told_before_the_start(
    full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS itself would start, and then let each upload wait for half a minute."""
    free = (2 if full else 200) * 2**30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (250 * 2**30, 250 * 2**30 - free, free))
    store = SeaweedFS(tmp_path, durable=False)
    try:
        if full:
            with pytest.raises(
                ServerFailed, match=r"too full: 2,048 MiB are free, .* below 2,816 MiB; remove something"
            ):
                store.launch()
        else:
            store.launch()
            store.wait_until_ready()
    finally:
        store.stop()


def test_a_store_keeps_objects_on_other_ports(tmp_path: Path) -> None:
    with SeaweedFS.start(tmp_path) as first:
        admin = BucketAdmin.connect(first.connection, "kept")
        admin.create("us-east-1", {})
        admin.write_object("key", b"bytes", "text/plain")
    with socket.create_server(("127.0.0.1", first.ports["master.port"])), SeaweedFS.start(tmp_path) as second:
        assert second.ports != first.ports
        admin = BucketAdmin.connect(second.connection, "kept")
        assert admin.read_object("key") == b"bytes"
        admin.write_object("key", b"other", "text/plain")
        assert admin.read_object("key") == b"other"


def test_a_database_starts_after_a_crash_though_its_process_id_is_taken(tmp_path: Path) -> None:
    with Postgres.start(tmp_path) as server:
        os.kill(server.child.process.pid, signal.SIGKILL)
        server.child.process.wait()
    leftover = tmp_path / "data" / "postmaster.pid"
    leftover.write_text(leftover.read_text().replace(str(server_id(leftover)), str(os.getpid()), 1))
    with Postgres.start(tmp_path) as server:
        assert server.create_database("after").endswith("/after")


def server_id(file: Path) -> int:
    return int(file.read_text().splitlines()[0])


def test_a_database_that_exists_is_not_created_again(postgres: Postgres) -> None:
    postgres.create_database("once")
    with pytest.raises(ServerFailed, match='database "once" already exists'):
        postgres.create_database("once")


def test_a_server_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    Postgres.start(tmp_path, durable=False).stop()
    (tmp_path / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(
        ServerFailed, match=r"PostgreSQL stopped with exit status 1(?s:.*)initialized by PostgreSQL"
    ) as told:
        Postgres.start(tmp_path)
    assert str(told.value).endswith("\nMend what it complains of there, then run the command again.")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user stays who it is")
def test_root_may_keep_the_programs_where_nobody_else_may_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone below /root: PostgreSQL does not run as root, and looks for its own programs."""
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    program = embedded_postgres.postgres_program("postgres")
    site = program.parents[3]
    for package in site.glob("embedded_postgres*"):
        shutil.copytree(package, private / package.name, symlinks=True)
    copies = private / program.parent.relative_to(site)
    monkeypatch.setattr(embedded_postgres, "postgres_program", lambda name: copies / name)
    with Postgres.start(private) as server:
        assert server.create_database("inside").endswith("/inside")
        [process] = {line for line in status_of(server.child.process.pid) if line.startswith("CapEff:")}
        # One right of root and no other: to search directories.
        assert int(process.split()[1], 16).bit_count() <= 1


def status_of(process_id: int) -> list[str]:
    return Path(f"/proc/{process_id}/status").read_text().splitlines()


def test_secrets_are_for_their_owner_only(seaweedfs: SeaweedFS, postgres: Postgres) -> None:
    for file in (seaweedfs.directory / "identities.json", postgres.directory / "password"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for directory in (seaweedfs.directory, postgres.directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    lock = DirectoryLock.acquire(tmp_path)
    with pytest.raises(DirectoryInUse, match=f"in use by process {os.getpid()}"):
        DirectoryLock.acquire(tmp_path)
    lock.release()
    DirectoryLock.acquire(tmp_path).release()


def test_the_directory_of_a_dead_process_is_waited_for(tmp_path: Path) -> None:
    orphan = DirectoryLock.acquire(tmp_path)
    # No process id is that high: https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html
    (tmp_path / "lock").write_text(str(2**22 + 1))
    threading.Timer(0.2, orphan.release).start()
    DirectoryLock.acquire(tmp_path).release()
