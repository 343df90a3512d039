"""Store, database and upload service of one manifest, run on this machine alone."""

import os
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from mediabucket_api.connection import SPEC_FILE_VARIABLE, SPEC_KEY, BucketConnection, StoreConnection
from mediabucket_api.manifest import load_manifest
from mediabucket_api.resources import MediaBucket
from mediabucket_cli.data_directory import DataDirectory
from mediabucket_cli.embedded.locks import DirectoryLock
from mediabucket_cli.embedded.ports import LOOPBACK, bound_socket
from mediabucket_cli.embedded.postgres import Postgres
from mediabucket_cli.embedded.private_files import private_directory, secret_kept_in, write_private_file
from mediabucket_cli.embedded.processes import Child, ServerFailed
from mediabucket_cli.embedded.seaweedfs import SeaweedFS
from mediabucket_cli.errors import CommandFailed
from mediabucket_cli.sandbox.hard_platform import HardPlatform
from mediabucket_cli.sandbox.hardships import Hardships, with_hardships
from mediabucket_cli.service_process import ServiceProcess
from mediabucket_cli.token import make_token
from mediabucket_operator.reconcile import Outcome, claim, reconcile
from mediabucket_s3.admin import BucketAdmin

PREFERRED_PORT = 8000
_MIGRATION_SECONDS = 120
# What would lead the service to another store than ours.
_FOREIGN_SETTINGS = ("AWS_", "BUCKET_", "COSI_")


class DevelopmentPlatform:
    """`start`, use, `stop`; or a `with` block. Use it in the main thread: children end with the thread that made them.

    Methods raise ManifestInvalid, DirectoryInUse, ServerFailed, CommandFailed and S3Error.
    """

    def __init__(
        self,
        manifest_file: Path,
        data_directory: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        service_settings: Mapping[str, str] | None = None,
        hardships: Hardships | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`port` 0 is any free one, None the usual one if it is free; `service_settings` are environment variables of
        the service; `hardships` make life hard on purpose; `report` is told of each step; `durable` False is faster
        and may lose data with the power.
        """
        self.manifest_file = manifest_file
        self.data = DataDirectory(data_directory.absolute())
        self._port = port
        self._service_settings = dict(service_settings or {})
        self._report = report
        self._lock: DirectoryLock | None = None
        self.seaweedfs = SeaweedFS(self.data.seaweedfs, self.data.log("seaweedfs"), durable=durable)
        self.postgres = Postgres(self.data.postgresql, self.data.log("postgresql"), durable=durable)
        self._hard = HardPlatform(hardships or Hardships())
        self._service: ServiceProcess | None = None
        self._migration: Child | None = None
        self._resource: MediaBucket | None = None

    def start(self) -> None:
        """Start everything; returns once the service is ready. Call `stop` whatever happens."""
        resource = self._served(load_media_bucket(self.manifest_file))
        private_directory(self.data.path)
        self._lock = DirectoryLock.acquire(self.data.path)
        self._service = ServiceProcess(self._hard.service_listener(_listener(self._port)), self.data.log("service"))
        migration = self._start_servers()
        self._hard.start(self._service.url, self.seaweedfs.connection)
        self._provision(resource)
        migration.wait_for_success(_MIGRATION_SECONDS)
        self.restart_service()

    def stop(self) -> None:
        """Stop everything that runs; nothing happens the second time."""
        self._hard.stop()
        if self._service is not None:
            self._service.close()
        if self._migration is not None:
            self._migration.stop()
        self.postgres.stop()
        self.seaweedfs.stop()
        if self._lock is not None:
            self._lock.release()
        self._service = self._lock = None

    def apply_manifest(self) -> Outcome:
        """Make bucket and service what the manifest says by now; when this fails the service stays as it was."""
        previous = self.resource
        outcome = self._provision(self._served(load_media_bucket(self.manifest_file)))
        if _service_configuration(previous) != _service_configuration(self.resource):
            try:
                self.restart_service()
            except ServerFailed:
                self._resource = previous
                self.restart_service()
                raise
        return outcome

    def restart_service(self) -> None:
        """Returns once the new process is ready; nobody is refused a connection meanwhile."""
        self.service.stop()
        write_private_file(self.data.spec, self.connection.to_config_map()[SPEC_KEY])
        self.service.start(self._service_environment())
        self._report(f"upload service ready at {self.api_url}")

    def look_after(self) -> None:
        """Bring back the service if it died. Raises ServerFailed when the store or the database did."""
        for child in (self.seaweedfs.child, self.postgres.child):
            if not child.running:
                raise child.failure(f"stopped with exit status {child.process.returncode}")
        if (event := self.service.look_after()) is not None:
            self._report(event)

    @property
    def resource(self) -> MediaBucket:
        """The MediaBucket as it was last applied."""
        assert self._resource is not None, "the platform was never started"
        return self._resource

    @property
    def service(self) -> ServiceProcess:
        assert self._service is not None, "the platform was never started"
        return self._service

    @property
    def api_url(self) -> str:
        return self._hard.api_url or self.service.url

    @property
    def hardships(self) -> Hardships:
        return self._hard.hardships

    @property
    def connection(self) -> BucketConnection:
        """The bucket as its administrator reaches it."""
        return BucketConnection(
            store=self._store,
            bucket=self.resource.bucket_name,
            spec=self.resource.spec,
            media_service_url=self.api_url,
        )

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def jwt_secret(self) -> str:
        return secret_kept_in(self.data.jwt_secret)

    def token(self, user: str) -> str:
        """A bearer token of that user, good for a week."""
        return make_token(self.jwt_secret, user, self.resource.spec.service.auth)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _store(self) -> StoreConnection:
        return self._hard.store(self.seaweedfs.connection)

    def _served(self, resource: MediaBucket) -> MediaBucket:
        return with_hardships(resource, self.hardships)

    def _start_servers(self) -> Child:
        """Both at the same time; the migration, which begins as soon as it can."""
        self.seaweedfs.launch()
        self.postgres.launch()
        self.postgres.wait_until_ready()
        self._report(f"PostgreSQL ready at {LOOPBACK}:{self.postgres.ports['port']}")
        self._migration = migration = self._begin_migration()
        self.seaweedfs.wait_until_ready()
        self._report(f"SeaweedFS ready at {self.seaweedfs.connection.endpoint}")
        return migration

    def _provision(self, resource: MediaBucket) -> Outcome:
        store = self._store
        admin = BucketAdmin.connect(store, resource.bucket_name)
        # Nobody else uses this store: a bucket without an owner is ours, and an earlier run died before marking it.
        claimed = resource.model_copy(update={"status": claim(resource)})
        outcome = reconcile(claimed, admin, connection=store, now=datetime.now(UTC))
        if not admin.exists():
            told = "; ".join(condition.message for condition in outcome.status.conditions if condition.message)
            raise CommandFailed(
                f"the manifest provisions no bucket {resource.bucket_name}: {told}; change the manifest"
            )
        self._resource = resource
        self._report(f"bucket {resource.bucket_name}: {_changes_told(outcome)}")
        return outcome

    def _begin_migration(self) -> Child:
        return Child.start(
            "the database migration",
            [sys.executable, "-m", "mediabucket_service.migrations"],
            log=self.data.log("migrations"),
            environment=self._process_environment(),
            directory=Path.cwd(),
        )

    def _process_environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_SETTINGS)}
        return ours | self._service_settings | {"MEDIABUCKET_DATABASE_URL": self.database_url}

    def _service_environment(self) -> dict[str, str]:
        connection = self.connection
        shared = connection.to_config_map() | connection.to_secret()
        # In a file, as in a cluster, where it is mounted.
        del shared[SPEC_KEY]
        ours = {SPEC_FILE_VARIABLE: str(self.data.spec), "MEDIABUCKET_JWT_SECRET": self.jwt_secret}
        return self._process_environment() | shared | ours


def load_media_bucket(file: Path) -> MediaBucket:
    """The one MediaBucket of a manifest. Raises ManifestInvalid, CommandFailed when there is not exactly one."""
    resources = load_manifest(file).media_buckets
    if len(resources) != 1:
        raise CommandFailed(
            f"{file} has {len(resources)} MediaBuckets: a development platform serves one; name a file that has one"
        )
    return resources[0]


def _listener(port: int | None) -> socket.socket:
    """Raises CommandFailed when the port that was asked for is taken."""
    try:
        return bound_socket(PREFERRED_PORT if port is None else port)
    except OSError as error:
        if port is None:
            return bound_socket()
        raise CommandFailed(f"cannot serve on port {port}: {error.strerror}; --port 0 takes any free one") from error


def _service_configuration(resource: MediaBucket) -> object:
    """What the service reads at its start."""
    spec = resource.spec
    return resource.bucket_name, spec.uploads, spec.service, spec.cors, spec.cdn


def _changes_told(outcome: Outcome) -> str:
    changed = sorted({change.aspect for change in outcome.changes})
    return f"changed {', '.join(changed)}" if changed else "nothing to change"
