"""A real API server on this machine: etcd, kube-apiserver, and the controllers that collect garbage."""

import base64
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml
from kube_reader import KubeReader, ReadFailed

from mediabucket_cli.embedded.ports import LOOPBACK, free_ports
from mediabucket_cli.embedded.processes import Child, bare_environment

ADMIN: Final = "admin"
CONTROLLER_MANAGER: Final = "kube-controller-manager"
# Those whose work the operator relies on. No others: nobody but the tests plays kubelet.
CONTROLLERS: Final = ("garbage-collector-controller", "namespace-controller")
_START_SECONDS: Final = 60.0
# With Go's default of 100 a sixth of the API server's time goes into collecting its own garbage: it starts small, and
# here memory is plentiful and processors are not. https://pkg.go.dev/runtime#hdr-Environment_Variables
_GARBAGE: Final = {"GOGC": "400"}
_AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass
class KubeCluster:
    """Start with `start`, end with `stop`. Users are known by a static token each."""

    directory: Path
    assets: Path
    ports: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=lambda: {ADMIN: secrets.token_hex(16)})
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def start(cls, directory: Path, assets: Path, service_accounts: tuple[str, ...] = ()) -> "KubeCluster":
        """`service_accounts` are `<namespace>:<name>`; each gets a token that acts as it."""
        cluster = cls(directory, assets, free_ports(["etcd", "peer", "api", "controllers"]))
        cluster.tokens |= {account: secrets.token_hex(16) for account in service_accounts}
        directory.mkdir(parents=True, exist_ok=True)
        try:
            cluster._write_files()
            cluster.start_etcd()
            cluster.start_api_server()
            cluster.start_controllers()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.ports['api']}"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def stop(self) -> None:
        for name in ("controllers", "api", "etcd"):
            self.stop_part(name)

    def stop_part(self, name: str) -> None:
        """Without a word: a polite end of an API server takes ten seconds."""
        if child := self.children.pop(name, None):
            child.stop(signal.SIGKILL)

    def start_etcd(self) -> None:
        client, peer = (f"http://{LOOPBACK}:{self.ports[name]}" for name in ("etcd", "peer"))
        self._launch(
            "etcd",
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def start_api_server(self) -> None:
        self._launch(
            "api",
            "kube-apiserver",
            f"--etcd-servers=http://{LOOPBACK}:{self.ports['etcd']}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports['api']}",
            f"--cert-dir={self.directory / 'certificates'}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            f"--service-account-key-file={self.directory / 'service-account.key'}",
            f"--service-account-signing-key-file={self.directory / 'service-account.key'}",
            "--service-account-issuer=https://localhost",
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
        )
        self._wait_until_ready()
        self.write_kubeconfig(ADMIN)

    def start_controllers(self) -> None:
        """Nothing, where the assets have no kube-controller-manager: then nobody collects garbage."""
        if not (self.assets / CONTROLLER_MANAGER).exists():
            return
        self._launch(
            "controllers",
            CONTROLLER_MANAGER,
            f"--kubeconfig={self.write_kubeconfig(ADMIN)}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self.ports['controllers']}",
            f"--cert-dir={self.directory / 'controller-certificates'}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false",
            "--authorization-always-allow-paths=/healthz",
        )

    def write_kubeconfig(self, user: str, url: str | None = None, namespace: str = "default") -> Path:
        """A kubeconfig that is this user; `url` may lead through a proxy."""
        certificate = (self.directory / "certificates" / "apiserver.crt").read_bytes()
        cluster = {"server": url or self.url, "certificate-authority-data": base64.b64encode(certificate).decode()}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": "test",
        }
        suffix = "" if url is None else f"-{url.rpartition(':')[2]}"
        path = self.directory / f"kubeconfig-{user.replace(':', '-')}{suffix}"
        path.write_text(yaml.safe_dump(document))
        return path

    def kubectl(self, *arguments: str, stdin: Any = None, user: str = ADMIN, check: bool = True) -> str:
        """What kubectl prints. `stdin` is text, or documents to write as YAML. Raises KubectlFailed."""
        result = self.try_kubectl(*arguments, stdin=stdin, user=user)
        if check and result.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def try_kubectl(self, *arguments: str, stdin: Any = None, user: str = ADMIN) -> "subprocess.CompletedProcess[str]":
        text = stdin if isinstance(stdin, str) or stdin is None else as_yaml(stdin)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "NO_COLOR": "1"}
        return subprocess.run(
            [kubectl_program(), f"--kubeconfig={self.write_kubeconfig(user)}", *arguments],
            input=text,
            text=True,
            capture_output=True,
            check=False,
            timeout=180,
            env=environment,
        )

    def apply(self, *documents: dict[str, Any]) -> str:
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=list(documents))

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Raises ReadFailed where there is none."""
        document = self.find(kind, name, namespace)
        if document is None:
            raise ReadFailed(f"there is no {kind} {name} in {namespace or 'the cluster'}")
        return document

    def find(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return self.reader.find(kind, name, namespace)

    def list(self, kind: str, namespace: str | None = None) -> "list[dict[str, Any]]":
        return self.reader.list(kind, namespace)

    @cached_property
    def reader(self) -> KubeReader:
        """Of all that an administrator can see."""
        return KubeReader(self.write_kubeconfig(ADMIN))

    def _launch(self, part: str, program: str, *arguments: str) -> None:
        self.children[part] = Child.start(
            program,
            [self.assets / program, *arguments],
            log=self.directory / f"{part}.log",
            environment=bare_environment(self.directory) | _GARBAGE,
            directory=self.directory,
        )

    def _write_files(self) -> None:
        rows = [f"{self.tokens[ADMIN]},{ADMIN},{ADMIN},system:masters"]
        for user, token in self.tokens.items():
            if ":" in user:
                namespace = user.partition(":")[0]
                groups = f"system:serviceaccounts,system:serviceaccounts:{namespace},system:authenticated"
                rows.append(f'{token},system:serviceaccount:{user},{user},"{groups}"')
        (self.directory / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self.directory / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
        (self.directory / "service-account.key").write_bytes(_private_key())

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        child = self.children["api"]
        while not self._answers("/readyz"):
            if not child.running or time.monotonic() > deadline:
                raise child.failure("did not become ready")
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        context = ssl._create_unverified_context()  # only whether it answers is asked
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.tokens[ADMIN]}"})
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as response:
                return bool(response.status == 200)
        except OSError:
            return False


class KubectlFailed(Exception):
    """kubectl said no; the message is its own."""


def as_yaml(documents: Any) -> str:
    many = documents if isinstance(documents, list) else [documents]
    return yaml.safe_dump_all(many)


def kubectl_program() -> str:
    found = shutil.which("kubectl")
    assert found is not None, "kubectl is not on the PATH"
    return found


def _private_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
