"""The operator as a process of its own, on a real API server and a real store."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from kube_cluster import KubeCluster

from mediabucket_api.connection import StoreConnection
from mediabucket_cli.embedded.ports import LOOPBACK, free_ports
from mediabucket_cli.embedded.processes import Child

OPERATOR_NAMESPACE: Final = "mediabucket-system"
OPERATOR_ACCOUNT: Final = f"{OPERATOR_NAMESPACE}:mediabucket-operator"
STORE_SECRET: Final = "store-credentials"
Found = TypeVar("Found")


@dataclass
class OperatorProcess:
    """`start` and `stop` as often as a test likes."""

    kube: KubeCluster
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    kubeconfig: Path | None = None
    port: int = field(default_factory=lambda: free_ports(["operator"])["operator"])
    child: Child | None = None
    runs: int = 0
    command: tuple[str, ...] = ("mediabucket-operator",)

    def start(self) -> None:
        self.runs += 1
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = {
            "MEDIABUCKET_OPERATOR_NAMESPACE": OPERATOR_NAMESPACE,
            "MEDIABUCKET_OPERATOR_HOST": LOOPBACK,
            "MEDIABUCKET_OPERATOR_PORT": str(self.port),
            "MEDIABUCKET_OPERATOR_SERVICE_IMAGE": "mediabucket-service:test",
            "KUBECONFIG": str(self.kubeconfig or self.kube.write_kubeconfig(OPERATOR_ACCOUNT)),
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
        }
        self.child = Child.start(
            "mediabucket-operator",
            [Path(sys.executable).with_name(self.command[0]), *self.command[1:]],
            log=self.log,
            environment=settings | self.environment,
            directory=self.directory,
        )

    @property
    def log(self) -> Path:
        return self.directory / f"operator-{self.runs}.log"

    def logs(self) -> str:
        """What all runs have said."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("operator-*.log")))

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()
            self.child = None

    def kill(self) -> None:
        """As if the machine had lost power: no clean-up, no last words."""
        assert self.child is not None
        self.child.process.send_signal(signal.SIGKILL)
        self.child.process.wait()
        self.child = None

    def health(self) -> tuple[int, str]:
        """The status of /healthz and what it says; 0 without an answer."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/healthz", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def __enter__(self) -> "OperatorProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def eventually(look: Callable[[], Found], *, seconds: float = 30, every: float = 0.1) -> Found:
    """The first result that is true. Raises the last AssertionError, or one with the last result."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = look()
            problem: AssertionError = AssertionError(f"still {found!r} after {seconds} s")
            if found:
                return found
        except AssertionError as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(every)


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def store_documents(name: str, connection: StoreConnection, **spec: Any) -> list[dict[str, Any]]:
    """An ObjectStore, and the Secret with its administrator's keys in the operator's namespace."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{STORE_SECRET}-{name}", "namespace": OPERATOR_NAMESPACE},
        "stringData": {
            "AWS_ACCESS_KEY_ID": connection.access_key_id,
            "AWS_SECRET_ACCESS_KEY": connection.secret_access_key.get_secret_value(),
        },
    }
    store = {
        "apiVersion": "mediabucket.dev/v1alpha1",
        "kind": "ObjectStore",
        "metadata": {"name": name},
        "spec": {
            "endpoint": connection.endpoint,
            "credentialsSecretRef": {"namespace": OPERATOR_NAMESPACE, "name": f"{STORE_SECRET}-{name}"},
            **spec,
        },
    }
    return [secret, store]


def media_bucket(name: str, namespace: str, store: str, **spec: Any) -> dict[str, Any]:
    """Without an upload service, unless the spec asks for one."""
    return {
        "apiVersion": "mediabucket.dev/v1alpha1",
        "kind": "MediaBucket",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"storeRef": {"name": store}, "service": {"state": "Disabled"}, **spec},
    }


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition of this type; empty when it is not there."""
    conditions = document.get("status", {}).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})
