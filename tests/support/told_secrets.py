"""No secret in what anybody can read: the secrets of the tests' servers are looked for in all that was said.

Each server keeps its secrets in files of its own (`SECRET_FILES`); the keys that the operator issued are written down
when a cluster is stopped. What programs say is in their `*.log` files; what tests print, log and fail with is kept in
one more.
"""

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kube_cluster import KubeCluster

ISSUED: Final = "issued-secrets"
SAID_BY_TESTS: Final = "said-by-tests.log"
_READABLE: Final = "readable.log"
_SHORTEST: Final = 16
# Of SeaweedFS, of PostgreSQL, of `mediabucket dev`; of the operator, by `keep_what_is_readable`.
SECRET_FILES: Final = ("identities.json", "password", "jwt-secret", ISSUED)
_READABLE_KINDS: Final = "mediabuckets,objectstores,events,configmaps,deployments"
# What databases are there to keep, secrets among it.
_DATA: Final = frozenset({"data", "etcd"})


def keep_what_is_readable(cluster: KubeCluster) -> None:
    """Write down, for the look at the end, what people can see of a cluster, and the keys that its Secrets have."""
    shown = cluster.try_kubectl("get", _READABLE_KINDS, "-A", "-o", "json", "--request-timeout=20s")
    (cluster.directory / _READABLE).write_text(shown.stdout)
    found = cluster.try_kubectl("get", "secrets", "-A", "-o", "json", "--request-timeout=20s")
    if found.returncode == 0:
        keys = [item.get("data", {}).get("AWS_SECRET_ACCESS_KEY", "") for item in json.loads(found.stdout)["items"]]
        (cluster.directory / ISSUED).write_text("\n".join(base64.b64decode(key).decode() for key in keys))


def keep_what_is_said(directory: Path, report: pytest.TestReport) -> None:
    """Append what a test printed, logged and failed with."""
    said = "\n".join((report.longreprtext, *(text for _, text in report.sections)))
    if said.strip():
        with (directory / SAID_BY_TESTS).open("a") as file:
            file.write(f"{report.nodeid}\n{said}\n")


def told(directory: Path) -> list[str]:
    """Which log tells which secret, of all below the directory; a secret is named by the file that keeps it."""
    files = list(_files(directory))
    secrets = {shape: file for file in files if file.name in SECRET_FILES for shape in _shapes(file)}
    if not secrets:
        return []
    pattern = re.compile("|".join(map(re.escape, secrets)).encode())
    return [
        f"{log.relative_to(directory)} tells the secret of {secrets[match.group().decode()].relative_to(directory)}"
        for log in sorted(files)
        if log.suffix == ".log" and (match := pattern.search(log.read_bytes()))
    ]


def _files(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name not in _DATA]
        yield from (Path(parent, name) for name in names if name in SECRET_FILES or name.endswith(".log"))


def _shapes(file: Path) -> Iterator[str]:
    """Each secret of the file as it is, and in base64."""
    for secret in _of_file(file):
        if len(secret) >= _SHORTEST:
            yield secret
            yield base64.b64encode(secret.encode()).decode().rstrip("=")


def _of_file(file: Path) -> list[str]:
    text = file.read_text()
    if file.suffix != ".json":
        return text.split()
    identities: list[dict[str, Any]] = json.loads(text)["identities"]
    return [key["secretKey"] for identity in identities for key in identity["credentials"]]
